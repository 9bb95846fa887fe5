import { styleText } from 'node:util';
import { Argument, Command } from 'commander';
import { InputError } from '../../reference/lib/errors.js';
import type { Tensor } from '../../reference/lib/tensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import { softmax } from '../../reference/softmax.js';
import { requireFiniteTensor } from '../finite.js';
import { visible } from '../lib/quote.js';
import { askPrompt, type LanguageModel } from '../languageModel.js';
import { integer } from './numbers.js';
import { addModelOptions, openLanguageModel, type ModelFlags } from './options.js';

const QUESTION = 'What is the capital of Japan?';

interface TourFlags extends ModelFlags {
  layer?: number;
}

/** A named activation, as the trace hands it over. */
interface Stop {
  name: string;
  value: Tensor;
}

/** What each activation is, and the file that computes it. The names of a block's activations lack their prefix. */
const GUIDE: Record<string, [what: string, file: string]> = {
  embedding: ['one frozen code per token', 'embedding.ts'],
  expanded: ['each element repeated C / E times', 'repeatInterleave.ts'],
  attn_norm: ['each token scaled to mean 0, variance 1', 'layerNorm.ts'],
  q: ['queries: what each token looks for', 'linear.ts'],
  k: ['keys: what each token offers', 'linear.ts'],
  v: ['values: what each token passes on', 'linear.ts'],
  q_rot: ['queries rotated by their position', 'rope.ts'],
  k_rot: ['keys rotated by their position', 'rope.ts'],
  attn: ['softmax-weighted sum of earlier values', 'attention.ts'],
  attn_out: ['heads mixed by the output projection', 'linear.ts'],
  resid_mid: ['attention added to the residual stream', 'add.ts'],
  ffn_norm: ['each token normalized again', 'layerNorm.ts'],
  ffn_up: ['feed-forward: C up to 4C', 'feedForward.ts'],
  ffn_act: ['the nonlinearity, x Φ(x)', 'gelu.ts'],
  ffn_out: ['feed-forward: 4C down to C', 'feedForward.ts'],
  resid: ['feed-forward added to the stream', 'add.ts'],
  final_norm: ['the last LayerNorm', 'layerNorm.ts'],
  logits: ['a score for every possible next token', 'lmHead.ts'],
};

const WIDTH = 80;
const FILE_COLUMN = 51;
const NUMBERS = 4;
const GUESSES = 5;

/** What ends the tour; the last two are Ctrl-C and Ctrl-D. */
const QUIT = ['q', 'Q', '\u0003', '\u0004'];

export function tourCommand(): Command {
  return addModelOptions(new Command('tour'))
    .description('Walk through one forward pass of the reference, op by op.')
    .addArgument(new Argument('[question...]', 'what to ask the model').default([QUESTION], `"${QUESTION}"`))
    .option('--layer <n>', 'after the first block, show only this layer, in full', integer(0))
    .addHelpText(
      'after',
      `
On a terminal, Enter goes to the next op and q quits.

Examples:
  emergent tour
  emergent tour --layer 3 "What is the currency of Brazil?"`,
    )
    .action(async (words: string[], flags: TourFlags) => {
      const question = words.join(' ').trim();
      if (question === '') throw new InputError('the question is empty');
      const model = await openLanguageModel({ ...flags, backend: 'reference' });
      const { nLayer } = model.config;
      if (flags.layer !== undefined && flags.layer >= nLayer) {
        throw new InputError(`--layer must be between 0 and ${nLayer - 1}, got ${flags.layer}`);
      }
      await walk(model, askPrompt(question), flags.layer);
    });
}

async function walk(model: LanguageModel, prompt: string, layer: number | undefined): Promise<void> {
  const ids = model.tokenizer.encode(prompt);
  const session = await model.openSession('reference');
  const stops: Stop[] = [];
  const trace: Trace = (name, value) => {
    stops.push({ name, value });
  };
  const logits = await session.forward(ids, { logits: 'last', trace });
  await session.dispose();
  for (const { name, value } of stops) requireFiniteTensor(name, value);

  print(introduction(model, prompt, ids));
  for (const lines of [...itinerary(stops, layer)]) {
    print(lines);
    if (await asksToQuit()) return;
  }
  print(prediction(model, logits));
}

function introduction({ config, tokenizer }: LanguageModel, prompt: string, ids: readonly number[]): string[] {
  const { modelType, nLayer: L, dModel: C, nEmbed: E, nHead: H } = config;
  const tokens = `${ids.length} tokens: ${ids.map((id) => tokenizer.token(id)).join('·')}`;
  return [
    ...prompt.split('\n').map((line) => bold(clip(visible(line)))),
    clip(visible(tokens.replaceAll('\n', '⏎'))),
    `${visible(modelType)}: L = ${L} layers, C = ${C}, E = ${E}, H = ${H} heads of D = ${C / H}`,
    `Numbers are the first ${NUMBERS} of the last token; rms is over all tokens.`,
    '',
  ];
}

/** The lines of each step: the first block and the chosen layer in full, other layers in one line unless one is chosen. */
function* itinerary(stops: readonly Stop[], chosen: number | undefined): Generator<string[]> {
  for (const [i, stop] of stops.entries()) {
    const layer = layerOf(stop);
    if (layer === null || layer === 0 || layer === chosen) yield describe(stop);
    else if (chosen === undefined && layerOf(stops[i + 1]) !== layer) yield summarize(layer, stop);
  }
}

/** The layer that an activation belongs to, null outside of the blocks. */
function layerOf({ name }: Stop): number | null {
  const match = /^layers\.(\d+)\./.exec(name);
  return match && Number(match[1]);
}

function describe({ name, value }: Stop): string[] {
  const [what, file] = GUIDE[name.replace(/^layers\.\d+\./, '')];
  const [title, shape] = [`${name.padEnd(20)} ${what}`, `[${value.shape.join(', ')}]`];
  const width = value.shape[1];
  const first = [...value.data.subarray(value.data.length - width)].slice(0, NUMBERS).map(number);
  const more = width > NUMBERS ? ' …' : '';
  return [
    title.replace(name, bold(name)) + shape.padStart(WIDTH - title.length),
    withFile(`  rms ${rms(value)}  ${first.join('')}${more}`, file),
    '',
  ];
}

function summarize(layer: number, { value }: Stop): string[] {
  return [withFile(`${`layers.${layer}`.padEnd(20)} same block, rms ${rms(value)}`, 'block.ts'), ''];
}

/** A line that ends with the file to read, which begins at the same column in all of them. */
function withFile(text: string, file: string): string {
  return text.padEnd(FILE_COLUMN) + dim(`reference/${file}`);
}

function prediction({ tokenizer }: LanguageModel, logits: Tensor): string[] {
  const probabilities = softmax(logits).data;
  const best = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]).slice(0, GUESSES);
  const names = best.map((id) => visible(JSON.stringify(tokenizer.token(id))));
  const width = Math.max(...names.map((name) => name.length));
  return [
    bold('Prediction: the next token'),
    ...best.map((id, i) => `  ${names[i].padEnd(width)} ${(100 * probabilities[id]).toFixed(2).padStart(6)} %`),
  ];
}

function rms({ data }: Tensor): string {
  return Math.sqrt([...data].reduce((sum, x) => sum + x * x, 0) / data.length)
    .toPrecision(3)
    .padStart(6);
}

function number(x: number): string {
  return (Math.abs(x) < 1e4 ? x.toFixed(3) : x.toExponential(1)).padStart(8);
}

function clip(line: string): string {
  const characters = Array.from(line);
  return characters.length > WIDTH ? `${characters.slice(0, WIDTH - 1).join('')}…` : line;
}

function bold(text: string): string {
  return decorate('bold', text);
}

function dim(text: string): string {
  return decorate('dim', text);
}

function decorate(style: 'bold' | 'dim', text: string): string {
  return process.stdout.isTTY && !process.env.NO_COLOR ? styleText(style, text) : text;
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Waits for a key where somebody sits at a terminal. */
async function asksToQuit(): Promise<boolean> {
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY) return false;
  stdout.write(dim('Enter: next  q: quit'));
  stdin.setRawMode(true);
  try {
    for (;;) {
      const key = await nextKey();
      if (key === null || QUIT.some((quit) => key.includes(quit))) return true;
      if (/[\r\n]/.test(key)) return false;
    }
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stdout.write('\r\u001b[K');
  }
}

/** What is typed next, null at the end of the input. */
function nextKey(): Promise<string | null> {
  const { stdin } = process;
  return new Promise((resolve) => {
    function settle(key: string | null): void {
      stdin.off('data', onData).off('end', onEnd);
      resolve(key);
    }
    const onData = (data: Buffer): void => {
      settle(data.toString());
    };
    const onEnd = (): void => {
      settle(null);
    };
    stdin.on('data', onData).on('end', onEnd).resume();
  });
}
