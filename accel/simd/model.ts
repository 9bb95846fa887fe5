import type { BatchPart } from '../deviceSession.js';
import { checkTokens } from '../../reference/lib/checkTokens.js';
import { tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import { block } from './block.js';
import type { KvCache } from './kvCache.js';
import { Pass, type Activation, type Span } from './pass.js';
import { ropeTablesFor, type SimdModel } from './upload.js';

/** The number of prompt tokens that a session processes best at once. */
export const CHUNK = 128;

/** Tokens whose logits are computed and copied at once: with a vocabulary of 65,536 they take 17 MB. */
const HEAD_TOKENS = 64;

/**
 * The complete forward pass on the threads of an engine.
 *
 * @param cache holds the tokens so far; the new ones are added
 * @returns logits [T, V], or [1, V] for `logits: 'last'`
 * @throws InputError for no tokens, too many, or an id outside the vocabulary; DeviceError if a thread dies.
 * @see reference/model.ts
 */
export async function forward(
  ids: readonly number[],
  model: SimdModel,
  cache: KvCache,
  logits: 'all' | 'last',
  trace?: Trace,
): Promise<Float32Tensor> {
  checkTokens(ids, cache.length, model.config);
  const [scores] = await forwardBatch([{ ids, cache, logits }], model, trace);
  trace?.('logits', scores);
  return scores;
}

/**
 * The forward pass of several sequences together. Their tokens are the rows of one matrix: all ops but rotation and attention
 * compute all rows at once.
 *
 * @param parts each with a cache of its own; their tokens have been checked
 * @returns the logits of each part
 * @throws DeviceError if memory runs out or a thread dies. All caches then hold what they held before.
 */
export async function forwardBatch(
  parts: readonly BatchPart<KvCache>[],
  model: SimdModel,
  trace?: Trace,
): Promise<Float32Tensor[]> {
  const { config, engine, blocks, finalNorm } = model;
  const { dModel: C, nEmbed: E } = config;
  for (const { ids, cache } of parts) cache.reserve(ids.length);
  const spans = spansOf(parts);
  const tables = ropeTablesFor(model, Math.max(...spans.map(({ past, T }) => past + T)));
  const ids = parts.flatMap((part) => part.ids);

  const pass = new Pass(engine, ids.length);
  const idsAt = engine.place('ids', 4 * ids.length);
  engine.memory.words(idsAt, ids.length).set(ids);
  const codes = pass.embedding('embedding', idsAt, model.embedding, E); // [T, E]
  let x = pass.repeatInterleave('expanded', codes, C / E); // [T, E] -> [T, C]
  for (const [n, layer] of blocks.entries()) {
    const cached = spans.map((span, i) => ({ ...span, ...parts[i].cache.pages(n) }));
    x = pass.within(`layers.${n}.`, () => block(pass, x, layer, config, tables, cached)); // [T, C]
  }
  if (finalNorm) x = pass.layerNorm('final_norm', x, finalNorm);
  await pass.run(trace);

  const scores = await score(x, parts, model);
  for (const { ids: added, cache } of parts) cache.advance(added.length);
  return scores;
}

/** Puts the tokens of the parts one after the other. */
function spansOf(parts: readonly BatchPart<KvCache>[]): Span[] {
  let start = 0;
  return parts.map(({ ids: { length: T }, cache: { length: past } }) => {
    const span = { start, T, past };
    start += T;
    return span;
  });
}

/** Computes the logits that each part wants. Overwrites x. */
async function score(x: Activation, parts: readonly BatchPart<KvCache>[], model: SimdModel): Promise<Float32Tensor[]> {
  const { config, engine, lmHead } = model;
  const { dModel: C, vocabSize: V } = config;
  const scores = parts.map(({ ids, logits }) => tensor([logits === 'all' ? ids.length : 1, V]));
  const wanted = spansOf(parts).flatMap(({ start, T }, i) => {
    const [count] = scores[i].shape;
    return Array.from({ length: count }, (_, t) => start + T - count + t);
  });
  const targets = scores.flatMap(({ data, shape: [count] }) =>
    Array.from({ length: count }, (_, t) => data.subarray(t * V, (t + 1) * V)),
  );
  const all = engine.memory.floats(x.address, (wanted[wanted.length - 1] + 1) * C);
  wanted.forEach((from, to) => all.copyWithin(to * C, from * C, (from + 1) * C)); // a row never moves down

  for (let row = 0; row < wanted.length; row += HEAD_TOKENS) {
    const part: Activation = { address: x.address + 4 * row * C, width: C };
    const head = new Pass(engine, Math.min(HEAD_TOKENS, wanted.length - row));
    const { address } = head.linear('logits', part, lmHead);
    await head.run();
    for (let t = 0; t < head.T; t++) targets[row + t].set(engine.memory.floats(address + 4 * t * V, V));
  }
  return scores;
}
