import { encodeGguf, bytesOf } from '../checkpoint/gguf/container.js';
import type { GgufType } from '../checkpoint/gguf/blocks.js';
import { toNeox } from '../checkpoint/gguf/neox.js';
import { placeholderMetadata, vocabularyMetadata } from '../checkpoint/gguf/vocabulary.js';
import { InputError } from '../../reference/lib/errors.js';
import type { Folder } from '../folder/folder.js';
import { readBytePairs } from '../tokenizer/bytePairs.js';
import { openModel, openTokenizer, type ModelFlags } from './options.js';
import { counted, formatBytes, note } from './output.js';
import { checkOutputs, writeOutput } from './outputs.js';

export const GGUF_TYPES: readonly GgufType[] = ['f32', 'f16', 'q8_0', 'q4_0'];

export interface GgufFlags extends Omit<ModelFlags, 'dtype'> {
  out: string;
  dropHeadBias?: boolean;
}

/** Writes a model as a GGUF file for llama.cpp. */
export async function convertToGguf(from: Folder, type: string, flags: GgufFlags): Promise<void> {
  if (!isGgufType(type)) throw new InputError(`--to gguf writes ${GGUF_TYPES.join(', ')}, not ${type}`);
  await checkOutputs([flags.out], [flags.model, flags.tensorMap]);
  const { model } = await openModel(from, flags);
  const { metadata, tensors, warnings } = toNeox(model, type, flags);
  const vocabulary = await readBytePairs(from, model.config.vocabSize);
  const words = vocabulary
    ? vocabularyMetadata(vocabulary, (await openTokenizer(from)).eosIds[0])
    : placeholderMetadata(model.config.vocabSize);
  const size = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  for (const warning of warnings) note(warning);
  note(
    vocabulary
      ? 'llama.cpp splits texts into words first, so give it token ids rather than texts'
      : 'the model folder has no tokenizer.json, so the tokens of the file are bytes and placeholders',
  );
  await writeOutput(
    flags.out,
    counted(encodeGguf({ ...metadata, ...words }, tensors), size),
    `${formatBytes(size)} to `,
  );
}

function isGgufType(type: string): type is GgufType {
  return (GGUF_TYPES as readonly string[]).includes(type);
}
