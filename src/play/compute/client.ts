import type {
  Activation,
  AskOptions,
  AskStep,
  AskSummary,
  BackendCheck,
  Download,
  Emergence,
  Engine,
  LensCell,
  ModelInfo,
  ModelSize,
  MovedPosition,
  Progress,
  TokenNeighbors,
  TraceInfo,
} from './protocol.js';
import { connect, type Caller } from './rpc.js';

/** Starts the worker that computes. The page itself computes nothing. */
export function openEngine(): Engine {
  return engineOf(connect(new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })));
}

function engineOf(worker: Caller): Engine {
  const traces = new Map<string, Promise<TraceInfo>>();
  let vocabulary: Promise<string[]> | undefined;
  let emergence: Promise<Emergence> | undefined;
  return {
    info: () => worker.call('info') as Promise<ModelInfo>,
    sizeOf: (source) => worker.call('sizeOf', source) as Promise<ModelSize>,
    open: (source, signal) => worker.stream('open', signal, source) as AsyncGenerator<Download, void, undefined>,
    renewed: () => engineOf(worker),
    vocabulary: () => (vocabulary ??= worker.call('vocabulary') as Promise<string[]>),
    ask: (prompt: string, options: AskOptions, signal) =>
      worker.stream('ask', signal, prompt, options) as AsyncGenerator<AskStep | AskSummary, void, undefined>,
    // views that show the same prompt share its trace
    trace(prompt) {
      let trace = traces.get(prompt);
      if (!trace) {
        traces.clear();
        trace = worker.call('trace', prompt) as Promise<TraceInfo>;
        traces.set(prompt, trace);
      }
      return trace;
    },
    activation: (prompt, name) => worker.call('activation', prompt, name) as Promise<Activation>,
    lens: (prompt, count) => worker.call('lens', prompt, count) as Promise<LensCell[][]>,
    change: (prompt, change, count) => worker.call('change', prompt, change, count) as Promise<MovedPosition[]>,
    trust: (signal) => worker.stream('trust', signal) as AsyncGenerator<BackendCheck, void, undefined>,
    neighbors: (prompt, position, count, signal) =>
      worker.stream('neighbors', signal, prompt, position, count) as AsyncGenerator<Progress | TokenNeighbors, void>,
    emergence: () => (emergence ??= worker.call('emergence') as Promise<Emergence>),
  };
}
