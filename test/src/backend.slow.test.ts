import { GPU_BACKENDS } from '../../accel/gpu/device.js';
import { onEveryBackend } from '../support/devices.js';
import { gpuTests } from './sessions.js';

onEveryBackend(
  'GPU.js as a backend',
  gpuTests,
  GPU_BACKENDS.filter((backend) => backend !== 'webasm'),
);
