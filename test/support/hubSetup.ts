import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection, type HubOptions } from '../../src/folder/hub/connection.js';
import { openHubFolder } from '../../src/folder/hub/hubFolder.js';
import { parseHubId } from '../../src/folder/hub/id.js';
import type { Folder } from '../../src/folder/folder.js';
import { FakeHub, type Files } from './hub.js';

/** Without a byte for this long, a connection to the test server counts as broken. */
const SILENCE_MS = 300;

const VARIABLES = [
  ...['HF_ENDPOINT', 'HF_HOME', 'HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE', 'XDG_CACHE_HOME', 'HF_HUB_DISABLE_SYMLINKS'],
  ...['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HF_TOKEN_PATH', 'HF_HUB_DISABLE_IMPLICIT_TOKEN'],
  ...['HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE'],
  ...['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]),
];

/** Gives each test a fake Hub and an empty cache, and sets the environment so that no test reaches the real Hub. */
export function useHub(): { hub: FakeHub; readonly home: string } {
  const hub = new FakeHub();
  const former = new Map<string, string | undefined>();
  const here = { hub, home: '' };
  before(() => hub.open());
  after(() => hub.close());
  beforeEach(async () => {
    hub.reset();
    here.home = await mkdtemp(join(tmpdir(), 'emergent-hub-'));
    for (const name of VARIABLES) {
      former.set(name, process.env[name]);
      Reflect.deleteProperty(process.env, name);
    }
    process.env.HF_ENDPOINT = hub.url;
    process.env.HF_HOME = here.home;
  });
  afterEach(async () => {
    for (const [name, value] of former) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
    await rm(here.home, { recursive: true, force: true });
  });
  return here;
}

/** Opens a model from the Hub without real delays; `waits` records the skipped delays in seconds. */
export async function openFromHub(id: string, options: HubOptions = {}, waits: number[] = []): Promise<Folder> {
  const parsed = parseHubId(id, options.revision)!;
  const sleep = (ms: number): Promise<void> => {
    waits.push(ms / 1000);
    return Promise.resolve();
  };
  return openHubFolder(parsed, options, new Connection(parsed, options, sleep, SILENCE_MS));
}

/** Reads a whole file; null if it does not exist. */
export async function readAll(folder: Folder, file: string): Promise<Buffer | null> {
  const source = await folder.open(file);
  if (!source) return null;
  const bytes = Buffer.alloc(source.size);
  await source.readInto(bytes, 0);
  await source.close();
  return bytes;
}

/** Reads all files of a folder on disk. */
export async function filesOf(folder: string): Promise<Files> {
  const files: Files = {};
  for (const name of await readdir(folder)) files[name] = await readFile(join(folder, name));
  return files;
}
