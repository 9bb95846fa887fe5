import * as v from 'valibot';
import { EmergentError } from '../../reference/lib/errors.js';
import { isCount } from '../lib/guards.js';
import { checkJson, checkJsonSize, MAX_JSON, objectOf, parseJson } from '../lib/json.js';
import { Pieces } from './pieces.js';
import type { ByteSource } from './byteSource.js';
import { tolerant, type Store } from './store.js';

/** Identifies one version of a file. */
export interface Version {
  /** What the server says of it. */
  name: string;
  /** Whether the same name always means the same bytes. Otherwise the parts of two downloads never mix. */
  isExact: boolean;
}

/**
 * The parts of one file in a store: all of equal size except the last, each one stored whole or not at all. The name of
 * a part contains a hash of the file's version, so parts of two versions never mix. Parts of other versions are deleted
 * whenever a file is opened, begun or finished.
 */
export class KeptParts {
  readonly #store: Store;
  readonly #key: string;
  readonly #partSize: number;
  #partKey = '';
  #parts = 0;
  readonly #pieces = new Pieces();
  #writing: Promise<void> = Promise.resolve();
  #pending: Uint8Array<ArrayBuffer>[] = [];
  #version = '';
  #download = '';
  #size: number | null = null;
  #length = 0;

  private constructor(store: Store, key: string, partSize: number) {
    this.#store = tolerant(store);
    this.#key = key;
    this.#partSize = partSize;
  }

  /** Opens the parts of a file that earlier visits have stored. */
  static async open(store: Store, path: string, partSize: number): Promise<KeptParts> {
    const kept = new KeptParts(store, await digest(path), partSize);
    await kept.#read();
    return kept;
  }

  /** The version of the file that the parts come from, as the server identified it. */
  get version(): string {
    return this.#version;
  }

  /** Whether the same version always means the same bytes. */
  get isExact(): boolean {
    return this.#download === '';
  }

  /** The length of the whole file; null until it is known. */
  get size(): number | null {
    return this.#size;
  }

  /** The number of bytes present, counted from the start of the file. */
  get length(): number {
    return this.#length;
  }

  get isComplete(): boolean {
    return this.#length === this.#size;
  }

  /** Starts over with a version of the file. Keeps what another tab may have stored of exactly this version. */
  async begin({ name, isExact }: Version, size: number | null): Promise<void> {
    await this.#writing;
    await this.#store.delete(this.#key);
    this.#forget();
    await this.#use({ version: name, size, download: isExact ? '' : crypto.randomUUID() });
    await this.#deleteExcept((part) => part.startsWith(`${this.#partKey}-`));
    await this.#putEntry();
  }

  /** Appends bytes and stores every part that they complete. */
  async add(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#pending.push(bytes);
    this.#length += bytes.length;
    while (this.#pendingLength >= this.#partSize) await this.#putPart(this.#partSize);
  }

  /** Stores the last part, once the whole file has arrived. */
  async finish(): Promise<void> {
    if (this.#pendingLength > 0) await this.#putPart(this.#pendingLength);
    await this.#writing;
    const isSizeNew = this.#size === null;
    this.#size = this.#length;
    const entry = await this.#getEntry();
    const isOurs = !entry || (entry.version === this.#version && entry.download === this.#download);
    if (!isOurs) {
      // another tab has begun another version since
      for (let i = 0; i < this.#parts; i++) await this.#store.delete(this.#name(i));
      return;
    }
    if (isSizeNew || !entry) await this.#putEntry();
    const names = new Set(Array.from({ length: this.#parts }, (_, i) => this.#name(i)));
    await this.#deleteExcept((part) => names.has(part));
  }

  /** A source over the file. What an earlier visit has stored is not read before someone reads its bytes. */
  source(path: string): ByteSource {
    return this.#pieces.source(path);
  }

  /** Deletes the entry and all parts. */
  async clear(): Promise<void> {
    await this.#writing;
    await this.#store.delete(this.#key);
    await this.#deleteExcept(() => false);
    this.#forget();
  }

  #forget(): void {
    this.#parts = 0;
    this.#pieces.clear();
    this.#pending = [];
    this.#length = 0;
    this.#version = '';
    this.#download = '';
    this.#size = null;
  }

  async #use({ version, size, download }: Entry): Promise<void> {
    this.#version = version;
    this.#size = size;
    this.#download = download;
    this.#partKey = `${this.#key}-${await digest(`${version}${download}`)}`;
  }

  /** Deletes the parts of this file, of any version, except some. */
  async #deleteExcept(isWanted: (part: string) => boolean): Promise<void> {
    for (const name of await this.#store.names()) {
      if (name.startsWith(`${this.#key}-`) && !isWanted(name)) await this.#store.delete(name);
    }
  }

  /** Reads the entry and takes parts until one is missing or has the wrong length. */
  async #read(): Promise<void> {
    const entry = await this.#getEntry();
    if (!entry) return;
    await this.#use(entry);
    await this.#deleteExcept((part) => part.startsWith(`${this.#partKey}-`));
    for (;;) {
      const part = await this.#store.get(this.#name(this.#parts));
      const expected = Math.min(this.#partSize, (this.#size ?? Infinity) - this.#length);
      if (!part || expected === 0 || part.size !== expected) return;
      this.#parts++;
      this.#pieces.add(part);
      this.#length += part.size;
    }
  }

  /** The number of bytes that have arrived but are not in a part yet. */
  get #pendingLength(): number {
    return this.#length - this.#parts * this.#partSize;
  }

  /**
   * Stores the first pending bytes as a part while further ones arrive. They stay in memory, too, until the source is
   * closed, or where they are too many, only if the store is full.
   */
  async #putPart(size: number): Promise<void> {
    const bytes = this.#takePending(size);
    const name = this.#name(this.#parts);
    this.#parts++;
    await this.#writing; // no more than one part waits
    if (this.#pieces.hasMemory(size)) {
      for (const piece of bytes) this.#pieces.add(piece);
      this.#writing = this.#write(name, new Blob(bytes));
      return;
    }
    const part = new Blob(bytes);
    await this.#write(name, part);
    const stored = await this.#store.get(name);
    this.#pieces.add(stored?.size === size ? stored : part);
  }

  #takePending(size: number): Uint8Array<ArrayBuffer>[] {
    const taken: Uint8Array<ArrayBuffer>[] = [];
    for (let missing = size; missing > 0;) {
      const [first] = this.#pending;
      taken.push(first.subarray(0, missing));
      if (first.length > missing) this.#pending[0] = first.subarray(missing);
      else this.#pending.shift();
      missing -= taken.at(-1)!.length;
    }
    return taken;
  }

  /** Stores a part. One that exists is not overwritten: another page may be reading it. */
  async #write(name: string, part: Blob): Promise<void> {
    const existing = await this.#store.get(name);
    if (existing?.size !== part.size) await this.#store.put(name, part);
  }

  #name(part: number): string {
    return `${this.#partKey}-${part}`;
  }

  async #getEntry(): Promise<Entry | null> {
    const stored = await this.#store.get(this.#key);
    return stored && readEntry(stored);
  }

  async #putEntry(): Promise<void> {
    const entry: Entry = { version: this.#version, size: this.#size, download: this.#download };
    await this.#store.put(this.#key, new Blob([JSON.stringify(entry)]));
  }
}

/** What the store records about a file besides its parts. */
interface Entry {
  version: string;
  size: number | null;
  /** Identifies the download, where the version does not identify the bytes; '' where it does. */
  download: string;
}

const ENTRY: v.GenericSchema<Entry> = objectOf(
  {
    version: v.string('must be a string'),
    size: v.nullable(v.custom<number>(isCount, 'must be a number of bytes')),
    download: v.string('must be a string'),
  },
  'must be an object',
);

/** Reads an entry; null if it is not one, as when the page was closed while it wrote the entry. */
async function readEntry(stored: Blob): Promise<Entry | null> {
  const source = { path: 'entry', Fault: EmergentError };
  try {
    checkJsonSize(stored.size, MAX_JSON, source);
    return checkJson(ENTRY, parseJson(new Uint8Array(await stored.arrayBuffer()), source), source);
  } catch {
    return null;
  }
}

/** A short name for a text of any length and with any characters. */
async function digest(text: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(hash, 0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
