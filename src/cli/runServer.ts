import { basename } from 'node:path';
import { InputError } from '../../reference/lib/errors.js';
import { readJson, readWhole, type Folder } from '../folder/folder.js';
import { LanguageModel } from '../languageModel.js';
import { TokenizerError } from '../lib/errors.js';
import { isObject } from '../lib/guards.js';
import { foreignMessage } from '../lib/quote.js';
import { decodeUtf8 } from '../lib/utf8.js';
import { QUESTION_ANSWER, templateFormat, type ChatFormat } from '../serve/chatFormat.js';
import { createHandler } from '../serve/handler.js';
import { listen } from '../serve/nodeServer.js';
import {
  chooseBackend,
  openModel,
  openModelFolderOf,
  openTokenizer,
  type BackendFlags,
  type ModelFlags,
} from './options.js';
import { note, say } from './output.js';

export interface ServeFlags extends ModelFlags, BackendFlags {
  host: string;
  port: number;
  name?: string;
  apiKey?: string;
  cors?: string;
  maxQueue: number;
  maxSequences: number;
  quiet?: boolean;
}

const LOOPBACK = ['127.0.0.1', 'localhost', '::1'];

/** Serves a model until a signal ends the process. */
export async function runServer(flags: ServeFlags): Promise<void> {
  const { host, port, cors, maxQueue, maxSequences, quiet } = flags;
  const apiKey = flags.apiKey ?? process.env.EMERGENT_API_KEY;
  if (apiKey === '') throw new InputError('the API key is empty');
  if (cors !== undefined && cors !== '*' && (!URL.canParse(cors) || new URL(cors).origin !== cors)) {
    throw new InputError(`--cors must be an origin such as https://example.org, or *, got '${cors}'`);
  }
  const backend = await chooseBackend(flags);
  const folder = await openModelFolderOf(flags);
  const chat = await readChatFormat(folder);
  let settle: (model: LanguageModel) => void = () => undefined;
  const handler = createHandler(new Promise<LanguageModel>((resolve) => (settle = resolve)), {
    name: flags.name ?? basename(flags.model),
    hosts: LOOPBACK.includes(host) ? 'loopback' : 'any',
    apiKey,
    cors,
    maxQueue,
    maxSequences,
    chat,
    log: quiet ? undefined : say,
    onFailure: (error) => {
      note(`the backend failed: ${error.message}`);
      void end(1);
    },
  });
  const server = await listen(handler.fetch, { host, port });

  let isEnding = false;
  async function end(code: number): Promise<void> {
    if (isEnding) return;
    isEnding = true;
    handler.close();
    await server.close();
    process.exit(code);
  }
  // before the handlers of main.ts, which exit at once
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.removeAllListeners(signal);
    process.on(signal, () => void end(0));
  }

  const tokenizer = await openTokenizer(folder);
  const { model, report } = await openModel(folder, flags, backend);
  const ready = new LanguageModel(model, tokenizer, report, backend.name);
  await (await ready.openSession()).dispose(); // so that the first request finds the backend ready
  settle(ready);
  say(`listening on ${server.url}`);
}

/**
 * The chat template of a model folder, or the model card's questions and answers.
 *
 * @throws TokenizerError if the template cannot be read.
 */
async function readChatFormat(folder: Folder): Promise<ChatFormat> {
  const config = await readJson(folder, 'tokenizer_config.json', TokenizerError);
  const fields = isObject(config) ? config : {};
  const file = await readWhole(folder, 'chat_template.jinja');
  const path = folder.pathOf(file ? 'chat_template.jinja' : 'tokenizer_config.json');
  const template = file ? decodeUtf8(file, { path, Fault: TokenizerError }) : fields.chat_template;
  if (template === undefined || template === null) return QUESTION_ANSWER;
  if (typeof template !== 'string') throw new TokenizerError(`${path}: chat_template must be a string`);
  const special = ['bos_token', 'eos_token', 'unk_token', 'pad_token'].map((key) => {
    const value = fields[key];
    return [key, isObject(value) ? value.content : value] as const;
  });
  try {
    return templateFormat(template, Object.fromEntries(special));
  } catch (error) {
    throw new TokenizerError(`${path}: the chat template cannot be parsed: ${foreignMessage(error)}`);
  }
}
