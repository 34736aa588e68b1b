// Holds what a client's methods answered against the types that its package ships: each answer is written as a constant
// of TypeScript and assigned to the type that its method promises. Fields that a type does not name are no fault.
import assert from 'node:assert/strict';
import { join } from 'node:path';

import ts from 'typescript';

const OPTIONS = {
  lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
  module: ts.ModuleKind.NodeNext,
  noEmit: true,
  // What the packages declare for themselves is not what is checked here.
  skipLibCheck: true,
  strict: true,
  target: ts.ScriptTarget.ES2022,
  types: [],
};

const PRELUDE = `
type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
declare function exactly<const T extends Json>(value: T): T;
type Answer<F extends (...parameters: any[]) => unknown> = Awaited<ReturnType<F>>;
`;

/** The client with resources that remember what each of their methods answered. */
export function recording(client) {
  const answers = [];
  const recorded = Object.create(client);
  for (const [resource, value] of resourcesOf(client)) {
    const get = (target, name) => {
      const member = target[name];
      if (typeof member !== 'function') return member;
      return async (...parameters) => {
        const answer = await member.apply(target, parameters);
        answers.push({ resource, method: name, answer });
        return answer;
      };
    };
    Object.defineProperty(recorded, resource, { value: new Proxy(value, { get }) });
  }
  return { client: recorded, answers };
}

/** Every method of every resource of a client, as `meters.list`. */
export function methodsOf(client) {
  return resourcesOf(client).flatMap(([resource, value]) => {
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(value));
    return names.filter((name) => name !== 'constructor').map((name) => `${resource}.${name}`);
  });
}

/** What the compiler says of answers whose types are others, by their place; nothing where they fit. */
export function misfits(packageName, answers) {
  const lines = answers.flatMap(({ resource, method, answer }, place) => [
    `const value${place} = exactly(${JSON.stringify(withoutLastCursor(answer))});`,
    `const answer${place}: Answer<Lava['${resource}']['${method}']> = value${place};`,
  ]);
  const text = `import { Lava } from '${packageName}';${PRELUDE}${lines.join('\n')}\n`;
  const firstLine = text.split('\n').length - 1 - lines.length;
  const found = new Map();
  for (const { file, start, messageText } of diagnose(text)) {
    const message = ts.flattenDiagnosticMessageText(messageText, '\n');
    assert.ok(file, message);
    const place = Math.floor((file.getLineAndCharacterOfPosition(start).line - firstLine) / 2);
    assert.ok(place >= 0, message);
    found.set(place, message);
  }
  return found;
}

function resourcesOf(client) {
  return Object.entries(client).filter(([, value]) => value?.lava === client);
}

/** The last page says `next_cursor: null`, as the documents have it; the packages type it as a text or absent. */
function withoutLastCursor({ next_cursor: cursor, ...rest }) {
  return cursor === null || cursor === undefined ? rest : { ...rest, next_cursor: cursor };
}

/** Compiles one file of this text, which is nowhere on the disk, among this directory's packages. */
function diagnose(text) {
  const path = join(import.meta.dirname, 'answers.mts');
  const host = ts.createCompilerHost(OPTIONS);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (name) => name === path || fileExists(name);
  host.getSourceFile = (name, ...more) =>
    name === path ? ts.createSourceFile(name, text, OPTIONS.target) : getSourceFile(name, ...more);
  return ts.getPreEmitDiagnostics(ts.createProgram([path], OPTIONS, host));
}
