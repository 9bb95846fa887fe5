import { setTimeout as timer } from 'node:timers/promises';
import { HubError } from '../../lib/errors.js';
import { InputError, messageOf } from '../../../reference/lib/errors.js';
import { DEFAULT_ENDPOINT, type HubId } from './id.js';

export interface HubOptions {
  /** A branch, a tag or the hash of a commit; `main` unless told, here or in the id. */
  revision?: string | undefined;
  /** Called as a file is downloaded. A download that goes on after an interruption begins where that one ended. */
  onDownload?: ((file: string, doneBytes: number, totalBytes: number) => void) | undefined;
  /** Called with a line on what is out of the ordinary: a cached model instead of the present one, a long wait. */
  onNote?: ((line: string) => void) | undefined;
  /** Ends a download; its reason is then thrown. What has arrived is kept for the next attempt. */
  signal?: AbortSignal | undefined;
}

/** How often the same thing is asked for before the answer is believed. */
export const TRIES = 5;
/** Seconds that we are willing to wait because the Hub says so. */
const LONGEST_WAIT = 300;
/** Milliseconds without a byte after which a server is taken not to answer any more. */
const SILENCE_MS = 20_000;
const PASSING = [408, 425, 429, 500, 502, 503, 504];

/**
 * How one model is asked for: HF_ENDPOINT, HF_TOKEN, patience with what passes, and one line for what does not.
 */
export class Connection {
  readonly id: HubId;
  readonly endpoint: string;
  /** What messages call the endpoint. */
  readonly host: string;
  readonly options: HubOptions;
  readonly #token: string | undefined;
  readonly #sleep: (ms: number) => Promise<unknown>;
  readonly #silenceMs: number;

  /**
   * @param sleep waits; another one is for tests, as are other `silenceMs`
   * @throws InputError if HF_ENDPOINT is no URL or HF_TOKEN no token.
   */
  constructor(
    id: HubId,
    options: HubOptions = {},
    sleep: (ms: number) => Promise<unknown> = (ms) => timer(ms, null, signalOf(options)),
    silenceMs: number = SILENCE_MS,
  ) {
    const endpoint = (variable('HF_ENDPOINT') ?? DEFAULT_ENDPOINT).replace(/\/+$/, '');
    const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
    if (!url || !/^https?:$/.test(url.protocol)) throw new InputError(`HF_ENDPOINT: ${endpoint} is not a URL`);
    if (url.username || url.password)
      throw new InputError('HF_ENDPOINT: a URL with a password is not used; set HF_TOKEN');
    this.id = id;
    this.endpoint = endpoint;
    this.host = url.host;
    this.options = options;
    this.#token = variable('HF_TOKEN');
    if (this.#token !== undefined && !/^[\x21-\x7e]+$/.test(this.#token)) {
      throw new InputError('HF_TOKEN holds characters that no token has'); // which it is, is nobody else's business
    }
    this.#sleep = sleep;
    this.#silenceMs = silenceMs;
  }

  /** Says something out of the ordinary. */
  note(line: string): void {
    this.options.onNote?.(line);
  }

  /**
   * `fetch` with the token, which only the endpoint itself gets to see, and with patience: so many tries before what
   * passes is taken as lasting.
   *
   * @throws HubError in place of any answer that is not a success.
   */
  async fetch(input: string | URL | Request, init: RequestInit = {}, tries: number = TRIES): Promise<Response> {
    const url = input instanceof Request ? input.url : String(input);
    const headers = new Headers(init.headers);
    if (this.#token !== undefined && new URL(url).origin === new URL(this.endpoint).origin) {
      headers.set('authorization', `Bearer ${this.#token}`);
    }
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#ask(url, { ...init, headers, ...signalOf(this.options) });
      if (answer instanceof Response && answer.ok) return answer;
      const passing = answer instanceof HubError || PASSING.includes(answer.status);
      if (!passing || attempt >= tries) throw answer instanceof HubError ? answer : this.#refusal(answer, url, tries);
      const asked = answer instanceof HubError ? null : retryAfter(answer);
      if (asked !== null && asked > LONGEST_WAIT) {
        throw this.#unreachable(`is busy (HTTP ${(answer as Response).status}) and asks to wait ${asked} seconds`);
      }
      if (answer instanceof Response) await answer.body?.cancel();
      const fault = answer instanceof HubError ? answer.message : `${this.host} answers HTTP ${answer.status}`;
      await this.pause(fault, attempt, asked);
    }
  }

  /** Waits before another attempt: as long as the Hub asks, else 1, 2, 4, 8 seconds. A long wait is told. */
  async pause(fault: string, attempt: number, asked: number | null = null): Promise<void> {
    const seconds = asked ?? 2 ** (attempt - 1);
    if (seconds >= 4) this.note(`${fault}; trying again in ${seconds} seconds`);
    await this.#sleep(seconds * 1000);
    this.options.signal?.throwIfAborted();
  }

  /**
   * What a server sends, as long as it sends something.
   *
   * @throws Error after {@link SILENCE_MS} without.
   */
  async within<T>(received: Promise<T>): Promise<T> {
    let alarm: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      alarm = setTimeout(() => {
        reject(new Error(`nothing came for ${this.#silenceMs / 1000} seconds`));
      }, this.#silenceMs);
    });
    return Promise.race([received, silence]).finally(() => {
      clearTimeout(alarm);
    });
  }

  async #ask(url: string, init: RequestInit): Promise<Response | HubError> {
    const silent = new AbortController();
    const signal = AbortSignal.any([silent.signal, ...(init.signal ? [init.signal] : [])]);
    try {
      return await this.within(fetch(url, { ...init, signal }));
    } catch (error) {
      silent.abort();
      this.options.signal?.throwIfAborted();
      const cause = (error as Error).cause ?? error; // fetch itself says no more than that it failed
      return this.#unreachable(
        `cannot be reached: ${messageOf(cause) || ((cause as NodeJS.ErrnoException).code ?? '')}`,
      );
    }
  }

  #unreachable(fault: string): HubError {
    return new HubError(`${this.id.repo}: ${this.host} ${fault}`, { unreachable: true });
  }

  /** An answer that is no success, in words. */
  #refusal({ status, headers, url: from }: Response, url: string, tries: number): HubError {
    const { repo, revision } = this.id;
    const known = this.#token !== undefined;
    const code = headers.get('x-error-code');
    const times = tries > 1 ? `, ${tries} times` : '';
    const nowhere = `${repo} is no folder here, and ${this.host} has no`;
    if (status === 429) {
      const advice = known ? 'try again later' : 'try again later, or set HF_TOKEN, which is allowed more';
      return this.#unreachable(`has had too many requests (HTTP 429${times}): ${advice}`);
    }
    if (PASSING.includes(status)) return this.#unreachable(`is out of order (HTTP ${status}${times})`);
    const { origin, host } = new URL(from);
    if (origin !== new URL(this.endpoint).origin) {
      return new HubError(`${url} cannot be read: HTTP ${status} from ${host}, which has the large files`);
    }
    if (status === 401 && !known) {
      return new HubError(`${nowhere} public model of that name; for a private or gated one set HF_TOKEN (HTTP 401)`);
    }
    if (status === 401) return new HubError(`${repo}: ${this.host} does not accept the token in HF_TOKEN (HTTP 401)`);
    if (status === 403) {
      const who = known ? 'the account of HF_TOKEN' : 'those without HF_TOKEN';
      const way = `accept its terms at ${this.endpoint}/${repo}${known ? '' : ' and set HF_TOKEN'}`;
      return new HubError(`${repo}: ${this.host} does not open it to ${who}; if it is gated, ${way} (HTTP 403)`);
    }
    if (status === 404 && code === 'RevisionNotFound') {
      return new HubError(`${repo} has no revision ${JSON.stringify(revision)} (HTTP 404)`);
    }
    if (status === 404 && code === 'EntryNotFound') return new HubError(`${url} does not exist (HTTP 404)`);
    if (status === 404 && url.startsWith(`${this.endpoint}/api/`)) {
      return new HubError(`${nowhere} model of that name with a revision ${revision} (HTTP 404)`);
    }
    return new HubError(`${url} cannot be read: HTTP ${status}`);
  }
}

/** An environment variable, which counts as unset if it is empty. */
function variable(name: string): string | undefined {
  const value = process.env[name]?.trim();
  return value === '' ? undefined : value;
}

function signalOf({ signal }: HubOptions): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}

/** Seconds to wait, which a server may also say as a date; null if it does not say. */
function retryAfter({ headers }: Response): number | null {
  const value = headers.get('retry-after')?.trim();
  if (!value) return null;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}
