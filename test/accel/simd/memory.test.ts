import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SimdMemory } from '../../../accel/simd/memory.js';

describe('simd memory', () => {
  it('merges neighboring blocks that are free, in whatever order they are freed', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [0, 2, 1],
      [1, 0, 2],
    ]) {
      const memory = new SimdMemory(false);
      const blocks = [640, 1280, 64].map((bytes) => memory.allocate(bytes));
      memory.allocate(64); // keeps them from the end, where memory is given back anyway
      for (const i of order) memory.free(blocks[i]);
      assert.equal(memory.allocate(640 + 1280 + 64), blocks[0], `freed in the order ${order.join()}`);
    }
  });

  it('does not grow when the same sizes come again in another order', () => {
    const memory = new SimdMemory(false);
    const sizes = [100_000, 3_000_000, 40_000, 7_000_000, 200];
    const round = (order: readonly number[]): number => {
      const blocks = order.map((bytes) => memory.allocate(bytes));
      for (const address of blocks) memory.free(address);
      return memory.wasm.buffer.byteLength;
    };
    const size = round(sizes);
    for (let i = 1; i < 100; i++) assert.equal(round([...sizes.slice(i % 5), ...sizes.slice(0, i % 5)]), size);
  });

  it('never gives a byte to two blocks', () => {
    const action = fc.record({ bytes: fc.integer({ min: 0, max: 5000 }), frees: fc.boolean(), which: fc.nat() });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const memory = new SimdMemory(false);
        const blocks = new Map<number, number>();
        for (const { bytes, frees, which } of actions) {
          if (frees && blocks.size > 0) {
            const address = [...blocks.keys()][which % blocks.size];
            memory.free(address);
            blocks.delete(address);
            continue;
          }
          const address = memory.allocate(bytes);
          for (const [other, size] of blocks) assert.ok(address + bytes <= other || other + size <= address);
          assert.equal(address % 64, 0);
          blocks.set(address, bytes);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('gives back the end, and refuses an address that is not a block', () => {
    const memory = new SimdMemory(false);
    const [a, b] = [memory.allocate(64), memory.allocate(64)];
    memory.free(b);
    memory.free(a);
    assert.equal(memory.allocate(128), a);
    assert.throws(() => memory.free(b), /is not the address of an allocated block/);
    assert.equal(memory.used, 128);
  });
});
