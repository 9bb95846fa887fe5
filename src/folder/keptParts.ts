import type { Store } from './store.js';

/**
 * What a store has of one file: parts of equal size, the last one shorter, each of them there whole or not at all. The
 * names of parts hold the version that they are of, so that those of two versions are never put together.
 */
export class KeptParts {
  readonly #store: Store;
  readonly #key: string;
  readonly #partSize: number;
  #partKey = '';
  #parts: Blob[] = [];
  #pending: Uint8Array[] = [];
  #version = '';
  #size: number | null = null;
  #length = 0;

  private constructor(store: Store, key: string, partSize: number) {
    this.#store = store;
    this.#key = key;
    this.#partSize = partSize;
  }

  /** What an earlier visit left of a file. */
  static async open(store: Store, path: string, partSize: number): Promise<KeptParts> {
    const kept = new KeptParts(store, await digest(path), partSize);
    await kept.#read();
    return kept;
  }

  /** What the server said of the version that these parts are of. */
  get version(): string {
    return this.#version;
  }

  /** Bytes of the whole file; null if that is not known yet. */
  get size(): number | null {
    return this.#size;
  }

  /** Bytes from the beginning on that are here. */
  get length(): number {
    return this.#length;
  }

  get isWhole(): boolean {
    return this.#length === this.#size;
  }

  /** Begins anew, with a version of the file. */
  async begin(version: string, size: number | null): Promise<void> {
    await this.clear();
    [this.#version, this.#size] = [version, size];
    this.#partKey = `${this.#key}-${await digest(version)}`;
    await this.#remember();
  }

  async add(bytes: Uint8Array): Promise<void> {
    this.#pending.push(bytes);
    this.#length += bytes.length;
    while (this.#length - this.#parts.length * this.#partSize >= this.#partSize) await this.#keep(this.#partSize);
  }

  /** Says that all has arrived. */
  async finish(): Promise<void> {
    const rest = this.#length - this.#parts.length * this.#partSize;
    if (rest > 0) await this.#keep(rest);
    if (this.#size !== null) return;
    this.#size = this.#length;
    await this.#remember();
  }

  /** The file, which only a part of is read at a time. */
  blob(): Blob {
    return new Blob(this.#parts);
  }

  /** Forgets all of it. */
  async clear(): Promise<void> {
    await this.#store.delete(this.#key);
    for (let i = 0; await this.#store.get(this.#name(i)); i++) await this.#store.delete(this.#name(i));
    [this.#parts, this.#pending, this.#length, this.#version, this.#size] = [[], [], 0, '', null];
  }

  async #read(): Promise<void> {
    const entry = parseEntry((await (await this.#store.get(this.#key))?.text()) ?? '');
    if (!entry) return;
    [this.#version, this.#size] = [entry.version, entry.size];
    this.#partKey = `${this.#key}-${await digest(entry.version)}`;
    for (;;) {
      const part = await this.#store.get(this.#name(this.#parts.length));
      const due = Math.min(this.#partSize, (this.#size ?? Infinity) - this.#length);
      if (!part || due === 0 || part.size !== due) return;
      this.#parts.push(part);
      this.#length += part.size;
    }
  }

  /** Puts the first bytes of what is pending into the store; where it has no room, they stay in memory. */
  async #keep(size: number): Promise<void> {
    const pending = new Blob(this.#pending);
    const part = pending.slice(0, size);
    const rest = new Uint8Array(await pending.slice(size).arrayBuffer());
    this.#pending = rest.length > 0 ? [rest] : [];
    const name = this.#name(this.#parts.length);
    const there = await this.#store.get(name); // another page may be reading it
    if (there?.size !== size) await this.#store.put(name, part).catch(() => undefined);
    const kept = await this.#store.get(name);
    this.#parts.push(kept?.size === size ? kept : part);
  }

  #name(part: number): string {
    return `${this.#partKey}-${part}`;
  }

  async #remember(): Promise<void> {
    const entry: Entry = { version: this.#version, size: this.#size };
    await this.#store.put(this.#key, new Blob([JSON.stringify(entry)])).catch(() => undefined); // without room nothing is kept
  }
}

/** What is kept of a file beside its parts. */
interface Entry {
  version: string;
  size: number | null;
}

function parseEntry(json: string): Entry | null {
  try {
    return JSON.parse(json) as Entry;
  } catch {
    return null; // of a page that was closed too early
  }
}

/** A name for something of any length and with any characters. */
async function digest(text: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(hash, 0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
