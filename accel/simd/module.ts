import { messageOf } from '../../reference/lib/errors.js';
import { DeviceError } from '../errors.js';
import { BINARY } from './binary.js';
import { canShare } from './memory.js';
import { WebAssembly, type WasmMemory, type WasmModule } from './webAssembly.js';

/** The exports of assembly/index.ts. */
export interface Kernels {
  runAlone: (plan: number) => void;
  work: (shared: number, thread: number, threads: number) => void;
  packRows: (dtype: number, values: number, K: number, N: number, codes: number, scales: number) => number;
}

/** Compiled modules by name. All models share them. */
const modules = new Map<string, Promise<WasmModule>>();

/**
 * Compiles the kernels for shared or unshared memory, with or without relaxed SIMD.
 *
 * @throws DeviceError if WebAssembly SIMD is missing, or a page's Content-Security-Policy forbids WebAssembly.
 */
export function compileKernels(shared: boolean, relaxed: boolean): Promise<WasmModule> {
  const name = `${relaxed ? 'relaxed' : 'plain'}${shared ? 'Shared' : ''}` as const;
  const known = modules.get(name);
  if (known) return known;
  const module = WebAssembly.compile(decode(BINARY[name])).catch((error: unknown) => {
    throw new DeviceError(`simd: WebAssembly SIMD cannot be compiled here: ${messageOf(error)}`, { cause: error });
  });
  modules.set(name, module);
  module.catch(() => modules.delete(name));
  return module;
}

/** Instantiates the kernels for the calling thread. */
export function instantiate(module: WasmModule, memory: WasmMemory): Kernels {
  const { exports } = new WebAssembly.Instance(module, { env: { memory, done: () => undefined } });
  return exports as unknown as Kernels;
}

/** Whether this engine knows WebAssembly SIMD. A Content-Security-Policy may still forbid it. */
export function hasSimd(): boolean {
  return 'WebAssembly' in globalThis && WebAssembly.validate(decode(BINARY.plain));
}

/** Whether this engine can multiply and add in one instruction. */
export function hasRelaxedSimd(): boolean {
  return hasSimd() && WebAssembly.validate(decode(BINARY.relaxed));
}

/** Compiles the kernels that `simd` would use. @returns null, or one line that says why `simd` cannot run here */
export async function whyNoSimd(): Promise<string | null> {
  if (!hasSimd()) return 'simd: WebAssembly SIMD is not supported here';
  try {
    await compileKernels(canShare(), hasRelaxedSimd());
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
