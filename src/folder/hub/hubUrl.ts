import { InputError } from '../../../reference/lib/errors.js';

/** Hosts whose pages name a model, as in huggingface_hub; that of HF_ENDPOINT counts as well. */
const HUB_HOSTS = ['huggingface.co', 'www.huggingface.co', 'hf.co', 'hub-ci.huggingface.co'];
/** First parts of a page's path that are not an account, and what they show. */
const OTHER_PAGES: Readonly<Record<string, string>> = {
  datasets: 'a dataset',
  spaces: 'a Space',
  kernels: 'a kernel',
  buckets: 'a bucket',
  collections: 'a collection',
  papers: 'a paper',
  docs: 'documentation',
  api: 'an answer of the API',
};
/** Pages of one revision's files. A tree is a folder, the others show a file. */
const FILE_PAGES = ['tree', 'blob', 'resolve', 'raw', 'blame'];
/** Revisions that contain a slash and are nevertheless not encoded in a URL. */
const SPECIAL_REVISION = /^refs\/(?:convert\/[\w.-]+|pr\/\d+)(?=\/|$)/;

/** The right way to name a model, for messages. */
export const NAMING = 'name a model on the Hugging Face Hub as org/name or org/name@revision';

/** What a URL of the Hub says: `org/name` or `org/name@revision`. */
interface NamedModel {
  id: string;
  revision: string | undefined;
}

/**
 * Takes the model from the address of its page or of one of its files, as huggingface_hub does:
 * `https://huggingface.co/org/name/tree/v1`, `hf.co/org/name`, `hf://org/name@v1`. Null if the text is not a URL.
 *
 * @param endpoint the Hub in use; its pages are understood, too
 * @throws InputError for any other URL. The message says what a model is called.
 */
export function parseHubPage(text: string, endpoint?: string): NamedModel | null {
  const url = urlOf(text.trim(), endpoint);
  if (!url) return null;
  // without query and user, which may contain secrets
  const name = `${url.protocol}//${url.host}${url.pathname}`;
  const fail = (fault: string): never => {
    throw new InputError(`${name} ${fault}; ${NAMING}`);
  };
  if (url.username || url.password) fail('must not be used with a user name or password (set HF_TOKEN instead)');
  const segments = segmentsOf(url, endpoint) ?? fail('is not a page of the Hugging Face Hub');
  if (segments[0] === 'models') segments.shift();
  const [account, repo] = segments;
  const [page, ...location] = segments.slice(2) as [string?, ...string[]];
  if (segments.length > 0 && Object.hasOwn(OTHER_PAGES, account)) fail(`is ${OTHER_PAGES[account]}, not a model`);
  if (segments.length < 2) fail('does not name a model');
  const at = repo.indexOf('@');
  const inName = at < 0 ? undefined : repo.slice(at + 1);
  const id = `${account}/${(at < 0 ? repo : repo.slice(0, at)).replace(/\.git$/, '')}`;
  if (page === undefined) return { id, revision: inName };
  if (url.protocol === 'hf:') {
    const rest = [page, ...location];
    const { revision, path } = inName === undefined ? { revision: undefined, path: rest } : split([inName, ...rest]);
    if (path.length > 1) fail('is not at the root of its model, where the files must be');
    return { id, revision };
  }
  if (!FILE_PAGES.includes(page) || inName !== undefined) fail('is not the page of a model or its files');
  const { revision, path } = split(location);
  if (path.length > (page === 'tree' ? 0 : 1)) fail('is not at the root of its model, where the files must be');
  return { id, revision };
}

/** The URL that a text is, with or without its scheme; null if it is none. */
function urlOf(text: string, endpoint: string | undefined): URL | null {
  const ssh = /^(?:ssh:\/\/)?git@([\w.-]+)[:/](.*)$/.exec(text);
  if (ssh && isHubHost(ssh[1], endpoint)) return new URL(`https://${ssh[1]}/${ssh[2]}`);
  const [host] = text.split(/[/?#]/, 1);
  const url = isHubHost(host, endpoint) ? `https://${text}` : text;
  if (/^hf:\/\//i.test(url)) return URL.canParse(url) ? new URL(url) : null;
  return /^https?:\/\//i.test(url) && URL.canParse(url) ? new URL(url) : null;
}

/** The decoded parts of a URL's path; null for another host than the Hub's. */
function segmentsOf(url: URL, endpoint: string | undefined): string[] | null {
  let { pathname } = url;
  if (url.protocol === 'hf:') pathname = `${url.host}${pathname}`;
  else if (!isHubHost(url.host, endpoint)) return null;
  const prefix = hostAndPath(endpoint);
  if (prefix && prefix.path !== '' && url.host === prefix.host && pathname.startsWith(`${prefix.path}/`)) {
    pathname = pathname.slice(prefix.path.length);
  }
  return pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decode);
}

/** Separates a revision from the path behind it. */
function split(parts: readonly string[]): { revision: string | undefined; path: string[] } {
  const special = SPECIAL_REVISION.exec(parts.join('/'))?.[0];
  if (special === undefined) return { revision: parts[0], path: parts.slice(1) };
  return { revision: special, path: parts.slice(special.split('/').length) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a percent sign that stands for itself
  }
}

function isHubHost(host: string, endpoint: string | undefined): boolean {
  const name = host.toLowerCase();
  return HUB_HOSTS.includes(name) || name === hostAndPath(endpoint)?.host;
}

function hostAndPath(endpoint: string | undefined): { host: string; path: string } | null {
  if (endpoint === undefined || !URL.canParse(endpoint)) return null;
  const { host, pathname } = new URL(endpoint);
  return { host, path: pathname.replace(/\/+$/, '') };
}
