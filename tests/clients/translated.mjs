// The official SDKs on models of the other dialect: answers, streams, tools and errors, as if the model were their own.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

import { CHAT_MODEL, MESSAGE_MODEL, baseUrl, chat, manage, message, mint, nanos } from './server.mjs';

async function openai(limits = {}) {
  const { key, spend_key_id: id } = await mint({ request_shape: 'openai', ...limits });
  return { id, client: new OpenAI({ apiKey: key, baseURL: `${baseUrl}/v1`, maxRetries: 0 }) };
}

async function anthropic(limits = {}) {
  const { key, spend_key_id: id } = await mint({ request_shape: 'anthropic', ...limits });
  return { id, client: new Anthropic({ apiKey: key, baseURL: baseUrl, maxRetries: 0 }) };
}

/** A directive that has the model call the tool with this input. */
function calling(name, input, count = 1) {
  const digits = Buffer.from(JSON.stringify(input)).toString('hex');
  return `call_tool=${name} call_tools=${count} tool_input=${digits}`;
}

const PLACE = { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] };
const OPENAI_TOOLS = [{ type: 'function', function: { name: 'weather', description: 'The weather.', parameters: PLACE } }];
const ANTHROPIC_TOOLS = [{ name: 'weather', description: 'The weather.', input_schema: PLACE }];

test('OpenAI: a completion of Claude is answered and billed', async () => {
  const { id, client } = await openai({ spend_limit: { amount: '5.00', cycle: 'daily' } });
  const answer = await client.chat.completions.create(chat('output_tokens=10', { model: MESSAGE_MODEL }));
  assert.equal(answer.choices[0].message.content.length, 40);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  const cost = BigInt(answer.usage.prompt_tokens) * 1000n + 10n * 5000n;
  assert.equal(nanos((await manage('GET', `spend_keys/${id}`)).current_spend), cost);
});

test('OpenAI: a stream of Claude comes chunk by chunk, with its usage where it is asked for', async () => {
  const { client } = await openai();
  const more = { model: MESSAGE_MODEL, stream: true, stream_options: { include_usage: true } };
  const chunks = [];
  for await (const chunk of await client.chat.completions.create(chat('output_tokens=12 utf8=1 split=5', more))) {
    chunks.push(chunk);
  }
  assert.equal(chunks.filter((chunk) => chunk.choices[0]?.delta.content).length, 12);
  assert.equal(chunks.at(-1).usage.completion_tokens, 12);
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
});

for (const stream of [false, true]) {
  test(`OpenAI: a tool loop with Claude, two calls at once, ${stream ? 'streamed' : 'whole'}`, async () => {
    const { client } = await openai();
    const parameters = chat(calling('weather', { place: 'Graz' }, 2), { model: MESSAGE_MODEL, tools: OPENAI_TOOLS });
    const ask = (messages) =>
      stream
        ? client.chat.completions.stream({ ...parameters, messages }).finalChatCompletion()
        : client.chat.completions.create({ ...parameters, messages });
    const first = await ask(parameters.messages);
    const { message: said, finish_reason: reason } = first.choices[0];
    assert.equal(reason, 'tool_calls');
    assert.equal(said.tool_calls.length, 2);
    for (const call of said.tool_calls) {
      assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ['weather', { place: 'Graz' }]);
    }
    const results = said.tool_calls.map((call) => ({ role: 'tool', tool_call_id: call.id, content: 'Rain.' }));
    const last = await ask([...parameters.messages, said, ...results]);
    assert.equal(last.choices[0].finish_reason, 'stop');
    assert.ok(last.choices[0].message.content.length > 0);
  });

  test(`Anthropic: a tool loop with GPT, two calls at once, ${stream ? 'streamed' : 'whole'}`, async () => {
    const { client } = await anthropic();
    const parameters = message(calling('weather', { place: 'Graz' }, 2), { model: CHAT_MODEL, tools: ANTHROPIC_TOOLS });
    const ask = (messages) =>
      stream
        ? client.messages.stream({ ...parameters, messages }).finalMessage()
        : client.messages.create({ ...parameters, messages });
    const first = await ask(parameters.messages);
    assert.equal(first.stop_reason, 'tool_use');
    const calls = first.content.filter((block) => block.type === 'tool_use');
    assert.deepEqual(calls.map((call) => [call.name, call.input]), Array(2).fill(['weather', { place: 'Graz' }]));
    const results = calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: 'Rain.' }));
    const turns = [{ role: 'assistant', content: first.content }, { role: 'user', content: results }];
    const last = await ask([...parameters.messages, ...turns]);
    assert.equal(last.stop_reason, 'end_turn');
    assert.ok(last.content[0].text.length > 0);
  });
}

test('Anthropic: a message of GPT is answered and billed', async () => {
  const { id, client } = await anthropic({ spend_limit: { amount: '5.00', cycle: 'daily' } });
  const system = [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }];
  const answer = await client.messages.create(message('output_tokens=10', { model: CHAT_MODEL, system }));
  assert.deepEqual([answer.type, answer.stop_reason, answer.content[0].text.length], ['message', 'end_turn', 40]);
  const cost = BigInt(answer.usage.input_tokens) * 150n + 10n * 600n;
  assert.equal(nanos((await manage('GET', `spend_keys/${id}`)).current_spend), cost);
});

test('Anthropic: a stream of GPT comes event by event', async () => {
  const { client } = await anthropic();
  const events = [];
  const parameters = message('output_tokens=12 utf8=1 split=5', { model: CHAT_MODEL, stream: true });
  for await (const event of await client.messages.create(parameters)) events.push(event);
  assert.equal(events[0].type, 'message_start');
  assert.equal(events.at(-1).type, 'message_stop');
  assert.equal(events.filter((event) => event.delta?.type === 'text_delta').length, 12);
  assert.equal(events.find((event) => event.type === 'message_delta').usage.output_tokens, 12);
});

test("each client sees the other provider's errors as its own", async () => {
  const one = await openai();
  const limited = one.client.chat.completions.create(chat('status=429', { model: MESSAGE_MODEL }));
  await assert.rejects(limited, OpenAI.RateLimitError);
  const two = await anthropic();
  const broken = two.client.messages.create(message('status=500', { model: CHAT_MODEL }));
  await assert.rejects(broken, Anthropic.InternalServerError);
});

test('a provider that breaks off in the middle is an error, not an answer', async () => {
  const { client } = await openai();
  const call = chat('output_tokens=30 cut_after=5 chunk_ms=2', { model: MESSAGE_MODEL, stream: true });
  await assert.rejects(async () => {
    for await (const chunk of await client.chat.completions.create(call)) assert.ok(chunk);
  });
});
