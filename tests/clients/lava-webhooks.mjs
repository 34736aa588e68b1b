// The webhook methods of one version of the Lava SDK, named by LAVA_PACKAGE, with a receiver of this script's own at
// RECEIVER_PORT.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { baseUrl, chat, eventually, mint, secretKey, variable } from './server.mjs';

const { Lava } = await import(variable('LAVA_PACKAGE'));
const lava = new Lava(secretKey, { baseUrl: `${baseUrl}/v1/` });
const port = Number(variable('RECEIVER_PORT'));
const url = `http://127.0.0.1:${port}/hooks`;

const received = [];
const receiver = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  received.push({ headers: request.headers, body });
  response.end('ok');
});

before(() => new Promise((resolve) => receiver.listen(port, '127.0.0.1', resolve)));
after(() => receiver.close());

test('a webhook is created with its secret, read, listed, changed and deleted', async () => {
  const created = await lava.webhooks.create({ name: 'mine', url });
  const { webhook_secret: secret, ...shown } = created;
  assert.match(secret, /^whsec_.{44}$/);
  assert.match(created.webhook_id, /^whk_/);
  assert.ok(!Number.isNaN(Date.parse(created.created_at)));
  assert.deepEqual(await lava.webhooks.retrieve(created.webhook_id), shown);
  assert.deepEqual(await lava.webhooks.list(), { data: [shown], has_more: false, next_cursor: null });
  const changed = await lava.webhooks.update(created.webhook_id, { name: 'new', url: `${url}/new` });
  assert.deepEqual(changed, { ...shown, name: 'new', url: `${url}/new` });
  assert.deepEqual(await lava.webhooks.delete(created.webhook_id), { id: created.webhook_id, deleted: true });
  await assert.rejects(lava.webhooks.retrieve(created.webhook_id), /Lava API Error: 404 /);
});

test('lists come in pages, newest first, and a fourth webhook is refused', async () => {
  const made = [];
  for (const name of ['a', 'b', 'c']) made.unshift((await lava.webhooks.create({ name, url })).webhook_id);
  await assert.rejects(lava.webhooks.create({ name: 'd', url }), /Lava API Error: 400 /);
  const seen = [];
  for (let cursor = undefined; cursor !== null; ) {
    const page = await lava.webhooks.list({ limit: 2, cursor });
    seen.push(...page.data.map((webhook) => webhook.webhook_id));
    cursor = page.next_cursor;
  }
  assert.deepEqual(seen, made);
  for (const id of made) await lava.webhooks.delete(id);
});

test('an address that is not of the public internet is refused', async () => {
  for (const wrong of ['https://10.0.0.7/', 'https://localhost/', 'http://example.com/', 'hooks']) {
    await assert.rejects(lava.webhooks.create({ name: 'x', url: wrong }), (error) => {
      assert.ok(error.message.startsWith('Lava API Error: 400 '), error.message);
      assert.equal(JSON.parse(error.message.slice(error.message.indexOf('{'))).param, 'url');
      return true;
    });
  }
});

test('what is told carries the signature that the documentation verifies', async () => {
  const { webhook_id: id, webhook_secret: secret } = await lava.webhooks.create({ name: 'mine', url });
  const spend_limit = { amount: '0.000001', cycle: 'daily' };
  const { key } = await mint({ spend_limit, enforcement: 'observe' });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const body = JSON.stringify(chat('output_tokens=5'));
  await (await fetch(`${baseUrl}/v1/chat/completions`, { method: 'POST', headers, body })).text();
  await eventually('three thresholds', async () => received.length, (count) => count === 3);
  for (const { headers, body } of received) {
    const expected = createHmac('sha256', secret).update(body).digest('hex');
    assert.equal(headers['x-webhook-signature'], expected);
    const told = JSON.parse(body);
    assert.equal(told.event, 'spend_key.threshold.reached');
    assert.equal(headers['webhook-id'], told.event_id);
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const bytes = Buffer.from(secret.slice('whsec_'.length), 'base64');
    const standard = createHmac('sha256', bytes).update(signed).digest('base64');
    assert.equal(headers['webhook-signature'], `v1,${standard}`);
  }
  await lava.webhooks.delete(id);
});
