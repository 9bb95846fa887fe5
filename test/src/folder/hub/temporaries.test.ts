import assert from 'node:assert/strict';
import { mkdir, open, readdir, readFile, utimes, writeFile, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { claimPartial, releasePartial } from '../../../../src/folder/hub/partial.js';
import { HubError } from '../../../../src/lib/errors.js';
import { noise } from '../../../support/arbitraries.js';
import { sha256 } from '../../../support/hub.js';
import { openFromHub, readAll, useHub } from '../../../support/hubSetup.js';

const WEIGHTS = 'model.safetensors';

describe('temporaries of a download', () => {
  const here = useHub();
  const { hub } = here;
  const next = noise(4);
  const weights = Buffer.from(Uint8Array.from({ length: 100_000 }, () => 128 * next()));
  before(() => {
    hub.commit('org/plain', { 'config.json': new TextEncoder().encode('{}'), [WEIGHTS]: weights });
  });
  const repoPath = (): string => join(here.home, 'hub/models--org--plain');
  const blob = (): string => join(repoPath(), 'blobs', sha256(weights));
  const leftovers = async () => (await readdir(dirname(blob()))).filter((name) => name.endsWith('.incomplete'));
  const fetchWeights = async () => readAll(await openFromHub('org/plain'), WEIGHTS);
  const ranges = () => hub.asked(WEIGHTS).flatMap(({ by, range }) => (by === 'cdn' ? [range] : []));
  async function plant(owner: string, length: number): Promise<string> {
    await mkdir(dirname(blob()), { recursive: true });
    const path = `${blob()}.${owner}.incomplete`;
    await writeFile(path, weights.subarray(0, length));
    return path;
  }

  it('are taken over though the clock was set back since', async () => {
    const future = Date.now() / 1000 + 3600;
    await utimes(await plant('elsewhere-1-1a2b', 1000), future, future);
    assert.deepEqual(await fetchWeights(), weights);
    assert.deepEqual(ranges(), ['bytes=1000-']);
    assert.deepEqual(await leftovers(), []);
  });

  it('are given back after a failure', async () => {
    hub.fail(WEIGHTS, { times: Infinity, dropAfter: 0 });
    await plant('free', 5000);
    await assert.rejects(fetchWeights(), HubError); // takes it over, gets nothing more, and gives it back
    assert.deepEqual(await leftovers(), [`${sha256(weights)}.free.incomplete`]);
    assert.equal((await readFile(`${blob()}.free.incomplete`)).length, 5000);
  });

  it('never replace a longer one that another process gives back', async () => {
    for (const [ours, theirs] of [
      [1000, 5000],
      [5000, 1000],
    ]) {
      await plant('free', ours);
      const mine = await claimPartial(blob());
      await plant('free', theirs);
      await releasePartial(mine, blob());
      assert.deepEqual(await leftovers(), [`${sha256(weights)}.free.incomplete`]);
      assert.equal((await readFile(`${blob()}.free.incomplete`)).length, 5000);
    }
  });

  it('stay on a full disk: one line, and the next attempt resumes', async () => {
    const handle = await open(join(here.home, 'any'), 'w');
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const appendFile = prototype.appendFile; // eslint-disable-line @typescript-eslint/unbound-method -- called on handles below
    let room = 30_000;
    prototype.appendFile = async function (this: FileHandle, data, options) {
      room -= (data as Uint8Array).length;
      const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      if (room < 0) throw error;
      return appendFile.call(this, data, options);
    };
    hub.fail(WEIGHTS, { dropAfter: 20_000 });
    try {
      await assert.rejects(
        fetchWeights(),
        /^HubError: [^\n]+\.incomplete cannot be written: ENOSPC: no space left on device, write$/,
      );
    } finally {
      prototype.appendFile = appendFile;
    }
    const [left, ...more] = await leftovers();
    assert.deepEqual([left.endsWith('.free.incomplete'), more], [true, []]);
    const { length } = await readFile(join(dirname(blob()), left));
    assert.ok(length > 0 && length <= 20_000, `${length} bytes are kept`);
    hub.reset();
    assert.deepEqual(await fetchWeights(), weights);
    assert.deepEqual(ranges(), [`bytes=${length}-`]);
  });

  it('have names that fit, however long the name of a file is', async () => {
    const long = `${'x'.repeat(251)}.bin`;
    hub.commit('org/long', { [long]: weights });
    assert.deepEqual(await readAll(await openFromHub('org/long'), long), weights);
  });

  it('a name that is too long for the disk is a fault in one line', async () => {
    const long = `${'y'.repeat(260)}.bin`;
    hub.commit('org/longer', { [long]: weights });
    const folder = await openFromHub('org/longer');
    await assert.rejects(folder.open(long), /^HubError: [^\n]+ cannot be written: ENAMETOOLONG: [^\n]+$/);
    const cache = join(here.home, 'hub/models--org--longer');
    assert.deepEqual(await readdir(join(cache, 'blobs')), [sha256(weights)], 'the download itself is kept');
    process.env.HF_HUB_CACHE = join(here.home, 'z'.repeat(300));
    await assert.rejects(openFromHub('org/plain'), /^HubError: [^\n]+: ENAMETOOLONG: [^\n]+$/);
  });

  it('a place that refuses folders is a fault in one line', async function () {
    if (process.platform !== 'linux') this.skip(); // only Linux has /proc
    process.env.HF_HUB_CACHE = '/proc/cache-of-models';
    await assert.rejects(openFromHub('org/plain'), /^HubError: \/proc\/[^\n]+ cannot be written: [^\n]+$/);
  });
});
