import { openFile } from '../folder/nodeFile.js';
import { writeFileWhole } from '../folder/outputFile.js';
import { readSafetensors, type SafetensorsFile } from './reader.js';
import { encodeSafetensors, type WritableTensor } from './writer.js';

export type { TensorInfo } from './header.js';
export { readSafetensors, SafetensorsFile } from './reader.js';
export { encodeLazily, encodeSafetensors, type LazyTensor, type WritableTensor } from './writer.js';

/**
 * Opens a safetensors file on disk. Call {@link SafetensorsFile.close} when done.
 *
 * @throws CheckpointError that names the file and the fault.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return readSafetensors(await openFile(path));
}

/**
 * Writes a safetensors file. It appears under its name only when it is complete.
 *
 * @throws CheckpointError if it cannot be written.
 */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, WritableTensor>>,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  await writeFileWhole(path, encodeSafetensors(tensors, metadata));
}
