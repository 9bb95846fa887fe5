import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';

/** A number in [0, 1). */
export type Random = () => number;

export function randomOf(generator: RandomGenerator): Random {
  return () => uniformFloat64(generator);
}

/** An integer from 0 up to `limit`, exclusive. */
export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[below(random, choices.length)];
}

/** Values that a careless reader takes for others. */
const HOSTILE: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    '',
    '0',
    'null',
    'x',
    '\u0000',
    '\ud800',
    '\u001b[31m',
    'a\nb',
    '__proto__',
    'x'.repeat(70_000),
  ],
  ...[0, -0, -1, 1, 2, 3, 0.5, 1e-320, 1e9, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, -1e308],
  ...[[], {}, [null], [[]], [0], [-1], { '': null }, { content: 'x' }, { content: null }],
  nested(50),
  nested(20_000),
];

function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

type Container = Record<string, unknown> | unknown[];

/** Every object and list within a JSON value, itself included; large ones are sampled at their first entries. */
function containersOf(value: unknown): Container[] {
  const found: Container[] = [];
  const queue = [value];
  while (queue.length > 0 && found.length < 400) {
    const next = queue.pop();
    if (typeof next !== 'object' || next === null) continue;
    found.push(next as Container);
    queue.push(...(Object.values(next) as unknown[]).slice(0, 40));
  }
  return found;
}

/** A copy of a JSON value in which up to three entries are replaced, removed, renamed, swapped or doubled. */
export function mutateJson(random: Random, original: unknown): unknown {
  const copy = structuredClone(original);
  if (random() < 0.03) return pick(random, HOSTILE);
  for (let i = below(random, 3); i >= 0; i--) mutateEntry(random, copy);
  return copy;
}

function mutateEntry(random: Random, json: unknown): void {
  const container = pick(random, containersOf(json)) as Record<string, unknown> | undefined;
  if (!container) return;
  const keys = Object.keys(container);
  const key = pick(random, keys.length > 0 ? keys : ['x']);
  const other = pick(random, keys.length > 0 ? keys : ['y']);
  switch (below(random, 6)) {
    case 0:
      Reflect.deleteProperty(container, key);
      break;
    case 1:
      put(container, pick(random, ['x', '__proto__', 'constructor', '', key + key]), container[key]);
      break;
    case 2:
      container[key] = container[other];
      break;
    case 3:
      if (typeof container[key] === 'number') container[key] = container[key] * pick(random, [-1, 2, 0.5, 1e6, 1e300]);
      else if (typeof container[key] === 'string') container[key] += pick(random, ['x', '\u0000', '/../x', ' ']);
      else container[key] = [container[key]];
      break;
    default:
      container[key] = pick(random, HOSTILE);
  }
}

/** Sets a property, also `__proto__`, to which an assignment would change the prototype and not the JSON. */
function put(container: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(container, key, { value, writable: true, enumerable: true, configurable: true });
}

/** The bytes of a JSON value, now and then broken as text: cut, flipped, with a mark or garbage before or after. */
export function bytesOf(random: Random, json: unknown): Uint8Array {
  const bytes = new TextEncoder().encode(textOf(json));
  const at = below(random, bytes.length + 1);
  switch (below(random, 12)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return bytes.map((byte, i) => (i === at ? byte ^ (1 << below(random, 8)) : byte));
    case 2:
      return Uint8Array.of(0xef, 0xbb, 0xbf, ...bytes.subarray(0, 100_000));
    case 3:
      return new TextEncoder().encode('['.repeat(100_000));
    case 4:
      return Uint8Array.of(0xff, 0xfe, 0x7b, 0x00);
    default:
      return bytes;
  }
}

/** JSON.stringify overflows the stack of deeply nested values: they are written as what they are. */
function textOf(json: unknown): string {
  try {
    return JSON.stringify(json);
  } catch {
    return '['.repeat(20_000) + ']'.repeat(20_000);
  }
}
