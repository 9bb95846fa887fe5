/**
 * A built-in module of Node, or undefined in a browser. Not an import, because bundlers for browsers would try to resolve it.
 */
export function builtin(name: string): unknown {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  return process?.getBuiltinModule?.(name);
}
