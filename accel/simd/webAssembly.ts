/** The part of WebAssembly that is used here; TypeScript brings it only with all of the browser's types. */
interface Engine {
  Memory: new (descriptor: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
  Instance: new (module: WasmModule, imports: { env: Record<string, unknown> }) => { exports: Record<string, unknown> };
  compile(bytes: Uint8Array<ArrayBuffer>): Promise<WasmModule>;
  validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}

export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  /** In pages of 64 KiB. */
  grow(pages: number): number;
}

/** Only the engine knows what is in it. */
export type WasmModule = object;

export const WebAssembly: Engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;
