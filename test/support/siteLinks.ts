import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

/** The pages and figures under a folder. */
export function pagesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(html|svg)$/.test(file))
    .map((file) => file.split(sep).join('/'))
    .sort();
}

/** What is wrong with the links of a page to its own site: the place of the fault and the link. */
export function brokenLinks(site: string, page: string): string[] {
  const text = readFileSync(join(site, page), 'utf8');
  const links = [...text.matchAll(/<[^>]*?\s(?:href|src)="([^"]*)"/g)].map(([, link]) => link.replaceAll('&amp;', '&'));
  return [...new Set(links)].flatMap((link) => {
    const fault = faultOf(site, page, link);
    return fault === null ? [] : [`${page}: ${link} ${fault}`];
  });
}

function faultOf(site: string, page: string, link: string): string | null {
  if (/^(https?|mailto|data):/.test(link)) return null; // no network in tests
  const [path, anchor] = link.split('#').map((part) => decodeURIComponent(part));
  let target = path === '' ? join(site, page) : join(site, dirname(page), path);
  if (relative(site, target).startsWith('..')) return 'leads out of the site';
  if (existsSync(target) && statSync(target).isDirectory()) target = join(target, 'index.html');
  if (!existsSync(target)) return 'does not exist';
  if (anchor && target.endsWith('.html')) {
    const ids = [...readFileSync(target, 'utf8').matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
    if (!ids.includes(anchor)) return 'has no such anchor';
  }
  return null;
}
