/** A key-value store in which a browser keeps bytes between visits. */
export interface Store {
  get(name: string): Promise<Blob | null>;
  /** Stores a Blob atomically: afterwards `get` returns the whole Blob, an empty one, or null, but never a part. */
  put(name: string, blob: Blob): Promise<void>;
  delete(name: string): Promise<void>;
  /** The names of everything that is kept. */
  names(): Promise<string[]>;
}

/*
 * The parts of the browser's API that we use. TypeScript's DOM library declares them all, but with it the code for Node
 * could call browser functions by mistake.
 */
interface FileHandle {
  getFile(): Promise<Blob>;
  createWritable(): Promise<{ write(blob: Blob): Promise<void>; close(): Promise<void>; abort(): Promise<void> }>;
}
interface Directory {
  getDirectoryHandle(name: string, options: { create: boolean }): Promise<Directory>;
  getFileHandle(name: string, options?: { create: boolean }): Promise<FileHandle>;
  removeEntry(name: string): Promise<void>;
  keys(): AsyncIterable<string>;
}
interface CacheLike {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
  delete(url: string): Promise<boolean>;
  keys(): Promise<readonly { url: string }[]>;
}
const browser = globalThis as {
  navigator?: { storage?: { getDirectory?(): Promise<Directory> } };
  caches?: { open(name: string): Promise<CacheLike> };
  FileSystemFileHandle?: { prototype: object };
};

const NAME = 'emergent-semantics';

/** Opens the Origin Private File System or, where pages cannot write to it, the Cache API; null if neither is available. */
export async function openStore(): Promise<Store | null> {
  return (await openFileStore()) ?? (await openCacheStore());
}

/** Opens the Origin Private File System; null where pages cannot write to it, or the browser refuses it. */
export async function openFileStore(): Promise<Store | null> {
  const folder = await orNull(async () => {
    const { navigator, FileSystemFileHandle } = browser;
    if (!FileSystemFileHandle || !('createWritable' in FileSystemFileHandle.prototype)) return null;
    const root = await navigator?.storage?.getDirectory?.();
    return root?.getDirectoryHandle(NAME, { create: true });
  });
  if (!folder) return null;
  return {
    get: (name) => orNull(async () => (await folder.getFileHandle(name)).getFile()),
    async put(name, blob) {
      const handle = await folder.getFileHandle(name, { create: true });
      const writable = await handle.createWritable(); // writes a copy that replaces the file on close
      try {
        await writable.write(blob);
        await writable.close();
      } catch (error) {
        await orNull(() => writable.abort()); // otherwise the copy keeps its space
        throw error;
      }
    },
    delete: (name) => folder.removeEntry(name).catch(() => undefined),
    async names() {
      const names: string[] = [];
      for await (const name of folder.keys()) names.push(name);
      return names;
    },
  };
}

/** Opens the Cache API; null where it is not available, or the browser refuses it. */
export async function openCacheStore(): Promise<Store | null> {
  const cache = await orNull(async () => browser.caches?.open(NAME));
  if (!cache) return null;
  const urlOf = (name: string): string => `/${NAME}/${name}`;
  return {
    async get(name) {
      const response = await cache.match(urlOf(name));
      return response ? response.blob() : null;
    },
    put: (name, blob) => cache.put(urlOf(name), new Response(blob)),
    async delete(name) {
      await cache.delete(urlOf(name));
    },
    async names() {
      return (await cache.keys()).map(({ url }) => url.slice(url.lastIndexOf('/') + 1));
    },
  };
}

/**
 * A store that never fails: what it cannot return counts as not kept, and what it cannot put is not kept. Browsers refuse
 * storage in many ways: over quota, in private windows, while another tab has a file open, after the user cleared it.
 */
export function tolerant(store: Store): Store {
  return {
    get: (name) => orNull(() => store.get(name)),
    async put(name, blob) {
      await orNull(() => store.put(name, blob));
    },
    async delete(name) {
      await orNull(() => store.delete(name));
    },
    names: async () => (await orNull(() => store.names())) ?? [],
  };
}

/** The result of an action; null if it fails. */
async function orNull<T>(action: () => Promise<T>): Promise<T | null> {
  try {
    return await action();
  } catch {
    return null;
  }
}
