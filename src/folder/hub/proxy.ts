import { isIPv4, isIPv6 } from 'node:net';
import type { Dispatcher } from 'undici';
import { InputError } from '../../../reference/lib/errors.js';

/*
 * HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, as Python's httpx reads them for huggingface_hub. The `fetch` of Node
 * 20 ignores them, so requests go through undici, the package that Node's own `fetch` comes from.
 */

type Scheme = 'http' | 'https';
const SCHEMES: readonly Scheme[] = ['http', 'https'];

/** The proxy for each scheme and the hosts that need none. */
interface Proxies {
  urls: Partial<Record<Scheme, string>>;
  exceptions: readonly string[];
}

/**
 * A `fetch` that goes through the proxies of the environment; the global one if there are none.
 *
 * @throws InputError if a proxy cannot be used.
 */
export async function fetchThroughProxies(): Promise<typeof fetch> {
  const proxies = readProxies();
  if (!proxies) return fetch;
  const { Agent, ProxyAgent, fetch: undiciFetch } = await import('undici');
  const agents = new Map<string, Dispatcher>();
  // without `proxyTunnel: false` even http goes through CONNECT, which most proxies allow for https only
  for (const url of Object.values(proxies.urls)) agents.set(url, new ProxyAgent({ uri: url, proxyTunnel: false }));
  const dispatcher = new Agent().compose((direct) => (options, handler) => {
    const proxy = proxyFor(new URL(String(options.origin)), proxies);
    const agent = proxy === null ? undefined : agents.get(proxy);
    return agent ? agent.dispatch(options, handler) : direct(options, handler);
  });
  const send = (url: string, { headers, ...init }: RequestInit = {}): ReturnType<typeof undiciFetch> => {
    const options = { ...init, headers: [...new Headers(headers)], dispatcher } as Parameters<typeof undiciFetch>[1];
    return undiciFetch(url, options);
  };
  return send as unknown as typeof fetch; // undici's types differ from those of its copy in Node
}

/** The proxy to use for a URL; null for none. */
function proxyFor(url: URL, { urls, exceptions }: Proxies): string | null {
  const proxy = urls[url.protocol.slice(0, -1) as Scheme];
  return proxy === undefined || exceptions.some((exception) => isExcepted(url, exception)) ? null : proxy;
}

/** Whether an entry of NO_PROXY covers a URL: `a.org` with its subdomains, `.a.org` without, `a.org:80`, `http://a.org`. */
function isExcepted(url: URL, exception: string): boolean {
  const [, scheme = 'all', rest = ''] = /^(?:(\w+):\/\/)?(.*)$/.exec(exception.toLowerCase()) ?? [];
  if (scheme !== 'all' && `${scheme}:` !== url.protocol) return false;
  const [, host, port] = isIPv6(rest) ? [rest, `[${rest}]`, ''] : /^(.*?)(?::(\d+))?$/.exec(rest)!;
  const defaultPort = url.protocol === 'https:' ? '443' : '80';
  if (port && port !== (url.port || defaultPort)) return false;
  const isExact = exception.includes('://') || host === 'localhost' || isIPv4(host) || host.startsWith('[');
  if (isExact) return url.hostname === host;
  return url.hostname === host || url.hostname.endsWith(host.startsWith('.') ? host : `.${host}`);
}

function readProxies(): Proxies | null {
  const exceptions = (environment('no') ?? '').split(',').map((entry) => entry.trim());
  if (exceptions.includes('*')) return null;
  const urls: Proxies['urls'] = {};
  for (const scheme of SCHEMES) {
    const url = proxyUrl(scheme) ?? proxyUrl('all');
    if (url !== undefined) urls[scheme] = url;
  }
  return Object.keys(urls).length === 0 ? null : { urls, exceptions: exceptions.filter((entry) => entry !== '') };
}

/** @throws InputError if the variable is not the URL of an HTTP proxy. The message hides what may be a password. */
function proxyUrl(name: Scheme | 'all'): string | undefined {
  const value = environment(name);
  if (!value) return undefined;
  const url = value.includes('://') ? value : `http://${value}`;
  const variable = `${name.toUpperCase()}_PROXY`;
  if (!URL.canParse(url)) throw new InputError(`${variable} is not a URL`);
  const { protocol } = new URL(url);
  if (protocol === 'http:' || protocol === 'https:') return url;
  throw new InputError(`${variable} is a proxy for ${protocol}//; only http:// and https:// proxies are supported`);
}

/** A variable such as `https_proxy`, in lower case or, without that, upper case. */
function environment(name: Scheme | 'all' | 'no'): string | undefined {
  const lower = `${name}_proxy`;
  return (process.env[lower] ?? process.env[lower.toUpperCase()])?.trim();
}
