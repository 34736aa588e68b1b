// OpenAI's SDK and its responses API on models of every provider: answers, streams, tools and documents.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

import {
  INPUT, MODELS, PLACE, asking, askingForDocument, askingForWeather, assertBooked, assertLast, assertText, ownKey, weather,
} from './conversation.mjs';
import { baseUrl } from './server.mjs';

async function openai() {
  const key = await ownKey({ request_shape: 'openai' });
  return { key, client: new OpenAI({ apiKey: key.key, baseURL: `${baseUrl}/v1`, maxRetries: 0 }) };
}

const TOOLS = [{ type: 'function', name: 'weather', description: 'The weather.', parameters: PLACE, strict: false }];

for (const { model, provider } of MODELS) {
  const plain = { model, max_output_tokens: 64, store: false };

  test(`${model}: a response is answered and billed`, async () => {
    const { key, client } = await openai();
    const response = await client.responses.create({ ...plain, instructions: 'Be brief.', input: asking(10) });
    assert.deepEqual([response.status, response.usage.output_tokens], ['completed', 10]);
    assertText(response.output_text, 10);
    await assertBooked(key, 1, provider);
  });

  test(`${model}: a stream comes event by event and adds up`, async () => {
    const { key, client } = await openai();
    const events = [];
    const stream = await client.responses.create({ ...plain, input: asking(12, 'split=7'), stream: true });
    for await (const event of stream) events.push(event);
    const deltas = events.filter((event) => event.type === 'response.output_text.delta');
    const text = deltas.map((event) => event.delta).join('');
    assert.deepEqual([events[0].type, events.at(-1).type], ['response.created', 'response.completed']);
    assert.equal(events.at(-1).response.output[0].content[0].text, text);
    assertText(text, 12);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
    await assertBooked(key, 1, provider);
  });

  for (const way of ['whole', 'streamed']) {
    test(`${model}: two calls of a tool at once are answered, ${way}`, async () => {
      const { key, client } = await openai();
      const ask = (input) => {
        const question = { ...plain, input, tools: TOOLS };
        return way === 'streamed' ? client.responses.stream(question).finalResponse() : client.responses.create(question);
      };
      const input = [{ role: 'user', content: askingForWeather(2) }];
      const first = await ask(input);
      const calls = first.output.filter((item) => item.type === 'function_call');
      assert.equal(calls.length, 2);
      const results = calls.map(({ call_id, name, arguments: text }) => {
        assert.deepEqual([name, JSON.parse(text)], ['weather', INPUT]);
        return { type: 'function_call_output', call_id, output: weather(JSON.parse(text)) };
      });
      assertLast((await ask([...input, ...first.output, ...results])).output_text);
      await assertBooked(key, 2, provider);
    });
  }

  test(`${model}: a document comes in the form that was asked for`, async () => {
    const { key, client } = await openai();
    const text = { format: { type: 'json_schema', name: 'town', strict: true, schema: PLACE } };
    const response = await client.responses.parse({ ...plain, input: askingForDocument(INPUT), text });
    assert.deepEqual(response.output_parsed, INPUT);
    await assertBooked(key, 1, provider);
  });
}
