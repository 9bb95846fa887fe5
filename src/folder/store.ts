/** Where a browser keeps bytes between visits, by name. */
export interface Store {
  get(name: string): Promise<Blob | null>;
  /** All of it or nothing: what `get` gives is never a part, but it may be empty. */
  put(name: string, blob: Blob): Promise<void>;
  delete(name: string): Promise<void>;
}

/** What we use of the browser's own; TypeScript's types of it would let Node's side use it, too. */
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

/** The Origin Private File System; where there is none, or none that pages can write to, the Cache API; else null. */
export async function openStore(): Promise<Store | null> {
  return (await openFileStore()) ?? (await openCacheStore());
}

/** The Origin Private File System; null where there is none. */
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
      const writable = await handle.createWritable(); // to a copy, which takes the file's place when it is closed
      await writable.write(blob);
      await writable.close();
    },
    delete: (name) => folder.removeEntry(name).catch(() => undefined),
  };
}

/** The Cache API; null where there is none. */
export async function openCacheStore(): Promise<Store | null> {
  const cache = await browser.caches?.open(NAME).catch(() => null);
  if (!cache) return null;
  const urlOf = (name: string): string => `/${NAME}/${name}`;
  return {
    get: async (name) => (await (await cache.match(urlOf(name)))?.blob()) ?? null,
    put: (name, blob) => cache.put(urlOf(name), new Response(blob)),
    async delete(name) {
      await cache.delete(urlOf(name));
    },
  };
}
