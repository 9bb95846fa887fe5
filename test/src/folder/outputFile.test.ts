import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkOutput, makeFolder, writeFileWhole, writeFolderWhole } from '../../../src/folder/outputFile.js';
import { skip } from '../../support/setup.js';

const ONE = [Uint8Array.of(1)];
const text = (value: string): Uint8Array[] => [new TextEncoder().encode(value)];

function* failing(): Generator<Uint8Array> {
  yield Uint8Array.of(1);
  throw new Error('disk full');
}

describe('output file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('keeps the previous file if writing fails, and leaves no other', async () => {
    const path = join(folder, 'kept');
    await writeFile(path, 'before');
    await assert.rejects(writeFileWhole(path, failing()), /kept cannot be written: disk full/);
    assert.equal(await readFile(path, 'utf8'), 'before');
    assert.deepEqual(await readdir(folder), ['kept']);
  });

  it('creates the file only when it is complete', async () => {
    const path = join(folder, 'late');
    async function* pieces() {
      yield Uint8Array.of(1);
      await assert.rejects(stat(path));
      yield Uint8Array.of(2);
    }
    await writeFileWhole(path, pieces());
    assert.deepEqual([...(await readFile(path))], [1, 2]);
  });

  it('can write the same file twice at once, leaving one complete file', async () => {
    const path = join(folder, 'both');
    const slowly = async function* (value: number) {
      for (let i = 0; i < 20; i++) {
        yield Uint8Array.of(value);
        await new Promise(setImmediate);
      }
    };
    await Promise.all([writeFileWhole(path, slowly(1)), writeFileWhole(path, slowly(2))]);
    const bytes = [...(await readFile(path))];
    assert.equal(bytes.length, 20);
    assert.equal(new Set(bytes).size, 1);
    assert.deepEqual(await readdir(folder), ['both']);
  });

  it('writes what a symbolic link points to, and leaves the link', async () => {
    await mkdir(join(folder, 'other'));
    await symlink('other/real', join(folder, 'link'));
    await symlink('link', join(folder, 'chain'));
    for (const value of ['new', 'newer']) {
      await writeFileWhole(join(folder, 'chain'), text(value));
      assert.equal(await readFile(join(folder, 'other/real'), 'utf8'), value);
    }
    assert.equal(await readlink(join(folder, 'chain')), 'link');
    assert.ok((await lstat(join(folder, 'link'))).isSymbolicLink());
    assert.deepEqual(await readdir(join(folder, 'other')), ['real']);
    await symlink('round', join(folder, 'round'));
    await assert.rejects(
      writeFileWhole(join(folder, 'round'), ONE),
      /round cannot be written: too many symbolic links$/,
    );
  });

  it('keeps the mode of the file that it replaces', async function () {
    if (process.platform === 'win32') skip(this, 'Windows has no such modes');
    const path = join(folder, 'private');
    await writeFile(path, 'before');
    await chmod(path, 0o600);
    await writeFileWhole(path, text('after'));
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('replaces no pipe, folder or device, by its own name or through a link', async function () {
    if (process.platform === 'win32') skip(this, 'not on Windows');
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    await symlink('/dev/null', join(folder, 'null'));
    for (const [path, fault] of [
      [join(folder, 'pipe'), 'it is not a file'],
      [folder, 'it is a folder'],
      ['/dev/null', 'it is a device; to write to standard output, name it -'],
      ['/dev/stdout', 'it is a device; to write to standard output, name it -'],
      ['/proc/self/fd/1', 'it is a device; to write to standard output, name it -'],
      [join(folder, 'null'), 'it is a device; to write to standard output, name it -'],
    ]) {
      const expected = { name: 'CheckpointError', message: `${path} cannot be written: ${fault}` };
      await assert.rejects(writeFileWhole(path, ONE), expected);
      await assert.rejects(checkOutput(path), expected);
    }
    assert.ok((await stat('/dev/null')).isCharacterDevice());
  });

  it('reports the first error, also where nothing can be cleaned up', async () => {
    await writeFile(join(folder, 'file'), '');
    await assert.rejects(writeFileWhole(join(folder, 'file/x'), ONE), /file\/x cannot be written: ENOTDIR/);
    await assert.rejects(writeFileWhole(join(folder, 'x'.repeat(256)), ONE), /cannot be written: ENAMETOOLONG/);
    await assert.rejects(writeFileWhole(join(folder, 'none/x'), ONE), /none\/x cannot be written: ENOENT/);
    await writeFileWhole(join(folder, 'y'.repeat(250)), ONE); // the temporary name is short
    assert.deepEqual((await readdir(folder)).map((name) => name.slice(0, 4)).sort(), ['file', 'yyyy']);
  });

  it('removes what killed processes have left, once it is old, and what living ones write stays', async () => {
    const dead = join(folder, '.emergent-999999-1.part');
    const young = join(folder, '.emergent-999998-1.part');
    const living = join(folder, `.emergent-${process.ppid}-1.part`);
    for (const path of [dead, young, living]) await writeFile(path, '');
    for (const path of [dead, living]) await utimes(path, 1, 1);
    await writeFileWhole(join(folder, 'x'), ONE);
    const left = await readdir(folder);
    assert.deepEqual(left.sort(), ['.emergent-999998-1.part', `.emergent-${process.ppid}-1.part`, 'x'].sort());
  });

  it('is checked before any work: no input is an output, by whatever name', async () => {
    const model = join(folder, 'model');
    await mkdir(model);
    await writeFile(join(model, 'model.safetensors'), 'weights');
    await symlink('model/model.safetensors', join(folder, 'soft'));
    await link(join(model, 'model.safetensors'), join(folder, 'hard'));
    await symlink('model', join(folder, 'alias'));
    for (const name of ['model/model.safetensors', 'alias/model.safetensors', 'soft', 'hard', 'model/../hard']) {
      await assert.rejects(
        checkOutput(join(folder, name), [model]),
        /is an input of this command \(.*model\.safetensors\)/,
      );
      await assert.rejects(checkOutput(join(folder, name), [join(folder, 'alias')]), /is an input of this command/);
    }
    await checkOutput(join(model, 'new'), [model]);
    await writeFile(join(folder, 'other'), '');
    await checkOutput(join(folder, 'other'), [model]);
    await assert.rejects(checkOutput(join(folder, 'none/x')), /none\/x cannot be written: .*none does not exist$/);
    await assert.rejects(checkOutput(join(folder, 'other/x')), /other\/x cannot be written: .*other is not a folder$/);
    assert.deepEqual((await readdir(folder)).sort(), ['alias', 'hard', 'model', 'other', 'soft']);
  });

  it('several at once: all of them or none', async () => {
    await writeFolderWhole(folder, [
      ['a', text('a1')],
      ['last', text('l1')],
    ]);
    await writeFile(join(folder, 'stale'), '');
    const broken = writeFolderWhole(
      folder,
      [
        ['a', text('a2')],
        ['b', failing()],
        ['last', text('l2')],
      ],
      ['stale'],
    );
    await assert.rejects(broken, /b cannot be written: disk full/);
    assert.deepEqual(await readdir(folder), ['a', 'last', 'stale']);
    assert.equal(await readFile(join(folder, 'a'), 'utf8'), 'a1');
    await writeFolderWhole(
      folder,
      [
        ['a', text('a3')],
        ['last', text('l3')],
      ],
      ['stale', 'absent'],
    );
    assert.deepEqual(await readdir(folder), ['a', 'last']);
    assert.equal(await readFile(join(folder, 'last'), 'utf8'), 'l3');
  });

  it('makes folders above it, and says at once where it cannot', async () => {
    await makeFolder(join(folder, 'a/b/c'));
    await makeFolder(join(folder, 'a/b/c'));
    await writeFile(join(folder, 'file'), '');
    await assert.rejects(makeFolder(join(folder, 'file/x')), /file\/x cannot be created: .*(ENOTDIR|is not a folder)/);
    if (process.platform === 'linux') {
      await assert.rejects(makeFolder('/proc/x/y'), /^CheckpointError: \/proc\/x\/y cannot be created: /);
    }
  });

  it('leaves nothing when a signal ends the process', async function () {
    if (process.platform === 'win32') skip(this, 'Windows has no such signals');
    const module = fileURLToPath(new URL('../../../src/folder/outputFile.ts', import.meta.url));
    const program = `
      import { removeTemporaries, writeFileWhole } from ${JSON.stringify(module)};
      process.once('SIGTERM', () => { removeTemporaries(); process.exit(143); });
      async function* slow() { yield Uint8Array.of(1); console.log('begun'); await new Promise((done) => setTimeout(done, 60000)); }
      await writeFileWhole(${JSON.stringify(join(folder, 'x'))}, slow());
    `;
    const child = spawn(process.execPath, ['--import', 'tsx/esm', '--input-type=module', '--eval', program]);
    await once(child.stdout, 'data');
    assert.equal((await readdir(folder)).length, 1);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];
    assert.equal(code, 143);
    assert.deepEqual(await readdir(folder), []);
  });
});
