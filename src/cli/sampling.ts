import { randomInt } from 'node:crypto';
import type { Command } from 'commander';
import type { GenerateTextOptions, LanguageModel } from '../languageModel.js';
import { note } from './output.js';
import { addBackendOption, addModelOptions, parseInteger, parseNumber, type ModelFlags } from './options.js';

/** The options that `ask` and `generate` share. */
export interface GenerateFlags extends ModelFlags {
  backend: string;
  maxNewTokens: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  repetitionPenalty?: number;
  seed?: number;
  ignoreEos?: boolean;
  json?: boolean;
}

export function addGenerateOptions(command: Command): Command {
  return addBackendOption(addModelOptions(command))
    .option('--max-new-tokens <n>', 'stop after this many tokens', parseInteger, 128)
    .option(
      '--temperature <t>',
      'sample; 0 always takes the likeliest token (0, or 1 with the next three)',
      parseNumber,
    )
    .option('--top-k <k>', 'sample among the k likeliest tokens', parseInteger)
    .option('--top-p <p>', 'sample among the fewest tokens that make up the probability p', parseNumber)
    .option('--seed <n>', 'sample the same text again', parseInteger)
    .option('--repetition-penalty <r>', 'make tokens already seen less likely, above 1', parseNumber)
    .option('--ignore-eos', 'go on past the token that ends a text')
    .option('--json', 'print one JSON object instead of the text');
}

/** Streams the continuation of a prompt to stdout and how fast it was to stderr. */
export async function runGenerate(
  model: LanguageModel,
  prompt: string,
  flags: GenerateFlags,
  trim: (text: string) => string,
): Promise<void> {
  const sampling = samplingOf(flags);
  const tokens: number[] = [];
  const times: number[] = [];
  const abort = new AbortController();
  process.once('SIGINT', () => {
    process.exitCode = 130; // as a shell reports an interrupted program
    abort.abort();
  });

  const { blockSize } = model.config;
  const given = model.tokenizer.encode(prompt).length;
  if (given > blockSize) note(`the prompt has ${given} tokens: the model reads only the last ${blockSize}`);

  const begun = performance.now();
  const options: GenerateTextOptions = {
    ...sampling,
    maxNewTokens: flags.maxNewTokens,
    repetitionPenalty: flags.repetitionPenalty,
    ignoreEos: flags.ignoreEos,
    backend: flags.backend,
    signal: abort.signal,
    onToken(id) {
      tokens.push(id);
      times.push(performance.now() - begun);
    },
  };
  let text = '';
  try {
    for await (const piece of model.generate(prompt, options)) {
      const before = trim(text);
      text += piece;
      if (!flags.json) process.stdout.write(trim(text).slice(before.length));
    }
  } catch (error) {
    if (error !== abort.signal.reason) throw error; // Ctrl+C still prints what there is
  } finally {
    await model.dispose();
  }

  if (flags.json) {
    const stop = abort.signal.aborted
      ? 'aborted'
      : !flags.ignoreEos && tokens.at(-1) === model.tokenizer.eosId
        ? 'eos'
        : 'length';
    const result = { prompt, text: trim(text), tokens, stop, ...sampling, backend: flags.backend, ...speed(times) };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } else {
    process.stdout.write('\n');
    const { first_token_ms, tokens_per_second } = speed(times);
    const seed = sampling.seed === undefined ? '' : `, seed ${sampling.seed}`;
    process.stderr.write(
      `${tokens.length} tokens, first after ${first_token_ms} ms, then ${tokens_per_second} tokens/s (${flags.backend}${seed})\n`,
    );
  }
}

/** Any sampling option asks for sampling; the seed is drawn here so that it can be told. */
function samplingOf({ temperature, topK, topP, seed }: GenerateFlags): GenerateTextOptions {
  const asked = [topK, topP, seed].some((option) => option !== undefined);
  const sampled = temperature ?? (asked ? 1 : 0);
  if (sampled === 0) return {};
  return { temperature: sampled, topK, topP, seed: seed ?? randomInt(2 ** 31) };
}

/** The time to the first token, prompt included, and the rate of those after it. */
function speed(times: readonly number[]): { first_token_ms: number; tokens_per_second: number } {
  if (times.length === 0) return { first_token_ms: 0, tokens_per_second: 0 };
  const [first, last] = [times[0], times[times.length - 1]];
  const rate = times.length > 1 ? (times.length - 1) / (last - first) : 1 / first;
  return { first_token_ms: Math.round(first), tokens_per_second: Number((1000 * rate).toPrecision(3)) };
}
