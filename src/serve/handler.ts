import { messageOf } from '../../reference/lib/errors.js';
import type { LanguageModel } from '../languageModel.js';
import { visible } from '../lib/quote.js';
import { checkHost, checkKey, corsHeaders, type AccessOptions } from './access.js';
import { ApiError } from './apiError.js';
import { readBody } from './body.js';
import { chat } from './chat.js';
import { QUESTION_ANSWER, type ChatFormat } from './chatFormat.js';
import { completions } from './completions.js';
import { toApiError } from './events.js';
import { Metrics } from './metrics.js';
import { listModels, showModel } from './models.js';
import { Scheduler, type SchedulerStats } from './scheduler.js';
import type { Service } from './service.js';
import { detokenize, tokenize, tokenizerInfo } from './tokens.js';

export interface HandlerOptions extends AccessOptions {
  /** What clients call the model. Default: `demo`. */
  name?: string | undefined;
  /** Sequences that advance together. Default: 32. */
  maxSequences?: number | undefined;
  /** Requests that may wait; more get 429. Default: 256. */
  maxQueue?: number | undefined;
  /** How a conversation becomes a prompt. Default: the model card's questions and answers. */
  chat?: ChatFormat | undefined;
  /** Receives one line for each request. */
  log?: ((line: string) => void) | undefined;
  /** Called once if the backend fails. Every request gets 503 from then on. */
  onFailure?: ((error: Error) => void) | undefined;
}

/** The API of one model. It has no sockets of its own: any server that passes a `Request` can have it. */
export interface Handler {
  /** Answers a request. It never throws; an aborted `signal` cancels the request. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** Counts for load tests and the like; null while the model loads. */
  readonly stats: SchedulerStats | null;
  /** Ends all requests with an error and answers new ones with 503. The model is the caller's to dispose of. */
  readonly close: () => void;
}

type Endpoint = (service: Service, request: Request, id: string, parts: string[]) => Response | Promise<Response>;

/** Every path, and what answers it by method. */
const ROUTES: readonly { path: RegExp; name: string; methods: Readonly<Record<string, Endpoint>> }[] = [
  { path: /^\/$/, name: '/', methods: { GET: welcome } },
  { path: /^\/v1\/models$/, name: '/v1/models', methods: { GET: (service) => listModels(service) } },
  {
    path: /^\/v1\/models\/(.+)$/,
    name: '/v1/models/{id}',
    methods: { GET: (service, _request, _id, [model]) => showModel(service, model) },
  },
  {
    path: /^\/v1\/completions$/,
    name: '/v1/completions',
    methods: {
      POST: async (service, request, id) => completions(service, await readBody(request), id, request.signal),
    },
  },
  {
    path: /^\/v1\/chat\/completions$/,
    name: '/v1/chat/completions',
    methods: { POST: async (service, request, id) => chat(service, await readBody(request), id, request.signal) },
  },
  { path: /^\/health$/, name: '/health', methods: { GET: () => Response.json({ status: 'ok' }) } },
  { path: /^\/metrics$/, name: '/metrics', methods: { GET: metrics } },
  { path: /^\/tokenizer_info$/, name: '/tokenizer_info', methods: { GET: (service) => tokenizerInfo(service) } },
  {
    path: /^\/tokenize$/,
    name: '/tokenize',
    methods: { POST: async (service, request) => tokenize(service, await readBody(request)) },
  },
  {
    path: /^\/detokenize$/,
    name: '/detokenize',
    methods: { POST: async (service, request) => detokenize(service, await readBody(request)) },
  },
];

/**
 * Makes the OpenAI-compatible API of a model, as a function from `Request` to `Response`.
 *
 * @param model while it loads, requests are answered with 503
 */
export function createHandler(model: LanguageModel | Promise<LanguageModel>, options: HandlerOptions = {}): Handler {
  const { name = 'demo', maxSequences = 32, maxQueue = 256, log } = options;
  const metrics = new Metrics();
  const created = Math.floor(Date.now() / 1000);
  let service: Service | null = null;
  let stopped: ApiError | null = null;

  function start(ready: LanguageModel): void {
    const onFailure = (error: Error): void => {
      stopped ??= new ApiError(503, `the model cannot compute any more: ${error.message}`, { code: 'backend_failed' });
      options.onFailure?.(error);
    };
    const scheduler = new Scheduler(ready, { maxSequences, maxQueue, onFailure });
    service = { model: ready, name, created, scheduler, metrics, chat: options.chat ?? QUESTION_ANSWER };
  }
  if (model instanceof Promise)
    void model.then(start, () => undefined); // whoever loads it hears of a failure
  else start(model);

  async function answer(request: Request, id: string): Promise<Response> {
    const url = new URL(request.url);
    checkHost(url, options);
    if (request.method === 'OPTIONS') return new Response(null, { status: 204 });
    const route = ROUTES.find(({ path }) => path.test(url.pathname));
    if (!route) throw new ApiError(404, `there is no ${url.pathname} here`, { code: 'not_found' });
    const endpoint = Object.hasOwn(route.methods, request.method) ? route.methods[request.method] : undefined;
    if (!endpoint) {
      const allow = [...Object.keys(route.methods), 'OPTIONS'].join(', ');
      const message = `${url.pathname} takes ${allow}, not ${request.method}`;
      throw new ApiError(405, message, { code: 'method_not_allowed', headers: { allow } });
    }
    if (route.name !== '/health' && route.name !== '/') checkKey(request, options);
    if (stopped) throw stopped;
    if (!service) {
      throw new ApiError(503, 'the model is loading', { code: 'loading', headers: { 'retry-after': '1' } });
    }
    return endpoint(service, request, id, route.path.exec(url.pathname)!.slice(1).map(decode));
  }

  return {
    async fetch(request) {
      const id = crypto.randomUUID().replaceAll('-', '');
      const start = performance.now();
      const response = await answer(request, id).catch((error: unknown) => {
        const known = toApiError(error);
        if (known.status === 500) log?.(visible(`${id}: ${messageOf(error)}`));
        return Response.json(known.body, { status: known.status, headers: known.headers });
      });
      const path = new URL(request.url).pathname;
      const headers = new Headers(response.headers);
      headers.set('x-request-id', id);
      headers.set('x-content-type-options', 'nosniff');
      for (const [key, value] of Object.entries(corsHeaders(request, options))) headers.set(key, value);
      const onEnd = (): void => {
        const milliseconds = performance.now() - start;
        metrics.record(
          ROUTES.find((route) => route.path.test(path))?.name ?? 'other',
          response.status,
          milliseconds / 1000,
        );
        log?.(visible(`${request.method} ${path} ${response.status} ${milliseconds.toFixed(0)} ms ${id}`));
      };
      return new Response(observed(response.body, onEnd), { status: response.status, headers });
    },
    get stats() {
      return service?.scheduler.stats ?? null;
    },
    close() {
      stopped ??= new ApiError(503, 'the server is shutting down', { code: 'shutting_down' });
      service?.scheduler.stop(stopped);
    },
  };
}

/** Calls `onEnd` when the last byte has gone, or the client has. */
function observed(body: ReadableStream<Uint8Array> | null, onEnd: () => void): ReadableStream<Uint8Array> | null {
  if (!body) {
    onEnd();
    return null;
  }
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (!done) {
          controller.enqueue(value);
          return;
        }
        controller.close();
        onEnd();
      },
      async cancel(reason) {
        onEnd();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function metrics({ metrics, scheduler }: Service): Response {
  const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' };
  return new Response(metrics.text(scheduler.stats), { headers });
}

function welcome({ name }: Service, { url }: Request): Response {
  const text = `This is an OpenAI-compatible server for the model ${name}.

curl ${new URL('/v1/completions', url).href} -H 'content-type: application/json' \\
  -d '{"model": "${name}", "prompt": "Question: What is the capital of Japan?\\nAnswer:", "temperature": 0}'
`;
  return new Response(text, { headers: { 'content-type': 'text/plain; charset=utf-8' } });
}
