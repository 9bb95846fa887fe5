import { Command } from 'commander';
import { InputError } from '../../reference/lib/errors.js';
import { escapeHtml, page } from '../lib/html.js';
import type { LanguageModel } from '../languageModel.js';
import { logitLens, type Guess } from '../lens.js';
import {
  addBackendOption,
  addModelOptions,
  chooseBackend,
  openLanguageModel,
  type BackendFlags,
  type ModelFlags,
} from './options.js';
import { printJson, table } from './output.js';
import { checkOutputs, writePage } from './outputs.js';
import { addPatchOption, checkPatchBackend, PATCH_HELP, patchFiles, readPatches, type PatchFlags } from './patches.js';
import { textArgument } from './textFile.js';

interface LensFlags extends ModelFlags, BackendFlags, PatchFlags {
  json?: boolean;
  html?: string;
}

export function logitLensCommand(): Command {
  return addPatchOption(addBackendOption(addModelOptions(new Command('logit-lens'))))
    .description('Show what the model would predict at each token if it stopped after each layer.')
    .argument('<text>', 'the text, or - to read it from standard input')
    .option('--json', 'print one JSON object')
    .option('--html <file>', 'write an HTML page that shades predictions by probability; - for standard output')
    .addHelpText(
      'after',
      `${PATCH_HELP}
Examples:
  emergent logit-lens "Question: What is the capital of Japan?
Answer: Tokyo"
  emergent logit-lens --html lens.html "Question: Is Chad landlocked?"
  emergent logit-lens --backend reference --patch "layers.1.attn_out=0" "Question: Is Chad landlocked?"`,
    )
    .action(async (argument: string, flags: LensFlags) => {
      await checkOutputs([flags.html], [flags.model, flags.tensorMap, ...patchFiles(flags)]);
      if (flags.patch) checkPatchBackend(flags, await chooseBackend(flags));
      const patches = await readPatches(flags);
      const model = await openLanguageModel(flags);
      const text = await textArgument(argument);
      const ids = model.tokenizer.encode(text);
      if (ids.length === 0) throw new InputError('the text is empty: the model needs at least one token');
      const layers = await logitLens(model.model, ids, model.backend, patches);
      if (flags.html !== undefined) await writePage(flags.html, render(model, text, ids, layers));
      const token = (id: number) => model.tokenizer.token(id);
      if (flags.json) {
        const named = layers.map((guesses) => guesses.map((guess) => ({ ...guess, token: token(guess.id) })));
        printJson({ text, tokens: ids, layers: named });
      } else {
        const head = ['token', ...layers.map((_, n) => `after layer ${n + 1}`)];
        const rows = ids.map((id, t) => [
          JSON.stringify(token(id)),
          ...layers.map((guesses) => cell(model, guesses[t])),
        ]);
        process.stdout.write(`${table([head, ...rows])}\n`);
      }
    });
}

function cell({ tokenizer }: LanguageModel, { id, probability }: Guess): string {
  return `${JSON.stringify(tokenizer.token(id))} ${(100 * probability).toFixed(0)} %`;
}

function render(model: LanguageModel, text: string, ids: readonly number[], layers: readonly Guess[][]): string {
  const head = ['token', ...layers.map((_, n) => `after layer ${n + 1}`)].map((name) => `<th>${name}</th>`).join('');
  const rows = ids.map((id, t) => {
    const cells = layers.map((guesses) => {
      const { probability } = guesses[t];
      const shade = `style="background: rgb(21 101 192 / ${(0.6 * probability).toFixed(2)})"`;
      return `<td ${shade}>${escapeHtml(cell(model, guesses[t]))}</td>`;
    });
    return `<tr><th>${escapeHtml(JSON.stringify(model.tokenizer.token(id)))}</th>${cells.join('')}</tr>`;
  });
  return page(
    'What the model would predict after each layer',
    `<pre>${escapeHtml(text)}</pre>
<p>Each row is an input token. Each column is the predicted next token if the model stopped after that layer and applied its
own final norm and head. Darker cells are more probable.</p>
<div class="scroll"><table><tr>${head}</tr>\n${rows.join('\n')}\n</table></div>`,
  );
}
