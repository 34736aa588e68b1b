// Claude Code on models of every provider: it reads a file by its own tool and tells the answer behind that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join } from 'node:path';

import { MODELS, asking, assertBooked, assertLast, assertText, calling, ownKey } from './conversation.mjs';
import { WEATHER_FILE, inDirectory, run } from './program.mjs';
import { baseUrl } from './server.mjs';

// Its package's own way to start the program where no script ran when it was installed.
const PROGRAM = '@anthropic-ai/claude-code/cli-wrapper.cjs';

/** One headless run; what it printed at its end. */
async function claude({ home, work }, { model, prompt, variables }) {
  const parameters = ['-p', prompt, '--model', model, '--output-format', 'json', '--allowedTools', 'Read'];
  const quiet = { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_AUTOUPDATER: '1' };
  const settings = { ANTHROPIC_BASE_URL: baseUrl, CLAUDE_CONFIG_DIR: join(home, 'config'), ...quiet, ...variables };
  return JSON.parse(await run(PROGRAM, parameters, { home, work, variables: settings }));
}

for (const { model, provider } of MODELS) {
  test(`${model}: a file is read by a tool, and the answer behind it is told`, () =>
    inDirectory(async (directory) => {
      const key = await ownKey({ request_shape: 'anthropic' });
      const prompt = `How is it? ${calling('Read', { file_path: join(directory.work, WEATHER_FILE) })}`;
      const variables = { ANTHROPIC_AUTH_TOKEN: key.key };
      const end = await claude(directory, { model, prompt, variables });
      assert.deepEqual([end.subtype, end.is_error, end.num_turns], ['success', false, 2], JSON.stringify(end));
      assertLast(end.result);
      assert.ok(end.usage.input_tokens > 0 && end.usage.output_tokens > 0, JSON.stringify(end.usage));
      await assertBooked(key, 2, provider);
    }));

  test(`${model}: tools that it finds by a search can be called`, () =>
    inDirectory(async (directory) => {
      const key = await ownKey({ request_shape: 'anthropic' });
      const prompt = `Look for it. ${calling('ToolSearch', { query: 'select:WebFetch', max_results: 3 })}`;
      const end = await claude(directory, { model, prompt, variables: { ANTHROPIC_API_KEY: key.key } });
      assert.deepEqual([end.is_error, end.num_turns], [false, 2], JSON.stringify(end));
      await assertBooked(key, 2, provider);
    }));
}

test('a name of its own stands for the model that its environment says', () =>
  inDirectory(async (directory) => {
    const key = await ownKey({ request_shape: 'anthropic' });
    const variables = { ANTHROPIC_AUTH_TOKEN: key.key, ANTHROPIC_DEFAULT_HAIKU_MODEL: MODELS[0].model };
    const end = await claude(directory, { model: 'haiku', prompt: asking(10), variables });
    assertText(end.result, 10);
    await assertBooked(key, 1, MODELS[0].provider);
  }));
