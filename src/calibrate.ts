import { withSession, type LoadedModel } from './backend.js';
import type { ModelConfig } from '../reference/lib/config.js';
import { mean, perplexity } from './perplexity.js';

/** The conventions that a checkpoint does not record. */
export type Convention = Pick<ModelConfig, 'ropePairing' | 'geluApproximate' | 'normPosition' | 'layerNormEps'>;

export interface Trial {
  convention: Convention;
  perplexity: number;
  surprises: number[];
}

export interface Calibration {
  /** Best first. */
  trials: Trial[];
  verdicts: Verdict[];
}

/** One convention: the best trial compared with the best trial that chooses otherwise. */
export interface Verdict {
  key: keyof Convention;
  best: string;
  other: string;
  /** How much worse the other choice predicts, in nats per token. */
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
 * @throws InputError for a text of fewer than two tokens
 */
export async function calibrate(
  model: LoadedModel,
  ids: readonly number[],
  backend?: string,
  onTrial: (done: number, all: number) => void = () => undefined,
): Promise<Calibration> {
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
    const result = await withSession(trial, backend, (session) => perplexity(session, model.config, ids));
    trials.push({ convention, ...result });
    trials.sort((a, b) => a.perplexity - b.perplexity);
    onTrial(trials.length, all);
  }
  for (const convention of grid) await attempt(convention);
  const [winner] = trials;
  for (const layerNormEps of EPS) {
    if (layerNormEps !== model.config.layerNormEps) await attempt({ ...winner.convention, layerNormEps });
  }
  return { trials, verdicts: verdictsOf(trials) };
}

function verdictsOf(trials: readonly Trial[]): Verdict[] {
  const [best] = trials;
  return (Object.keys(best.convention) as (keyof Convention)[]).map((key) => {
    const rival = trials.find(({ convention }) => convention[key] !== best.convention[key])!;
    const differences = rival.surprises.map((surprise, i) => surprise - best.surprises[i]);
    const average = mean(differences);
    const variance = mean(differences.map((d) => (d - average) ** 2));
    const sigmas = average === 0 ? 0 : average / Math.sqrt(variance / differences.length);
    const [chosen, other] = [best, rival].map(({ convention }) => String(convention[key]));
    const clear = sigmas >= CLEAR_SIGMAS && average >= CLEAR_NATS;
    return { key, best: chosen, other, nats: average, sigmas, clear };
  });
}
