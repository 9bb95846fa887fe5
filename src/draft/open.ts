import { openBackend, openWeightsHome, type Backend, type LoadedModel, type Session } from '../backend.js';
import { packModel } from '../checkpoint/packModel.js';
import { InputError } from '../../reference/lib/errors.js';
import { CompactTensor, type Dtype } from '../../reference/lib/compactTensor.js';

/** How tokens are drafted, in {@link DRAFT_NAMES}. */
export type DraftName = 'off' | 'lookup' | 'int4' | 'int8' | 'auto';

/**
 * `lookup` drafts from the text so far, `int4` and `int8` with the same model in fewer bits. `auto` is `lookup` for greedy
 * decoding on backends where it cannot change the text, otherwise `off`.
 */
export const DRAFT_NAMES: readonly DraftName[] = ['off', 'lookup', 'int4', 'int8', 'auto'];

const BITS: Record<Dtype, number> = { f32: 32, bf16: 16, f16: 16, int8: 8, int4: 4 };

/** A model in fewer bits, ready to draft. */
export interface DraftModel {
  backend: Backend;
  /** What its weights take. */
  bytes: number;
}

/**
 * Packs a model in fewer bits and opens it on a backend. The caller disposes of it.
 *
 * @throws InputError if the model has no more bits than that; DeviceError if memory runs out.
 */
export async function openDraftModel(model: LoadedModel, dtype: 'int4' | 'int8', backend: string): Promise<DraftModel> {
  const { weight } = model.weights.blocks.at(0)?.qProj ?? model.weights.lmHead;
  const held = weight instanceof CompactTensor ? weight.dtype : 'f32';
  if (BITS[held] <= BITS[dtype])
    throw new InputError(`a draft of ${dtype} needs a model of more bits, but this one is ${held}`);
  const packed = await packModel(model, dtype, await openWeightsHome(backend));
  return { backend: await openBackend(packed.model, backend), bytes: packed.bytes };
}

/** The draft that `auto` is. */
export function resolveDraft(name: DraftName, session: Session, isGreedy: boolean): Exclude<DraftName, 'auto'> {
  if (name !== 'auto') return name;
  return isGreedy && session.batchInvariant ? 'lookup' : 'off';
}
