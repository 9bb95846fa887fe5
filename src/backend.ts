import type { GpuBackend } from '../accel/gpu/device.js';
import { floatModel, unsharedModel } from './checkpoint/assemble.js';
import { InputError } from '../reference/lib/errors.js';
import { openReferenceSession } from './referenceSession.js';
import type { Tensor } from '../reference/lib/tensor.js';
import type { Trace } from '../reference/lib/trace.js';
import type { Model } from '../reference/lib/weights.js';

export interface SessionForwardOptions {
  /** Score the token after each new position, or only after the last one (the default). */
  logits?: 'all' | 'last' | undefined;
  /** Called with every named activation, in order of execution. */
  trace?: Trace | undefined;
}

/**
 * One conversation with a model: the tokens so far, kept as keys and values. Sessions share the model's weights and
 * nothing else. All calls are async, so that a device can be behind them; one session runs one call at a time.
 */
export interface Session {
  /** Tokens held so far. */
  readonly length: number;
  /** How many tokens this backend likes to be given at once; a longer prompt can be stopped between such chunks. */
  readonly chunk: number;
  /**
   * Appends T tokens.
   *
   * @returns logits [1, V] after the last token, or [T, V] for `logits: 'all'`
   * @throws InputError for no tokens, an id outside of the vocabulary, or more than block_size tokens in all. The
   *   session then holds what it held before.
   */
  forward(ids: readonly number[], options?: SessionForwardOptions): Promise<Tensor>;
  /** Forgets all tokens. */
  reset(): void;
  /** Frees what the session holds; it cannot be used afterwards. */
  dispose(): Promise<void>;
}

/** A model made ready to compute with, which its sessions share. */
export interface Backend {
  /** As {@link openBackend} takes it; never `auto` or `gpu`, but what that turned out to be. */
  readonly name: string;
  /** What computes, in the words of its driver. */
  readonly adapter: string;
  openSession(): Session;
  /** Gives back what the model took. Sessions cannot be used afterwards. */
  dispose(): Promise<void>;
}

/** The names that {@link openBackend} takes; `simd:4` is `simd` on four threads. */
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

/** More than any machine has cores; each takes memory. */
const MOST_THREADS = 256;
const SIMD = /^simd(?::([1-9]\d*))?$/;

/**
 * Turns `auto` into what is fastest here: a GPU that works, else `simd`, else `reference`; and `gpu` into the best of the
 * GPU backends that work. Other names stay what they are.
 *
 * @param note is told what was chosen and why
 * @throws InputError if there is no backend of that name, DeviceError if none works.
 */
export async function resolveBackend(name: string, note?: (line: string) => void): Promise<string> {
  if (!BACKEND_NAMES.includes(name) && !SIMD.test(name)) {
    throw new InputError(`there is no backend '${name}'; there is: ${BACKEND_NAMES.join(', ')}`);
  }
  const threads = Number(SIMD.exec(name)?.[1] ?? 1);
  if (threads > MOST_THREADS) throw new InputError(`simd runs on up to ${MOST_THREADS} threads, not on ${threads}`);
  if (name !== 'gpu' && name !== 'auto') return name;
  const { chooseGpuBackend, chooseRealGpu } = await import('../accel/gpu/choose.js');
  const { backend, adapter, passedOver } = await (name === 'gpu' ? chooseGpuBackend() : chooseRealGpu());
  const { hasSimd } = await import('../accel/simd/module.js');
  const [chosen, runsOn] = backend
    ? [`gpu:${backend}`, ` (${adapter})`]
    : hasSimd()
      ? ['simd', '']
      : ['reference', '; simd: there is no WebAssembly SIMD here'];
  note?.([`${name}: taking ${chosen}${runsOn}`, ...passedOver].join('; '));
  return chosen;
}

/**
 * Makes a model ready on a backend; for a GPU that uploads the weights. The caller disposes of it.
 *
 * @throws InputError if there is no backend of that name, DeviceError if it is not there or cannot hold the model.
 */
export async function openBackend(model: Model, name = 'auto'): Promise<Backend> {
  const resolved = await resolveBackend(name);
  if (resolved === 'reference') {
    const floats = floatModel(model);
    return {
      name: resolved,
      adapter: 'JavaScript',
      openSession: () => openReferenceSession(floats),
      dispose: () => Promise.resolve(),
    };
  }
  const simd = SIMD.exec(resolved);
  if (simd) {
    const { openSimdBackend } = await import('../accel/simd/backend.js');
    return openSimdBackend(model, simd[1] ? Number(simd[1]) : undefined);
  }
  const { openGpuBackend } = await import('../accel/gpu/backend.js');
  return openGpuBackend(unsharedModel(model), resolved.slice('gpu:'.length) as GpuBackend);
}

/**
 * Where a backend likes to have the weights: given to a loader, they are in memory once. `undefined` where it takes copies
 * anyway.
 */
export async function weightsAllocator(resolved: string): Promise<((bytes: number) => Uint8Array) | undefined> {
  if (!SIMD.test(resolved)) return undefined;
  const { canShare, SimdMemory } = await import('../accel/simd/memory.js');
  if (!canShare()) return undefined;
  const memory = new SimdMemory(true);
  return (bytes) => memory.allocateBytes(bytes);
}

/** Starts a session on a backend of its own, which goes when the session is disposed of. */
export async function openSession(model: Model, name?: string): Promise<Session> {
  const backend = await openBackend(model, name);
  const session = backend.openSession();
  const dispose = session.dispose.bind(session);
  session.dispose = async () => {
    await dispose();
    await backend.dispose();
  };
  return session;
}

/** Runs `body` with a session that is gone afterwards. */
export async function withSession<Result>(
  model: Model,
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
