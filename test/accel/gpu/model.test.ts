import { GPU_BACKENDS } from '../../../accel/gpu/device.js';
import { onEveryBackend } from '../../support/devices.js';
import { modelTests } from '../models.js';

onEveryBackend(
  'whole models on GPU.js against PyTorch',
  (backend) => modelTests(`gpu:${backend}`),
  GPU_BACKENDS.filter((backend) => backend !== 'cpu'), // in model.slow.test.ts
);
