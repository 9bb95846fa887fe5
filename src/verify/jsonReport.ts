import type { GoldenHeader } from './golden.js';
import type { Row } from './verify.js';

/** The version of the JSON reports. Keys may be added; a change of meaning or a removal raises it. */
export const REPORT_SCHEMA = 1;

/** What `emergent verify` and `emergent compare` found. golden/FORMAT.md documents the JSON. */
export interface Findings {
  rows: readonly Row[];
  first: Row | null;
  /** What widens the bounds, or makes a difference expected. */
  notes: readonly string[];
  /** Activations of the file that were not compared. */
  notCompared: readonly string[];
}

/** The JSON that both commands share. JSON has no infinities: they and NaN become null. */
export function jsonFindings({ rows, first, notes, notCompared }: Findings): Record<string, unknown> {
  return { schema: REPORT_SCHEMA, ok: first === null, notes, notCompared, first, rows };
}

/** The header without its long lists. */
export function jsonHeader(header: GoldenHeader): Record<string, unknown> {
  const { format, producer, precision, tokens, weights_sha256, synthetic } = header;
  return { format, producer, precision, tokens, weights_sha256, synthetic };
}
