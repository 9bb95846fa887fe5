import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { memorySource, type ByteSource } from '../../../src/folder/byteSource.js';
import { DTYPE_BITS } from '../../../src/checkpoint/dtype.js';
import {
  encodeLazily,
  encodeSafetensors,
  openSafetensors,
  readSafetensors,
  writeSafetensors,
  type LazyTensor,
} from '../../../src/checkpoint/safetensors.js';
import { CheckpointError } from '../../../src/lib/errors.js';
import { EmergentError } from '../../../reference/lib/errors.js';
import { sizeOf } from '../../../reference/lib/tensor.js';

/** A file with the given header and zeros as data. */
function fileOf(header: string | object, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

/** A file with the header `{}` and a wrong header length. */
function claiming(length: number): Uint8Array {
  const bytes = fileOf('{}', 0);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  return bytes;
}

function read(bytes: Uint8Array) {
  return readSafetensors(watched(bytes).source);
}

/** A source in memory that records each read and rejects reads beyond its end. */
function watched(bytes: Uint8Array) {
  const inner = memorySource(bytes, 'test.safetensors');
  const reads: Uint8Array[] = [];
  let closed = 0;
  const source: ByteSource = {
    ...inner,
    readInto(target, offset) {
      assert.ok(offset >= 0 && offset + target.length <= bytes.length, 'a read beyond the end');
      reads.push(target);
      return inner.readInto(target, offset);
    },
    close() {
      closed++;
      return Promise.resolve();
    },
  };
  return { source, reads, timesClosed: () => closed };
}

const shape = fc.array(fc.nat({ max: 4 }), { maxLength: 3 });
const tensors = fc.dictionary(
  fc
    .oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('__proto__', 'constructor', '7', 'a\nb', '"'))
    .filter((name) => name !== '__metadata__'),
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
          for (const { dtype, begin, bytes: size } of file.tensors.values()) {
            assert.ok(size === 0 || (begin * 8) % DTYPE_BITS[dtype] === 0, 'aligned');
          }
          for (const [name, { data, shape: dimensions }] of Object.entries(written)) {
            const back = data instanceof Float32Array ? await file.readFloat32(name) : await file.readFloat64(name);
            assert.deepEqual(back, { data, shape: dimensions });
          }
        },
      ),
    );
  });

  it('reads files written by Python', async () => {
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
    await assert.rejects(file.readFloat32('nope'), / has no tensor "nope"/);
    await file.close();
  });

  it('knows the size of every dtype that Python writes, and reads none but the floats', async () => {
    const file = await openSafetensors(fileURLToPath(new URL('fixtures/others.safetensors', import.meta.url)));
    const floats = ['F32', 'F16', 'BF16', 'F64'];
    const known = Object.keys(DTYPE_BITS).filter((dtype) => !floats.includes(dtype) && !dtype.startsWith('F6_'));
    assert.deepEqual([...file.tensors.keys()].sort(), known.sort());
    for (const [name, { dtype, shape: dimensions, bytes }] of file.tensors) {
      assert.equal(dtype, name);
      assert.equal(bytes * 8, sizeOf(dimensions) * DTYPE_BITS[dtype]);
      const message = new RegExp(`tensor "${name}" is ${name}; only F32, F16, BF16 and F64 can be read`);
      await assert.rejects(file.readFloat32(name), message);
      await assert.rejects(file.readFloat64(name), message);
    }
    await file.close();
  });

  it('reads float32 directly into the target, and decodes other dtypes a megabyte at a time', async () => {
    const length = 1_300_001; // with 16 bits: two full chunks and a partial one
    const values = Float32Array.from({ length }, (_, i) => (i % 2047) - 1023);
    const halves = new Uint16Array(new Float32Array(values).buffer).filter((_, i) => i % 2 === 1); // bfloat16, if exact
    const exact = values.map((_, i) => new Float32Array(Uint32Array.of(halves[i] << 16).buffer)[0]);
    const wide = Float64Array.from(values, (x) => x / 3);
    const info = (dtype: string, begin: number, each: number) => ({
      dtype,
      shape: [length],
      data_offsets: [begin, begin + each * length],
    });
    const bytes = fileOf(
      { bf16: info('BF16', 0, 2), f32: info('F32', 2 * length, 4), f64: info('F64', 6 * length, 8) },
      0,
    );
    const all = Buffer.concat([bytes, ...[halves, values, wide].map((x) => new Uint8Array(x.buffer))]);
    const { source, reads } = watched(all);
    const file = await readSafetensors(source);
    for (const [name, expected] of [
      ['bf16', exact],
      ['f64', wide],
    ] as const) {
      reads.length = 0;
      assert.deepEqual((await file.readFloat64(name)).data, Float64Array.from(expected));
      assert.deepEqual((await file.readFloat32(name)).data, Float32Array.from(expected));
      assert.ok(reads.length > 4 && reads.every((target) => target.length <= 2 ** 20));
    }
    reads.length = 0;
    const { data } = await file.readFloat32('f32');
    assert.deepEqual(data, values);
    assert.ok(reads.length === 1 && reads[0].buffer === data.buffer);
  });

  it('rejects a tensor that is too large for memory', async () => {
    const size = 2 ** 46;
    const header = fileOf({ a: { dtype: 'F32', shape: [size / 4], data_offsets: [0, size] } }, 0);
    const small = memorySource(header, 'vast.safetensors');
    const file = await readSafetensors({ ...small, size: header.length + size });
    await assert.rejects(
      file.readFloat32('a'),
      /^CheckpointError: vast\.safetensors: tensor "a" is too large for memory/,
    );
    await assert.rejects(file.readFloat64('a'), CheckpointError);
  });

  it('reads headers of many megabytes', async () => {
    const long = 'x\n"'.repeat(5_000_000);
    const file = await read(fileOf({ __metadata__: { long } }, 0));
    assert.equal(file.metadata.long, long);
  });

  it('closes a source that it rejects', async () => {
    const { source, timesClosed } = watched(fileOf('{', 0));
    await assert.rejects(readSafetensors(source), CheckpointError);
    assert.equal(timesClosed(), 1);
  });

  it('refuses to write files that could not be read back', () => {
    const lazy = (more: Partial<LazyTensor>): LazyTensor => {
      return { name: 'a', dtype: 'F32', shape: [1], make: () => Float32Array.of(1), ...more };
    };
    const wrong: [LazyTensor[], RegExp][] = [
      [[lazy({}), lazy({})], /two tensors are called "a"/],
      [[lazy({ name: '__metadata__' })], /a tensor cannot be called __metadata__/],
      [[lazy({ name: 'a\ud800' })], /not valid Unicode/],
      [[lazy({ shape: [2] })], /tensor "a", F32 of shape \[2\], has 1 elements of 4 bytes/],
      [[lazy({ dtype: 'F64' })], /tensor "a", F64 of shape \[1\], has 1 elements of 4 bytes/],
    ];
    for (const [list, message] of wrong) {
      assert.throws(
        () => [...encodeLazily(list)],
        (error) => error instanceof EmergentError && message.test(error.message),
      );
    }
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
    ['a header over 100 MB', fileOf('{}', 0).fill(0x7f, 0, 8), /exceeds the limit of 100 MB/],
    ['a header of one byte more than 100 MB', claiming(100_000_001), /100000001 bytes exceeds the limit of 100 MB/],
    ['a header of 100 MB in a file of two bytes', claiming(100_000_000), /header should take 100000000 bytes/],
    [
      'a dtype named like a property of every JavaScript object',
      fileOf({ a: entry(0, 4, { dtype: 'toString' }) }, 4),
      /unknown dtype "toString"/,
    ],
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
    ['an unknown dtype', fileOf({ a: entry(0, 4, { dtype: 'F31' }) }, 4), /tensor "a" has an unknown dtype "F31"/],
    ['a negative size', fileOf({ a: entry(0, 4, { shape: [-1] }) }, 4), /tensor "a" has the shape \[-1\]/],
    ['a fractional size', fileOf({ a: entry(0, 4, { shape: [1.5] }) }, 4), /not a valid list of sizes/],
    ['sizes that overflow', fileOf({ a: entry(0, 4, { shape: [2 ** 40, 2 ** 40] }) }, 4), /not a valid list of sizes/],
    ['a single offset', fileOf({ a: entry(0, 4, { data_offsets: [0] }) }, 4), /not \[begin, end\]/],
    ['offsets in reverse order', fileOf({ a: entry(0, 4, { data_offsets: [4, 0] }) }, 4), /not \[begin, end\]/],
    ['data past the end', fileOf({ a: entry(0, 8) }, 4), /ends at byte 8 of the data, which has only 4/],
    [
      'a shape that does not fit the data',
      fileOf({ a: entry(0, 4, { shape: [2] }) }, 4),
      /takes 8 bytes, but its data_offsets span 4/,
    ],
    ['an overlap', fileOf({ a: entry(0, 8), b: entry(4, 12) }, 12), /tensor "b" overlaps tensor "a" by 4 bytes/],
    [
      'an overlap of exactly one byte',
      fileOf(
        {
          a: { dtype: 'U8', shape: [4], data_offsets: [0, 4] },
          b: { dtype: 'U8', shape: [4], data_offsets: [3, 7] },
        },
        7,
      ),
      /tensor "b" overlaps tensor "a" by 1 bytes/,
    ],
    ['two tensors at the same place', fileOf({ a: entry(0, 4), b: entry(0, 4) }, 4), /overlaps/],
    [
      'a gap',
      fileOf({ a: entry(0, 4), b: entry(8, 12) }, 12),
      /4 bytes between tensor "a" and tensor "b" are not covered/,
    ],
    ['a gap at the start', fileOf({ a: entry(4, 8) }, 8), /4 bytes between the header and tensor "a" are not covered/],
    [
      'bytes after the last tensor',
      fileOf({ a: entry(0, 4) }, 5),
      /1 bytes after tensor "a" are not covered by any tensor/,
    ],
    [
      'sizes that overflow on the way to zero',
      fileOf({ a: entry(0, 0, { shape: [2 ** 40, 2 ** 40, 0] }) }, 0),
      /sizes/,
    ],
    ['minus zero', fileOf('{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}', 0), /not a valid list of sizes/],
    ['half a byte', fileOf({ a: entry(0, 2, { dtype: 'F4', shape: [3] }) }, 2), /takes 1\.5 bytes/],
    ['a million open brackets', fileOf(`{"a":${'['.repeat(1e6)}`, 0), /more than 3 deep/],
    ['deeply nested objects', fileOf(`{"a":${'{"a":'.repeat(9)}1${'}'.repeat(9)}}`, 0), /more than 3 deep/],
    ['half a surrogate pair in a name', fileOf({ 'a\ud800': entry(0, 4) }, 4), /has a name that is not valid Unicode/],
    ['half a surrogate pair in the metadata', fileOf({ __metadata__: { a: '\udc00' } }, 0), /not valid Unicode/],
    ['a key __proto__ in a tensor', fileOf('{"a":{"__proto__":1}}', 0), /unknown key "__proto__"/],
    ['a name with a line break', fileOf({ 'a\nb': [] }, 0), /tensor "a\\nb" is not/],
    ['a name with a line separator', fileOf({ 'a\u2028b': [] }, 0), /tensor "a\\u\{2028\}b" is not/],
    ['a name with a terminal control code', fileOf({ 'a\u009b2J': [] }, 0), /tensor "a\\u\{9b\}2J" is not/],
    ['a tensor that is not an object', fileOf({ a: [1] }, 0), /not described by a JSON object/],
  ];
  for (const [what, bytes, message] of broken) {
    it(`rejects ${what}`, async () => {
      await assert.rejects(read(bytes), (error: Error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(error.message, message);
        assert.match(error.message, /^test\.safetensors: [^\n]*$/);
        return true;
      });
    });
  }

  it('decodes tensors that are longer than a slab, from any start', async () => {
    const length = 2 ** 20 + 5; // several slabs of each dtype, and a part of one
    /** From 1024 to 2047, exact in all three dtypes but BF16, which has 8 bits: there a multiple of 8. */
    const valueOf = (i: number, step: number): number => 1024 + ((i * 7 + (i >> 12)) % (1024 / step)) * step;
    const encodings = {
      F16: {
        bytes: 2,
        step: 1,
        put: (view: DataView, at: number, x: number) => view.setUint16(at, (25 << 10) | (x - 1024), true),
      },
      BF16: {
        bytes: 2,
        step: 8,
        put: (view: DataView, at: number, x: number) => view.setUint16(at, 0x4480 | ((x - 1024) / 8), true),
      },
      F64: { bytes: 8, step: 1, put: (view: DataView, at: number, x: number) => view.setFloat64(at, x, true) },
    };
    for (const [dtype, { bytes, step, put }] of Object.entries(encodings)) {
      const file = fileOf({ x: { dtype, shape: [length], data_offsets: [0, bytes * length] } }, bytes * length);
      const view = new DataView(file.buffer, file.length - bytes * length);
      for (let i = 0; i < length; i++) put(view, bytes * i, valueOf(i, step));
      const opened = await read(file);
      const { data } = await opened.readFloat32('x');
      assert.equal(
        data.findIndex((x, i) => x !== valueOf(i, step)),
        -1,
        dtype,
      );
      const start = 300_001;
      const part = new Float32Array(length - start);
      await opened.readFloats('x', part, start);
      assert.equal(
        part.findIndex((x, i) => x !== valueOf(start + i, step)),
        -1,
        `${dtype} from ${start}`,
      );
      const exact = await opened.readFloat64('x');
      assert.equal(
        exact.data.findIndex((x, i) => x !== valueOf(i, step)),
        -1,
        `${dtype} as float64`,
      );
    }
  });

  it('either reads or cleanly rejects thousands of mutated files', async () => {
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
    // Replaces a number, a word or a punctuation mark of the header, so that the JSON often stays valid.
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
    let rejected = 0;
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
          rejected++;
          assert.ok(error instanceof CheckpointError, String(error));
          assert.match(error.message, /^test\.safetensors: [^\n]+$/);
        }
      }),
      { numRuns: 6000 },
    );
    console.log(`      rejected ${rejected} of 6000`);
    assert.ok(rejected > 3000 && rejected < 6000);
  });

  describe('on disk', () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    });
    afterEach(() => rm(folder, { recursive: true }));

    it('writes the same bytes every time and reads them back', async () => {
      const a = join(folder, 'a.safetensors');
      const b = join(folder, 'b.safetensors');
      const written = { x: { data: Float32Array.of(1, 2), shape: [2] } };
      await writeSafetensors(a, written);
      await writeSafetensors(b, written);
      assert.deepEqual(await readFile(a), await readFile(b));
      const file = await openSafetensors(a);
      assert.deepEqual(await file.readFloat32('x'), written.x);
      await file.close();
    });

    it('explains what is wrong with a path', async () => {
      await assert.rejects(openSafetensors(join(folder, 'nope')), /nope does not exist$/);
      await assert.rejects(openSafetensors(folder), /it is not a file/);
      await assert.rejects(writeSafetensors(join(folder, 'no/such/folder'), {}), CheckpointError);
    });
  });
});
