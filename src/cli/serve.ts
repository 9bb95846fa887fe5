import { Command } from 'commander';
import { integer } from './numbers.js';
import { addBackendOption, addModelOptions } from './options.js';
import type { ServeFlags } from './runServer.js';

export function serveCommand(): Command {
  return addBackendOption(addModelOptions(new Command('serve')))
    .description('Serve the model over HTTP to clients of the OpenAI API.')
    .option('--host <name>', 'address to listen on', '127.0.0.1')
    .option('--port <n>', 'port to listen on; 0 takes a free one', integer(0, 65535), 8080)
    .option('--name <name>', "what clients call the model (default: the folder's name)")
    .option('--api-key <key>', 'key that requests need (default: $EMERGENT_API_KEY)')
    .option('--cors <origin>', 'origin whose pages may call, or * (default: pages on this machine)')
    .option('--max-queue <n>', 'requests that may wait; more get 429', integer(0, 100_000), 256)
    .option('--max-sequences <n>', 'sequences that advance together', integer(1, 1024), 32)
    .option('--quiet', 'no line for each request')
    .addHelpText(
      'after',
      `
Ctrl-C ends it.

Examples:
  emergent serve
  emergent serve --port 0 --dtype int8 --model path/to/model --name my-model`,
    )
    .action(async (flags: ServeFlags) => {
      const { runServer } = await import('./runServer.js'); // other commands need no server
      await runServer(flags);
    });
}
