// The server under test as the scripts see it: its address and keys, calls with directives for the simulated
// provider, and what that provider says it served. The clients themselves are used as they come from the registry.
import { setTimeout as pause } from 'node:timers/promises';

export const baseUrl = variable('BASE_URL');
export const secretKey = variable('SECRET_KEY');
const simulatorUrl = variable('SIM_URL');

export const CHAT_MODEL = 'gpt-4o-mini';
export const MESSAGE_MODEL = 'claude-haiku-4-5';
// A key of the right form that nobody has: its last six characters are not the checksum.
export const UNKNOWN_KEY = 'lava_sk_0123456789abcdefghijABCDEFGHIJ01000000';

export function variable(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; the suite starts this script`);
  return value;
}

/** A chat completion's parameters with a directive for the simulated provider. */
export function chat(directive, more = {}) {
  const content = `Hello [[sim ${directive}]]`;
  return { model: CHAT_MODEL, max_tokens: 64, messages: [{ role: 'user', content }], ...more };
}

/** The same for the messages API. */
export function message(directive, more = {}) {
  return chat(directive, { model: MESSAGE_MODEL, ...more });
}

let tagCount = 0;

/** A tag that no other call of this process has. */
export function freshTag(name) {
  tagCount += 1;
  return `${name}-${process.pid}-${tagCount}`;
}

/** What the simulated provider answered to calls with this tag, newest first. */
export async function served(tag) {
  const response = await fetch(`${simulatorUrl}/_sim/requests?limit=1000`);
  return (await response.json()).filter((entry) => entry.tag === tag);
}

/** A `fetch` that remembers every answer, so that a test can count the calls of a client. */
export function recordingFetch() {
  const answers = [];
  const recording = async (url, options) => {
    const response = await fetch(url, options);
    answers.push(response);
    return response;
  };
  return { fetch: recording, answers };
}

/** Makes a spend key without the help of any client. */
export async function mint(body) {
  return manage('POST', 'spend_keys', { name: 'a client of the suite', ...body });
}

/** One management call. */
export async function manage(method, path, body) {
  const response = await fetch(`${baseUrl}/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${secretKey}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

/** Asks again until the answer satisfies the condition, for at most five seconds. */
export async function eventually(what, ask, condition) {
  const deadline = Date.now() + 5000;
  for (;;) {
    const answer = await ask();
    if (condition(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`${what} did not come; the last was ${JSON.stringify(answer)}`);
    await pause(20);
  }
}

/** Decimal dollars as nano-dollars. */
export function nanos(text) {
  const [whole, fraction = ''] = text.split('.');
  return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
}
