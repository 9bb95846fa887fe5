import assert from 'node:assert/strict';
import fc from 'fast-check';
import { forward, KvCache } from '../../reference/index.js';
import { InputError } from '../../reference/lib/errors.js';
import { rows, tensor, type Tensor } from '../../reference/lib/tensor.js';
import { activationNames, type Trace } from '../../reference/lib/trace.js';
import { tinyModel } from '../support/arbitraries.js';
import { assertSame } from '../support/assertions.js';

const model = tinyModel();
const V = model.config.vocabSize;
const ids = fc.array(fc.nat({ max: V - 1 }), { minLength: 1, maxLength: model.config.blockSize });

/** All the numbers of a model, for comparing before and after. */
function snapshot(): string {
  return JSON.stringify(model.weights, (_, value: unknown) =>
    value instanceof Float32Array ? Buffer.from(value.buffer).toString('base64') : value,
  );
}

describe('model', () => {
  it('cannot see the future: earlier logits stay bit-identical when later tokens change', () => {
    fc.assert(
      fc.property(ids, ids, fc.nat(), (a, b, n) => {
        const kept = 1 + (n % Math.min(a.length, b.length));
        const mixed = [...a.slice(0, kept), ...b.slice(kept)];
        assertSame(rows(forward(mixed, model), 0, kept), rows(forward(a, model), 0, kept));
      }),
      { numRuns: 30 },
    );
  });

  it('gives step by step, in chunks of any size, what it gives at once, bit for bit', () => {
    fc.assert(
      fc.property(
        ids,
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 16, maxLength: 16 }),
        (sequence, sizes) => {
          const whole = forward(sequence, model);
          const cache = new KvCache(model.config);
          for (let start = 0, i = 0; start < sequence.length; i++) {
            const end = Math.min(start + sizes[i], sequence.length);
            assertSame(forward(sequence.slice(start, end), model, { cache }), rows(whole, start, end));
            start = end;
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('scores the last position alone as it does among all', () => {
    fc.assert(
      fc.property(ids, (sequence) => {
        const T = sequence.length;
        assertSame(forward(sequence, model, { logits: 'last' }), rows(forward(sequence, model), T - 1, T));
      }),
      { numRuns: 20 },
    );
  });

  it('changes neither its weights nor its input', () => {
    const before = snapshot();
    const sequence = [1, 2, 3, 2, 1];
    forward(sequence, model, { cache: new KvCache(model.config) });
    assert.deepEqual(sequence, [1, 2, 3, 2, 1]);
    assert.equal(snapshot(), before);
  });

  it('traces every activation that is named, in order, and a traced tensor never changes later', () => {
    for (const normPosition of ['pre', 'post'] as const) {
      const other = tinyModel({ normPosition });
      const seen: [string, Tensor, string][] = [];
      for (const attnWeights of [false, true]) {
        seen.length = 0;
        forward([3, 1, 2], other, {
          trace: (name, value) => {
            seen.push([name, value, String(value.data)]);
          },
          attnWeights,
        });
        assert.deepEqual(
          seen.map(([name]) => name),
          activationNames(other.config, true, attnWeights),
        );
        for (const [name, value, then] of seen) assert.equal(String(value.data), then, name);
      }
    }
  });

  it('goes on with what a trace returns: every activation replaced by itself changes no bit', () => {
    const copied: Trace = (_, { shape, data }) => tensor(shape, data.slice());
    assert.deepEqual(forward([3, 1, 2], model, { trace: copied }), forward([3, 1, 2], model));
  });

  it('computes with a replaced head as with its columns of o_proj zeroed', () => {
    const { nHead: H, dModel: C } = model.config;
    fc.assert(
      fc.property(fc.nat(model.config.nLayer - 1), fc.nat(H - 1), (layer, h) => {
        const inHead = (c: number) => Math.floor(c / (C / H)) === h;
        const trace: Trace = (name, { shape, data }) =>
          name === `layers.${layer}.attn`
            ? tensor(
                shape,
                data.map((x, i) => (inHead(i % C) ? 0 : x)),
              )
            : undefined;
        const blocks = model.weights.blocks.map((block, n) => {
          if (n !== layer) return block;
          const { weight, bias } = block.oProj;
          return {
            ...block,
            oProj: {
              weight: tensor(
                weight.shape,
                weight.data.map((w, i) => (inHead(i % C) ? 0 : w)),
              ),
              bias,
            },
          };
        });
        const zeroed = forward([3, 1, 2], { ...model, weights: { ...model.weights, blocks } });
        const patched = forward([3, 1, 2], model, { trace });
        assert.deepEqual(patched, zeroed);
        assert.notDeepEqual(patched, forward([3, 1, 2], model));
      }),
      { numRuns: 10 },
    );
  });

  it('refuses a replacement of another shape, and of attention weights', () => {
    const wrong: Trace = (name) => (name === 'layers.1.q' ? tensor([3, 15]) : undefined);
    assert.throws(
      () => forward([3, 1, 2], model, { trace: wrong }),
      /the replacement of q must be a tensor of \[3, 16\]/,
    );
    const number = ((name: string) => name.length) as unknown as Trace;
    assert.throws(
      () => forward([3, 1, 2], model, { trace: number }),
      /replacement of embedding must be a tensor of \[3, /,
    );
    const weights: Trace = (name, value) => (name.endsWith('attn_weights') ? value : undefined);
    assert.throws(() => forward([3], model, { trace: weights, attnWeights: true }), /attn_weights cannot be replaced/);
  });

  it('needs the final norm only where there is one', () => {
    const bare = { ...model, weights: { ...model.weights, finalNorm: null } };
    const names: string[] = [];
    const trace: Trace = (name) => {
      names.push(name);
    };
    forward([1], bare, { trace });
    assert.deepEqual(names, activationNames(model.config, false));
  });

  it('refuses no tokens, too many, and ids that it does not have', () => {
    const tooMany = new Array<number>(17).fill(0);
    assert.throws(() => forward([], model), InputError);
    assert.throws(() => forward(tooMany, model), /17 tokens exceed the model's block_size of 16/);
    assert.throws(() => forward([V], model), InputError);
    const cache = new KvCache(model.config);
    forward(tooMany.slice(1), model, { cache });
    assert.throws(() => forward([0], model, { cache }), InputError);
  });
});
