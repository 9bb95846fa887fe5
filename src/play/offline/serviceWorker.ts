/**
 * Keeps the page for visits without a network. The build writes the list of its files and their version, a hash of their
 * contents, into this script. It asks nothing of other hosts.
 */

/** What we use of a service worker's global scope; TypeScript's library for workers contradicts the one for pages. */
interface WorkerScope {
  readonly registration: { readonly scope: string };
  addEventListener(type: 'install' | 'activate', listener: (event: ExtendableEvent) => void): void;
  addEventListener(type: 'fetch', listener: (event: FetchEvent) => void): void;
}
interface ExtendableEvent {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

const scope = self as unknown as WorkerScope;
const { version, files } = JSON.parse('%PRECACHE%') as { version: string; files: string[] };
/** Names of caches: several playgrounds may share a host. */
const PREFIX = `emergent-play ${scope.registration.scope} `;
const PAGE = 'index.html';

scope.addEventListener('install', (event) => {
  event.waitUntil(keepAll());
});

scope.addEventListener('activate', (event) => {
  event.waitUntil(deleteOthers());
});

scope.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(scope.registration.scope)) return;
  event.respondWith(respond(request));
});

/** Downloads all files. If one fails, the browser keeps the version before and tries again at the next visit. */
async function keepAll(): Promise<void> {
  const cache = await caches.open(PREFIX + version);
  for (const file of files) {
    const url = addressOf(file);
    const response = await fetch(url, { cache: 'no-cache' });
    if (!response.ok) throw new Error(`${file}: HTTP ${response.status}`);
    // a redirected response must not answer a navigation, so only its content is kept
    const { headers } = response;
    await cache.put(url, response.redirected ? new Response(await response.blob(), { headers }) : response);
  }
}

async function deleteOthers(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== PREFIX + version) await caches.delete(name);
  }
}

/**
 * Files in `assets/` have a hash in their name, so a kept one is right. The others come from the network as long as there
 * is one, so that the page and its data are of the same version.
 */
async function respond(request: Request): Promise<Response> {
  const cache = await caches.open(PREFIX + version);
  const path = request.url.slice(scope.registration.scope.length).replace(/[?#].*$/s, '');
  const kept = (): Promise<Response | undefined> => cache.match(addressOf(path === '' ? PAGE : path));
  if (path.startsWith('assets/')) return (await kept()) ?? fetch(request);
  try {
    return await fetch(request);
  } catch (error) {
    const response = await kept();
    if (response) return response;
    // a folder of which we keep every file has no other: the loader asks for files that a model may lack
    if (files.some((file) => folderOf(file) === folderOf(path))) return new Response(null, { status: 404 });
    throw error;
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

function addressOf(file: string): string {
  return new URL(file, scope.registration.scope).href;
}
