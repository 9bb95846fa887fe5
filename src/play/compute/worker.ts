import { Engine } from './engine.js';
import { sizeOfModel } from './ownModel.js';
import { serve } from './rpc.js';

/** The data lies beside the page; the bundler puts this file into the folder `assets`. */
const DATA = new URL('../', self.location.href);

const engine = new Engine(DATA);
serve(self as unknown as Parameters<typeof serve>[0], {
  info: () => engine.info(),
  sizeOf: (...args: Parameters<typeof sizeOfModel>) => sizeOfModel(...args),
  open: (...args: Parameters<Engine['open']>) => engine.open(...args),
  vocabulary: () => engine.vocabulary(),
  ask: (...args: Parameters<Engine['ask']>) => engine.ask(...args),
  trace: async (prompt: string) => engine.trace(prompt),
  activation: async (prompt: string, name: string) => engine.activation(prompt, name),
  lens: async (prompt: string, count: number) => engine.lens(prompt, count),
  change: (...args: Parameters<Engine['change']>) => engine.change(...args),
  trust: (signal: AbortSignal) => engine.trust(signal),
  neighbors: (...args: Parameters<Engine['neighbors']>) => engine.neighbors(...args),
  emergence: async () => engine.emergence(),
});
