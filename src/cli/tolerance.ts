import { isMapOf } from '../lib/guards.js';
import { quote } from '../lib/quote.js';
import { InputError } from '../../reference/lib/errors.js';
import { BOUNDS, uniformTolerance, type Tolerance } from '../verify/tolerance.js';
import { requireJson } from './options.js';

/**
 * The value of `--tolerance`: a factor on all bounds, or a JSON file of factors by op, such as {"layerNorm": 2}.
 *
 * @throws InputError for a factor that is not above 0, an unknown op, or a file that cannot be read.
 */
export async function readTolerance(value: string | undefined): Promise<Tolerance | undefined> {
  if (value === undefined) return undefined;
  const factor = Number(value);
  if (value.trim() !== '' && !Number.isNaN(factor)) {
    if (!isFactor(factor)) throw new InputError(`--tolerance must be a finite factor above 0, got ${value}`);
    return uniformTolerance(factor);
  }
  const json = await requireJson(value);
  if (!isMapOf(json, isFactor)) {
    throw new InputError(`${value}: expected a JSON object from ops to factors above 0, got ${quote(json)}`);
  }
  const unknown = Object.keys(json).find((op) => !Object.hasOwn(BOUNDS, op));
  if (unknown !== undefined) {
    throw new InputError(`${value}: unknown op ${quote(unknown)}; choose from: ${Object.keys(BOUNDS).join(', ')}`);
  }
  return json;
}

function isFactor(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}
