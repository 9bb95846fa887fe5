import { randomInt } from 'node:crypto';
import { Option, type Command } from 'commander';
import { DRAFT_NAMES, type DraftName } from '../draft/open.js';
import type { GenerateTextOptions, LanguageModel } from '../languageModel.js';
import { MAX_PENALTY } from '../sample.js';
import { note, printJson, printText } from './output.js';
import { decimal, integer } from './numbers.js';
import { addBackendOption, addModelOptions, type BackendFlags, type ModelFlags } from './options.js';

/** The options that `ask` and `generate` share. */
export interface GenerateFlags extends ModelFlags, BackendFlags {
  maxNewTokens: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  repetitionPenalty?: number;
  seed?: number;
  ignoreEos?: boolean;
  draft: DraftName;
  json?: boolean;
}

/** Only this much of the end of a prompt is tokenized, and counts for the repetition penalty. */
const MAX_CHARACTERS = 2 ** 20;

/** Enough of a longer prompt to find a place where its end can be cut off. */
export const KEPT_CHARACTERS: number = 2 * MAX_CHARACTERS;

/** What a run made: its text and tokens, and when each token came, in milliseconds. */
interface Generation {
  text: string;
  tokens: number[];
  times: number[];
  /** Tokens that were drafted, and how many of them were kept. */
  drafted: number;
  kept: number;
  aborted: boolean;
}

export function addGenerateOptions(command: Command): Command {
  return addBackendOption(addModelOptions(command))
    .option('--max-new-tokens <n>', 'stop after this many tokens', integer(0), 128)
    .option(
      '--temperature <t>',
      'above 0, sample; 0 always takes the most likely token (default: 1 with --top-k, --top-p or --seed, otherwise 0)',
      decimal(0),
    )
    .option('--top-k <k>', 'sample from the k most likely tokens; 0 means all', integer(0))
    .option(
      '--top-p <p>',
      'sample from the fewest tokens whose probabilities add up to p',
      decimal(0, 1, { above: true }),
    )
    .option('--seed <n>', 'sample the same text again', integer())
    .option(
      '--repetition-penalty <r>',
      'above 1, make tokens that already occur less likely',
      decimal(1 / MAX_PENALTY, MAX_PENALTY),
    )
    .option('--ignore-eos', 'continue past the end-of-text token')
    .addOption(
      new Option(
        '--draft <how>',
        'propose tokens that one pass then checks, on simd and reference: from the text so far (lookup) or by the model in ' +
          'fewer bits; greedy text stays the same, a seed gives another text; auto is lookup if greedy, otherwise off',
      )
        .choices([...DRAFT_NAMES])
        .default('off'),
    )
    .option('--json', 'print one JSON object instead of the text');
}

/**
 * Streams the continuation of a prompt to stdout, then reports the speed on stderr.
 *
 * @param trimStart drops the space before the first word
 */
export async function runGenerate(
  model: LanguageModel,
  prompt: string,
  flags: GenerateFlags,
  { trimStart = false }: { trimStart?: boolean } = {},
): Promise<void> {
  const { blockSize } = model.config;
  const isLong = prompt.length > MAX_CHARACTERS;
  const read = isLong ? model.tokenizer.tail(prompt, MAX_CHARACTERS) : prompt;
  const ids = model.tokenizer.encode(read);
  const size = isLong ? `over ${MAX_CHARACTERS.toLocaleString('en-US')} characters` : `${ids.length} tokens`;
  if (ids.length > blockSize)
    note(`the prompt has ${size}; the model reads only the last ${blockSize}${isLong ? ' tokens' : ''}`);

  const sampling = samplingOf(flags);
  if (flags.draft === 'int4' || flags.draft === 'int8') {
    const bytes = await model.prepareDraft(flags.draft);
    note(`draft: the weights in ${flags.draft} take ${(bytes / 1e6).toPrecision(3)} MB more`);
  }
  const made = await generate(
    model,
    ids,
    { ...sampling, ...limitsOf(flags), draft: flags.draft },
    (piece, textBefore) => {
      const shown = trimStart && textBefore === '' ? piece.trimStart() : piece;
      if (!flags.json) printText(shown);
      return shown;
    },
  );
  const { text, tokens } = made;
  const speed = speedOf(made.times);

  if (flags.json) {
    const stop = stopReason(made, flags.ignoreEos ? [] : model.tokenizer.eosIds);
    const { drafted, kept } = made;
    const draft = flags.draft === 'off' ? {} : { draft: { how: flags.draft, drafted, kept } };
    const result = { prompt: read, text, tokens, stop, ...sampling, backend: model.backend, ...speed, ...draft };
    printJson(result);
    return;
  }
  const seed = sampling.seed === undefined ? '' : `, seed ${sampling.seed}`;
  const rate = `first after ${speed.first_token_ms} ms, then ${speed.tokens_per_second} tokens/s`;
  const draft = flags.draft === 'off' ? '' : `, draft ${flags.draft}: ${made.kept} of ${made.drafted} tokens kept`;
  process.stdout.write('\n');
  process.stderr.write(`${tokens.length} tokens, ${rate} (${model.backend}${seed}${draft})\n`);
}

/** Any sampling option turns sampling on. A missing seed is drawn here, so that it can be reported. */
function samplingOf({ temperature, topK, topP, seed }: GenerateFlags): GenerateTextOptions {
  const asked = [topK, topP, seed].some((option) => option !== undefined);
  const sampled = temperature ?? (asked ? 1 : 0);
  if (sampled === 0) return { topK, topP }; // checked, though greedy decoding ignores them
  return { temperature: sampled, topK, topP, seed: seed ?? randomInt(2 ** 31) };
}

function limitsOf({ maxNewTokens, repetitionPenalty, ignoreEos }: GenerateFlags): GenerateTextOptions {
  return { maxNewTokens, repetitionPenalty, ignoreEos };
}

/**
 * Generates until the end of the text, the limit or Ctrl-C. Disposes of the model.
 *
 * @param show returns the part of a piece that counts as text
 */
async function generate(
  model: LanguageModel,
  prompt: readonly number[],
  options: GenerateTextOptions,
  show: (piece: string, textBefore: string) => string,
): Promise<Generation> {
  const abort = new AbortController();
  process.once('SIGINT', () => {
    process.exitCode = 130; // what a shell reports for an interrupted program
    abort.abort();
  });

  const made: Generation = { text: '', tokens: [], times: [], drafted: 0, kept: 0, aborted: false };
  const begun = performance.now();
  const onToken = (id: number) => {
    made.tokens.push(id);
    made.times.push(performance.now() - begun);
  };
  const onDraft = (drafted: number, kept: number) => {
    made.drafted += drafted;
    made.kept += kept;
  };
  try {
    for await (const piece of model.generate(prompt, { ...options, onToken, onDraft, signal: abort.signal })) {
      made.text += show(piece, made.text);
    }
  } catch (error) {
    if (error !== abort.signal.reason) throw error; // Ctrl-C keeps what there is
  } finally {
    await model.dispose();
  }
  made.aborted = abort.signal.aborted;
  return made;
}

/** Why generation stopped, given the tokens that end a text. */
function stopReason({ tokens, aborted }: Generation, eosIds: readonly number[]): 'aborted' | 'eos' | 'length' {
  if (aborted) return 'aborted';
  const last = tokens.at(-1);
  return last !== undefined && eosIds.includes(last) ? 'eos' : 'length';
}

/** The time to the first token, prompt included, and the rate of the tokens after it. */
function speedOf(times: readonly number[]): { first_token_ms: number; tokens_per_second: number } {
  if (times.length === 0) return { first_token_ms: 0, tokens_per_second: 0 };
  const first = times[0];
  const last = times[times.length - 1];
  const rate = times.length > 1 ? (times.length - 1) / (last - first) : 1 / first;
  return { first_token_ms: Math.round(first), tokens_per_second: Number((1000 * rate).toPrecision(3)) };
}
