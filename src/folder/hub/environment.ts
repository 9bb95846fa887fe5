import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { InputError, messageOf } from '../../../reference/lib/errors.js';

/*
 * The environment variables of Python's huggingface_hub (its constants.py and utils/_auth.py), read as it reads them.
 */

/** A secret and where it comes from, to name in messages. */
export interface Token {
  value: string;
  source: string;
}

/** The folder of the cache: HF_HUB_CACHE, or HUGGINGFACE_HUB_CACHE, or `hub` in HF_HOME. */
export function cachePath(): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } = process.env;
  return expand(HF_HUB_CACHE ?? HUGGINGFACE_HUB_CACHE ?? join(homePath(), 'hub'));
}

/**
 * The token to send: HF_TOKEN, or HUGGING_FACE_HUB_TOKEN, or the file that `hf auth login` writes; null without any, or if
 * HF_HUB_DISABLE_IMPLICIT_TOKEN is set.
 *
 * @throws InputError if the token cannot be read, or cannot be one. The message never shows it.
 */
export function readToken(): Token | null {
  if (isTrue('HF_HUB_DISABLE_IMPLICIT_TOKEN')) return null;
  const token = tokenInEnvironment() ?? tokenInFile();
  if (token && !/^[\x21-\x7e]+$/.test(token.value)) {
    throw new InputError(`${token.source} contains characters that are not allowed in a token`);
  }
  return token;
}

/** The variable that forbids requests; null if none does. */
export function offlineVariable(): 'HF_HUB_OFFLINE' | 'TRANSFORMERS_OFFLINE' | null {
  const name = process.env.HF_HUB_OFFLINE ? 'HF_HUB_OFFLINE' : 'TRANSFORMERS_OFFLINE';
  return isTrue(name) ? name : null;
}

/** Whether HF_HUB_DISABLE_SYMLINKS asks for files instead of symbolic links in the cache. */
export function symlinksDisabled(): boolean {
  return isTrue('HF_HUB_DISABLE_SYMLINKS');
}

/** The value of an environment variable without the space around it. An empty one counts as unset. */
export function variable(name: string): string | undefined {
  const value = process.env[name]?.trim();
  return value === '' ? undefined : value;
}

function homePath(): string {
  return expand(process.env.HF_HOME ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface'));
}

function tokenInEnvironment(): Token | null {
  const source = process.env.HF_TOKEN ? 'HF_TOKEN' : 'HUGGING_FACE_HUB_TOKEN';
  const value = variable(source);
  return value === undefined ? null : { value, source };
}

function tokenInFile(): Token | null {
  const path = expand(process.env.HF_TOKEN_PATH ?? join(homePath(), 'token'));
  try {
    const value = readFileSync(path, 'utf8').trim();
    return value === '' ? null : { value, source: path };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    const ways = 'set HF_TOKEN or HF_TOKEN_PATH, or HF_HUB_DISABLE_IMPLICIT_TOKEN=1 to send no token';
    throw new InputError(`the token in ${path} cannot be read: ${messageOf(error)}; ${ways}`);
  }
}

/** Expands a leading `~`, then `$NAME` and `${NAME}`. Unknown names stay, as in Python's `os.path.expandvars`. */
function expand(path: string): string {
  return path
    .replace(/^~(?=$|[/\\])/, () => homedir())
    .replace(/\$(?:(\w+)|\{([^}]*)\})/g, (text, plain?: string, braced?: string) => {
      return process.env[plain ?? braced ?? ''] ?? text;
    });
}

function isTrue(name: string): boolean {
  return /^(1|on|yes|true)$/i.test(process.env[name] ?? '');
}
