import type { Engine } from '../../../accel/simd/engine.js';
import { KvCache } from '../../../accel/simd/kvCache.js';
import { Pass, type Activation } from '../../../accel/simd/pass.js';
import { uploadLayerNorm, uploadLinear, uploadRopeTables } from '../../../accel/simd/upload.js';
import { tensor, type Float32Tensor } from '../../../reference/lib/tensor.js';
import type { LinearWeights } from '../../../reference/lib/weights.js';
import { TINY } from '../../support/arbitraries.js';
import type { AcceleratedOps } from '../parity.js';

/** The ops of WebAssembly SIMD on an engine. Runs in browsers, too. */
export function simdOps(engine: Engine): AcceleratedOps {
  function put(name: string, { data }: Float32Tensor): number {
    const address = engine.place(`given ${name}`, data.byteLength);
    engine.memory.floats(address, data.length).set(data);
    return address;
  }
  function given(name: string, x: Float32Tensor): Activation {
    return { address: put(name, x), width: x.shape[1] };
  }
  async function result(T: number, plan: (pass: Pass) => Activation): Promise<Float32Tensor> {
    const pass = new Pass(engine, T);
    const y = plan(pass);
    await pass.run();
    return engine.read(y.address, [T, y.width]);
  }
  function linear(x: Float32Tensor, layer: LinearWeights): Promise<Float32Tensor> {
    return result(x.shape[0], (pass) => pass.linear('y', given('x', x), uploadLinear(layer, engine)));
  }

  return {
    add: (a, b) => result(a.shape[0], (pass) => pass.add('y', given('a', a), given('b', b))),
    embedding: (ids, table) =>
      result(ids.length, (pass) => {
        const at = engine.place('given ids', 4 * ids.length);
        engine.memory.words(at, ids.length).set(ids);
        return pass.embedding('y', at, put('table', table), table.shape[1]);
      }),
    repeatInterleave: (x, repeats) => result(x.shape[0], (pass) => pass.repeatInterleave('y', given('x', x), repeats)),
    layerNorm: (x, weights, eps) =>
      result(x.shape[0], (pass) => pass.layerNorm('y', given('x', x), uploadLayerNorm(weights, eps, engine))),
    linear,
    lmHead: linear,
    rope: (x, H, past, ropePairing) =>
      result(x.shape[0], (pass) => {
        const config = { ...TINY, dModel: x.shape[1], nHead: H, ropePairing, blockSize: past + x.shape[0] };
        return pass.rope('y', given('x', x), uploadRopeTables(config, engine, past + x.shape[0]), [
          { start: 0, T: x.shape[0], past },
        ]);
      }),
    async softmax(scores, past) {
      const [T, H, S] = scores.shape;
      const [x, y] = [put('x', scores), put('y', tensor(scores.shape))];
      const rows = Array.from({ length: T * H }, (_, row) => 4 * row * S);
      const visible = (i: number): number => past + Math.floor(i / H) + 1;
      await engine.run(rows.map((at, i) => ({ op: 'softmax', args: [x + at, y + at, 1, visible(i)] })));
      return tensor(scores.shape, engine.memory.floats(y, T * H * S).slice());
    },
    async attention(q, k, v, H) {
      const [[T, C], [S]] = [q.shape, k.shape];
      const cache = new KvCache(engine.memory, { ...TINY, dModel: C, nHead: H, nLayer: 1, blockSize: S });
      cache.reserve(S);
      const pages = cache.pages(0);
      const store = new Pass(engine, S);
      const whole = [{ start: 0, T: S, past: 0, ...pages }];
      store.appendKv(given('k', k), 'keys', H, whole);
      store.appendKv(given('v', v), 'values', H, whole);
      await store.run();
      const y = await result(T, (pass) =>
        pass.attention('y', given('q', q), H, [{ start: 0, T, past: S - T, ...pages }]),
      );
      cache.dispose();
      return y;
    },
    gelu: (x, approximate) => result(x.shape[0], (pass) => pass.gelu('y', given('x', x), approximate)),
  };
}
