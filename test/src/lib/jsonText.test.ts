import assert from 'node:assert/strict';
import fc from 'fast-check';
import { duplicateKey, nesting } from '../../../src/lib/jsonText.js';

/** The nesting depth of a parsed value. */
function depth(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depth));
}

const strings = fc.oneof(fc.string(), fc.stringMatching(/^["\\{}[\]:, ]*$/));
const values = fc.jsonValue({ depthSize: 'medium' });

describe('JSON text', () => {
  it('measures nesting depth', () => {
    fc.assert(
      fc.property(values, fc.nat({ max: 2 }), (value, indent) => {
        assert.equal(nesting(JSON.stringify(value, null, indent)), depth(value));
      }),
    );
    fc.assert(fc.property(strings, (text) => assert.equal(nesting(JSON.stringify([text])), 1)));
    assert.equal(nesting('[[['), 3);
    assert.equal(nesting('["[[['), 1);
    assert.equal(nesting('"\\'), 0);
  });

  it('finds no duplicate key in the output of JSON.stringify', () => {
    fc.assert(
      fc.property(values, fc.nat({ max: 2 }), (value, indent) => {
        assert.equal(duplicateKey(JSON.stringify(value, null, indent)), null);
      }),
    );
  });

  it('finds a duplicate key, escaped or not, anywhere in an object', () => {
    const escaped = (key: string) =>
      `"${Array.from({ length: key.length }, (_, i) => `\\u${key.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`;
    fc.assert(
      fc.property(strings, strings, values, fc.boolean(), (key, other, value, escape) => {
        fc.pre(key !== other);
        const [first, middle, json] = [key, other, value].map((x) => JSON.stringify(x));
        const again = escape ? escaped(key) : first;
        assert.equal(duplicateKey(`[{${first} :1,${middle}:${first},\n${again}\t: 2}, ${json}]`), key);
        assert.equal(duplicateKey(`{${first}:{${first}:1},${middle}:[{${first}:1},{${first}:1}]}`), null);
      }),
    );
  });
});
