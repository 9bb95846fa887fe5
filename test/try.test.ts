import { onEveryBackend, useDevice } from '/work/helpers/fuse/test/support/devices.js';
import { uploadModel } from '/work/helpers/fuse/accel/gpu/upload.js';
import { KvCache } from '/work/helpers/fuse/accel/gpu/kvCache.js';
import { forward } from '/work/helpers/fuse/accel/gpu/model.js';
import { forward as ref } from '/work/helpers/fuse/reference/model.js';
import { load } from '/work/helpers/fuse/src/load.js';
onEveryBackend('try', (b) => { const device = useDevice(b);
 it('demo', async function () { this.timeout(100000);
  const { model } = await load();
  console.log('loaded'); const up = await uploadModel(model, device());
  console.log(model.config, 'fused', up.fused !== null);
  const ids = [3, 1, 4, 1, 5, 9, 2, 6];
  const truth = ref(ids, model, { logits: 'all' });
  for (const trace of [undefined, () => undefined]) {
   const cache = new KvCache(device(), model.config);
   for (const [i, id] of ids.entries()) {
    const before = device().launches;
    const { data } = await forward([id], up, cache, 'last', trace as never);
    const V = model.config.vocabSize; let worst = 0; data.forEach((x, v) => worst = Math.max(worst, Math.abs(x - truth.data[i * V + v])) );
    console.log(i, device().launches - before, worst);
   }
   cache.dispose();
  }
 });
}, ['webgpu']);
