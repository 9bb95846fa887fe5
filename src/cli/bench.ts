import { Command } from 'commander';
import { openBackend } from '../backend.js';
import { measureSpeed, round } from '../bench.js';
import { integer, integers } from './numbers.js';
import {
  addBackendOption,
  addModelOptions,
  chooseBackend,
  openModel,
  openModelFolderOf,
  type BackendFlags,
  type ModelFlags,
} from './options.js';
import { printJson, progressBar, table } from './output.js';

interface BenchFlags extends ModelFlags, BackendFlags {
  prefill?: number[];
  decode?: number[];
  steps: number;
  json?: boolean;
}

export function benchCommand(): Command {
  return addBackendOption(addModelOptions(new Command('bench')))
    .description('Measure how fast a model runs on this machine.')
    .option('--prefill <lengths>', 'prompt lengths (default: 16,128,512 if they fit)', integers('lengths', 1))
    .option(
      '--decode <lengths>',
      'numbers of cached tokens at which to decode single tokens (default: 16,512 if they fit)',
      integers('lengths', 1),
    )
    .option('--steps <n>', 'tokens to decode at each of these', integer(1), 8)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Figures are medians after a warm-up. first_token_ms counts from the start of the process, with a prompt of one token.
peak_rss_mb is the largest memory use of the process.

Examples:
  emergent bench --prefill 16,64 --decode 16
  emergent bench --model path/to/model --backend gpu --json`,
    )
    .action(async (flags: BenchFlags) => {
      const chosen = await chooseBackend(flags);
      const folder = await openModelFolderOf(flags);
      const begun = performance.now();
      const { model, report } = await openModel(folder, flags, chosen);
      const backend = await openBackend(model, chosen.name);
      const loadMs = performance.now() - begun;
      const session = backend.openSession();
      await session.forward([0]);
      const firstTokenMs = performance.now(); // since the start of the process
      await session.dispose();
      const { prefill, decode, steps } = flags;
      const onProgress = progressBar('measuring', (tokens) => `${tokens} tokens`);
      const speed = await measureSpeed(backend, model.config, { prefill, decode, steps, onProgress });
      await backend.dispose();
      const result = {
        backend: backend.name,
        adapter: backend.adapter,
        model: model.config.modelType,
        dtype: report.dtype,
        parameters: Object.values(report.parameters).reduce((sum, count) => sum + count, 0),
        load_ms: round(loadMs),
        first_token_ms: round(firstTokenMs),
        ...speed,
        peak_rss_mb: round(process.resourceUsage().maxRSS / 1e3),
      };
      if (flags.json) printJson(result);
      else process.stdout.write(`${render(result)}\n`);
    });
}

function render(result: Record<string, string | number | Record<string, number>>): string {
  const rows = Object.entries(result).flatMap(([key, value]) =>
    typeof value === 'object'
      ? Object.entries(value).map(([length, figure]) => [`${key} at ${length}`, String(figure)])
      : [[key, String(value)]],
  );
  return table(rows);
}
