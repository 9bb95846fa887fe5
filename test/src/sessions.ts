import assert from 'node:assert/strict';
import type { GpuBackend } from '../../accel/gpu/device.js';
import { KvCache } from '../../accel/gpu/kvCache.js';
import { forward as deviceForward } from '../../accel/gpu/model.js';
import { uploadModel } from '../../accel/gpu/upload.js';
import { forward } from '../../reference/index.js';
import { InputError } from '../../reference/lib/errors.js';
import { rows, tensor, type Tensor } from '../../reference/lib/tensor.js';
import type { Trace } from '../../reference/lib/trace.js';
import type { Model } from '../../reference/lib/weights.js';
import { openBackend, openSession, type Backend, type Session } from '../../src/backend.js';
import { tinyModel } from '../support/arbitraries.js';
import { assertClose, assertSame, largest } from '../support/assertions.js';
import { useDevice } from '../support/devices.js';
import { batchTests } from './batches.js';

export const model: Model = tinyModel();
const { blockSize } = model.config;

/** What every session promises, whatever computes. The reference keeps it bit for bit. */
export function sessionTests(name: string, bitIdentical: boolean): void {
  let backend: Backend;
  let session: Session;
  before(async () => {
    backend = await openBackend(model, name);
  });
  after(() => backend.dispose());
  beforeEach(() => {
    session = backend.openSession();
  });
  afterEach(() => session.dispose());

  function same(actual: Tensor, expected: Tensor): void {
    if (bitIdentical) assertSame(actual, expected);
    assert.deepEqual(actual.shape, expected.shape);
    assertClose(actual.data, expected.data, 1e-5 * largest(expected.data));
  }
  const ids = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3];

  it('is called what was asked for', () => {
    assert.equal(backend.name, name);
    assert.ok(backend.adapter.length > 0);
  });

  it('gives token by token and in chunks what it gives at once', async () => {
    const whole = forward(ids, model);
    for (const size of [1, 3, 5, blockSize]) {
      session.reset();
      for (let start = 0; start < ids.length; start += size) {
        const end = Math.min(start + size, ids.length);
        same(await session.forward(ids.slice(start, end), { logits: 'all' }), rows(whole, start, end));
        assert.equal(session.length, end);
      }
    }
  });

  it('traces attention weights, or refuses and holds what it held', async () => {
    await session.forward([3, 1]);
    const shapes: string[] = [];
    const trace = (key: string, { shape }: Tensor) => {
      if (key.endsWith('.attn_weights')) shapes.push(String(shape));
    };
    const traced = session.forward([4], { trace, attnWeights: true });
    if (session.tracesAttnWeights) {
      await traced;
      assert.deepEqual(shapes, new Array<string>(model.config.nLayer).fill(`${model.config.nHead},1,3`));
    } else {
      await assert.rejects(traced, /only the backend reference can trace attention weights/);
      assert.equal(session.length, 2);
    }
  });

  it('goes on with a replaced activation, or refuses it and holds what it held', async () => {
    await session.forward([3, 1]);
    const zeroed: Trace = (key, { shape }) => (key === 'final_norm' ? tensor(shape) : undefined);
    const replaced = session.forward([4], { trace: zeroed });
    if (name === 'reference') {
      same(await replaced, forward([3, 1, 4], model, { logits: 'last', trace: zeroed }));
    } else {
      await assert.rejects(replaced, /only the backend reference can replace activations, here final_norm/);
      assert.equal(session.length, 2);
    }
  });

  it('takes memory by use: block_size may be a billion, and caches and tables grow', async () => {
    const long = tinyModel({ blockSize: 1e9, nLayer: 1 });
    const text = Array.from({ length: 1100 }, (_, i) => (i * 7) % long.config.vocabSize); // tables begin with 1024
    const opened = await openBackend(long, name);
    const own = opened.openSession();
    try {
      for (let start = 0; start < 1099; start += own.chunk)
        await own.forward(text.slice(start, Math.min(start + own.chunk, 1099)));
      same(await own.forward(text.slice(1099)), forward(text, long, { logits: 'last' }));
    } finally {
      await own.dispose();
      await opened.dispose();
    }
  });

  it('gives the logits of the last position, or of all', async () => {
    const whole = forward(ids, model);
    same(await session.forward(ids.slice(0, 5)), rows(whole, 4, 5));
    session.reset();
    assert.equal(session.length, 0);
    same(await session.forward(ids.slice(0, 5), { logits: 'all' }), rows(whole, 0, 5));
  });

  it('forgets what it held when it is reset', async () => {
    await session.forward(ids);
    session.reset();
    same(await session.forward([7, 7]), rows(forward([7, 7], model), 1, 2));
  });

  it('forgets the tokens after a length, and is then as if it had never had them', async () => {
    await session.forward(ids.slice(0, 9));
    for (const length of [9, 6, 1, 0]) {
      session.truncate(length);
      assert.equal(session.length, length);
      const other = [...ids.slice(0, length), 7, 2, 8, 30, 11, 12];
      same(
        await session.forward(other.slice(length), { logits: 'all' }),
        rows(forward(other, model), length, length + 6),
      );
      session.reset();
      await session.forward(ids.slice(0, 9));
    }
    for (const length of [-1, 10, 1.5, NaN, '3' as never]) {
      assert.throws(
        () => session.truncate(length),
        /^InputError: truncate: length must be an integer from 0 to 9, got /,
      );
    }
    assert.equal(session.length, 9);
  });

  it('truncates a fork and leaves the session alone, and the reverse', async () => {
    await session.forward(ids.slice(0, 8));
    const fork = await session.fork();
    fork.truncate(3);
    const ofFork = [...ids.slice(0, 3), 20, 21, 22];
    same(await fork.forward([20, 21, 22], { logits: 'all' }), rows(forward(ofFork, model), 3, 6));
    same(await session.forward(ids.slice(8, 9)), rows(forward(ids.slice(0, 9), model), 8, 9));
    session.truncate(5);
    const ofSession = [...ids.slice(0, 5), 30, 31];
    same(await session.forward([30, 31], { logits: 'all' }), rows(forward(ofSession, model), 5, 7));
    same(await fork.forward([23]), rows(forward([...ofFork, 23], model), 6, 7));
    await fork.dispose();
  });

  it('refuses truncate() while forward() runs', async () => {
    const running = session.forward(ids.slice(0, 4));
    assert.throws(() => session.truncate(0), /^InputError: truncate\(\) cannot run during forward\(\)/);
    same(await running, rows(forward(ids.slice(0, 4), model), 3, 4));
  });

  it('holds what it held when a call is refused', async () => {
    await session.forward(ids.slice(0, 2));
    await assert.rejects(session.forward([3, 99]), /token id 99 at position 1 is outside the vocabulary of 40/);
    await assert.rejects(session.forward([]), /at least one token/);
    await assert.rejects(session.forward(ids.slice(1)), /17 tokens exceed the model's block_size of 16/);
    assert.equal(session.length, 2);
    same(await session.forward(ids.slice(2, 3)), rows(forward(ids.slice(0, 3), model), 2, 3));
  });

  it('shares a model with other sessions and nothing else, also when they run at the same time', async () => {
    const others = [backend.openSession(), backend.openSession()];
    const [a, b] = await Promise.all(others.map((it, i) => it.forward(ids.slice(0, 3 + i))));
    same(a, rows(forward(ids.slice(0, 3), model), 2, 3));
    same(b, rows(forward(ids.slice(0, 4), model), 3, 4));
    assert.equal(session.length, 0);
    for (const it of others) await it.dispose();
  });

  it('runs calls in their order', async () => {
    const calls = [ids.slice(0, 3), ids.slice(3, 4), ids.slice(4, 9)].map((part) => session.forward(part));
    const ends = [3, 4, 9];
    for (const [i, logits] of (await Promise.all(calls)).entries()) {
      same(logits, rows(forward(ids.slice(0, ends[i]), model), ends[i] - 1, ends[i]));
    }
  });

  it('refuses reset() while forward() runs or waits, and forward() is not affected', async () => {
    const refusal = { name: 'InputError', message: /^reset\(\) cannot run during forward\(\)/ };
    await session.forward(ids.slice(0, 2));
    let refused = 0;
    function trace(): void {
      assert.throws(() => session.reset(), refusal);
      refused++;
    }
    const running = session.forward(ids.slice(2, 4), { trace });
    const waiting = session.forward(ids.slice(4, 5), { trace });
    assert.throws(() => session.reset(), refusal);
    same(await running, rows(forward(ids.slice(0, 4), model), 3, 4));
    assert.ok(refused > 10);
    same(await waiting, rows(forward(ids.slice(0, 5), model), 4, 5));
    session.reset();
    assert.equal(session.length, 0);
  });

  it('can be reset after a forward() that failed', async () => {
    await session.forward(ids.slice(0, 2));
    await assert.rejects(session.forward([99]), InputError);
    session.reset();
    same(await session.forward([7, 7]), rows(forward([7, 7], model), 1, 2));
  });

  it('disposes after the calls before it, and refuses those after it', async () => {
    const running = session.forward(ids.slice(0, 4));
    const disposed = session.dispose();
    await assert.rejects(session.forward([1]), /disposed/);
    same(await running, rows(forward(ids.slice(0, 4), model), 3, 4));
    await disposed;
    await assert.rejects(session.forward([1]), /disposed/);
    await session.dispose();
  });

  batchTests(name, bitIdentical);
}

/** As many tokens as take several passes and have every backend's cache grow. */
export async function takesMoreThanItsCacheBeganWith(backend: string): Promise<void> {
  const large = tinyModel({ blockSize: 300 });
  const long = Array.from({ length: 300 }, (_, t) => (t * 37) % large.config.vocabSize);
  const expected = forward(long, large);
  function close(actual: Tensor, start: number): void {
    const part = rows(expected, start, long.length);
    assert.deepEqual(actual.shape, part.shape);
    assertClose(actual.data, part.data, 1e-4 * largest(part.data));
  }
  const session = await openSession(large, backend);
  await session.forward(long.slice(0, 3));
  close(await session.forward(long.slice(3)), long.length - 1);
  session.reset();
  await session.forward(long.slice(0, 3));
  close(await session.forward(long.slice(3), { logits: 'all' }), 3);
  await session.dispose();
}

/** GPU.js as a backend: its sessions, and that nothing is left on the device. */
export function gpuTests(backend: GpuBackend): void {
  sessionTests(`gpu:${backend}`, false);
  const device = useDevice(backend);

  it('leaves nothing on the device: 200 sessions in a row', async () => {
    const uploaded = await uploadModel(model, device());
    const weights = device().live;
    for (let n = 0; n < 200; n++) {
      const cache = new KvCache(device(), model.config);
      await deviceForward([1, 2, 3], uploaded, cache, 'last');
      assert.equal(device().live, weights + 2 * model.config.nLayer); // keys and values
      await deviceForward([4], uploaded, cache, 'all');
      const fork = n % 10 === 0 ? await cache.fork() : null;
      if (fork) assert.equal(device().live, weights + 4 * model.config.nLayer);
      cache.dispose();
      fork?.dispose();
      assert.equal(device().live, weights);
    }
  });

  it('takes more tokens than its cache began with', () => takesMoreThanItsCacheBeganWith(`gpu:${backend}`));
}
