import { run } from './plan';
import { enter, isLast, nextPlan } from './threads';

export { packRows } from './pack';

/** Tells the host that a plan is done. */
// @ts-ignore: decorator
@external('env', 'done')
declare function done(): void;

/** Runs one plan on the caller's thread alone. */
export function runAlone(plan: usize): void {
  enter(0, 0, 1);
  run(plan);
}

/** What a worker does all its life: sleeps until a plan is ordered, runs its part of it. */
export function work(shared: usize, thread: u32, threads: u32): void {
  enter(shared, thread, threads);
  for (let seen: u32 = 0; ; seen++) {
    const plan = nextPlan(seen);
    if (plan == 0) return;
    run(plan);
    if (isLast()) done(); // not before: the host writes the next plan over this one
  }
}
