import { sizeOf } from '../../reference/lib/tensor.js';
import type { LoadedModel } from '../backend.js';
import { checkpointKeys, checkpointTensors } from '../checkpoint/convert.js';
import { DTYPE_BITS } from '../checkpoint/dtype.js';
import type { LoadReport } from '../checkpoint/readModel.js';
import { encodeLazily } from '../checkpoint/safetensors.js';
import { copiedConfig, encodeJson } from '../checkpoint/saveModel.js';
import { readWhole, type Folder } from '../folder/folder.js';
import type { Pieces } from '../folder/outputFile.js';
import { counted } from './output.js';
import { writeModelFolder } from './outputs.js';

const WEIGHTS = 'model.safetensors';
const COPIED = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'generation_config.json'];

/**
 * Writes a loaded model as a model folder: its weights under canonical names, its config.json with what is known, and the
 * files of its tokenizer.
 *
 * @param from the folder that has the tokenizer's files, if any
 * @returns the bytes of the weights before and after
 */
export async function writeCopy(
  out: string,
  from: Folder,
  { model, report }: { model: LoadedModel; report: LoadReport },
): Promise<{ before: number; after: number }> {
  const stored = report.tensors.find(({ canonical }) => canonical === 'token_embeddings.weight')?.dtype;
  const embedding = stored === 'BF16' || stored === 'F16' ? stored : 'F32';
  const tensors = checkpointTensors(model, embedding);
  const before = report.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  const after = tensors.reduce((sum, { shape, dtype }) => sum + (sizeOf(shape) * DTYPE_BITS[dtype]) / 8, 0);
  const config = { ...copiedConfig(report), ...checkpointKeys(report.dtype) };
  await writeModelFolder(out, [
    [WEIGHTS, counted(encodeLazily(tensors, { format: 'pt' }), after)],
    ...(await filesOf(from, COPIED)),
    ['config.json', [encodeJson(config)]],
  ]);
  return { before, after };
}

/** Those of some files that a folder has. */
async function filesOf(folder: Folder, names: readonly string[]): Promise<[name: string, pieces: Pieces][]> {
  const found: [name: string, pieces: Pieces][] = [];
  for (const name of names) {
    const bytes = await readWhole(folder, name);
    if (bytes) found.push([name, [bytes]]);
  }
  return found;
}
