// Anthropic's SDK against the server's root, with a spend key as its API key: answers, streams, errors and retries.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

import {
  CHAT_MODEL, MESSAGE_MODEL, UNKNOWN_KEY, baseUrl, eventually, freshTag, manage, message, mint, nanos, recordingFetch,
  secretKey, served,
} from './server.mjs';

/** A client as an application makes it, whose answers can be counted. */
function client(key, more = {}) {
  const { fetch, answers } = recordingFetch();
  return { anthropic: new Anthropic({ apiKey: key, baseURL: baseUrl, fetch, ...more }), answers };
}

async function clientWith(limits) {
  const { key, spend_key_id: id } = await mint({ request_shape: 'anthropic', ...limits });
  return { id, key, ...client(key) };
}

/** What the call throws; the caller says which class it must have. Its body is in the dialect's own shape. */
async function thrown(call, type) {
  let error;
  await assert.rejects(call, (caught) => {
    error = caught;
    return true;
  });
  assert.ok(error instanceof type, `${error.constructor.name}: ${error.message}`);
  assert.equal(error.error.type, 'error');
  assert.equal(typeof error.error.error.type, 'string');
  return error;
}

/** The code of an error of this server. */
function code(error) {
  assert.equal(error.error.error.status, error.status);
  return error.error.error.code;
}

test('a message is answered and billed', async () => {
  const { anthropic, id } = await clientWith({ spend_limit: { amount: '5.00', cycle: 'daily' } });
  const { data, response } = await anthropic.messages.create(message('output_tokens=10')).withResponse();
  assert.deepEqual([data.type, data.role, data.model, data.stop_reason], ['message', 'assistant', MESSAGE_MODEL, 'end_turn']);
  assert.equal(data.content[0].text.length, 40);
  const cost = BigInt(data.usage.input_tokens) * 1000n + 10n * 5000n;
  assert.equal(nanos((await manage('GET', `spend_keys/${id}`)).current_spend), cost);
  const row = await manage('GET', `requests/${response.headers.get('x-lava-request-id')}`);
  assert.deepEqual([nanos(row.cost), row.spend_key_id, row.response_id], [cost, id, data.id]);
  assert.equal(row.endpoint, 'POST https://api.anthropic.com/v1/messages');
});

test('the key may come as a bearer token or as x-api-key', async () => {
  const { key } = await clientWith({});
  const none = { apiKey: null, authToken: null };
  const ways = [{ apiKey: null, authToken: key }, { ...none, defaultHeaders: { 'x-api-key': key } }, { apiKey: secretKey }];
  for (const way of ways) {
    const anthropic = new Anthropic({ baseURL: baseUrl, ...way });
    assert.equal((await anthropic.messages.create(message('output_tokens=2'))).usage.output_tokens, 2);
  }
});

test('a stream comes event by event', async () => {
  const { anthropic, id } = await clientWith({ spend_limit: { amount: '5.00', cycle: 'daily' } });
  const stream = await anthropic.messages.create(message('output_tokens=12 utf8=1 split=7', { stream: true }));
  const events = [];
  for await (const event of stream) events.push(event);
  assert.equal(events[0].type, 'message_start');
  assert.equal(events.at(-1).type, 'message_stop');
  const deltas = events.filter((event) => event.type === 'content_block_delta');
  assert.equal(deltas.length, 12);
  assert.ok(deltas.every((event) => !event.delta.text.includes('\uFFFD')));
  const end = events.find((event) => event.type === 'message_delta');
  assert.deepEqual([end.delta.stop_reason, end.usage.output_tokens], ['end_turn', 12]);
  const cost = BigInt(events[0].message.usage.input_tokens) * 1000n + 12n * 5000n;
  const read = () => manage('GET', `spend_keys/${id}`);
  const key = await eventually('the end of the hold', read, (answer) => answer.reserved_spend === '0.00');
  assert.equal(nanos(key.current_spend), cost);
});

test('the stream helper puts the message together', async () => {
  const { anthropic } = await clientWith({});
  const stream = anthropic.messages.stream(message('output_tokens=7'));
  let text = '';
  stream.on('text', (part) => (text += part));
  const final = await stream.finalMessage();
  assert.equal(final.content[0].text, text);
  assert.deepEqual([text.length, final.usage.output_tokens, final.stop_reason], [28, 7, 'end_turn']);
});

test('the models are listed', async () => {
  const { anthropic } = await clientWith({ allowed_models: [MESSAGE_MODEL] });
  const ids = [];
  for await (const model of anthropic.models.list()) ids.push(model.id);
  assert.deepEqual(ids, [MESSAGE_MODEL]);
});

test('a call above the limit is a payment error that is sent once, stream or not', async () => {
  const { anthropic, answers } = await clientWith({ spend_limit: { amount: '0.000001', cycle: 'daily' } });
  const tag = freshTag('poor');
  for (const stream of [false, true]) {
    const call = anthropic.messages.create(message(`tag=${tag}`, { stream }));
    const error = await thrown(call, Anthropic.APIError);
    assert.deepEqual([error.status, code(error)], [402, 'spend_limit_reached']);
    assert.equal(error.type, 'billing_error');
    assert.equal(error.headers.get('x-should-retry'), 'false');
  }
  assert.equal(answers.length, 2);
  assert.deepEqual(await served(tag), []);
});

test('a used-up request limit is a 429 that is sent once', async () => {
  const { anthropic, answers } = await clientWith({ request_limit: { count: 1, cycle: 'monthly' } });
  await anthropic.messages.create(message(''));
  const error = await thrown(anthropic.messages.create(message('')), Anthropic.RateLimitError);
  assert.deepEqual([code(error), error.type], ['request_limit_reached', 'rate_limit_error']);
  assert.equal(answers.length, 2);
});

test('a call above the rate is sent again when there is room', async () => {
  const { anthropic, answers } = await clientWith({ rate_limit: { rpm: 60, burst: 1 } });
  await anthropic.messages.create(message(''));
  await anthropic.messages.create(message(''));
  assert.deepEqual(answers.map((answer) => answer.status), [200, 429, 200]);
  const refused = (name) => answers[1].headers.get(name);
  assert.equal(refused('retry-after'), '1');
  assert.equal(refused('anthropic-ratelimit-requests-limit'), '60');
  assert.equal(refused('anthropic-ratelimit-requests-remaining'), '0');
});

for (const status of [429, 500, 529]) {
  test(`a provider's ${status} is sent again and succeeds`, async () => {
    const { anthropic, answers } = await clientWith({ spend_limit: { amount: '5.00', cycle: 'daily' } });
    const tag = freshTag(`again-${status}`);
    const directive = `status=${status} fail_times=1 tag=${tag} output_tokens=6`;
    assert.equal((await anthropic.messages.create(message(directive))).usage.output_tokens, 6);
    assert.deepEqual(answers.map((answer) => answer.status), [status, 200]);
    assert.deepEqual((await served(tag)).map((entry) => entry.status), [200, status]);
  });
}

test("a provider's error that lasts is thrown as it was sent", async () => {
  const { anthropic } = await clientWith({});
  const once = { maxRetries: 0 };
  await thrown(anthropic.messages.create(message('status=400')), Anthropic.BadRequestError);
  await thrown(anthropic.messages.create(message('status=404')), Anthropic.NotFoundError);
  const limited = await thrown(anthropic.messages.create(message('status=429'), once), Anthropic.RateLimitError);
  assert.equal(limited.type, 'rate_limit_error');
  const overloaded = await thrown(anthropic.messages.create(message('status=529'), once), Anthropic.InternalServerError);
  assert.deepEqual([overloaded.status, overloaded.type], [529, 'overloaded_error']);
});

test('a key that nobody has is an authentication error', async () => {
  const { anthropic, answers } = client(UNKNOWN_KEY);
  const error = await thrown(anthropic.messages.create(message('')), Anthropic.AuthenticationError);
  assert.deepEqual([code(error), error.type], ['invalid_api_key', 'authentication_error']);
  assert.equal(answers.length, 1);
});

test('what a key may not do is a permission error', async () => {
  const cases = [
    [{ allowed_models: [CHAT_MODEL] }, 'model_not_allowed'],
    [{ allowed_providers: ['openai'] }, 'provider_not_allowed'],
    [{ request_shape: 'openai' }, 'request_shape_mismatch'],
  ];
  for (const [limits, expected] of cases) {
    const { anthropic, answers } = await clientWith(limits);
    const error = await thrown(anthropic.messages.create(message('')), Anthropic.PermissionDeniedError);
    assert.deepEqual([code(error), error.type], [expected, 'permission_error']);
    assert.equal(answers.length, 1);
  }
});

test('a bad body is a bad request that names the parameter', async () => {
  const { anthropic } = await clientWith({});
  const call = anthropic.messages.create({ max_tokens: 5, messages: [] });
  const error = await thrown(call, Anthropic.BadRequestError);
  assert.deepEqual([code(error), error.type], ['invalid_request', 'invalid_request_error']);
  assert.match(error.message, /`model`/);
});
