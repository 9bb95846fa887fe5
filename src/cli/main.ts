#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EmergentError, messageOf } from '../../reference/lib/errors.js';
import { askCommand } from './ask.js';
import { benchCommand } from './bench.js';
import { buildTokenizerCommand } from './buildTokenizer.js';
import { calibrateCommand } from './calibrate.js';
import { compareCommand } from './compare.js';
import { convertCommand } from './convert.js';
import { generateCommand } from './generate.js';
import { importCommand } from './import.js';
import { inspectCommand } from './inspect.js';
import { logitLensCommand } from './logitLens.js';
import { logitsCommand } from './logits.js';
import { makeCheckpointCommand } from './makeCheckpoint.js';
import { makeCodesCommand } from './makeCodes.js';
import { neighborsCommand } from './neighbors.js';
import { endProgress } from './output.js';
import { recordCommand } from './record.js';
import { removeTemporaries } from '../folder/outputFile.js';
import { visible, visibleText } from '../lib/quote.js';
import { playCommand } from './play.js';
import { perplexityCommand } from './perplexity.js';
import { serveCommand } from './serve.js';
import { tokenizeCommand } from './tokenize.js';
import { tourCommand } from './tour.js';
import { traceCommand } from './trace.js';
import { verifyCommand } from './verify.js';

const FAILURE = 1;
const BAD_INPUT = 2;

function version(): string {
  const root = import.meta.url.includes('/dist/') ? '../../../' : '../../'; // dist/src/cli or src/cli
  const { version } = JSON.parse(readFileSync(new URL(`${root}package.json`, import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}

const program = new Command('emergent')
  .description('Run, read and check the Transformers of the Emergent Semantics papers.')
  .version(version())
  .option('--debug', 'show the stack of an error')
  .exitOverride()
  .configureOutput({
    outputError: (text, write) => {
      write(oneLine(text));
    },
  });

for (const command of [
  askCommand(),
  generateCommand(),
  logitsCommand(),
  traceCommand(),
  tourCommand(),
  playCommand(),
  serveCommand(),
  tokenizeCommand(),
  inspectCommand(),
  verifyCommand(),
  compareCommand(),
  recordCommand(),
  calibrateCommand(),
  perplexityCommand(),
  logitLensCommand(),
  neighborsCommand(),
  buildTokenizerCommand(),
  convertCommand(),
  importCommand(),
  makeCheckpointCommand(),
  makeCodesCommand(),
  benchCommand(),
]) {
  program.addCommand(command.copyInheritedSettings(program).option('--debug', 'show the stack of an error'));
}

/** Rewrites a message of commander in our format. */
function oneLine(text: string): string {
  const line = text
    .replace(/^error: /, '')
    .trim()
    .replaceAll('\n', ' ');
  return `emergent: ${visible(line)}\n`;
}

// A reader that closes the pipe early (`| head`) is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`emergent: cannot write the output: ${error.message}\n`);
  process.exit(FAILURE);
});

// Notes and progress are extras: without a reader of stderr the result still comes.
process.stderr.on('error', () => undefined);

// Ctrl-C and the like leave no half-written file. Commands that stream text end by themselves.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    removeTemporaries();
    if (signal === 'SIGINT' && process.listenerCount(signal) > 1) return;
    process.exit(code);
  });
}

try {
  await program.parseAsync();
} catch (error) {
  endProgress();
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : BAD_INPUT; // already printed
  } else if (error instanceof EmergentError) {
    process.stderr.write(`emergent: ${visible(error.message)}\n`);
    process.exitCode = BAD_INPUT;
  } else {
    process.stderr.write(
      `emergent: internal error: ${visible(messageOf(error))} (please report; --debug shows the stack)\n`,
    );
    process.exitCode = FAILURE;
  }
  if (process.argv.includes('--debug') && error instanceof Error)
    process.stderr.write(`${visibleText(error.stack ?? '')}\n`);
}
