import { onEveryBackend } from '../../support/devices.js';
import { modelTests } from '../models.js';

onEveryBackend('whole models on GPU.js against PyTorch', (backend) => modelTests(`gpu:${backend}`), ['cpu']);
