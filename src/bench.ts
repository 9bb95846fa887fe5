import type { Backend, Session } from './backend.js';
import type { ModelConfig } from '../reference/lib/config.js';
import { InputError } from '../reference/lib/errors.js';

export interface SpeedOptions {
  /** Lengths of prompts that are read: 16, 128 and 512 as far as they fit into block_size. */
  prefill?: readonly number[] | undefined;
  /** How many tokens are cached when single ones are decoded: 16 and 512 as far as they fit. */
  decode?: readonly number[] | undefined;
  /** Tokens decoded at each of these, 8; their median counts. */
  steps?: number | undefined;
  /** Called after each of the tokens that are to be run. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What {@link measureSpeed} finds, by length. */
export interface Speed {
  /** Tokens a second of reading a prompt whose last logits are asked for. */
  prefill_tok_s: Record<string, number>;
  /** Milliseconds of a token when so many are cached, its logits read back. */
  decode_ms: Record<string, number>;
}

/** A prompt that took as long is not read again for a median. */
const LONG_MS = 5000;
const REPEATS = 3;

/**
 * Times a model on a backend, once it has run so that kernels are compiled and caches warm. Medians.
 *
 * @throws InputError if a length is out of range.
 */
export async function measureSpeed(
  backend: Backend,
  { vocabSize: V, blockSize }: ModelConfig,
  options: SpeedOptions = {},
): Promise<Speed> {
  const { steps = 8, onProgress } = options;
  const prefill = options.prefill ?? [16, 128, 512].filter((length) => length <= blockSize);
  const decode = options.decode ?? [16, 512].filter((length) => length + steps <= blockSize);
  for (const length of [...prefill, ...decode, steps]) {
    if (!Number.isSafeInteger(length) || length < 1) throw new InputError(`a length must be 1 or more, got ${length}`);
  }
  const longest = Math.max(...prefill, ...decode.map((length) => length + steps));
  if (longest > blockSize) throw new InputError(`${longest} tokens exceed the model's block_size of ${blockSize}`);

  const lengths = [...new Set([...prefill, ...decode])].sort((a, b) => a - b);
  const total = lengths.reduce((sum, length) => sum + length, 0) + steps * decode.length;
  const tokens = Array.from({ length: longest }, (_, i) => (i * 7919) % V);
  const session = backend.openSession();
  const speed: Speed = { prefill_tok_s: {}, decode_ms: {} };
  let done = 0;
  const advance = (count: number): void => onProgress?.((done += count), total);
  try {
    await read(session, tokens.slice(0, 5)); // four tokens at once, and one
    for (const length of lengths) {
      const times = [await timed(() => read(session, tokens.slice(0, length)))];
      while (prefill.includes(length) && times[0] < LONG_MS && times.length < REPEATS) {
        times.push(await timed(() => read(session, tokens.slice(0, length))));
      }
      if (prefill.includes(length)) speed.prefill_tok_s[length] = round((1000 * length) / median(times));
      advance(length);
      if (!decode.includes(length)) continue;
      const single: number[] = [];
      for (let i = 0; i < steps; i++) {
        single.push(await timed(() => session.forward([tokens[length + i]])));
        advance(1);
      }
      speed.decode_ms[length] = round(median(single));
    }
  } finally {
    await session.dispose();
  }
  return speed;
}

async function read(session: Session, ids: readonly number[]): Promise<void> {
  session.reset();
  for (let start = 0; start < ids.length; start += session.chunk) {
    await session.forward(ids.slice(start, start + session.chunk));
  }
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await body();
  return performance.now() - begun;
}

/** The middle of some numbers; of an even count, the upper of the two. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** Three digits: no clock here is better than that. */
export function round(value: number): number {
  return Number(value.toPrecision(3));
}
