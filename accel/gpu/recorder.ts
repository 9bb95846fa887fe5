import {
  COPY_DST,
  COPY_SRC,
  MAP_READ,
  STORAGE,
  UNIFORM,
  type GpuBindGroupSettings,
  type GpuBuffer,
  type GpuBufferSettings,
  type GpuCommandEncoder,
  type GpuComputePass,
  type GpuDevice,
  type GpuLayoutSettings,
} from './gpujs.js';

/** Submit after this many kernels, so that the device computes while the host records more. */
const BATCH = 64;
/** Offsets of uniform buffers must be multiples of this on every device. */
const ALIGNMENT = 256;
/** Bytes for the parameters of a batch. A kernel has at most 512 bytes of them. */
const PARAMS_BYTES = 2 * BATCH * ALIGNMENT;
/** Reuse buffers of up to this many bytes. Their sizes are rounded up to whole pages. */
const MAX_REUSED_SIZE = 2 ** 22;
const PAGE = 2 ** 12;
/** Bytes of all free buffers that wait for reuse. */
const MAX_FREE_BYTES = 2 ** 26;
/** Flush once this many bytes are waiting to be destroyed. */
const MAX_DOOMED_BYTES = 2 ** 26;
/** Bind groups to cache: many times those of a token and of a prompt. */
const MAX_GROUPS = 2 ** 13;

/** A bind group as GPU.js sees it. */
interface RecordedGroup {
  /** The device's bind group, which takes the parameters from the shared buffer. */
  group: object;
  /** The buffer into which GPU.js writes the parameters. */
  params: GpuBuffer;
}

const recorders = new WeakMap<GpuDevice, Recorder>();

/**
 * Batches GPU.js's calls to a WebGPU device. For every kernel call, GPU.js creates a buffer and a bind group, writes
 * parameters and submits. Each of these driver calls takes longer than a small kernel. The recorder
 *
 * - reuses freed buffers, most recent first, so that each token gets the buffers and thus the bind groups of the last one,
 * - collects the parameters of many kernels in one buffer,
 * - submits many kernels at once.
 *
 * No code besides GPU.js may use the device.
 */
export function recorderOf(device: GpuDevice): Recorder {
  const known = recorders.get(device);
  if (known) return known;
  const recorder = new Recorder(device);
  recorders.set(device, recorder);
  return recorder;
}

/** Replaces methods of a device and its queue. Commands keep their order, and host writes wait for earlier commands. */
export class Recorder {
  /** Errors that the driver reported, of all models that share the device. */
  readonly faults: string[] = [];
  readonly #native: Pick<GpuDevice, 'createBuffer' | 'createBindGroup' | 'createCommandEncoder'> & GpuDevice['queue'];
  #encoder: GpuCommandEncoder | null = null;
  #pass: GpuComputePass | null = null;
  #recorded = 0;
  /** The host waits for a recorded command. */
  #due = false;
  readonly #sharedParams: GpuBuffer;
  readonly #sharedBytes = new Uint8Array(PARAMS_BYTES);
  #sharedUsed = 0;
  /** The last bytes that GPU.js wrote into each of its parameter buffers. */
  readonly #params = new WeakMap<GpuBuffer, Uint8Array>();
  readonly #groups = new Map<string, RecordedGroup>();
  readonly #ids = new WeakMap<object, number>();
  #lastId = 0;
  readonly #readable = new WeakSet<GpuBuffer>();
  /** Free buffers by size, the most recently freed last. */
  readonly #free = new Map<number, GpuBuffer[]>();
  #freeBytes = 0;
  /** Destroy functions of buffers that recorded commands may still use. */
  readonly #doomed: (() => void)[] = [];
  #doomedBytes = 0;

  constructor(device: GpuDevice) {
    const { queue } = device;
    this.#native = {
      createBuffer: device.createBuffer.bind(device),
      createBindGroup: device.createBindGroup.bind(device),
      createCommandEncoder: device.createCommandEncoder.bind(device),
      writeBuffer: queue.writeBuffer.bind(queue),
      submit: queue.submit.bind(queue),
    };
    device.onuncapturederror = ({ error }) => this.faults.push(error.message.split('\n')[0]);
    this.#sharedParams = this.#native.createBuffer({ size: PARAMS_BYTES, usage: UNIFORM | COPY_DST });
    const createLayout = device.createBindGroupLayout.bind(device);
    replace(device, {
      createBuffer: (settings) => this.#createBuffer(settings),
      createBindGroupLayout: (settings) => createLayout(withOffsets(settings)),
      createBindGroup: (settings) => this.#createBindGroup(settings) as object,
      createCommandEncoder: () => this.#createCommandEncoder(),
    });
    replace(queue, {
      writeBuffer: (buffer, offset, data) => {
        this.#write(buffer, offset, data);
      },
      submit: () => {
        if (this.#due) this.#flush();
      },
    });
  }

  #createBuffer(settings: GpuBufferSettings): GpuBuffer {
    const { size, usage, mappedAtCreation = false } = settings;
    const reusable = !mappedAtCreation && (usage & STORAGE) !== 0 && size <= MAX_REUSED_SIZE;
    if (reusable) return this.#takeBuffer(Math.ceil(size / PAGE) * PAGE);
    const buffer = this.#native.createBuffer(settings);
    if (usage & UNIFORM) this.#params.set(buffer, new Uint8Array(size));
    if (usage & MAP_READ) this.#readable.add(buffer);
    const destroy = buffer.destroy.bind(buffer);
    replace(buffer, {
      destroy: () => {
        this.#doom(destroy, size);
      },
    });
    return buffer;
  }

  #takeBuffer(size: number): GpuBuffer {
    const free = this.#free.get(size) ?? [];
    this.#free.set(size, free);
    const reused = free.pop();
    if (reused) {
      this.#freeBytes -= size;
      return reused;
    }
    const buffer = this.#native.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
    const destroy = buffer.destroy.bind(buffer);
    replace(buffer, {
      destroy: () => {
        if (free.includes(buffer)) return; // WebGPU allows destroying a buffer twice
        if (this.#freeBytes + size > MAX_FREE_BYTES) {
          this.#doom(destroy, size);
          return;
        }
        free.push(buffer);
        this.#freeBytes += size;
      },
    });
    return buffer;
  }

  #doom(destroy: () => void, size: number): void {
    this.#doomed.push(destroy);
    this.#doomedBytes += size;
    if (!this.#encoder) this.#destroyDoomed();
    else if (this.#doomedBytes > MAX_DOOMED_BYTES) this.#flush();
  }

  #createBindGroup({ layout, entries }: GpuBindGroupSettings): RecordedGroup {
    const objects = [layout, ...entries.map(({ resource }) => resource.buffer)];
    const key = objects.map((object) => this.#idOf(object)).join();
    const known = this.#groups.get(key);
    if (known) return known;
    const params = entries.find(({ resource }) => this.#params.has(resource.buffer))!.resource.buffer;
    const bound = entries.map((entry) =>
      entry.resource.buffer === params
        ? { ...entry, resource: { buffer: this.#sharedParams, size: params.size } }
        : entry,
    );
    const made = { group: this.#native.createBindGroup({ layout, entries: bound }), params };
    if (this.#groups.size >= MAX_GROUPS) this.#groups.clear();
    this.#groups.set(key, made);
    return made;
  }

  #idOf(object: object): number {
    const known = this.#ids.get(object);
    if (known !== undefined) return known;
    this.#lastId++;
    this.#ids.set(object, this.#lastId);
    return this.#lastId;
  }

  #createCommandEncoder(): GpuCommandEncoder {
    return {
      beginComputePass: () => this.#beginComputePass(),
      copyBufferToBuffer: (from, fromByte, to, toByte, bytes) => {
        this.#endPass();
        this.#openEncoder().copyBufferToBuffer(from, fromByte, to, toByte, bytes);
        if (this.#readable.has(to)) this.#due = true;
      },
      finish: () => ({}),
    };
  }

  #beginComputePass(): GpuComputePass {
    if (this.#recorded >= BATCH) this.#flush();
    this.#pass ??= this.#openEncoder().beginComputePass();
    const pass = this.#pass;
    this.#recorded++;
    return {
      setPipeline: (pipeline) => {
        pass.setPipeline(pipeline);
      },
      setBindGroup: (index, group) => {
        const { group: real, params } = group as unknown as RecordedGroup;
        pass.setBindGroup(index, real, [this.#addParams(this.#params.get(params)!)]);
      },
      dispatchWorkgroups: (x, y, z) => {
        pass.dispatchWorkgroups(x, y, z);
      },
      end: () => undefined,
    };
  }

  /** Adds a kernel's parameters to the shared buffer and returns their offset. */
  #addParams(params: Uint8Array): number {
    const offset = this.#sharedUsed;
    this.#sharedBytes.set(params, offset);
    this.#sharedUsed = Math.ceil((offset + params.length) / ALIGNMENT) * ALIGNMENT;
    return offset;
  }

  #write(buffer: GpuBuffer, offset: number, data: Parameters<GpuDevice['queue']['writeBuffer']>[2]): void {
    const params = this.#params.get(buffer);
    if (params) {
      params.set(new Uint8Array(data as ArrayBuffer), offset);
      return;
    }
    this.#flush(); // recorded commands may still need the old contents
    this.#native.writeBuffer(buffer, offset, data);
  }

  #openEncoder(): GpuCommandEncoder {
    this.#encoder ??= this.#native.createCommandEncoder();
    return this.#encoder;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = null;
  }

  /** Submits all recorded commands. */
  #flush(): void {
    this.#due = false;
    if (!this.#encoder) return;
    this.#endPass();
    if (this.#sharedUsed > 0)
      this.#native.writeBuffer(this.#sharedParams, 0, this.#sharedBytes.subarray(0, this.#sharedUsed));
    this.#native.submit([this.#encoder.finish()]);
    this.#encoder = null;
    this.#recorded = 0;
    this.#sharedUsed = 0;
    this.#destroyDoomed();
  }

  /** Destroys the buffers that no recorded command needs anymore. */
  #destroyDoomed(): void {
    for (const destroy of this.#doomed.splice(0)) destroy();
    this.#doomedBytes = 0;
  }
}

/** Gives the uniform buffers of a layout an offset that each call sets. */
function withOffsets({ entries }: GpuLayoutSettings): GpuLayoutSettings {
  return {
    entries: entries.map((entry) =>
      entry.buffer.type === 'uniform' ? { ...entry, buffer: { ...entry.buffer, hasDynamicOffset: true } } : entry,
    ),
  };
}

/** Replaces methods of an object. */
function replace<T extends object>(object: T, methods: Partial<T>): void {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
  }
}
