import { GPU_BACKENDS } from '../../../accel/gpu/device.js';
import { opTests } from './opTests.js';

opTests(GPU_BACKENDS.filter((backend) => backend !== 'cpu')); // cpu in ops.slow.test.ts
