import { Engine } from '../../accel/simd/engine.js';

const REPEATS = 9;
const [K, N] = [1024, 2 ** 17];

/**
 * The read bandwidth of the threads in bytes per second: dot products of one token with 512 MB of weights, which only wait
 * for memory. Takes the fastest of several runs, because other load can only slow them down.
 */
export async function readBandwidth(threads: number): Promise<number> {
  const engine = await Engine.open({ threads });
  const [x, weight, y] = [engine.place('x', 4 * K), engine.place('weight', 4 * K * N), engine.place('y', 4 * N)];
  engine.memory.floats(x, K).fill(1);
  engine.memory.floats(weight, K * N).fill(1);
  const seconds: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const begun = performance.now();
    await engine.run([{ op: 'linear', args: [x, weight, 0, y, 1, K, N, 0, 0, engine.scratch] }]);
    seconds.push((performance.now() - begun) / 1000);
  }
  await engine.dispose();
  return (4 * K * N) / Math.min(...seconds);
}
