import { InputError } from '../../../reference/lib/errors.js';

/** A model on the Hugging Face Hub: `org/name`, and a branch, a tag or the hash of a commit. */
export interface HubId {
  repo: string;
  revision: string;
}

export const DEFAULT_ENDPOINT = 'https://huggingface.co';
const DEFAULT_REVISION = 'main';

/** What the Hub lets an account or a model be called. */
const NAME = /^(?!.*(?:--|\.\.|\.git$))\w(?:[\w.-]*\w)?$/;
/** What git lets a branch or a tag be called; as a path it leads nowhere but down. */
const REVISION = /^(?!.*\.\.)(?:[^\s\p{C}\\:?*[~^/.][^\s\p{C}\\:?*[~^/]*(?:\/(?!$)|$))+$/u;

/**
 * Reads `org/name` or `org/name@revision`; null for a text that is no such id.
 *
 * @param revision unless the text has one; `main` unless told
 * @throws InputError for a revision that git would not take, or two that differ.
 */
export function parseHubId(text: string, revision?: string): HubId | null {
  const at = text.indexOf('@');
  const repo = at < 0 ? text : text.slice(0, at);
  const inText = at < 0 ? undefined : text.slice(at + 1);
  const parts = repo.split('/');
  if (parts.length !== 2 || !parts.every((part) => NAME.test(part)) || repo.length > 96) return null;
  if (inText !== undefined && revision !== undefined && inText !== revision) {
    throw new InputError(`${text}: the revision asked for beside it is another, ${JSON.stringify(revision)}`);
  }
  const asked = inText ?? revision ?? DEFAULT_REVISION;
  if (!REVISION.test(asked)) throw new InputError(`${JSON.stringify(asked)} cannot be the revision of a model`);
  return { repo, revision: asked };
}

/** Whether a revision is the full hash of a commit, which can never come to mean something else. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/**
 * The URL under which the Hub has the files of a model: `hubUrl('org/name')`, `hubUrl('org/name', 'v1.0')`.
 *
 * @throws InputError if it is no id of the Hub.
 */
export function hubUrl(id: string, revision?: string, endpoint: string = DEFAULT_ENDPOINT): string {
  const parsed = parseHubId(id, revision);
  if (!parsed) throw new InputError(`${JSON.stringify(id)} is no id of the Hugging Face Hub, such as org/name`);
  return `${endpoint.replace(/\/+$/, '')}/${parsed.repo}/resolve/${encodeURIComponent(parsed.revision)}/`;
}
