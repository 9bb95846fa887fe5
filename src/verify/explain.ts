import type { ModelConfig } from '../../reference/lib/config.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Model } from '../../reference/lib/weights.js';
import type { Golden } from './golden.js';
import { verify } from './verify.js';

/** Conventions that a checkpoint does not record. The usual cause of a mismatch is one wrong choice among them. */
const CONVENTIONS: readonly Partial<ModelConfig>[] = [
  { ropePairing: 'half' },
  { ropePairing: 'interleaved' },
  { geluApproximate: 'none' },
  { geluApproximate: 'tanh' },
  { normPosition: 'pre' },
  { normPosition: 'post' },
  { layerNormEps: 1e-5 },
  { layerNormEps: 1e-6 },
  { layerNormEps: 1e-12 },
  { ropeTheta: 10000 },
  { ropeTheta: 500000 },
];

/**
 * Searches for a change of one convention that makes the whole golden file agree.
 *
 * @returns the change, or null if no single change helps
 */
export async function explain(model: Model, golden: Golden, backend: string): Promise<Partial<ModelConfig> | null> {
  for (const change of CONVENTIONS) {
    const config = { ...model.config, ...change };
    if (JSON.stringify(config) === JSON.stringify(model.config)) continue;
    try {
      if ((await verify({ ...model, config }, golden, backend)).first === null) return change;
    } catch (error) {
      if (!(error instanceof InputError)) throw error; // with this convention, the file belongs to another model
    }
  }
  return null;
}
