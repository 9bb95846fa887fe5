import type { Session } from '../backend.js';
import { feed } from '../feed.js';
import type { Choice } from '../sample.js';
import { draw, type Draft, type Proposal } from './draft.js';

/** So many tokens are computed one after the other. */
const FEW = 3;

/** Drafts with another model of the same vocabulary, such as the same one in fewer bits. */
export class ModelDraft implements Draft {
  readonly costs = { token: 0.5, round: 0.4, missed: 0.12 };
  readonly expected = 0.8;
  readonly #session: Session;
  /** The tokens that the session holds. */
  #held: number[] = [];

  /** @param session is reset first; the caller disposes of it */
  constructor(session: Session) {
    this.#session = session;
    session.reset();
  }

  async propose(
    ids: readonly number[],
    count: number,
    choice: Choice,
    signal: AbortSignal | undefined,
  ): Promise<Proposal> {
    let kept = 0;
    while (kept < this.#held.length && kept < ids.length - 1 && this.#held[kept] === ids[kept]) kept++;
    this.#session.truncate(kept);
    this.#held.length = kept;
    const text = [...ids];
    const proposal: Proposal = { ids: [], ...(!choice.isGreedy && { probabilities: [] }) };
    while (proposal.ids.length < count) {
      const missing = text.slice(this.#held.length);
      // a few tokens one after the other take less time than together
      const alone = missing.length <= FEW ? missing.splice(0, missing.length - 1) : [];
      for (const id of alone) await feed(this.#session, [id], signal);
      const logits = await feed(this.#session, missing, signal);
      this.#held = [...text];
      const id = proposeOne(logits, text, choice, proposal);
      proposal.ids.push(id);
      text.push(id);
    }
    return proposal;
  }
}

/** Chooses as the model would, and records the distribution of a draw. */
function proposeOne(logits: Float32Array, text: readonly number[], choice: Choice, proposal: Proposal): number {
  if (choice.isGreedy) return choice.choose(logits, text);
  const q = choice.probabilities(logits, text);
  proposal.probabilities?.push(q);
  return draw(q, choice.uniform());
}
