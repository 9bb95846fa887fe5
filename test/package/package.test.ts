import assert from 'node:assert/strict';
import { copyFile, cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { run } from '../support/cli.js';
import { faultOf, linksOf } from '../support/links.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

async function succeed(command: string, args: string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, '', cwd);
  assert.equal(code, 0, `${command} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** As npm links it. */
const COMMAND = './node_modules/.bin/emergent';

const USE = `
import { load, askPrompt, EmergentError, type LanguageModel } from 'emergent-semantics';
import { forward, erf, type Tensor } from 'emergent-semantics/reference';

const model: LanguageModel = await load();
let answer = '';
for await (const piece of model.generate(askPrompt('What is the capital of Japan?'))) answer += piece;
const logits: Tensor = forward(model.tokenizer.encode('Question'), model.model, { logits: 'last' });
const refused = await load('/nope').catch((error: unknown) => error instanceof EmergentError);
console.log(JSON.stringify({ answer, shape: logits.shape, erf: erf(1), refused }));
`;

/** Packs the package as it would be published and installs it in an empty folder, as a user would. */
/** The parts of the package by the beginning of a path: the first that fits. */
const PARTS = [
  ['dist/play/', 'playground'],
  ['dist/', 'code'],
  ['models/', 'demo'],
  ['', 'documents'],
] as const;

describe('package', () => {
  let folder: string;
  let tarball: string;
  let installation: string;
  const installed = (): string => join(folder, 'node_modules/emergent-semantics');

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-package-'));
    await succeed('npm', ['pack', '--silent', '--pack-destination', folder], root);
    const packed = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
    tarball = join(folder, packed!);
    await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
    const { code, stdout, stderr } = await run('npm', ['install', '--no-audit', '--no-fund', tarball], '', folder);
    installation = stdout + stderr;
    assert.equal(code, 0, installation);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('says what it brings along', async () => {
    const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const lock = JSON.parse(await readFile(join(folder, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, unknown>;
    };
    const packages = Object.keys(lock.packages).filter((path) => path !== '');
    const kilobytes = (await succeed('du', ['-sk', 'node_modules'], folder)).split('\t')[0];
    const direct = Object.keys(dependencies).length;
    const size = (Number(kilobytes) / 1e3).toFixed(1);
    console.log(`      ${direct} runtime dependencies, ${packages.length - 1} with theirs; ${size} MB with the demo`);
    assert.ok(packages.includes('node_modules/emergent-semantics'));
    for (const name of Object.keys(dependencies)) assert.ok(packages.includes(`node_modules/${name}`), name);
  });

  it('brings a working command', async () => {
    const answer = await succeed(COMMAND, ['ask', 'What is the capital of Japan?'], folder);
    assert.equal(answer, 'Tokyo\n');
  });

  it('has typed exports that work', async () => {
    await writeFile(join(folder, 'use.ts'), USE);
    const options = ['--module', 'nodenext', '--target', 'es2022', '--strict', '--lib', 'es2023,dom', 'use.ts'];
    await succeed(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options], folder);
    const result = JSON.parse(await succeed(process.execPath, ['use.js'], folder)) as Record<string, unknown>;
    assert.deepEqual(result, { answer: ' Tokyo', shape: [1, 1024], erf: 0.8427007929497149, refused: true });
  });

  it('runs the examples, each of which type-checks', async () => {
    const examples = (await readdir(join(root, 'examples'))).filter((name) => name.endsWith('.ts'));
    assert.ok(examples.length >= 5);
    for (const name of examples) await copyFile(join(root, 'examples', name), join(folder, name));
    await cp(join(root, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'), { recursive: true });
    await cp(join(root, 'node_modules/undici-types'), join(folder, 'node_modules/undici-types'), { recursive: true });
    const options = ['--module', 'nodenext', '--target', 'es2022', '--strict', '--lib', 'es2023', '--types', 'node'];
    await succeed(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options, ...examples], folder);
    const output = new Map<string, string>();
    for (const name of examples) {
      output.set(name, await succeed(process.execPath, [name.replace('.ts', '.js')], folder));
    }
    assert.match(output.get('ask.ts')!, /^ Tokyo {3}\((simd|gpu:\w+)\)\n$/);
    assert.match(output.get('manyAtOnce.ts')!, /Peru\? Lima\n.+Japan\? Japanese yen\n.+Kenya\? Africa\n$/);
    assert.match(output.get('logits.ts')!, /logits \[\d+, 1024\]\n Santiago[^]*\n0 after a reset\n$/);
    assert.match(output.get('inside.ts')!, /^expanded .+\n(layers\.\d\.resid .+\n){4}$/);
    assert.match(
      output.get('fewerBits.ts')!,
      /^f32 +lossless, relative distance 0\.0e\+0\n(\w+ +(lossless|rounded), relative distance \S+\n){4}$/,
    );
  });

  it('says what to install for a backend that needs more', async () => {
    const { code, stdout, stderr } = await run(COMMAND, ['ask', '--backend', 'gpu:webasm', 'x'], '', folder);
    assert.match(stderr, /^emergent: the GPU backends need the package gpu\.js: npm install gpu\.js@2\.24 [^\n]+\n$/);
    assert.deepEqual([code, stdout], [2, '']);
  });

  it('has an entry that bundlers for browsers can take', async () => {
    await writeFile(
      join(folder, 'page.js'),
      "import { load } from 'emergent-semantics/accel';\nload('/models/demo/');",
    );
    const { outputFiles, warnings } = await build({
      entryPoints: [join(folder, 'page.js')],
      bundle: true,
      platform: 'browser',
      format: 'esm',
      minify: true,
      external: ['gpu.js'],
      write: false,
    });
    assert.deepEqual(warnings, []);
    console.log(`      ${(outputFiles[0].contents.length / 1e3).toFixed(0)} kB for a browser without GPU.js`);
  });

  it('asks npm to run no script when it is installed', async () => {
    const { scripts } = JSON.parse(await readFile(join(installed(), 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    // npm also warns of `prepare` in a package that does not come from a registry.
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) assert.ok(!(name in scripts), name);
    assert.doesNotMatch(installation, /install-scripts/);
  });

  it('holds every file that its documents and figures link to', async () => {
    const documents = (await readdir(installed(), { recursive: true })).filter((name) => /\.(md|svg)$/.test(name));
    const links = documents.flatMap((name) => {
      const file = join(installed(), name);
      return linksOf(file).map((link) => ({ name, link, fault: faultOf(file, link) }));
    });
    assert.ok(documents.length >= 10 && links.length > 100, `${documents.length} documents, ${links.length} links`);
    assert.deepEqual(
      links.filter(({ fault }) => fault !== null).map(({ name, fault }) => `${name}: ${fault}`),
      [],
    );
  });

  it('holds no fixtures, no sources but the textbook and the recorder, and is small', async () => {
    const files = (await readdir(installed(), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    const sizes = { dependencies: await sizeOfDependencies(), demo: 0, code: 0, playground: 0, documents: 0 };
    for (const file of files) {
      const path = relative(installed(), file).replaceAll('\\', '/');
      assert.doesNotMatch(
        path,
        /^(accel|src)\/|^(test|golden)\/(?!reference\/|recorder\/|ablation\/plan\.md)[^]*\/|^bench\/.*\.(ts|py)$/,
      );
      const [, part] = PARTS.find(([start]) => path.startsWith(start))!;
      sizes[part] += (await stat(file)).size;
    }
    const kilobytes = Object.entries(sizes).map(([part, size]) => `${part} ${(size / 1e3).toFixed(0)} kB`);
    const packed = ((await stat(tarball)).size / 1e3).toFixed(0);
    console.log(`      ${files.length} files, ${kilobytes.join(', ')}; the tarball ${packed} kB`);
    // code: 130 kB of kernels, and about 100 kB each for verdicts, checks of what others write, the server and imports
    assert.ok(sizes.code < 1500e3, 'code');
    assert.ok(sizes.playground < 1500e3, 'playground');
    // documents: the book, the sources of the reference and of golden/, the recorder (100 kB), a picture (160 kB)
    assert.ok(sizes.documents < 800e3, 'documents');
    assert.ok(!files.some((file) => /play.models/.test(file)), 'the demo is there once');

    const readme = await readFile(join(root, 'README.md'), 'utf8');
    const stated =
      /Of simd's (\S+) MB, .*? take (\S+) MB .*?, the demo (\S+), the code (\S+),\s+the playground (\S+) .*?documents\s(\S+)\. /s.exec(
        readme,
      );
    const measured = [Object.values(sizes).reduce((sum, size) => sum + size), ...Object.values(sizes)];
    for (const [i, size] of measured.entries()) {
      const megabytes = Number(stated?.[i + 1]);
      assert.ok(
        Math.abs(size / 1e6 - megabytes) <= 0.05 + 0.05 * megabytes,
        `${size} bytes, README says ${megabytes} MB`,
      );
    }
  });

  /** Without the types that other tests here add. */
  async function sizeOfDependencies(): Promise<number> {
    const modules = join(folder, 'node_modules');
    let bytes = 0;
    for (const entry of await readdir(modules, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const [name] = relative(modules, path).split(/[\\/]/);
      if (entry.isFile() && !['emergent-semantics', '@types', 'undici-types'].includes(name))
        bytes += (await stat(path)).size;
    }
    return bytes;
  }
});
