// A coding tool as a user starts it: in a home and a directory of its own, with nothing of this machine's environment.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { INPUT, weather } from './conversation.mjs';

// Several times what a run takes on a busy machine.
const RUN_LIMIT_MS = 60_000;

// Nobody listens there: what does not go to the server under test goes nowhere.
const NOWHERE = 'http://127.0.0.1:9';

/** Where the packages of the tools are. */
export const packages = join(import.meta.dirname, 'tools', 'node_modules');

/** The file that holds the tool's result; only who reads it learns how long the last answer is to be. */
export const WEATHER_FILE = 'weather.txt';

/** Calls with a directory that goes away afterwards: a home, and a directory to work in with the file in it. */
export async function inDirectory(use) {
  const home = await mkdtemp(join(tmpdir(), 'caldera-client-'));
  try {
    const work = join(home, 'work');
    await mkdir(work);
    await writeFile(join(work, WEATHER_FILE), `${weather(INPUT)}\n`);
    return await use({ home, work });
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Runs a package's program by this Node until it ends; what it printed, where it ended well. */
export async function run(program, parameters, { home, work, variables }) {
  const env = { PATH: process.env.PATH, HOME: home, HTTPS_PROXY: NOWHERE, NO_PROXY: '127.0.0.1', ...variables };
  // A group of its own, because what is started here starts the real program.
  const options = { cwd: work, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true };
  const child = spawn(process.execPath, [join(packages, program), ...parameters], options);
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => (printed[name] += text));
  }
  const limit = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), RUN_LIMIT_MS);
  const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  clearTimeout(limit);
  assert.equal(status, 0, `${program} ended with ${status}:\n${printed.stdout}\n${printed.stderr}`);
  return printed.stdout;
}
