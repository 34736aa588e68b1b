// Headless Chromium as the dashboard's scripts use it: whatever the content policy stops, a script breaks or a page loads
// from elsewhere is a fault, and every page is looked at in light and dark, wide and narrow.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';

import { AxeBuilder } from '@axe-core/playwright';
import { chromium } from 'playwright-core';

import { baseUrl, secretKey, variable } from './server.mjs';

/** Where pictures of all pages go, when somebody wants to look at them. */
const pictures = process.env.PICTURES;
const looks = [
  { name: 'light-wide', isAnalysed: true, colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark-wide', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { name: 'light-narrow', colorScheme: 'light', viewport: { width: 360, height: 780 } },
  { name: 'dark-narrow', isAnalysed: true, colorScheme: 'dark', viewport: { width: 360, height: 780 } },
];

/** A browser with one page; `close` fails where there was a fault. */
export async function openBrowser() {
  const faults = [];
  const browser = await chromium.launch({ executablePath: variable('CHROMIUM'), args: ['--no-sandbox'] });
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on('console', (message) => {
    const status = /status of (4|5)\d\d/.test(message.text());
    if (message.type() === 'error' && !status) faults.push(`${page.url()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`${page.url()}: ${error}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(baseUrl) && !request.url().startsWith('data:')) faults.push(`loads ${request.url()}`);
  });
  const close = async () => {
    await browser.close();
    assert.deepEqual(faults, []);
  };
  return { context, page, close };
}

/** Signs in as the merchant of the suite. */
export async function signIn(page) {
  await page.goto(`${baseUrl}/dashboard`);
  await page.getByLabel('Secret key').fill(secretKey);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

/** Looks at pages: they fit their window, and axe finds no violation. */
export async function checkPages(page, paths) {
  if (pictures) mkdirSync(pictures, { recursive: true });
  for (const path of paths) {
    await page.goto(`${baseUrl}${path}`);
    for (const look of looks) {
      await page.emulateMedia({ colorScheme: look.colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize(look.viewport);
      const name = path.replace(/^\/dashboard\/?/, '').replace(/[?/=&]+/g, '-').slice(0, 60) || 'home';
      if (pictures) await page.screenshot({ path: `${pictures}/${name}.${look.name}.png`, fullPage: true });
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wider <= 0, `${path} is ${wider} pixels wider than its window (${look.name})`);
      if (!look.isAnalysed) continue;
      const { violations } = await new AxeBuilder({ page }).analyze();
      const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
      assert.deepEqual(told, [], `${path} (${look.name})`);
    }
  }
}
