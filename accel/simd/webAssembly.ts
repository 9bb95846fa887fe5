/** The part of WebAssembly used here. TypeScript declares it only together with all browser types. */
interface WebAssemblyNamespace {
  Memory: new (descriptor: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
  Instance: new (module: WasmModule, imports: { env: Record<string, unknown> }) => { exports: Record<string, unknown> };
  compile(bytes: Uint8Array<ArrayBuffer>): Promise<WasmModule>;
  validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}

export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  /** Grows by a number of 64 KiB pages. */
  grow(pages: number): number;
}

/** A compiled module; opaque to us. */
export type WasmModule = object;

export const WebAssembly: WebAssemblyNamespace = (globalThis as unknown as { WebAssembly: WebAssemblyNamespace })
  .WebAssembly;
