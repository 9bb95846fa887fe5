import type { Backend, Session } from './backend.js';
import type { ModelConfig } from '../reference/lib/config.js';
import { InputError } from '../reference/lib/errors.js';

export interface SpeedOptions {
  /** Prompt lengths. Default: those of 16, 128 and 512 that fit into block_size. */
  prefill?: readonly number[] | undefined;
  /** Numbers of cached tokens at which to decode single tokens. Default: those of 16 and 512 that fit. */
  decode?: readonly number[] | undefined;
  /** Tokens to decode at each of these; the median counts. Default: 8. */
  steps?: number | undefined;
  /** Called with the number of tokens done and in total. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** The result of {@link measureSpeed}, by length. */
export interface Speed {
  /** Prompt tokens per second, with the logits of the last position only. */
  prefill_tok_s: Record<string, number>;
  /** Milliseconds per token with this many cached, including reading its logits back. */
  decode_ms: Record<string, number>;
}

/** A prompt that takes this long runs only once. */
const LONG_MS = 5000;
const REPEATS = 3;

/**
 * Measures the speed of a model on a backend after a warm-up, which compiles kernels and fills caches. Returns medians.
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
    if (!Number.isSafeInteger(length) || length < 1) throw new InputError(`a length must be at least 1, got ${length}`);
  }
  const longest = Math.max(...prefill, ...decode.map((length) => length + steps));
  if (longest > blockSize) throw new InputError(`${longest} tokens exceed the model's block_size of ${blockSize}`);

  const lengths = [...new Set([...prefill, ...decode])].sort((a, b) => a - b);
  const total = lengths.reduce((sum, length) => sum + length, 0) + steps * decode.length;
  const tokens = Array.from({ length: longest }, (_, i) => (i * 7919) % V);
  const session = backend.openSession();
  const speed: Speed = { prefill_tok_s: {}, decode_ms: {} };
  let done = 0;
  const advance = (count: number): void => {
    done += count;
    onProgress?.(done, total);
  };
  try {
    await read(session, tokens.slice(0, 5)); // a chunk of four tokens and a single one
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

/** The median; for an even count, the upper of the two middle values. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** Rounds to three digits; the clock is not more precise. */
export function round(value: number): number {
  return Number(value.toPrecision(3));
}
