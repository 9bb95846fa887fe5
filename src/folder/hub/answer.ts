import { HubError } from '../../lib/errors.js';
import { isTransient } from '../fetchFault.js';
import { MAX_ATTEMPTS, type Connection } from './connection.js';

/** The most that the answers to one question may take: far more than the list of any model's files. */
const MAX_ANSWERS = 100;
const MAX_BYTES = 2 ** 24;
/** Milliseconds after which an answer that still trickles in counts as endless. */
const MAX_MS = 120_000;

/**
 * A `fetch` for answers that are read into memory as a whole, such as lists of files in pages. The number of answers, their
 * size after decompression and their time are bounded, for all calls together.
 */
export function boundedFetch(
  connection: Connection,
  maxAttempts: number = MAX_ATTEMPTS,
): (url: string | URL | Request, init?: RequestInit) => Promise<Response> {
  let answers = 0;
  let bytesLeft = MAX_BYTES;
  const end = performance.now() + MAX_MS;

  function fault(text: string): HubError {
    return new HubError(`${connection.id.repo}: ${connection.host} ${text}`, { unreachable: true });
  }

  async function readBody(response: Response): Promise<Uint8Array<ArrayBuffer>> {
    const chunks: Uint8Array[] = [];
    const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
    if (!reader) return new Uint8Array();
    try {
      for (;;) {
        const { done, value } = await connection.withTimeout(reader.read());
        if (done) return concatenate(chunks);
        bytesLeft -= value.length;
        if (bytesLeft < 0) throw fault(`sent a list of files of more than ${MAX_BYTES / 2 ** 20} MiB`);
        if (performance.now() > end) throw fault(`did not finish the list of files within ${MAX_MS / 1000} seconds`);
        chunks.push(value);
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  }

  return async (url, init) => {
    answers++;
    if (answers > MAX_ANSWERS) throw fault(`sent a list of files of more than ${MAX_ANSWERS} pages`);
    for (let attempt = 1; ; attempt++) {
      const response = await connection.fetch(url, init, maxAttempts);
      const { status, headers } = response;
      try {
        return new Response(await readBody(response), { status, headers });
      } catch (error) {
        connection.options.signal?.throwIfAborted();
        if (error instanceof HubError) throw error;
        const broken = connection.unreachable(error);
        if (!isTransient(error) || attempt >= maxAttempts) throw broken;
        await connection.pause(broken.message, attempt);
      }
    }
  };
}

function concatenate(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
