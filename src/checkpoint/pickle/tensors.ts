import { DTYPE_BITS } from '../dtype.js';
import { Global, type PickleValue, type Vocabulary } from './unpickle.js';
import type { ZipEntry } from './zip.js';

/** A storage: numbers of one dtype in one file of the archive. Several tensors can share one. */
export class Storage {
  readonly dtype: string;
  /** The number of elements. */
  readonly length: number;
  /** Where its bytes begin in the archive. */
  readonly offset: number;

  constructor(dtype: string, length: number, offset: number) {
    this.dtype = dtype;
    this.length = length;
    this.offset = offset;
  }
}

/** A tensor: a view of a storage. Element [i, j] is number `start + i * strides[0] + j * strides[1]` of the storage. */
export class StoredTensor {
  readonly storage: Storage;
  readonly start: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: Storage, start: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.start = start;
    this.shape = shape;
    this.strides = strides;
  }
}

/** The storage classes of PyTorch, and the dtypes of safetensors that they hold. */
const STORAGES: Readonly<Record<string, string>> = {
  'torch.DoubleStorage': 'F64',
  'torch.FloatStorage': 'F32',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
};

type Call = (args: readonly PickleValue[]) => PickleValue;

const CALLS: Readonly<Record<string, Call>> = {
  'collections.OrderedDict': orderedDict,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_parameter': rebuildParameter,
};

/**
 * The names that occur in a pickle of tensors. All sizes are checked against the archive.
 *
 * @param find the file in the archive that holds the storage of a key; undefined if there is none
 */
export function tensorVocabulary(find: (key: string) => ZipEntry | undefined): Vocabulary {
  return {
    knows: (name) => Object.hasOwn(CALLS, name) || Object.hasOwn(STORAGES, name),
    call(name, args) {
      if (!Object.hasOwn(CALLS, name)) throw new Error(`it calls ${name}`);
      return CALLS[name](args);
    },
    persistent: (id) => storageOf(id, find),
  };
}

/** Resolves `('storage', torch.FloatStorage, key, device, number of elements)`. */
function storageOf(id: PickleValue, find: (key: string) => ZipEntry | undefined): Storage {
  const [kind, type, key, , length] = (Array.isArray(id) ? id : []) as PickleValue[];
  const dtype = type instanceof Global ? STORAGES[type.name] : undefined;
  if (kind !== 'storage' || dtype === undefined || typeof key !== 'string' || !isCount(length)) {
    throw new Error('a persistent id is not a storage');
  }
  const file = find(key);
  if (!file) throw new Error(`the archive has no storage ${JSON.stringify(key.slice(0, 50))}`);
  const bytes = (length * DTYPE_BITS[dtype]) / 8;
  if (bytes !== file.size) {
    throw new Error(`a storage of ${length} ${dtype} takes ${bytes} bytes, but its file has ${file.size}`);
  }
  return new Storage(dtype, length, file.offset);
}

/** `OrderedDict()` or `OrderedDict([(key, value), ...])`. */
function orderedDict(args: readonly PickleValue[]): PickleValue {
  const [pairs = []] = args;
  if (args.length > 1 || !Array.isArray(pairs)) throw new Error('an OrderedDict has wrong arguments');
  const dict = new Map<PickleValue, PickleValue>();
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2) throw new Error('an OrderedDict has wrong arguments');
    const [key, value] = pair as PickleValue[];
    dict.set(key, value);
  }
  return dict;
}

/** `_rebuild_tensor_v2(storage, start, shape, strides, requires_grad, backward_hooks, metadata)`. */
function rebuildTensor([storage, start, shape, strides]: readonly PickleValue[]): StoredTensor {
  if (!(storage instanceof Storage)) throw new Error('a tensor has no storage');
  if (!isCount(start) || !isCounts(shape) || !isCounts(strides) || shape.length !== strides.length) {
    throw new Error('the shape or the strides of a tensor are not lists of counts');
  }
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    if (!Number.isSafeInteger(elements * 64)) throw new Error('the shape of a tensor is too large');
  }
  const last = shape.reduce((sum, size, i) => sum + (size - 1) * strides[i], start);
  if (elements > 0 && last >= storage.length) throw new Error('a tensor exceeds its storage');
  return new StoredTensor(storage, start, shape, strides);
}

/** `_rebuild_parameter(tensor, requires_grad, backward_hooks)`. */
function rebuildParameter([tensor]: readonly PickleValue[]): StoredTensor {
  if (!(tensor instanceof StoredTensor)) throw new Error('a parameter has no tensor');
  return tensor;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}
