import { Command } from 'commander';
import { askPrompt } from '../languageModel.js';
import { InputError } from '../../reference/lib/errors.js';
import { openLanguageModel } from './options.js';
import { addGenerateOptions, KEPT_CHARACTERS, runGenerate, type GenerateFlags } from './sampling.js';
import { textArgument } from './textFile.js';

export function askCommand(): Command {
  return addGenerateOptions(new Command('ask'))
    .description('Answer a question. The prompt has the form that the model was trained on: "Question: ...\\nAnswer:".')
    .argument('<question...>', 'the question, or - to read it from standard input')
    .addHelpText(
      'after',
      `
Examples:
  emergent ask "What is the capital of Japan?"
  emergent ask --json "What is the currency of Brazil?"
  echo "What is the capital of Kenya?" | emergent ask -`,
    )
    .action(async (words: string[], flags: GenerateFlags) => {
      const model = await openLanguageModel(flags);
      const question = (await textArgument(words.join(' '), KEPT_CHARACTERS)).trim();
      if (question === '') throw new InputError('the question is empty: ask needs at least one character');
      await runGenerate(model, askPrompt(question), flags, { trimStart: true });
    });
}
