/**
 * Compiles the AssemblyScript of this folder into accel/simd/binary.ts:  npm run build:simd
 *
 * Builds four modules: with and without fused multiply-add, each for shared and for ordinary memory. They are stored as
 * text, so bundlers need no configuration.
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { main } from 'assemblyscript/asc';

const entry = fileURLToPath(new URL('index.ts', import.meta.url));
const target = fileURLToPath(new URL('../binary.ts', import.meta.url));
const FLAGS = [
  ...['-O3', '--noAssert', '--runtime', 'stub', '--memoryBase', '256', '--importMemory', '--initialMemory', '1'],
  ...['--maximumMemory', '65536', '--enable', 'simd', '--enable', 'threads', '--outFile', 'out.wasm'],
];

async function compile(flags) {
  let binary;
  const { error, stderr } = await main([entry, ...FLAGS, ...flags], {
    writeFile: (name, contents) => {
      if (name.endsWith('.wasm')) binary = contents;
    },
  });
  if (error || !binary) throw new Error(`${error?.message ?? 'the compiler wrote no output'}\n${stderr.toString()}`);
  return Buffer.from(binary).toString('base64');
}

const relaxed = ['--enable', 'relaxed-simd'];
const lines = [];
for (const [name, flags] of Object.entries({
  plain: [],
  relaxed,
  plainShared: ['--sharedMemory'],
  relaxedShared: ['--sharedMemory', ...relaxed],
})) {
  lines.push(`  ${name}: '${await compile(flags)}',`);
}
await writeFile(
  target,
  `/** Made by npm run build:simd from assembly/; WebAssembly modules in base64. */\nexport const BINARY: Record<'plain' | 'relaxed' | 'plainShared' | 'relaxedShared', string> = {\n${lines.join('\n')}\n};\n`,
);
