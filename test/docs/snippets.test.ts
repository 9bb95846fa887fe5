import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { emergent } from '../support/cli.js';
import { skip } from '../support/setup.js';
import { commandsAt, DOCUMENTS, NOT_RUN, placeOf, read } from './documents.js';
import { NO_SHELL, openCheckout, runSnippets } from './shell.js';
import { agrees, blocksOf, commandsOf } from './snippets.js';

const SPEED = '4 tokens, first after 78 ms, then 597 tokens/s';

/** Options of Deno, not of ours. test/package/runtimes passes them. */
const FOREIGN = ['--allow-all', '--allow-read'];

const TEXT = 'a\n```\n$ one\n1\n$ two\n```\nb\n```ts\nconst x = 1;\n```\n';

describe('snippets', () => {
  it('are the lines after `$ ` and their output', () => {
    assert.deepEqual(commandsOf(TEXT), [
      [
        { line: 3, command: 'one', output: ['1'] },
        { line: 5, command: 'two', output: [] },
      ],
    ]);
    assert.deepEqual(blocksOf(TEXT)[1], { language: 'ts', line: 9, text: 'const x = 1;\n' });
  });

  it('agree except for times, speeds and elided lines', () => {
    assert.ok(agrees('Tokyo\n4 tokens, first after 1.2 s, then 5 tokens/s\n', ['Tokyo', SPEED]));
    assert.ok(agrees('x\ny\nz\n', ['...', 'z']));
    assert.ok(agrees('z\n', ['...', 'z']));
    assert.ok(!agrees('Kyoto\n', ['Tokyo']));
    assert.ok(!agrees('Tokyo\nmore\n', ['Tokyo']));
    assert.ok(!agrees('5 tokens, first after 1.2 s, then 5 tokens/s\n', [SPEED]));
    assert.ok(!agrees('z\nmore\n', ['...', 'z']));
  });
});

describe('the documents', () => {
  it('have no command that no test runs, except those listed with a reason', () => {
    const all = DOCUMENTS.flatMap((document) => commandsOf(read(document)).flat());
    assert.deepEqual(
      all.filter((snippet) => !placeOf(snippet)).map(({ command }) => command),
      [],
    );
    for (const [beginning, reason] of Object.entries(NOT_RUN)) {
      assert.ok(
        all.some(({ command }) => command.startsWith(beginning)),
        `${beginning} is in no document`,
      );
      console.log(`      not run: ${beginning}: ${reason}`);
    }
  });

  it('name scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = DOCUMENTS.flatMap((document) => [...read(document).matchAll(/npm run (?:-s )?([a-z][\w:-]*)/g)]);
    assert.ok(named.length > 20);
    for (const [text, name] of named) assert.ok(name in scripts, text);
  });

  it('name options that exist', () => {
    const options = [
      ...readdirSync(new URL('../../src/cli/', import.meta.url)).map((name) => read(`src/cli/${name}`)),
      ...['golden/commands.py', 'bench/models.ts', 'bench/peers/run.ts'].map(read),
    ].flatMap((source) => [...source.matchAll(/['"](?:-\w, )?(--[a-z-]+)/g)].map(([, option]) => option));
    for (const document of ['README.md', 'golden/README.md'] as const) {
      for (const [option] of read(document).matchAll(/(?<=[\s`])--[a-z][a-z-]*/g)) {
        assert.ok([...options, ...FOREIGN, '--help'].includes(option), `${document}: ${option}`);
      }
    }
  });

  it('list every command in README', async () => {
    const { stdout } = await emergent(['--help']);
    const offered = [...stdout.split('Commands:')[1].matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name);
    const table = read('README.md').split('## Commands')[1].split('##')[0];
    const listed = [...table.matchAll(/^\| `(.*?)\|/gm)].flatMap(([, cell]) => cell.match(/(?<=^|, `)[a-z-]+/g));
    assert.deepEqual(listed.sort(), offered.filter((name) => name !== 'help').sort());
  });

  it('show what the first question prints', async function () {
    if (NO_SHELL) skip(this, NO_SHELL);
    const first = commandsAt('checkout')[0].snippets[0];
    assert.match(first.command, / ask /);
    const checkout = await openCheckout();
    await runSnippets([first], checkout).finally(() => rmSync(checkout, { recursive: true }));
  });
});
