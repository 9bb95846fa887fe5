import type { BytePairVocabulary } from '../../tokenizer/bytePairs.js';
import type { GgufValue } from './container.js';

const NORMAL = 1;
const CONTROL = 3;

/**
 * The metadata of a byte-pair vocabulary in the form of GPT-2, the only one of llama.cpp's with merges. Its tokens are
 * strings of bytes, written with one visible character a byte; so texts of tokens come out right. Texts are split into
 * words before merging, so ids of a text may differ from ours: give llama.cpp ids.
 */
export function vocabularyMetadata(vocabulary: BytePairVocabulary, eos: number | undefined): Record<string, GgufValue> {
  const { tokens, merges, special } = vocabulary;
  const pairs = [...bytePairs(tokens, special), ...merges.map(([a, b]) => `${byteLevel(a)} ${byteLevel(b)}`)];
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': { strings: tokens.map((text, id) => (special.has(id) ? text : byteLevel(text))) },
    'tokenizer.ggml.token_type': { i32s: tokens.map((_, id) => (special.has(id) ? CONTROL : NORMAL)) },
    'tokenizer.ggml.merges': { strings: pairs },
    ...(eos === undefined ? {} : { 'tokenizer.ggml.eos_token_id': { u32: eos } }),
    'tokenizer.ggml.add_bos_token': false,
  };
}

/** Stands in for a vocabulary that the model folder lacks: llama.cpp cannot do without one. One token a byte, then names. */
export function placeholderMetadata(vocabSize: number): Record<string, GgufValue> {
  const tokens = Array.from({ length: vocabSize }, (_, id) => ALPHABET[id] ?? `<unused_${id}>`);
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': { strings: tokens },
    'tokenizer.ggml.token_type': { i32s: tokens.map(() => NORMAL) },
    'tokenizer.ggml.merges': { strings: [] },
    'tokenizer.ggml.add_bos_token': false,
  };
}

/** Merges that form the characters of several bytes. */
function bytePairs(tokens: readonly string[], special: ReadonlySet<number>): string[] {
  const pairs = new Set<string>();
  for (const [id, text] of tokens.entries()) {
    const bytes = byteLevel(text);
    if (special.has(id) || Array.from(text).length !== 1) continue;
    for (let end = 1; end < bytes.length; end++) pairs.add(`${bytes.slice(0, end)} ${bytes[end]}`);
  }
  return [...pairs];
}

/** GPT-2's alphabet: printable bytes stand for themselves, the others for the characters from U+0100 on. */
const ALPHABET: readonly (string | undefined)[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : next++);
  });
})();

function byteLevel(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => ALPHABET[byte]).join('');
}
