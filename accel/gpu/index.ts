/** The model on GPU.js, one op a kernel; {@link openGpuBackend} is the way in. */
export { openGpuBackend } from './backend.js';
export { chooseGpuBackend, chooseRealGpu, type Search } from './choose.js';
export { Device, GPU_BACKENDS, openDevice, type DeviceTensor, type GpuBackend, type Kernel } from './device.js';
export { forward, uploadModel, type DeviceModel } from './model.js';
