import type { Session } from './backend.js';

/**
 * Runs tokens through a session chunk by chunk.
 *
 * @returns the logits [V] after the last one
 * @throws the signal's reason if it is aborted meanwhile.
 */
export async function feed(
  session: Session,
  ids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  let logits: Float32Array = new Float32Array(0);
  for (let start = 0; start < ids.length; start += session.chunk) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    logits = (await session.forward(ids.slice(start, start + session.chunk))).data;
    signal?.throwIfAborted(); // a device may have computed for long
  }
  return logits;
}

/**
 * Yields to the event loop: a backend that computes on this thread would starve timers, signals and output. `setTimeout`
 * would add 1 ms in Node and 4 ms in browsers.
 */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel() as unknown as { port1: Port; port2: Port };
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** A MessagePort, typed as in browsers. */
interface Port {
  onmessage: (() => void) | null;
  postMessage(message: null): void;
  close(): void;
}
