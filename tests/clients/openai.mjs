// OpenAI's SDK against /v1, with a spend key as its API key: answers, streams, errors, and which of them it sends again.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

import {
  CHAT_MODEL, MESSAGE_MODEL, UNKNOWN_KEY, baseUrl, chat, eventually, freshTag, manage, mint, nanos, recordingFetch,
  secretKey, served,
} from './server.mjs';

const baseURL = `${baseUrl}/v1`;

/** A client as an application makes it, whose answers can be counted. */
function client(key, more = {}) {
  const { fetch, answers } = recordingFetch();
  return { openai: new OpenAI({ apiKey: key, baseURL, fetch, ...more }), answers };
}

async function clientWith(limits) {
  const { key, spend_key_id: id } = await mint(limits);
  return { id, ...client(key) };
}

/** What the call throws; the caller says which class it must have. */
async function thrown(call, type) {
  let error;
  await assert.rejects(call, (caught) => {
    error = caught;
    return true;
  });
  assert.ok(error instanceof type, `${error.constructor.name}: ${error.message}`);
  return error;
}

test('a completion is answered and billed', async () => {
  const { openai, id } = await clientWith({ spend_limit: { amount: '5.00', cycle: 'daily' } });
  const { data, response } = await openai.chat.completions.create(chat('output_tokens=10')).withResponse();
  assert.equal(data.object, 'chat.completion');
  assert.equal(data.model, CHAT_MODEL);
  assert.equal(data.choices[0].finish_reason, 'stop');
  assert.equal(data.choices[0].message.content.length, 40);
  assert.equal(data.usage.completion_tokens, 10);
  const cost = BigInt(data.usage.prompt_tokens) * 150n + 10n * 600n;
  assert.equal(nanos((await manage('GET', `spend_keys/${id}`)).current_spend), cost);
  const row = await manage('GET', `requests/${response.headers.get('x-lava-request-id')}`);
  assert.deepEqual([nanos(row.cost), row.spend_key_id, row.response_id], [cost, id, data.id]);
});

test('a secret key is as good as a spend key', async () => {
  const { openai } = client(secretKey);
  assert.equal((await openai.chat.completions.create(chat('output_tokens=2'))).usage.completion_tokens, 2);
});

test('an address that ends in a slash is the same', async () => {
  const { openai } = client(secretKey, { baseURL: `${baseURL}/` });
  assert.equal((await openai.chat.completions.create(chat('output_tokens=2'))).usage.completion_tokens, 2);
});

test("metadata comes with the client's headers", async () => {
  const user = freshTag('user');
  const { openai } = client(secretKey, { defaultHeaders: { 'x-lava-metadata': JSON.stringify({ user }) } });
  const { response } = await openai.chat.completions.create(chat('output_tokens=2')).withResponse();
  const row = await manage('GET', `requests/${response.headers.get('x-lava-request-id')}`);
  assert.deepEqual(row.metadata, { user });
});

test('a stream comes chunk by chunk, without the usage that was not asked for', async () => {
  const { openai, id } = await clientWith({ spend_limit: { amount: '5.00', cycle: 'daily' } });
  const stream = await openai.chat.completions.create(chat('output_tokens=12 utf8=1 split=7', { stream: true }));
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
  assert.equal(chunks.filter((chunk) => chunk.choices[0].delta.content).length, 12);
  assert.ok(chunks.every((chunk) => !(chunk.choices[0].delta.content ?? '').includes('\uFFFD')));
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  const read = () => manage('GET', `spend_keys/${id}`);
  const key = await eventually('the end of the hold', read, (answer) => answer.reserved_spend === '0.00');
  assert.ok(nanos(key.current_spend) > 12n * 600n);
});

test('a stream ends with its usage where that is asked for', async () => {
  const { openai } = await clientWith({ spend_limit: { amount: '5.00', cycle: 'daily' } });
  const parameters = chat('output_tokens=9', { stream: true, stream_options: { include_usage: true } });
  let last;
  for await (const chunk of await openai.chat.completions.create(parameters)) last = chunk;
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.completion_tokens, 9);
});

test('the stream helper puts the answer together', async () => {
  const { openai } = await clientWith({});
  const final = await openai.chat.completions.stream(chat('output_tokens=7')).finalChatCompletion();
  assert.equal(final.choices[0].message.content.length, 28);
});

test('a client that stops reading is not an error', async () => {
  const { openai, id } = await clientWith({ spend_limit: { amount: '5.00', cycle: 'daily' } });
  const stream = await openai.chat.completions.create(chat('output_tokens=50 chunk_ms=5', { stream: true }));
  for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
  const read = () => manage('GET', `spend_keys/${id}`);
  const key = await eventually('the end of the hold', read, (answer) => answer.reserved_spend === '0.00');
  assert.ok(nanos(key.current_spend) > 0n);
});

test('a stream that its limit ends looks like one that ran out of tokens', async () => {
  const { openai } = await clientWith({ spend_limit: { amount: '0.0005', cycle: 'daily' } });
  const parameters = chat('output_tokens=3000', { max_tokens: 4000, stream: true });
  let [reason, count] = [null, 0];
  for await (const chunk of await openai.chat.completions.create(parameters)) {
    count += chunk.choices[0]?.delta.content ? 1 : 0;
    reason = chunk.choices[0]?.finish_reason ?? reason;
  }
  assert.equal(reason, 'length');
  assert.ok(count > 100 && count < 3000, `${count} chunks`);
});

test('the models are listed', async () => {
  const { openai } = await clientWith({ allowed_models: [CHAT_MODEL] });
  const ids = [];
  for await (const model of openai.models.list()) ids.push(model.id);
  assert.deepEqual(ids, [CHAT_MODEL]);
  const all = (await client(secretKey).openai.models.list()).data.map((model) => model.id);
  assert.ok(all.includes(MESSAGE_MODEL));
});

test('a call above the limit is a 402 that is sent once, stream or not', async () => {
  const { openai, answers } = await clientWith({ spend_limit: { amount: '0.000001', cycle: 'daily' } });
  const tag = freshTag('poor');
  for (const stream of [false, true]) {
    const call = openai.chat.completions.create(chat(`tag=${tag}`, { stream }));
    const error = await thrown(call, OpenAI.APIError);
    assert.deepEqual([error.status, error.code], [402, 'spend_limit_reached']);
    assert.equal(error.type, 'insufficient_quota');
    assert.equal(error.headers.get('x-should-retry'), 'false');
  }
  assert.equal(answers.length, 2);
  assert.deepEqual(await served(tag), []);
});

test('a used-up request limit is a 429 that is sent once', async () => {
  const { openai, answers } = await clientWith({ request_limit: { count: 1, cycle: 'monthly' } });
  await openai.chat.completions.create(chat(''));
  const error = await thrown(openai.chat.completions.create(chat('')), OpenAI.RateLimitError);
  assert.equal(error.code, 'request_limit_reached');
  assert.ok(Number(error.headers.get('retry-after')) > 0);
  assert.equal(answers.length, 2);
});

test('a call above the rate is sent again when there is room', async () => {
  const { openai, answers } = await clientWith({ rate_limit: { rpm: 60, burst: 1 } });
  await openai.chat.completions.create(chat(''));
  await openai.chat.completions.create(chat(''));
  assert.deepEqual(answers.map((answer) => answer.status), [200, 429, 200]);
  const refused = (name) => answers[1].headers.get(name);
  assert.equal(refused('retry-after'), '1');
  assert.equal(refused('x-ratelimit-limit-requests'), '60');
  assert.equal(refused('x-ratelimit-remaining-requests'), '0');
});

for (const status of [429, 500, 503]) {
  test(`a provider's ${status} is sent again and succeeds`, async () => {
    const { openai, answers } = await clientWith({ spend_limit: { amount: '5.00', cycle: 'daily' } });
    const tag = freshTag(`again-${status}`);
    const directive = `status=${status} fail_times=1 tag=${tag} output_tokens=6`;
    const completion = await openai.chat.completions.create(chat(directive));
    assert.equal(completion.usage.completion_tokens, 6);
    assert.deepEqual(answers.map((answer) => answer.status), [status, 200]);
    assert.deepEqual((await served(tag)).map((entry) => entry.status), [200, status]);
  });
}

test("a provider's error that lasts is thrown as it was sent", async () => {
  const { openai } = await clientWith({});
  const error = await thrown(openai.chat.completions.create(chat('status=400')), OpenAI.BadRequestError);
  assert.ok(error.message.length > '400 '.length);
  await thrown(openai.chat.completions.create(chat('status=404')), OpenAI.NotFoundError);
  const limited = openai.chat.completions.create(chat('status=429'), { maxRetries: 0 });
  assert.equal((await thrown(limited, OpenAI.RateLimitError)).code, 'rate_limit_exceeded');
});

test('a key that nobody has is an authentication error', async () => {
  for (const key of [UNKNOWN_KEY, 'sk-something-else', `${secretKey.slice(0, -1)}_`]) {
    const { openai, answers } = client(key);
    const error = await thrown(openai.chat.completions.create(chat('')), OpenAI.AuthenticationError);
    assert.deepEqual([error.status, error.code, error.type], [401, 'invalid_api_key', 'authentication_error']);
    assert.equal(answers.length, 1);
  }
});

test('what a key may not do is a permission error', async () => {
  const cases = [
    [{ allowed_models: [MESSAGE_MODEL] }, 'model_not_allowed'],
    [{ allowed_providers: ['anthropic'] }, 'provider_not_allowed'],
    [{ request_shape: 'anthropic' }, 'request_shape_mismatch'],
  ];
  for (const [limits, code] of cases) {
    const { openai, answers } = await clientWith(limits);
    const error = await thrown(openai.chat.completions.create(chat('')), OpenAI.PermissionDeniedError);
    assert.equal(error.code, code);
    assert.ok(error.message.startsWith('403 '));
    assert.equal(answers.length, 1);
  }
});

test('a bad body is a bad request that names the parameter', async () => {
  const { openai } = await clientWith({});
  const error = await thrown(openai.chat.completions.create({ messages: [] }), OpenAI.BadRequestError);
  assert.deepEqual([error.code, error.param], ['invalid_request', 'model']);
});
