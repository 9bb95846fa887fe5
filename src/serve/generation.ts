import { TextStream } from '../textStream.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { Score } from './logprobs.js';
import type { Sequence } from './sequence.js';
import { StopStrings } from './stopStrings.js';

/** A token of an answer, with what the model thought of it. */
export interface ScoredToken {
  id: number;
  /** Null for the first token of a prompt. */
  score: Score | null;
  /** Where its text begins in the whole text, in UTF-16 units. */
  offset: number;
}

/** A piece of an answer, as soon as it is certain. */
export interface Piece {
  text: string;
  /** The tokens since the last piece, if logprobs were asked for. Those of a stop string are among them. */
  tokens: ScoredToken[];
}

export interface GenerationOptions {
  stop: readonly string[];
  /** Begin with the prompt. */
  echo: boolean;
  logprobs: boolean;
}

/** One choice of an answer: reads a sequence and gives it as text. */
export class Generation {
  readonly sequence: Sequence;
  /** Null until the text has ended. */
  finishReason: 'stop' | 'length' | null = null;
  /** Generated tokens so far, with those that have no text. */
  completionTokens = 0;
  readonly #tokenizer: Tokenizer;
  readonly #options: GenerationOptions;

  constructor(sequence: Sequence, tokenizer: Tokenizer, options: GenerationOptions) {
    this.sequence = sequence;
    this.#tokenizer = tokenizer;
    this.#options = options;
  }

  /** The pieces of the answer. To stop early is to cancel the sequence. */
  async *pieces(): AsyncGenerator<Piece, void, undefined> {
    const { sequence } = this;
    const { stop, echo, logprobs } = this.#options;
    const stops = new StopStrings(stop);
    const stream = new TextStream(this.#tokenizer);
    let length = 0;
    let tokens: ScoredToken[] = [];
    const decode = (id: number, score: Score | null): string => {
      if (logprobs) tokens.push({ id, score, offset: length });
      const text = stream.push(id);
      length += text.length;
      return text;
    };
    try {
      let token = await sequence.next();
      if (echo) {
        const { prompt } = sequence.request;
        const text = prompt.map((id, i) => decode(id, sequence.promptScores[i] ?? null)).join('');
        yield { text, tokens };
        tokens = [];
      }
      for (; token; token = await sequence.next()) {
        this.completionTokens++;
        const text = stops.push(decode(token.id, token.score));
        if (stops.isFound) {
          this.finishReason = 'stop';
          yield { text, tokens };
          return;
        }
        if (text === '') continue;
        yield { text, tokens };
        tokens = [];
      }
      const rest = stops.push(stream.end());
      const text = stops.isFound ? rest : rest + stops.end();
      this.finishReason = stops.isFound ? 'stop' : sequence.finishReason;
      if (text !== '' || tokens.length > 0) yield { text, tokens };
    } finally {
      sequence.cancel();
    }
  }
}

/** The text of a single token, special ones included. Tokens that are only a part of a character show their bytes' names. */
export function tokenText(tokenizer: Tokenizer, id: number): string {
  const text = tokenizer.decode([id], { specialTokens: true });
  return text === '' || text.includes('\ufffd') ? tokenizer.token(id) : text;
}
