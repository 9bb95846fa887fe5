/**
 * A module that Node brings, or undefined in a browser. Not by an import, so that bundlers for browsers do not look for it.
 */
export function builtin(name: string): unknown {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  return process?.getBuiltinModule?.(name);
}
