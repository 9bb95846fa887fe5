import assert from 'node:assert/strict';
import type { GpuBindGroupSettings, GpuBuffer, GpuBufferSettings, GpuDevice } from '../../../accel/gpu/gpujs.js';
import { recorderOf } from '../../../accel/gpu/recorder.js';

const [MAP_READ, COPY_DST, UNIFORM, STORAGE] = [0x1, 0x8, 0x40, 0x80];

/** A device that logs its calls, with a recorder attached. */
class FakeDevice {
  readonly log: string[] = [];
  readonly device: GpuDevice;
  #buffers = 0;

  constructor() {
    const { log } = this;
    const name = (buffer: GpuBuffer): string => (buffer as GpuBuffer & { name: string }).name;
    const say = (line: string): void => void log.push(line);
    this.device = {
      limits: { maxBufferSize: 2 ** 30, maxStorageBufferBindingSize: 2 ** 30 },
      onuncapturederror: null,
      createBuffer: ({ size }: GpuBufferSettings) => {
        const buffer = { name: `buffer${++this.#buffers}`, size, destroy: () => say(`destroy ${buffer.name}`) };
        say(`create ${buffer.name} ${size}`);
        return buffer as unknown as GpuBuffer;
      },
      createBindGroupLayout: (settings) => settings,
      createBindGroup: ({ entries }: GpuBindGroupSettings) => {
        const group = { name: `group ${entries.map(({ resource }) => name(resource.buffer)).join()}` };
        say(`create ${group.name}`);
        return group;
      },
      createCommandEncoder: () => {
        const commands: string[] = [];
        return {
          beginComputePass: () => ({
            setPipeline: () => undefined,
            setBindGroup: (_, group, offsets) =>
              void commands.push(`${(group as { name: string }).name} at ${String(offsets)}`),
            dispatchWorkgroups: () => undefined,
            end: () => void commands.push('end'),
          }),
          copyBufferToBuffer: (from, _fromByte, to) => void commands.push(`copy ${name(from)} to ${name(to)}`),
          finish: () => commands,
        };
      },
      queue: {
        writeBuffer: (buffer, offset, data) =>
          say(`write ${name(buffer)} at ${offset}: ${String(new Uint8Array(data as ArrayBuffer).filter(Boolean))}`),
        submit: (commands) => say(`submit ${(commands as string[][]).flat().join('; ')}`),
      },
    };
    recorderOf(this.device);
    recorderOf(this.device); // the second call must have no effect
    assert.deepEqual(this.taken(), ['create buffer1 32768']); // the buffer for all parameters
  }

  /** Returns and clears the log. */
  taken(): string[] {
    return this.log.splice(0);
  }

  buffer(size: number, usage: number = STORAGE): GpuBuffer {
    return this.device.createBuffer({ size, usage });
  }

  /** Runs a kernel the way GPU.js does. */
  run(params: GpuBuffer, value: number, ...buffers: GpuBuffer[]): void {
    this.device.queue.writeBuffer(params, 0, Uint8Array.of(value).buffer);
    const group = this.bind(this, params, ...buffers);
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline({});
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(1);
    pass.end();
    this.device.queue.submit([encoder.finish()]);
  }

  bind(layout: object, ...buffers: GpuBuffer[]): object {
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    return this.device.createBindGroup({ layout, entries });
  }

  copy(from: GpuBuffer, to: GpuBuffer): void {
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 0, to, 0, 4);
    this.device.queue.submit([encoder.finish()]);
  }
}

describe('the recorder of WebGPU', () => {
  let fake: FakeDevice;
  let params: GpuBuffer; // buffer2
  let [x, y]: GpuBuffer[] = []; // buffer3, buffer4
  let staging: GpuBuffer; // buffer5
  beforeEach(() => {
    fake = new FakeDevice();
    params = fake.buffer(48, UNIFORM | COPY_DST);
    [x, y] = [fake.buffer(100), fake.buffer(100)];
    staging = fake.buffer(100, MAP_READ | COPY_DST);
    fake.taken();
  });

  it('batches kernels and copies in order, each with its own parameters, and submits when the host reads', () => {
    fake.run(params, 7, x, y);
    fake.copy(y, x);
    fake.run(params, 8, x, y);
    assert.deepEqual(fake.taken(), ['create group buffer1,buffer3,buffer4']);
    fake.copy(y, staging);
    fake.run(params, 9, x, y);
    const group = 'group buffer1,buffer3,buffer4';
    assert.deepEqual(fake.taken(), [
      'write buffer1 at 0: 7,8',
      `submit ${group} at 0; end; copy buffer4 to buffer3; ${group} at 256; end; copy buffer4 to buffer5`,
    ]);
  });

  it('reuses a bind group only for the same buffers, parameters and layout', () => {
    fake.run(params, 1, x, y);
    fake.run(params, 2, x, y);
    fake.run(params, 2, y, x);
    fake.run(fake.buffer(48, UNIFORM), 2, y, x);
    fake.bind({}, params, y, x);
    const created = fake.taken().filter((line) => line.startsWith('create group'));
    assert.deepEqual(created, [
      'create group buffer1,buffer3,buffer4',
      'create group buffer1,buffer4,buffer3',
      'create group buffer1,buffer4,buffer3',
      'create group buffer1,buffer4,buffer3',
    ]);
  });

  it('gives the uniform buffers of a layout a dynamic offset', () => {
    const layout = fake.device.createBindGroupLayout({
      entries: [{ buffer: { type: 'uniform' } }, { buffer: { type: 'storage' } }],
    });
    assert.deepEqual(layout, {
      entries: [{ buffer: { type: 'uniform', hasDynamicOffset: true } }, { buffer: { type: 'storage' } }],
    });
  });

  it('submits every 64 kernels so that the device can start', () => {
    for (let i = 0; i < 130; i++) fake.run(params, 1, x, y);
    const submitted = fake.taken().filter((line) => line.startsWith('submit'));
    assert.deepEqual(
      submitted.map((line) => line.split('group').length - 1),
      [64, 64],
    );
    assert.ok(submitted.every((line) => line.includes('at 0;') && line.includes('at 16128;')));
  });

  it('submits recorded work before a host write', () => {
    fake.run(params, 3, x, y);
    fake.taken();
    fake.device.queue.writeBuffer(x, 4, Uint8Array.of(9));
    assert.deepEqual(fake.taken(), [
      'write buffer1 at 0: 3',
      'submit group buffer1,buffer3,buffer4 at 0; end',
      'write buffer3 at 4: 9',
    ]);
  });

  it('reuses the most recently freed buffer with the same number of pages', () => {
    for (const buffer of [x, y]) buffer.destroy();
    const large = fake.buffer(5000);
    assert.deepEqual(fake.taken(), ['create buffer6 8192']);
    assert.deepEqual([fake.buffer(7), fake.buffer(4096)], [y, x]);
    large.destroy();
    assert.equal(fake.buffer(4097), large);
    assert.deepEqual(fake.taken(), []);
  });

  it('destroys large buffers, and small ones beyond 64 MB, once no recorded work needs them', () => {
    const large = fake.buffer(2 ** 23);
    fake.run(params, 1, x, large);
    fake.taken();
    large.destroy();
    assert.deepEqual(fake.taken(), []);
    fake.copy(y, staging);
    assert.equal(fake.taken().at(-1), 'destroy buffer6');
    staging.destroy();
    assert.deepEqual(fake.taken(), ['destroy buffer5']);

    const waiting = Array.from({ length: 9 }, () => fake.buffer(2 ** 23));
    fake.run(params, 1, x, y);
    fake.taken();
    for (const buffer of waiting) buffer.destroy();
    assert.equal(
      fake.taken().filter((line) => line.startsWith('destroy')).length,
      9,
      'more than 64 MB is destroyed at once',
    );

    const many = Array.from({ length: 17 }, () => fake.buffer(2 ** 22));
    fake.taken();
    for (const buffer of many) buffer.destroy();
    assert.deepEqual(fake.taken(), ['destroy buffer32']);
    many[0].destroy();
    assert.notEqual(fake.buffer(2 ** 22), fake.buffer(2 ** 22), 'destroyed twice, handed out once');
    for (let i = 0; i < 20; i++) fake.buffer(2 ** 22).destroy();
    assert.deepEqual(fake.taken(), []);
  });
});
