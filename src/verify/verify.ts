import { openSession, type Session } from '../backend.js';
import { InputError } from '../../reference/lib/errors.js';
import { show, type Floats, type Tensor } from '../../reference/lib/tensor.js';
import type { Model } from '../../reference/lib/weights.js';
import { boundIn, describeBounds } from './bounds.js';
import { compare, type Difference } from './compare.js';
import { checkGolden, type Golden, type GoldenTensor } from './golden.js';
import { activationGraph, type GraphNode } from './graph.js';
import type { Precision } from './tolerance.js';

/** OK: within the bound. DIFF: beyond it. SHAPE: the shapes differ. NAN: not a number, but the truth is. */
export type Status = 'OK' | 'DIFF' | 'SHAPE' | 'NAN';

/** The comparison of one activation. */
export interface Row {
  name: string;
  op: string;
  status: Status;
  shape: readonly number[];
  /** The bound for {@link Difference.relativeMax}. */
  bound: number;
  /** The error over the bound: 1 is the limit. */
  share: number;
  difference: Difference | null;
  /** The values at the worst element. */
  ours: number;
  truth: number;
  /** Where a mismatch comes from: this op, an op missing from the file, or an input that is already off. */
  origin: 'born here' | { bornHereOrIn: string[] } | { handedDownBy: string } | null;
}

export interface VerifyReport {
  golden: Golden;
  backend: string;
  precision: Precision;
  /** In order of execution. */
  rows: Row[];
  /** Activations of the file that the backend cannot trace. */
  notCompared: string[];
  /** What widens the bounds, or makes a difference expected. */
  notes: string[];
  /** The first row that is not OK. */
  first: Row | null;
  /** The row that uses the largest share of its bound, and its actual values. */
  worst: { row: Row; actual: Floats };
}

/** The backends that accumulate in float64; all others accumulate in float32. */
const FLOAT64_BACKENDS = ['reference'];

/**
 * Runs the tokens of a golden file on a backend and compares every activation in the file.
 *
 * @param open opens the session, for backends without a name
 * @throws InputError if the golden file is for another model.
 */
export async function verify(
  model: Model,
  golden: Golden,
  backend = 'reference',
  open: (model: Model) => Promise<Session> = (it) => openSession(it, backend),
): Promise<VerifyReport> {
  const hasFinalNorm = model.weights.finalNorm !== null;
  checkGolden(golden, model.config, activationGraph(model.config, hasFinalNorm, true));
  const precision =
    golden.header.precision === 'float64' && FLOAT64_BACKENDS.includes(backend) ? 'reference' : 'float32';

  const rows: Row[] = [];
  const disagrees = new Set<string>();
  let worst: VerifyReport['worst'] | null = null;
  let notCompared: string[] = [];
  const session = await open(model);
  try {
    const attnNames = [...golden.tensors.keys()].filter((name) => name.endsWith('.attn_weights'));
    const attnWeights = session.tracesAttnWeights && attnNames.length > 0;
    if (!attnWeights) notCompared = attnNames;
    if (notCompared.length === golden.tensors.size) {
      throw new InputError(`${golden.name} holds only attention weights, which ${backend} cannot trace`);
    }
    const graph = activationGraph(model.config, hasFinalNorm, attnWeights);
    const nodes = new Map(graph.map((node) => [node.name, node]));
    await session.forward(golden.header.tokens, {
      logits: 'all',
      attnWeights,
      trace: (name, actual) => {
        const truth = golden.tensors.get(name);
        const node = nodes.get(name);
        if (!truth || !node) return;
        const row = compareRow(node, actual, truth, boundIn(golden, node, truth, precision));
        if (row.status !== 'OK') {
          row.origin = originOf(node, nodes, golden, disagrees);
          disagrees.add(name);
        }
        rows.push(row);
        if (!worst || row.share > worst.row.share) worst = { row, actual: actual.data };
      },
    });
  } finally {
    await session.dispose();
  }
  if (rows.length === 0) throw new InputError(`${golden.name}: ${backend} computes none of its activations`);
  const first = rows.find(({ status }) => status !== 'OK') ?? null;
  return { golden, backend, precision, rows, notCompared, notes: describeBounds(golden), first, worst: worst! };
}

/** Compares one activation with its truth. */
export function compareRow(node: GraphNode, actual: Tensor, truth: GoldenTensor, bound: number): Row {
  const { data, shape } = actual;
  const isSame = show(shape) === show(truth.shape);
  const picked = truth.step === 1 || !isSame ? data : truth.data.map((_, i) => data[i * truth.step]);
  return compareElements(node, shape, isSame ? picked : null, truth, bound, normError(data, truth.norm));
}

/**
 * Compares the stored elements of one activation with their truth.
 *
 * @param picked the elements, or null if the shapes differ
 * @param error another relative error that counts, such as that of the norm
 */
export function compareElements(
  { name, op }: GraphNode,
  shape: readonly number[],
  picked: Float32Array | Float64Array | null,
  truth: GoldenTensor,
  bound: number,
  error = 0,
): Row {
  const common = { name, op, shape, bound, origin: null };
  if (!picked) {
    return { ...common, status: 'SHAPE', share: Infinity, difference: null, ours: NaN, truth: NaN };
  }
  const difference = compare(picked, truth.data);
  const { relativeMax, worst, nan } = difference;
  const largest = Math.max(relativeMax, error);
  const share = largest === 0 ? 0 : largest / bound;
  const status = nan > 0 ? 'NAN' : share <= 1 ? 'OK' : 'DIFF';
  return {
    ...common,
    status,
    share,
    ours: picked[worst],
    truth: truth.data[worst],
    difference: { ...difference, worst: worst * truth.step },
  };
}

/** The relative error of the norm of a sampled activation; 0 without a norm. */
function normError(actual: Floats, norm: number | null): number {
  if (norm === null) return 0;
  let squares = 0;
  for (const x of actual) squares += x * x;
  const difference = Math.abs(Math.sqrt(squares) - norm);
  if (Number.isNaN(difference)) return Infinity; // NaN between the samples
  const error = difference === 0 ? 0 : difference / norm;
  return error < NORM_ROUNDING ? 0 : error;
}

/** The rounding error that a float64 sum of a million squares may have. */
const NORM_ROUNDING = 1e-12;

/**
 * An op is at fault if all its inputs agree. Inputs missing from the file are replaced with their own inputs: the fault is
 * then in this op or in one of the missing activations.
 */
export function originOf(
  { inputs }: GraphNode,
  nodes: ReadonlyMap<string, GraphNode>,
  golden: Pick<Golden, 'tensors'>,
  disagrees: ReadonlySet<string>,
): Row['origin'] {
  const skipped: string[] = [];
  const held: string[] = [];
  const open = [...inputs];
  for (let input = open.shift(); input !== undefined; input = open.shift()) {
    if (golden.tensors.has(input)) held.push(input);
    else if (!skipped.includes(input)) {
      skipped.push(input);
      open.push(...nodes.get(input)!.inputs);
    }
  }
  const culprit = held.find((input) => disagrees.has(input));
  if (culprit !== undefined) return { handedDownBy: culprit };
  return skipped.length === 0 ? 'born here' : { bornHereOrIn: skipped };
}
