// Google's SDK on models of every provider: answers, streams, and tools that the SDK calls by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from '@google/genai';

import {
  INPUT, MODELS, PLACE, asking, askingForDocument, askingForWeather, assertBooked, assertLast, assertText, ownKey, weather,
} from './conversation.mjs';
import { UNKNOWN_KEY, baseUrl } from './server.mjs';

/** A client as an application makes it. */
function google(key) {
  return new GoogleGenAI({ apiKey: key.key, httpOptions: { baseUrl } });
}

const TOOLS = [{ functionDeclarations: [{ name: 'weather', description: 'The weather.', parametersJsonSchema: PLACE }] }];

function answering(calls) {
  return calls.map(({ id, name, args }) => ({ functionResponse: { id, name, response: { output: weather(args) } } }));
}

for (const { model, provider } of MODELS) {
  test(`${model}: content is made and billed`, async () => {
    const key = await ownKey();
    const config = { systemInstruction: 'Be brief.', maxOutputTokens: 64, temperature: 0.5 };
    const answer = await google(key).models.generateContent({ model, contents: asking(10), config });
    assertText(answer.text, 10);
    assert.equal(answer.candidates[0].finishReason, 'STOP');
    assert.equal(answer.usageMetadata.candidatesTokenCount, 10);
    assert.ok(answer.usageMetadata.promptTokenCount > 0);
    await assertBooked(key, 1, provider);
  });

  test(`${model}: a stream comes in pieces`, async () => {
    const key = await ownKey();
    const stream = await google(key).models.generateContentStream({ model, contents: asking(12, 'utf8=1 split=5') });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const texts = chunks.map((chunk) => chunk.text ?? '');
    assert.ok(texts.filter((text) => text).length >= 10, JSON.stringify(texts));
    assert.equal(Buffer.byteLength(texts.join('')), 48);
    assert.ok(!texts.join('').includes('\uFFFD'));
    assert.equal(chunks.at(-1).candidates[0].finishReason, 'STOP');
    assert.equal(chunks.at(-1).usageMetadata.candidatesTokenCount, 12);
    await assertBooked(key, 1, provider);
  });

  test(`${model}: a conversation with two calls at once goes on`, async () => {
    const key = await ownKey();
    const client = google(key);
    const toolConfig = { functionCallingConfig: { mode: FunctionCallingConfigMode.AUTO } };
    const config = { tools: TOOLS, toolConfig };
    const contents = [{ role: 'user', parts: [{ text: askingForWeather(2) }] }];
    const first = await client.models.generateContent({ model, contents, config });
    assert.deepEqual(first.functionCalls.map((call) => [call.name, call.args]), Array(2).fill(['weather', INPUT]));
    contents.push(first.candidates[0].content, { role: 'user', parts: answering(first.functionCalls) });
    assertLast((await client.models.generateContent({ model, contents, config })).text);
    await assertBooked(key, 2, provider);
  });

  test(`${model}: a chat streams its calls and keeps its history`, async () => {
    const key = await ownKey();
    const chat = google(key).chats.create({ model, config: { tools: TOOLS } });
    const calls = [];
    for await (const chunk of await chat.sendMessageStream({ message: askingForWeather() })) {
      calls.push(...(chunk.functionCalls ?? []));
    }
    assert.deepEqual(calls.map((call) => [call.name, call.args]), [['weather', INPUT]]);
    assertLast((await chat.sendMessage({ message: answering(calls) })).text);
    await assertBooked(key, 2, provider);
  });

  test(`${model}: a document comes in the form that was asked for`, async () => {
    const key = await ownKey();
    const config = { responseMimeType: 'application/json', responseJsonSchema: PLACE, maxOutputTokens: 64 };
    const answer = await google(key).models.generateContent({ model, contents: askingForDocument(INPUT), config });
    assert.deepEqual(JSON.parse(answer.text), INPUT);
    await assertBooked(key, 1, provider);
  });

  test(`${model}: the SDK runs a tool by itself`, async () => {
    const key = await ownKey();
    const tool = async () => TOOLS[0].functionDeclarations;
    const callTool = async (calls) => answering(calls);
    const tools = [{ tool: async () => ({ functionDeclarations: await tool() }), callTool }];
    const answer = await google(key).models.generateContent({ model, contents: askingForWeather(), config: { tools } });
    assertLast(answer.text);
    await assertBooked(key, 2, provider);
  });
}

test('a key that nobody has is an error of the SDK', async () => {
  const call = google({ key: UNKNOWN_KEY }).models.generateContent({ model: 'gpt-4o-mini', contents: 'Hello' });
  await assert.rejects(call, (error) => error instanceof ApiError && error.status === 401);
});

test("a provider's error is an error of the SDK", async () => {
  const key = await ownKey();
  for (const { model } of MODELS) {
    const call = google(key).models.generateContent({ model, contents: asking(1, 'status=400') });
    await assert.rejects(call, (error) => error instanceof ApiError && error.status === 400);
  }
});
