import { isDeepStrictEqual } from 'node:util';
import { readSafetensors } from '../../src/checkpoint/reader.js';
import { encodeSafetensors } from '../../src/checkpoint/writer.js';
import { memorySource } from '../../src/folder/byteSource.js';
import { buildTokenizer, compactLayout } from '../../src/tokenizer/build.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { below, bytesOf, mutateJson, pick } from './mutate.js';
import type { startOracle } from './python.js';
import { headerOf, joined, withHeader, type Target } from './targets.js';

const tensors = {
  a: { data: Float32Array.of(1, -0, 3), shape: [3] },
  b: { data: Float64Array.of(1, 2, 3, 4), shape: [2, 2] },
  empty: { data: new Float32Array(0), shape: [0, 5] },
};
const file = await joined(encodeSafetensors(tensors, { format: 'pt' }));

const PIECES = [
  'the',
  'theme',
  ' ',
  '</s>',
  '<pad>',
  '[INST]',
  'é',
  '日本語',
  '😀',
  '\uffff',
  '\u0000',
  '\n',
  '<0x41>',
  'eme',
];

/** Compares the readers with Python's: what both accept must be the same. Ours may refuse more, but not less. */
export function differentialTargets(oracle: ReturnType<typeof startOracle>): Record<string, Target> {
  return {
    async pythonSafetensors(random) {
      const mutated = withHeader(file, bytesOf(random, mutateJson(random, headerOf(file))));
      const ours = await readSafetensors(memorySource(mutated, 'mutated.safetensors'));
      const found: Record<string, unknown> = {};
      for (const { name, dtype, shape, bytes } of ours.tensors.values()) {
        const data = Buffer.alloc(bytes);
        await ours.readBytes(name, data);
        Object.defineProperty(found, name, {
          value: { dtype, shape, data: data.toString('base64') },
          enumerable: true,
        });
      }
      const answer = await oracle('safetensors', Buffer.from(mutated).toString('base64'));
      if ('error' in answer) throw new Error(`Python refuses what this accepts: ${answer.error}`);
      // JSON.parse makes own properties of names such as __proto__, as defineProperty does
      if (!isDeepStrictEqual(JSON.parse(JSON.stringify(found)), answer.value))
        throw new Error('Python reads other tensors');
    },

    async pythonTokenizer(random) {
      const count = (): number => below(random, 100);
      const built = buildTokenizer(
        [
          {
            lang: 'x',
            unigrams: [
              ['é', count()],
              ['日', count()],
            ],
            bigrams: ['th', 'he', 'em', '日本'].map((gram) => [gram, count()]),
            trigrams: ['the', 'hem', 'eme', '日本語'].map((gram) => [gram, count()]),
          },
        ],
        compactLayout(256, 1 + below(random, 4)),
      );
      const text = Array.from({ length: below(random, 30) }, () => pick(random, PIECES)).join('');
      const ids = new Tokenizer(built['tokenizer.json'], built['tokenizer_config.json']).encode(text);
      const answer = await oracle('encode', { tokenizer: JSON.stringify(built['tokenizer.json']), text });
      if ('error' in answer) throw new Error(`Python refuses the tokenizer: ${answer.error}`);
      if (!isDeepStrictEqual(ids, answer.value)) throw new Error(`Python has other ids for ${JSON.stringify(text)}`);
    },
  };
}
