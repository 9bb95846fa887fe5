/** Checks of the types of parsed JSON. */

export function isMapOf<T>(map: unknown, isValue: (value: unknown) => value is T): map is Record<string, T> {
  return isObject(map) && Object.values(map).every(isValue);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isString(value: unknown): value is string {
  return typeof value === 'string';
}

/** Whether a value is an integer from 0 on: a token id, a size. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
