// The conversation that every client holds with every model: an answer of a known length, and a tool whose result decides
// how long the last answer is, so that a result which does not reach the model is noticed.
import assert from 'node:assert/strict';

import { eventually, manage, mint } from './server.mjs';

/**
 * The models that each client is tried on, by provider. A further one is a line here; the suite gives the provider its
 * credential and its address.
 */
export const MODELS = [
  { model: 'gpt-4o-mini', provider: 'openai' },
  { model: 'claude-haiku-4-5', provider: 'anthropic' },
  { model: 'google/gemini-2.5-flash', provider: 'google' },
  { model: 'bedrock/anthropic.claude-haiku-4-5-20251001-v1:0', provider: 'bedrock' },
];

// One token of the simulated provider is three letters and a space.
const TOKEN_CHARACTERS = 4;

/** What is asked for an answer of that many tokens. */
export function asking(tokens, more = '') {
  return `Hello [[sim output_tokens=${tokens} ${more}]]`;
}

export const PLACE = {
  type: 'object',
  properties: { place: { type: 'string', description: 'The name of a town.' } },
  required: ['place'],
  additionalProperties: false,
};

export const INPUT = { place: 'Graz' };

/** What has the model call the tool `weather`, so many times in one answer. */
export function askingForWeather(count = 1) {
  return `How is it in Graz? ${calling('weather', INPUT, count)}`;
}

/** What has the model answer with this document. */
export function askingForDocument(document) {
  return `Where is it? [[sim say=${hexadecimal(JSON.stringify(document))}]]`;
}

/** A directive that has the model call a tool with this input. */
export function calling(name, input, count = 1) {
  return `[[sim call_tool=${name} call_tools=${count} tool_input=${hexadecimal(JSON.stringify(input))}]]`;
}

function hexadecimal(text) {
  return Buffer.from(text).toString('hex');
}

// The length of the answer behind the tool's result.
const LAST_TOKENS = 21;

/** The tool. Nothing but its result asks for the last answer's length. */
export function weather({ place }) {
  assert.equal(place, INPUT.place);
  return `Rain. [[sim output_tokens=${LAST_TOKENS}]]`;
}

/** The text is whole, to the last letter; clients may trim it. */
export function assertText(text, tokens) {
  assert.equal(typeof text, 'string');
  assert.equal(text.trim().length, tokens * TOKEN_CHARACTERS - 1, text);
}

/** The last answer of a conversation with a tool. */
export function assertLast(text) {
  assertText(text, LAST_TOKENS);
}

/** A spend key of its own for a test, and what was booked on it. */
export async function ownKey(limits = {}) {
  const { key, spend_key_id: id } = await mint({ spend_limit: { amount: '5.00', cycle: 'daily' }, ...limits });
  return { key, rows: (count) => rows(id, count) };
}

/** The rows of a key once there are that many, newest first, and never more. */
async function rows(id, count) {
  const read = () => manage('GET', `requests?spend_key_id=${id}&limit=100`);
  const { data } = await eventually(`row ${count}`, read, (list) => list.data.length >= count);
  assert.equal(data.length, count);
  return data;
}

/** That so many calls were made of this provider, each with the usage that it reported. */
export async function assertBooked(key, count, provider) {
  for (const row of await key.rows(count)) {
    assert.deepEqual([row.provider, row.usage_source, row.http_status], [provider, 'provider', 200]);
    assert.ok(row.model_usage.input_tokens > 0 && row.model_usage.output_tokens > 0, JSON.stringify(row.model_usage));
    assert.ok(Number(row.cost) > 0, row.cost);
  }
}
