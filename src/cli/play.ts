import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { InputError } from '../../reference/lib/errors.js';
import { demoFolder } from '../load.js';
import { integer } from './numbers.js';

interface PlayFlags {
  port: number;
  host: string;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
};

/**
 * Cross-origin isolation gives `simd` threads; the policy allows no code from elsewhere and no `eval`. The page may fetch
 * from https hosts, because a reader can name a model there, and the Hub redirects to hosts whose names change.
 */
export const PLAY_HEADERS: Readonly<Record<string, string>> = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'content-security-policy':
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self' https:; " +
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

export function playCommand(): Command {
  return new Command('play')
    .description('Serve the playground: see the demo model think, in a browser, with every number and its source.')
    .option('--port <n>', 'port to listen on; 0 takes a free one', integer(0, 65535), 8064)
    .option('--host <name>', 'address to listen on', '127.0.0.1')
    .addHelpText(
      'after',
      `
Ctrl-C ends it.

Examples:
  emergent play
  emergent play --port 0`,
    )
    .action(async ({ port, host }: PlayFlags) => {
      if (port < 0 || port > 65535) throw new InputError(`--port must be between 0 and 65535, got ${port}`);
      const { url } = await servePlayground(playFolder(), port, host);
      process.stdout.write(`The playground is at ${url} (Ctrl-C ends it)\n`);
    });
}

/** The built page: in the package beside the code, in a checkout in `dist`. */
function playFolder(): string {
  const folder = ['../../play', '../../dist/play']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(join(path, 'index.html')));
  if (folder === undefined) throw new InputError('the playground is not built: npm run build:play builds it');
  return folder;
}

/**
 * Serves the page. The package holds the demo once, so its files come from where the model is.
 *
 * @param port 0 for a free one
 * @throws InputError if the address cannot be listened on.
 */
export async function servePlayground(
  folder: string,
  port: number,
  host: string,
): Promise<{ url: string; server: Server }> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    const path = pathOf(folder, request.url ?? '/');
    const status = path === null ? undefined : statSync(path, { throwIfNoEntry: false });
    if (path === null || !status?.isFile()) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
      return;
    }
    response.writeHead(200, {
      ...PLAY_HEADERS,
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-length': status.size,
    });
    if (request.method === 'HEAD') response.end();
    else
      createReadStream(path)
        .on('error', () => response.destroy())
        .pipe(response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new InputError(`cannot listen on ${host}, port ${port}: ${error.message}`));
    });
    server.listen(port, host, resolve);
  });
  const { address, family, port: taken } = server.address() as AddressInfo;
  return { url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}/`, server };
}

/** The file of a request, null if its address is malformed. It never lies outside of the folder. */
function pathOf(folder: string, address: string): string | null {
  try {
    const path = normalize(`/${decodeURIComponent(new URL(address, 'http://localhost').pathname)}`);
    if (path.includes('\0')) return null;
    const demo = '/models/demo/';
    if (path.startsWith(demo)) return join(demoFolder(), path.slice(demo.length));
    return join(folder, path.endsWith('/') ? `${path}index.html` : path);
  } catch {
    return null;
  }
}
