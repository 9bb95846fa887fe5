import { GPU_BACKENDS } from '../../../accel/gpu/device.js';
import { onEveryBackend } from '../../support/devices.js';
import { demoTests, modelTests } from '../models.js';

const TITLE = 'whole models on GPU.js against PyTorch';

onEveryBackend(TITLE, (backend) => modelTests(`gpu:${backend}`), ['cpu']);
onEveryBackend(
  TITLE,
  (backend) => demoTests(`gpu:${backend}`),
  GPU_BACKENDS.filter((backend) => backend !== 'cpu' && backend !== 'webasm'),
);
