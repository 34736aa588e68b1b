// LangChain's chat models on models of every provider: answers, streams, bound tools and structured output.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ChatAnthropic } from '@langchain/anthropic';
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatGoogleGenerativeAI } from '@langchain/google-genai';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { z } from 'zod';

import {
  INPUT, MODELS, askingForDocument, askingForWeather, asking, assertBooked, assertLast, assertText, calling, ownKey, weather,
} from './conversation.mjs';
import { baseUrl } from './server.mjs';

const configuration = { baseURL: `${baseUrl}/v1` };
const plain = { maxRetries: 0, maxTokens: 64 };

/** How an application makes a model of each package. */
const PACKAGES = {
  'openai chat': (apiKey, model) => new ChatOpenAI({ apiKey, model, configuration, ...plain }),
  'openai responses': (apiKey, model) => new ChatOpenAI({ apiKey, model, configuration, useResponsesApi: true, ...plain }),
  anthropic: (apiKey, model) => new ChatAnthropic({ apiKey, model, anthropicApiUrl: baseUrl, ...plain }),
  google: (apiKey, model) => new ChatGoogleGenerativeAI({ apiKey, model, baseUrl, maxRetries: 0, maxOutputTokens: 64 }),
};

const schema = z.object({ place: z.string().describe('The name of a town.') });
const forecast = tool(weather, { name: 'weather', description: 'The weather.', schema });

/** Runs what was called and asks again. */
async function answered(bound, messages, said) {
  assert.deepEqual(said.tool_calls.map((call) => [call.name, call.args]), Array(said.tool_calls.length).fill(['weather', INPUT]));
  const results = await Promise.all(said.tool_calls.map((call) => forecast.invoke(call)));
  assert.ok(results.every((result) => result instanceof ToolMessage));
  return bound.invoke([...messages, said, ...results]);
}

async function gathered(stream) {
  let whole;
  let count = 0;
  for await (const chunk of stream) {
    count += chunk.text ? 1 : 0;
    whole = whole ? whole.concat(chunk) : chunk;
  }
  return { whole, count };
}

/** A key is bound to the words that its holder speaks. */
function keyFor(name) {
  return ownKey({ request_shape: name === 'anthropic' ? 'anthropic' : 'openai' });
}

for (const [name, open] of Object.entries(PACKAGES)) {
  for (const { model, provider } of MODELS) {
    test(`${name}, ${model}: a conversation is answered and billed`, async () => {
      const key = await keyFor(name);
      const answer = await open(key.key, model).invoke([new SystemMessage('Be brief.'), new HumanMessage(asking(10))]);
      assertText(answer.text, 10);
      assert.equal(answer.usage_metadata.output_tokens, 10);
      assert.ok(answer.usage_metadata.input_tokens > 0);
      await assertBooked(key, 1, provider);
    });

    test(`${name}, ${model}: a stream comes in pieces`, async () => {
      const key = await keyFor(name);
      const { whole, count } = await gathered(await open(key.key, model).stream(asking(12, 'split=5')));
      assertText(whole.text, 12);
      assert.ok(count >= 12, `${count} pieces`);
      // It counts the token with which Anthropic's streams begin twice.
      assert.ok([12, 13].includes(whole.usage_metadata.output_tokens), `${whole.usage_metadata.output_tokens} tokens`);
      await assertBooked(key, 1, provider);
    });

    test(`${name}, ${model}: two calls of a bound tool are answered`, async () => {
      const key = await keyFor(name);
      const bound = open(key.key, model).bindTools([forecast]);
      const messages = [new HumanMessage(askingForWeather(2))];
      const said = await bound.invoke(messages);
      assert.equal(said.tool_calls.length, 2);
      assertLast((await answered(bound, messages, said)).text);
      await assertBooked(key, 2, provider);
    });

    test(`${name}, ${model}: a call of a bound tool is streamed`, async () => {
      const key = await keyFor(name);
      const bound = open(key.key, model).bindTools([forecast]);
      const messages = [new HumanMessage(askingForWeather())];
      const { whole } = await gathered(await bound.stream(messages));
      assert.equal(whole.tool_calls.length, 1);
      assertLast((await answered(bound, messages, whole)).text);
      await assertBooked(key, 2, provider);
    });

    test(`${name}, ${model}: output has the structure that was asked for`, async () => {
      const key = await keyFor(name);
      const client = open(key.key, model);
      const document = client.withStructuredOutput(schema, { name: 'town', method: 'jsonSchema' });
      assert.deepEqual(await document.invoke(askingForDocument(INPUT)), INPUT);
      const called = client.withStructuredOutput(schema, { name: 'town', method: 'functionCalling' });
      assert.deepEqual(await called.invoke(`Where is it? ${calling('town', INPUT)}`), INPUT);
      await assertBooked(key, 2, provider);
    });
  }
}

test('texts are embedded', async () => {
  const key = await ownKey();
  const embeddings = new OpenAIEmbeddings({ apiKey: key.key, model: 'text-embedding-3-small', configuration, encodingFormat: 'float' });
  const vectors = await embeddings.embedDocuments(['a', 'b']);
  assert.equal(vectors.length, 2);
  assert.ok(vectors.every((vector) => vector.length > 0));
  await key.rows(1);
});
