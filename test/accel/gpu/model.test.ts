import { GPU_BACKENDS } from '../../../accel/gpu/device.js';
import { onEveryBackend } from '../../support/devices.js';
import { goldenTests, modelTests } from '../models.js';

const TITLE = 'whole models on GPU.js against PyTorch';

onEveryBackend(TITLE, (backend) => modelTests(`gpu:${backend}`), ['webasm']);

// Each of these may be a software GPU, where the demo takes a minute: model.slow.test.ts runs it, and all of cpu.
onEveryBackend(
  TITLE,
  (backend) => goldenTests(`gpu:${backend}`),
  GPU_BACKENDS.filter((backend) => backend !== 'cpu' && backend !== 'webasm'),
);
