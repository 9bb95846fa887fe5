import type { SchedulerStats } from './scheduler.js';

/** Upper bounds of the buckets of a time, in seconds. */
const BOUNDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100];

/** Counts what the server answers, for Prometheus. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #buckets: number[] = BOUNDS.map(() => 0);
  #seconds = 0;
  #count = 0;

  /** Counts an answer that has ended. */
  record(path: string, status: number, seconds: number): void {
    const labels = `path="${path}",status="${status}"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
    this.#count++;
    this.#seconds += seconds;
    BOUNDS.forEach((bound, i) => (this.#buckets[i] += seconds <= bound ? 1 : 0));
  }

  /** The text of `GET /metrics`. */
  text(stats: SchedulerStats): string {
    const lines = ['# TYPE emergent_requests_total counter'];
    for (const [labels, count] of this.#requests) lines.push(`emergent_requests_total{${labels}} ${count}`);
    lines.push('# TYPE emergent_request_seconds histogram');
    BOUNDS.forEach((bound, i) => lines.push(`emergent_request_seconds_bucket{le="${bound}"} ${this.#buckets[i]}`));
    lines.push(`emergent_request_seconds_bucket{le="+Inf"} ${this.#count}`);
    lines.push(`emergent_request_seconds_sum ${this.#seconds}`, `emergent_request_seconds_count ${this.#count}`);
    for (const [name, type, value] of [
      ['prompt_tokens_total', 'counter', stats.promptTokens],
      ['cached_tokens_total', 'counter', stats.cachedTokens],
      ['generated_tokens_total', 'counter', stats.generatedTokens],
      ['steps_total', 'counter', stats.steps],
      ['active_sequences', 'gauge', stats.active],
      ['queued_requests', 'gauge', stats.queuedRequests],
      ['queued_sequences', 'gauge', stats.queuedSequences],
      ['prefix_tokens', 'gauge', stats.prefixTokens],
    ] as const) {
      lines.push(`# TYPE emergent_${name} ${type}`, `emergent_${name} ${value}`);
    }
    return `${lines.join('\n')}\n`;
  }
}
