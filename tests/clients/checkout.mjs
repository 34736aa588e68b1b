// The React hook of @lavapayments/checkout in a page in headless Chromium: a plan and a bundle bought, a card declined,
// a bank that asks, a checkout cancelled, and one that another origin tries to show.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { after, before, test } from 'node:test';

import { chromium } from 'playwright-core';

import { baseUrl, variable } from './server.mjs';

const read = (file) => readFileSync(new URL(`node_modules/${file}`, import.meta.url), 'utf8');
const secretKey = variable('TEST_SECRET_KEY');

/** The merchant's page: React as it is served, and the package as it is. */
function shop() {
  const umd = (name) => read(`${name}/umd/${name}.production.min.js`);
  const hook = read('@lavapayments/checkout/dist/index.js');
  const page = `
    const module = { exports: {} }, require = () => React;
    ((exports) => { ${hook} })(module.exports);
    function Shop() {
      const [result, tell] = React.useState('');
      const end = (name) => (event) => tell(JSON.stringify({ name, ...event }));
      const hook = { onSuccess: end('success'), onCancel: end('cancel'), onError: end('error') };
      window.openCheckout = module.exports.useLavaCheckout(hook).open;
      return React.createElement('output', { id: 'result' }, result);
    }
    ReactDOM.createRoot(document.getElementById('root')).render(React.createElement(Shop));`;
  const files = { '/react.js': umd('react'), '/react-dom.js': umd('react-dom'), '/page.js': page };
  const html = `<!doctype html><title>Shop</title><div id="root"></div>
    ${Object.keys(files).map((file) => `<script src="${file}"></script>`).join('')}`;
  return http.createServer((request, response) => {
    const file = files[request.url];
    response.setHeader('content-type', file ? 'text/javascript' : 'text/html').end(file ?? html);
  });
}

async function call(path, body) {
  const headers = { authorization: `Bearer ${secretKey}`, 'content-type': 'application/json' };
  const answer = await fetch(`${baseUrl}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 201, path);
  return answer.json();
}

const server = shop();
let browser, origin, plan;

before(async () => {
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  origin = `http://127.0.0.1:${server.address().port}`;
  browser = await chromium.launch({ executablePath: variable('CHROMIUM'), args: ['--no-sandbox'] });
  const bundle = { name: 'Ten', cost: '9', credit_amount: '10' };
  plan = await call('plans', { name: 'Pro', period_amount: '25', billing_interval: 'month', credit_bundles: [bundle] });
});

after(async () => {
  await browser?.close();
  server.close();
});

/** Opens a checkout in the shop's page. */
async function open(wanted, from = origin) {
  const page = await browser.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('dialog', (dialog) => dialog.accept());
  await page.goto(origin);
  const session = await call('checkout_sessions', { origin_url: from, ...wanted });
  await page.evaluate((token) => window.openCheckout(token), session.checkout_session_token);
  const frame = page.frameLocator('iframe');
  const press = (name) => frame.getByRole('button', { name }).click();
  /** What the hook told the page, which has taken the frame away. */
  const ended = async () => {
    await page.waitForFunction(() => document.getElementById('result').textContent);
    const result = JSON.parse(await page.textContent('#result'));
    assert.equal(result.checkoutSessionId, session.checkout_session_id);
    assert.equal(await page.locator('iframe').count(), 0);
    assert.deepEqual(problems, []);
    await page.close();
    return result;
  };
  return { page, frame, press, ended };
}

async function identify({ frame, press }) {
  const phone = frame.getByLabel('Phone number');
  await frame.getByRole('button', { name: 'Send code' }).waitFor();
  if (await phone.count()) await phone.fill('+49 30 123456');
  await press('Send code');
  await frame.getByLabel(/The code sent/).fill('000000');
  await press('Continue');
}

async function giveCard({ frame, press }, number) {
  await frame.getByLabel('Card number').fill(number);
  await frame.getByLabel('Expires').fill('12 / 34');
  await frame.getByLabel('Security code').fill('123');
  await press('Save card');
}

const subscription = () => ({ checkout_mode: 'subscription', plan_id: plan.plan_id });

test('a plan is bought after a card was declined, and then a bundle', async () => {
  const first = await open(subscription());
  await identify(first);
  await giveCard(first, '4000 0000 0000 0002');
  await first.frame.getByText('Your card was declined.').waitFor();
  await giveCard(first, '4242 4242 4242 4242');
  await first.press('Pay $25.00');
  const { name, connectionId } = await first.ended();
  assert.equal(name, 'success');
  assert.match(connectionId, /^con_test_/);
  const bundle = { customer_id: connectionId, credit_bundle_id: plan.credit_bundles[0].credit_bundle_id };
  const second = await open({ checkout_mode: 'credit_bundle', ...bundle });
  await identify(second);
  await second.press('Pay $9.00');
  assert.equal((await second.ended()).connectionId, connectionId);
});

test('a bank that asks is answered on the page', async () => {
  const checkout = await open(subscription());
  await identify(checkout);
  await giveCard(checkout, '4000002760003184');
  await checkout.press('Pay $25.00');
  await checkout.press('Yes, pay');
  assert.equal((await checkout.ended()).name, 'success');
});

test('a checkout that is cancelled tells so at once', async () => {
  const checkout = await open(subscription());
  await checkout.press('Cancel');
  assert.equal((await checkout.ended()).name, 'cancel');
});

test('another origin cannot show it', async () => {
  const { page } = await open(subscription(), 'https://shop.example.com');
  const frame = await page.waitForFunction(() => document.querySelector('iframe')?.contentWindow);
  assert.ok(frame);
  const response = await page.waitForEvent('framenavigated', { timeout: 3000 }).catch(() => null);
  assert.ok(!response || !response.url().includes('css_'), 'the browser refuses the frame');
  assert.equal(await page.frameLocator('iframe').getByRole('button').count(), 0);
  await page.close();
});
