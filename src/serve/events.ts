import { EmergentError } from '../../reference/lib/errors.js';
import { ApiError, type ErrorBody } from './apiError.js';
import type { Generation, Piece } from './generation.js';

/** A piece of one of several choices; null when that choice has ended. */
export interface IndexedPiece {
  index: number;
  piece: Piece | null;
}

/** The pieces of several choices, each as soon as it is there. */
export async function* mergePieces(generations: readonly Generation[]): AsyncGenerator<IndexedPiece, void, undefined> {
  const iterators = generations.map((generation) => generation.pieces());
  const read = async (index: number): Promise<IndexedPiece> => {
    const { done, value } = await iterators[index].next();
    return { index, piece: done ? null : value };
  };
  const pending = new Map(iterators.map((_, index) => [index, read(index)]));
  for (const promise of pending.values()) promise.catch(() => undefined); // the race reports the first failure
  try {
    while (pending.size > 0) {
      const next = await Promise.race(pending.values());
      if (next.piece) {
        const following = read(next.index);
        following.catch(() => undefined);
        pending.set(next.index, following);
      } else {
        pending.delete(next.index);
      }
      yield next;
    }
  } finally {
    for (const { sequence } of generations) sequence.cancel();
  }
}

/**
 * Server-sent events: a `data:` line for each object, at last `[DONE]`. An object is made only when the client takes it. An
 * error in mid-stream becomes the last event.
 *
 * @param onCancel called if the client goes away
 */
export function eventStream(
  objects: AsyncGenerator<unknown, void, undefined>,
  onCancel: () => void,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const event = (data: string): Uint8Array => encoder.encode(`data: ${data}\n\n`);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await objects.next();
          controller.enqueue(event(done ? '[DONE]' : JSON.stringify(value)));
          if (done) controller.close();
        } catch (error) {
          controller.enqueue(event(JSON.stringify(errorBodyOf(error))));
          controller.close();
        }
      },
      cancel() {
        onCancel();
      },
    },
    { highWaterMark: 0 },
  );
}

/** What a client is told about an error. */
export function errorBodyOf(error: unknown): ErrorBody {
  return toApiError(error).body;
}

/** Any error as one for the client. Those that nobody expected are not described. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const message = error instanceof EmergentError ? error.message : 'internal error';
  return new ApiError(500, message, { code: 'internal_error' });
}

export const EVENT_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
};
