// The dashboard's pages for those who bill, in headless Chromium: a customer, a plan, a meter and a webhook are made and
// looked at whole, rows are added to a form without losing what was typed, and an event that was given up is sent again.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { checkPages, openBrowser, signIn } from './browser.mjs';
import { baseUrl, chat, eventually, manage, secretKey, variable } from './server.mjs';

const port = Number(variable('RECEIVER_PORT'));
let browser, page, isUp = false;

const receiver = createServer((request, response) => {
  request.resume();
  response.statusCode = isUp ? 200 : 503;
  response.end(isUp ? 'thanks' : 'not now');
});

before(async () => {
  await new Promise((resolve) => { receiver.listen(port, '127.0.0.1', resolve); });
  browser = await openBrowser();
  page = browser.page;
  await signIn(page);
});

after(async () => {
  receiver.close();
  receiver.closeAllConnections();
  await browser?.close();
});

const visit = (path) => page.goto(`${baseUrl}${path}`);
const here = () => new URL(page.url()).pathname;
const said = (text) => page.getByRole('status').filter({ hasText: text }).waitFor();
const paths = {};

test('the pages say what to do where there is nothing yet', async () => {
  const nouns = ['customers', 'subscriptions', 'meters', 'credit_bundles', 'webhooks'];
  await checkPages(page, nouns.map((noun) => `/dashboard/${noun}`));
  await page.getByRole('heading', { name: 'No webhooks yet' }).waitFor();
});

test('a meter with more tiers than the form has rows is made', async () => {
  await visit('/dashboard/meters/new');
  await page.getByLabel('Name', { exact: true }).fill('Tokens');
  for (let tier = 1; tier <= 6; tier += 1) {
    if (tier > 4) await page.getByRole('link', { name: 'More rows' }).click();
    await page.getByLabel(`Start of tier ${tier}`).fill(String((tier - 1) * 1_000_000));
    await page.getByLabel(`Rate of tier ${tier}`).fill(`${12 - tier}.5`);
  }
  await page.getByRole('button', { name: 'Make the meter' }).click();
  await said('Created.');
  await page.getByText('5,000,000').first().waitFor();
  paths.meter = here();
});

test('a plan with that meter and a bundle is made', async () => {
  await visit('/dashboard/plans/new');
  await page.getByLabel('Name', { exact: true }).fill('Trial');
  await page.getByLabel('Price in dollars').fill('0');
  await page.getByLabel('Credit in dollars').fill('20');
  await page.getByLabel('Tokens').check();
  await page.getByLabel('Name of bundle 1').fill('Small');
  await page.getByLabel('Cost of bundle 1').fill('9');
  await page.getByLabel('Credit of bundle 1').fill('10');
  await page.getByLabel('Buy bundle 1 by itself').check();
  await page.getByRole('button', { name: 'Make the plan' }).click();
  await said('Created.');
  paths.plan = here();
  await manage('POST', 'plans', { name: 'Pro', period_amount: '1234.5', billing_interval: 'year', included_credit: '1000' });
});

test('a webhook is made, and its secret is shown once', async () => {
  await visit('/dashboard/webhooks/new');
  await page.getByLabel('Name', { exact: true }).fill('Billing');
  await page.getByLabel('Address').fill(`http://127.0.0.1:${port}/hooks`);
  await page.getByLabel('customer.created').first().check();
  await page.getByRole('button', { name: 'Make the webhook' }).click();
  assert.match(await page.locator('#secret-text').textContent(), /^whsec_/);
  paths.secret = here();
  await page.reload();
  await page.getByRole('heading', { name: 'It was shown already' }).waitFor();
  await page.getByRole('link', { name: 'To the webhook' }).click();
  paths.webhook = here();
});

test('a customer is made, put on the plan, and charged', async () => {
  await visit('/dashboard/customers/new');
  await page.getByLabel('Name', { exact: true }).fill('Jane Smith');
  await page.getByLabel('Email').fill('jane');
  await page.getByRole('button', { name: 'Make the customer' }).click();
  await page.locator('#wrong-email').waitFor();
  await page.getByLabel('Email').fill('jane@example.com');
  await page.getByLabel('Your own id').fill('jane');
  await page.getByLabel('Metadata').fill('{"tier": "gold", "seats": 12}');
  await page.getByRole('button', { name: 'Make the customer' }).click();
  await said('Created.');
  paths.customer = here();
  await page.getByText('Put on a free plan').click();
  await page.getByRole('button', { name: 'Assign the plan' }).click();
  await said('on this plan from now on');
  const token = { secret_key: secretKey, customer_id: 'jane', meter_slug: 'tokens' };
  const call = () => fetch(`${baseUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${btoa(JSON.stringify(token))}`, 'content-type': 'application/json' },
    body: JSON.stringify(chat('output_tokens=50')),
  });
  for (let count = 0; count < 3; count += 1) assert.equal((await call()).status, 200);
  const usage = () => manage('GET', 'requests?customer_id=jane');
  await eventually('three rows', usage, ({ data }) => data.length === 3);
  await page.reload();
  await page.getByRole('row').filter({ hasText: 'Tokens' }).filter({ hasText: 'tokens' }).waitFor();
});

test('a subscription is cancelled and kept after all', async () => {
  await visit(paths.customer);
  await page.getByText('Cancel', { exact: true }).click();
  await page.getByRole('button', { name: 'Cancel at the end of the cycle' }).click();
  await said('Cancelled.');
  await page.getByRole('button', { name: 'Keep Trial' }).click();
  await said('Taken back.');
});

test('an event that did not arrive is sent again', async () => {
  await visit(paths.webhook);
  await page.getByRole('link', { name: 'customer.created' }).click();
  paths.delivery = here();
  const reloaded = (text) => async () => {
    await page.reload();
    return page.getByText(text).count();
  };
  await eventually('the refusal', reloaded('not now'), (count) => count > 0);
  isUp = true;
  await page.getByRole('button', { name: 'Send now' }).click();
  await said('Due at once.');
  await eventually('the delivery', reloaded('thanks'), (count) => count > 0);
  await page.locator('.mark.good', { hasText: 'Delivered' }).waitFor();
});

test('every page of one thing is accessible and fits, in light and dark, wide and narrow', async () => {
  for (const name of ['Joe', 'A customer whose name is so long that no column of a table can hold it on one line']) {
    await manage('POST', 'customers', { name, reference_id: `${name.slice(0, 3)}-2026` });
  }
  const { customer, plan, meter, webhook, delivery, secret } = paths;
  const lists = ['customers', 'subscriptions', 'plans', 'meters', 'credit_bundles', 'webhooks'];
  await checkPages(page, [
    ...lists.map((noun) => `/dashboard/${noun}`), customer, `${customer}/edit`, plan, `${plan}/edit`, meter, `${meter}/edit`,
    webhook, `${webhook}/edit`, delivery, secret,
  ]);
});
