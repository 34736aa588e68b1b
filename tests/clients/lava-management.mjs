// The management methods of one version of the Lava SDK, named by LAVA_PACKAGE.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CHAT_MODEL, MESSAGE_MODEL, UNKNOWN_KEY, baseUrl, chat, secretKey, variable } from './server.mjs';

const { Lava } = await import(variable('LAVA_PACKAGE'));
const config = { baseUrl: `${baseUrl}/v1/` };
const lava = new Lava(secretKey, config);
const walletKey = variable('WALLET_KEY');

/** The message of what the SDK throws. */
function refusal(status, code) {
  return (error) => {
    assert.ok(error.message.startsWith(`Lava API Error: ${status} `), error.message);
    const envelope = JSON.parse(error.message.slice(error.message.indexOf('{')));
    assert.equal(envelope.code, code);
    assert.equal(envelope.status, status);
    assert.equal(typeof envelope.message, 'string');
    return true;
  };
}

function call(key) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  return fetch(`${baseUrl}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(chat('')) });
}

test('a spend key is created with every field of the SDK and read back', async () => {
  const fields = {
    name: 'Every field',
    request_shape: 'openai',
    allowed_models: [CHAT_MODEL],
    allowed_providers: ['openai'],
    spend_limit: { amount: '5.5', cycle: 'monthly' },
    request_limit: { count: 1000, cycle: 'weekly' },
    rate_limit: { rpm: 600, burst: 20 },
    expires_at: '2099-01-02T03:04:05.000Z',
  };
  const { key, ...created } = await lava.spendKeys.create(fields);
  assert.match(key, /^lava_sk_[0-9A-Za-z]{38}$/);
  assert.equal(created.key_preview, `${key.slice(0, 16)}****`);
  assert.equal(created.status, 'active');
  assert.equal(typeof created.wallet_id, 'string');
  assert.ok(!Number.isNaN(Date.parse(created.created_at)));
  for (const [name, value] of Object.entries(fields)) {
    const expected = name === 'spend_limit' ? { amount: '5.50', cycle: 'monthly' } : value;
    assert.deepEqual(created[name], expected, name);
  }
  const counters = ['current_spend', 'total_spend', 'current_requests', 'total_requests', 'last_used_at'];
  assert.deepEqual(counters.map((name) => created[name]), ['0.00', '0.00', 0, 0, null]);
  assert.deepEqual(await lava.spendKeys.retrieve(created.spend_key_id), created);
});

test('a spend key with only a name has the defaults', async () => {
  const key = await lava.spendKeys.create({ name: 'Only a name' });
  assert.equal(key.request_shape, 'openai');
  for (const name of ['allowed_models', 'allowed_providers', 'spend_limit', 'request_limit', 'rate_limit', 'expires_at']) {
    assert.equal(key[name], null, name);
  }
  const limited = await lava.spendKeys.create({ name: 'No burst', rate_limit: { rpm: 60 } });
  assert.deepEqual(limited.rate_limit, { rpm: 60, burst: null });
});

test('the list goes through its pages, newest first, without secrets', async () => {
  const made = [];
  for (const name of ['first', 'second', 'third']) made.push((await lava.spendKeys.create({ name })).spend_key_id);
  const seen = [];
  let cursor;
  do {
    const page = await lava.spendKeys.list({ cursor, limit: 2 });
    assert.ok(page.data.length <= 2);
    assert.equal(page.has_more, page.next_cursor !== null);
    assert.ok(page.data.every((key) => !('key' in key)));
    seen.push(...page.data.map((key) => key.spend_key_id));
    cursor = page.next_cursor;
  } while (cursor);
  assert.deepEqual(seen.slice(0, 3), made.toReversed());
  assert.equal(new Set(seen).size, seen.length);
  assert.ok((await lava.spendKeys.list()).data.length <= 10);
});

test('an update changes what it names and leaves the rest', async () => {
  const fields = { name: 'Before', spend_limit: { amount: '1.00', cycle: 'daily' }, rate_limit: { rpm: 5, burst: null } };
  const { spend_key_id: id } = await lava.spendKeys.create(fields);
  const renamed = await lava.spendKeys.update(id, { name: 'After', spend_limit: { amount: '2.00', cycle: 'total' } });
  assert.equal(renamed.name, 'After');
  assert.deepEqual(renamed.spend_limit, { amount: '2.00', cycle: 'total' });
  assert.deepEqual(renamed.rate_limit, { rpm: 5, burst: null });
  const cleared = await lava.spendKeys.update(id, { spend_limit: null, allowed_models: [MESSAGE_MODEL] });
  assert.equal(cleared.spend_limit, null);
  assert.deepEqual(cleared.allowed_models, [MESSAGE_MODEL]);
  assert.deepEqual(await lava.spendKeys.retrieve(id), cleared);
});

test('a paused key is refused and a resumed one works', async () => {
  const { spend_key_id: id, key } = await lava.spendKeys.create({ name: 'Paused' });
  assert.equal((await lava.spendKeys.update(id, { status: 'paused' })).status, 'paused');
  const refused = await call(key);
  assert.equal(refused.status, 401);
  assert.equal((await refused.json()).error.code, 'key_paused');
  assert.equal((await lava.spendKeys.update(id, { status: 'active' })).status, 'active');
  assert.equal((await call(key)).status, 200);
});

test('a rotation gives a new secret, kills the old one and keeps the rest', async () => {
  const { key: old, ...before } = await lava.spendKeys.create({ name: 'Rotated' });
  const { key, ...after } = await lava.spendKeys.rotate(before.spend_key_id);
  assert.notEqual(key, old);
  assert.deepEqual({ ...after, key_preview: null }, { ...before, key_preview: null });
  assert.equal(after.key_preview, `${key.slice(0, 16)}****`);
  assert.equal((await call(old)).status, 401);
  assert.equal((await call(key)).status, 200);
});

test('a revoked key is gone', async () => {
  const { spend_key_id: id, key } = await lava.spendKeys.create({ name: 'Revoked' });
  assert.deepEqual(await lava.spendKeys.revoke(id), { success: true });
  assert.equal((await call(key)).status, 401);
  await assert.rejects(lava.spendKeys.retrieve(id), refusal(404, 'not_found'));
  const listed = await lava.spendKeys.list({ limit: 100 });
  assert.ok(!listed.data.some((entry) => entry.spend_key_id === id));
});

test('bad input and bad keys come as the errors of the SDK', async () => {
  await assert.rejects(lava.spendKeys.create({}), refusal(400, 'invalid_request'));
  const nothing = { name: 'x', spend_limit: { amount: '0', cycle: 'daily' } };
  await assert.rejects(lava.spendKeys.create(nothing), refusal(400, 'invalid_request'));
  await assert.rejects(lava.spendKeys.create({ name: 'x', spend_limits: null }), refusal(400, 'unknown_field'));
  await assert.rejects(lava.spendKeys.list({ cursor: 'junk' }), refusal(400, 'invalid_request'));
  await assert.rejects(lava.requests.retrieve('req_nobody'), refusal(404, 'not_found'));
  await assert.rejects(new Lava('aks_live_nobody', config).spendKeys.list(), refusal(401, 'invalid_api_key'));
  await assert.rejects(new Lava(UNKNOWN_KEY, config).usage.retrieve({ start: '2026-01-01' }), refusal(401, 'invalid_api_key'));
});

test('the models are listed for a secret key, and for a spend key those that it may use', async () => {
  const all = await lava.models.list();
  assert.equal(all.object, 'list');
  for (const model of all.data) {
    assert.deepEqual(Object.keys(model).toSorted(), ['created', 'id', 'object', 'owned_by']);
    assert.equal(model.object, 'model');
    assert.equal(typeof model.created, 'number');
  }
  const ids = all.data.map((model) => model.id);
  assert.ok(ids.includes(CHAT_MODEL) && ids.includes(MESSAGE_MODEL));
  const { key } = await lava.spendKeys.create({ name: 'One model', allowed_models: [CHAT_MODEL] });
  const allowed = await new Lava(key, config).models.list();
  assert.deepEqual(allowed.data.map((model) => model.id), [CHAT_MODEL]);
});

test('a wallet key manages the spend keys of its wallet, and nothing else', async () => {
  const holder = new Lava(walletKey, config);
  const { spend_key_id: id, key } = await holder.spendKeys.create({ name: 'By a wallet key' });
  assert.equal((await call(key)).status, 200);
  assert.equal((await holder.spendKeys.update(id, { name: 'Renamed' })).name, 'Renamed');
  assert.equal((await holder.spendKeys.list({ limit: 1 })).data[0].spend_key_id, id);
  assert.deepEqual(await holder.spendKeys.revoke(id), { success: true });
  await assert.rejects(holder.requests.list(), refusal(403, 'wrong_key_kind'));
  const refused = await call(walletKey);
  assert.equal(refused.status, 403);
  assert.equal((await refused.json()).error.code, 'wrong_key_kind');
});

// Version 11 manages with secret keys only.
test('wallet keys are listed, rotated and revoked', { skip: !lava.walletKeys }, async () => {
  const holder = new Lava(walletKey, config);
  const listed = await holder.walletKeys.list({ limit: 100 });
  assert.deepEqual([listed.has_more, listed.next_cursor], [false, null]);
  const shown = listed.data.find((key) => key.key_preview === `${walletKey.slice(0, 16)}****`);
  assert.equal(shown.name, 'The suite');
  assert.ok(listed.data.every((key) => !('key' in key)));
  const { key, ...rotated } = await holder.walletKeys.rotate(shown.wallet_key_id);
  assert.match(key, /^lava_wk_[0-9A-Za-z]{38}$/);
  const lasting = ({ wallet_key_id, name, wallet_id, created_at }) => [wallet_key_id, name, wallet_id, created_at];
  assert.deepEqual(lasting(rotated), lasting(shown));
  await assert.rejects(holder.walletKeys.list(), refusal(401, 'invalid_api_key'));
  const successor = new Lava(key, config);
  const again = (await successor.walletKeys.list({ limit: 100 })).data.map((entry) => entry.wallet_key_id);
  assert.ok(again.includes(shown.wallet_key_id));
  assert.deepEqual(await successor.walletKeys.revoke(shown.wallet_key_id), { success: true });
  await assert.rejects(successor.walletKeys.list(), refusal(401, 'invalid_api_key'));
});
