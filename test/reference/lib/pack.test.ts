import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { fileURLToPath } from 'node:url';
import { memorySource } from '../../../src/folder/byteSource.js';
import { readSafetensors } from '../../../src/checkpoint/reader.js';
import { CompactTensor, fromBfloat16, GROUP, type CompactDtype } from '../../../reference/lib/compactTensor.js';
import { packRows, packTensor } from '../../../reference/lib/pack.js';
import { tensor } from '../../../reference/lib/tensor.js';
import { matrix } from '../../support/arbitraries.js';

const rounding = fileURLToPath(new URL('../../src/checkpoint/fixtures/rounding.safetensors', import.meta.url));

describe('packing of weights', () => {
  for (const dtype of ['bf16', 'f16'] as const) {
    it(`rounds to ${dtype} as PyTorch does, bit for bit`, async () => {
      const file = await readSafetensors(memorySource(await readFile(rounding)));
      const { data } = await file.readFloat32('x');
      const expected = new Uint8Array(2 * data.length);
      await file.readBytes(dtype, expected);
      const actual = new Uint8Array(2 * data.length);
      const finite = packRows(dtype, data, data.length, actual, new Uint16Array(0));
      const bits = (bytes: Uint8Array): string[] =>
        Array.from(new Uint16Array(bytes.buffer), (code, i) => `${data[i]} -> ${code.toString(16)}`);
      assert.deepEqual(bits(actual), bits(expected));
      assert.equal(finite, dtype === 'bf16'); // some are too large for float16
    });
  }

  it('says whether all numbers fit into float16', () => {
    const fits = (x: number): boolean =>
      packRows('f16', Float32Array.of(1, x), 2, new Uint8Array(4), new Uint16Array(0));
    assert.deepEqual([65504, 65519, 65520, -1e6, Infinity, NaN].map(fits), [true, true, false, false, false, false]);
  });

  for (const dtype of ['int8', 'int4'] as const) {
    it(`${dtype}: no weight is off by more than its scale allows`, () => {
      fc.assert(
        fc.property(matrix(3, 150, 8), fc.constantFrom(1e-3, 1, 1e6), (x, size) => {
          const weights = tensor(
            x.shape,
            x.data.map((value) => value * size),
          );
          const packed = packTensor(weights, dtype);
          const [N, K] = packed.shape;
          const groups = packed.scales.length / N;
          packed.data.forEach((value, i) => {
            const [n, k] = [Math.floor(i / K), i % K];
            const group = Math.floor(k / GROUP[dtype]);
            const scale = Math.abs(fromBfloat16(packed.scales[n * groups + group]));
            // int4 may have an extreme of 8.5 or 7.5 where the nearest code is -8 or 7; scales have 8 bits, but below
            // the normal numbers they are 2^-133 apart, and the largest code is off by that many times half of it
            const allowed = dtype === 'int8' ? 0.76 * scale + 127 * 2 ** -134 : 1.1 * scale + 8.5 * 2 ** -134;
            assert.ok(Math.abs(value - weights.data[i]) <= allowed, `${value} for ${weights.data[i]}, scale ${scale}`);
          });
        }),
      );
    });
  }

  it('gives rows as views', () => {
    for (const dtype of ['bf16', 'f16', 'int8', 'int4'] as CompactDtype[]) {
      const x = packTensor(
        tensor(
          [5, 70],
          Float32Array.from({ length: 350 }, (_, i) => Math.sin(i)),
        ),
        dtype,
      );
      const part = x.rows(2, 4);
      assert.ok(part instanceof CompactTensor);
      assert.deepEqual(part.data, x.data.slice(140, 280));
      assert.equal(part.codes.buffer, x.codes.buffer);
    }
  });

  it('int4 finds scales that lose less than one for the largest weight would', () => {
    const data = Float32Array.from({ length: 3200 }, (_, i) => Math.sin(i * i));
    const packed = packTensor(tensor([1, 3200], data), 'int4').data;
    const lost = packed.reduce((sum, value, i) => sum + (value - data[i]) ** 2, 0);
    let plain = 0;
    for (let start = 0; start < 3200; start += 32) {
      const group = data.subarray(start, start + 32);
      const scale = group.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 7;
      group.forEach((value) => (plain += (value - scale * Math.round(value / scale)) ** 2));
    }
    assert.ok(lost < 0.95 * plain, `${lost} is not much less than ${plain}`);
  });
});
