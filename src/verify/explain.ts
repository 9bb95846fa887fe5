import type { ModelConfig } from '../../reference/lib/config.js';
import { InputError } from '../../reference/lib/errors.js';
import { sizeOf } from '../../reference/lib/tensor.js';
import type { Model } from '../../reference/lib/weights.js';
import { findDropout } from './dropout.js';
import type { Golden } from './golden.js';
import type { GraphNode } from './graph.js';
import { HYPOTHESES, type Hypothesis, type Place } from './hypotheses.js';
import { linearDtype } from './truth.js';
import { concerns, Recomputation, roleOf, type Assumption } from './recompute.js';
import { verify, type Row } from './verify.js';

/** What explains a mismatch, in words; as a change of the configuration if that says it all. */
export interface Answer {
  words: string;
  change: Partial<ModelConfig> | null;
}

/** One cause of a mismatch. Several answers agree with the file equally well. */
export interface Cause {
  answers: readonly Answer[];
}

export interface Explanation {
  /** In the order in which the mismatches appear. */
  causes: readonly Cause[];
  /** What agrees up to there, and the first activation that still differs; null if everything agrees. */
  rest: { upTo: string | null; name: string; op: string } | null;
  /** Instead of causes, if the reference agrees with the truth in every op. */
  verdict?: string;
}

type Combination = readonly Assumption[];

/** The conventions that together shape attention; up to three of them are tried at once. */
const ATTENTION_KINDS = ['pairing', 'direction', 'start', 'theta', 'scale', 'mask'];

/** The number of causes that are searched for, one after another. */
const MAX_CAUSES = 4;

/** Multiplications that the search for combinations may cost: some seconds. */
const MAX_COST = 3e9;

/** Multiplications that the search for single hypotheses may cost: some minutes. Beyond it, only the configuration is varied. */
const MAX_SINGLE_COST = 1e11;

/** An answer whose rms error is this many times the best one's fits only because the bound is wide. */
const CLEARLY_WORSE = 4;

/**
 * Searches for what explains the mismatches of a golden file. The first activation that disagrees although its inputs agree is
 * computed again from the file's own inputs, under one hypothesis after another, then under pairs of them. An answer is
 * applied to the whole file before the next mismatch is looked at.
 *
 * @returns null if nothing that is known makes the first mismatch agree; a verdict without causes if the
 *   reference agrees in every op, so that the backend is at fault
 */
export async function explain(model: Model, golden: Golden, backend: string): Promise<Explanation | null> {
  const search = new Search(model, golden);
  if (search.mismatches().length === 0) return { causes: [], rest: null, verdict: backendVerdict(model, backend) };
  const causes: Cause[] = [];
  while (causes.length < MAX_CAUSES) {
    const fault = search.mismatches().at(0);
    const cause = fault && search.explain(fault);
    if (!cause) break;
    causes.push(cause);
  }
  if (causes.length === 0) return null;
  const rest = search.mismatches().at(0) ?? (await whole(model, golden, backend, search, causes));
  return { causes, rest: rest ? { upTo: search.before(rest.name), name: rest.name, op: rest.op } : null };
}

/** What it means if the reference agrees with the truth in every op and a backend does not. */
function backendVerdict(model: Model, backend: string): string {
  const agrees = 'the reference agrees with the truth in every op';
  const dtype = linearDtype(model);
  if (!backend.startsWith('simd') || !['int8', 'int4'].includes(dtype)) {
    return `${agrees}, so the weights and conventions are right and the backend is at fault`;
  }
  return `${agrees}; simd also rounds what enters ${dtype} layers, to 16 bits, and the bounds do not allow for that`;
}

/** The first mismatch of a pass from the tokens to the logits with all that was found; null if there is none. */
async function whole(
  model: Model,
  golden: Golden,
  backend: string,
  search: Search,
  causes: readonly Cause[],
): Promise<Row | null> {
  const changes = causes.map(({ answers }) => answers[0].change);
  if (changes.every((change) => change !== null)) {
    try {
      const config = Object.assign({}, model.config, ...changes) as ModelConfig;
      return (await verify({ ...model, config }, golden, backend)).first;
    } catch (error) {
      if (!(error instanceof InputError)) throw error; // with this convention, the file belongs to another model
    }
  }
  return search.whole();
}

class Search {
  private readonly model: Model;
  private readonly golden: Golden;
  private readonly usual: Recomputation;
  private assumed: Combination = [];
  private current: Recomputation;
  /** Activations whose difference is random and was explained. */
  private readonly random = new Set<string>();

  constructor(model: Model, golden: Golden) {
    this.model = model;
    this.golden = golden;
    this.usual = new Recomputation(model, golden);
    this.current = this.usual;
  }

  mismatches(): Row[] {
    return this.current.mismatches().filter(({ name }) => !this.random.has(name));
  }

  before(name: string): string | null {
    const held = this.current.graph.map((node) => node.name).filter((it) => this.golden.tensors.has(it));
    return held[held.indexOf(name) - 1] ?? null;
  }

  whole(): Row | null {
    if (this.random.size > 0) return null; // a pass cannot repeat random numbers
    return new Recomputation(this.model, this.golden, this.assumed, null, false).mismatches().at(0) ?? null;
  }

  /** Finds and assumes what explains a mismatch. */
  explain(fault: Row): Cause | null {
    for (const size of [1, 2, 3]) {
      const agreeing = this.combinations(fault, size).filter((it) => this.with(it).row(fault.name).status === 'OK');
      if (agreeing.length > 0) return this.choose(fault, agreeing);
    }
    return this.findDropout(fault);
  }

  private with(added: Combination): Recomputation {
    return new Recomputation(this.model, this.golden, [...this.assumed, ...added], this.usual);
  }

  /** All combinations of so many assumptions, each about an activation that may be at fault. */
  private combinations(fault: Row, size: number): Combination[] {
    const suspects = this.current.suspects(fault.name);
    let single = this.assumptionsAbout(suspects);
    if (size === 1) {
      const all = [...single, ...this.inOneLayer(single, suspects)];
      const isCheap = all.length * this.costOf(suspects) <= MAX_SINGLE_COST;
      return (isCheap ? all : single.filter(({ hypothesis, role }) => hypothesis.change && role === null)).map((it) => [
        it,
      ]);
    }
    if (size === 3) {
      if (!suspects.some(({ op }) => op === 'rope' || op === 'softmax' || op === 'attention')) return [];
      single = single.filter((it) => it.role === null && ATTENTION_KINDS.includes(it.hypothesis.kind));
    }
    const pairs = single.flatMap((a, i) => single.slice(i + 1).flatMap((b) => (areTogether([a, b]) ? [[a, b]] : [])));
    const combined =
      size === 2
        ? pairs
        : pairs.flatMap(([a, b]) =>
            single.slice(single.indexOf(b) + 1).flatMap((c) => (areTogether([a, b, c]) ? [[a, b, c]] : [])),
          );
    return combined.length * this.costOf(suspects) <= MAX_COST ? combined : [];
  }

  private assumptionsAbout(suspects: readonly GraphNode[]): Assumption[] {
    return HYPOTHESES.filter((it) => !this.isUsual(it)).flatMap((hypothesis) => {
      if (hypothesis.change?.normPosition) return [{ hypothesis, role: null, layer: null }];
      const general = { hypothesis, role: null, layer: null };
      const reached = suspects.filter((node) => concerns(general, node));
      if (reached.length === 0) return [];
      const roles = hypothesis.perRole ? [...new Set(reached.map(({ name }) => roleOf(name)))] : [];
      if (hypothesis.perRole && reached.some(({ name }) => name !== roleOf(name))) roles.push('blocks');
      const particular = roles.map((role) => ({ hypothesis, role, layer: null }));
      return hypothesis.change || !hypothesis.perRole ? [general, ...particular] : [...particular, general];
    });
  }

  /** The assumptions about one activation, for each layer alone, if several layers may be at fault. */
  private inOneLayer(single: readonly Assumption[], suspects: readonly GraphNode[]): Assumption[] {
    const layers = new Set(suspects.filter(({ name }) => name.startsWith('layers.')).map(({ layer }) => layer));
    if (layers.size < 2) return [];
    const particular = single.filter(({ role }) => role !== null && role !== 'blocks' && MODULES[role]);
    return particular.flatMap((it) => [...layers].map((layer) => ({ ...it, layer })));
  }

  private isUsual({ change, choices }: Hypothesis): boolean {
    if (choices.mask === undefined && choices.start === undefined && !change) return false;
    const config = this.model.config;
    return Object.entries(change ?? {}).some(([key, value]) => config[key as keyof ModelConfig] === value);
  }

  private costOf(suspects: readonly GraphNode[]): number {
    const T = this.golden.header.tokens.length;
    const { dModel: C, vocabSize: V } = this.model.config;
    const products = suspects.map(({ name, op }) => {
      if (op === 'lmHead') return C * V;
      if (op === 'linear') return roleOf(name).startsWith('ffn') ? 4 * C * C : C * C;
      return op === 'attention' || op === 'softmax' ? 2 * T * C : 8 * C;
    });
    return T * products.reduce((sum, count) => sum + count, 0);
  }

  /** Of the combinations that make a mismatch agree, assumes the one that leaves the fewest others. */
  private choose(fault: Row, agreeing: readonly Combination[]): Cause {
    const { layer } = this.current.nodes.get(fault.name)!;
    const isRepeated = this.model.config.nLayer > 1 && fault.name.startsWith('layers.');
    const scoped = agreeing.flatMap((all) =>
      isRepeated && all.every((it) => it.layer === null && !it.hypothesis.change?.normPosition)
        ? [all, all.map((it) => ({ ...it, layer }))]
        : [all],
    );
    const before = new Set(this.mismatches().map(({ name }) => name));
    const rated = scoped.map((combination) => {
      const tried = this.with(combination);
      const names = tried.mismatches().map(({ name }) => name);
      const left = names.filter((name) => !this.random.has(name));
      const broken = left.filter((name) => !before.has(name)); // a hypothesis that reaches too far
      const rms = tried.row(fault.name).difference?.rms ?? Infinity;
      return { combination, left: left.length, broken: broken.length, rms };
    });
    const leastBroken = Math.min(...rated.map(({ broken }) => broken));
    const sound = rated.filter(({ broken }) => broken === leastBroken);
    const fewest = Math.min(...sound.map(({ left }) => left));
    const best = sound.filter(({ left }) => left === fewest);
    const rms = Math.min(...best.map((it) => it.rms));
    const equal = best.filter((it) => it.rms <= CLEARLY_WORSE * rms);
    const distinct = equal.filter(
      ({ combination }, i) => equal.findIndex((other) => sameHypotheses(other.combination, combination)) === i,
    );
    this.assumed = [...this.assumed, ...distinct[0].combination];
    this.current = this.with([]);
    return { answers: distinct.map(({ combination }) => this.answer(combination)) };
  }

  private answer(combination: Combination): Answer {
    const isChange = combination.every(
      ({ hypothesis, role, layer }) => hypothesis.change && role === null && layer === null,
    );
    const change = Object.assign({}, ...combination.map(({ hypothesis }) => hypothesis.change)) as Partial<ModelConfig>;
    const words = combination.map((it) => it.hypothesis.words(this.placeOf(it))).join(' and ');
    return { words, change: isChange ? change : null };
  }

  private placeOf({ hypothesis, role, layer }: Assumption): Place {
    const L = this.model.config.nLayer;
    const at = layer === null ? '' : `layers.${layer}`;
    const isOfBlocks = role === 'blocks';
    if (role === null || isOfBlocks) {
      const all = hypothesis.ops.includes('layerNorm') ? 'every norm' : 'every linear layer';
      const where = layer !== null ? ` in ${at}` : isOfBlocks ? ' of the blocks' : '';
      return { everywhere: layer === null, name: hypothesis.perRole ? all + where : at };
    }
    const module = MODULES[role] ?? role;
    const isOutside = role === 'logits' || role === 'final_norm';
    if (isOutside) return { everywhere: false, name: module };
    if (layer !== null || L === 1) return { everywhere: false, name: `layers.${layer ?? 0}.${module}` };
    return { everywhere: false, name: `${module} of every layer` };
  }

  /** Dropout is random, so what it made is taken from the file. */
  private findDropout(fault: Row): Cause | null {
    const found = this.mismatches().flatMap(({ name }) => {
      const node = this.current.nodes.get(name)!;
      if (this.current.suspects(name).length > 1) return [];
      const { data, shape } = this.golden.tensors.get(name)!;
      if (data.length !== sizeOf(shape)) return [];
      const stream = node.op === 'add' ? this.golden.tensors.get(node.inputs[0])!.data : null;
      const p = findDropout(this.current.value(name).data, data, stream);
      return p === null ? [] : [{ name, p }];
    });
    if (found[0]?.name !== fault.name) return null;
    const same = found.filter(({ name, p }) => p === found[0].p && roleOf(name) === roleOf(fault.name));
    for (const { name } of same) this.random.add(name);
    const names = same.map(({ name }) => name).join(', ');
    const words = `dropout of p = ${found[0].p} was left on at ${names}, which is not reproducible from these weights`;
    return { answers: [{ words, change: null }] };
  }
}

const MODULES: Readonly<Record<string, string>> = {
  ...{ q: 'q_proj', k: 'k_proj', v: 'v_proj', q_rot: 'q', k_rot: 'k' },
  ...{ attn_out: 'o_proj', ffn_up: 'ffn.0', ffn_out: 'ffn.2', logits: 'lm_head' },
  ...{ attn_norm: 'input_layernorm', ffn_norm: 'post_attention_layernorm', final_norm: 'final_layernorm' },
  ...{ resid_mid: 'the sum after attention', resid: 'the sum after the feed-forward' },
};

/** Whether assumptions can hold at the same time: one of a kind for each activation. */
function areTogether(assumptions: Combination): boolean {
  return assumptions.every((a, i) =>
    assumptions.slice(i + 1).every((b) => {
      if (a.hypothesis.kind !== b.hypothesis.kind) return true;
      return a.role !== null && b.role !== null && a.role !== b.role;
    }),
  );
}

function sameHypotheses(a: Combination, b: Combination): boolean {
  return a.length === b.length && a.every(({ hypothesis }, i) => hypothesis === b[i].hypothesis);
}
