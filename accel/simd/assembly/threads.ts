// How threads share work: each takes chunks of an op from a shared counter, so a delayed thread takes fewer. A barrier ends
// an op.

import {
  SHARED_ARRIVED,
  SHARED_FINISHED,
  SHARED_ORDERED,
  SHARED_PLAN,
  SHARED_ROUND,
  SHARED_STOP,
} from '../constants';

// Byte offsets from `base` of the words that all threads share.
const ORDERED: usize = SHARED_ORDERED << 2;
const STOP: usize = SHARED_STOP << 2;
const ARRIVED: usize = SHARED_ARRIVED << 2;
const ROUND: usize = SHARED_ROUND << 2;
const PLAN: usize = SHARED_PLAN << 2;
const FINISHED: usize = SHARED_FINISHED << 2;

/** Spin this many times (about 60 µs) before sleeping; waking costs about 30 µs. */
const SPINS = 65536;

// every thread instantiates the module, so these are per thread
let base: usize = 0;
let counter: usize = 0;
let self: u32 = 0;
let count: u32 = 1;

/** Registers this thread as one of `threads` that share the state at `shared`. */
export function enter(shared: usize, thread: u32, threads: u32): void {
  base = shared;
  self = thread;
  count = threads;
}

/** Starts an op whose work counter is at an address. */
export function startOp(at: usize): void {
  counter = at;
}

/** This thread's index: 0, 1, … */
// @ts-ignore: decorator
@inline
export function threadIndex(): u32 {
  return self;
}

/** The number of threads that share the work. */
// @ts-ignore: decorator
@inline
export function threadCount(): u32 {
  return count;
}

/** Takes the next `size` items of the op and returns the first. */
// @ts-ignore: decorator
@inline
export function take(size: u32): u32 {
  return atomic.add<u32>(counter, size);
}

/** Waits until all threads have arrived. */
export function barrier(): void {
  if (count == 1) return;
  const round = atomic.load<u32>(base, ROUND);
  if (atomic.add<u32>(base, 1, ARRIVED) == count - 1) {
    atomic.store<u32>(base, 0, ARRIVED);
    atomic.add<u32>(base, 1, ROUND);
    atomic.notify(base + ROUND);
    return;
  }
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<u32>(base, ROUND) != round) return;
  }
  while (atomic.load<u32>(base, ROUND) == round) atomic.wait<u32>(base + ROUND, round);
}

/** Sleeps until more than `seen` plans have been submitted. @returns the plan's address, or 0 to stop */
export function nextPlan(seen: u32): usize {
  while (atomic.load<u32>(base, ORDERED) == seen) atomic.wait<u32>(base + ORDERED, seen);
  return atomic.load<u32>(base, STOP) ? 0 : <usize>atomic.load<u32>(base, PLAN);
}

/** Whether this thread is the last to finish the plan. */
export function isLast(): bool {
  if (atomic.add<u32>(base, 1, FINISHED) != count - 1) return false;
  atomic.store<u32>(base, 0, FINISHED);
  return true;
}
