import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const TYPES: Record<string, string> = {
  ...{ '.html': 'text/html', '.js': 'text/javascript', '.json': 'application/json' },
  ...{ '.css': 'text/css', '.svg': 'image/svg+xml' },
};

const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

export interface Server {
  url: string;
  close(): Promise<void>;
}

/**
 * Serves folders on this machine. By default pages are cross-origin isolated, so that they may share memory between
 * threads, except in the folder `open`. `headers` replaces these headers, by folder.
 */
export async function serve(
  folders: Record<string, string>,
  headers: Record<string, Record<string, string>> = { open: {} },
): Promise<Server> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const [, mount, ...rest] = pathname.split('/');
    const path = mount in folders ? join(folders[mount], normalize(`/${rest.join('/')}`)) : '';
    const status = statSync(path, { throwIfNoEntry: false });
    if (!status?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-length': status.size,
      ...(headers[mount] ?? ISOLATED),
    });
    createReadStream(path).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
