import type { Float32Tensor } from '../../reference/lib/tensor.js';
import type { TensorInfo } from './header.js';

/** The tensors of a checkpoint. A single safetensors file is one (`reader.ts`), a set of shards another (`sharded.ts`). */
export interface TensorStore {
  /** The name to use in messages. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Reads a tensor of F32, F16, BF16 or F64 as float32. F64 is rounded; the other types are exact.
   *
   * @throws CheckpointError if the tensor does not exist, has another dtype, or does not fit in memory.
   */
  readFloat32(name: string): Promise<Float32Tensor>;
  /**
   * Fills `target` with the elements of a tensor that begin at `start`, converted as by {@link readFloat32}.
   *
   * @throws CheckpointError as {@link readFloat32}.
   */
  readFloats(name: string, target: Float32Array, start?: number): Promise<void>;
  /**
   * Reads the stored bytes of a whole tensor.
   *
   * @throws CheckpointError if they cannot be read.
   */
  readBytes(name: string, target: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
