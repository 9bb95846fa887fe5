import { spawnSync } from 'node:child_process';

const MODULES = ['accel/simd/engine.ts', 'src/index.ts', 'src/backend.ts'];

/**
 * Runs a program in a Node process of its own. The program imports a module of the repository with `open('src/index.ts')`.
 *
 * @returns its exit code and output
 */
export function runAlone(program: string): { status: number | null; stdout: string; stderr: string } {
  const urls = MODULES.map((file) => [file, new URL(`../../../${file}`, import.meta.url).href]);
  const open = `const open = (file) => import(${JSON.stringify(Object.fromEntries(urls))}[file]);`;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', `${open}\n${program}`];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  return { status, stdout, stderr };
}
