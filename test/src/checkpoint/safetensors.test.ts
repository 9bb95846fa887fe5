import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { memorySource } from '../../../src/checkpoint/byteSource.js';
import {
  encodeSafetensors,
  openSafetensors,
  readSafetensors,
  writeSafetensors,
} from '../../../src/checkpoint/safetensors.js';
import { writeFileWhole } from '../../../src/checkpoint/nodeFile.js';
import { CheckpointError } from '../../../src/errors.js';
import { sizeOf } from '../../../src/tensor.js';

/** A file of the given header and data. */
function fileOf(header: string | object, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

function read(bytes: Uint8Array) {
  return readSafetensors(memorySource(bytes, 'test.safetensors'));
}

const shape = fc.array(fc.nat({ max: 4 }), { maxLength: 3 });
const tensors = fc.dictionary(
  fc.string({ minLength: 1 }).filter((name) => name !== '__metadata__' && name !== '__proto__'),
  fc.tuple(shape, fc.boolean(), fc.nat()).map(([dimensions, wide, start]) => {
    const size = sizeOf(dimensions);
    const data = (wide ? new Float64Array(size) : new Float32Array(size)).map((_: number, i: number) =>
      Math.sin(start + i),
    );
    return { data, shape: dimensions };
  }),
);

describe('safetensors', () => {
  it('reads back what it wrote, bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(
        tensors,
        fc.option(fc.dictionary(fc.string(), fc.string()), { nil: undefined }),
        async (written, metadata) => {
          const bytes = Buffer.concat([...encodeSafetensors(written, metadata)]);
          assert.equal(bytes.readBigUint64LE(0) % 8n, 0n, 'the data begins at a multiple of 8');
          const file = await read(bytes);
          assert.deepEqual({ ...file.metadata }, { ...metadata });
          assert.deepEqual([...file.tensors.keys()].sort(), Object.keys(written).sort());
          for (const [name, { data, shape: dimensions }] of Object.entries(written)) {
            const back = data instanceof Float32Array ? await file.readFloat32(name) : await file.readFloat64(name);
            assert.deepEqual(back, { data, shape: dimensions });
          }
        },
      ),
    );
  });

  it('reads what Python writes', async () => {
    const file = await openSafetensors(fileURLToPath(new URL('fixtures/dtypes.safetensors', import.meta.url)));
    const values = [1, -2.5, 0, -0, 65504, 2 ** -24];
    assert.deepEqual({ ...file.metadata }, { format: 'pt', note: 'quotes " and {braces}' });
    assert.deepEqual([...(await file.readFloat32('f32')).data], values);
    assert.deepEqual([...(await file.readFloat32('f16')).data], values);
    assert.deepEqual([...(await file.readFloat32('bf16')).data], [1, -2.5, 0, -0, 65536, 2 ** -24]);
    assert.deepEqual(
      [...(await file.readFloat64('f64')).data],
      values.map((x) => x / 3),
    );
    assert.deepEqual(
      [...(await file.readFloat32('f64')).data],
      values.map((x) => Math.fround(x / 3)),
    );
    assert.deepEqual(await file.readFloat32('scalar'), { data: Float32Array.of(7), shape: [] });
    assert.deepEqual(await file.readFloat32('empty'), { data: new Float32Array(0), shape: [0, 4] });
    assert.deepEqual([...(await file.readFloat32('special')).data], [Infinity, -Infinity, NaN]);
    await assert.rejects(file.readFloat32('i64'), /tensor "i64" is I64; only F32, F16, BF16 and F64 can be read/);
    await assert.rejects(file.readFloat32('nope'), /there is no tensor "nope"/);
    await file.close();
  });

  const entry = (begin: number, end: number, more = {}) => ({
    dtype: 'F32',
    shape: [(end - begin) / 4],
    data_offsets: [begin, end],
    ...more,
  });
  const broken: [string, Uint8Array, RegExp][] = [
    ['an empty file', new Uint8Array(0), /0 bytes are too few/],
    ['a header longer than the file', fileOf('{}', 0).fill(9, 0, 1), /header should take 9 bytes/],
    ['a header over 100 MB', fileOf('{}', 0).fill(0x7f, 0, 8), /over the limit of 100 MB/],
    ['no {', fileOf(' {}', 0), /does not begin with \{/],
    ['bad UTF-8', fileOf('{"a":1}', 0).fill(0xff, 10, 11), /not UTF-8/],
    ['bad JSON', fileOf('{"a"', 0), /not JSON/],
    ['an array', fileOf('{}', 0).fill(0x5b, 8, 9), /does not begin with \{/],
    ['metadata of numbers', fileOf({ __metadata__: { a: 1 } }, 0), /__metadata__ must map strings to strings/],
    [
      'a tensor twice',
      fileOf(
        '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
        0,
      ),
      /has "a" twice/,
    ],
    [
      'a tensor twice, once escaped',
      fileOf(
        '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
        0,
      ),
      /has "a" twice/,
    ],
    [
      'a key twice in a tensor',
      fileOf('{"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,4]}}', 4),
      /has "dtype" twice/,
    ],
    ['an unknown key', fileOf({ a: entry(0, 4, { x: 1 }) }, 4), /tensor "a" has an unknown key "x"/],
    ['an unknown dtype', fileOf({ a: entry(0, 4, { dtype: 'F31' }) }, 4), /tensor "a" has the dtype "F31"/],
    ['a negative size', fileOf({ a: entry(0, 4, { shape: [-1] }) }, 4), /tensor "a" has the shape \[-1\]/],
    ['a size that is no integer', fileOf({ a: entry(0, 4, { shape: [1.5] }) }, 4), /no list of sizes/],
    ['sizes that overflow', fileOf({ a: entry(0, 4, { shape: [2 ** 40, 2 ** 40] }) }, 4), /no list of sizes/],
    ['offsets that are none', fileOf({ a: entry(0, 4, { data_offsets: [0] }) }, 4), /not \[begin, end\]/],
    ['offsets backwards', fileOf({ a: entry(0, 4, { data_offsets: [4, 0] }) }, 4), /not \[begin, end\]/],
    ['data past the end', fileOf({ a: entry(0, 8) }, 4), /ends at byte 8 of the data, which has only 4/],
    [
      'a size that is not the data',
      fileOf({ a: entry(0, 4, { shape: [2] }) }, 4),
      /takes 8 bytes, but its data_offsets span 4/,
    ],
    ['an overlap', fileOf({ a: entry(0, 8), b: entry(4, 12) }, 12), /tensor "b" overlaps tensor "a" by 4 bytes/],
    ['the same place twice', fileOf({ a: entry(0, 4), b: entry(0, 4) }, 4), /overlaps/],
    ['a hole', fileOf({ a: entry(0, 4), b: entry(8, 12) }, 12), /4 bytes between tensor "a" and tensor "b"/],
    ['a hole at the start', fileOf({ a: entry(4, 8) }, 8), /4 bytes between the header and tensor "a"/],
    ['bytes left over', fileOf({ a: entry(0, 4) }, 5), /1 bytes after tensor "a" belong to nothing/],
    ['a tensor that is no object', fileOf({ a: [1] }, 0), /not described by an object/],
  ];
  for (const [what, bytes, message] of broken) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(read(bytes), (error: Error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(error.message, message);
        assert.match(error.message, /^test\.safetensors: [^\n]*$/);
        return true;
      });
    });
  }

  it('reads or refuses thousands of mutated files, and never does anything else', async () => {
    const original = Buffer.concat([
      ...encodeSafetensors(
        {
          weight: { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] },
          bias: { data: Float32Array.of(7, 8), shape: [2] },
          truth: { data: Float64Array.of(9), shape: [] },
        },
        { format: 'pt' },
      ),
    ]);
    const headerLength = Number(original.readBigUint64LE(0));
    const header = original.subarray(8, 8 + headerLength).toString();
    const flip = fc.tuple(fc.nat({ max: original.length - 1 }), fc.integer({ min: 1, max: 255 })).map(([at, bits]) => {
      const bytes = Buffer.from(original);
      bytes[at] ^= bits;
      return bytes;
    });
    const cut = fc.nat({ max: original.length }).map((length) => original.subarray(0, length));
    const insert = fc
      .tuple(fc.nat({ max: original.length }), fc.uint8Array({ minLength: 1, maxLength: 9 }))
      .map(([at, extra]) => Buffer.concat([original.subarray(0, at), extra, original.subarray(at)]));
    const claim = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((length) => {
      const bytes = Buffer.from(original);
      bytes.writeBigUint64LE(length);
      return bytes;
    });
    // A number, a word or a sign of the header becomes another, so that the JSON often stays valid.
    const parts = header.split(/(\d+|"[^"]*"|[[\]{},:])/).filter((part) => part !== '');
    const others = [
      '0',
      '1',
      '4',
      '8',
      '24',
      '-1',
      '1e9',
      '9007199254740993',
      '"F16"',
      '"F64"',
      '"x"',
      '[',
      '{}',
      'null',
      '"weight"',
      '',
    ];
    const edit = fc.tuple(fc.nat({ max: parts.length - 1 }), fc.constantFrom(...others)).map(([at, other]) => {
      const json = Buffer.from([...parts.slice(0, at), other, ...parts.slice(at + 1)].join(''));
      const prefix = Buffer.alloc(8);
      prefix.writeBigUint64LE(BigInt(json.length));
      return Buffer.concat([prefix, json, original.subarray(8 + headerLength)]);
    });
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(flip, cut, insert, claim, edit), async (bytes) => {
        try {
          const file = await read(bytes);
          let covered = 0;
          for (const { name, dtype, bytes: size } of file.tensors.values()) {
            covered += size;
            if (!['F32', 'F16', 'BF16', 'F64'].includes(dtype)) continue;
            const { data, shape: dimensions } = await file.readFloat32(name);
            assert.equal(data.length, sizeOf(dimensions));
          }
          assert.equal(covered, bytes.length - 8 - Number(bytes.readBigUint64LE(0)));
        } catch (error) {
          refused++;
          assert.ok(error instanceof CheckpointError, String(error));
          assert.match(error.message, /^test\.safetensors: [^\n]+$/);
        }
      }),
      { numRuns: 6000 },
    );
    console.log(`      refused ${refused} of 6000`);
    assert.ok(refused > 3000 && refused < 6000);
  });

  describe('on disk', () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    });
    afterEach(() => rm(folder, { recursive: true }));

    it('writes the same bytes every time and reads them back', async () => {
      const [a, b] = [join(folder, 'a.safetensors'), join(folder, 'b.safetensors')];
      const written = { x: { data: Float32Array.of(1, 2), shape: [2] } };
      await writeSafetensors(a, written);
      await writeSafetensors(b, written);
      assert.deepEqual(await readFile(a), await readFile(b));
      const file = await openSafetensors(a);
      assert.deepEqual(await file.readFloat32('x'), written.x);
      await file.close();
    });

    it('leaves what was there when writing fails halfway, and nothing beside it', async () => {
      const path = join(folder, 'kept');
      await writeFile(path, 'before');
      const failing = (function* () {
        yield Uint8Array.of(1);
        throw new Error('disk full');
      })();
      await assert.rejects(writeFileWhole(path, failing), /kept cannot be written: disk full/);
      assert.equal(await readFile(path, 'utf8'), 'before');
      assert.deepEqual(await readdir(folder), ['kept']);
    });

    it('says what is wrong with the path', async () => {
      await assert.rejects(openSafetensors(join(folder, 'nope')), /nope does not exist$/);
      await assert.rejects(openSafetensors(folder), /it is not a file/);
      await assert.rejects(writeSafetensors(join(folder, 'no/such/folder'), {}), CheckpointError);
    });
  });
});
