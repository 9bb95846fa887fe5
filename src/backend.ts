import type { GpuBackend } from '../accel/gpu/device.js';
import type { Backend, LoadedModel, Session, WeightsHome } from '../accel/session.js';
import { checkModel } from '../reference/lib/checkModel.js';
import { InputError } from '../reference/lib/errors.js';
import { floatModel, unsharedModel } from './checkpoint/assemble.js';
import { PRESETS } from './checkpoint/config.js';
import { syntheticModel } from './checkpoint/synthetic.js';
import { openReferenceBackend } from './referenceBackend.js';

export type {
  Backend,
  BatchEntry,
  LoadedModel,
  Session,
  SessionForwardOptions,
  WeightsHome,
} from '../accel/session.js';

/** The names that {@link openBackend} accepts; `simd:4` is `simd` on four threads. */
export const BACKEND_NAMES: readonly string[] = [
  'auto',
  'simd',
  'reference',
  'gpu',
  'gpu:webgpu',
  'gpu:webgl2',
  'gpu:webasm',
  'gpu:cpu',
];

/** More than any machine has cores; every thread takes memory. */
export const MAX_THREADS = 256;
const SIMD = /^simd(?::([1-9]\d*))?$/;

/** What a GPU has to compute correctly before it is chosen. */
const TRIAL_CONFIG = {
  ...PRESETS.model_64_float,
  ...{ vocabSize: 32, blockSize: 8, nEmbed: 4, dModel: 16, nLayer: 1, nHead: 2 },
};

/**
 * Resolves `auto` to the fastest backend here: a GPU that works, otherwise `simd`, otherwise `reference`; and `gpu` to the
 * best GPU.js backend that works. Other names are returned as they are.
 *
 * @param note receives one line with the choice and its reasons
 * @throws InputError for an unknown name, DeviceError if no GPU.js backend works.
 */
export async function resolveBackend(name: string, note?: (line: string) => void): Promise<string> {
  if (!BACKEND_NAMES.includes(name) && !SIMD.test(name)) {
    throw new InputError(`unknown backend '${name}'; choose one of: ${BACKEND_NAMES.join(', ')}`);
  }
  const threads = Number(SIMD.exec(name)?.[1] ?? 1);
  if (threads > MAX_THREADS) throw new InputError(`simd runs on at most ${MAX_THREADS} threads, got ${threads}`);
  if (name !== 'gpu' && name !== 'auto') return name;

  const { chooseGpuBackend, chooseRealGpu } = await import('../accel/gpu/choose.js');
  const trial = syntheticModel(TRIAL_CONFIG, 1);
  const { backend, adapter, passedOver } = await (name === 'gpu' ? chooseGpuBackend(trial) : chooseRealGpu(trial));
  if (backend) {
    note?.([`${name}: taking gpu:${backend} (${adapter})`, ...passedOver].join('; '));
    return `gpu:${backend}`;
  }
  const { whyNoSimd } = await import('../accel/simd/module.js');
  const noSimd = await whyNoSimd();
  const taken = noSimd === null ? 'simd' : 'reference';
  note?.([`${name}: taking ${taken}`, ...(noSimd === null ? [] : [noSimd]), ...passedOver].join('; '));
  return taken;
}

/**
 * Prepares a model on a backend; for a GPU this uploads the weights. The caller disposes of it.
 *
 * @throws InputError for an unknown name, DeviceError if the backend is missing or cannot hold the model.
 */
export async function openBackend(model: LoadedModel, name = 'auto'): Promise<Backend> {
  checkModel(model);
  const resolved = await resolveBackend(name);
  if (resolved === 'reference') return openReferenceBackend(floatModel(model));
  const simd = SIMD.exec(resolved);
  if (simd) {
    const { openSimdBackend } = await import('../accel/simd/backend.js');
    return openSimdBackend(model, simd[1] ? Number(simd[1]) : undefined);
  }
  const { openGpuBackend } = await import('../accel/gpu/backend.js');
  return openGpuBackend(unsharedModel(model), resolved.slice('gpu:'.length) as GpuBackend);
}

/**
 * Opens the memory of a backend for a loader to read weights into, so that they are in memory once. `undefined` for
 * backends that copy the weights anyway.
 *
 * @param resolved a name that {@link resolveBackend} returned
 */
export async function openWeightsHome(resolved: string): Promise<WeightsHome | undefined> {
  if (!SIMD.test(resolved)) return undefined;
  const { canShare, SimdMemory } = await import('../accel/simd/memory.js');
  return canShare() ? new SimdMemory(true) : undefined;
}

/** Opens a session on a backend of its own, which is disposed of together with the session and the last of its forks. */
export async function openSession(model: LoadedModel, name?: string): Promise<Session> {
  const backend = await openBackend(model, name);
  const open = new Set<Session>();
  function own(session: Session): Session {
    const dispose = session.dispose.bind(session);
    const fork = session.fork.bind(session);
    open.add(session);
    session.dispose = async () => {
      await dispose();
      open.delete(session);
      if (open.size === 0) await backend.dispose();
    };
    session.fork = async () => own(await fork());
    return session;
  }
  return own(backend.openSession());
}

/** Runs `body` with a session and disposes of it afterwards. */
export async function withSession<Result>(
  model: LoadedModel,
  backend: string | undefined,
  body: (session: Session) => Promise<Result>,
): Promise<Result> {
  const session = await openSession(model, backend);
  try {
    return await body(session);
  } finally {
    await session.dispose();
  }
}
