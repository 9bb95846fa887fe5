/** Runs one body at a time, in the order of the calls. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Waits for all earlier bodies, whether they succeeded or failed, then runs this one. */
  run<Result>(body: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(body);
    const ignore = (): void => undefined; // keeps no result alive and lets no failure reach the next body
    this.#last = result.then(ignore, ignore);
    return result;
  }
}
