/**
 * Feeds mutated files to every reader. A reader may succeed or throw an EmergentError of one line, within seconds:
 *
 *     npm run fuzz [-- --seconds 60 --seed 1 --only golden]
 *
 * With a Python that has the packages safetensors and tokenizers (golden/.venv, python3 or EMERGENT_PYTHON), it also
 * compares with them. A finding prints the target and the number of its case; `--only TARGET --case N` runs it alone.
 */
import { Command, InvalidArgumentError } from 'commander';
import { mersenne } from 'pure-rand/generator/mersenne';
import { EmergentError, messageOf } from '../../reference/lib/errors.js';
import { visible } from '../../src/lib/quote.js';
import { differentialTargets } from './differential.js';
import { randomOf } from './mutate.js';
import { findPython, startOracle } from './python.js';
import { TARGETS } from './targets.js';

const python = findPython();
if (!python) console.log('fuzz: not compared with Python: no python3 has the packages safetensors and tokenizers');
const targets = { ...TARGETS, ...(python ? differentialTargets(startOracle(python)) : {}) };

/** A case that takes longer is a finding: no input here has more than a megabyte. */
const MAX_MS = 3000;
const MAX_FINDINGS = 20;

function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It is not a count.');
  return Number(text);
}

const options = new Command('fuzz')
  .option('--seconds <n>', 'how long to look', count, 30)
  .option('--seed <n>', 'repeats a run', count, Math.floor(Date.now() / 1000) % 1_000_000)
  .option('--only <target>', `one of ${Object.keys(targets).join(', ')}`)
  .option('--case <n>', 'runs one case of --only', count)
  .parse()
  .opts<{ seconds: number; seed: number; only?: string; case?: number }>();

if (options.only !== undefined && !Object.hasOwn(targets, options.only)) {
  process.stderr.write(`fuzz: unknown target '${options.only}'; choose one of: ${Object.keys(targets).join(', ')}\n`);
  process.exit(2);
}
const names = options.only === undefined ? Object.keys(targets) : [options.only];

/** What is wrong with how a target took case n; null if nothing is. Errors of the same text are one finding. */
async function faultOf(name: string, n: number): Promise<{ text: string; stack: string } | null> {
  const random = randomOf(mersenne(options.seed * 1_000_003 + n));
  const begun = performance.now();
  try {
    await targets[name](random);
  } catch (error) {
    const message = messageOf(error);
    const stack = error instanceof Error ? (error.stack ?? '') : '';
    if (!(error instanceof EmergentError)) return { text: `throws ${String(error).split('\n')[0]}`, stack };
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    if (/[\u0000-\u001f\u007f]/.test(message))
      return { text: `message with control characters: ${visible(message)}`, stack };
    if (message.length > 1000) return { text: `message of ${message.length} characters`, stack };
    if (message === '') return { text: 'empty message', stack };
  }
  const ms = performance.now() - begun;
  return ms > MAX_MS ? { text: `takes ${(ms / 1000).toFixed(0)} s`, stack: '' } : null;
}

console.log(`fuzz: seed ${options.seed}, ${options.seconds} s, ${names.join(', ')}`);
const findings = new Map<string, string>();
const cases = new Map(names.map((name) => [name, 0]));
const end = performance.now() + 1000 * options.seconds;
const first = options.case ?? 0;
for (let n = first; performance.now() < end && findings.size < MAX_FINDINGS; n++) {
  for (const name of names) {
    const fault = await faultOf(name, n);
    cases.set(name, cases.get(name)! + 1);
    if (!fault) continue;
    const key = `${name}: ${fault.text.slice(0, 160)}`;
    if (findings.has(key)) continue;
    findings.set(key, fault.stack);
    console.log(`${key}\n  repeat with --seed ${options.seed} --only ${name} --case ${n}`);
    if (options.case !== undefined) console.log(fault.stack);
  }
  if (options.case !== undefined) break;
}
console.log([...cases].map(([name, done]) => `${name} ${done}`).join(', '));
console.log(findings.size === 0 ? 'fuzz: nothing found' : `fuzz: ${findings.size} findings`);
process.exit(findings.size === 0 ? 0 : 1);
