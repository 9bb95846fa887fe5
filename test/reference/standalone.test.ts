import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const reference = fileURLToPath(new URL('../../reference', import.meta.url));
const tsc = fileURLToPath(import.meta.resolve('typescript/bin/tsc'));

const PROGRAM = `
import { forward, matrix, vector } from './reference/index.js';
const config = {
  modelType: 'tiny', vocabSize: 2, blockSize: 4, nEmbed: 1, dModel: 2, nLayer: 0, nHead: 1, padId: 0,
  ropePairing: 'half', ropeTheta: 10000, geluApproximate: 'none', normPosition: 'pre', layerNormEps: 1e-5,
} as const;
const lmHead = { weight: matrix([[1, 1], [2, -1]]), bias: vector([0, 5]) };
const weights = { embedding: matrix([[3], [7]]), blocks: [], finalNorm: null, lmHead };
console.log(forward([0, 1], { config, weights }).data.join());
`;

const TSCONFIG = {
  compilerOptions: { target: 'es2022', module: 'nodenext', strict: true, types: [], outDir: 'built', rootDir: '.' },
};

describe('standalone', () => {
  it('the reference compiles and runs in an empty project', () => {
    const folder = mkdtempSync(join(tmpdir(), 'emergent-'));
    try {
      cpSync(reference, join(folder, 'reference'), { recursive: true });
      writeFileSync(join(folder, 'main.ts'), PROGRAM.replace('console.log', '(globalThis as any).console.log'));
      writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
      execFileSync(process.execPath, [tsc, '--project', folder], { encoding: 'utf8' });
      const output = execFileSync(process.execPath, [join(folder, 'built/main.js')], { encoding: 'utf8' });
      assert.equal(output, '6,8,14,12\n'); // 3 + 3, 2·3 − 3 + 5; 7 + 7, 2·7 − 7 + 5
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
