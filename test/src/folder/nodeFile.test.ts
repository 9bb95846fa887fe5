import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFile } from '../../../src/folder/nodeFile.js';
import { skip } from '../../support/setup.js';

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

  it('does not wait for a named pipe', async function () {
    if (process.platform === 'win32') skip(this, 'not on Windows');
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    await assert.rejects(openFile(path), /pipe cannot be read: it is not a file/);
    assert.ok((await stat(path)).isFIFO());
  });
});
