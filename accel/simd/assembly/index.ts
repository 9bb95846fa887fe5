import { run } from './plan';
import { enter, isLast, nextPlan } from './threads';

export { packRows } from './pack';

/** Tells the host that a plan is finished. */
// @ts-ignore: decorator
@external('env', 'done')
declare function done(): void;

/** Runs one plan on the calling thread only. */
export function runAlone(plan: usize): void {
  enter(0, 0, 1);
  run(plan);
}

/** A worker's main loop: sleeps until the host submits a plan, then runs this thread's share of it. */
export function work(shared: usize, thread: u32, threads: u32): void {
  enter(shared, thread, threads);
  for (let seen: u32 = 0; ; seen++) {
    const plan = nextPlan(seen);
    if (plan == 0) return;
    run(plan);
    if (isLast()) done(); // only now: the host overwrites this plan with the next one
  }
}
