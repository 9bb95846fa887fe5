import { DeviceError } from '../errors.js';
import { messageOf } from '../../reference/lib/errors.js';
import { BINARY } from './binary.js';
import { WebAssembly, type WasmMemory, type WasmModule } from './webAssembly.js';

/** What assembly/index.ts exports. */
export interface Kernels {
  runAlone: (plan: number) => void;
  work: (shared: number, thread: number, threads: number) => void;
  packRows: (dtype: number, values: number, K: number, N: number, codes: number, scales: number) => number;
}

/** Modules once compiled serve every model. */
const modules = new Map<string, Promise<WasmModule>>();

/**
 * The kernels, compiled for shared or for ordinary memory, with or without relaxed SIMD.
 *
 * @throws DeviceError if there is no SIMD here.
 */
export function compileKernels(shared: boolean, relaxed: boolean): Promise<WasmModule> {
  const name = `${relaxed ? 'relaxed' : 'plain'}${shared ? 'Shared' : ''}` as const;
  const known = modules.get(name);
  if (known) return known;
  const module = WebAssembly.compile(decode(BINARY[name])).catch((error: unknown) => {
    throw new DeviceError(`simd: WebAssembly SIMD is not supported here: ${messageOf(error)}`, { cause: error });
  });
  modules.set(name, module);
  module.catch(() => modules.delete(name));
  return module;
}

/** Kernels for the calling thread. */
export function instantiate(module: WasmModule, memory: WasmMemory): Kernels {
  const { exports } = new WebAssembly.Instance(module, { env: { memory, done: () => undefined } });
  return exports as unknown as Kernels;
}

/** Whether WebAssembly has vectors here. */
export function hasSimd(): boolean {
  return 'WebAssembly' in globalThis && WebAssembly.validate(decode(BINARY.plain));
}

/** Whether a product and a sum can be one instruction. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(decode(BINARY.relaxed));
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
