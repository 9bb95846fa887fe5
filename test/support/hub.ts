import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The files at the root of a repository, by name. */
export type Files = Record<string, Uint8Array>;

/** A fault to inject into the next requests for paths with a given ending. */
export interface Fault {
  /** The number of requests that fail, default 1; Infinity for all. */
  times?: number;
  status?: number;
  headers?: Record<string, string>;
  /** Breaks the connection after this many bytes of the body; the last of them may be lost. */
  dropAfter?: number;
  /** Ends the body normally after this many bytes, without a Content-Length. */
  endAfter?: number;
  /** Sends this many extra bytes. */
  surplus?: number;
  /** Changes one byte. */
  corrupt?: boolean;
  /** Ignores the requested range and sends the whole file. */
  noRange?: boolean;
  /** Sends nothing after `dropAfter` bytes but keeps the connection open. */
  stall?: boolean;
  /** Sends this body instead. */
  body?: string;
  /** Never answers but keeps the connection open. */
  silent?: boolean;
  /** Answers in any other way. */
  answer?: (request: IncomingMessage, response: ServerResponse) => void;
}

export interface Seen {
  /** Which server got the request: the Hub, or the host of its large files. */
  by: 'hub' | 'cdn';
  path: string;
  range: string | undefined;
  authorization: string | undefined;
}

const LARGE = /\.(safetensors|bin|pt|pth|ckpt)$/;

/**
 * A server that behaves like the Hugging Face Hub: models with revisions, file lists with git and Git LFS hashes,
 * redirects of large files to another host, ranges and tokens. It injects faults on request.
 */
export class FakeHub {
  readonly seen: Seen[] = [];
  /** The only token that grants access; null if none is needed. */
  token: string | null = null;
  /** Refuses requests like a gated model. */
  gated = false;
  readonly #models = new Map<string, { refs: Map<string, string>; commits: Map<string, Files> }>();
  readonly #faults: { ending: string; fault: Fault; left: number }[] = [];
  readonly #servers: Server[] = [];
  #hub = '';
  #cdn = '';

  async open(): Promise<this> {
    this.#hub = await this.#listen((request, response) => this.#answer(request, response));
    this.#cdn = await this.#listen((request, response) => this.#deliver(request, response));
    return this;
  }

  get url(): string {
    return this.#hub;
  }

  async close(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    this.#servers.length = 0;
  }

  /** Adds a commit to a model and points a branch to it. @returns its hash */
  commit(repo: string, files: Files, branch = 'main'): string {
    const model = this.#models.get(repo) ?? { refs: new Map<string, string>(), commits: new Map<string, Files>() };
    this.#models.set(repo, model);
    const sum = createHash('sha1');
    for (const [name, bytes] of Object.entries(files)) sum.update(name).update(bytes);
    const hash = sum.digest('hex');
    model.refs.set(branch, hash);
    model.commits.set(hash, files);
    return hash;
  }

  fail(ending: string, fault: Fault): void {
    this.#faults.push({ ending, fault, left: fault.times ?? 1 });
  }

  /** Clears the logged requests, the faults and the access rules. */
  reset(): void {
    this.seen.length = 0;
    this.#faults.length = 0;
    this.token = null;
    this.gated = false;
  }

  /** The requests for files with this name, on either server. */
  asked(file: string): Seen[] {
    return this.seen.filter(({ path }) => path.split('?')[0].endsWith(file));
  }

  async #listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const server = createServer(handle);
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #fault(path: string): Fault {
    const found = this.#faults.find(({ ending, left }) => left > 0 && path.split('?')[0].endsWith(ending));
    if (!found) return {};
    found.left--;
    return found.fault;
  }

  /** Logs a request and applies its fault. @returns the fault left for delivery, or null if the request is answered */
  #begin(by: Seen['by'], request: IncomingMessage, response: ServerResponse): Fault | null {
    const { url = '/', headers } = request;
    // the headers that the Hub exposes to other origins
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader(
      'access-control-expose-headers',
      'ETag, Content-Range, X-Repo-Commit, X-Linked-Size, X-Linked-ETag',
    );
    response.setHeader('cross-origin-resource-policy', 'cross-origin');
    this.seen.push({ by, path: url, range: headers.range, authorization: headers.authorization });
    // the fault of a large file applies on the other host
    const fault = by === 'hub' && LARGE.test(url) ? {} : this.#fault(url);
    return this.#inject(fault, request, response);
  }

  /** Applies a fault that needs no file. @returns the fault if it does, or null if the request is answered */
  #inject(fault: Fault, request: IncomingMessage, response: ServerResponse): Fault | null {
    if (fault.silent) return null;
    if (fault.answer) {
      fault.answer(request, response);
      return null;
    }
    if (fault.status === undefined && fault.body === undefined) return fault;
    const { status = 200, body = 'a fault', headers: extra } = fault;
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...extra }).end(body);
    return null;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const fault = this.#begin('hub', request, response);
    if (!fault) return;
    const refuse = (status: number, code: string): void => {
      response.writeHead(status, { 'x-error-code': code, 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: code }));
    };
    const { pathname, searchParams } = new URL(request.url ?? '/', this.#hub);
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(pathname);
    const file = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/([^/]+)$/.exec(pathname);
    const [repo, revision] = (api ? [api[1], api[3]] : file ? [file[1], file[2]] : ['', '']).map(decodeURIComponent);
    const model = this.#models.get(repo);
    const sent = request.headers.authorization;
    if (this.gated && sent !== `Bearer ${this.token}`) return refuse(sent ? 403 : 401, 'GatedRepo');
    if (this.token !== null && sent !== `Bearer ${this.token}`) return refuse(401, 'RepoNotFound');
    if (!model) return refuse(sent ? 404 : 401, 'RepoNotFound'); // like the Hub, which does not tell strangers which models exist
    const commit = model.refs.get(revision) ?? revision;
    const files = model.commits.get(commit);
    if (!files) return refuse(404, 'RevisionNotFound');
    if (api?.[2] === 'revision') {
      const info = { _id: '1', id: repo, sha: commit, private: false, gated: false, downloads: 0, likes: 0 };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ ...info, lastModified: new Date(0), siblings: [] }));
    } else if (api) {
      this.#list(files, Number(searchParams.get('cursor') ?? 0), request, response);
    } else if (file) {
      const name = decodeURIComponent(file[3]);
      if (!(name in files)) {
        const isDue = LARGE.test(name); // no other host will apply its fault
        if (isDue && !this.#inject(this.#fault(name), request, response)) return;
        return refuse(404, 'EntryNotFound');
      }
      const etag = LARGE.test(name) ? sha256(files[name]) : gitHash(files[name]);
      const headers = { 'x-repo-commit': commit, etag: `"${etag}"` };
      if (!LARGE.test(name)) return send(files[name], request, response, fault, headers);
      response.writeHead(302, {
        ...headers,
        'x-linked-size': files[name].length,
        'x-linked-etag': `"${etag}"`,
        location: `${this.#cdn}/${encodeURIComponent(repo)}/${commit}/${file[3]}?signature=1`,
      });
      response.end();
    } else {
      refuse(404, 'NotFound');
    }
  }

  /** Lists three files per page, so that lists have several pages. */
  #list(files: Files, from: number, request: IncomingMessage, response: ServerResponse): void {
    const all = Object.entries(files).map(([path, bytes]) => ({
      type: 'file',
      path,
      size: bytes.length,
      oid: gitHash(LARGE.test(path) ? new TextEncoder().encode(`pointer to ${path}`) : bytes),
      ...(LARGE.test(path) && { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 134 } }),
    }));
    const entries = [{ type: 'directory', path: 'figures', size: 0, oid: '0'.repeat(40) }, ...all];
    const page = entries.slice(from, from + 3);
    const next = `${this.#hub}${(request.url ?? '').replace(/[?].*/, '')}?cursor=${from + 3}`;
    const headers = {
      'content-type': 'application/json',
      ...(from + 3 < entries.length && { link: `<${next}>; rel="next"` }),
    };
    response.writeHead(200, headers).end(JSON.stringify(page));
  }

  #deliver(request: IncomingMessage, response: ServerResponse): void {
    const fault = this.#begin('cdn', request, response);
    if (!fault) return;
    const [, repo, commit, name] = new URL(request.url ?? '/', this.#cdn).pathname.split('/').map(decodeURIComponent);
    send(this.#models.get(repo)!.commits.get(commit)![name], request, response, fault, { etag: '"of the other host"' });
  }
}

/** Sends a file or the requested range of it, with a fault applied. */
function send(
  bytes: Uint8Array,
  { method, headers }: IncomingMessage,
  response: ServerResponse,
  { dropAfter, endAfter, surplus = 0, corrupt, noRange, stall }: Fault,
  extra: Record<string, string>,
): void {
  const range = noRange ? null : /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
  const from = range ? Number(range[1]) : 0;
  const to = range?.[2] ? Number(range[2]) + 1 : bytes.length;
  if (from >= bytes.length && from > 0) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    return;
  }
  const body = Buffer.concat([bytes.subarray(from, to), Buffer.alloc(surplus)]);
  if (corrupt) body[0] ^= 1;
  response.writeHead(range ? 206 : 200, {
    ...extra,
    'accept-ranges': 'bytes',
    ...(endAfter === undefined && { 'content-length': body.length }),
    ...(range && { 'content-range': `bytes ${from}-${to + surplus - 1}/${bytes.length + surplus}` }),
  });
  if (method === 'HEAD') response.end();
  else if (dropAfter !== undefined) {
    response.write(body.subarray(0, dropAfter), () => {
      if (!stall) response.destroy();
    });
  } else response.end(body.subarray(0, endAfter));
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The git blob hash of a file with these bytes. */
export function gitHash(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}
