import type { Session } from './backend.js';
import { InputError } from '../reference/lib/errors.js';
import { check, requireInvariant, type Draft, type Proposal } from './draft/draft.js';
import { MAX_PROPOSED, Pace } from './draft/pace.js';
import { feed, yieldToEventLoop } from './feed.js';
import { requireKnownOptions, requireOption } from './lib/options.js';
import { createChoice, SAMPLE_OPTIONS, type Choice, type SampleOptions } from './sample.js';
import type { ModelConfig } from '../reference/lib/config.js';

export interface GenerateOptions extends SampleOptions {
  /** Maximum number of new tokens. Default: 128. */
  maxNewTokens?: number | undefined;
  /** Tokens that end the text. They are yielded as well. */
  stopIds?: readonly number[] | undefined;
  /** Aborts between two chunks of the prompt or two tokens: the generator then throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * Proposes tokens, which one pass then checks. Greedy decoding gives the same tokens as without, sampling the same
   * distribution but other tokens for the same seed. Past block_size, nothing is drafted.
   */
  draft?: Draft | undefined;
  /** Called after each pass that checked proposed tokens, with their number and how many of them were kept. */
  onDraft?: ((proposed: number, kept: number) => void) | undefined;
}

const GENERATE_OPTIONS: readonly string[] = [
  ...Object.keys({ maxNewTokens: true, stopIds: true, signal: true, draft: true, onDraft: true } satisfies Record<
    Exclude<keyof GenerateOptions, keyof SampleOptions>,
    true
  >),
  ...SAMPLE_OPTIONS,
];

/**
 * Continues a sequence of tokens, yielding each new one as soon as it is known.
 *
 * Past block_size it continues with the last block_size tokens, as the original code does. These tokens move to new
 * positions and lose their oldest context, so the cache is useless and each further token costs a full pass.
 *
 * @param session is reset first
 * @throws InputError for an empty prompt, an id outside the vocabulary, an unknown option or one out of range, or a draft on a
 *   backend where a token's bits depend on its company; the signal's reason if it is aborted before the last token.
 */
export async function* generateIds(
  session: Session,
  config: ModelConfig,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<number, void, undefined> {
  requireKnownOptions(options, GENERATE_OPTIONS);
  const { maxNewTokens = 128, stopIds = [], signal, draft, onDraft, ...sampling } = options;
  requireOption(
    Number.isSafeInteger(maxNewTokens) && maxNewTokens >= 0,
    'the number of new tokens',
    'an integer of at least 0',
    maxNewTokens,
  );
  if (prompt.length === 0) throw new InputError('the prompt is empty: the model needs at least one token');
  if (draft) requireInvariant(session);
  const choice = createChoice(sampling);
  const isLast = (id: number): boolean => stopIds.includes(id);
  const { blockSize } = config;
  const pace = draft && new Pace(draft.costs, draft.expected);
  const ids = [...prompt];
  const end = ids.length + maxNewTokens;
  signal?.throwIfAborted();

  session.reset();
  let unseen = ids.slice(-blockSize);
  while (ids.length < end) {
    const known = ids.length;
    // the pass also gives the token after the proposed ones, and needs a position for each
    const room = pace ? Math.min(MAX_PROPOSED, end - known - 1, blockSize - session.length - 1) : 0;
    const count = pace && unseen.length === 1 && room > 0 ? pace.next(room) : 0;
    const proposal = draft && count > 0 ? await draft.propose(ids, count, choice, signal) : null;
    if (proposal && proposal.ids.length > 0) {
      const kept = await speculate(session, proposal, ids, choice, isLast, signal);
      pace?.record(proposal.ids.length, kept);
      onDraft?.(proposal.ids.length, kept);
    } else {
      ids.push(choice.choose(await feed(session, unseen, signal), ids));
      pace?.skip();
    }
    for (const id of ids.slice(known)) {
      signal?.throwIfAborted();
      yield id;
      if (isLast(id)) return;
    }

    unseen = ids.slice(-1);
    if (session.length === blockSize) {
      session.reset();
      unseen = ids.slice(-blockSize);
    }
  }
}

/**
 * Checks proposed tokens in one pass, and appends those that are kept and one more.
 *
 * @returns the number of proposed tokens that were kept
 */
async function speculate(
  session: Session,
  proposal: Proposal,
  ids: number[],
  choice: Choice,
  isLast: (id: number) => boolean,
  signal: AbortSignal | undefined,
): Promise<number> {
  const held = session.length;
  await yieldToEventLoop();
  signal?.throwIfAborted();
  const { data } = await session.forward([ids[ids.length - 1], ...proposal.ids], { logits: 'all' });
  signal?.throwIfAborted();
  const kept = check(proposal, data, choice, ids, isLast);
  session.truncate(held + 1 + kept);
  return kept;
}
