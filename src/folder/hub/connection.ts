import { setTimeout as timer } from 'node:timers/promises';
import { HubError } from '../../lib/errors.js';
import { quote } from '../../lib/quote.js';
import { InputError } from '../../../reference/lib/errors.js';
import { cancelBody } from '../absence.js';
import { describeFetchError, isTransient } from '../fetchFault.js';
import { readToken, variable, type Token } from './environment.js';
import { fetchThroughProxies } from './proxy.js';
import { DEFAULT_ENDPOINT, type HubId } from './id.js';

export interface HubOptions {
  /** A branch, a tag or a commit hash. Defaults to the revision in the id, or to `main`. */
  revision?: string | undefined;
  /** Called as a file is downloaded. For a resumed download, `doneBytes` includes what an earlier attempt received. */
  onDownload?: ((file: string, doneBytes: number, totalBytes: number) => void) | undefined;
  /** Called with one line about anything unusual: a cached model used in place of the current one, a long wait. */
  onNote?: ((line: string) => void) | undefined;
  /** Aborts a download, which then throws the signal's reason. The next attempt resumes it. */
  signal?: AbortSignal | undefined;
}

/** How often a request is sent before its failure counts as permanent. */
export const MAX_ATTEMPTS = 5;
/** The longest wait in seconds that we accept when the Hub asks for one. */
const MAX_WAIT = 300;
/** Milliseconds without a byte after which a server counts as unreachable. */
const TIMEOUT_MS = 20_000;
/** Statuses that may go away if the request is sent again. */
const TRANSIENT_STATUSES = [408, 425, 429, 500, 502, 503, 504];

/**
 * Sends requests about one model to the Hub: applies HF_ENDPOINT, the token and proxies, retries transient failures, and
 * reports permanent ones in one line.
 */
export class Connection {
  readonly id: HubId;
  readonly endpoint: string;
  /** The host to name in messages. */
  readonly host: string;
  readonly options: HubOptions;
  readonly #token: Token | null;
  #fetch: Promise<typeof fetch> | undefined;
  readonly #sleep: (ms: number) => Promise<unknown>;
  readonly #timeoutMs: number;

  /**
   * @param sleep waits before a retry; only tests pass their own, and their own `timeoutMs`
   * @throws InputError if HF_ENDPOINT is not a URL, or the token cannot be read or be a token.
   */
  constructor(
    id: HubId,
    options: HubOptions = {},
    sleep: (ms: number) => Promise<unknown> = (ms) => timer(ms, null, signalOf(options)),
    timeoutMs: number = TIMEOUT_MS,
  ) {
    const endpoint = (variable('HF_ENDPOINT') ?? DEFAULT_ENDPOINT).replace(/\/+$/, '');
    const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
    if (!url || !/^https?:$/.test(url.protocol)) throw new InputError(`HF_ENDPOINT: ${endpoint} is not a URL`);
    if (url.username || url.password)
      throw new InputError('HF_ENDPOINT must not contain a user name or password; set HF_TOKEN instead');
    this.id = id;
    this.endpoint = endpoint;
    this.host = url.host;
    this.options = options;
    this.#token = readToken();
    this.#sleep = sleep;
    this.#timeoutMs = timeoutMs;
  }

  /** Reports something unusual to the caller. */
  note(line: string): void {
    this.options.onNote?.(line);
  }

  /**
   * Like the global `fetch`, but sends the token (to the endpoint only) and retries transient failures.
   *
   * @throws HubError for any response that is not a success.
   */
  async fetch(
    input: string | URL | Request,
    init: RequestInit = {},
    maxAttempts: number = MAX_ATTEMPTS,
  ): Promise<Response> {
    const url = input instanceof Request ? input.url : String(input);
    const headers = new Headers(init.headers);
    if (this.#token && new URL(url).origin === new URL(this.endpoint).origin) {
      headers.set('authorization', `Bearer ${this.#token.value}`);
    }
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#send(url, { ...init, headers, ...signalOf(this.options) });
      if ('fault' in answer) {
        if (!answer.mayPass || attempt >= maxAttempts) throw answer.fault;
        await this.pause(answer.fault.message, attempt);
        continue;
      }
      if (answer.ok) return answer;
      await cancelBody(answer);
      const { status } = answer;
      const mayPass = TRANSIENT_STATUSES.includes(status);
      if (!mayPass || attempt >= maxAttempts) throw this.#refusal(answer, url, maxAttempts);
      const seconds = retryAfter(answer);
      if (seconds !== null && seconds > MAX_WAIT) {
        throw this.#unreachable(`is busy (HTTP ${status}) and asks to wait ${seconds} seconds`);
      }
      await this.pause(`${this.host} answers HTTP ${status}`, attempt, seconds);
    }
  }

  /**
   * Waits before another attempt: as long as the Hub asks, or else 1, 2, 4, 8 seconds. Announces waits of 4 seconds and
   * more.
   */
  async pause(fault: string, attempt: number, requestedSeconds: number | null = null): Promise<void> {
    const seconds = requestedSeconds ?? 2 ** (attempt - 1);
    if (seconds >= 4) this.note(`${fault}; trying again in ${seconds} seconds`);
    await this.#sleep(seconds * 1000);
    this.options.signal?.throwIfAborted();
  }

  /**
   * Waits for the next data from a server.
   *
   * @throws SilenceError if none arrives within {@link TIMEOUT_MS}.
   */
  async withTimeout<T>(received: Promise<T>): Promise<T> {
    let timeout: NodeJS.Timeout | undefined;
    const expired = new Promise<never>((_, reject) => {
      timeout = setTimeout(() => {
        reject(new SilenceError(`no data for ${this.#timeoutMs / 1000} seconds`));
      }, this.#timeoutMs);
    });
    return Promise.race([received, expired]).finally(() => {
      clearTimeout(timeout);
    });
  }

  /** The error for a server that cannot be reached, whose cause is an error of `fetch`. */
  unreachable(error: unknown): HubError {
    return this.#unreachable(`cannot be reached: ${describeFetchError(error)}`);
  }

  /** Sends one request. If the server cannot be reached, returns why, and whether another attempt makes sense. */
  async #send(url: string, init: RequestInit): Promise<Response | { fault: HubError; mayPass: boolean }> {
    this.#fetch ??= fetchThroughProxies();
    const send = await this.#fetch;
    const timedOut = new AbortController();
    const signal = AbortSignal.any([timedOut.signal, ...(init.signal ? [init.signal] : [])]);
    try {
      return await this.withTimeout(send(url, { ...init, signal }));
    } catch (error) {
      timedOut.abort();
      this.options.signal?.throwIfAborted();
      return { fault: this.unreachable(error), mayPass: error instanceof SilenceError || isTransient(error) };
    }
  }

  #unreachable(fault: string): HubError {
    return new HubError(`${this.id.repo}: ${this.host} ${fault}`, { unreachable: true });
  }

  /** Explains a response that is not a success. */
  #refusal({ status, headers, url: finalUrl }: Response, url: string, attempts: number): HubError {
    const { repo, revision } = this.id;
    const source = this.#token?.source;
    const hasToken = source !== undefined;
    const times = attempts > 1 ? `, ${attempts} times` : '';
    if (status === 429) {
      const advice = hasToken ? 'try again later' : 'try again later, or set HF_TOKEN for a higher limit';
      return this.#unreachable(`received too many requests (HTTP 429${times}): ${advice}`);
    }
    if (TRANSIENT_STATUSES.includes(status)) return this.#unreachable(`is unavailable (HTTP ${status}${times})`);

    const { origin, host } = new URL(finalUrl);
    if (origin !== new URL(this.endpoint).origin) {
      return new HubError(`${url} cannot be read: HTTP ${status} from ${host}, which serves the large files`);
    }

    const notLocal = `${repo} is neither a local folder nor a`;
    if (status === 401 && !hasToken) {
      const advice = 'if it is private or gated, set HF_TOKEN';
      return new HubError(`${notLocal} public model on ${this.host}; ${advice} (HTTP 401)`);
    }
    if (status === 401) return new HubError(`${repo}: ${this.host} does not accept the token in ${source} (HTTP 401)`);
    if (status === 403) {
      const who = hasToken ? `the account of ${source}` : 'requests without HF_TOKEN';
      const advice = `accept its terms at ${this.endpoint}/${repo}${hasToken ? '' : ' and set HF_TOKEN'}`;
      return new HubError(`${repo}: ${this.host} denies access to ${who}; if it is gated, ${advice} (HTTP 403)`);
    }

    const code = headers.get('x-error-code');
    if (status === 404 && code === 'RevisionNotFound') {
      return new HubError(`${repo} has no revision ${quote(revision)} (HTTP 404)`);
    }
    if (status === 404 && code === 'EntryNotFound') return new HubError(`${url} does not exist (HTTP 404)`);
    if (status === 404 && url.startsWith(`${this.endpoint}/api/`)) {
      return new HubError(`${notLocal} model on ${this.host} with a revision ${revision} (HTTP 404)`);
    }
    return new HubError(`${url} cannot be read: HTTP ${status}`);
  }
}

/** A server that sends nothing. */
class SilenceError extends Error {}

function signalOf({ signal }: HubOptions): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}

/** The wait in seconds that a server asks for, as a number or as a date; null if it asks for none. */
function retryAfter({ headers }: Response): number | null {
  const value = headers.get('retry-after')?.trim();
  if (!value) return null;
  const now = Date.parse(headers.get('date') ?? '') || Date.now(); // our clock may differ from the server's
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - now) / 1000);
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}
