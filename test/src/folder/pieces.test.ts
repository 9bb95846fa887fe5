import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Pieces } from '../../../src/folder/pieces.js';
import { CheckpointError } from '../../../src/lib/errors.js';

const piece = fc.record({ bytes: fc.uint8Array({ maxLength: 20 }), isBlob: fc.boolean() });

describe('pieces of a file', () => {
  it('give any range of what was added, in memory and beyond it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece), fc.nat(100), fc.nat(200), fc.nat(200), async (added, maxMemory, a, b) => {
        const pieces = new Pieces(maxMemory);
        for (const { bytes, isBlob } of added) {
          const own = new Uint8Array(bytes);
          pieces.add(isBlob ? new Blob([own]) : own);
        }
        const all = Buffer.concat(added.map(({ bytes }) => bytes));
        assert.equal(pieces.size, all.length);
        const [from, to] = [a, b].map((it) => it % (all.length + 1)).sort((x, y) => x - y);
        const target = Buffer.alloc(to - from);
        await pieces.source('it').readInto(target, from);
        assert.deepEqual(target, all.subarray(from, to));
      }),
    );
  });

  it('are gone once the source is closed', async () => {
    const pieces = new Pieces();
    pieces.add(new Uint8Array(5));
    const source = pieces.source('it');
    await source.close();
    await assert.rejects(source.readInto(new Uint8Array(5), 0), (error: Error) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(error.message, /^it cannot be read: bytes are missing$/);
      return true;
    });
  });
});
