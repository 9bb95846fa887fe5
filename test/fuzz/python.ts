import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** What Python's libraries make of a file: a value, or an error if they refuse it. */
export type Answer = { value: unknown } | { error: string };

/** A Python with the packages safetensors and tokenizers; null if there is none. `EMERGENT_PYTHON` names another. */
export function findPython(): string | null {
  const candidates = [process.env.EMERGENT_PYTHON, path('../../golden/.venv/bin/python'), 'python3'];
  for (const python of candidates) {
    if (python === undefined || (python.includes('/') && !existsSync(python))) continue;
    if (spawnSync(python, ['-c', 'import safetensors, tokenizers']).status === 0) return python;
  }
  return null;
}

/** Starts `oracle.py`. It answers one request at a time. */
export function startOracle(python: string): (command: string, data: unknown) => Promise<Answer> {
  const child = spawn(python, [path('oracle.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (command, data) => {
    child.stdin.write(`${JSON.stringify([command, data])}\n`);
    const line = await lines.next();
    if (line.done) throw new Error(`${python} ended`);
    return JSON.parse(line.value) as Answer;
  };
}
