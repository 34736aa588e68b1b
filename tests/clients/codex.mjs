// Codex on models of every provider: it runs a command by its own tool and tells the answer behind that.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { MODELS, assertBooked, assertLast, calling, ownKey } from './conversation.mjs';
import { WEATHER_FILE, inDirectory, run } from './program.mjs';
import { baseUrl } from './server.mjs';

const PROGRAM = '@openai/codex/bin/codex.js';

const CONFIGURATION = `
model_provider = "caldera"
check_for_update_on_startup = false

[model_providers.caldera]
name = "Caldera"
base_url = "${baseUrl}/v1"
env_key = "CALDERA_KEY"
wire_api = "responses"
`;

/** One run without a person; its events. */
async function codex({ home, work }, { model, prompt, key }) {
  const directory = join(home, 'codex');
  await mkdir(directory);
  await writeFile(join(directory, 'config.toml'), CONFIGURATION);
  const free = ['--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox'];
  const parameters = ['exec', ...free, '--json', '--model', model, prompt];
  const variables = { CODEX_HOME: directory, CALDERA_KEY: key };
  const printed = await run(PROGRAM, parameters, { home, work, variables });
  return printed.trim().split('\n').map((line) => JSON.parse(line));
}

// Of the last it knows that it takes tools of other kinds, and offers them.
for (const { model, provider } of [...MODELS, { model: 'gpt-5.5', provider: 'openai' }]) {
  test(`${model}: a command is run by a tool, and the answer behind it is told`, () =>
    inDirectory(async (directory) => {
      const key = await ownKey();
      const prompt = `How is it? ${calling('exec_command', { cmd: `cat ${WEATHER_FILE}` })}`;
      const events = await codex(directory, { model, prompt, key: key.key });
      const done = (type) => events.filter((event) => event.type === 'item.completed' && event.item.type === type);
      assert.deepEqual(done('command_execution').map(({ item }) => item.exit_code), [0], JSON.stringify(events));
      assert.equal(done('agent_message').length, 1);
      assertLast(done('agent_message')[0].item.text);
      const { usage } = events.find((event) => event.type === 'turn.completed');
      assert.ok(usage.input_tokens > 0 && usage.output_tokens > 0, JSON.stringify(usage));
      await assertBooked(key, 2, provider);
    }));
}
