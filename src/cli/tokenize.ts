import { Command } from 'commander';
import { addModelName, openModelFolderOf, openTokenizer, type ModelFlags } from './options.js';
import { printJson, table } from './output.js';
import { textArgument } from './textFile.js';

export function tokenizeCommand(): Command {
  return addModelName(new Command('tokenize'))
    .description('Show the tokens of a text.')
    .argument('<text>', 'the text, or - to read it from standard input')
    .option('--json', 'print the array of ids')
    .addHelpText(
      'after',
      `
Examples:
  emergent tokenize "hello the test"
  emergent tokenize --json --model bvv241-2-3 "hello the test"`,
    )
    .action(async (argument: string, flags: ModelFlags & { json?: boolean }) => {
      const tokenizer = await openTokenizer(await openModelFolderOf(flags));
      const ids = tokenizer.encode(await textArgument(argument));
      if (flags.json) printJson(ids);
      else if (ids.length > 0)
        process.stdout.write(`${table(ids.map((id) => [id, JSON.stringify(tokenizer.token(id))]))}\n`);
    });
}
