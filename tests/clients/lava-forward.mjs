// The gateway side of one version of the Lava SDK, named by LAVA_PACKAGE: forward tokens with `lava.providers`, alone and
// under the providers' own SDKs, `gateway()`, and what `requests` and `usage` say of the calls afterwards.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

import {
  CHAT_MODEL, baseUrl, chat, eventually, freshTag, message, nanos, recordingFetch, secretKey, served, variable,
} from './server.mjs';

const { Lava } = await import(variable('LAVA_PACKAGE'));
const lava = new Lava(secretKey, { baseUrl: `${baseUrl}/v1/` });

/** Every form of a token that names no customer, with the key type that its row shows. */
const TOKENS = [
  [{}, 'managed'],
  [{ customer_id: null, meter_slug: null }, 'managed'],
  [{ customer_id: null, meter_slug: null, provider_key: 'a-key-of-mine' }, 'unmanaged'],
];

function post(url, token, body, headers = {}) {
  const all = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers };
  return fetch(url, { method: 'POST', headers: all, body: JSON.stringify(body) });
}

function requestId(response) {
  return response.headers.get('x-lava-request-id');
}

for (const [options, keyType] of TOKENS) {
  const token = lava.generateForwardToken(options);
  const what = `a token of ${JSON.stringify(options)}`;

  test(`${what} works with the providers' addresses`, async () => {
    const openai = await post(`${lava.providers.openai}/chat/completions`, token, chat('output_tokens=3'));
    assert.equal(openai.status, 200);
    assert.equal((await openai.json()).usage.completion_tokens, 3);
    const row = await lava.requests.retrieve(requestId(openai));
    assert.deepEqual([row.provider, row.provider_key_type, row.status], ['openai', keyType, 'completed']);
    assert.equal(row.endpoint, 'POST https://api.openai.com/v1/chat/completions');
    const anthropic = await post(`${lava.providers.anthropic}/messages`, token, message('output_tokens=4'));
    assert.equal(anthropic.status, 200);
    assert.equal((await anthropic.json()).usage.output_tokens, 4);
    const second = await lava.requests.retrieve(requestId(anthropic));
    assert.deepEqual([second.provider, second.provider_key_type], ['anthropic', keyType]);
  });

  test(`${what} works in the OpenAI SDK`, async () => {
    const openai = new OpenAI({ apiKey: token, baseURL: lava.providers.openai });
    const { data, response } = await openai.chat.completions.create(chat('output_tokens=5')).withResponse();
    assert.equal(data.usage.completion_tokens, 5);
    assert.equal((await lava.requests.retrieve(requestId(response))).provider_key_type, keyType);
    const stream = await openai.chat.completions.create(chat('output_tokens=5', { stream: true }));
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    assert.equal(text.length, 20);
  });

  test(`${what} works in the Anthropic SDK`, async () => {
    const anthropic = new Anthropic({ apiKey: token, baseURL: `${lava.baseUrl}forward?u=https://api.anthropic.com` });
    const { data, response } = await anthropic.messages.create(message('output_tokens=5')).withResponse();
    assert.equal(data.usage.output_tokens, 5);
    assert.equal((await lava.requests.retrieve(requestId(response))).provider_key_type, keyType);
    const final = await anthropic.messages.stream(message('output_tokens=6')).finalMessage();
    assert.equal(final.usage.output_tokens, 6);
  });
}

// The SDK adds /v1/messages to an address that ends in /v1 already.
test("the Anthropic SDK takes the SDK's own address of Anthropic", async () => {
  const anthropic = new Anthropic({ apiKey: lava.generateForwardToken({}), baseURL: lava.providers.anthropic });
  const { data, response } = await anthropic.messages.create(message('output_tokens=5')).withResponse();
  assert.equal(data.usage.output_tokens, 5);
  const row = await lava.requests.retrieve(requestId(response));
  assert.equal(row.endpoint, 'POST https://api.anthropic.com/v1/messages');
});

test("the provider's models are listed through its address", async () => {
  const openai = new OpenAI({ apiKey: lava.generateForwardToken({}), baseURL: lava.providers.openai });
  const ids = (await openai.models.list()).data.map((model) => model.id);
  assert.ok(ids.includes(CHAT_MODEL));
});

test("a provider's refusal of the caller's own key comes as it was sent", async () => {
  const token = lava.generateForwardToken({ customer_id: null, meter_slug: null, provider_key: 'bad' });
  const openai = new OpenAI({ apiKey: token, baseURL: lava.providers.openai });
  await assert.rejects(openai.chat.completions.create(chat('')), OpenAI.AuthenticationError);
  const anthropic = new Anthropic({ apiKey: token, baseURL: `${lava.baseUrl}forward?u=https://api.anthropic.com` });
  await assert.rejects(anthropic.messages.create(message('')), Anthropic.AuthenticationError);
});

test('a token that names a customer or a meter that is not there is refused before the provider is asked', async () => {
  const tag = freshTag('nobody');
  const unknown = [
    [{ customer_id: 'con_nobody', meter_slug: 'nothing' }, 'customer_not_found'],
    [{ customer_id: null, meter_slug: 'nothing' }, 'not_found'],
  ];
  for (const [options, code] of unknown) {
    const token = lava.generateForwardToken(options);
    const answer = await post(`${lava.providers.openai}/chat/completions`, token, chat(`tag=${tag}`));
    assert.equal(answer.status, 404);
    assert.equal((await answer.json()).error.code, code);
  }
  assert.deepEqual(await served(tag), []);
});

test('a token with an unknown secret key is refused', async () => {
  const stranger = new Lava('aks_live_nobody', { baseUrl: lava.baseUrl });
  const { fetch, answers } = recordingFetch();
  const openai = new OpenAI({ apiKey: stranger.generateForwardToken({}), baseURL: lava.providers.openai, fetch });
  await assert.rejects(openai.chat.completions.create(chat('')), OpenAI.AuthenticationError);
  assert.equal(answers.length, 1);
});

test('requests and usage show the calls, filtered by their metadata', async () => {
  const [user, token] = [freshTag('user'), lava.generateForwardToken({})];
  const ids = [];
  for (const feature of ['one', 'two', 'two']) {
    const headers = { 'x-lava-metadata': JSON.stringify({ user, feature }) };
    const answer = await post(`${lava.providers.openai}/chat/completions`, token, chat('output_tokens=10'), headers);
    assert.equal(answer.status, 200);
    ids.unshift(requestId(answer));
  }
  const row = await lava.requests.retrieve(ids[0]);
  assert.deepEqual([row.request_id, row.status, row.model], [ids[0], 'completed', CHAT_MODEL]);
  assert.deepEqual(row.metadata, { user, feature: 'two' });
  assert.equal(row.model_usage.output_tokens, 10);
  assert.equal(row.model_usage.total_tokens, row.model_usage.input_tokens + 10);
  assert.equal(nanos(row.cost), BigInt(row.model_usage.input_tokens) * 150n + 10n * 600n);
  assert.equal(row.model_usage.total_cost, row.cost);
  assert.equal(row.charge.amount, '0.00');
  const list = (filters) => lava.requests.list({ metadata_filters: filters, limit: 50 });
  const every = await eventually('three rows', () => list({ user }), (page) => page.data.length === 3);
  assert.deepEqual(every.data.map((entry) => entry.request_id), ids);
  assert.deepEqual((await list({ user, feature: 'one' })).data.map((entry) => entry.request_id), ids.slice(2));
  const start = `${new Date().toISOString().slice(0, 10)}T00:00:00+00:00`;
  const { items, totals } = await lava.usage.retrieve({ start, metadata_filters: { user, feature: 'two' } });
  assert.equal(totals.total_requests, 2);
  assert.equal(nanos(totals.total_cost), 2n * nanos(row.cost));
  assert.equal(totals.total_usage_tokens, 2 * row.model_usage.total_tokens);
  assert.equal(totals.total_charge, '0.00');
  assert.equal(items.reduce((sum, day) => sum + day.total_requests, 0), 2);
  assert.deepEqual((await lava.usage.retrieve({ start, end: start, metadata_filters: { user } })).totals.total_requests, 0);
});

// Only version 11 has `gateway()`.
const withGateway = { skip: !lava.gateway };
const COMPLETIONS = 'https://api.openai.com/v1/chat/completions';

test('gateway() calls each provider in its own dialect', withGateway, async () => {
  const completion = await lava.gateway(COMPLETIONS, { body: chat('output_tokens=3') });
  assert.equal(completion.usage.completion_tokens, 3);
  const headers = { 'anthropic-version': '2023-06-01' };
  const answer = await lava.gateway('https://api.anthropic.com/v1/messages', { body: message('output_tokens=4'), headers });
  assert.equal(answer.usage.output_tokens, 4);
  const models = await lava.gateway('https://api.openai.com/v1/models', { method: 'GET' });
  assert.ok(models.data.some((model) => model.id === CHAT_MODEL));
});

test('gateway() passes metadata, and a provider key of the caller', withGateway, async () => {
  const user = freshTag('user');
  const headers = { 'X-Lava-Metadata': JSON.stringify({ user }) };
  await lava.gateway(COMPLETIONS, { body: chat('output_tokens=3'), headers, provider_key: 'a-key-of-mine' });
  const list = () => lava.requests.list({ metadata_filters: { user } });
  const page = await eventually('its row', list, (answer) => answer.data.length === 1);
  assert.equal(page.data[0].provider_key_type, 'unmanaged');
});

test('gateway() throws what was refused', withGateway, async () => {
  const body = chat('');
  const cases = [
    [COMPLETIONS, { body, customer_id: 'con_nobody', meter_slug: 'nothing' }, 404, 'customer_not_found'],
    [COMPLETIONS, { body, meter_slug: 'nothing' }, 404, 'not_found'],
    ['https://provider.example/v1/chat/completions', { body }, 400, 'forward_endpoint_not_supported'],
    ['https://api.openai.com/v1/files', { method: 'GET' }, 400, 'forward_endpoint_not_supported'],
    [COMPLETIONS, { body: chat('status=429') }, 429, 'rate_limit_exceeded'],
  ];
  for (const [url, options, status, code] of cases) {
    await assert.rejects(lava.gateway(url, options), (error) => {
      assert.ok(error.message.startsWith(`Lava API Error: ${status} `), error.message);
      assert.ok(error.message.includes(`"code":"${code}"`), error.message);
      return true;
    });
  }
  await assert.rejects(lava.gateway(COMPLETIONS, { body, customer_id: 'con_nobody' }), /customer_id requires meter_slug/);
});
