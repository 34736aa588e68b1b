// The official SDKs on models of every provider: answers, streams, tools, documents and errors, as if each model were
// their own.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

import {
  INPUT, MODELS, PLACE, asking, askingForDocument, askingForWeather, assertBooked, assertLast, assertText, ownKey, weather,
} from './conversation.mjs';
import { CHAT_MODEL, MESSAGE_MODEL, baseUrl, chat, message, nanos } from './server.mjs';

async function openai() {
  const key = await ownKey({ request_shape: 'openai' });
  return { key, client: new OpenAI({ apiKey: key.key, baseURL: `${baseUrl}/v1`, maxRetries: 0 }) };
}

async function anthropic() {
  const key = await ownKey({ request_shape: 'anthropic' });
  return { key, client: new Anthropic({ apiKey: key.key, baseURL: baseUrl, maxRetries: 0 }) };
}

const OPENAI_TOOLS = [{ type: 'function', function: { name: 'weather', description: 'The weather.', parameters: PLACE } }];
const ANTHROPIC_TOOLS = [{ name: 'weather', description: 'The weather.', input_schema: PLACE }];

function said(content) {
  return [{ role: 'user', content }];
}

for (const { model, provider } of MODELS) {
  const plain = { model, max_tokens: 64 };

  test(`OpenAI, ${model}: a completion is answered and billed`, async () => {
    const { key, client } = await openai();
    const messages = [{ role: 'system', content: 'Be brief.' }, ...said(asking(10))];
    const answer = await client.chat.completions.create({ ...plain, messages, temperature: 0.5 });
    assertText(answer.choices[0].message.content, 10);
    assert.deepEqual([answer.choices[0].finish_reason, answer.usage.completion_tokens], ['stop', 10]);
    await assertBooked(key, 1, provider);
  });

  test(`OpenAI, ${model}: a stream comes chunk by chunk, with its usage where it is asked for`, async () => {
    const { key, client } = await openai();
    const more = { stream: true, stream_options: { include_usage: true } };
    const messages = said(asking(12, 'utf8=1 split=5'));
    const chunks = [];
    for await (const chunk of await client.chat.completions.create({ ...plain, ...more, messages })) chunks.push(chunk);
    const texts = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '');
    assert.equal(texts.filter((text) => text).length, 12);
    assert.equal(Buffer.byteLength(texts.join('')), 48);
    assert.equal(chunks.at(-1).usage.completion_tokens, 12);
    assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
    await assertBooked(key, 1, provider);
  });

  test(`OpenAI, ${model}: a document comes in the form that was asked for`, async () => {
    const { key, client } = await openai();
    const format = { type: 'json_schema', json_schema: { name: 'town', strict: true, schema: PLACE } };
    const question = { ...plain, messages: said(askingForDocument(INPUT)), response_format: format };
    const answer = await client.chat.completions.create(question);
    assert.deepEqual(JSON.parse(answer.choices[0].message.content), INPUT);
    await assertBooked(key, 1, provider);
  });

  test(`Anthropic, ${model}: a message is answered and billed`, async () => {
    const { key, client } = await anthropic();
    const system = [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }];
    const answer = await client.messages.create({ ...plain, system, messages: said(asking(10)) });
    assert.deepEqual([answer.type, answer.stop_reason, answer.usage.output_tokens], ['message', 'end_turn', 10]);
    assertText(answer.content[0].text, 10);
    await assertBooked(key, 1, provider);
  });

  test(`Anthropic, ${model}: a stream comes event by event`, async () => {
    const { key, client } = await anthropic();
    const events = [];
    const messages = said(asking(12, 'utf8=1 split=5'));
    for await (const event of await client.messages.create({ ...plain, messages, stream: true })) events.push(event);
    assert.deepEqual([events[0].type, events.at(-1).type], ['message_start', 'message_stop']);
    const deltas = events.filter((event) => event.delta?.type === 'text_delta');
    assert.deepEqual([deltas.length, Buffer.byteLength(deltas.map((event) => event.delta.text).join(''))], [12, 48]);
    assert.equal(events.find((event) => event.type === 'message_delta').usage.output_tokens, 12);
    await assertBooked(key, 1, provider);
  });

  for (const way of ['whole', 'streamed']) {
    test(`OpenAI, ${model}: two calls of a tool at once are answered, ${way}`, async () => {
      const { key, client } = await openai();
      const ask = (messages) => {
        const question = { ...plain, tools: OPENAI_TOOLS, messages };
        return way === 'streamed'
          ? client.chat.completions.stream(question).finalChatCompletion()
          : client.chat.completions.create(question);
      };
      const messages = said(askingForWeather(2));
      const first = (await ask(messages)).choices[0];
      assert.deepEqual([first.finish_reason, first.message.tool_calls.length], ['tool_calls', 2]);
      const results = first.message.tool_calls.map(({ id, function: { name, arguments: input } }) => {
        assert.deepEqual([name, JSON.parse(input)], ['weather', INPUT]);
        return { role: 'tool', tool_call_id: id, content: weather(JSON.parse(input)) };
      });
      const last = (await ask([...messages, first.message, ...results])).choices[0];
      assert.equal(last.finish_reason, 'stop');
      assertLast(last.message.content);
      await assertBooked(key, 2, provider);
    });

    test(`Anthropic, ${model}: two calls of a tool at once are answered, ${way}`, async () => {
      const { key, client } = await anthropic();
      const ask = (messages) => {
        const question = { ...plain, tools: ANTHROPIC_TOOLS, messages };
        return way === 'streamed'
          ? client.messages.stream(question).finalMessage()
          : client.messages.create(question);
      };
      const messages = said(askingForWeather(2));
      const first = await ask(messages);
      const calls = first.content.filter((block) => block.type === 'tool_use');
      assert.equal(first.stop_reason, 'tool_use');
      assert.deepEqual(calls.map((call) => [call.name, call.input]), Array(2).fill(['weather', INPUT]));
      const results = calls.map(({ id, input }) => ({ type: 'tool_result', tool_use_id: id, content: weather(input) }));
      const turns = [{ role: 'assistant', content: first.content }, { role: 'user', content: results }];
      const last = await ask([...messages, ...turns]);
      assert.equal(last.stop_reason, 'end_turn');
      assertLast(last.content[0].text);
      await assertBooked(key, 2, provider);
    });
  }

  test(`${model}: each SDK sees the provider's errors as its own`, async () => {
    const one = (await openai()).client;
    const limited = one.chat.completions.create({ ...plain, messages: said(asking(1, 'status=429')) });
    await assert.rejects(limited, OpenAI.RateLimitError);
    const two = (await anthropic()).client;
    const broken = two.messages.create({ ...plain, messages: said(asking(1, 'status=500')) });
    await assert.rejects(broken, Anthropic.InternalServerError);
  });

  test(`${model}: a provider that breaks off in the middle is an error, not an answer`, async () => {
    const { client } = await openai();
    const messages = said(asking(30, 'cut_after=5 chunk_ms=2'));
    await assert.rejects(async () => {
      for await (const chunk of await client.chat.completions.create({ ...plain, messages, stream: true })) assert.ok(chunk);
    });
  });
}

test("a foreign model costs its own provider's prices to the last digit", async () => {
  const cents = async ({ key }) => nanos((await key.rows(1))[0].cost);
  const one = await openai();
  const { usage } = await one.client.chat.completions.create(chat('output_tokens=10', { model: MESSAGE_MODEL }));
  assert.equal(await cents(one), BigInt(usage.prompt_tokens) * 1000n + 10n * 5000n);
  const two = await anthropic();
  const answer = await two.client.messages.create(message('output_tokens=10', { model: CHAT_MODEL }));
  assert.equal(await cents(two), BigInt(answer.usage.input_tokens) * 150n + 10n * 600n);
});

// Texts are embedded by the models that are made for it.
for (const [model, provider] of [['text-embedding-3-small', 'openai'], ['google/gemini-embedding-001', 'google']]) {
  test(`OpenAI, ${model}: texts are embedded`, async () => {
    const { key, client } = await openai();
    const answer = await client.embeddings.create({ model, input: ['a', 'b'], encoding_format: 'float' });
    assert.equal(answer.data.length, 2);
    assert.ok(answer.data.every(({ embedding }) => embedding.length > 0) && answer.usage.prompt_tokens > 0);
    assert.deepEqual((await key.rows(1)).map((row) => row.provider), [provider]);
  });
}
