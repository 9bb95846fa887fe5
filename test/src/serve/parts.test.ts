import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createChoice } from '../../../src/serve/choose.js';
import { Generation } from '../../../src/serve/generation.js';
import { scoreToken } from '../../../src/serve/logprobs.js';
import { Sequence } from '../../../src/serve/sequence.js';
import { StopStrings } from '../../../src/serve/stopStrings.js';
import type { Tokenizer } from '../../../src/tokenizer/tokenizer.js';

describe('stop strings', () => {
  it('end any text before the first of them, however it is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 30 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 5 }), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 8 }), stops, (pieces, strings) => {
        const scanner = new StopStrings(strings);
        let text = '';
        for (const piece of pieces) text += scanner.push(piece);
        const isFound = scanner.isFound;
        if (!isFound) text += scanner.end();
        const whole = pieces.join('');
        // the shortest beginning of the text that has a stop string, as a reader of single characters sees it
        const starts = strings.map((stop) => whole.indexOf(stop)).filter((start) => start !== -1);
        assert.equal(isFound, starts.length > 0);
        if (!isFound) assert.equal(text, whole);
        else assert.ok(whole.startsWith(text) && strings.some((stop) => whole.startsWith(stop, text.length)));
        assert.ok(strings.every((stop) => !text.includes(stop)));
      }),
    );
  });

  it('hold back no more than may be a beginning', () => {
    const scanner = new StopStrings(['abcde']);
    assert.equal(scanner.push('xab'), 'x');
    assert.equal(scanner.push('c'), '');
    assert.equal(scanner.push('x'), 'abcx');
  });
});

describe('the choice of a token', () => {
  const neutral = { temperature: 0, topP: 1, topK: 0, presencePenalty: 0, frequencyPenalty: 0, seed: 1 };
  const logits = Float32Array.of(1, 0.5, -3);

  function chosen(options: object): number[] {
    const choose = createChoice({ ...neutral, logitBias: new Map(), ...options });
    const ids: number[] = [];
    while (ids.length < 5) ids.push(choose(logits, ids));
    return ids;
  }

  it('subtracts frequency for each occurrence and presence once', () => {
    assert.deepEqual(chosen({}), [0, 0, 0, 0, 0]);
    assert.deepEqual(chosen({ frequencyPenalty: 0.375 }), [0, 0, 1, 0, 1]); // 1, 0.625 | 0.5 | 0.25 0.125
    assert.deepEqual(chosen({ presencePenalty: 0.75 }), [0, 1, 0, 0, 0]); // 1 | 0.25 < 0.5 | 0.25 > -0.25
    assert.deepEqual(chosen({ logitBias: new Map([[2, 5]]) }), [2, 2, 2, 2, 2]);
  });

  it('leaves the logits as they are: they are scored afterwards', () => {
    chosen({ logitBias: new Map([[2, 5]]), frequencyPenalty: 1 });
    assert.deepEqual(logits, Float32Array.of(1, 0.5, -3));
  });
});

describe('scores', () => {
  it('are ln softmax, with the likeliest in order, of equals the lower id', () => {
    const logits = Float32Array.from([1, 3, 2, 3], (p) => Math.log(p));
    const { logprob, top } = scoreToken(logits, 2, 3);
    assert.ok(Math.abs(logprob - Math.log(2 / 9)) < 1e-7);
    assert.deepEqual(
      top.map(({ id }) => id),
      [1, 3, 2],
    );
    assert.equal(top[2].logprob, logprob);
    assert.deepEqual(scoreToken(logits, 0, 0).top, []);
  });

  it('refuse logits that are not numbers', () => {
    assert.throws(() => scoreToken(Float32Array.of(1, NaN), 0, 1), /gives no probabilities/);
  });
});

describe('10: surrogate pairs', () => {
  /** Every id is a byte. */
  const bytes = {
    encode: (text: string) => [...new TextEncoder().encode(text)],
    decode: (ids: readonly number[]) => new TextDecoder().decode(Uint8Array.from(ids)),
  } as unknown as Tokenizer;

  it('are never split over pieces, nor are stop strings missed in them', async () => {
    const text = 'a😀é🎉b漢';
    for (const stop of [[], ['🎉']]) {
      const ids = bytes.encode(text);
      let next = 0;
      const sequence = new Sequence(
        { prompt: [0], maxTokens: ids.length, stopIds: [], choose: () => ids[next++] },
        () => undefined,
      );
      const pieces: string[] = [];
      const generation = new Generation(sequence, bytes, { stop, echo: false, logprobs: false });
      const reading = (async () => {
        for await (const piece of generation.pieces()) pieces.push(piece.text);
      })();
      while (!sequence.isDone) {
        sequence.accept(new Float32Array(256), 1, 1);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await reading;
      assert.equal(pieces.join(''), stop.length > 0 ? 'a😀é' : text);
      for (const piece of pieces) assert.doesNotMatch(piece, /\p{Cs}/u, JSON.stringify(piece));
      assert.equal(generation.finishReason, stop.length > 0 ? 'stop' : 'length');
    }
  });
});
