import { onEveryBackend, useDevice } from './support/devices.js';
import { uploadModel } from '../accel/gpu/upload.js';
import { KvCache } from '../accel/gpu/kvCache.js';
import { forward } from '../accel/gpu/model.js';
import { forward as ref } from '../reference/model.js';
import { loadModel } from '../src/checkpoint/loadModel.js';
import { fixture } from './support/golden.js';
onEveryBackend('try', (b) => { const device = useDevice(b);
 for (const name of ['model_64_float','interleaved','tanh','outliers','without_final_norm','post_norm'])
 it(name, async function () { this.timeout(100000);
  const { model } = await loadModel(fixture('models/'+name));
  const up = await uploadModel(model, device());
  console.log(model.config.dModel, model.config.nLayer, 'fused', (up as any).fused !== null);
  const ids = [3, 1, 4, 1, 5, 9, 2, 6].map(i => i % model.config.vocabSize);
  const truth = ref(ids, model, { logits: 'all' });
  for (const trace of [undefined, () => undefined]) {
   const cache = new KvCache(device(), model.config);
   let worst = 0, count = 0;
   for (const [i, id] of ids.entries()) {
    const before = device().launches;
    const { data } = await forward([id], up, cache, 'last', trace as never);
    const V = model.config.vocabSize; data.forEach((x, v) => worst = Math.max(worst, Math.abs(x - truth.data[i * V + v])) );
    count = device().launches - before;
   }
   console.log(count, worst, Math.max(...truth.data));
   cache.dispose();
  }
 });
}, ['webgpu']);
