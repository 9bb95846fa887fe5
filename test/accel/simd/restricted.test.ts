import assert from 'node:assert/strict';
import { Engine } from '../../../accel/simd/engine.js';
import { skip } from '../../support/setup.js';
import { runAlone } from './child.js';

/** A worker as in a page whose Content-Security-Policy forbids blob workers: the error comes later. */
class ForbiddenWorker {
  onerror: ((event: object) => void) | null = null;
  constructor() {
    setTimeout(() => this.onerror?.({ type: 'error' }), 5);
  }
  postMessage(): void {
    // never read
  }
  terminate(): void {
    // never ran
  }
}

/** A worker as in Deno, or in a browser that checks the policy at once. */
function ThrowingWorker(): never {
  throw new TypeError('Classic workers are not supported.');
}

/** A worker whose program fails. */
class FailingWorker extends ForbiddenWorker {
  override postMessage(): void {
    queueMicrotask(() => this.onerror?.({ message: 'CompileError: forbidden' }));
  }
}

describe('SIMD where a page or a runtime forbids things', () => {
  const scope = globalThis as { Worker?: unknown };
  const original = scope.Worker;
  afterEach(() => {
    if (original === undefined) delete scope.Worker;
    else scope.Worker = original;
  });

  for (const { title, Worker, reason } of [
    { title: 'a worker that throws', Worker: ThrowingWorker, reason: 'Classic workers are not supported.' },
    {
      title: 'a worker that fails without a message',
      Worker: ForbiddenWorker,
      reason: 'a Content-Security-Policy may forbid them',
    },
    { title: 'a worker that fails with a message', Worker: FailingWorker, reason: 'CompileError: forbidden' },
  ]) {
    it(`computes on the caller's thread instead of ${title}`, async () => {
      scope.Worker = Worker;
      const engine = await Engine.open({ threads: 3, relaxed: false });
      assert.equal(engine.threads, 1);
      assert.equal(engine.adapter, `WebAssembly SIMD, 1 thread (workers cannot start: ${reason})`);
      const [a, y] = [engine.place('a', 4000), engine.place('y', 4000)];
      engine.memory.floats(a, 1000).fill(1);
      await engine.run([{ op: 'add', args: [a, a, y, 1000] }]);
      assert.deepEqual([...engine.memory.floats(y, 1000)], new Array(1000).fill(2));
      await engine.dispose();
      assert.equal(engine.memory.used, 0);
    });
  }

  it('is passed over by auto, which says why, if WebAssembly must not be compiled', function () {
    const { status, stdout, stderr } = runAlone(`
      const { resolveBackend } = await open('src/backend.ts');
      const { load } = await open('src/index.ts');
      WebAssembly.compile = () => Promise.reject(new WebAssembly.CompileError('Wasm code generation disallowed'));
      delete process.env.VK_ICD_FILENAMES; // names a software GPU for other tests
      const name = await resolveBackend('auto', (line) => console.log(line));
      const model = await load(undefined, { backend: name, dtype: 'int8' });
      for await (const piece of model.generate('Question: What is', { maxNewTokens: 1 })) console.log('a piece');
      await model.openSession('simd').catch((error) => console.log(error.name, error.message));
    `);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const why = 'simd: WebAssembly SIMD cannot be compiled here: Wasm code generation disallowed';
    const lines = stdout.split('\n');
    if (lines[0].startsWith('auto: taking gpu:')) skip(this, 'this machine has a GPU, which auto takes first');
    assert.ok(lines[0].startsWith(`auto: taking reference; ${why}; `), lines[0]);
    assert.deepEqual(lines.slice(1), ['a piece', `DeviceError ${why}`, '']);
  });

  it('is passed over by auto, which says why, if there is no WebAssembly', function () {
    const { status, stdout, stderr } = runAlone(`
      const { resolveBackend } = await open('src/backend.ts');
      delete globalThis.WebAssembly;
      delete process.env.VK_ICD_FILENAMES;
      await resolveBackend('auto', (line) => console.log(line));
    `);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    if (stdout.startsWith('auto: taking gpu:')) skip(this, 'this machine has a GPU, which auto takes first');
    assert.match(stdout, /^auto: taking reference; simd: WebAssembly SIMD is not supported here; /);
  });
});
