import { withSession, type LoadedModel } from './backend.js';
import type { ModelConfig } from '../reference/lib/config.js';
import { checkModel } from '../reference/lib/checkModel.js';
import { requireFinite } from './finite.js';
import { mean, surprisesOf } from './perplexity.js';

/** The conventions that a checkpoint does not record. */
export type Convention = Pick<ModelConfig, 'ropePairing' | 'geluApproximate' | 'normPosition' | 'layerNormEps'>;

export interface Trial {
  convention: Convention;
  /** NaN if the model computes no probabilities with this convention, Infinity if it is too large for float64. */
  perplexity: number;
  surprises: number[];
}

export interface Calibration {
  /** Best first. Those without a finite perplexity are last. */
  trials: Trial[];
  verdicts: Verdict[];
}

/** One convention: the best trial compared with the best trial that chooses otherwise. */
export interface Verdict {
  key: keyof Convention;
  best: string;
  other: string;
  /** How much worse the other choice predicts, in nats per token. Infinity if it predicts nothing. */
  nats: number;
  /** The same difference in standard errors. */
  sigmas: number;
  clear: boolean;
}

/**
 * A verdict is clear if the difference is both significant and large. Small differences prove nothing, even significant
 * ones: an imperfectly trained model can gain from a small change by chance. Models trained briefly with tanh GELU preferred
 * the exact form by 5 standard errors, and an eps they were not trained with by 12.
 */
const CLEAR_SIGMAS = 4;
const CLEAR_NATS = 0.01;

const EPS = [1e-5, 1e-6, 1e-12];

/**
 * Finds the conventions that a checkpoint was trained with, by their perplexity on plain text. It tries all combinations of
 * rotary pairing, GELU and norm placement, then the usual values of eps with the best combination.
 *
 * A verdict compares two runs token by token: the mean difference of surprise, and its ratio to the standard error.
 *
 * @throws InputError for a text of fewer than two tokens, EmergentError if no combination gives a finite number
 */
export async function calibrate(
  model: LoadedModel,
  ids: readonly number[],
  backend?: string,
  onTrial: (done: number, all: number) => void = () => undefined,
): Promise<Calibration> {
  checkModel(model);
  const grid: Convention[] = [];
  for (const normPosition of ['pre', 'post'] as const) {
    for (const ropePairing of ['half', 'interleaved'] as const) {
      for (const geluApproximate of ['none', 'tanh'] as const) {
        grid.push({ ropePairing, geluApproximate, normPosition, layerNormEps: model.config.layerNormEps });
      }
    }
  }
  const all = grid.length + EPS.filter((eps) => eps !== model.config.layerNormEps).length;
  const trials: Trial[] = [];
  async function attempt(convention: Convention): Promise<void> {
    const trial = { ...model, config: { ...model.config, ...convention } };
    const surprises = await withSession(trial, backend, (session) => surprisesOf(session, model.config, ids));
    trials.push({ convention, perplexity: Math.exp(mean(surprises)), surprises });
    trials.sort(bestFirst);
    onTrial(trials.length, all);
  }
  for (const convention of grid) await attempt(convention);
  const [winner] = trials;
  requireFinite([winner.perplexity], () => 'no combination of conventions has a finite perplexity');
  for (const layerNormEps of EPS) {
    if (layerNormEps !== model.config.layerNormEps) await attempt({ ...winner.convention, layerNormEps });
  }
  return { trials, verdicts: verdictsOf(trials) };
}

/** Orders trials by perplexity. A NaN counts as Infinity, or sorting would leave it anywhere. */
function bestFirst(a: Trial, b: Trial): number {
  const [x, y] = [a, b].map(({ perplexity }) => (Number.isNaN(perplexity) ? Infinity : perplexity));
  return x === y ? 0 : x - y;
}

function verdictsOf(trials: readonly Trial[]): Verdict[] {
  const [best] = trials;
  return (Object.keys(best.convention) as (keyof Convention)[]).map((key) => {
    const rival = trials.find(({ convention }) => convention[key] !== best.convention[key])!;
    const [chosen, other] = [best, rival].map(({ convention }) => String(convention[key]));
    if (!Number.isFinite(rival.perplexity))
      return { key, best: chosen, other, nats: Infinity, sigmas: Infinity, clear: true };
    const differences = rival.surprises.map((surprise, i) => surprise - best.surprises[i]);
    const average = mean(differences);
    const variance = mean(differences.map((d) => (d - average) ** 2));
    const sigmas = average === 0 ? 0 : average / Math.sqrt(variance / differences.length);
    const clear = sigmas >= CLEAR_SIGMAS && average >= CLEAR_NATS;
    return { key, best: chosen, other, nats: average, sigmas, clear };
  });
}
