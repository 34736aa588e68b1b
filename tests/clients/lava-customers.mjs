// The customers' methods of the Lava SDK 11.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { baseUrl, secretKey, variable } from './server.mjs';

const { Lava } = await import(variable('LAVA_PACKAGE'));
const lava = new Lava(secretKey, { baseUrl: `${baseUrl}/v1/` });

const refused = (status) => (error) => error.message.startsWith(`Lava API Error: ${status} `);

test('a customer is created with every field and read back by both names', async () => {
  const metadata = { seats: 3, vip: true, team: { name: 'blue' } };
  const fields = { reference_id: 'sdk-1', name: 'Jane Smith', email: 'jane@example.com', phone: '+15551234567', metadata };
  const made = await lava.customers.create(fields);
  assert.match(made.customer_id, /^con_[0-9A-Z]{26}$/);
  const contact = { phone: '+15551234567', email: 'jane@example.com', first_name: 'Jane', last_name: 'Smith' };
  const { customer_id: id, created_at: createdAt, subscription, ...rest } = made;
  assert.deepEqual(rest, { reference_id: 'sdk-1', contact, metadata });
  assert.deepEqual([subscription.name, subscription.status], ['Free', 'active']);
  assert.ok(!Number.isNaN(Date.parse(createdAt)));
  assert.deepEqual(await lava.customers.retrieve(id), made);
  assert.deepEqual(await lava.customers.retrieve('sdk-1'), made);
  assert.deepEqual(await lava.customers.create({ reference_id: 'sdk-1', name: 'Other' }), made);
  const { subscription: whole } = await lava.customers.getSubscription('sdk-1');
  assert.deepEqual([whole.subscription_id, whole.plan_id], [subscription.subscription_id, subscription.plan_id]);
});

test('a customer with no fields has strings in his contact', async () => {
  const made = await lava.customers.create({});
  for (const name of ['phone', 'email', 'first_name', 'last_name']) assert.equal(typeof made.contact[name], 'string', name);
  assert.deepEqual([made.reference_id, made.metadata], [null, null]);
});

test('an update changes what it names and null clears', async () => {
  const { customer_id: id } = await lava.customers.create({ reference_id: 'sdk-2', name: 'Jane', metadata: { a: 1 } });
  const named = await lava.customers.update(id, { name: 'Joan Smith' });
  assert.deepEqual([named.contact.first_name, named.metadata], ['Joan', { a: 1 }]);
  const cleared = await lava.customers.update('sdk-2', { reference_id: null, metadata: null, name: null });
  assert.deepEqual([cleared.reference_id, cleared.metadata, cleared.contact.first_name], [null, null, '']);
  await assert.rejects(lava.customers.retrieve('sdk-2'), refused(404));
  await assert.rejects(lava.customers.update(id, { email: 'nobody' }), refused(400));
});

test('the list goes through its pages', async () => {
  for (const number of [3, 4, 5]) await lava.customers.create({ reference_id: `sdk-${number}` });
  const seen = [];
  let cursor;
  do {
    const page = await lava.customers.list({ cursor, limit: 2 });
    seen.push(...page.data.map((customer) => customer.reference_id));
    cursor = page.next_cursor;
  } while (cursor);
  assert.deepEqual(seen.slice(0, 3), ['sdk-5', 'sdk-4', 'sdk-3']);
});

test('a deleted customer is gone and his reference id is free', async () => {
  const { customer_id: id } = await lava.customers.create({ reference_id: 'sdk-6' });
  assert.deepEqual(await lava.customers.delete('sdk-6'), { success: true });
  await assert.rejects(lava.customers.retrieve(id), refused(404));
  assert.notEqual((await lava.customers.create({ reference_id: 'sdk-6' })).customer_id, id);
});

test('lists of requests and usage take a reference id for a customer', async () => {
  await lava.customers.create({ reference_id: 'sdk-7' });
  const listed = await lava.requests.list({ customer_id: 'sdk-7' });
  assert.deepEqual([listed.data, listed.has_more], [[], false]);
  const usage = await lava.usage.retrieve({ start: '2026-01-01T00:00:00+05:45', customer_id: 'sdk-7' });
  assert.deepEqual([usage.items, usage.totals.total_requests], [[], 0]);
  await assert.rejects(lava.requests.list({ customer_id: 'sdk-nobody' }), refused(404));
});
