/** What a client gets instead of a result, in the form of the OpenAI API. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

export interface ApiErrorDetails {
  /** The field of the request that is wrong. */
  param?: string | undefined;
  /** A name for programs, such as `context_length_exceeded`. */
  code?: string | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
}

/** A request that is answered with an error. */
export class ApiError extends Error {
  override name = 'ApiError';
  /** HTTP status. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorBody;

  constructor(status: number, message: string, { param, code, headers = {} }: ApiErrorDetails = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
    this.body = { error: { message, type: typeOf(status), param: param ?? null, code: code ?? null } };
  }
}

/** The error that says what a field must be. */
export function badField(param: string, message: string, code = 'invalid_value'): ApiError {
  return new ApiError(400, `'${param}' ${message}`, { param, code });
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
