import { InputError } from '../../../reference/lib/errors.js';
import { quote } from '../../lib/quote.js';
import { NAMING, parseHubPage } from './hubUrl.js';

/** A model on the Hugging Face Hub: `org/name` and a revision, which is a branch, a tag or a commit hash. */
export interface HubId {
  repo: string;
  revision: string;
}

export const DEFAULT_ENDPOINT = 'https://huggingface.co';
const DEFAULT_REVISION = 'main';

/** The names that the Hub allows for accounts and models. */
const NAME = /^(?!.*(?:--|\.\.|\.git$))\w(?:[\w.-]*\w)?$/;
/** The names that git allows for branches and tags. Used as a relative path, such a name never leads upward. */
const REVISION = /^(?!.*\.\.)(?:[^\s\p{C}\\:?*[~^/.][^\s\p{C}\\:?*[~^/]*(?:\/(?!$)|$))+$/u;

/**
 * Parses `org/name`, `org/name@revision` or the URL of a model's page; null if the text is not a Hub id.
 *
 * @param revision the revision if the text has none; defaults to `main`
 * @param endpoint the Hub in use, whose pages are understood like those of huggingface.co
 * @throws InputError if git would reject the revision, if text and argument give two different ones, or for another URL.
 */
export function parseHubId(text: string, revision?: string, endpoint?: string): HubId | null {
  const page = parseHubPage(text, endpoint);
  if (page) {
    const named = parseName(page.revision === undefined ? page.id : `${page.id}@${page.revision}`, revision);
    if (!named) throw new InputError(`${quote(page.id)} is not the name of a model; ${NAMING}`);
    return named;
  }
  return parseName(text, revision);
}

function parseName(text: string, revision?: string): HubId | null {
  const at = text.indexOf('@');
  const repo = at < 0 ? text : text.slice(0, at);
  const inText = at < 0 ? undefined : text.slice(at + 1);
  const parts = repo.split('/');
  if (parts.length !== 2 || !parts.every((part) => NAME.test(part)) || repo.length > 96) return null;
  if (inText !== undefined && revision !== undefined && inText !== revision) {
    throw new InputError(`${quote(text)} conflicts with the requested revision ${quote(revision)}`);
  }
  const chosen = inText ?? revision ?? DEFAULT_REVISION;
  if (!REVISION.test(chosen)) throw new InputError(`${quote(chosen)} is not a valid revision`);
  return { repo, revision: chosen };
}

/** Whether a revision is a full commit hash, which always means the same files. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/**
 * The URL of a model's files on the Hub: `hubUrl('org/name')`, `hubUrl('org/name', 'v1.0')`.
 *
 * @throws InputError if the id is not a Hub id.
 */
export function hubUrl(id: string, revision?: string, endpoint: string = DEFAULT_ENDPOINT): string {
  const parsed = parseHubId(id, revision, endpoint);
  if (!parsed) throw new InputError(`${quote(id)} is not a Hugging Face Hub id such as org/name`);
  return `${endpoint.replace(/\/+$/, '')}/${parsed.repo}/resolve/${encodeURIComponent(parsed.revision)}/`;
}
