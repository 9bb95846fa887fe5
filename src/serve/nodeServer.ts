import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { InputError, messageOf } from '../../reference/lib/errors.js';
import { ApiError } from './apiError.js';

export interface NodeServerOptions {
  host: string;
  /** 0 for a free one. */
  port: number;
  /** Milliseconds in which a client has to send its headers. Default: 10 s. */
  headersTimeout?: number | undefined;
  /** Milliseconds in which a client has to send the whole request. Default: 60 s. */
  requestTimeout?: number | undefined;
}

export interface NodeServer {
  readonly url: string;
  /**
   * Stops accepting, waits for the answers that have begun, but no longer than a second, and closes all connections.
   */
  close(): Promise<void>;
}

/** Longer than load balancers keep idle connections, so that they close first. */
const KEEP_ALIVE = 65_000;
const CLOSE_TIMEOUT = 1000;

/**
 * Serves a handler of web-standard requests with `node:http`.
 *
 * @throws InputError if the address cannot be listened on.
 */
export async function listen(
  handle: (request: Request) => Promise<Response>,
  { host, port, headersTimeout = 10_000, requestTimeout = 60_000 }: NodeServerOptions,
): Promise<NodeServer> {
  const timeouts = { headersTimeout, requestTimeout, keepAliveTimeout: KEEP_ALIVE };
  const interval = { connectionsCheckingInterval: Math.min(1000, headersTimeout) };
  const server = createServer({ ...timeouts, ...interval }, (incoming, outgoing) => {
    answer(handle, incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.on('clientError', refuse);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new InputError(`cannot listen on ${host}, port ${port}: ${error.message}`));
    });
    server.listen(port, host, resolve);
  });
  const { address, family, port: taken } = server.address() as AddressInfo;
  return { url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`, close: () => close(server) };
}

async function answer(
  handle: (request: Request) => Promise<Response>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) gone.abort(new Error('the client has gone'));
  });
  const request = toRequest(incoming, gone.signal);
  const response = request instanceof ApiError ? toResponse(request) : await handle(request);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.flushHeaders();
  await send(response.body, outgoing);
  incoming.resume(); // what is left of a body that was refused
}

/** Sends a body as fast as the client reads it. */
async function send(body: ReadableStream<Uint8Array> | null, outgoing: ServerResponse): Promise<void> {
  if (body) {
    const reader = body.getReader();
    outgoing.once('close', () => void reader.cancel().catch(() => undefined));
    for (;;) {
      const { done, value } = await reader.read();
      if (done || outgoing.destroyed) break;
      if (!outgoing.write(value)) await drained(outgoing);
    }
  }
  outgoing.end();
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (outgoing.destroyed) {
      resolve();
      return;
    }
    const done = (): void => {
      outgoing.off('drain', done).off('close', done);
      resolve();
    };
    outgoing.on('drain', done).on('close', done);
  });
}

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request | ApiError {
  const method = incoming.method ?? 'GET';
  const headers = new Headers();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    headers.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
  }
  const hasBody = method !== 'GET' && method !== 'HEAD';
  try {
    const url = new URL(incoming.url ?? '/', `http://${incoming.headers.host ?? ''}`);
    const body = hasBody ? (Readable.toWeb(incoming) as ReadableStream<Uint8Array>) : null;
    return new Request(url, { method, headers, body, signal, duplex: 'half' });
  } catch (error) {
    return new ApiError(400, `not a request: ${messageOf(error)}`, { code: 'invalid_request' });
  }
}

function toResponse({ status, body, headers }: ApiError): Response {
  return Response.json(body, { status, headers });
}

/** Answers what is not HTTP, or too slow. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const isSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const isLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const [status, phrase] = isSlow
    ? [408, 'Request Timeout']
    : isLarge
      ? [431, 'Headers Too Large']
      : [400, 'Bad Request'];
  const message = isSlow ? 'the request took too long' : isLarge ? 'the headers are too large' : 'this is not HTTP';
  const body = JSON.stringify(new ApiError(status, message, { code: 'invalid_request' }).body);
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) =>
    server.close(() => {
      resolve();
    }),
  );
  server.closeIdleConnections();
  const timer = setTimeout(() => {
    server.closeAllConnections();
  }, CLOSE_TIMEOUT);
  await closed;
  clearTimeout(timer);
}
