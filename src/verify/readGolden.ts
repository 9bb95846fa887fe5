import { openSafetensors } from '../checkpoint/safetensors.js';
import { parseGolden, type Golden } from './golden.js';

/**
 * Reads a golden file from disk.
 *
 * @throws CheckpointError if it is not a safetensors file, InputError as in {@link parseGolden}.
 */
export async function readGolden(path: string): Promise<Golden> {
  const file = await openSafetensors(path);
  try {
    return await parseGolden(file);
  } finally {
    await file.close();
  }
}
