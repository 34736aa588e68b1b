// The official SDK of the Model Context Protocol as an agent's client: every tool, with a secret key, with a spend key
// and with none; what a session spends, and what ends with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { baseUrl, eventually, freshTag, manage, mint, nanos, secretKey, served, UNKNOWN_KEY, variable } from './server.mjs';

const ANTHROPIC = 'claude-haiku-4-5';
const MODEL = 'gpt-4o-mini';

/** A session with this key, or with none. */
async function connect(key, name = 'suite') {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const transport = new StreamableHTTPClientTransport(new URL(`${baseUrl}/mcp`), { requestInit: { headers } });
  const client = new Client({ name, version: '1.0.0' });
  await client.connect(transport);
  const call = async (tool, parameters = {}, options) => {
    const result = await client.callTool({ name: tool, arguments: parameters }, undefined, options);
    const value = result.structuredContent;
    return { failed: result.isError === true, text: result.content[0].text, value, code: value?.error?.code };
  };
  const done = async (tool, parameters) => {
    const result = await call(tool, parameters);
    assert.equal(result.failed, false, `${tool}: ${result.text}`);
    return result.value;
  };
  const end = async () => {
    await transport.terminateSession();
    await client.close();
  };
  return { client, transport, call, done, end };
}

/** The spend keys of sessions of this client. */
async function keysOf(name) {
  const { data } = await manage('GET', 'spend_keys?limit=100');
  return data.filter((key) => key.name === `MCP session of ${name}`);
}

const prompt = (text, more = {}) => ({ model: MODEL, messages: text, max_tokens: 32, ...more });

test('a secret key has every tool, each with a schema and with what it does to the world', async () => {
  const session = await connect(secretKey);
  const { tools } = await session.client.listTools();
  assert.equal(tools.length, 22);
  for (const tool of tools) {
    assert.equal(tool.inputSchema.type, 'object', tool.name);
    assert.equal(typeof tool.annotations.readOnlyHint, 'boolean', tool.name);
  }
  assert.match(session.client.getInstructions(), /gateway/);
  assert.equal(session.client.getServerVersion().name, 'caldera');
  await session.end();
});

test('a session has a spend key of its own, named after its client and limited, and revoked when it ends', async () => {
  const session = await connect(secretKey, 'ends-here');
  assert.deepEqual(await keysOf('ends-here'), []);
  const tag = freshTag('mcp');
  const [first, second] = await Promise.all([
    session.done('prompt', prompt(`Hello [[sim tag=${tag}]]`)),
    session.done('prompt', prompt([{ role: 'user', content: `Hello [[sim tag=${tag}]]` }], { system: 'Be brief' })),
  ]);
  for (const answer of [first, second]) {
    assert.ok(answer.text.length > 0 && nanos(answer.cost) > 0n && answer.request_id && answer.usage.total_tokens > 0);
  }
  assert.equal((await served(tag)).length, 2);
  const [key, ...others] = await keysOf('ends-here');
  assert.deepEqual(others, []);
  assert.deepEqual(key.spend_limit, { amount: '5.00', cycle: 'daily' });
  assert.ok(new Date(key.expires_at) > new Date());
  const row = await manage('GET', `requests/${first.request_id}`);
  assert.equal(row.spend_key_id, key.spend_key_id);
  assert.equal(nanos(key.current_spend), nanos(first.cost) + nanos(second.cost));
  await session.end();
  const gone = async () => (await keysOf('ends-here')).filter((key) => key.status === 'active');
  await eventually('the end of the key', gone, (keys) => keys.length === 0);
});

test('the tools that spend speak every dialect, fall back and reach what the gateway reaches', async () => {
  const session = await connect(secretKey);
  const failing = prompt(`Hi [[sim tag=${freshTag('falls')} status=503 fail_times=1]]`);
  const caught = await session.done('prompt', { ...failing, fallbacks: [ANTHROPIC] });
  assert.match(caught.model, /haiku/);
  const messages = [{ role: 'user', content: 'Hello' }];
  const completion = await session.done('chat_completions', { model: ANTHROPIC, messages, max_tokens: 16 });
  assert.ok(completion.choices[0].message.content);
  const message = await session.done('messages', { model: MODEL, messages, max_tokens: 16 });
  assert.equal(message.type, 'message');
  const url = 'https://api.openai.com/v1/chat/completions';
  const body = { model: MODEL, messages, max_tokens: 16 };
  const rewritten = await session.done('rewrite', { format: 'anthropic', target_url: url, body });
  assert.equal(rewritten.type, 'message');
  for (const name of ['call_api', 'call', 'lava_forward']) {
    const forwarded = await session.done(name, { target_url: url, method: 'POST', body });
    assert.equal(forwarded.status, 200);
    assert.ok(forwarded.body.choices[0] && nanos(forwarded.cost) > 0n);
  }
  const headed = await session.done('call_api', {
    target_url: 'https://api.anthropic.com/v1/messages',
    headers: { 'anthropic-version': '2023-06-01' },
    body: { model: ANTHROPIC, messages, max_tokens: 16 },
  });
  assert.equal(headed.body.type, 'message');
  const refused = [
    ['call_api', { target_url: url, headers: { authorization: 'Bearer x' }, body }, 'invalid_request'],
    ['call_api', { target_url: 'http://169.254.169.254/latest', method: 'GET' }, undefined],
    ['call_api', { target_url: url, method: 'TRACE' }, 'invalid_request'],
    ['chat_completions', { ...body, stream: true }, 'invalid_request'],
    ['prompt', { model: MODEL }, 'invalid_request'],
    ['prompt', prompt('Hi', { max_token: 5 }), 'unknown_field'],
    ['prompt', prompt('Hi', { model: 'nobody/nothing' }), undefined],
  ];
  for (const [tool, parameters, code] of refused) {
    const result = await session.call(tool, parameters);
    assert.equal(result.failed, true, tool);
    if (code) assert.equal(result.code, code, `${tool}: ${result.text}`);
    assert.ok(result.text.startsWith(`${result.code}: `), result.text);
  }
  await session.end();
});

test('what is not there is an error of the protocol', async () => {
  const session = await connect(secretKey);
  await assert.rejects(session.call('run_workflow'), /no tool/i);
  await session.end();
});

test('the directory is searched, and a provider explained', async () => {
  const session = await connect();
  const found = await session.done('search', { query: 'claude haiku', limit: 3 });
  assert.ok(found.models.length > 0 && found.models.length <= 3);
  for (const model of found.models) assert.match(`${model.id} ${model.provider}`.toLowerCase(), /haiku/);
  const { providers } = await session.done('search', { query: 'anthropic' });
  assert.equal(providers[0].id, 'anthropic');
  const docs = await session.done('get_provider_docs', { provider: 'anthropic', model: 'haiku' });
  assert.equal(docs.provider.id, 'anthropic');
  assert.ok(docs.models[0].example_body && docs.models[0].url_template);
  const unknown = await session.call('get_provider_docs', { provider: '../spend_keys' });
  assert.equal(unknown.code, 'not_found');
  await session.end();
});

test('the tools that manage do what the interface does', async () => {
  const session = await connect(secretKey, 'manager');
  assert.ok((await session.done('get_balance')).balance);
  assert.deepEqual((await session.done('add_funds')).payment_methods, []);
  assert.equal((await session.call('add_funds', { amount: '1.00' })).failed, true);
  const made = await session.done('create_spend_key', { name: 'By an agent', spend_limit: { amount: '1', cycle: 'daily' } });
  assert.match(made.key, /^lava_sk_/);
  const id = made.spend_key_id;
  assert.equal((await session.done('pause_spend_key', { spend_key_id: id })).status, 'paused');
  assert.equal((await session.done('resume_spend_key', { spend_key_id: id })).status, 'active');
  const rotated = await session.done('rotate_spend_key', { spend_key_id: id, grace_seconds: 1 });
  assert.notEqual(rotated.key, made.key);
  const { data } = await session.done('list_spend_keys', { limit: 100 });
  assert.ok(data.some((key) => key.spend_key_id === id && !key.key));
  assert.equal((await session.done('revoke_spend_key', { spend_key_id: id })).success, true);
  const tiers = [{ start: '0', rate: '1.00' }];
  const name = freshTag('Meter');
  const meter = await session.done('create_meter', { name, rate_type: 'fixed', tier_type: 'tokens_1m', tiers });
  const plan = { name: 'By an agent', period_amount: '10', billing_interval: 'month', meter_ids: [meter.meter_id] };
  assert.ok((await session.done('create_plan', plan)).plan_id);
  const { request_id } = await session.done('prompt', prompt('Hello'));
  await manage('GET', `requests/${request_id}`);
  const requests = await session.done('list_requests', { limit: 5 });
  assert.ok(JSON.stringify(requests.data).includes(request_id));
  const start = new Date(Date.now() - 86_400_000).toISOString();
  assert.ok((await session.done('get_usage', { start })).totals);
  const { forward_token } = await session.done('generate_forward_token', { meter_slug: meter.meter_slug });
  const answer = await fetch(`${baseUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${forward_token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 8 }),
  });
  assert.equal(answer.status, 200);
  const refused = [
    ['create_spend_key', { name: 'x', spend_limt: '1' }, 'unknown_field'],
    ['pause_spend_key', {}, 'invalid_request'],
    ['pause_spend_key', { spend_key_id: '../wallet' }, 'not_found'],
    ['revoke_spend_key', { spend_key_id: 'sk_nobody' }, 'not_found'],
    ['get_usage', {}, 'invalid_request'],
  ];
  for (const [tool, parameters, code] of refused) {
    assert.equal((await session.call(tool, parameters)).code, code, `${tool} ${JSON.stringify(parameters)}`);
  }
  await session.end();
});

test('a checkout is opened where payments can be made', async () => {
  const session = await connect(variable('OTHER_KEY'));
  const plan = { name: 'By an agent', period_amount: '10', billing_interval: 'month' };
  const { plan_id } = await session.done('create_plan', plan);
  const checkout = { checkout_mode: 'subscription', origin_url: 'http://localhost:3000', plan_id };
  const opened = await session.done('create_checkout_session', checkout);
  const token = JSON.parse(Buffer.from(opened.checkout_session_token, 'base64'));
  assert.equal(token.base, `${baseUrl}/`);
  await session.end();
});

test('a spend key makes calls with itself and manages nothing', async () => {
  const { key, spend_key_id } = await mint({ name: 'own', request_shape: 'anthropic' });
  const session = await connect(key, 'spender');
  const { tools } = await session.client.listTools();
  const names = tools.map((tool) => tool.name);
  assert.ok(names.includes('prompt') && names.includes('search') && !names.includes('create_plan'));
  const answer = await session.done('prompt', prompt('Hello'));
  assert.equal((await manage('GET', `requests/${answer.request_id}`)).spend_key_id, spend_key_id);
  // Its own shape is kept where a tool has one.
  const shaped = { model: MODEL, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 8 };
  assert.equal((await session.call('chat_completions', shaped)).code, 'request_shape_mismatch');
  for (const tool of ['get_balance', 'list_spend_keys', 'create_meter', 'generate_forward_token']) {
    assert.equal((await session.call(tool)).code, 'wrong_key_kind', tool);
  }
  assert.deepEqual(await keysOf('spender'), []);
  await session.end();
  assert.equal((await manage('GET', `spend_keys/${spend_key_id}`)).status, 'active');
});

test('without a credential nothing is called, and a wrong one is refused', async () => {
  const session = await connect();
  for (const tool of ['prompt', 'call_api', 'get_balance']) {
    const result = await session.call(tool, prompt('Hello'));
    assert.equal(result.code, 'invalid_api_key', tool);
    assert.match(result.text, /login/);
  }
  await session.end();
  await assert.rejects(connect(UNKNOWN_KEY), /401|invalid_api_key|unauthorized/i);
});

test('another merchant sees nothing and has no part in a session', async () => {
  const [own, other] = [await connect(secretKey), await connect(variable('OTHER_KEY'), 'other')];
  const { request_id } = await own.done('prompt', prompt('Hello'));
  const [key] = await keysOf('suite');
  await manage('GET', `requests/${request_id}`);
  assert.deepEqual((await other.done('list_requests')).data, []);
  assert.deepEqual((await other.done('list_spend_keys')).data, []);
  assert.equal((await other.call('revoke_spend_key', { spend_key_id: key.spend_key_id })).code, 'not_found');
  const headers = (bearer) => ({
    authorization: `Bearer ${bearer}`,
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
    'mcp-session-id': own.transport.sessionId,
  });
  const body = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list' });
  for (const [bearer, status] of [[variable('OTHER_KEY'), 404], [secretKey, 200]]) {
    const answer = await fetch(`${baseUrl}/mcp`, { method: 'POST', headers: headers(bearer), body });
    assert.equal(answer.status, status);
    await answer.text();
  }
  const ended = await fetch(`${baseUrl}/mcp`, { method: 'DELETE', headers: headers(variable('OTHER_KEY')) });
  assert.equal(ended.status, 404);
  await own.done('get_balance');
  await own.end();
  await other.end();
});

test('a cancelled call reaches the provider no more', async () => {
  const session = await connect(secretKey);
  const tag = freshTag('cancelled');
  const controller = new AbortController();
  const waiting = session.call('prompt', prompt(`Hello [[sim tag=${tag} output_tokens=32 chunk_ms=1000]]`), { signal: controller.signal });
  const ledger = async () => (await fetch(`${variable('SIM_URL')}/_sim/ledger`)).json();
  await eventually('the call at the provider', ledger, (books) => books.open === 1);
  controller.abort();
  await assert.rejects(waiting, /abort/i);
  const [entry] = await eventually('the end of the call', () => served(tag), (entries) => entries.length === 1);
  assert.equal(entry.completed, false);
  await session.end();
});
