/** A key-value store in which a browser keeps bytes between visits. */
export interface Store {
  get(name: string): Promise<Blob | null>;
  /** Stores a Blob atomically: afterwards `get` returns the whole Blob, an empty one, or null, but never a part. */
  put(name: string, blob: Blob): Promise<void>;
  delete(name: string): Promise<void>;
}

/*
 * The parts of the browser's API that we use. TypeScript's DOM library declares them all, but with it the code for Node
 * could call browser functions by mistake.
 */
interface FileHandle {
  getFile(): Promise<Blob>;
  createWritable(): Promise<{ write(blob: Blob): Promise<void>; close(): Promise<void> }>;
}
interface Directory {
  getDirectoryHandle(name: string, options: { create: boolean }): Promise<Directory>;
  getFileHandle(name: string, options?: { create: boolean }): Promise<FileHandle>;
  removeEntry(name: string): Promise<void>;
}
interface CacheLike {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
  delete(url: string): Promise<boolean>;
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

/** Opens the Origin Private File System; null where pages cannot write to it. */
export async function openFileStore(): Promise<Store | null> {
  const { navigator, FileSystemFileHandle } = browser;
  if (!FileSystemFileHandle || !('createWritable' in FileSystemFileHandle.prototype)) return null;
  const root = await navigator?.storage?.getDirectory?.().catch(() => null);
  if (!root) return null;
  const folder = await root.getDirectoryHandle(NAME, { create: true });
  return {
    get: (name) =>
      folder.getFileHandle(name).then(
        (handle) => handle.getFile(),
        () => null,
      ),
    async put(name, blob) {
      const handle = await folder.getFileHandle(name, { create: true });
      const writable = await handle.createWritable(); // writes a copy that replaces the file on close
      await writable.write(blob);
      await writable.close();
    },
    delete: (name) => folder.removeEntry(name).catch(() => undefined),
  };
}

/** Opens the Cache API; null where it is not available. */
export async function openCacheStore(): Promise<Store | null> {
  const cache = await browser.caches?.open(NAME).catch(() => null);
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
  };
}
