import { messageOf } from '../../reference/lib/errors.js';
import { builtin } from '../builtin.js';
import type { WasmMemory, WasmModule } from './webAssembly.js';

/** What a worker is given. */
export interface WorkerStart {
  module: WasmModule;
  memory: WasmMemory;
  /** The address of the words that all threads look at. */
  shared: number;
  thread: number;
  threads: number;
}

/** What a worker tells. */
export interface WorkerListener {
  /** A plan is done; the last thread that works on it says so. */
  onDone: () => void;
  /** It cannot go on. */
  onFault: (message: string) => void;
}

/** A worker of Node or of a browser. */
export interface WorkerHandle {
  /** Whether the process has to wait for it. */
  hold: (held: boolean) => void;
  /** Ends it, whatever it does. */
  terminate: () => Promise<void>;
}

/** The whole program of a worker: it sleeps in `work` until a plan is ordered. As text, so that no bundler loses it. */
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
  const worker = new WebWorker(url);
  worker.onmessage = onDone;
  worker.onerror = ({ message }) => {
    onFault(message ?? 'it could not be started');
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

function startInNode(start: WorkerStart, { onDone, onFault }: WorkerListener): WorkerHandle {
  const { Worker } = builtin('node:worker_threads') as NodeWorkers;
  const worker = new Worker(NODE_PROGRAM, { eval: true, workerData: start, execArgv: [] });
  worker.on('message', onDone);
  worker.on('error', (error) => {
    onFault(messageOf(error));
  });
  worker.on('exit', () => {
    onFault('it ended');
  });
  worker.unref();
  return {
    hold: (held) => {
      if (held) worker.ref();
      else worker.unref();
    },
    terminate: async () => {
      await worker.terminate();
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
