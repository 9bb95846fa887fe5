import assert from 'node:assert/strict';
import { CommanderError, type Command, type Option } from 'commander';
import { askCommand } from '../../../src/cli/ask.js';
import { benchCommand } from '../../../src/cli/bench.js';
import { buildTokenizerCommand } from '../../../src/cli/buildTokenizer.js';
import { calibrateCommand } from '../../../src/cli/calibrate.js';
import { compareCommand } from '../../../src/cli/compare.js';
import { convertCommand } from '../../../src/cli/convert.js';
import { generateCommand } from '../../../src/cli/generate.js';
import { importCommand } from '../../../src/cli/import.js';
import { inspectCommand } from '../../../src/cli/inspect.js';
import { logitLensCommand } from '../../../src/cli/logitLens.js';
import { logitsCommand } from '../../../src/cli/logits.js';
import { makeCheckpointCommand } from '../../../src/cli/makeCheckpoint.js';
import { neighborsCommand } from '../../../src/cli/neighbors.js';
import { decimal, integer, integers } from '../../../src/cli/numbers.js';
import { perplexityCommand } from '../../../src/cli/perplexity.js';
import { playCommand } from '../../../src/cli/play.js';
import { recordCommand } from '../../../src/cli/record.js';
import { serveCommand } from '../../../src/cli/serve.js';
import { tokenizeCommand } from '../../../src/cli/tokenize.js';
import { tourCommand } from '../../../src/cli/tour.js';
import { traceCommand } from '../../../src/cli/trace.js';
import { verifyCommand } from '../../../src/cli/verify.js';

const COMMANDS: readonly Command[] = [
  ...[askCommand(), benchCommand(), buildTokenizerCommand(), calibrateCommand(), convertCommand(), generateCommand()],
  ...[inspectCommand(), logitLensCommand(), logitsCommand(), makeCheckpointCommand(), neighborsCommand()],
  ...[perplexityCommand(), tokenizeCommand(), tourCommand(), traceCommand(), verifyCommand(), compareCommand()],
  ...[importCommand(), playCommand(), recordCommand(), serveCommand()],
];

/** Values that a numeric option accepts, and values out of its range. */
const VALUES: Record<string, { good: readonly string[]; bad: readonly string[]; range: RegExp }> = {
  '--threads': { good: ['1', '256'], bad: ['0', '-1', '257', '2.5'], range: /an integer from 1 to 256/ },
  '--max-new-tokens': { good: ['0', '1'], bad: ['-1', '1.5', '1e3'], range: /an integer of at least 0/ },
  '--temperature': {
    good: ['0', '.5', '1e-3'],
    bad: ['-0.1', 'NaN', 'Infinity', '1e999'],
    range: /a number of at least 0/,
  },
  '--top-k': { good: ['0', '40'], bad: ['-3', '1.5'], range: /an integer of at least 0/ },
  '--top-p': { good: ['1', '0.9'], bad: ['0', '1.01', '-1'], range: /a number above 0 and at most 1/ },
  '--seed': { good: ['0', '-7', '9007199254740991'], bad: ['1.5', '9007199254740993', 'x'], range: /an integer/ },
  '--repetition-penalty': {
    good: ['1', '1e-269'],
    bad: ['0', '-1', '1e-300', '1e300'],
    range: /from 1e-269 to 1e\+269/,
  },
  '--chunk': { good: ['1'], bad: ['0', '-2', '0.5'], range: /an integer of at least 1/ },
  '--tokens': {
    good: ['0', '1, 2,3'],
    bad: ['-1', '1,,2', '1.5', '1,9007199254740993'],
    range: /a list of token ids|an integer/,
  },
  '--max-tokens': { good: ['2'], bad: ['1', '0', '-5'], range: /an integer of at least 2/ },
  '--layer': { good: ['0'], bad: ['-1', '0.5'], range: /an integer of at least 0/ },
  '--count': { good: ['1'], bad: ['0', '-1'], range: /an integer of at least 1/ },
  '--prefill': { good: ['1,16'], bad: ['0', '16,0', '-4', 'x'], range: /lengths|an integer of at least 1/ },
  '--decode': { good: ['16'], bad: ['0', '1;2'], range: /lengths|an integer of at least 1/ },
  '--steps': { good: ['1'], bad: ['0', '-8'], range: /an integer of at least 1/ },
  '--vocab-size': { good: ['256', '55296'], bad: ['255', '55297', '-1'], range: /an integer from 256 to 55296/ },
  '--port': { good: ['0', '65535'], bad: ['-1', '65536', '80.5'], range: /an integer from 0 to 65535/ },
  '--max-queue': { good: ['0'], bad: ['-1', '100001'], range: /an integer from 0 to 100000/ },
  '--max-sequences': { good: ['1'], bad: ['0', '1025'], range: /an integer from 1 to 1024/ },
  '--top': { good: ['1'], bad: ['0', '-1'], range: /an integer of at least 1/ },
};

/** Options that may be repeated: their parsers collect texts. */
const TEXTS: readonly (string | undefined)[] = ['--config', '--patch'];

const isNumeric = ({ long, parseArg, argChoices }: Option): boolean =>
  parseArg !== undefined && argChoices === undefined && !TEXTS.includes(long);

/** What a command says about one option, before it does anything. */
function refusal(command: Command, option: string, value: string): string {
  let said = '';
  command.exitOverride().configureOutput({ outputError: (text) => (said += text) });
  assert.throws(() => command.parse([option, value], { from: 'user' }), CommanderError);
  return said;
}

describe('numbers on the command line', () => {
  for (const command of COMMANDS) {
    for (const option of command.options.filter(isNumeric)) {
      const name = option.long!;
      it(`${command.name()} ${name} has a range`, () => {
        const { good, bad, range } = VALUES[name];
        for (const value of [...bad, '', ' ']) {
          const message = refusal(command, name, value);
          assert.ok(message.includes(`option '${option.flags}'`), message);
          assert.match(message, range);
        }
        for (const value of good) assert.doesNotThrow(() => option.parseArg!(value, undefined), value);
      });
    }
  }

  it('no option takes a number without a range', () => {
    const words = /<(n|k|p|r|t|ids|lengths)>/;
    const unchecked = COMMANDS.flatMap(({ options }) => options.filter((it) => words.test(it.flags) && !isNumeric(it)));
    assert.deepEqual(unchecked, []);
    const checked = COMMANDS.flatMap(({ options }) => options.filter(isNumeric).map(({ long }) => long!));
    assert.deepEqual(new Set(checked), new Set(Object.keys(VALUES)), 'every row of the table belongs to an option');
  });

  it('are decimal', () => {
    assert.deepEqual(['7', '+7', '-7', '007'].map(integer()), [7, 7, -7, 7]);
    assert.deepEqual(['1', '-.5', '2.', '1E3'].map(decimal(-1)), [1, -0.5, 2, 1000]);
    assert.deepEqual(integers('ids', 0)(' 1 ,2'), [1, 2]);
    for (const text of ['0x10', '1_000', '１', '1,5', '--1', '1 2', '0b1']) {
      assert.throws(() => integer()(text), /must be an integer\.$/, text);
      assert.throws(() => decimal(0)(text), /must be a number of at least 0\.$/, text);
    }
  });
});
