// The methods of the Lava SDK by which a merchant sells: meters, plans, credit bundles and subscriptions. LAVA_PACKAGE names its version.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { baseUrl, secretKey, variable } from './server.mjs';

const { Lava } = await import(variable('LAVA_PACKAGE'));
const lava = new Lava(secretKey, { baseUrl: `${baseUrl}/v1/` });

const LADDER = [
  { start: '0', rate: '5' },
  { start: '1000000', rate: '3' },
  { start: '10000000', rate: '1' },
];

/** What the SDK throws. */
function refusal(status, param) {
  return (error) => {
    assert.ok(error.message.startsWith(`Lava API Error: ${status} `), error.message);
    const envelope = JSON.parse(error.message.slice(error.message.indexOf('{')));
    assert.equal(envelope.param, param);
    assert.equal(typeof envelope.message, 'string');
    return true;
  };
}

function newMeter(more = {}) {
  return lava.meters.create({ name: 'A meter', rate_type: 'fixed', tier_type: 'tokens_1m', tiers: LADDER, ...more });
}

/** The names of the fields that the SDK's types have, each there. */
function hasFields(object, names) {
  for (const name of names) assert.ok(name in object, `${name} is missing in ${JSON.stringify(object)}`);
}

async function allOf(list) {
  const seen = [];
  let cursor;
  do {
    const page = await list({ cursor, limit: 2 });
    assert.ok(page.data.length <= 2);
    assert.equal(page.has_more, page.next_cursor !== null);
    seen.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor);
  return seen;
}

test('a meter is created, read, listed, updated and deleted', async () => {
  const meter = await newMeter({ name: 'Chat', meter_slug: 'sdk-chat' });
  hasFields(meter, ['meter_id', 'meter_slug', 'name', 'rate_type', 'tiers', 'created_at']);
  assert.match(meter.meter_id, /^prd_/);
  assert.equal(meter.meter_slug, 'sdk-chat');
  assert.deepEqual(meter.tiers[1], { start: 1000000, rate: '3.00', type: 'tokens_1m' });
  assert.ok(!Number.isNaN(Date.parse(meter.created_at)));
  assert.deepEqual(await lava.meters.retrieve(meter.meter_id), meter);
  await newMeter();
  await newMeter({ rate_type: 'percentage', tier_type: 'minutes', tiers: [{ start: '0', rate: '10' }] });
  const listed = await allOf((page) => lava.meters.list(page));
  assert.deepEqual(listed.at(-1), meter);
  assert.equal(new Set(listed.map((entry) => entry.meter_slug)).size, 3);
  const changed = await lava.meters.update(meter.meter_id, { name: 'Talk', tiers: [{ start: '0', rate: '0.5' }] });
  assert.deepEqual(changed, { ...meter, name: 'Talk', tiers: [{ start: 0, rate: '0.50', type: 'tokens_1m' }] });
  assert.deepEqual(await lava.meters.delete(meter.meter_id), { id: meter.meter_id, deleted: true });
  await assert.rejects(lava.meters.retrieve(meter.meter_id), refusal(404, 'meter_id'));
});

test('a meter that is wrong comes as an error that names the field', async () => {
  await assert.rejects(newMeter({ tiers: LADDER.toReversed() }), refusal(400, 'tiers[0].start'));
  await assert.rejects(newMeter({ tiers: [LADDER[0], LADDER[0]] }), refusal(400, 'tiers[1].start'));
  const { meter_id: id } = await newMeter({ meter_slug: 'once' });
  await assert.rejects(newMeter({ meter_slug: 'once' }), refusal(409, 'meter_slug'));
  await assert.rejects(lava.meters.update(id, { meter_slug: 'twice' }), refusal(400, 'meter_slug'));
});

test('a plan is created with bundles and meters, updated and deleted', async () => {
  const { subscriptions, creditBundles } = lava;
  const { meter_id: meterId } = await newMeter({ name: 'On a plan' });
  const bundles = [
    { name: 'Small', cost: '9.00', credit_amount: '10.00' },
    { name: 'Large', cost: '50.00', credit_amount: '60.00' },
  ];
  const plan = await subscriptions.createPlan({
    name: 'Pro',
    period_amount: '25.00',
    billing_interval: 'month',
    rollover_type: 'full',
    bundle_rollover_type: 'none',
    included_credit: '20.00',
    default_auto_top_up_bundle_index: 0,
    meter_ids: [meterId],
    credit_bundles: bundles,
  });
  hasFields(plan, ['plan_id', 'merchant_id', 'period_amount', 'included_credit', 'billing_interval', 'created_at']);
  assert.deepEqual([plan.rollover_type, plan.bundle_rollover_type, plan.included_credit], ['full', 'none', '20.00']);
  assert.deepEqual(plan.linked_meters, [{ meter_id: meterId, name: 'On a plan' }]);
  assert.deepEqual(plan.credit_bundles.map(({ credit_bundle_id: _, ...rest }) => rest), bundles);
  const [small, large] = plan.credit_bundles;
  assert.equal(plan.default_auto_top_up_bundle_id, small.credit_bundle_id);
  assert.deepEqual(await subscriptions.retrievePlan(plan.plan_id), plan);
  const names = (await allOf((page) => subscriptions.listPlans(page))).map((entry) => entry.name);
  assert.deepEqual(names, ['Pro', 'Free']);
  const listed = await creditBundles.list({ plan_id: plan.plan_id });
  assert.deepEqual(listed.data.map((entry) => entry.credit_bundle_id), [large.credit_bundle_id, small.credit_bundle_id]);
  const shown = await creditBundles.retrieve(large.credit_bundle_id);
  const { created_at: createdAt, ...rest } = shown;
  assert.deepEqual(rest, { ...large, plan_id: plan.plan_id, subscription_config_id: plan.plan_id });
  assert.ok(!Number.isNaN(Date.parse(createdAt)));
  const changed = await subscriptions.updatePlan(plan.plan_id, {
    name: 'Pro 2',
    default_auto_top_up_bundle_id: large.credit_bundle_id,
    meter_ids: [],
    credit_bundles: [{ ...small, is_deleted: true }, { ...large, cost: '45.00' }, bundles[0]],
  });
  assert.deepEqual([changed.name, changed.default_auto_top_up_bundle_id], ['Pro 2', large.credit_bundle_id]);
  assert.deepEqual(changed.credit_bundles.map((entry) => [entry.name, entry.cost]), [['Large', '45.00'], ['Small', '9.00']]);
  assert.deepEqual(changed.linked_meters, []);
  assert.deepEqual(await subscriptions.deletePlan(plan.plan_id), { id: plan.plan_id, deleted: true });
  await assert.rejects(subscriptions.retrievePlan(plan.plan_id), refusal(404, 'plan_id'));
  await assert.rejects(creditBundles.retrieve(large.credit_bundle_id), refusal(404, 'credit_bundle_id'));
});

test('a plan that is wrong comes as an error that names the field', async () => {
  const plan = { name: 'Wrong', period_amount: '10.00', billing_interval: 'week' };
  const { subscriptions } = lava;
  await assert.rejects(subscriptions.createPlan({ ...plan, included_credit: '11.00' }), refusal(400, 'included_credit'));
  const index = 'default_auto_top_up_bundle_index';
  await assert.rejects(subscriptions.createPlan({ ...plan, [index]: 0 }), refusal(400, index));
  const { plan_id: id } = await subscriptions.createPlan(plan);
  await assert.rejects(subscriptions.updatePlan(id, { period_amount: '1.00' }), refusal(400, 'period_amount'));
});

test('a customer subscribes to a free plan, changes his bundle, leaves, and is listed', async () => {
  const { customers, subscriptions } = lava;
  const bundles = [{ name: 'Small', cost: '9.00', credit_amount: '10.00' }];
  const plan = { name: 'Starter', period_amount: '0', included_credit: '5.00', billing_interval: 'month', credit_bundles: bundles };
  const { plan_id: planId, credit_bundles: [bundle] } = await subscriptions.createPlan(plan);
  const contact = { phone: '+15551234567', email: 'jane@example.com', first_name: 'Jane', last_name: 'Smith' };
  const { customer_id: customerId } = await customers.create({
    reference_id: 'subscriber', name: 'Jane Smith', email: contact.email, phone: contact.phone,
  });
  const { subscription } = await subscriptions.create({ customer_id: 'subscriber', plan_id: planId });
  assert.match(subscription.subscription_id, /^sub_/);
  assert.deepEqual(Object.keys(subscription).sort(), [
    'auto_top_up_bundle_id', 'cancelled_at', 'credits', 'cycle_end_at', 'cycle_start_at', 'pending_change', 'plan',
    'plan_id', 'started_at', 'status', 'subscription_config_id', 'subscription_id',
  ]);
  assert.deepEqual([subscription.status, subscription.plan_id, subscription.cancelled_at], ['active', planId, null]);
  assert.deepEqual(subscription.plan, {
    name: 'Starter', period_amount: '0.00', included_credit: '5.00', billing_interval: 'month',
    rollover_type: 'none', bundle_rollover_type: 'full',
  });
  assert.deepEqual(subscription.credits, { total_remaining: '5.00', cycle_remaining: '5.00', bundle_remaining: '0.00' });
  assert.ok(Date.parse(subscription.cycle_end_at) > Date.parse(subscription.cycle_start_at));
  assert.deepEqual(await customers.getSubscription('subscriber'), { subscription });
  const { subscription: brief } = await customers.retrieve(customerId);
  assert.deepEqual(brief, { subscription_id: subscription.subscription_id, plan_id: planId, name: 'Starter', status: 'active' });

  const { subscription_id: id } = subscription;
  const { credit_bundle_id: bundleId } = bundle;
  assert.deepEqual(await subscriptions.update(id, { auto_top_up_bundle_id: bundleId }), { success: true });
  assert.deepEqual(await subscriptions.cancel(id), { success: true });
  const leaving = {
    ...subscription,
    auto_top_up_bundle_id: bundleId,
    pending_change: { type: 'cancellation', effective_at: subscription.cycle_end_at },
  };
  const [listed, ...others] = (await subscriptions.list({ customer_id: customerId, limit: 5 })).data;
  assert.deepEqual([listed, others], [{ ...leaving, customer_id: customerId, connection_id: customerId, customer: contact }, []]);
  assert.deepEqual(await subscriptions.update(id, { auto_top_up_bundle_id: null }), { success: true });
  assert.equal((await customers.getSubscription(customerId)).subscription.auto_top_up_bundle_id, null);

  assert.deepEqual(await customers.delete(customerId), { success: true });
  assert.deepEqual((await subscriptions.list()).data, []);
  const [ended] = await allOf((page) => subscriptions.list({ ...page, status: 'cancelled' }));
  assert.deepEqual([ended.subscription_id, ended.status, ended.credits.total_remaining], [id, 'cancelled', '0.00']);
});

test('a subscription that is wrong comes as an error that names the field', async () => {
  const { customers, subscriptions } = lava;
  const { customer_id: customerId } = await customers.create({});
  const { plan_id: paid } = await subscriptions.createPlan({ name: 'Paid', period_amount: '1.00', billing_interval: 'day' });
  const { plan_id: free } = await subscriptions.createPlan({ name: 'Free', period_amount: '0', billing_interval: 'day' });
  const create = (customer_id, plan_id) => subscriptions.create({ customer_id, plan_id });
  await assert.rejects(create(customerId, paid), refusal(400, 'plan_id'));
  await assert.rejects(create(customerId, 'sc_none'), refusal(404, 'plan_id'));
  await assert.rejects(create('nobody', free), refusal(404, 'customer_id'));
  await create(customerId, free);
  await assert.rejects(create(customerId, free), refusal(409, 'customer_id'));
  await assert.rejects(subscriptions.cancel('sub_none'), refusal(404, 'subscription_id'));
});
