import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DTYPES } from '../../../reference/lib/compactTensor.js';
import { openBackend } from '../../../src/backend.js';
import { packModel } from '../../../src/checkpoint/packModel.js';
import type { Draft } from '../../../src/draft/draft.js';
import { LookupDraft } from '../../../src/draft/lookup.js';
import { ModelDraft } from '../../../src/draft/modelDraft.js';
import { generateIds, type GenerateOptions } from '../../../src/generate.js';
import { noise, tinyModel } from '../../support/arbitraries.js';
import { markovSession } from '../../support/markov.js';
import { packedModel } from '../../support/packedModel.js';

const cheap = { token: 0, round: 0, missed: 0 };

/** Proposes the text that will come, with a wrong token here and there. */
function mostlyRight(text: readonly number[], vocabSize: number, seed: number): Draft {
  const next = noise(seed);
  return {
    ...{ costs: cheap, expected: 1 },
    propose: (ids, count) => {
      const size = Math.ceil(((next() + 1) / 2) * count);
      const right = text.slice(ids.length, ids.length + size);
      return { ids: right.map((id) => (next() > 0.6 ? (id + 1) % vocabSize : id)) };
    },
  };
}

const settings = fc.record({
  seed: fc.nat(1000),
  vocabSize: fc.integer({ min: 2, max: 30 }),
  blockSize: fc.integer({ min: 8, max: 90 }),
  prompt: fc.array(fc.nat(1000), { minLength: 1, maxLength: 20 }),
  maxNewTokens: fc.integer({ min: 0, max: 100 }),
  penalty: fc.constantFrom(1, 1, 1.3),
  stop: fc.option(fc.nat(29), { nil: -1 }),
});

describe('greedy decoding with a draft', () => {
  let kept = 0;
  let refused = 0;
  after(() => {
    assert.ok(kept > 200 && refused > 200, `both occur: ${kept} kept, ${refused} refused`);
  });

  for (const name of ['reference', 'simd:1', 'simd:2']) {
    for (const dtype of name === 'reference' ? (['f32'] as const) : DTYPES) {
      it(`gives the same tokens as without: ${name}, ${dtype}`, () =>
        fc.assert(
          fc.asyncProperty(settings, async ({ seed, vocabSize, blockSize, prompt, maxNewTokens, penalty, stop }) => {
            const model = packedModel(tinyModel({ vocabSize, blockSize, nLayer: 1 }, seed), dtype);
            const backend = await openBackend(model, name);
            const ids = prompt.map((id) => id % vocabSize);
            const session = backend.openSession();
            async function generate(options: GenerateOptions): Promise<number[]> {
              const found: number[] = [];
              const common = { maxNewTokens, repetitionPenalty: penalty, stopIds: [stop] };
              for await (const id of generateIds(session, model.config, ids, { ...common, ...options })) found.push(id);
              return found;
            }
            const expected = await generate({});
            const onDraft = (proposed: number, agreed: number): void => {
              kept += agreed;
              refused += proposed - agreed;
            };
            const drafts: Draft[] = [new LookupDraft(), mostlyRight([...ids, ...expected], vocabSize, seed)];
            const closers: (() => Promise<void>)[] = [];
            if (dtype === 'f32' || dtype === 'bf16' || dtype === 'f16') {
              for (const bits of ['int8', 'int4'] as const) {
                const own = await openBackend((await packModel(model, bits)).model, name);
                closers.push(() => own.dispose());
                drafts.push(new ModelDraft(own.openSession()));
              }
            }
            for (const draft of drafts) {
              assert.deepEqual(await generate({ draft, onDraft }), expected);
              const eager = { costs: cheap, expected: 1, propose: draft.propose.bind(draft) };
              if (!(draft instanceof LookupDraft))
                assert.deepEqual(await generate({ draft: eager, onDraft }), expected);
            }
            for (const close of closers) await close();
            await backend.dispose();
          }),
          { numRuns: 6 },
        ));
    }
  }

  it('takes fewer passes', async () => {
    const table = [0, 1, 2, 3, 4].map((t) => [0, 1, 2, 3, 4].map((next) => (next === (t + 1) % 5 ? 1 : 0)));
    const session = markovSession(table);
    let passes = 0;
    const forward = session.forward.bind(session);
    session.forward = (...args) => {
      passes++;
      return forward(...args);
    };
    const { config } = tinyModel({ vocabSize: 5, blockSize: 1000 });
    const found: number[] = [];
    const options = { maxNewTokens: 200, draft: new LookupDraft() };
    for await (const id of generateIds(session, config, [0, 1, 2, 3], options)) found.push(id);
    assert.deepEqual(
      found,
      Array.from({ length: 200 }, (_, i) => (i + 4) % 5),
    );
    assert.ok(passes < 40, `${passes} passes`);
  });

  it('is refused where company changes the bits of a token', async () => {
    const session = markovSession([[0]], { batchInvariant: false });
    const { config } = tinyModel({ vocabSize: 1 });
    await assert.rejects(generateIds(session, config, [0], { draft: new LookupDraft() }).next(), {
      name: 'InputError',
      message: 'drafting needs the backend simd or reference: elsewhere it could change the text',
    });
  });
});

describe('LookupDraft', () => {
  it('proposes what followed the longest known beginning, most recent first, and goes round in a circle', () => {
    const draft = new LookupDraft();
    assert.deepEqual(draft.propose([1, 2, 3], 4).ids, []);
    assert.deepEqual(draft.propose([1, 2, 3, 9, 1, 2], 3).ids, [3, 9, 1]);
    assert.deepEqual(draft.propose([1, 2, 3, 9, 1, 2, 7, 1, 2], 2).ids, [7, 1]);
    assert.deepEqual(draft.propose([1, 2, 3, 9, 1, 2, 7, 1, 2, 3, 9, 1, 2], 2).ids, [7, 1], '4 tokens before 3 or 2');
    assert.deepEqual(new LookupDraft().propose([5, 6, 5, 6], 5).ids, [5, 6, 5, 6, 5]);
  });
});
