import assert from 'node:assert/strict';
import { KvCache } from '../../reference/kvCache.js';
import { tensor } from '../../reference/lib/tensor.js';
import { TINY } from '../support/arbitraries.js';

describe('kvCache', () => {
  it('returns what came before and what is new, layer by layer', () => {
    const cache = new KvCache({ ...TINY, dModel: 2 });
    cache.append(0, tensor([2, 2], Float32Array.of(1, 2, 3, 4)), tensor([2, 2], Float32Array.of(5, 6, 7, 8)));
    cache.append(1, tensor([2, 2]), tensor([2, 2]));
    cache.advance(2);
    const [k, v] = cache.append(0, tensor([1, 2], Float32Array.of(9, 10)), tensor([1, 2], Float32Array.of(11, 12)));
    assert.deepEqual([...k.data], [1, 2, 3, 4, 9, 10]);
    assert.deepEqual([...v.data], [5, 6, 7, 8, 11, 12]);
    assert.deepEqual(k.shape, [3, 2]);
    assert.equal(cache.length, 2, 'a token counts once all layers have stored it');
  });
});
