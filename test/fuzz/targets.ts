import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { activationGraph } from '../../src/verify/graph.js';
import { checkGolden, parseGolden } from '../../src/verify/golden.js';
import { namedTensors } from '../../src/checkpoint/assemble.js';
import { formatConfig, parseConfig } from '../../src/checkpoint/config.js';
import { describeModel, readModel } from '../../src/checkpoint/readModel.js';
import { readSafetensors } from '../../src/checkpoint/reader.js';
import { encodeSafetensors } from '../../src/checkpoint/writer.js';
import { memorySource } from '../../src/folder/byteSource.js';
import type { Folder } from '../../src/folder/folder.js';
import { TokenizerError } from '../../src/lib/errors.js';
import { parseJson } from '../../src/lib/json.js';
import { buildTokenizer, compactLayout } from '../../src/tokenizer/build.js';
import { DTYPE_BITS, isFloatDtype } from '../../src/checkpoint/dtype.js';
import { readTorchFile } from '../../src/checkpoint/pickle/torchFile.js';
import { sizeOf } from '../../reference/lib/tensor.js';
import { readTokenizer } from '../../src/tokenizer/readTokenizer.js';
import { TINY, tinyModel } from '../support/arbitraries.js';
import { hubAddress, hubAnswers } from './hubTarget.js';
import { below, bytesOf, mutateJson, pick, type Random } from './mutate.js';

/** Makes one hostile input and reads it. What a reader may do is to succeed or to throw an EmergentError. */
export type Target = (random: Random) => Promise<unknown>;

type Files = Record<string, Uint8Array>;

function folderOf(files: Files): Folder {
  return {
    name: 'model',
    files: Object.keys(files),
    pathOf: (file) => `model/${file}`,
    open: (file) => Promise.resolve(Object.hasOwn(files, file) ? memorySource(files[file], `model/${file}`) : null),
  };
}

export async function joined(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return Buffer.concat(parts);
}

/** A safetensors file with another header, whose length is right. */
export function withHeader(file: Uint8Array, header: Uint8Array): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, file.subarray(8 + headerLength(file))]);
}

function headerLength(file: Uint8Array): number {
  return Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
}

export function headerOf(file: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + headerLength(file))));
}

const model = tinyModel();
const tensors = namedTensors(model.weights);
const weights = await joined(encodeSafetensors(tensors, { format: 'pt' }));
const config = formatConfig(model.config);
const names = Object.keys(tensors);
const half = Math.ceil(names.length / 2);
const shards = await Promise.all(
  [names.slice(0, half), names.slice(half)].map((part) =>
    joined(encodeSafetensors(Object.fromEntries(part.map((name) => [name, tensors[name]])))),
  ),
);
const index = {
  metadata: { total_size: 1 },
  weight_map: Object.fromEntries(names.map((name, i) => [name, i < half ? 'a.safetensors' : 'b.safetensors'])),
};

async function jsonOf(path: string): Promise<unknown> {
  return JSON.parse(await readFile(fileURLToPath(new URL(path, import.meta.url)), 'utf8'));
}
const tokenizer = await jsonOf('../../models/demo/tokenizer.json');
const tokenizerConfig = await jsonOf('../../models/demo/tokenizer_config.json');
const pickles = fileURLToPath(new URL('../../golden/fixtures-pickles/', import.meta.url));
const torchFiles = await Promise.all(
  readdirSync(pickles)
    .filter((name) => name.endsWith('.pt'))
    .map((name) => readFile(`${pickles}${name}`)),
);
const golden = await readFile(
  fileURLToPath(new URL('../../golden/fixtures/models/tanh/truth.safetensors', import.meta.url)),
);
const goldenConfig = parseConfig(await jsonOf('../../golden/fixtures/models/tanh/config.json')).config;

function encode(json: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}

const ngrams = [
  {
    lang: 'a',
    unigrams: [['é', 3]],
    bigrams: [
      ['th', 9],
      ['he', 8],
    ],
    trigrams: [['the', 5]],
  },
  {
    lang: 'b',
    bigrams: [['em', 1]],
    trigrams: [
      ['eme', 1],
      ['日本語', 2],
    ],
  },
];
const smallTokenizer = encode(buildTokenizer(ngrams, compactLayout(256, 3))['tokenizer.json']);

export const TARGETS: Record<string, Target> = {
  async safetensors(random) {
    const mutated =
      random() < 0.5
        ? withHeader(weights, bytesOf(random, mutateJson(random, headerOf(weights))))
        : weights.map((byte) => (random() < 2 / weights.length ? byte ^ (1 << below(random, 8)) : byte));
    const file = await readSafetensors(memorySource(mutated, 'mutated.safetensors'));
    for (const name of file.tensors.keys()) await file.readFloat32(name);
  },

  config: (random) =>
    readModel(folderOf({ 'config.json': bytesOf(random, mutateJson(random, config)), 'model.safetensors': weights })),

  checkpoint: (random) =>
    readModel(
      folderOf({
        'config.json': encode(config),
        'model.safetensors': withHeader(weights, bytesOf(random, mutateJson(random, headerOf(weights)))),
      }),
      { dtype: pick(random, ['f32', 'int8', 'bf16'] as const) },
    ),

  shards: (random) =>
    readModel(
      folderOf({
        'config.json': encode(config),
        'model.safetensors.index.json': bytesOf(random, mutateJson(random, index)),
        'a.safetensors': shards[0],
        'b.safetensors':
          random() < 0.7 ? shards[1] : withHeader(shards[1], bytesOf(random, mutateJson(random, headerOf(shards[1])))),
      }),
    ),

  tensorMap: (random) => {
    const map = Object.fromEntries(names.slice(0, 6).map((name) => [name, name]));
    return describeModel(folderOf({ 'config.json': encode(config), 'model.safetensors': weights }), {
      tensorMap: mutateJson(random, map) as Record<string, string>,
    });
  },

  async ends(random) {
    const homes = {
      'special_tokens_map.json': { eos_token: { content: '</s>', lstrip: false }, pad_token: '<pad>' },
      'generation_config.json': { eos_token_id: [130, 128], pad_token_id: 128 },
      'config.json': { ...config, eos_token_id: 130 },
    };
    const files: Files = { 'tokenizer.json': smallTokenizer };
    for (const [file, json] of Object.entries(homes)) files[file] = bytesOf(random, mutateJson(random, json));
    const { eosIds } = await readTokenizer(folderOf(files));
    if (!eosIds.every((id) => Number.isInteger(id) && id >= 0 && id < 256))
      throw new Error(`eosIds are ${eosIds.join()}`);
  },

  async ngrams(random) {
    const counts = parseJson(bytesOf(random, mutateJson(random, ngrams)), {
      path: 'ngrams.json',
      Fault: TokenizerError,
    });
    const built = buildTokenizer(counts, compactLayout(256, 3), 'ngrams.json');
    const read = await readTokenizer(folderOf({ 'tokenizer.json': encode(built['tokenizer.json']) }));
    if (read.decode(read.encode('the theme')) !== 'the theme') throw new Error('ASCII is not decoded as it was');
  },

  async tokenizer(random) {
    const spoilsConfig = random() < 0.5;
    const files: Files = {
      'tokenizer.json': spoilsConfig ? encode(tokenizer) : bytesOf(random, mutateJson(random, tokenizer)),
      'tokenizer_config.json': spoilsConfig
        ? bytesOf(random, mutateJson(random, tokenizerConfig))
        : encode(tokenizerConfig),
    };
    const read = await readTokenizer(folderOf(files));
    read.decode(read.encode('Question: What is the capital of Japan?\nAnswer:'));
  },

  async golden(random) {
    const header = headerOf(golden) as { __metadata__: { emergent: string } };
    const described = JSON.parse(header.__metadata__.emergent) as unknown;
    if (random() < 0.8) {
      header.__metadata__.emergent = new TextDecoder().decode(bytesOf(random, mutateJson(random, described)));
    }
    const mutated = random() < 0.7 ? header : mutateJson(random, header);
    const file = await readSafetensors(
      memorySource(withHeader(golden, bytesOf(random, mutated)), 'golden.safetensors'),
    );
    const parsed = await parseGolden(file);
    checkGolden(parsed, random() < 0.5 ? goldenConfig : TINY, activationGraph(goldenConfig, true));
  },

  /** Flips bits, overwrites, cuts and moves bytes of archives of PyTorch. */
  async torchFile(random) {
    const original = pick(random, torchFiles);
    const mutated = Buffer.from(
      original.subarray(0, random() < 0.9 ? original.length : below(random, original.length)),
    );
    for (let i = below(random, 6); i >= 0 && mutated.length > 0; i--) {
      const at = below(random, mutated.length);
      if (random() < 0.4) mutated[at] ^= 1 << below(random, 8);
      else if (random() < 0.6)
        mutated[at] = pick(random, [0, 1, 0x28, 0x2e, 0x30, 0x52, 0x62, 0x6a, 0x74, 0x75, 0x7d, 0xff]);
      else mutated.copy(mutated, below(random, mutated.length), at, at + below(random, 20));
    }
    const file = await readTorchFile(memorySource(mutated, 'mutated.pt'));
    for (const [name, { dtype, shape, bytes }] of file.tensors) {
      if (bytes > 2 ** 20) throw new Error(`${name} claims ${bytes} bytes`);
      if (isFloatDtype(dtype)) await file.readFloat32(name);
      else await file.readBytes(name, new Uint8Array(bytes));
      if (sizeOf(shape) * (DTYPE_BITS[dtype] / 8) !== bytes) throw new Error(`${name} has ${bytes} bytes`);
    }
  },

  hubAnswers,
  hubAddress,
};
