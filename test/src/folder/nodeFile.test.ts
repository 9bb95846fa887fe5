import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFile, writeFileWhole } from '../../../src/folder/nodeFile.js';
import { CheckpointError } from '../../../src/lib/errors.js';

describe('node file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('reads any part', async () => {
    const path = join(folder, 'file');
    await writeFile(path, Uint8Array.of(1, 2, 3, 4, 5));
    const file = await openFile(path);
    const target = new Uint8Array(3);
    await file.readInto(target, 1);
    assert.deepEqual([file.name, file.size, ...target], [path, 5, 2, 3, 4]);
    await file.close();
  });

  it('reports a file that was truncated', async () => {
    const path = join(folder, 'file');
    await writeFile(path, new Uint8Array(100));
    const file = await openFile(path);
    await truncate(path, 50);
    await assert.rejects(file.readInto(new Uint8Array(100), 0), /^CheckpointError: .*was truncated while being read/);
    await file.close();
  });

  it('keeps the previous file if writing fails, and leaves no other', async () => {
    const path = join(folder, 'kept');
    await writeFile(path, 'before');
    const failing = (function* () {
      yield Uint8Array.of(1);
      throw new Error('disk full');
    })();
    await assert.rejects(writeFileWhole(path, failing), /kept cannot be written: disk full/);
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

  it('rejects named pipes without waiting for them or replacing them', async function () {
    if (process.platform === 'win32') this.skip();
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    await assert.rejects(openFile(path), /pipe cannot be read: it is not a file/);
    await assert.rejects(
      writeFileWhole(path, [Uint8Array.of(1)]),
      (error) => error instanceof CheckpointError && error.message.endsWith('cannot be written: it is not a file'),
    );
    assert.ok((await stat(path)).isFIFO());
  });
});
