import fc from 'fast-check';
import {
  hubUrl,
  keptFolder,
  load,
  openBackend,
  openCacheStore,
  openFileStore,
  resolveBackend,
  urlFolder,
  type Dtype,
  type Store,
} from '../../src/browser.js';
import { add } from '../../accel/gpu/add.js';
import type { GpuBackend } from '../../accel/gpu/device.js';
import type { TextureHandle } from '../../accel/gpu/gpujs.js';
import { openDevice } from '../../accel/gpu/openDevice.js';
import { Engine } from '../../accel/simd/engine.js';
import { readSafetensors } from '../../src/checkpoint/reader.js';
import { readModel } from '../../src/checkpoint/readModel.js';
import { generateIds } from '../../src/generate.js';
import { readLanguageModel, type LanguageModel } from '../../src/languageModel.js';
import { parseGolden } from '../../src/verify/golden.js';
import { verify } from '../../src/verify/verify.js';
import { FUSED } from '../accel/gpu/fused.js';
import { gpuOps } from '../accel/gpu/ops.js';
import { Meter, PARITY } from '../accel/parity.js';
import { simdOps } from '../accel/simd/ops.js';

/** What a check of an op found, and how many tensors it left behind. */
type Measured = Omit<Meter, 'compare'> & { live: number };

async function measured(
  seed: number,
  check: (meter: Meter) => Promise<void>,
  device: { dispose(): Promise<void> },
  live: () => number,
): Promise<Measured> {
  fc.configureGlobal({ seed });
  const meter = new Meter();
  try {
    await check(meter).catch((error: unknown) => {
      const { message, cause } = error as Error;
      throw new Error(`${message}: ${String(cause)}`); // the cause would not leave the browser
    });
    const { share, error, bound, compared } = meter;
    return { share, error, bound, compared, live: live() };
  } finally {
    await device.dispose();
  }
}

/** Where a browser can keep files: its file system for pages, or its cache. */
type Place = 'files' | 'cache';

async function storeIn(place: Place): Promise<Store> {
  const store = await (place === 'files' ? openFileStore() : openCacheStore());
  if (!store) throw new Error(`this browser has no ${place}`);
  return store;
}

async function answer(model: LanguageModel, question: string): Promise<string> {
  let text = '';
  for await (const piece of model.generate(question)) text += piece;
  await model.dispose();
  return text;
}

/** What the test calls in the browser: everything goes in and comes out as JSON. */
const functions = {
  /** What a backend runs on; throws where it is not there. */
  async adapter(backend: GpuBackend): Promise<string> {
    const device = await openDevice(backend);
    await device.dispose();
    return device.adapter;
  },

  /** The backend that a name chooses. */
  resolve: (name: string): Promise<string> => resolveBackend(name),

  /** What simd runs on. */
  async simdAdapter(): Promise<string> {
    const engine = await Engine.open();
    await engine.dispose();
    return engine.adapter;
  },

  async parity(backend: GpuBackend | 'simd', op: string, seed: number): Promise<Measured> {
    if (backend === 'simd') {
      const engine = await Engine.open();
      return measured(
        seed,
        (meter) => PARITY[op](simdOps(engine), meter),
        engine,
        () => 0,
      );
    }
    const device = await openDevice(backend);
    return measured(
      seed,
      (meter) => PARITY[op](gpuOps(device), meter),
      device,
      () => device.live,
    );
  },

  async fused(backend: GpuBackend, op: keyof typeof FUSED, seed: number): Promise<Measured> {
    const device = await openDevice(backend);
    return measured(
      seed,
      (meter) => FUSED[op](device, meter),
      device,
      () => device.live,
    );
  },

  /** The largest distance of each op from PyTorch float64 as a share of its bound, and where it is over it. */
  async verifyGolden(backend: string, name: string): Promise<{ over: string | null; shares: [string, number][] }> {
    const folder = urlFolder(`/golden/models/${name}/`);
    const { model } = await readModel(folder);
    const truth = await readSafetensors((await folder.open('truth.safetensors'))!);
    const { first, rows } = await verify(model, await parseGolden(truth), backend);
    return { over: first?.name ?? null, shares: rows.map(({ op, share }) => [op, share]) };
  },

  /** What comes of computing on webgl2 when the browser has taken the context away. */
  async lostContext(): Promise<string> {
    const device = await openDevice('webgl2');
    const two = await device.upload({ data: Float32Array.of(2), shape: [1, 1] });
    const { context } = two.handle as TextureHandle;
    (context.getExtension('WEBGL_lose_context') as unknown as { loseContext(): void }).loseContext();
    return add(device)(two, two)
      .then((four) => device.read(four))
      .then(
        ({ data }) => `it gives ${data[0]}`,
        (error: unknown) => String(error),
      );
  },

  /** How often a download reports, and whether it ends at its end. */
  async progress(): Promise<{ reports: number; complete: boolean }> {
    const last = new Map<string, boolean>();
    let reports = 0;
    await load('/demo/', {
      onProgress(file, done, total) {
        reports++;
        last.set(file, done === total);
      },
    });
    return { reports, complete: last.has('model.safetensors') && [...last.values()].every(Boolean) };
  },

  /** The message of what loading a folder throws. */
  refusal: (url: string): Promise<string> =>
    load(url).then(
      () => 'it loads',
      (error: unknown) => String(error),
    ),

  /** What an id of the Hub is by URL. */
  hubUrl: (id: string, revision: string, endpoint: string): string => hubUrl(id, revision, endpoint),

  /** Begins to load a model that is kept in one of the two places, until so many bytes of its weights are here. */
  async beginKept(url: string, place: Place, bytes: number): Promise<void> {
    const store = await storeIn(place);
    await new Promise<void>((resolve, reject) => {
      const onProgress = (file: string, done: number): void => {
        if (file === 'model.safetensors' && done >= bytes) resolve();
      };
      readLanguageModel(keptFolder(url, store, { partSize: 500_000, onProgress })).catch(reject);
    });
  },

  /** Loads a model that is kept: the answer to a question, and the files that were downloaded. */
  async kept(url: string, place: Place, question: string): Promise<{ said: string; downloaded: string[] }> {
    const downloaded = new Set<string>();
    const onProgress = (file: string): unknown => downloaded.add(file);
    const model = await readLanguageModel(keptFolder(url, await storeIn(place), { partSize: 500_000, onProgress }));
    return { said: await answer(model, question), downloaded: [...downloaded] };
  },

  /** Loads as a page would, keeping what comes, and answers. */
  async askKept(url: string, question: string): Promise<string> {
    return answer(await load(url, { keep: true }), question);
  },

  async generate(backend: string, prompts: number[][], maxNewTokens: number): Promise<number[][]> {
    const { model, config } = await demo();
    const opened = await openBackend(model, backend);
    try {
      const chosen: number[][] = [];
      for (const prompt of prompts) {
        const session = opened.openSession();
        const ids: number[] = [];
        for await (const id of generateIds(session, config, prompt, { maxNewTokens })) ids.push(id);
        chosen.push(ids);
        await session.dispose();
      }
      return chosen;
    } finally {
      await opened.dispose();
    }
  },

  async ask(backend: string, prompt: string, dtype?: Dtype): Promise<string> {
    return answer(await load('/demo/', { backend, dtype }), prompt);
  },
};

let loaded: Promise<LanguageModel> | null = null;
function demo(): Promise<LanguageModel> {
  return (loaded ??= load('/demo/'));
}

export type PageFunctions = typeof functions;
Object.assign(globalThis, { functions });
