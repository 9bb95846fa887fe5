import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

/** Imports for the child processes, which have nothing else open that would keep Node alive. */
const IMPORTS = {
  Engine: 'accel/simd/engine.ts',
  load: 'src/index.ts',
};

/** Runs a program in a Node process of its own. @returns its exit code and output */
function runAlone(program: string): { status: number | null; stdout: string; stderr: string } {
  const imports = Object.entries(IMPORTS).map(([name, file]) => {
    const url = new URL(`../../../${file}`, import.meta.url).href;
    return `const { ${name} } = await import('${url}');`;
  });
  const args = ['--import', 'tsx', '--input-type=module', '--eval', [...imports, program].join('\n')];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  return { status, stdout, stderr };
}

const ADDITIONS = `
function additions(engine, count) {
  const y = engine.place('y', 4e6);
  return Array.from({ length: count }, () => ({ op: 'add', args: [y, y, y, 1e6] }));
}`;

describe('dispose() in a process with nothing else open', () => {
  it('of a model resolves during a generation, which rejects with DeviceError', () => {
    const result = runAlone(`
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
