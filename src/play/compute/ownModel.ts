import { messageOf } from '../../../reference/lib/errors.js';
import { hubUrl, InputError, load, type LanguageModel } from '../../browser.js';
import type { ByteSource } from '../../folder/byteSource.js';
import type { Folder } from '../../folder/folder.js';
import { folderUrl, request } from '../../folder/urlFolder.js';
import { CheckpointError } from '../../lib/errors.js';
import { readLanguageModel } from '../../languageModel.js';
import type { Download, ModelSize, ModelSource } from './protocol.js';

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const BACKEND = 'simd';
/** Milliseconds between two reports of progress. */
const REST = 100;

/** What a model takes, before anything large is read. */
export async function sizeOfModel(source: ModelSource, signal: AbortSignal): Promise<ModelSize> {
  if ('files' in source) {
    const files = filesAtTop(source.files);
    requireFile([...files.keys()], 'config.json', nameOf(source));
    return { name: nameOf(source), bytes: sum([...files.values()].map((file) => file.size)) };
  }
  const url = urlOf(source.address);
  const { ok, status } = await head(url, 'config.json', signal);
  if (!ok) throw new InputError(`${nameOf(source)} has no config.json (HTTP ${status})`);
  const whole = await head(url, WEIGHTS, signal);
  if (whole.ok) return { name: nameOf(source), bytes: Number(whole.headers.get('content-length')) || null };
  const index = await request(new URL(INDEX, url).href, signal);
  if (!index.ok) throw new InputError(`${nameOf(source)} has neither ${WEIGHTS} nor ${INDEX}`);
  const { metadata } = (await index.json()) as { metadata?: { total_size?: unknown } };
  return { name: nameOf(source), bytes: Number(metadata?.total_size) || null };
}

/** Reads a model, reporting progress. What comes from a URL is kept in the browser's storage for the next visit. */
export async function* readOwnModel(
  source: ModelSource,
  signal: AbortSignal,
): AsyncGenerator<Download, LanguageModel, undefined> {
  const reported: { latest: Download | null } = { latest: null };
  const onProgress = (file: string, done: number, total: number): void => {
    reported.latest = { file, done, total };
  };
  const loading =
    'files' in source
      ? readLanguageModel(pickedFolder(source), { backend: BACKEND, signal })
      : load(urlOf(source.address), { backend: BACKEND, keep: true, onProgress, signal });
  const pause = (): Promise<null> => new Promise((resolve) => setTimeout(resolve, REST, null));
  for (;;) {
    const model = await Promise.race([loading, pause()]);
    signal.throwIfAborted();
    if (model) return model;
    if (reported.latest) yield reported.latest;
  }
}

export function nameOf(source: ModelSource): string {
  if ('address' in source) return source.address.trim();
  return source.files[0]?.webkitRelativePath.split('/')[0] ?? 'the folder';
}

/** @throws InputError if the text is neither an address nor a Hub id. */
function urlOf(address: string): URL {
  const text = address.trim();
  const isOther = /^https?:\/\//i.test(text) && !/^https?:\/\/(www\.)?(huggingface\.co|hf\.co)\//i.test(text);
  return folderUrl(isOther ? text : hubUrl(text));
}

async function head(url: URL, file: string, signal: AbortSignal): Promise<Response> {
  return request(new URL(file, url).href, signal, { method: 'HEAD' });
}

/** The files of a chosen folder by name, without those in folders below it. */
function filesAtTop(files: readonly File[]): Map<string, File> {
  return new Map(
    files.filter((file) => file.webkitRelativePath.split('/').length === 2).map((file) => [file.name, file]),
  );
}

/** A folder that the reader chose. Its files are read where they lie. */
function pickedFolder(source: { files: readonly File[] }): Folder {
  const files = filesAtTop(source.files);
  const name = nameOf(source);
  const pathOf = (file: string): string => `${name}/${file}`;
  return {
    name,
    files: [...files.keys()],
    pathOf,
    open(file) {
      const found = files.get(file);
      return Promise.resolve(found ? fileSource(found, pathOf(file)) : null);
    },
  };
}

function fileSource(file: File, name: string): ByteSource {
  return {
    name,
    size: file.size,
    async readInto(target, offset) {
      try {
        const bytes = await file.slice(offset, offset + target.length).arrayBuffer();
        if (bytes.byteLength !== target.length) throw new Error('bytes are missing');
        target.set(new Uint8Array(bytes));
      } catch (error) {
        throw new CheckpointError(`${name} cannot be read: ${messageOf(error)}`);
      }
    },
    close: () => Promise.resolve(),
  };
}

function requireFile(files: readonly string[], file: string, folder: string): void {
  if (!files.includes(file)) throw new InputError(`${folder} has no ${file}, so it is not a model folder`);
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0);
}
