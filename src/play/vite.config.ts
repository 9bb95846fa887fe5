import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { countries } from './build/countries.js';
import { highlightedSource } from './build/highlightedSource.js';
import { precache } from './build/precache.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const page = fileURLToPath(new URL('.', import.meta.url));
/** `npm run build:site` sets this; then the page links to the book and the API beside it. */
const outDir = join(root, process.env.VITE_SITE === undefined ? 'dist/play' : 'dist/site');

/** What the page reads beside its own code: copied to `dist/play`, so that any host can serve the folder. */
const DATA: Readonly<Record<string, readonly string[]>> = {
  'models/demo': ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'],
  'golden/fixtures/demo/activations': ['truth.safetensors'],
};

function copyData(): Plugin {
  return {
    name: 'copy-data',
    apply: 'build',
    async closeBundle() {
      for (const [folder, files] of Object.entries(DATA)) {
        await mkdir(join(outDir, folder), { recursive: true });
        for (const file of files) await copyFile(join(root, folder, file), join(outDir, folder, file));
      }
    },
  };
}

/**
 * Leaves GPU.js out of the page: it needs kernels as text, which `npm run build` makes of them. Choosing a GPU then says so.
 */
function withoutGpu(): Plugin {
  const text = `
    import { DeviceError } from ${JSON.stringify(join(root, 'accel/errors.ts'))};
    export function openGpuBackend() { throw new DeviceError('GPU.js compiles its kernels with eval, which a strict Content-Security-Policy forbids; this page leaves it out'); }
    export const chooseGpuBackend = openGpuBackend;
    export const chooseRealGpu = () => ({ backend: null, adapter: null, passedOver: [] });
  `;
  return {
    name: 'without-gpu',
    enforce: 'pre',
    resolveId: (id) => (/\/accel\/gpu\/(backend|choose)\.js$/.test(id) ? '\0without-gpu' : null),
    load: (id) => (id === '\0without-gpu' ? text : null),
  };
}

export default defineConfig({
  root: page,
  base: './',
  publicDir: false,
  plugins: [withoutGpu(), highlightedSource(), copyData(), precache(outDir)],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es', plugins: () => [withoutGpu(), countries()] },
  build: {
    outDir,
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    rolldownOptions: {
      checks: { bundlerTimings: false },
      input: [join(page, 'index.html'), join(page, 'offline/serviceWorker.ts')],
      output: {
        // a service worker must lie beside the page, under a name that stays
        entryFileNames: ({ name }) => (name === 'serviceWorker' ? '[name].js' : 'assets/[name]-[hash].js'),
      },
    },
    assetsInlineLimit: 0, // a strict Content-Security-Policy allows no data: URLs
  },
});
