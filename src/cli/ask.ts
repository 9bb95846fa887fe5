import { Command } from 'commander';
import { askPrompt } from '../languageModel.js';
import { openLanguageModel, textArgument } from './options.js';
import { addGenerateOptions, runGenerate, type GenerateFlags } from './sampling.js';

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
      const question = (await textArgument(words.join(' '))).trim();
      await runGenerate(model, askPrompt(question), flags, { trimStart: true });
    });
}
