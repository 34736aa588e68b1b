// Every method of one version of the Lava SDK, named by LAVA_PACKAGE, with what its resources answer held against the
// types that the package ships. What a version cannot make itself is made without it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { baseUrl, chat, eventually, freshTag, manage, nanos, secretKey, variable } from './server.mjs';
import { methodsOf, misfits, recording } from './types.mjs';

const packageName = variable('LAVA_PACKAGE');
const config = { baseUrl: `${baseUrl}/v1/` };
const { Lava } = await import(packageName);
const plain = new Lava(secretKey, config);
const { client: lava, answers } = recording(plain);
const hook = `http://127.0.0.1:${variable('RECEIVER_PORT')}/hooks`;

// What no test calls yet. This list is exact: a method that is called must leave it.
const NOT_CALLED = [
  // Come with the dashboard's login.
  'Lava.exchangeAuthCode',
  'Lava.login',
];

/** The words of this version. */
const WORDS = lava.connections
  ? { people: 'connections', person: 'connection_id', plan: 'subscription_config_id', plans: 'Configs', onePlan: 'Config' }
  : { people: 'customers', person: 'customer_id', plan: 'plan_id', plans: 'Plans', onePlan: 'Plan' };
const people = lava[WORDS.people];
const listPlans = (page) => lava.subscriptions[`list${WORDS.plans}`](page);
const retrievePlan = (id) => lava.subscriptions[`retrieve${WORDS.onePlan}`](id);

const METER = { rate_type: 'fixed', tier_type: 'tokens_1m', tiers: [{ start: '0', rate: '2' }, { start: '1000000', rate: '1' }] };
const BUNDLES = [{ name: 'Small', cost: '9.00', credit_amount: '10.00' }];
const FREE = { period_amount: '0', included_credit: '5.00', billing_interval: 'month' };

function makeMeter(name) {
  const body = { name, meter_slug: name, ...METER };
  return lava.meters.create ? lava.meters.create(body) : manage('POST', 'meters', body);
}

function makePlan(name, more) {
  const body = { name, ...FREE, ...more };
  return lava.subscriptions.createPlan ? lava.subscriptions.createPlan(body) : manage('POST', 'plans', body);
}

function makePerson(body) {
  return people.create ? people.create(body) : manage('POST', 'customers', body);
}

async function subscribe(customer, plan) {
  const body = { customer_id: customer, plan_id: plan };
  const { subscription } = lava.subscriptions.create
    ? await lava.subscriptions.create(body)
    : await manage('POST', 'subscriptions', body);
  return subscription;
}

async function allOf(list) {
  const seen = [];
  for (let cursor = undefined; cursor !== null; ) {
    const page = await list({ cursor, limit: 2 });
    seen.push(...page.data);
    cursor = page.next_cursor;
  }
  return seen;
}

test('meters', async () => {
  const { meter_id: id } = await makeMeter('first');
  await makeMeter('second');
  const listed = await allOf((page) => lava.meters.list(page));
  assert.deepEqual(listed.map((meter) => meter.meter_slug), ['second', 'first']);
  assert.deepEqual(await lava.meters.retrieve(id), listed[1]);
  if (!lava.meters.update) return;
  assert.equal((await lava.meters.update(id, { name: 'renamed' })).name, 'renamed');
  assert.deepEqual(await lava.meters.delete(id), { id, deleted: true });
});

test('plans and credit bundles', async () => {
  const { plan_id: id, credit_bundles: [bundle] } = await makePlan('Bundled', { credit_bundles: BUNDLES });
  const { plan_id: other } = await makePlan('Other', { credit_bundles: BUNDLES });
  const listed = await allOf(listPlans);
  assert.deepEqual(listed.map((plan) => plan[WORDS.plan]).slice(0, 2), [other, id]);
  assert.deepEqual(await retrievePlan(id), listed[1]);
  assert.equal((await allOf((page) => lava.creditBundles.list(page))).length, 2);
  const [own, ...more] = (await lava.creditBundles.list({ [WORDS.plan]: id })).data;
  assert.deepEqual([own.credit_bundle_id, own[WORDS.plan], more], [bundle.credit_bundle_id, id, []]);
  assert.deepEqual(await lava.creditBundles.retrieve(bundle.credit_bundle_id), own);
  if (!lava.subscriptions.updatePlan) return;
  assert.equal((await lava.subscriptions.updatePlan(id, { name: 'Changed' })).name, 'Changed');
  assert.deepEqual(await lava.subscriptions.deletePlan(other), { id: other, deleted: true });
});

test('customers without a subscription', async () => {
  const contact = { phone: '+15551234567', email: 'jane@example.com', first_name: 'Jane', last_name: 'Smith' };
  const { customer_id: id } = await makePerson({ reference_id: 'jane', name: 'Jane Smith', email: contact.email, phone: contact.phone });
  await makePerson({});
  const listed = await allOf((page) => people.list(page));
  assert.equal(listed[1][WORDS.person], id);
  const shown = await people.retrieve(id);
  assert.deepEqual(shown, listed[1]);
  assert.deepEqual(await people.retrieve('jane'), shown);
  assert.deepEqual(shown.contact ?? shown.customer, contact);
  assert.equal((await people.getSubscription(id)).subscription.plan.name, 'Free');
  if (lava.connections) {
    assert.deepEqual([shown.customer, shown.has_lava_credit_balance], [contact, false]);
  }
  if (people.update) {
    assert.equal((await people.update('jane', { name: 'Joan' })).contact.first_name, 'Joan');
  }
  assert.deepEqual(await people.delete('jane'), { success: true });
  await assert.rejects(people.retrieve(id), /Lava API Error: 404 /);
});

test('a subscription', async () => {
  const { plan_id: planId, credit_bundles: [bundle] } = await makePlan('Starter', { credit_bundles: BUNDLES });
  const { customer_id: id } = await makePerson({ reference_id: 'subscriber', phone: '+15551234567' });
  const { subscription_id: subscriptionId } = await subscribe(id, planId);
  const { subscription } = await people.getSubscription('subscriber');
  assert.deepEqual([subscription.subscription_id, subscription[WORDS.plan]], [subscriptionId, planId]);
  assert.equal(subscription.credits.total_remaining, '5.00');
  const shown = await people.retrieve(id);
  assert.deepEqual([shown.subscription[WORDS.plan], shown.subscription.name], [planId, 'Starter']);
  if (lava.connections) assert.equal(shown.has_lava_credit_balance, true);
  if (lava.subscriptions.update) {
    const edit = { auto_top_up_bundle_id: bundle.credit_bundle_id };
    assert.deepEqual(await lava.subscriptions.update(subscriptionId, edit), { success: true });
  }
  await subscribe((await makePerson({})).customer_id, planId);
  const [own, ...others] = (await lava.subscriptions.list({ [WORDS.person]: id, status: 'all' })).data;
  assert.deepEqual([own.subscription_id, own[WORDS.person], own[WORDS.plan], others], [subscriptionId, id, planId, []]);
  const listed = await allOf((page) => lava.subscriptions.list(page));
  assert.equal(listed.filter((entry) => entry[WORDS.plan] === planId).length, 2);
  assert.deepEqual(await lava.subscriptions.cancel(subscriptionId), { success: true });
  const leaving = (await people.getSubscription(id)).subscription;
  assert.equal(leaving.pending_change.type, 'cancellation');
  assert.deepEqual(await people.delete(id), { success: true });
  const ended = await lava.subscriptions.list({ status: 'cancelled' });
  assert.ok(ended.data.some((entry) => entry.subscription_id === subscriptionId));
});

test('a checkout session', async () => {
  const { plan_id: planId } = await makePlan('By checkout');
  const { customer_id: id } = await makePerson({ reference_id: 'shopper' });
  const wanted = { checkout_mode: 'subscription', origin_url: 'https://example.com', [WORDS.plan]: planId };
  const session = await lava.checkoutSessions.create({ ...wanted, [WORDS.person]: 'shopper' });
  assert.deepEqual([session.checkout_mode, session[WORDS.plan], session.origin_url], ['subscription', planId, wanted.origin_url]);
  const token = JSON.parse(Buffer.from(session.checkout_session_token, 'base64').toString());
  assert.deepEqual(Object.keys(token), ['secret', 'base']);
  assert.deepEqual(await people.delete(id), { success: true });
});

test('requests through a forward token, reported requests, and usage', async () => {
  const { meter_id: meterId } = await makeMeter('chat');
  const { plan_id: planId } = await makePlan('With a meter', { meter_ids: [meterId] });
  const { customer_id: id } = await makePerson({ reference_id: 'buyer' });
  await subscribe(id, planId);
  const ids = [];
  for (const [person, meter] of [[id, 'chat'], ['buyer', meterId], [null, null]]) {
    const options = { [WORDS.person]: person, meter_slug: meter, ...(person ? {} : { provider_key: 'a-key-of-mine' }) };
    const headers = {
      authorization: `Bearer ${lava.generateForwardToken(options)}`,
      'content-type': 'application/json',
      'x-lava-metadata': '{"run":"one"}',
    };
    const body = JSON.stringify(chat('output_tokens=3'));
    const answer = await fetch(`${lava.providers.openai}/chat/completions`, { method: 'POST', headers, body });
    assert.equal(answer.status, 200, await answer.text());
    ids.unshift(answer.headers.get('x-lava-request-id'));
  }
  const reported = await lava.requests.create({
    request_id: 'reported-1', [WORDS.person]: 'buyer', meter_slug: 'chat', input_tokens: 400, output_tokens: 100,
    metadata: { run: 'one' },
  });
  assert.deepEqual([reported.request_id, reported[WORDS.person], reported.meter_id], ['reported-1', id, meterId]);
  const { amount, breakdown: [tier, ...tiers] } = reported.charge ?? reported.fee;
  assert.deepEqual([amount, tier.tokens, tiers], ['0.001', 500, []]);
  const again = { request_id: 'reported-1', [WORDS.person]: id, meter_slug: 'chat' };
  assert.deepEqual(await lava.requests.create(again), reported);
  const list = (more) => lava.requests.list({ metadata_filters: { run: 'one' }, ...more });
  const every = await eventually('four rows', list, (page) => page.data.length === 4);
  assert.deepEqual(every.data.map((row) => row.request_id), ['reported-1', ...ids]);
  const own = await list({ [WORDS.person]: 'buyer', meter_id: meterId });
  assert.deepEqual(own.data.map((row) => row.request_id), ['reported-1', ids[1], ids[2]]);
  for (const row of every.data) assert.deepEqual(await lava.requests.retrieve(row.request_id), row);
  const charged = own.data.reduce((sum, row) => sum + nanos((row.charge ?? row.fee).amount), 0n);
  const { subscription: { credits } } = await people.getSubscription(id);
  assert.equal(nanos(credits.total_remaining), nanos('5.00') - charged);
  const start = `${new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)}T00:00:00+00:00`;
  const { totals } = await lava.usage.retrieve({ start, [WORDS.person]: id, metadata_filters: { run: 'one' } });
  assert.deepEqual([totals.total_requests, nanos(totals.total_charge ?? totals.total_fee_amount)], [3, charged]);
});

test('gateway() charges the customer, or only counts', { skip: !lava.gateway }, async () => {
  const url = 'https://api.openai.com/v1/chat/completions';
  for (const [more, hasPayer, isCharged] of [
    [{ customer_id: 'buyer', meter_slug: 'chat' }, true, true],
    [{ customer_id: 'buyer', meter_slug: 'chat', disable_billing: true }, true, false],
    [{ meter_slug: 'chat' }, false, false],
  ]) {
    const run = freshTag('gateway');
    const headers = { 'x-lava-metadata': JSON.stringify({ run }) };
    const completion = await lava.gateway(url, { body: chat('output_tokens=3'), headers, ...more });
    assert.equal(completion.usage.completion_tokens, 3);
    const list = () => lava.requests.list({ metadata_filters: { run } });
    const { data: [row] } = await eventually('its row', list, (page) => page.data.length === 1);
    assert.deepEqual(['customer_id' in row, 'meter_id' in row], [hasPayer, true]);
    assert.equal(nanos(row.charge.amount) > 0n, isCharged);
  }
});

test('what an older row says of its costs adds up', { skip: !lava.connections }, async () => {
  for (const row of (await lava.requests.list({ limit: 100 })).data) {
    const [fee, cost] = [nanos(row.fee.amount), nanos(row.model_usage.total_cost)];
    assert.deepEqual([nanos(row.total_wallet_cost), nanos(row.total_merchant_cost)], [fee, cost]);
    assert.equal(nanos(row.total_request_cost), fee + cost);
  }
});

test('webhooks', { skip: !lava.webhooks }, async () => {
  const { webhook_id: id } = await lava.webhooks.create({ name: 'mine', url: hook });
  assert.equal((await lava.webhooks.retrieve(id)).name, 'mine');
  assert.equal((await lava.webhooks.list()).data[0].webhook_id, id);
  assert.equal((await lava.webhooks.update(id, { name: 'new' })).name, 'new');
  assert.deepEqual(await lava.webhooks.delete(id), { id, deleted: true });
});

test('secret keys', { skip: !lava.secretKeys }, async () => {
  const { secret_key: secret, secret_key_id: id } = await lava.secretKeys.create({ name: 'second' });
  assert.equal((await lava.secretKeys.list({ limit: 1 })).data[0].secret_key_id, id);
  const second = new Lava(secret, config);
  assert.equal((await second.meters.list()).has_more, false);
  assert.deepEqual(await lava.secretKeys.delete(id), { id, deleted: true });
  await assert.rejects(second.meters.list(), /Lava API Error: 401 /);
});

test('spend keys', { skip: !lava.spendKeys }, async () => {
  const limits = {
    spend_limit: { amount: '5', cycle: 'weekly' }, request_limit: { count: 10, cycle: 'daily' }, rate_limit: { rpm: 60 },
  };
  const { spend_key_id: id } = await lava.spendKeys.create({ name: 'limited', ...limits });
  await lava.spendKeys.create({ name: 'free', request_shape: 'anthropic', allowed_providers: ['anthropic'] });
  assert.equal((await lava.spendKeys.retrieve(id)).spend_limit.amount, '5.00');
  assert.equal((await lava.spendKeys.list()).data.length, 2);
  assert.equal((await lava.spendKeys.update(id, { spend_limit: null, status: 'paused' })).status, 'paused');
  assert.equal((await lava.spendKeys.rotate(id)).spend_key_id, id);
  assert.deepEqual(await lava.spendKeys.revoke(id), { success: true });
});

test('wallet keys', { skip: !lava.walletKeys }, async () => {
  const holder = recording(new Lava(variable('WALLET_KEY'), config));
  const [{ wallet_key_id: id }] = (await holder.client.walletKeys.list()).data;
  const { key } = await holder.client.walletKeys.rotate(id);
  const successor = recording(new Lava(key, config));
  assert.equal((await successor.client.walletKeys.list()).data[0].wallet_key_id, id);
  assert.deepEqual(await successor.client.walletKeys.revoke(id), { success: true });
  answers.push(...holder.answers, ...successor.answers);
});

test('models', { skip: !lava.models }, async () => {
  assert.ok((await lava.models.list()).data.length > 0);
});

test('every method was called', () => {
  const called = new Set(answers.map(({ resource, method }) => `${resource}.${method}`));
  const own = Object.getOwnPropertyNames(Lava).filter((name) => typeof Lava[name] === 'function');
  const known = [...own.map((name) => `Lava.${name}`), ...methodsOf(plain)];
  const expected = NOT_CALLED.filter((method) => known.includes(method));
  assert.deepEqual(known.filter((method) => !called.has(method)).toSorted(), expected);
});

test('every answer fits the type that the package ships', () => {
  const found = [...misfits(packageName, answers)].map(([place, message]) => {
    const { resource, method, answer } = answers[place];
    return `${resource}.${method}: ${message}\n${JSON.stringify(answer)}`;
  });
  assert.ok(found.length === 0, found.join('\n\n'));
});

test('an answer with a field that is missing or of another type would be found', () => {
  const { resource, method, answer } = answers.find((entry) => entry.resource === 'requests' && entry.method === 'list');
  const broken = [
    () => {},
    (list) => delete list.has_more,
    (list) => delete list.data[0].model_usage.total_cost,
    (list) => (list.data[0].model_usage.total_tokens = '7'),
    (list) => (list.data[0].status = 'running'),
    (list) => (list.data[0].model = null),
    (list) => (list.next_cursor = 7),
  ].map((spoil) => {
    const copy = structuredClone(answer);
    spoil(copy);
    return { resource, method, answer: copy };
  });
  assert.deepEqual([...misfits(packageName, broken).keys()], [1, 2, 3, 4, 5, 6]);
});
