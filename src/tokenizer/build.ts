import { TokenizerError } from '../lib/errors.js';

/** How often a language's n-grams were counted, most frequent first; `[gram, count]`. */
export interface NgramCounts {
  lang: string;
  /** Single characters, for layouts whose code points does not cover the text. */
  unigrams?: [string, number][];
  bigrams: [string, number][];
  trigrams: [string, number][];
}

/** A range of token ids, both ends included. */
type Range = readonly [first: number, last: number];

/** Which ids a vocabulary gives to what. */
export interface VocabularyLayout {
  vocabSize: number;
  /** Ids that stand for the code point of the same number. */
  codePoints: readonly Range[];
  special: Range;
  /** Where the n-grams go, in order. */
  ngrams: readonly Range[];
  /** How many n-grams of each length a language contributes. */
  top: number;
}

/** The vocabulary of the published models: the Basic Multilingual Plane, n-grams where Unicode has no characters. */
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

/** The same kind of vocabulary for a small model: ASCII, 32 special tokens, n-grams up to `vocabSize`. */
export function compactLayout(vocabSize: number, top: number): VocabularyLayout {
  if (!Number.isSafeInteger(vocabSize) || vocabSize < 256 || vocabSize > 0xd800) {
    throw new TokenizerError(`vocabulary size must be an integer from 256 to 55296, got ${vocabSize}`);
  }
  return { vocabSize, codePoints: [[0, 0x7f]], special: [0x80, 0x9f], ngrams: [[0xa0, vocabSize - 1]], top };
}

const SPECIAL_TOKENS = [
  ...['<pad>', '<s>', '</s>', '<unk>', '<think>', '</think>', '<emotions>', '</emotions>', '<tool_call>'],
  ...['</tool_call>', '<tool_response>', '</tool_response>', '[INST]', '[/INST]', '[EOT]', '[USER]', '[ASSISTANT]'],
  ...['[FIM_PREFIX]', '[FIM_MIDDLE]', '[FIM_SUFFIX]', '[FIM_PAD]', '[REPO_NAME]', '[FILE_SEP]'],
];

/** The two files of a tokenizer folder, as plain objects. */
export interface TokenizerFiles {
  'tokenizer.json': object;
  'tokenizer_config.json': object;
}

/**
 * Builds a tokenizer of the bvv241 kind from n-gram counts.
 *
 * Every code point of the layout is its own token. The union of each language's most frequent n-grams, longest first
 * and then by code points, takes the n-gram ids; ids left over become `<unused_N>`. The merges are, in that same order
 * of n-grams, all the ways to split one into two tokens that exist; byte-pair encoding then finds the n-grams.
 *
 * @throws TokenizerError if the counts are malformed or hold more n-grams than the layout has ids for.
 */
export function buildTokenizer(counts: unknown, layout: VocabularyLayout = BVV241, source = 'n-grams'): TokenizerFiles {
  const tokens = new Array<string | undefined>(layout.vocabSize);
  const known = new Set<string>();
  function place(id: number, token: string): void {
    tokens[id] = token;
    known.add(token);
  }

  for (const range of layout.codePoints) for (const id of idsOf(range)) place(id, String.fromCodePoint(id));
  const [firstSpecial] = layout.special;
  for (const id of idsOf(layout.special)) {
    place(id, SPECIAL_TOKENS[id - firstSpecial] ?? `<special_token_${id - firstSpecial}>`);
  }

  const ngrams = selectNgrams(parseCounts(counts, source), layout.top).filter((gram) => !known.has(gram));
  const places = layout.ngrams.flatMap((range) => [...idsOf(range)]);
  if (ngrams.length > places.length) {
    throw new TokenizerError(`${source}: ${ngrams.length} n-grams for ${places.length} ids: take fewer a language`);
  }
  ngrams.forEach((gram, i) => {
    place(places[i], gram);
  });

  const vocab: Record<string, number> = {};
  for (let id = 0; id < layout.vocabSize; id++) vocab[tokens[id] ?? `<unused_${id}>`] = id;

  const merges: [string, string][] = [];
  for (const gram of ngrams) {
    const characters = Array.from(gram);
    for (let cut = 1; cut < characters.length; cut++) {
      const left = characters.slice(0, cut).join('');
      const right = characters.slice(cut).join('');
      if (known.has(left) && known.has(right)) merges.push([left, right]);
    }
  }
  return {
    'tokenizer.json': {
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
    },
    'tokenizer_config.json': {
      tokenizer_class: 'PreTrainedTokenizerFast',
      pad_token: '<pad>',
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      clean_up_tokenization_spaces: false,
    },
  };
}

function* idsOf([first, last]: Range): Generator<number> {
  for (let id = first; id <= last; id++) yield id;
}

/** The union of every language's `top` n-grams of each length: longest first, then by code points. */
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

function parseCounts(json: unknown, source: string): NgramCounts[] {
  const wanted = 'a list of {lang, bigrams: [[gram, count], ...], trigrams: [...]}';
  if (!Array.isArray(json) || json.length === 0) throw new TokenizerError(`${source}: expected ${wanted}`);
  for (const [index, entry] of json.entries()) {
    for (const [key, length] of [
      ['unigrams', 1],
      ['bigrams', 2],
      ['trigrams', 3],
    ] as const) {
      const list: unknown = (entry as Partial<NgramCounts> | null)?.[key];
      if (list === undefined && key === 'unigrams') continue;
      if (!Array.isArray(list)) throw new TokenizerError(`${source}: entry ${index} has no ${key}: expected ${wanted}`);
      const bad: unknown = list.find((pair) => !isCount(pair, length));
      if (bad !== undefined) {
        throw new TokenizerError(
          `${source}: entry ${index}, ${key}: ${JSON.stringify(bad)} is not [string of ${length}, count]`,
        );
      }
    }
  }
  return json as NgramCounts[];
}

function isCount(pair: unknown, length: number): boolean {
  if (!Array.isArray(pair) || pair.length !== 2) return false;
  const [gram, count] = pair as unknown[];
  return typeof gram === 'string' && Array.from(gram).length === length && typeof count === 'number' && count >= 0;
}
