import { Command } from 'commander';
import { openLanguageModel } from './options.js';
import { addGenerateOptions, KEPT_CHARACTERS, runGenerate, type GenerateFlags } from './sampling.js';
import { textArgument } from './textFile.js';

export function generateCommand(): Command {
  return addGenerateOptions(new Command('generate'))
    .description('Continue a text. Prints only the continuation.')
    .argument('<prompt>', 'the text to continue, or - to read it from standard input')
    .addHelpText(
      'after',
      `
Examples:
  emergent generate "Question: What is the"
  emergent generate --temperature 0.8 --top-k 40 --seed 7 "Question:"
  emergent generate --ignore-eos --max-new-tokens 200 - < prompt.txt`,
    )
    .action(async (text: string, flags: GenerateFlags) => {
      const model = await openLanguageModel(flags);
      const prompt = await textArgument(text, KEPT_CHARACTERS);
      await runGenerate(model, prompt, flags);
    });
}
