/**
 * Calls of a worker's functions by name. A function is a promise of a value, or an async generator whose pieces arrive as
 * they are made. Ending the loop over a generator, or aborting, ends the function in the worker.
 */

type Request = { id: number; name: string; args: unknown[] } | { id: number; cancel: true };
type Reply = { id: number } & ({ piece: unknown } | { value: unknown } | { error: string });

/** What a worker's global scope and a Worker have in common. */
interface Port {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
}

/** Serves functions to the other side. The last argument of each is a signal that aborts when the caller cancels. */
export function serve(port: Port, functions: Record<string, (...args: never[]) => unknown>): void {
  const running = new Map<number, AbortController>();
  port.addEventListener('message', (event: MessageEvent<Request>) => {
    const request = event.data;
    if ('cancel' in request) {
      running.get(request.id)?.abort();
      return;
    }
    const { id, name, args } = request;
    const abort = new AbortController();
    running.set(id, abort);
    void (async () => {
      try {
        const result = functions[name](...([...args, abort.signal] as never[]));
        if (isGenerator(result)) {
          for await (const piece of result) port.postMessage({ id, piece } satisfies Reply);
          port.postMessage({ id, value: undefined } satisfies Reply);
        } else {
          port.postMessage({ id, value: await result } satisfies Reply);
        }
      } catch (error) {
        port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies Reply);
      } finally {
        running.delete(id);
      }
    })();
  });
}

/** A caller of the functions on the other side. */
export interface Caller {
  /** @throws Error with the worker's message. */
  call(name: string, ...args: unknown[]): Promise<unknown>;
  stream(name: string, signal: AbortSignal, ...args: unknown[]): AsyncGenerator<unknown, void, undefined>;
}

export function connect(port: Worker): Caller {
  const listeners = new Map<number, (reply: Reply) => void>();
  let last = 0;
  let broken: string | null = null;
  port.addEventListener('message', (event: MessageEvent<Reply>) => {
    listeners.get(event.data.id)?.(event.data);
  });
  port.addEventListener('error', (event) => {
    broken = `the page's worker failed: ${event.message || 'it could not be started'}`;
    for (const [id, listener] of [...listeners]) listener({ id, error: broken });
  });

  function send(name: string, args: unknown[], listener: (reply: Reply) => void): number {
    const id = ++last;
    listeners.set(id, listener);
    if (broken === null) port.postMessage({ id, name, args } satisfies Request);
    else listener({ id, error: broken });
    return id;
  }

  return {
    call(name, ...args) {
      return new Promise((resolve, reject) => {
        send(name, args, (reply) => {
          listeners.delete(reply.id);
          if ('error' in reply) reject(new Error(reply.error));
          else if ('value' in reply) resolve(reply.value);
        });
      });
    },

    async *stream(name, signal, ...args) {
      const replies: Reply[] = [];
      let wake: () => void = () => undefined;
      const id = send(name, args, (reply) => {
        replies.push(reply);
        wake();
      });
      const onAbort = (): void => {
        wake();
      };
      signal.addEventListener('abort', onAbort);
      try {
        for (;;) {
          signal.throwIfAborted();
          const reply = replies.shift();
          if (!reply) await new Promise<void>((resolve) => (wake = resolve));
          else if ('error' in reply) throw new Error(reply.error);
          else if ('piece' in reply) yield reply.piece;
          else return;
        }
      } finally {
        signal.removeEventListener('abort', onAbort);
        listeners.delete(id);
        port.postMessage({ id, cancel: true } satisfies Request);
      }
    },
  };
}

function isGenerator(value: unknown): value is AsyncGenerator {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
