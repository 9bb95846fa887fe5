/**
 * Counts the kernels of a token on `webgpu` and times their recording:  npm run bench:dispatches
 *
 * Recording is what the host does before it waits for the logits, so a software GPU serves as well.
 */
import '../test/support/devices.js';
import { performance } from 'node:perf_hooks';
import { KvCache } from '../accel/gpu/kvCache.js';
import { forward } from '../accel/gpu/model.js';
import { openDevice } from '../accel/gpu/openDevice.js';
import { uploadModel } from '../accel/gpu/upload.js';
import { tinyModel } from '../test/support/arbitraries.js';

const WARM = 20;
const TOKENS = 100;

const device = await openDevice('webgpu');
const read = device.read.bind(device);
let recorded = 0;
device.read = (x) => {
  recorded = performance.now();
  return read(x);
};
console.log(`${device.adapter}; width 64, tokens ${WARM} to ${WARM + TOKENS}, median`);
for (const nLayer of [4, 16]) {
  const model = tinyModel({ nLayer, dModel: 64, nHead: 4, blockSize: 256 });
  const uploaded = await uploadModel(model, device);
  const cache = new KvCache(device, model.config);
  const times: number[] = [];
  let launches = 0;
  for (let i = 0; i < WARM + TOKENS; i++) {
    launches = device.launches;
    const start = performance.now();
    await forward([i % model.config.vocabSize], uploaded, cache, 'last');
    times.push(recorded - start);
  }
  launches = device.launches - launches;
  const [median] = times
    .slice(WARM)
    .sort((a, b) => a - b)
    .slice(TOKENS / 2);
  console.log(`${nLayer} layers: ${launches} kernels a token, recorded in ${median.toFixed(2)} ms`);
  cache.dispose();
}
await device.dispose();
process.exit(0); // Dawn can hold the process open
