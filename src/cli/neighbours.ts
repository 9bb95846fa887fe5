import { Command } from 'commander';
import { writeFileWhole } from '../folder/nodeFile.js';
import { InputError } from '../../reference/lib/errors.js';
import { escapeHtml, page } from '../lib/html.js';
import { CARRIER, nearest, positions, type Neighbour } from '../lens.js';
import {
  addBackendOption,
  addModelOptions,
  openLanguageModel,
  parseInteger,
  type BackendFlags,
  type ModelFlags,
} from './options.js';
import { table } from './output.js';
import { readText } from './textFile.js';

interface NeighboursFlags extends ModelFlags, BackendFlags {
  among: string;
  carrier: string;
  layer?: number;
  count: number;
  json?: boolean;
  html?: string;
}

export function neighboursCommand(): Command {
  return addBackendOption(addModelOptions(new Command('neighbours')))
    .description('Show what stands near a text in the frozen table, which means nothing, and after each layer.')
    .argument('<text>', 'the text, such as Japan')
    .requiredOption('--among <file>', 'texts to compare with, one a line')
    .option('--carrier <text>', 'what texts are put into, {} standing for them', CARRIER)
    .option('--layer <n>', 'show only this one: 0 for the table, 1 for after the first layer, ...', parseInteger)
    .option('--count <n>', 'how many neighbours', parseInteger, 8)
    .option('--json', 'print one JSON object')
    .option('--html <file>', 'write a page')
    .addHelpText(
      'after',
      `
Examples:
  emergent neighbours Japan --among countries.txt
  emergent neighbours Japan --among countries.txt --layer 4 --html neighbours.html`,
    )
    .action(async (text: string, flags: NeighboursFlags) => {
      const texts = [text, ...(await lines(flags.among)).filter((line) => line !== text)];
      const { model, tokenizer, backend } = await openLanguageModel(flags);
      const { layer, count } = flags;
      if (layer !== undefined && (layer < 0 || layer > model.config.nLayer)) {
        throw new InputError(`--layer must be from 0 to ${model.config.nLayer}, got ${layer}`);
      }
      const places = await positions(model, texts, (it) => tokenizer.encode(it), flags.carrier, backend);
      const all = places.map((vectors, n) => ({
        where: whereIs(n),
        neighbours: nearest(vectors, texts, 0).slice(0, count),
      }));
      const shown = layer === undefined ? all : [all[layer]];
      if (flags.html !== undefined) {
        await writeFileWhole(flags.html, [new TextEncoder().encode(render(text, flags.carrier, shown))]);
        process.stderr.write(`wrote ${flags.html}\n`);
      }
      if (flags.json) process.stdout.write(`${JSON.stringify({ text, carrier: flags.carrier, layers: shown })}\n`);
      else
        process.stdout.write(
          `${table(shown.map(({ where, neighbours }) => [where, neighbours.map(spell).join(', ')]))}\n`,
        );
    });
}

interface Ranking {
  where: string;
  neighbours: Neighbour[];
}

function whereIs(layer: number): string {
  return layer === 0 ? 'frozen table' : `after layer ${layer}`;
}

function spell({ text, cosine }: Neighbour): string {
  return `${text} ${cosine.toFixed(2)}`;
}

async function lines(path: string): Promise<string[]> {
  const text = await readText(path);
  return [...new Set(text.split(/\r?\n/).filter((line) => line.trim() !== ''))];
}

function render(text: string, carrier: string, rankings: readonly Ranking[]): string {
  const columns = rankings.map(({ where, neighbours }) => {
    const rows = neighbours.map(({ text: name, cosine }) => {
      const width = (160 * Math.max(0, cosine)).toFixed(0);
      return `<tr><td>${escapeHtml(name)}</td><td><div class="bar" style="width:${width}px"></div></td><td>${cosine.toFixed(2)}</td></tr>`;
    });
    return `<h2>${where}</h2>\n<table>${rows.join('\n')}</table>`;
  });
  const note = `<p>The nearest by cosine, what all texts have in common subtracted. After a layer: at the end of <code>${escapeHtml(carrier)}</code>.</p>`;
  return page(
    `What stands near ${text}`,
    `${note}\n${columns.join('\n')}`,
    '.bar { background: #1565c0; height: .8em; }\n',
  );
}
