import type { AskOptions, AskStep, Engine } from '../compute/protocol.js';
import { percent, visibleToken } from '../draw/text.js';
import { DEFAULTS, promptOf, type State } from '../state.js';

/** One stop of the tour: a view, what to see in it, and a question that the model answers in the page. */
export interface Stop {
  title: string;
  /** What the view shows at this stop; the rest of the state has its defaults. */
  shows: Partial<State>;
  text: string;
  question: string;
  /** What changes in the view when the reader asks for the answer. */
  then: Partial<State>;
  /** Computes the answer and says it in a sentence. */
  answer: (engine: Engine) => Promise<string>;
}

const PROMPT = promptOf(DEFAULTS);
const GREEDY: AskOptions = { temperature: 0, topK: 0, topP: 1, seed: 0, backend: 'simd', chosen: [] };
const NOWHERE = 'What is the capital of Atlantis?';
/** The beginning of “Japan” and the last token of the prompt, as the demo's tokenizer splits it. */
const COUNTRY = 13;
const LAST = 18;
/** The head whose last token takes almost all from the country. */
const HEAD = { layer: 2, head: 5 };
const ZERO = `layers.${HEAD.layer}.attn[:, head ${HEAD.head}]=0`;

export const STOPS: readonly Stop[] = [
  {
    title: 'One token at a time',
    shows: { view: 'ask' },
    text:
      'This small model learned facts about countries. It writes one token at a time. The number under each token is the ' +
      'probability that the model gave it, and the list shows the tokens that it rejected.',
    question: 'Atlantis has no capital. Does the model say so?',
    then: { q: NOWHERE },
    async answer(engine) {
      const steps = await answerTo(engine, { ...DEFAULTS, q: NOWHERE });
      const share = percent(steps[0].probability);
      return `It answers “${textOf(steps)}” and gives the first token ${share}. A model of this kind always names its likeliest token. It does not check that the question makes sense.`;
    },
  },
  {
    title: 'The code of a token',
    shows: { view: 'code', token: COUNTRY, layer: 0 },
    text:
      'Each token enters as 12 random numbers, repeated to the width of the model. Training never changed them. The colored ' +
      'cells are those numbers for the first piece of “Japan”.',
    question: 'Which tokens lie nearest to it, before and after the layers?',
    then: { layer: 3 },
    async answer(engine) {
      let found = 'No neighbors were computed.';
      for await (const piece of engine.neighbors(PROMPT, COUNTRY, 3, new AbortController().signal)) {
        if (!('codes' in piece)) continue;
        const list = (near: readonly { text: string }[]): string =>
          near.map(({ text }) => `“${visibleToken(text)}”`).join(', ');
        found = `By code: ${list(piece.codes)}. After the last layer: ${list(piece.states.at(-1)!)}. The codes never changed, so the first list is chance. The second comes from training.`;
      }
      return found;
    },
  },
  {
    title: 'The numbers and their source',
    shows: { view: 'walk', op: 'attn_norm', layer: 0, token: COUNTRY, column: 11 },
    text:
      'Every op of the forward pass has its formula, its source file and the numbers it read and wrote. The source shown is the ' +
      'code that ran. Point at a cell, or use the arrow keys in the map.',
    question: 'How far are these numbers from what PyTorch computes in float64?',
    then: { column: 12 },
    async answer(engine) {
      const { data, truth } = await engine.activation(PROMPT, 'layers.0.attn_norm');
      if (!truth) return 'PyTorch’s numbers could not be loaded, so there is nothing to compare with.';
      let largest = 0;
      let compared = 0;
      for (const [n, expected] of truth.entries()) {
        if (Number.isNaN(expected)) continue;
        compared++;
        largest = Math.max(largest, Math.abs(data[n] - expected));
      }
      return `The largest of ${compared} differences is ${largest.toExponential(1).replace('-', '−')}. That is the rounding of the result to float32.`;
    },
  },
  {
    title: 'Where tokens look',
    shows: { view: 'attention', layer: 0, head: 0, token: LAST },
    text:
      'Attention is the only op that moves information between tokens. Each small map is one head. The lines lead from a token ' +
      'to the earlier tokens that it takes from.',
    question: `Which token does the last token take from in head ${HEAD.head} of layer ${HEAD.layer}?`,
    then: HEAD,
    async answer(engine) {
      const { tokens } = await engine.trace(PROMPT);
      const { data, shape } = await engine.activation(PROMPT, `layers.${HEAD.layer}.attn_weights`);
      const length = shape[1];
      const start = (HEAD.head * length + length - 1) * length;
      const row = [...data.subarray(start, start + length)];
      const best = row.indexOf(Math.max(...row));
      return `${percent(row[best])} of it comes from “${visibleToken(tokens[best].text)}”, the beginning of the country’s name. This head fetches the country.`;
    },
  },
  {
    title: 'What each layer would say',
    shows: { view: 'lens', layer: 0, token: LAST },
    text:
      'The lens reads every layer as if it were the last. Each row is a layer, each column a token, and each cell the prediction ' +
      'at that point.',
    question: 'After which layer does the first token of the answer lead?',
    then: { layer: 3 },
    async answer(engine) {
      const cells = await engine.lens(PROMPT, 1);
      const last = cells.map((row) => row[row.length - 1]);
      let first = last.length - 1;
      while (first > 0 && last[first - 1].rank === 1) first--;
      const { text } = last[last.length - 1].top[0];
      const before = first > 0 ? ` One layer earlier it is number ${last[first - 1].rank}.` : '';
      return `“${visibleToken(text)}” leads after layer ${first} and from there on. The layers count from 0.${before}`;
    },
  },
  {
    title: 'Meaning emerges',
    shows: { view: 'emergence', depth: 0, country: 'Kenya' },
    text:
      'Each point is a country and each color a continent. In the frozen table they lie at random. No training question compared ' +
      'two countries.',
    question: 'How many of a country’s ten nearest neighbors share its continent after the last layer?',
    then: { depth: 4 },
    async answer(engine) {
      const { layers, chance } = await engine.emergence();
      const last = layers[layers.length - 1].share;
      return `${percent(last)}, against ${percent(layers[0].share)} in the frozen table and ${percent(chance)} by chance. The layers put these countries together.`;
    },
  },
  {
    title: 'Change one part',
    shows: { view: 'change' },
    text:
      'To learn what a part does, switch it off and see what moves. Here you can zero a head, swap two codes, or take a state from ' +
      'another question.',
    question: `Head ${HEAD.head} of layer ${HEAD.layer} fetched the country. Does the answer survive without it?`,
    then: { patch: ZERO },
    async answer(engine) {
      const positions = await engine.change(PROMPT, { patches: [ZERO], swap: [], other: null }, 4);
      const { moves } = positions[positions.length - 1];
      const before = moves.reduce((best, move) => (move.before > best.before ? move : best));
      const after = moves.reduce((best, move) => (move.after > best.after ? move : best));
      const start = `“${visibleToken(before.text)}” goes from ${percent(before.before)} to ${percent(before.after)}`;
      return after.id === before.id
        ? `${start} and still leads. Other heads carry the country, too.`
        : `${start}. “${visibleToken(after.text)}” leads now, with ${percent(after.after)}.`;
    },
  },
  {
    title: 'Why believe it',
    shows: { view: 'trust' },
    text:
      'This page checks itself. It runs every backend that your browser has and compares each activation with PyTorch in float64. ' +
      'Each error has a bound, and the table shows how much of it is used.',
    question: 'Do the plain loops and the fast backend give the same answer?',
    then: { checked: 'reference' },
    async answer(engine) {
      const [fast, plain] = [await answerTo(engine, DEFAULTS), await answerTo(engine, DEFAULTS, 'reference')];
      const distance = Math.abs(fast[0].probability - plain[0].probability)
        .toExponential(1)
        .replace('-', '−');
      const same = textOf(fast) === textOf(plain) ? 'Yes' : 'No';
      return `${same}: “${textOf(fast)}” on simd, “${textOf(plain)}” on the reference. The probabilities of the first token differ by ${distance}.`;
    },
  },
];

async function answerTo(engine: Engine, state: State, backend: string = GREEDY.backend): Promise<AskStep[]> {
  const steps: AskStep[] = [];
  for await (const piece of engine.ask(promptOf(state), { ...GREEDY, backend }, new AbortController().signal)) {
    if ('rivals' in piece) steps.push(piece);
  }
  return steps;
}

function textOf(steps: readonly AskStep[]): string {
  return steps
    .filter(({ isEnd }) => !isEnd)
    .map(({ text }) => text)
    .join('')
    .trim();
}
