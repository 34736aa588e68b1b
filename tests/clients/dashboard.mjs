// The dashboard in headless Chromium, as its user sees it: sign in, mint, use, see the bar move, pause, resume, edit,
// rotate, revoke; and no violation that axe finds, in light and dark, wide and narrow, on any page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { checkPages, openBrowser } from './browser.mjs';
import { baseUrl, secretKey } from './server.mjs';

let browser, context, page;

before(async () => {
  browser = await openBrowser();
  ({ context, page } = browser);
});

after(() => browser?.close());

const visit = (path) => page.goto(`${baseUrl}${path}`);
const call = (key, directive = 'output_tokens=50') =>
  fetch(`${baseUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: `Hello [[sim ${directive}]]` }] }),
  });

let key, keyPath;

test('a wrong key is told so, and a right one signs in', async () => {
  await visit('/dashboard');
  await page.getByLabel('Secret key').fill('aks_live_wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').filter({ hasText: 'not a secret key' }).waitFor();
  await page.getByLabel('Secret key').fill(secretKey);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'AI Spend' }).waitFor();
});

test('a key is minted with the keyboard alone and copied', async () => {
  await page.getByRole('link', { name: 'New key', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.getByLabel('Name').waitFor();
  await page.keyboard.type('Coding agent');
  await page.keyboard.press('Tab');
  await page.keyboard.type('0.02');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'The secret of Coding agent' }).waitFor();
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: baseUrl });
  await page.getByRole('button', { name: 'Copy' }).first().click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  key = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(key, /^lava_sk_/);
  await page.reload();
  await page.getByRole('heading', { name: 'It was shown already' }).waitFor();
  await page.getByRole('link', { name: 'To the key' }).click();
  keyPath = new URL(page.url()).pathname;
});

test('the bar moves while one looks on', async () => {
  await visit('/dashboard/spend_keys');
  const bar = page.locator('.card [data-bar="spent"]').first();
  assert.equal(await bar.getAttribute('width'), '0');
  assert.equal((await call(key)).status, 200);
  await page.waitForFunction(() => Number(document.querySelector('.card [data-bar="spent"]').getAttribute('width')) > 0);
  const requests = page.locator('.card [data-field="requests"]').first();
  assert.equal(await requests.textContent(), '1');
});

test('a key is paused and resumed', async () => {
  await visit(keyPath);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('status').filter({ hasText: 'Paused.' }).waitFor();
  assert.equal((await call(key)).status, 401);
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('status').filter({ hasText: 'Resumed.' }).waitFor();
  assert.equal((await call(key)).status, 200);
});

test('a key is edited, and what is wrong stands beside its field', async () => {
  await visit(keyPath);
  await page.getByRole('link', { name: 'Edit' }).click();
  await page.getByLabel('Dollars').fill('a lot');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('#wrong-spend_limit').waitFor();
  assert.equal(await page.getByLabel('Dollars').inputValue(), 'a lot');
  await page.getByLabel('Dollars').fill('3');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('status').filter({ hasText: 'Saved.' }).waitFor();
  await page.getByText('of $3.00 a day').waitFor();
});

test('a key is rotated, and going back neither shows nor makes another', async () => {
  await visit(keyPath);
  await page.getByText('Rotate', { exact: true }).click();
  await page.getByRole('button', { name: 'Rotate the secret' }).click();
  const rotated = await page.locator('#secret-text').textContent();
  assert.equal((await call(key)).status, 401);
  assert.equal((await call(rotated)).status, 200);
  await page.goBack();
  await page.goForward();
  await page.getByRole('heading', { name: 'It was shown already' }).waitFor();
  assert.equal((await call(rotated)).status, 200);
  key = rotated;
});

test('every page is accessible and fits, in light and dark, wide and narrow', async () => {
  await checkPages(page, await allPages());
});

/** Every page of the navigation, and those behind it that are known here. */
async function allPages() {
  await visit('/dashboard');
  const links = await page.locator('nav a').evaluateAll((all) => all.map((link) => link.getAttribute('href')));
  return [...links, '/dashboard/spend_keys?search=nothing-fits', '/dashboard/spend_keys/new', keyPath, `${keyPath}/edit`,
    `${keyPath}/secret`, '/dashboard/nothing-here'];
}

test('the first page is small', async () => {
  const fresh = await context.newPage();
  const session = await context.newCDPSession(fresh);
  await session.send('Network.enable');
  await session.send('Network.setCacheDisabled', { cacheDisabled: true });
  let bytes = 0;
  session.on('Network.loadingFinished', ({ encodedDataLength }) => { bytes += encodedDataLength; });
  await fresh.goto(`${baseUrl}/dashboard/spend_keys`, { waitUntil: 'networkidle' });
  await fresh.close();
  assert.ok(bytes > 1000 && bytes < 150_000, `${bytes} bytes`);
});

test('a key is revoked, and its open page says so', async () => {
  await visit(keyPath);
  const open = await context.newPage();
  await open.goto(`${baseUrl}${keyPath}`);
  await page.getByText('Revoke', { exact: true }).click();
  await page.getByRole('button', { name: 'Revoke Coding agent' }).click();
  await page.getByRole('status').filter({ hasText: 'Revoked.' }).waitFor();
  assert.equal((await call(key)).status, 401);
  await open.getByRole('button', { name: 'Pause' }).click();
  await open.getByText('There is no such spend key').waitFor();
  await open.close();
});

test('signing out ends it', async () => {
  await visit('/dashboard');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await visit('/dashboard/spend_keys');
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
});
