import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const TYPES: [string, string][] = [
  ['.html', 'text/html'],
  ['.js', 'text/javascript'],
];

/** A file of a server, with the headers that tell its version. */
export interface ServedFile {
  bytes: Uint8Array;
  headers: Record<string, string>;
}

/** Serves files that change, with ranges, and can stop in the middle of one. */
export class VersionedServer {
  readonly files: Record<string, ServedFile> = {};
  /** The `range` header of each GET request, '' for none, by file. */
  readonly ranges: Record<string, string[]> = {};
  /** The next response for this file stops after so many bytes, until `goOn` or `breakOff`. */
  stop: { file: string; after: number } | null = null;
  readonly #server: Server = createServer((request, response) => this.#answer(request, response));
  #stopped: { response: ServerResponse; rest: Uint8Array } | null = null;
  #onStop: () => void = () => undefined;

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Resolves once a response has stopped. */
  stopAfter(file: string, after: number): Promise<void> {
    this.stop = { file, after };
    return new Promise((resolve) => (this.#onStop = resolve));
  }

  /** Sends the rest of the response that stopped. */
  goOn(): void {
    this.#stopped?.response.end(this.#stopped.rest);
    this.#stopped = null;
  }

  /** Breaks the connection of the response that stopped. */
  breakOff(): void {
    this.#stopped?.response.destroy();
    this.#stopped = null;
  }

  #answer({ url = '/', method, headers }: IncomingMessage, response: ServerResponse): void {
    const name = url.slice(1);
    if (!(name in this.files)) {
      response.writeHead(404).end();
      return;
    }
    const { bytes, headers: version } = this.files[name];
    const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    if (method === 'GET') (this.ranges[name] ??= []).push(headers.range ?? '');
    if (from > 0 && from >= bytes.length) {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
      return;
    }
    response.sendDate = 'date' in version;
    response.writeHead(headers.range ? 206 : 200, {
      'content-type': TYPES.find(([ending]) => name.endsWith(ending))?.[1] ?? 'application/octet-stream',
      'content-length': bytes.length - from,
      ...(headers.range && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
      ...version,
    });
    const body = bytes.subarray(from);
    if (method === 'GET' && this.stop?.file === name) {
      const { after } = this.stop;
      this.stop = null;
      this.#stopped = { response, rest: body.subarray(after) };
      response.write(body.subarray(0, after), () => this.#onStop());
    } else response.end(method === 'HEAD' ? undefined : body);
  }
}
