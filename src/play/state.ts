import { signal, type ReadonlySignal } from '@preact/signals';
import type { ViewName } from './views/names.js';

/** What a reader sees: all of it lies in the address, so a copied link shows the same. */
export interface State {
  view: ViewName;
  /** The question, or the whole prompt if `raw`. */
  q: string;
  raw: boolean;
  temperature: number;
  topK: number;
  topP: number;
  seed: number;
  backend: string;
  /** The beginning of the answer that the reader chose, as ids. */
  chosen: readonly number[];
  /** The place in the answer whose rivals are shown. */
  step: number;
  /** The activation that the walk shows, without `layers.N.`. */
  op: string;
  layer: number;
  token: number;
  /** The element of the token's vector. */
  column: number;
  head: number;
  /** Interventions as `--patch` takes them, separated by semicolons. */
  patch: string;
  /** Two positions whose codes change places, or one, or none. */
  swap: readonly number[];
  /** The question whose states patches may take. */
  other: string;
  /** The position whose moved predictions are shown; infinite for the last one. */
  place: number;
  /** The backend whose check is shown. */
  checked: string;
  /** How deep the countries are looked at: 0 is the frozen table, n is after n layers. */
  depth: number;
  /** The country whose neighbors are shown. */
  country: string;
  /** The model's id on the Hub or its URL; empty for the demo, and for a folder, which no link can hold. */
  model: string;
  /** The stop of the tour, from 1; 0 for no tour. */
  tour: number;
  /** Whether the question of the stop is answered. */
  answered: boolean;
}

export const DEFAULTS: State = {
  ...{ view: 'ask', q: 'What is the capital of Japan?', raw: false },
  ...{ temperature: 0, topK: 0, topP: 1, seed: 0, backend: 'simd', chosen: [], step: 0 },
  ...{ op: 'attn_norm', layer: 0, token: 0, column: 0, head: 0 },
  ...{ patch: '', swap: [], other: 'What is the capital of France?', place: Infinity, checked: 'simd' },
  ...{ depth: 0, country: 'Kenya', tour: 0, answered: false, model: '' },
};

/** The state of one page, or of one of several that stand side by side. */
export interface Store {
  readonly state: ReadonlySignal<State>;
  /** Changes the state. `replace` leaves no entry in the history: for what changes often. */
  update(patch: Partial<State>, how?: 'push' | 'replace'): void;
  /** The address that shows the state after a change. */
  href(patch: Partial<State>): string;
}

/** The prompt of a state, in the form that the model was trained on unless the reader writes it whole. */
export function promptOf({ q, raw }: State): string {
  return raw ? q : `Question: ${q.trim()}\nAnswer:`;
}

/** A state as the hash of an address. Defaults are left out. */
export function toHash(state: State): string {
  const params = new URLSearchParams();
  for (const key of Object.keys(DEFAULTS) as (keyof State)[]) {
    const text = String(state[key]);
    if (key === 'view' || text !== String(DEFAULTS[key])) params.set(key, text);
  }
  return `#${params.toString()}`;
}

/** The state of a hash. What it lacks, or what cannot be read, has its default. */
export function fromHash(hash: string): State {
  const params = new URLSearchParams(hash.replace(/^#/, ''));
  const state: Record<string, unknown> = { ...DEFAULTS };
  for (const [key, fallback] of Object.entries(DEFAULTS)) {
    const text = params.get(key);
    if (text !== null) state[key] = parse(text, fallback as State[keyof State]);
  }
  return state as unknown as State;
}

function parse(text: string, fallback: State[keyof State]): unknown {
  if (typeof fallback === 'boolean') return text === 'true';
  if (typeof fallback === 'string') return text;
  if (typeof fallback === 'number') {
    const value = Number(text);
    return text !== '' && Number.isFinite(value) && value >= 0 ? value : fallback;
  }
  const ids = text
    .split(',')
    .filter((part) => part !== '')
    .map(Number);
  return ids.every((id) => Number.isSafeInteger(id) && id >= 0) ? ids : fallback;
}

/** The store of the page's address. */
export function openAddressStore(): Store {
  const state = signal(fromHash(location.hash));
  addEventListener('popstate', () => {
    state.value = fromHash(location.hash);
  });
  return {
    state,
    update(patch, how = 'push') {
      state.value = { ...state.value, ...patch };
      const hash = toHash(state.value);
      if (how === 'push') history.pushState(null, '', hash);
      else history.replaceState(null, '', hash);
    },
    href: (patch) => toHash({ ...state.value, ...patch }),
  };
}
