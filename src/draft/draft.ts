import { InputError } from '../../reference/lib/errors.js';
import type { Session } from '../backend.js';
import type { Choice } from '../sample.js';

/** Tokens that may come next. */
export interface Proposal {
  ids: number[];
  /** The distribution [V] from which each was drawn. Absent if they were not drawn: each then had the probability 1. */
  probabilities?: Float64Array[] | undefined;
}

/** What drafting costs, as shares of the time in which the model computes one token alone. */
export interface DraftCosts {
  /** To propose one token and check it beside others. */
  token: number;
  /** To check anything at all: two tokens take more than one. */
  round: number;
  /** To take in a token that came while drafting paused. */
  missed: number;
}

/** Proposes tokens that the model then checks in one pass. It serves one text. */
export interface Draft {
  readonly costs: DraftCosts;
  /** The share of its tokens that is likely to be accepted, before any has been. */
  readonly expected: number;
  /**
   * @param ids the text so far, which is longer in each call
   * @param count propose at most this many
   * @param choice how the model chooses
   */
  propose(
    ids: readonly number[],
    count: number,
    choice: Choice,
    signal: AbortSignal | undefined,
  ): Promise<Proposal> | Proposal;
}

/** @throws InputError if the bits of a token's logits depend on what is computed beside it: drafting could change the text. */
export function requireInvariant({ batchInvariant }: Session): void {
  if (!batchInvariant)
    throw new InputError('drafting needs the backend simd or reference: elsewhere it could change the text');
}

/**
 * Chooses tokens from logits of the model, as long as they agree with the proposed ones, and one more.
 *
 * Greedy decoding keeps a proposed token if it is the model's own choice. Sampling keeps a token x that was drawn from q with
 * probability min(1, p(x) / q(x)), and otherwise draws from max(0, p − q), normalized: the result is distributed as p.
 *
 * @param logits [n + 1, V] after the text and after each of the n proposed tokens
 * @param ids the text; the chosen tokens are appended
 * @param isLast whether a token ends the text; no logits after it are read
 * @returns the number of proposed tokens that were kept
 * @see Leviathan et al. 2023, arXiv 2211.17192
 */
export function check(
  proposal: Proposal,
  logits: Float32Array,
  choice: Choice,
  ids: number[],
  isLast: (id: number) => boolean,
): number {
  const n = proposal.ids.length;
  const V = logits.length / (n + 1);
  for (let i = 0; i < n; i++) {
    const proposed = proposal.ids[i];
    const row = logits.subarray(i * V, (i + 1) * V);
    const q = proposal.probabilities?.[i];
    const id = choice.isGreedy ? choice.choose(row, ids) : keepOrRedraw(proposed, q, row, choice, ids);
    ids.push(id);
    if (id !== proposed) return i;
    if (isLast(id)) return i + 1;
  }
  ids.push(choice.choose(logits.subarray(n * V), ids));
  return n;
}

/** The proposed token or another one, distributed as the model's choice. It never draws a token again that it refused. */
function keepOrRedraw(
  proposed: number,
  q: Float64Array | undefined,
  logits: Float32Array,
  choice: Choice,
  ids: readonly number[],
): number {
  const p = choice.probabilities(logits, ids);
  if (choice.uniform() * (q ? q[proposed] : 1) < p[proposed]) return proposed;
  const rest = p.map((share, id) => Math.max(0, share - (q ? q[id] : 0)));
  rest[proposed] = 0;
  return draw(rest, choice.uniform());
}

/** The token at the share `u` of the weights, 0 ≤ u < 1. Never one without weight, if any has weight. */
export function draw(weights: Float64Array, u: number): number {
  let left = u * weights.reduce((sum, weight) => sum + weight, 0);
  let chosen = 0;
  for (const [id, weight] of weights.entries()) {
    if (weight === 0) continue;
    chosen = id;
    left -= weight;
    if (left < 0) break; // rounding can leave 0 or more after the last one, which is chosen then
  }
  return chosen;
}
