import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DTYPES } from '../../reference/lib/compactTensor.js';
import { rows } from '../../reference/lib/tensor.js';
import { openBackend, type Session } from '../../src/backend.js';
import { noise, tinyModel } from '../support/arbitraries.js';
import { assertSame } from '../support/assertions.js';
import { packedModel } from '../support/packedModel.js';

interface Held {
  session: Session;
  text: number[];
}

/** One step of a random server. `sizes` are the numbers of tokens that each session gets; 0 leaves it out. */
interface Step {
  kind: 'forward' | 'fork' | 'truncate' | 'reset' | 'dispose';
  which: number;
  sizes: number[];
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('forward', 'forward', 'forward', 'fork', 'fork', 'truncate', 'truncate', 'reset', 'dispose'),
  which: fc.nat(100),
  sizes: fc.array(fc.oneof(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 3, max: 70 })), {
    minLength: 6,
    maxLength: 6,
  }),
});
const shape = fc.record({
  nHead: fc.integer({ min: 1, max: 3 }),
  half: fc.integer({ min: 1, max: 9 }),
  vocabSize: fc.integer({ min: 1, max: 40 }),
  nLayer: fc.integer({ min: 1, max: 2 }),
});

/** Two pages and a part of a third. */
const BLOCK_SIZE = 150;
const MAX_SESSIONS = 6;

/** Takes the steps and compares every logit with that of a session of its own, which gets the whole text at once. */
async function serve(
  name: string,
  dtype: (typeof DTYPES)[number],
  { nHead, half, vocabSize, nLayer }: { nHead: number; half: number; vocabSize: number; nLayer: number },
  steps: readonly Step[],
): Promise<void> {
  const dModel = 2 * half * nHead;
  const config = { blockSize: BLOCK_SIZE, nHead, vocabSize, nLayer, dModel, nEmbed: dModel / 2 };
  const backend = await openBackend(packedModel(tinyModel(config), dtype), name);
  const next = noise(steps.length);
  let held: Held[] = [0, 1].map(() => ({ session: backend.openSession(), text: [] }));
  for (const { kind, which, sizes } of steps) {
    const chosen = held[which % held.length];
    if (kind === 'reset') {
      chosen.session.reset();
      chosen.text = [];
    } else if (kind === 'truncate') {
      const length = which % (chosen.text.length + 1);
      chosen.session.truncate(length);
      chosen.text = chosen.text.slice(0, length);
    } else if (kind === 'fork' && held.length < MAX_SESSIONS) {
      held.push({ session: await chosen.session.fork(), text: [...chosen.text] });
    } else if (kind === 'dispose' && held.length > 1) {
      await chosen.session.dispose();
      held = held.filter((it) => it !== chosen);
    } else {
      const batch = held.flatMap(({ session, text }, i) => {
        const T = Math.min(sizes[i], BLOCK_SIZE - text.length);
        const ids = Array.from({ length: T }, () => Math.floor(((next() + 1) / 2) * vocabSize));
        const logits = (which + i) % 2 === 0 ? ('all' as const) : ('last' as const);
        return T === 0 ? [] : [{ session, ids, logits }];
      });
      const scores = await backend.forwardBatch(batch);
      for (const [i, { session, ids }] of batch.entries()) {
        const { text } = held.find((it) => it.session === session)!;
        text.push(...ids);
        assert.equal(session.length, text.length);
        const alone = backend.openSession();
        const expected = await alone.forward(text, { logits: 'all' });
        assertSame(scores[i], rows(expected, text.length - scores[i].shape[0], text.length));
        await alone.dispose();
      }
    }
  }
  for (const { session } of held) await session.dispose();
  await backend.dispose();
}

describe('random batches, forks, truncations and resets give the same bits as sessions alone', () => {
  for (const name of ['reference', 'simd:1', 'simd:2']) {
    for (const dtype of name === 'reference' ? (['f32'] as const) : DTYPES) {
      it(`on ${name}, ${dtype}`, () =>
        fc.assert(
          fc.asyncProperty(shape, fc.array(step, { minLength: 8, maxLength: 20 }), (sizes, steps) =>
            serve(name, dtype, sizes, steps),
          ),
          { numRuns: 6 },
        ));
    }
  }
});
