import { Command } from 'commander';
import { InputError } from '../../reference/lib/errors.js';
import { escapeHtml, page } from '../lib/html.js';
import { CARRIER, nearest, positions, type Neighbor } from '../lens.js';
import { integer } from './numbers.js';
import { addBackendOption, addModelOptions, openLanguageModel, type BackendFlags, type ModelFlags } from './options.js';
import { printJson, table } from './output.js';
import { checkOutputs, writePage } from './outputs.js';
import { readText } from './textFile.js';

interface NeighborsFlags extends ModelFlags, BackendFlags {
  among: string;
  carrier: string;
  layer?: number;
  count: number;
  json?: boolean;
  html?: string;
}

export function neighborsCommand(): Command {
  return addBackendOption(addModelOptions(new Command('neighbors').alias('neighbours')))
    .description('Show the nearest neighbors of a text in the frozen table and after each layer.')
    .argument('<text>', 'the text, such as Japan')
    .requiredOption('--among <file>', 'texts to compare with, one per line')
    .option('--carrier <text>', 'sentence around each text; {} marks the place', CARRIER)
    .option('--layer <n>', 'show only this layer: 0 is the table, 1 is after the first layer, ...', integer(0))
    .option('--count <n>', 'how many neighbors', integer(1), 8)
    .option('--json', 'print one JSON object')
    .option('--html <file>', 'write an HTML page; - for standard output')
    .addHelpText(
      'after',
      `
Examples:
  emergent neighbors Japan --among countries.txt
  emergent neighbors Japan --among countries.txt --layer 4 --html neighbors.html`,
    )
    .action(async (text: string, flags: NeighborsFlags) => {
      await checkOutputs([flags.html], [flags.model, flags.tensorMap, flags.among]);
      const texts = [text, ...(await lines(flags.among)).filter((line) => line !== text)];
      const { model, tokenizer, backend } = await openLanguageModel(flags);
      const { layer, count } = flags;
      if (layer !== undefined && layer > model.config.nLayer) {
        throw new InputError(`--layer must be between 0 and ${model.config.nLayer}, got ${layer}`);
      }
      const places = await positions(model, texts, (it) => tokenizer.encode(it), flags.carrier, backend);
      const all = places.map((vectors, n) => ({
        where: placeName(n),
        neighbors: nearest(vectors, texts, 0).slice(0, count),
      }));
      const shown = layer === undefined ? all : [all[layer]];
      if (flags.html !== undefined) await writePage(flags.html, render(text, flags.carrier, shown));
      if (flags.json) printJson({ text, carrier: flags.carrier, layers: shown });
      else
        process.stdout.write(
          `${table(shown.map(({ where, neighbors }) => [where, neighbors.map(format).join(', ')]))}\n`,
        );
    });
}

interface Ranking {
  where: string;
  neighbors: Neighbor[];
}

function placeName(layer: number): string {
  return layer === 0 ? 'frozen table' : `after layer ${layer}`;
}

function format({ text, cosine }: Neighbor): string {
  return `${text} ${cosine.toFixed(2)}`;
}

async function lines(path: string): Promise<string[]> {
  const text = await readText(path);
  return [...new Set(text.split(/\r?\n/).filter((line) => line.trim() !== ''))];
}

function render(text: string, carrier: string, rankings: readonly Ranking[]): string {
  const columns = rankings.map(({ where, neighbors }) => {
    const rows = neighbors.map(({ text: name, cosine }) => {
      const width = (160 * Math.max(0, cosine)).toFixed(0);
      return `<tr><td>${escapeHtml(name)}</td><td><div class="bar" style="width:${width}px"></div></td><td>${cosine.toFixed(2)}</td></tr>`;
    });
    return `<h2>${where}</h2>\n<table>${rows.join('\n')}</table>`;
  });
  const note = `<p>Nearest by cosine, after subtracting the mean of all texts. After a layer, the vector is taken at the last token of <code>${escapeHtml(carrier)}</code>.</p>`;
  return page(
    `Nearest neighbors of ${text}`,
    `${note}\n${columns.join('\n')}`,
    '.bar { background: #1565c0; height: .8em; }\n',
  );
}
