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

/** Kernels after which what was recorded is submitted, so that the device can begin while more is recorded. */
const BATCH = 64;
/** Where parameters of a kernel may begin in the buffer of all of them, on any device. */
const ALIGNMENT = 256;
/** Room for the parameters of a batch; of no kernel are they more than 512 bytes. */
const ARENA = 2 * BATCH * ALIGNMENT;
/** Buffers up to this size are kept for reuse, up to this many bytes in all, in sizes of whole pages. */
const LARGEST_KEPT = 2 ** 22;
const MOST_KEPT = 2 ** 26;
const PAGE = 2 ** 12;
/** Bytes of ended buffers that may wait for what is recorded. */
const MOST_WAITING = 2 ** 26;
/** Bind groups remembered: those of a token and of a prompt, many times over. */
const MOST_GROUPS = 2 ** 13;

/** What GPU.js gets for a bind group: the real one, and the buffer that it believes its parameters to be in. */
interface RecordedGroup {
  group: object;
  params: GpuBuffer;
}

const recorders = new WeakMap<GpuDevice, Recorder>();

/**
 * Has a device record what GPU.js asks of it. For every call of a kernel GPU.js makes a buffer and a bind group, writes
 * parameters and submits: five calls of the driver that each take longer than a small kernel does. A recorded device hands
 * out buffers again that were given back, so that the next token gets those of the token before, and with them its bind
 * groups; it gathers parameters in one buffer, and submits many kernels at once.
 *
 * The device must be GPU.js's alone.
 */
export function recorderOf(device: GpuDevice): Recorder {
  const known = recorders.get(device);
  if (known) return known;
  const recorder = new Recorder(device);
  recorders.set(device, recorder);
  return recorder;
}

/** Takes the place of some of a device's methods. Commands stay in order; what the host writes waits for those before. */
export class Recorder {
  /** What the driver found fault with, of whatever was submitted together. */
  readonly faults: string[] = [];
  readonly #native: Pick<GpuDevice, 'createBuffer' | 'createBindGroup' | 'createCommandEncoder'> & GpuDevice['queue'];
  #encoder: GpuCommandEncoder | null = null;
  #pass: GpuComputePass | null = null;
  #recorded = 0;
  /** Somebody waits for what is recorded. */
  #due = false;
  readonly #arena: GpuBuffer;
  readonly #arenaBytes = new Uint8Array(ARENA);
  #arenaUsed = 0;
  /** What GPU.js last wrote into each of its buffers of parameters. */
  readonly #params = new WeakMap<GpuBuffer, Uint8Array>();
  readonly #groups = new Map<string, RecordedGroup>();
  readonly #ids = new WeakMap<object, number>();
  #lastId = 0;
  readonly #readable = new WeakSet<GpuBuffer>();
  /** Buffers that nobody uses, by size; a buffer that was given back last is taken first. */
  readonly #kept = new Map<number, GpuBuffer[]>();
  #keptBytes = 0;
  /** Ends buffers that recorded commands may still use. */
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
    this.#arena = this.#native.createBuffer({ size: ARENA, usage: UNIFORM | COPY_DST });
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
    const keep = !mappedAtCreation && (usage & STORAGE) !== 0 && size <= LARGEST_KEPT;
    if (keep) return this.#takeKept(Math.ceil(size / PAGE) * PAGE);
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

  #takeKept(size: number): GpuBuffer {
    const others = this.#kept.get(size) ?? [];
    this.#kept.set(size, others);
    const kept = others.pop();
    if (kept) {
      this.#keptBytes -= size;
      return kept;
    }
    const buffer = this.#native.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
    const destroy = buffer.destroy.bind(buffer);
    replace(buffer, {
      destroy: () => {
        if (others.includes(buffer)) return; // as a buffer that is destroyed twice
        if (this.#keptBytes + size > MOST_KEPT) {
          this.#doom(destroy, size);
          return;
        }
        others.push(buffer);
        this.#keptBytes += size;
      },
    });
    return buffer;
  }

  #doom(destroy: () => void, size: number): void {
    this.#doomed.push(destroy);
    this.#doomedBytes += size;
    if (!this.#encoder) this.#end();
    else if (this.#doomedBytes > MOST_WAITING) this.#flush();
  }

  #createBindGroup({ layout, entries }: GpuBindGroupSettings): RecordedGroup {
    const key = [layout, ...entries.map(({ resource }) => resource.buffer)].map((it) => this.#idOf(it)).join();
    const known = this.#groups.get(key);
    if (known) return known;
    const params = entries.find(({ resource }) => this.#params.has(resource.buffer))!.resource.buffer;
    const bound = entries.map((entry) =>
      entry.resource.buffer === params ? { ...entry, resource: { buffer: this.#arena, size: params.size } } : entry,
    );
    const made = { group: this.#native.createBindGroup({ layout, entries: bound }), params };
    if (this.#groups.size >= MOST_GROUPS) this.#groups.clear();
    this.#groups.set(key, made);
    return made;
  }

  #idOf(object: object): number {
    const known = this.#ids.get(object);
    if (known !== undefined) return known;
    this.#ids.set(object, ++this.#lastId);
    return this.#lastId;
  }

  #createCommandEncoder(): GpuCommandEncoder {
    return {
      beginComputePass: () => this.#beginComputePass(),
      copyBufferToBuffer: (from, fromByte, to, toByte, bytes) => {
        this.#endPass();
        this.#open().copyBufferToBuffer(from, fromByte, to, toByte, bytes);
        if (this.#readable.has(to)) this.#due = true;
      },
      finish: () => ({}),
    };
  }

  #beginComputePass(): GpuComputePass {
    if (this.#recorded >= BATCH) this.#flush();
    const pass = (this.#pass ??= this.#open().beginComputePass());
    this.#recorded++;
    return {
      setPipeline: (pipeline) => {
        pass.setPipeline(pipeline);
      },
      setBindGroup: (index, group) => {
        const { group: real, params } = group as unknown as RecordedGroup;
        pass.setBindGroup(index, real, [this.#place(this.#params.get(params)!)]);
      },
      dispatchWorkgroups: (x, y, z) => {
        pass.dispatchWorkgroups(x, y, z);
      },
      end: () => undefined,
    };
  }

  /** Puts parameters into the buffer of all of them. @returns the byte where they begin */
  #place(params: Uint8Array): number {
    const at = this.#arenaUsed;
    this.#arenaBytes.set(params, at);
    this.#arenaUsed = Math.ceil((at + params.length) / ALIGNMENT) * ALIGNMENT;
    return at;
  }

  #write(buffer: GpuBuffer, offset: number, data: Parameters<GpuDevice['queue']['writeBuffer']>[2]): void {
    const params = this.#params.get(buffer);
    if (params) {
      params.set(new Uint8Array(data as ArrayBuffer), offset);
      return;
    }
    this.#flush(); // commands before this one may still need what is in the buffer
    this.#native.writeBuffer(buffer, offset, data);
  }

  #open(): GpuCommandEncoder {
    return (this.#encoder ??= this.#native.createCommandEncoder());
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = null;
  }

  /** Submits what is recorded. */
  #flush(): void {
    this.#due = false;
    if (!this.#encoder) return;
    this.#endPass();
    if (this.#arenaUsed > 0) this.#native.writeBuffer(this.#arena, 0, this.#arenaBytes.subarray(0, this.#arenaUsed));
    this.#native.submit([this.#encoder.finish()]);
    [this.#encoder, this.#recorded, this.#arenaUsed] = [null, 0, 0];
    this.#end();
  }

  /** Ends the buffers that nobody needs any more. */
  #end(): void {
    for (const destroy of this.#doomed.splice(0)) destroy();
    this.#doomedBytes = 0;
  }
}

/** Uniform buffers of a layout begin where each call says. */
function withOffsets({ entries }: GpuLayoutSettings): GpuLayoutSettings {
  return {
    entries: entries.map((entry) =>
      entry.buffer.type === 'uniform' ? { ...entry, buffer: { ...entry.buffer, hasDynamicOffset: true } } : entry,
    ),
  };
}

/** Puts functions in the place of an object's methods. */
function replace<T extends object>(object: T, methods: Partial<T>): void {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
  }
}
