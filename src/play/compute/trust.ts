import { messageOf } from '../../../reference/lib/errors.js';
import { openBackend, type Session } from '../../browser.js';
import type { LoadedModel } from '../../backend.js';
import type { Golden } from '../../verify/golden.js';
import { verify } from '../../verify/verify.js';
import type { BackendCheck, CheckedActivation } from './protocol.js';
import { withForward } from './withForward.js';

/** What a browser may have, the slowest to start last. */
export const CHECKED_BACKENDS = ['reference', 'simd', 'simd:1', 'gpu:webasm', 'gpu:webgl2', 'gpu:webgpu'];

/** Passes that are timed; the fastest counts. */
const PASSES = 3;

/** Checks the activations of each backend against PyTorch's. One that cannot run says why. */
export async function* checkBackends(
  model: LoadedModel,
  golden: Golden,
  signal: AbortSignal,
): AsyncGenerator<BackendCheck, void, undefined> {
  for (const name of CHECKED_BACKENDS) {
    if (signal.aborted) return;
    yield await checkBackend(model, golden, name).catch((error: unknown) => ({
      ...{ name, adapter: '', ms: 0, activations: [] },
      error: messageOf(error),
    }));
    await new Promise((resolve) => setTimeout(resolve)); // so that a cancellation arrives
  }
}

async function checkBackend(model: LoadedModel, golden: Golden, name: string): Promise<BackendCheck> {
  const backend = await openBackend(model, name);
  try {
    const times = new Map<string, number>();
    const session = backend.openSession();
    let ms = Infinity;
    for (let n = 0; n < PASSES; n++) {
      session.reset();
      const start = performance.now();
      // the first one traces too, so that the check finds everything compiled
      await session.forward(golden.header.tokens, { logits: 'all', trace: n === 0 ? () => undefined : undefined });
      ms = Math.min(ms, performance.now() - start);
    }
    await session.dispose();
    const report = await verify(model, golden, name, () => Promise.resolve(timed(backend.openSession(), times)));
    const activations = report.rows.map(({ name, op, status, bound, share, difference }): CheckedActivation => ({
      ...{ name, op, bound, share, ms: times.get(name) ?? 0 },
      error: difference?.relativeMax ?? Infinity,
      isOk: status === 'OK',
    }));
    return { name, adapter: backend.adapter, ms, activations, error: null };
  } finally {
    await backend.dispose();
  }
}

/** A session that notes the time from each activation to the next, without that of the comparison. */
function timed(session: Session, times: Map<string, number>): Session {
  return withForward(session, (ids, options = {}) => {
    let last = performance.now();
    return session.forward(ids, {
      ...options,
      trace: (name, value) => {
        times.set(name, performance.now() - last);
        options.trace?.(name, value);
        last = performance.now();
      },
    });
  });
}
