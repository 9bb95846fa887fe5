import assert from 'node:assert/strict';
import { DeviceError } from '../../accel/errors.js';
import { defaultThreads } from '../../accel/simd/defaultThreads.js';
import { Engine } from '../../accel/simd/engine.js';
import { KvCache } from '../../accel/simd/kvCache.js';
import { forward } from '../../accel/simd/model.js';
import { uploadModel } from '../../accel/simd/upload.js';
import { InputError } from '../../reference/lib/errors.js';
import { openBackend, openSession, resolveBackend } from '../../src/backend.js';
import { tinyModel } from '../support/arbitraries.js';
import { onEveryBackend } from '../support/devices.js';
import { gpuTests, model, sessionTests, takesMoreThanItsCacheBeganWith } from './sessions.js';

describe('the reference as a backend', () => {
  sessionTests('reference', true);
});

describe('SIMD as a backend', () => {
  for (const threads of [1, 2, 3]) {
    describe(`on ${threads} of its threads`, () => {
      sessionTests(`simd:${threads}`, false);
    });
  }

  it('takes all cores, or what a CPU quota allows, unless told', async () => {
    const backend = await openBackend(model, 'simd');
    assert.equal(backend.name, 'simd');
    assert.match(backend.adapter, new RegExp(`^WebAssembly (relaxed )?SIMD, ${defaultThreads()} threads?$`));
    await backend.dispose();
  });

  it('leaves nothing in its memory: 200 sessions in a row', async () => {
    const engine = await Engine.open({ threads: 5 }); // more than cores: some wake late
    const uploaded = uploadModel(model, engine);
    let after = 0;
    for (let n = 0; n < 200; n++) {
      const cache = new KvCache(engine.memory, model.config);
      await forward([1, 2, 3], uploaded, cache, 'last');
      await forward([4], uploaded, cache, 'all');
      cache.dispose();
      if (n === 0) after = engine.memory.used;
      assert.equal(engine.memory.used, after);
    }
    await engine.dispose();
    assert.equal(engine.memory.used, 0);
  });

  it('shares the pages of a fork, copies only those that are written, and leaves none after 200 forks', async () => {
    const engine = await Engine.open({ threads: 1 });
    const { memory } = engine;
    const long = tinyModel({ blockSize: 300 });
    const { nLayer: L, dModel: C } = long.config;
    const page = 2 * L * 4 * 64 * C;
    const uploaded = uploadModel(long, engine);
    const cache = new KvCache(memory, long.config);
    await forward(Array<number>(150).fill(1), uploaded, cache, 'last'); // two whole pages and a part of one
    const tables = 4 * 2 * L * 16;
    const first = cache.fork();
    await forward([4], uploaded, first, 'last'); // grows the engine's own buffers
    first.dispose();
    const before = memory.used;
    for (let n = 0; n < 200; n++) {
      const forks = [cache.fork(), cache.fork()];
      assert.equal(memory.used, before + 2 * tables);
      await forward([4], uploaded, forks[0], 'last');
      assert.equal(memory.used, before + 2 * tables + page);
      forks.push(forks[0].fork());
      for (const i of n % 2 === 0 ? [0, 1, 2] : [2, 1, 0]) forks[i].dispose();
      assert.equal(memory.used, before);
    }
    const last = cache.fork();
    cache.dispose();
    await forward([4], uploaded, last, 'last'); // the only holder writes in place
    assert.equal(memory.used, before);
    last.dispose();
    await engine.dispose();
    assert.equal(memory.used, 0);
  });

  it('takes more tokens than its cache began with', () => takesMoreThanItsCacheBeganWith('simd'));
});

// The others may be software GPUs: backend.slow.test.ts runs them.
onEveryBackend('GPU.js as a backend', gpuTests, ['webasm']);

describe('backends', () => {
  it('that do not exist are refused with the names of those that do', async () => {
    await assert.rejects(
      openSession(model, 'toaster'),
      /unknown backend 'toaster'; choose one of: auto, simd, reference, gpu/,
    );
    await assert.rejects(openSession(model, 'constructor'), InputError);
  });

  it('of a GPU: the best that works is taken, and it is said why', async () => {
    const notes: string[] = [];
    const name = await resolveBackend('gpu', (line) => notes.push(line));
    assert.match(name, /^gpu:(webgpu|webasm)$/);
    assert.equal(notes.length, 1);
    assert.match(notes[0], new RegExp(`^gpu: taking ${name} \\(.+\\)`));
    if (name === 'gpu:webasm') assert.match(notes[0], /webgpu: .+; webgl2: .+/);
    assert.equal(await resolveBackend('reference'), 'reference');
  });

  it('auto: here where there is no GPU, simd, and it is said why', async () => {
    const notes: string[] = [];
    const name = await resolveBackend('auto', (line) => notes.push(line));
    if (name.startsWith('gpu:')) assert.match(notes[0], /^auto: taking gpu:(webgpu|webgl2) \(.+\)/);
    else assert.match(notes[0], /^auto: taking simd; (no GPU found|webgpu: .+; webgl2: .+)$/);
    assert.equal(notes.length, 1);
  });

  it('of a session of its own end with the last of its forks', async () => {
    const session = await openSession(model, 'simd:2');
    await session.forward([3, 1]);
    const fork = await session.fork();
    const expected = await session.forward([4]);
    await session.dispose();
    await session.dispose();
    assert.deepEqual(await fork.forward([4]), expected);
    await fork.dispose();
    await assert.rejects(fork.forward([4]), /disposed/);
  });

  it('that are not there fail with a clear line', async () => {
    await assert.rejects(openSession(model, 'gpu:webgl2'), (error: Error) => {
      assert.ok(error instanceof DeviceError);
      assert.match(error.message, /^webgl2: no WebGL 2 found/);
      return true;
    });
  });
});
