import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** The source file of the command line. */
export const MAIN: string = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** An absolute URL, so that a command can run in any folder. */
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/** Runs the command line from its sources. */
export function emergent(args: readonly string[], input = '', cwd?: string): Promise<Outcome> {
  return run(process.execPath, ['--import', TSX, MAIN, ...args], input, cwd);
}

/** The same where standard output says that it is a terminal. */
export function emergentOnTerminal(args: readonly string[]): Promise<Outcome> {
  const pretend = 'data:text/javascript,process.stdout.isTTY=true';
  return run(process.execPath, ['--import', TSX, '--import', pretend, MAIN, ...args]);
}

/** Runs several command lines, as many at a time as there are cores. */
export async function emergentEach(commands: readonly (readonly string[])[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  async function work(): Promise<void> {
    while (next < commands.length) {
      const i = next++;
      outcomes[i] = await emergent(commands[i]);
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return outcomes;
}

/**
 * Without the Vulkan driver that tests in this process use: naming one makes the command ask it, and drivers write to
 * stderr, which tests compare. The loader also complains there of a missing XDG_RUNTIME_DIR.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { XDG_RUNTIME_DIR: tmpdir(), ...process.env }; // as it is now: tests change it
  delete env.VK_ICD_FILENAMES;
  delete env.VK_DRIVER_FILES;
  return env;
}

/** Runs a program to its end. */
export function run(command: string, args: readonly string[], input = '', cwd?: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: childEnvironment() });
    const outcome: Outcome = { code: null, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (outcome.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (outcome.stderr += text));
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ ...outcome, code });
    });
    child.stdin.on('error', () => undefined); // the program may exit without reading its input
    child.stdin.end(input);
  });
}
