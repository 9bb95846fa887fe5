import { TokenizerError } from '../lib/errors.js';
import { isObject } from '../lib/guards.js';
import { quote } from '../lib/quote.js';

/** The n-gram counts of one language, as `[gram, count]`. */
export interface NgramCounts {
  lang: string;
  /** Counts of single characters, for layouts whose code points do not cover the text. */
  unigrams?: [string, number][];
  bigrams: [string, number][];
  trigrams: [string, number][];
}

/** A range of token ids, including both ends. */
type Range = readonly [first: number, last: number];

/** How a vocabulary assigns its ids. */
export interface VocabularyLayout {
  vocabSize: number;
  /** Ids whose token is the character with that code point. */
  codePoints: readonly Range[];
  special: Range;
  /** Ids for n-grams, in order. */
  ngrams: readonly Range[];
  /** How many n-grams of each length each language contributes. */
  top: number;
}

/**
 * The vocabulary of the published models: the Basic Multilingual Plane, with n-grams at surrogates and private use. It has
 * no token for U+FFFF and for private use characters, which become `<unk>` as everything outside of the plane does.
 */
export const BVV241: VocabularyLayout = {
  vocabSize: 65536,
  codePoints: [
    [0x0000, 0xd7ff],
    [0xf900, 0xfffe],
  ],
  special: [0xe000, 0xe0ff],
  ngrams: [
    [0xd800, 0xdfff],
    [0xe100, 0xf8ff],
  ],
  top: 338,
};

/** The size of a compact vocabulary: room for the special tokens, and no id among the surrogates. */
export const MIN_VOCABULARY = 256;
export const MAX_VOCABULARY = 0xd800;

/** A similar vocabulary for a small model: ASCII, 32 special tokens, and n-grams up to `vocabSize`. */
export function compactLayout(vocabSize: number, top: number): VocabularyLayout {
  if (!Number.isSafeInteger(vocabSize) || vocabSize < MIN_VOCABULARY || vocabSize > MAX_VOCABULARY) {
    const range = `from ${MIN_VOCABULARY} to ${MAX_VOCABULARY}`;
    throw new TokenizerError(`vocabulary size must be an integer ${range}, got ${vocabSize}`);
  }
  return { vocabSize, codePoints: [[0, 0x7f]], special: [0x80, 0x9f], ngrams: [[0xa0, vocabSize - 1]], top };
}

// prettier-ignore
const SPECIAL_TOKENS = [
  '<pad>', '<s>', '</s>', '<unk>', '<think>', '</think>', '<emotions>', '</emotions>', '<tool_call>', '</tool_call>',
  '<tool_response>', '</tool_response>', '[INST]', '[/INST]', '[EOT]', '[USER]', '[ASSISTANT]',
  '[FIM_PREFIX]', '[FIM_MIDDLE]', '[FIM_SUFFIX]', '[FIM_PAD]', '[REPO_NAME]', '[FILE_SEP]',
];

/** The two tokenizer files of a model folder, as plain objects. */
export interface TokenizerFiles {
  'tokenizer.json': object;
  'tokenizer_config.json': object;
}

/**
 * Builds a tokenizer like bvv241 from n-gram counts.
 *
 * Every code point of the layout is a token. The most frequent n-grams of all languages, without duplicates, get the
 * n-gram ids: longest first, then by code points. Remaining ids become `<unused_N>`. The merges are all ways to split an
 * n-gram into two existing tokens, in the order of the n-grams. With them, byte-pair encoding finds the n-grams.
 *
 * @throws TokenizerError if the counts are malformed or contain more n-grams than the layout has ids for.
 */
export function buildTokenizer(counts: unknown, layout: VocabularyLayout = BVV241, source = 'n-grams'): TokenizerFiles {
  const characters = placeCharacters(layout);
  const taken = new Set(characters.values());
  const candidates = selectNgrams(parseCounts(counts, source), layout.top);
  const ngrams = candidates.filter((gram) => !taken.has(gram));
  const tokens = new Map([...characters, ...placeNgrams(ngrams, layout, source)]);
  return {
    'tokenizer.json': tokenizerJson(vocabOf(tokens, layout.vocabSize), mergesOf(ngrams, tokens), layout.special[0]),
    'tokenizer_config.json': tokenizerConfig(),
  };
}

/** Assigns the ids of code points and special tokens. */
function placeCharacters({ codePoints, special }: VocabularyLayout): Map<number, string> {
  const tokens = new Map<number, string>();
  for (const range of codePoints) {
    for (const id of idsOf(range)) tokens.set(id, String.fromCodePoint(id));
  }
  for (const id of idsOf(special)) {
    const index = id - special[0];
    tokens.set(id, SPECIAL_TOKENS[index] ?? `<special_token_${index}>`);
  }
  return tokens;
}

/** Assigns the ids of n-grams. */
function placeNgrams(ngrams: readonly string[], layout: VocabularyLayout, source: string): Map<number, string> {
  const ids = layout.ngrams.flatMap((range) => [...idsOf(range)]);
  if (ngrams.length > ids.length) {
    throw new TokenizerError(
      `${source}: ${ngrams.length} n-grams do not fit into ${ids.length} ids: use fewer per language`,
    );
  }
  return new Map(ngrams.map((gram, i) => [ids[i], gram]));
}

/** The id of every token, including tokens for unused ids. */
function vocabOf(tokens: ReadonlyMap<number, string>, vocabSize: number): Record<string, number> {
  const vocab: Record<string, number> = {};
  for (let id = 0; id < vocabSize; id++) vocab[tokens.get(id) ?? `<unused_${id}>`] = id;
  return vocab;
}

/** All ways to split an n-gram into two tokens. */
function mergesOf(ngrams: readonly string[], tokens: ReadonlyMap<number, string>): [string, string][] {
  const known = new Set(tokens.values());
  const merges: [string, string][] = [];
  for (const gram of ngrams) {
    const characters = Array.from(gram);
    for (let cut = 1; cut < characters.length; cut++) {
      const left = characters.slice(0, cut).join('');
      const right = characters.slice(cut).join('');
      if (known.has(left) && known.has(right)) merges.push([left, right]);
    }
  }
  return merges;
}

function tokenizerJson(vocab: Record<string, number>, merges: [string, string][], firstSpecial: number): object {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, i) => ({
      id: firstSpecial + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: 'Sequence', decoders: [] },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

function tokenizerConfig(): object {
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    pad_token: '<pad>',
    bos_token: '<s>',
    eos_token: '</s>',
    unk_token: '<unk>',
    clean_up_tokenization_spaces: false,
  };
}

function* idsOf([first, last]: Range): Generator<number> {
  for (let id = first; id <= last; id++) yield id;
}

/** The `top` n-grams of each length from every language, without duplicates: longest first, then by code points. */
function selectNgrams(counts: NgramCounts[], top: number): string[] {
  const selected = new Set<string>();
  for (const { unigrams = [], bigrams, trigrams } of counts) {
    for (const list of [unigrams, bigrams, trigrams]) {
      const byCount = [...list].sort((a, b) => b[1] - a[1]);
      for (const [gram] of byCount.slice(0, top)) selected.add(gram);
    }
  }
  return [...selected].sort(longestThenCodePoints);
}

function longestThenCodePoints(a: string, b: string): number {
  const x = Array.from(a, (character) => character.codePointAt(0)!);
  const y = Array.from(b, (character) => character.codePointAt(0)!);
  if (x.length !== y.length) return y.length - x.length;
  const differs = x.findIndex((codePoint, i) => codePoint !== y[i]);
  return differs === -1 ? 0 : x[differs] - y[differs];
}

/** Checks the format of n-gram counts. */
function parseCounts(json: unknown, source: string): NgramCounts[] {
  const format = 'a list of {lang, bigrams: [[gram, count], ...], trigrams: [...]}';
  if (!Array.isArray(json) || json.length === 0) throw new TokenizerError(`${source}: expected ${format}`);
  return json.map((entry: unknown, index) => {
    const fields = isObject(entry) ? entry : {};
    function listOf(key: keyof typeof GRAM_LENGTHS): [string, number][] {
      const list = fields[key];
      if (!Array.isArray(list)) throw new TokenizerError(`${source}: entry ${index} has no ${key}: expected ${format}`);
      for (const pair of list) {
        const fault = faultOf(pair, GRAM_LENGTHS[key]);
        if (fault) throw new TokenizerError(`${source}: entry ${index}, ${key}: ${quote(pair)} ${fault}`);
      }
      return list as [string, number][];
    }
    const unigrams = fields.unigrams === undefined ? [] : listOf('unigrams');
    return { lang: String(fields.lang), unigrams, bigrams: listOf('bigrams'), trigrams: listOf('trigrams') };
  });
}

const GRAM_LENGTHS = { unigrams: 1, bigrams: 2, trigrams: 3 } as const;

/** U+FFFF has no id in the layouts, and half of a surrogate pair has no UTF-8: no text would ever match. */
const NO_CHARACTER = /[\p{Surrogate}\uffff]/u;

/** What is wrong with a pair; null if nothing is. */
function faultOf(pair: unknown, length: number): string | null {
  const [gram, count] = Array.isArray(pair) && pair.length === 2 ? (pair as unknown[]) : [];
  const isGram = typeof gram === 'string' && Array.from(gram.slice(0, 2 * length + 1)).length === length;
  if (!isGram || typeof count !== 'number' || !(count >= 0)) return `is not [string of ${length}, count]`;
  return NO_CHARACTER.test(gram) ? 'contains U+FFFF or half of a surrogate pair' : null;
}
