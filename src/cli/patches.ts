import { InputError } from '../../reference/lib/errors.js';
import { Option, type Command } from 'commander';
import { openSafetensors } from '../checkpoint/safetensors.js';
import { plain } from '../lib/quote.js';
import { parsePatch, type ParsedPatch, type Patch } from '../patch.js';
import type { ChosenBackend } from './options.js';

export interface PatchFlags {
  patch?: ParsedPatch[];
}

/** The help's lines about patches. */
export const PATCH_HELP = `
A patch replaces a part of an activation, and the pass goes on with it: NAME[rows, columns]=VALUE. Rows and columns are
indices or slices as in Python; columns may be "head N". VALUE is a number, or a safetensors file (from trace) whose
tensor of the same name has the values at the same slices.
`;

export function addPatchOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--patch <patch>',
      'replace a part of an activation; may be repeated (needs --backend reference)',
    ).argParser((text: string, before: ParsedPatch[] | undefined) => [...(before ?? []), parsePatch(text)]),
  );
}

/** The files that patches read. */
export function patchFiles({ patch = [] }: PatchFlags): string[] {
  return patch.map(({ value }) => value).filter((value) => typeof value === 'string');
}

/** @throws InputError if there are patches and the backend cannot apply them. Call it before a model is opened. */
export function checkPatchBackend({ patch }: PatchFlags, { name }: ChosenBackend): void {
  if (patch && name !== 'reference') {
    throw new InputError(`--patch needs --backend reference, but the backend is ${name}`);
  }
}

/**
 * The patches, with the tensors of their files.
 *
 * @throws CheckpointError for a file that cannot be read, InputError for one without the tensor.
 */
export async function readPatches({ patch = [] }: PatchFlags): Promise<Patch[]> {
  const patches: Patch[] = [];
  for (const { value, ...place } of patch) {
    if (typeof value === 'number') {
      patches.push({ ...place, value });
      continue;
    }
    const file = await openSafetensors(value);
    try {
      if (!file.tensors.has(place.name)) throw new InputError(`${file.name} contains no tensor ${plain(place.name)}`);
      patches.push({ ...place, value: await file.readFloat32(place.name) });
    } finally {
      await file.close();
    }
  }
  return patches;
}
