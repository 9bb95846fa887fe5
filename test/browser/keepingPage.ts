import { keptFolder, openCacheStore, openFileStore, openStore, type Store } from '../../src/browser.js';

/** Where a browser can keep files: its file system for pages, its cache, or whichever we choose. */
export type Place = 'files' | 'cache' | 'chosen';

const OPEN: Record<Place, () => Promise<Store | null>> = {
  files: openFileStore,
  cache: openCacheStore,
  chosen: openStore,
};

async function storeIn(place: Place): Promise<Store> {
  const store = await OPEN[place]();
  if (!store) throw new Error(`this browser has no ${place}`);
  return store;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What the test calls in the browser. */
const functions = {
  /** The hash of a kept file, or what opening or reading it throws. Reads in pieces, as a model is read. */
  async read(place: Place, file: string): Promise<string> {
    try {
      const folder = keptFolder('/', await storeIn(place), { partSize: 500_000, firstWait: 1 });
      const source = (await folder.open(file))!;
      const bytes = new Uint8Array(source.size);
      const step = 700_001;
      for (let i = 0; i < bytes.length; i += step) await source.readInto(bytes.subarray(i, i + step), i);
      await source.close();
      return await sha256(bytes);
    } catch (error) {
      return String(error);
    }
  },

  /** The names and sizes of what is kept. */
  async kept(place: Place): Promise<[string, number][]> {
    const store = await storeIn(place);
    const names = (await store.names()).sort();
    return Promise.all(names.map(async (name) => [name, (await store.get(name))?.size ?? 0] as [string, number]));
  },

  /** Deletes everything that is kept. */
  async evict(place: Place): Promise<void> {
    const store = await storeIn(place);
    for (const name of await store.names()) await store.delete(name);
  },
};

export type KeepingFunctions = typeof functions;
Object.assign(globalThis, { functions });
