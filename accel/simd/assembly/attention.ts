import { ATTENTION_ROWS, PAGE_POSITIONS } from '../constants';
import { madd, sum } from './lanes';
import { softmaxRow } from './softmax';
import { take, threadCount, threadIndex } from './threads';

const PAGE: u32 = PAGE_POSITIONS;

/**
 * Rows of the result that a thread computes together, page by page. A row is one head of one token. Heads of one token
 * have adjacent keys, so a thread reads longer stretches of memory; many tokens of one head share their keys.
 */
const ROWS: u32 = ATTENTION_ROWS;

/**
 * y[t] = Σₛ softmaxₛ(q[t] · k[s] / √D) v[s],  s ≤ past + t, for each of H heads of width D: q, y [T, H · D]. `keys` and
 * `values` list the addresses of pages [H, 64, D]: a head's keys are contiguous within a page, and the cache grows without
 * copying. `scores` holds eight rows of `scoresRow` numbers for each thread, at least past + T. See reference/attention.ts.
 */
export function attention(
  q: usize,
  keys: usize,
  values: usize,
  y: usize,
  T: u32,
  H: u32,
  D: u32,
  past: u32,
  scores: usize,
  scoresRow: u32,
): void {
  const length = past + T;
  const room = <usize>scoresRow << 2;
  const own = scores + <usize>(threadIndex() * ROWS) * room;
  const width = <usize>D << 2;
  const scale = <f32>1 / sqrt<f32>(<f32>D);
  const size = max(1, min(ROWS, (T * H) / (2 * threadCount())));
  // Row n is head n / T of token T − 1 − n % T. The last token has the most keys, so it goes first: a thread that took
  // it last would keep the others waiting.
  for (let start = take(size); start < T * H; start = take(size)) {
    const end = min(start + size, T * H);
    for (let s: u32 = 0; s < length; s += PAGE) {
      const page = pageOf(keys, s);
      for (let n = start; n < end; n++) {
        const visible = visibleTo(n, T, length);
        if (s >= visible) continue;
        const row = own + <usize>(n - start) * room + (<usize>s << 2);
        scoreKeys(q + rowAt(n, T, H, width), page + headAt(n, T, width), row, min(PAGE, visible - s), width, scale);
      }
    }
    for (let n = start; n < end; n++) {
      const row = own + <usize>(n - start) * room;
      softmaxRow(row, row, visibleTo(n, T, length));
      memory.fill(y + rowAt(n, T, H, width), 0, width);
    }
    for (let s: u32 = 0; s < length; s += PAGE) {
      const page = pageOf(values, s);
      for (let n = start; n < end; n++) {
        const visible = visibleTo(n, T, length);
        if (s >= visible) continue;
        const row = own + <usize>(n - start) * room + (<usize>s << 2);
        weigh(row, page + headAt(n, T, width), y + rowAt(n, T, H, width), min(PAGE, visible - s), width);
      }
    }
  }
}

/** How many of `length` keys the token of row n sees. */
// @ts-ignore: decorator
@inline
function visibleTo(n: u32, T: u32, length: u32): u32 {
  return length - (n % T);
}

/** The byte offset of row n in q and y. */
// @ts-ignore: decorator
@inline
function rowAt(n: u32, T: u32, H: u32, width: usize): usize {
  return <usize>((T - 1 - (n % T)) * H + n / T) * width;
}

/** The byte offset of row n's head in a page. */
// @ts-ignore: decorator
@inline
function headAt(n: u32, T: u32, width: usize): usize {
  return <usize>((n / T) * PAGE) * width;
}

/** The address of the page that holds position s. */
// @ts-ignore: decorator
@inline
function pageOf(pages: usize, s: u32): usize {
  return load<u32>(pages + ((s / PAGE) << 2));
}

/** q · k[s] · scale for the first `count` keys. */
function scoreKeys(q: usize, k: usize, scores: usize, count: u32, width: usize, scale: f32): void {
  const whole = width & ~15;
  for (let s: u32 = 0; s < count; s++, k += width) {
    let dots = f32x4.splat(0);
    for (let i: usize = 0; i < whole; i += 16) dots = madd(v128.load(q + i), v128.load(k + i), dots);
    let dot = sum(dots);
    for (let i = whole; i < width; i += 4) dot += load<f32>(q + i) * load<f32>(k + i);
    store<f32>(scores + (<usize>s << 2), dot * scale);
  }
}

/** y += Σₛ weights[s] v[s], 16 elements at a time in four registers. */
function weigh(weights: usize, v: usize, y: usize, count: u32, width: usize): void {
  let i: usize = 0;
  for (; i + 64 <= width; i += 64) {
    let a = v128.load(y + i);
    let b = v128.load(y + i, 16);
    let c = v128.load(y + i, 32);
    let d = v128.load(y + i, 48);
    let from = v + i;
    for (let s: u32 = 0; s < count; s++, from += width) {
      const w = v128.load32_splat(weights + (<usize>s << 2));
      a = madd(w, v128.load(from), a);
      b = madd(w, v128.load(from, 16), b);
      c = madd(w, v128.load(from, 32), c);
      d = madd(w, v128.load(from, 48), d);
    }
    v128.store(y + i, a);
    v128.store(y + i, b, 16);
    v128.store(y + i, c, 32);
    v128.store(y + i, d, 48);
  }
  for (; i < width; i += 4) {
    let total = load<f32>(y + i);
    let from = v + i;
    for (let s: u32 = 0; s < count; s++, from += width) total += load<f32>(weights + (<usize>s << 2)) * load<f32>(from);
    store<f32>(y + i, total);
  }
}

/** Copies x [T, H · D] into the pages of a cache, from position `past` on. */
export function appendKv(x: usize, pages: usize, T: u32, H: u32, D: u32, past: u32): void {
  const width = <usize>D << 2;
  for (let t = take(1); t < T; t = take(1)) {
    const page = pageOf(pages, past + t);
    for (let h: u32 = 0; h < H; h++) {
      memory.copy(page + <usize>(h * PAGE + (past + t) % PAGE) * width, x + <usize>(t * H + h) * width, width);
    }
  }
}
