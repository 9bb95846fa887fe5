/**
 * Where a text can be cut so that the ids of its parts, joined, are the ids of the whole.
 *
 * Byte-pair encoding merges neighbors. The first merge across a place joins the character before it and the character
 * after it. If no merge joins these two, none ever crosses that place, and both sides are encoded independently.
 * A pre-tokenizer that splits at spaces separates them even earlier.
 */
export type IsCut = (text: string, index: number) => boolean;

/** The parts of `tokenizer.json` and `tokenizer_config.json` that decide about cuts. Not checked yet, hence `unknown`. */
interface TokenizerSettings {
  model?: {
    type?: unknown;
    merges?: unknown;
    fuse_unk?: unknown;
    ignore_merges?: unknown;
    end_of_word_suffix?: unknown;
    continuing_subword_suffix?: unknown;
  } | null;
  normalizer?: unknown;
  pre_tokenizer?: { type?: unknown; use_regex?: unknown } | null;
  post_processor?: { type?: unknown } | null;
  added_tokens?: { content: string; lstrip?: unknown; rstrip?: unknown }[];
}

/** Pre-tokenizers that never put a space and the character before it into one word. */
const SPLIT_AT_SPACES = ['ByteLevel', 'Whitespace', 'WhitespaceSplit', 'BertPreTokenizer'];

/**
 * Finds the cuts of a tokenizer. Returns null for tokenizers that need the whole text, or that we cannot prove not to.
 *
 * @param json a `tokenizer.json` that `@huggingface/tokenizers` accepts
 */
export function cutsOf(json: unknown, config: unknown): IsCut | null {
  const settings = json as TokenizerSettings;
  if (!isLocal(settings, config)) return null;
  const inAddedTokens = pairsInside((settings.added_tokens ?? []).map(({ content }) => content));
  const { pre_tokenizer: preTokenizer, model } = settings;
  if (preTokenizer) {
    if (!SPLIT_AT_SPACES.includes(String(preTokenizer.type)) || preTokenizer.use_regex === false) return null;
    return (text, index) => isBeforeWord(text, index) && !inAddedTokens.has(pairAt(text, index));
  }
  if (model?.type !== 'BPE' || model.ignore_merges || hasSuffix(model)) return null;
  const joined = pairsJoined(model.merges as (string | [string, string])[]);
  return (text, index) => {
    const pair = pairAt(text, index);
    return !joined.has(pair) && !inAddedTokens.has(pair) && !splitsCharacter(text, index);
  };
}

/** Whether nothing but merges and words depends on the surrounding text. */
function isLocal(settings: TokenizerSettings, config: unknown): boolean {
  const { model, normalizer, post_processor: postProcessor, added_tokens: added = [] } = settings;
  const { remove_space, do_lowercase_and_remove_accent } = config as Record<string, unknown>;
  if (model?.type !== 'BPE' && model?.type !== 'WordPiece') return false;
  if ([normalizer, remove_space, do_lowercase_and_remove_accent, model.fuse_unk].some(Boolean)) return false;
  if (postProcessor && postProcessor.type !== 'ByteLevel') return false; // others add tokens at both ends
  return !added.some(({ lstrip, rstrip }) => [lstrip, rstrip].some(Boolean));
}

function hasSuffix(model: NonNullable<TokenizerSettings['model']>): boolean {
  return [model.end_of_word_suffix, model.continuing_subword_suffix].some(Boolean);
}

/** Whether one space follows a visible character and precedes a letter: every regex of these pre-tokenizers splits there. */
function isBeforeWord(text: string, index: number): boolean {
  return text[index] === ' ' && /[^\s\p{C}]/u.test(text[index - 1]) && /^[a-z]/i.test(text.charAt(index + 1));
}

/** Two neighboring UTF-16 units as one number. */
function pairAt(text: string, index: number): number {
  return text.charCodeAt(index - 1) * 0x10000 + text.charCodeAt(index);
}

/** The pairs that merges join: the last unit of the left token, the first of the right one. */
function pairsJoined(merges: readonly (string | [string, string])[]): Set<number> {
  const pairs = new Set<number>();
  for (const merge of merges) {
    const [left, right] = typeof merge === 'string' ? merge.split(' ', 2) : merge;
    pairs.add(left.charCodeAt(left.length - 1) * 0x10000 + right.charCodeAt(0));
  }
  return pairs;
}

/** All pairs inside of the given texts: a text cut elsewhere keeps each of them whole. */
function pairsInside(texts: readonly string[]): Set<number> {
  const pairs = new Set<number>();
  for (const text of texts) {
    for (let i = 1; i < text.length; i++) pairs.add(pairAt(text, i));
  }
  return pairs;
}

function splitsCharacter(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  const before = text.charCodeAt(index - 1);
  return unit >= 0xdc00 && unit <= 0xdfff && before >= 0xd800 && before <= 0xdbff;
}
