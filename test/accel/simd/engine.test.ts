import assert from 'node:assert/strict';
import { Engine } from '../../../accel/simd/engine.js';
import { SimdMemory } from '../../../accel/simd/memory.js';
import type { PlannedOp } from '../../../accel/simd/plan.js';
import { DeviceError } from '../../../accel/errors.js';
import { runAlone } from './child.js';

/** Plans y = a + b over `size` ones. */
function addition(engine: Engine, size: number): PlannedOp {
  const [a, b, y] = ['a', 'b', 'y'].map((name) => engine.place(name, 4 * size));
  for (const address of [a, b]) engine.memory.floats(address, size).fill(1);
  return { op: 'add', args: [a, b, y, size] };
}

describe('the engine of SIMD', () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await Engine.open({ threads: 2 });
  });
  afterEach(() => engine.dispose());

  it('sleeps while it is idle', async () => {
    await engine.run([addition(engine, 100)]);
    const before = process.cpuUsage();
    const begun = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 400));
    const { user, system } = process.cpuUsage(before);
    const share = (user + system) / 1000 / (performance.now() - begun);
    assert.ok(share < 0.3, `it used ${share} of a core`); // a spinning thread uses a whole core
  });

  it('rejects this and every later run when a thread dies, without hanging', async () => {
    const alone = await Engine.open({ threads: 1 });
    const bad: PlannedOp = { op: 'add', args: [0, 0, 2 ** 32 - 64, 4096] }; // past the end of memory
    const dies = (error: Error): boolean => {
      assert.ok(error instanceof DeviceError);
      assert.match(error.message, /^simd: a thread died: memory access out of bounds; open the model again$/);
      return true;
    };
    for (const it of [engine, alone]) {
      await assert.rejects(it.run([bad]), dies);
      await assert.rejects(it.run([addition(it, 100)]), dies);
    }
    await alone.dispose();
  });

  it('rejects a running plan when it is disposed of', async () => {
    const long = Array.from({ length: 200 }, () => addition(engine, 1e6));
    const running = engine.run(long);
    const refused = assert.rejects(running, /the threads have been stopped/);
    await engine.dispose();
    await refused;
    await assert.rejects(engine.run(long), /the threads have been stopped/);
    await engine.dispose();
  });

  it('does not keep the Node process alive', () => {
    const result = runAlone(`
      const { Engine } = await open('accel/simd/engine.ts');
      await Engine.open({ threads: 2 });
      console.log('opened');
    `);
    assert.deepEqual(result, { status: 0, stdout: 'opened\n', stderr: '' });
  });

  it('computes on one thread in memory that is not shared', async () => {
    const alone = await Engine.open({ memory: new SimdMemory(false), threads: 4 });
    assert.equal(alone.threads, 1);
    const op = addition(alone, 1000);
    await alone.run([op]);
    assert.deepEqual([...alone.memory.floats(op.args[2], 1000)], new Array(1000).fill(2));
    await alone.dispose();
  });

  it('reports when it cannot reserve memory', () => {
    assert.throws(
      () => engine.place('too much', 2 ** 33),
      /^DeviceError: simd: cannot grow WebAssembly memory to \d+ bytes/,
    );
  });
});
