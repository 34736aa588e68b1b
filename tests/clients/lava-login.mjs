// `Lava.login()` of three generations: the SDK opens the browser, the user signs in and authorises, the browser takes
// the code back to the SDK, and the SDK has a key. The browser that is "opened" is a headless Chromium.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';

import { chromium } from 'playwright-core';

import { baseUrl, eventually, secretKey, variable } from './server.mjs';

let browser, context, page, directory;

before(async () => {
  browser = await chromium.launch({ executablePath: variable('CHROMIUM'), args: ['--no-sandbox'] });
  context = await browser.newContext();
  page = await context.newPage();
  // Instead of a desktop's browser: writes down what it is to open.
  directory = await mkdtemp(join(tmpdir(), 'caldera-login-'));
  const opener = join(directory, 'xdg-open');
  await writeFile(opener, '#!/bin/sh\nprintf "%s\\n" "$1" >> "$(dirname "$0")/opened"\n');
  await chmod(opener, 0o755);
  process.env.PATH = `${directory}${delimiter}${process.env.PATH}`;
});

after(async () => {
  await browser?.close();
  await rm(directory, { recursive: true, force: true });
});

/** The address that the SDK opened last. */
async function opened(count) {
  const read = async () => (await readFile(join(directory, 'opened'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
  const lines = await eventually('the address', read, (lines) => lines.length === count);
  return lines.at(-1);
}

const packages = [['lava-11', '/auth/connect'], ['lava-10', '/auth/cli'], ['lava-9', '/auth/cli']];

for (const [place, [name, path]] of packages.entries()) {
  test(`${name} signs in`, async () => {
    const { Lava } = await import(name);
    const waiting = Lava.login({ baseUrl });
    const address = await opened(place + 1);
    assert.equal(new URL(address).pathname, path);
    await page.goto(address);
    if (place === 0) {
      await page.getByLabel('Secret key').fill(secretKey);
      await page.getByRole('button', { name: 'Sign in' }).click();
    }
    await page.getByRole('heading', { name: 'Authorize access?' }).waitFor();
    await page.getByRole('button', { name: 'Authorize' }).click();
    const credentials = await waiting;
    assert.match(credentials.secret_key, /^aks_live_/);
    assert.notEqual(credentials.secret_key, secretKey);
    assert.match(page.url(), /^http:\/\/127\.0\.0\.1:\d+\/callback\?code=/);
    const answer = await fetch(`${baseUrl}/v1/wallet`, { headers: { authorization: `Bearer ${credentials.secret_key}` } });
    assert.equal(answer.status, 200);
    // The code has served.
    const code = new URL(page.url()).searchParams.get('code');
    await assert.rejects(Lava.exchangeAuthCode({ code, baseUrl: `${baseUrl}/v1/` }), /once/);
  });
}

test('who cancels gives nothing, and the program is told at once', async () => {
  const { Lava } = await import('lava-11');
  const waiting = Lava.login({ baseUrl });
  const failed = assert.rejects(waiting, /code/i);
  await page.goto(await opened(packages.length + 1));
  await page.getByRole('button', { name: 'Cancel' }).click();
  await failed;
});
