import { ApiError } from './apiError.js';

export interface AccessOptions {
  /** If set, requests need it as a bearer token. */
  apiKey?: string | undefined;
  /** The origin whose pages may call, or `*`. Default: pages on this machine. */
  cors?: string | undefined;
  /**
   * Which Host headers are accepted. By default only names of this machine, so that a page elsewhere cannot reach the server
   * by pointing its own name here (DNS rebinding).
   */
  hosts?: 'loopback' | 'any' | undefined;
}

const LOOPBACK = /^(localhost|[\w-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** @throws ApiError 403 for a Host that is not accepted. */
export function checkHost(url: URL, { hosts = 'loopback' }: AccessOptions): void {
  if (hosts === 'any' || LOOPBACK.test(url.hostname)) return;
  throw new ApiError(403, 'this server answers only to localhost', { code: 'host_not_allowed' });
}

/** @throws ApiError 401 without the key. */
export function checkKey(request: Request, { apiKey }: AccessOptions): void {
  if (apiKey === undefined) return;
  const given = /^Bearer (.+)$/i.exec(request.headers.get('authorization') ?? '')?.[1] ?? '';
  if (sameText(given, apiKey)) return;
  throw new ApiError(401, 'the API key is missing or wrong', {
    code: 'invalid_api_key',
    headers: { 'www-authenticate': 'Bearer' },
  });
}

/** The headers that let a page of another origin read the answer; none if it may not. */
export function corsHeaders(request: Request, { cors }: AccessOptions): Record<string, string> {
  const origin = request.headers.get('origin');
  if (origin === null || !isAllowed(origin, cors)) return { vary: 'Origin' };
  const headers: Record<string, string> = {
    'access-control-allow-origin': cors === '*' ? '*' : origin,
    'access-control-expose-headers': 'x-request-id, retry-after',
    vary: 'Origin',
  };
  if (request.method !== 'OPTIONS') return headers;
  const asked = request.headers.get('access-control-request-headers');
  headers['access-control-allow-methods'] = 'GET, POST, OPTIONS';
  headers['access-control-max-age'] = '600';
  if (asked !== null) headers['access-control-allow-headers'] = asked;
  return headers;
}

function isAllowed(origin: string, cors: string | undefined): boolean {
  if (cors !== undefined) return cors === '*' || cors === origin;
  return URL.canParse(origin) && LOOPBACK.test(new URL(origin).hostname);
}

/** Compares in a time that does not tell how much agrees. */
function sameText(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i % Math.max(b.length, 1));
  return difference === 0;
}
