// Vercel's `ai` with the providers' packages on models of every provider: texts, streams, tools in several steps, objects.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, Output, embedMany, generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';

import {
  INPUT, MODELS, PLACE, asking, askingForDocument, askingForWeather, assertBooked, assertLast, assertText, ownKey, weather,
} from './conversation.mjs';
import { UNKNOWN_KEY, baseUrl } from './server.mjs';

const v1 = `${baseUrl}/v1`;

/** How an application makes a model of each package. */
const PACKAGES = {
  'openai chat': (apiKey, model) => createOpenAI({ apiKey, baseURL: v1 }).chat(model),
  'openai responses': (apiKey, model) => createOpenAI({ apiKey, baseURL: v1 }).responses(model),
  anthropic: (apiKey, model) => createAnthropic({ apiKey, baseURL: v1 })(model),
  google: (apiKey, model) => createGoogleGenerativeAI({ apiKey, baseURL: `${baseUrl}/v1beta` })(model),
  'openai-compatible': (apiKey, model) =>
    createOpenAICompatible({
      name: 'caldera', apiKey, baseURL: v1, includeUsage: true, supportsStructuredOutputs: true,
    })(model),
};

const tools = {
  weather: tool({ description: 'The weather.', inputSchema: jsonSchema(PLACE), execute: weather }),
};
const steps = { maxRetries: 0, maxOutputTokens: 64, tools, stopWhen: stepCountIs(3) };

/** A key is bound to the words that its holder speaks. */
function keyFor(name) {
  return ownKey({ request_shape: name === 'anthropic' ? 'anthropic' : 'openai' });
}

for (const [name, open] of Object.entries(PACKAGES)) {
  for (const { model, provider } of MODELS) {
    test(`${name}, ${model}: a text is made and billed`, async () => {
      const key = await keyFor(name);
      const question = { system: 'Be brief.', prompt: asking(10), maxOutputTokens: 64, temperature: 0.5, maxRetries: 0 };
      const { text, usage, finishReason } = await generateText({ model: open(key.key, model), ...question });
      assertText(text, 10);
      assert.deepEqual([finishReason, usage.outputTokens], ['stop', 10]);
      assert.ok(usage.inputTokens > 0);
      await assertBooked(key, 1, provider);
    });

    test(`${name}, ${model}: a stream comes in pieces`, async () => {
      const key = await keyFor(name);
      const question = { prompt: asking(12, 'split=5'), maxOutputTokens: 64, maxRetries: 0 };
      const stream = streamText({ model: open(key.key, model), ...question });
      const pieces = [];
      for await (const piece of stream.textStream) pieces.push(piece);
      assert.equal(pieces.length, 12);
      assertText(pieces.join(''), 12);
      assert.deepEqual([await stream.finishReason, (await stream.usage).outputTokens], ['stop', 12]);
      await assertBooked(key, 1, provider);
    });

    test(`${name}, ${model}: a tool is called, two at once, and its results are read`, async () => {
      const key = await keyFor(name);
      const answer = await generateText({ model: open(key.key, model), prompt: askingForWeather(2), ...steps });
      assert.deepEqual(answer.steps[0].toolCalls.map((call) => call.input), [INPUT, INPUT]);
      assert.equal(answer.steps.length, 2);
      assertLast(answer.text);
      await assertBooked(key, 2, provider);
    });

    test(`${name}, ${model}: a tool is called and read in a stream`, async () => {
      const key = await keyFor(name);
      const stream = streamText({ model: open(key.key, model), prompt: askingForWeather(), ...steps });
      assertLast(await stream.text);
      assert.deepEqual((await stream.steps)[0].toolCalls.map((call) => call.input), [INPUT]);
      await assertBooked(key, 2, provider);
    });

    test(`${name}, ${model}: an object of a schema is made, whole and streamed`, async () => {
      const key = await keyFor(name);
      const question = { prompt: askingForDocument(INPUT), maxOutputTokens: 64, maxRetries: 0 };
      const asked = { model: open(key.key, model), ...question };
      assert.deepEqual((await generateObject({ ...asked, schema: jsonSchema(PLACE) })).object, INPUT);
      const stream = streamText({ ...asked, output: Output.object({ schema: jsonSchema(PLACE) }) });
      assert.deepEqual(await stream.output, INPUT);
      await assertBooked(key, 2, provider);
    });
  }

  test(`${name}: an error has its status and its message`, async () => {
    const call = generateText({ model: open(UNKNOWN_KEY, MODELS[0].model), prompt: 'Hello', maxRetries: 0 });
    await assert.rejects(call, (error) => {
      assert.ok(APICallError.isInstance(error), String(error));
      assert.equal(error.statusCode, 401);
      assert.match(error.message, /key/);
      return true;
    });
  });
}

test('texts are embedded', async () => {
  const key = await ownKey();
  const openai = createOpenAI({ apiKey: key.key, baseURL: v1 });
  const { embeddings, usage } = await embedMany({ model: openai.embedding('text-embedding-3-small'), values: ['a', 'b'] });
  assert.equal(embeddings.length, 2);
  assert.ok(embeddings.every((embedding) => embedding.length > 0) && usage.tokens > 0);
  await key.rows(1);
});
