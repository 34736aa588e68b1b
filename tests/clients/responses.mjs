// OpenAI's SDK and its responses API on models of either provider: answers, streams and a tool loop.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

import { CHAT_MODEL, MESSAGE_MODEL, baseUrl, mint } from './server.mjs';

async function openai() {
  const { key } = await mint({ request_shape: 'openai' });
  return new OpenAI({ apiKey: key, baseURL: `${baseUrl}/v1`, maxRetries: 0 });
}

const PLACE = { type: 'object', properties: { place: { type: 'string' } }, required: ['place'], additionalProperties: false };
const TOOLS = [{ type: 'function', name: 'weather', description: 'The weather.', parameters: PLACE, strict: false }];

for (const model of [CHAT_MODEL, MESSAGE_MODEL]) {
  test(`${model}: a response is answered`, async () => {
    const client = await openai();
    const response = await client.responses.create({ model, input: 'Hello [[sim output_tokens=10]]', store: false });
    assert.deepEqual([response.status, response.output_text.length, response.usage.output_tokens], ['completed', 40, 10]);
  });

  test(`${model}: a stream comes event by event and adds up`, async () => {
    const client = await openai();
    const stream = await client.responses.create({ model, input: 'Hello [[sim output_tokens=12 split=7]]', stream: true });
    let text = '';
    const events = [];
    for await (const event of stream) {
      events.push(event);
      if (event.type === 'response.output_text.delta') text += event.delta;
    }
    assert.equal(events[0].type, 'response.created');
    assert.equal(events.at(-1).type, 'response.completed');
    assert.equal(events.at(-1).response.output[0].content[0].text, text);
    assert.equal(text.length, 48);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
  });

  test(`${model}: a tool loop goes on`, async () => {
    const client = await openai();
    const digits = Buffer.from(JSON.stringify({ place: 'Graz' })).toString('hex');
    const input = [{ role: 'user', content: `Hello [[sim call_tool=weather call_tools=2 tool_input=${digits}]]` }];
    const first = await client.responses.create({ model, input, tools: TOOLS, store: false });
    const calls = first.output.filter((item) => item.type === 'function_call');
    assert.deepEqual(calls.map((call) => [call.name, JSON.parse(call.arguments)]), Array(2).fill(['weather', { place: 'Graz' }]));
    const results = calls.map((call) => ({ type: 'function_call_output', call_id: call.call_id, output: 'Rain.' }));
    const last = await client.responses.create({ model, input: [...input, ...first.output, ...results], tools: TOOLS });
    assert.ok(last.output_text.length > 0);
  });
}
