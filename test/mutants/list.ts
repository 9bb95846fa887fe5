/** A bug to plant: `find` stands once in `file`. */
export interface Mutant {
  name: string;
  file: string;
  find: string;
  replace: string;
  /** The tests that should see it. */
  tests: readonly string[];
  /** Why no test can see it, if none can. */
  equivalent?: string;
}

const REFERENCE = ['test/golden/ops.test.ts', 'test/reference/model.test.ts', 'test/golden/models.test.ts'];
const SAMPLING = ['test/src/sample.test.ts', 'test/src/candidates.test.ts'];
const CHECKPOINT = ['test/src/checkpoint/*.test.ts'];
const VERIFY = ['test/src/verify/*.test.ts'];
const FOLDER = ['test/src/folder/*.test.ts'];
const HUB = ['test/src/folder/hub/*.test.ts'];
const SIMD = ['test/accel/simd/*.test.ts', 'test/src/backend.test.ts'];
const GPU = ['ops', 'layerNorm', 'device', 'recorder']
  .map((name) => `test/accel/gpu/${name}.test.ts`)
  .concat('test/src/backend.test.ts');
const TEXT = ['generate', 'languageModel', 'textStream', 'perplexity', 'lens'].map(
  (name) => `test/src/${name}.test.ts`,
);
const PACK = ['test/reference/lib/pack.test.ts', 'test/accel/simd/pack.test.ts', 'test/src/checkpoint/convert.test.ts'];

function bugsIn(
  file: string,
  tests: readonly string[],
  bugs: readonly (readonly [name: string, find: string, replace: string, equivalent?: string])[],
): Mutant[] {
  return bugs.map(([name, find, replace, equivalent]) => ({
    ...{ name, file, find, replace, tests },
    ...(equivalent === undefined ? {} : { equivalent }),
  }));
}

// prettier-ignore
export const MUTANTS: readonly Mutant[] = [
  ...bugsIn('reference/attention.ts', REFERENCE, [
    ['scale of D', 'dot / Math.sqrt(D)', 'dot / D'],
    ['mask off by one', 'S - T + t + 1', 'Math.min(S, S - T + t + 2)'],
    ['weights of another head', '(h * T + t) * S', '(h * T) * S'],
  ]),
  ...bugsIn('reference/rope.ts', REFERENCE, [
    ['the other way', '* cos - x.data[second] * sin', '* cos + x.data[second] * sin'],
    ['float64 angles', 'Math.fround((start + t) * frequency)', '(start + t) * frequency'],
  ]),
  ...bugsIn('reference/layerNorm.ts', REFERENCE, [
    ['variance of C - 1', 'variance /= C', 'variance /= Math.max(1, C - 1)'],
    ['eps outside the root', '1 / Math.sqrt(variance + eps)', '1 / (Math.sqrt(variance) + eps)'],
  ]),
  ...bugsIn('reference/linear.ts', REFERENCE.concat('test/reference/linear.test.ts'), [
    ['bias forgotten by four', 'y.data[y0 + 3] = sum3 + shift[n + 3]', 'y.data[y0 + 3] = sum3'],
    ['bias forgotten by one', '= sum + shift[n]', '= sum'],
  ]),
  ...bugsIn('reference/kvCache.ts', ['test/reference/*.test.ts'], [
    ['copies nothing when it grows', 'grown.data.set(x.data);', ''],
  ]),
  ...bugsIn('reference/erf.ts', ['test/reference/erf.test.ts', 'test/golden/ops.test.ts'], [
    ['a shorter series', 'const SERIES_DEPTH = 22', 'const SERIES_DEPTH = 12'],
  ]),
  ...bugsIn('reference/lib/pack.ts', PACK, [
    ['ties away from zero', '(bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16', '(bits + 0x8000) >>> 16'],
    ['NaN becomes infinite', '(bits >>> 16) | 0x40', 'bits >>> 16', 'a NaN that passed through float64 has this bit already'],
  ]),
  ...bugsIn('src/checkpoint/reader.ts', CHECKPOINT, [
    ['every slab from the start', '(start + done) * bytesEach', 'done * bytesEach'],
    ['data from the header', 'return this.#dataStart + begin', 'return begin + 8'],
  ]),
  ...bugsIn('src/checkpoint/header.ts', CHECKPOINT, [
    ['an overlap of one byte', 'if (begin < covered)', 'if (begin < covered - 1)'],
    ['a gap', 'if (begin > covered)', 'if (begin > covered + 1e9)'],
    ['bytes at the end', 'if (covered !== dataBytes)', 'if (covered > dataBytes)'],
    ['past the end', 'if (end > dataBytes)', 'if (end > dataBytes + 8)'],
  ]),
  ...bugsIn('src/checkpoint/readTensor.ts', CHECKPOINT, [
    ['the head in 4 bits', "dtype === 'int4' && canonical === 'lm_head.weight' ? 'int8' : dtype", 'dtype'],
    ['slabs from the start', 'await store.readFloats(name, values, n * K)', 'await store.readFloats(name, values, 0)'],
    ['not transposed', 'y.data[c * R + r] = x.data[r * C + c]', 'y.data[r * C + c] = x.data[r * C + c]'],
  ]),
  ...bugsIn('src/checkpoint/names.ts', CHECKPOINT, [
    ['beta is a weight', "ending === 'weight' || ending === 'gamma'", "ending !== 'bias'"],
  ]),
  ...bugsIn('src/checkpoint/roles.ts', CHECKPOINT, [
    ['grouped heads taken for fused ones', "isOneOf.includes(true) ? null : 'self_attn.qkv_proj'", "'self_attn.qkv_proj'"],
    ['the higher of two', 'number === Math.min(...numbers)', 'number === Math.max(...numbers)'],
  ]),
  ...bugsIn('src/sample.ts', SAMPLING, [
    ['the penalty of small logits', 'scores[id] > 0 ?', 'scores[id] >= 1 ?'],
    ['the last of equals', 'logits[id] > logits[best]', 'logits[id] >= logits[best]'],
  ]),
  ...bugsIn('src/candidates.ts', SAMPLING, [
    ['one token more', 'while (count < given && covered < limit)', 'while (count < given && covered <= limit)'],
    ['k is k + 1', 'this.#count = k;', 'this.#count = k + 1;'],
    ['never weighs exactly', 'if (this.#cut(p * total, slack)) return;', 'this.#cut(p * total); return;'],
    ['no temperature', 'Math.exp((score - highest) / temperature)', 'Math.exp(score - highest)'],
  ]),
  ...bugsIn('src/generate.ts', TEXT, [
    ['past block_size without a reset', 'if (session.length === blockSize) {', 'if (session.length > blockSize) {'],
    ['a chunk skipped', 'start += session.chunk', 'start += session.chunk + 1'],
  ]),
  ...bugsIn('src/languageModel.ts', TEXT, [
    ['sessions are never disposed of', '      await session.dispose();', ''],
    ['the remainder is lost', "if (remainder !== '') yield remainder;", ''],
  ]),
  ...bugsIn('src/perplexity.ts', TEXT, [
    ['the token after the next', 'window[t + 1]', 'window[Math.min(t + 2, window.length - 1)]'],
  ]),
  ...bugsIn('src/verify/golden.ts', VERIFY, [
    ['nothing to compare', 'data.length === 0 ||', ''],
  ]),
  ...bugsIn('src/verify/compare.ts', VERIFY, [
    ['NaN is no fault', 'if (Number.isNaN(a[i]) && !same) nan++;', ''],
    ['NaN equals every number', 'if (Number.isNaN(error)) error = Infinity;', 'if (Number.isNaN(error)) error = 0;'],
  ]),
  ...bugsIn('src/folder/outputFile.ts', FOLDER, [
    ['links are replaced', 'if (link === null) break;', 'break;'],
    ['modes are lost', 'if (former) await chmod', 'if (!former) await chmod'],
    ['inputs are outputs', 'if (status?.ino !== own.ino || status.dev !== own.dev) continue;', 'continue;'],
    ['stale files stay', 'for (const name of stale) await rm', 'for (const name of [] as string[]) await rm'],
  ]),
  ...bugsIn('src/folder/hub/download.ts', HUB, [
    ['hashes are not checked', 'if ((await hashOf(partial, file)) === file.hash) break;', 'if ((await hashOf(partial, file)).length > 0) break;'],
  ]),
  ...bugsIn('accel/simd/memory.ts', SIMD, [
    ['free blocks are not merged', 'before.bytes += after.bytes;\n      this.#free.splice(i, 1);', ''],
    ['blocks overlap', 'Math.ceil(size / CACHE_LINE) * CACHE_LINE)', 'Math.floor(size / CACHE_LINE) * CACHE_LINE)'],
  ]),
  ...bugsIn('accel/simd/kvCache.ts', SIMD, [
    ['pages are lost when tables grow', 'for (const page of this.#blocks.keys()) this.#enter(page);', ''],
    ['a shared page is written', 'if (held?.holders === 1) continue;', 'if (held) continue;'],
    ['a partial page is not copied', 'if (held && page * PAGE < this.length)', 'if (held && page * PAGE > this.length)'],
  ]),
  ...bugsIn('accel/simd/upload.ts', SIMD, [
    ['tables do not grow', 'if (tables.positions < positions) {', 'if (tables.positions < 0) {'],
  ]),
  ...bugsIn('accel/deviceSession.ts', SIMD, [
    ['reset in the middle', "if (this.#pending > 0)", 'if (this.#pending > 1000)'],
  ]),
  ...bugsIn('accel/simd/assembly/attention.ts', SIMD, [
    ['one key more', 'return length - (n % T);', 'return min(length, length - (n % T) + 1);'],
    ['a page too many', 'if (s >= visible) continue;\n        const row = own + <usize>(n - start) * room + (<usize>s << 2);\n        weigh', 'const row = own + <usize>(n - start) * room + (<usize>s << 2);\n        weigh'],
    ['keys of another head', '<usize>((n / T) * PAGE) * width', '<usize>((n / T) * PAGE) * 0'],
  ]),
  ...bugsIn('accel/simd/assembly/gelu.ts', SIMD, [
    ['the other form in the tail', 'f32x4.extract_lane(tanh ? byTanh(v) : exact(v), 0)', 'f32x4.extract_lane(tanh ? exact(v) : byTanh(v), 0)'],
    ['large inputs', 'f32x4.gt(power, f32x4.splat(88))', 'f32x4.gt(power, f32x4.splat(1000))'],
  ]),
  ...bugsIn('accel/gpu/kvCache.ts', GPU, [
    ['the old cache is lost', 'await this.#device.write(empty, old, 0)', 'empty'],
  ]),
  ...bugsIn('accel/gpu/bank.ts', GPU, [
    ['biases of the first layer', 'biases.data.set(bias.data, i * N)', 'biases.data.set(bias.data, 0)'],
  ]),
];
