import { checkTokens } from '../../reference/lib/checkTokens.js';
import { tensor, type Float32Tensor } from '../../reference/lib/tensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import { block } from './block.js';
import type { KvCache } from './kvCache.js';
import { Pass, type Activation } from './pass.js';
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
  const { config, engine, blocks, finalNorm } = model;
  const { dModel: C, nEmbed: E, vocabSize: V } = config;
  const T = ids.length;
  checkTokens(ids, cache.length, config);
  cache.reserve(T);
  const tables = ropeTablesFor(model, cache.length + T);

  const pass = new Pass(engine, T);
  const idsAt = engine.place('ids', 4 * T);
  engine.memory.words(idsAt, T).set(ids);
  const codes = pass.embedding('embedding', idsAt, model.embedding, E); // [T, E]
  let x = pass.repeatInterleave('expanded', codes, C / E); // [T, E] -> [T, C]
  for (const [n, layer] of blocks.entries()) {
    x = pass.within(`layers.${n}.`, () => block(pass, x, layer, n, config, tables, cache)); // [T, C]
  }
  if (finalNorm) x = pass.layerNorm('final_norm', x, finalNorm);
  await pass.run(trace);

  const scores = tensor([logits === 'all' ? T : 1, V]);
  for (let t = logits === 'all' ? 0 : T - 1, row = 0; t < T; t += HEAD_TOKENS, row += HEAD_TOKENS) {
    const part: Activation = { address: x.address + 4 * t * C, width: C };
    const head = new Pass(engine, Math.min(HEAD_TOKENS, T - t));
    const { address } = head.linear('logits', part, model.lmHead);
    await head.run();
    scores.data.set(engine.memory.floats(address, head.T * V), row * V);
  }
  cache.advance(T);
  trace?.('logits', scores);
  return scores;
}
