// How threads share work: pieces of an op are taken from a counter, so that a thread that was held up takes fewer, and a
// barrier ends an op.

/** What the threads share, from `base` on; threads.ts beside this folder has the same. */
const ORDERED: usize = 0; // how many plans
const STOP: usize = 4; // not 0: no more plans will come
const ARRIVED: usize = 8; // threads that wait at a barrier
const ROUND: usize = 12; // barriers passed
const PLAN: usize = 16; // the address of the plan ordered last
const FINISHED: usize = 20; // threads that are through with it

/** Looks at the others this often, some 60 microseconds, before it goes to sleep, from which to wake takes half as long. */
const SPINS = 65536;

// a module is instantiated by every thread, so these are each thread's own
let base: usize = 0;
let counter: usize = 0;
let self: u32 = 0;
let count: u32 = 1;

/** Makes this thread one of `threads` that share what lies at `shared`. */
export function enter(shared: usize, thread: u32, threads: u32): void {
  base = shared;
  self = thread;
  count = threads;
}

/** Begins an op whose pieces are counted at an address. */
export function startOp(at: usize): void {
  counter = at;
}

/** Which thread this is: 0, 1, … */
// @ts-ignore: decorator
@inline
export function threadIndex(): u32 {
  return self;
}

/** How many threads share the work. */
// @ts-ignore: decorator
@inline
export function threadCount(): u32 {
  return count;
}

/** Takes the next `size` pieces of the op: the first of them. */
// @ts-ignore: decorator
@inline
export function take(size: u32): u32 {
  return atomic.add<u32>(counter, size);
}

/** Waits until all threads have come here. */
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

/** The address of the plan that was ordered after `seen` others, asleep until it is; 0 if it is time to stop. */
export function nextPlan(seen: u32): usize {
  while (atomic.load<u32>(base, ORDERED) == seen) atomic.wait<u32>(base + ORDERED, seen);
  return atomic.load<u32>(base, STOP) ? 0 : <usize>atomic.load<u32>(base, PLAN);
}

/** Whether this thread is the last one that needs the plan. */
export function isLast(): bool {
  if (atomic.add<u32>(base, 1, FINISHED) != count - 1) return false;
  atomic.store<u32>(base, 0, FINISHED);
  return true;
}
