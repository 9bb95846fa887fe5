import { messageOf } from '../../reference/lib/errors.js';
import { builtin } from '../builtin.js';
import type { WasmMemory, WasmModule } from './webAssembly.js';

/** The first message to a worker. */
export interface WorkerStart {
  module: WasmModule;
  memory: WasmMemory;
  /** Address of the words that all threads share (SHARED_* in constants.ts). */
  shared: number;
  thread: number;
  threads: number;
}

/** Receives a worker's events. */
export interface WorkerListener {
  /** A plan is finished. Only the last thread to finish it reports. */
  onDone: () => void;
  /** The worker cannot start or cannot continue. */
  onFault: (message: string) => void;
}

/** A worker in Node or in a browser. */
export interface WorkerHandle {
  /** Sets whether the worker keeps the process alive. No effect after {@link terminate}. */
  hold: (held: boolean) => void;
  /** Stops the worker, even in the middle of a plan. The process stays alive until it has stopped. */
  terminate: () => Promise<void>;
}

/** A worker's whole program: it sleeps in `work` until the host submits a plan. It is text, so bundlers cannot lose it. */
const PROGRAM = `
function start({ module, memory, shared, thread, threads }, post) {
  const env = { memory, done: () => post('done') };
  new WebAssembly.Instance(module, { env }).exports.work(shared, thread, threads);
}
`;
const NODE_PROGRAM = `${PROGRAM}
const { parentPort, workerData } = require('node:worker_threads');
start(workerData, (message) => parentPort.postMessage(message));
`;
const WEB_PROGRAM = `${PROGRAM}
onmessage = ({ data }) => start(data, postMessage);
`;

export function startWorker(start: WorkerStart, listener: WorkerListener): WorkerHandle {
  const { Worker: WebWorker } = globalThis as { Worker?: WebWorkerConstructor };
  return WebWorker ? startInBrowser(WebWorker, start, listener) : startInNode(start, listener);
}

function startInBrowser(
  WebWorker: WebWorkerConstructor,
  start: WorkerStart,
  { onDone, onFault }: WorkerListener,
): WorkerHandle {
  const url = URL.createObjectURL(new Blob([WEB_PROGRAM], { type: 'text/javascript' }));
  const worker = openWorker(WebWorker, url);
  worker.onmessage = onDone;
  worker.onerror = ({ message }) => {
    const forbidden = message === undefined || message === ''; // browsers give no reason
    onFault(forbidden ? 'a Content-Security-Policy may forbid them' : message);
  };
  worker.postMessage(start);
  return {
    hold: () => undefined,
    terminate: () => {
      worker.terminate();
      URL.revokeObjectURL(url);
      return Promise.resolve();
    },
  };
}

function openWorker(WebWorker: WebWorkerConstructor, url: string): WebWorkerLike {
  try {
    return new WebWorker(url);
  } catch (error) {
    URL.revokeObjectURL(url);
    throw error;
  }
}

function startInNode(start: WorkerStart, { onDone, onFault }: WorkerListener): WorkerHandle {
  const { Worker } = builtin('node:worker_threads') as NodeWorkers;
  const worker = new Worker(NODE_PROGRAM, { eval: true, workerData: start, execArgv: [] });
  worker.on('message', onDone);
  worker.on('error', (error) => {
    onFault(messageOf(error));
  });
  worker.on('exit', () => {
    onFault('the worker exited');
  });
  worker.unref();
  let terminated = false;
  return {
    hold: (held) => {
      if (terminated) return; // an unreferenced worker would let Node exit before terminate() resolves
      if (held) worker.ref();
      else worker.unref();
    },
    terminate: async () => {
      terminated = true;
      await worker.terminate(); // references the worker until it has exited
    },
  };
}

interface NodeWorkers {
  Worker: new (
    program: string,
    options: { eval: true; workerData: WorkerStart; execArgv: readonly string[] },
  ) => NodeWorkerLike;
}

interface NodeWorkerLike {
  on(event: 'message' | 'exit', listener: () => void): void;
  on(event: 'error', listener: (error: unknown) => void): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<number>;
}

type WebWorkerConstructor = new (url: string) => WebWorkerLike;

interface WebWorkerLike {
  onmessage: (() => void) | null;
  onerror: ((event: { message?: string }) => void) | null;
  postMessage(message: WorkerStart): void;
  terminate(): void;
}
