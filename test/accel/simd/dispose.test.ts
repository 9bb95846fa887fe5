import assert from 'node:assert/strict';
import { runAlone } from './child.js';

const ADDITIONS = `
const { Engine } = await open('accel/simd/engine.ts');
function additions(engine, count) {
  const y = engine.place('y', 4e6);
  return Array.from({ length: count }, () => ({ op: 'add', args: [y, y, y, 1e6] }));
}`;

describe('dispose() in a process with nothing else open', () => {
  it('of a model resolves during a generation, which rejects with DeviceError', () => {
    const result = runAlone(`
      const { load } = await open('src/index.ts');
      const model = await load(undefined, { backend: 'simd:2' });
      async function generate() {
        for await (const piece of model.generate('Question: What is', { ignoreEos: true, maxNewTokens: 1e6 }));
      }
      await model.openSession(); // opens the backend
      const failure = generate().then(() => 'no error', (error) => error.name);
      await new Promise((resolve) => setTimeout(resolve, 5));
      await model.dispose();
      console.log('disposed', await failure);
    `);
    assert.deepEqual(result, { status: 0, stdout: 'disposed DeviceError\n', stderr: '' });
  });

  it('of an engine resolves during a plan', () => {
    const result = runAlone(`
      ${ADDITIONS}
      const engine = await Engine.open({ threads: 2 });
      const failure = engine.run(additions(engine, 1000)).then(() => 'no error', (error) => error.name);
      await engine.dispose();
      console.log('disposed', await failure);
    `);
    assert.deepEqual(result, { status: 0, stdout: 'disposed DeviceError\n', stderr: '' });
  });

  it('of an engine resolves after a thread died', () => {
    const result = runAlone(`
      ${ADDITIONS}
      const engine = await Engine.open({ threads: 2 });
      const bad = { op: 'add', args: [0, 0, 2 ** 32 - 64, 4096] }; // past the end of memory
      const name = await engine.run([...additions(engine, 50), bad]).then(() => 'no error', (error) => error.name);
      await engine.dispose();
      console.log('disposed', name);
    `);
    assert.deepEqual(result, { status: 0, stdout: 'disposed DeviceError\n', stderr: '' });
  });
});
