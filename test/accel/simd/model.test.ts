import { modelTests } from '../models.js';

describe('whole models on SIMD against PyTorch', () => {
  modelTests('simd');
});
