import { run } from './plan';
import { nextPlan } from './threads';

/** Tells the host that a plan is done. */
// @ts-ignore: decorator
@external('env', 'done')
declare function done(): void;

/** Runs one plan on the caller's thread alone. */
export function runAlone(plan: usize): void {
  run(plan, 0, 1);
}

/** What a worker does all its life: sleeps until a plan is ordered, runs its part of it. */
export function work(thread: u32, threads: u32): void {
  for (let seen: u32 = 0; ; seen++) {
    const plan = nextPlan(seen);
    if (plan == 0) return;
    run(plan, thread, threads);
    if (thread == 0) done();
  }
}
