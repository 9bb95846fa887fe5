import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The relative links of a Markdown file or an SVG figure. */
export function linksOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replaceAll(/^```[^]*?^```$/gm, '');
  const markdown = file.endsWith('.md') ? [...text.matchAll(/\]\(([^)\s]+)[^)]*\)/g)] : [];
  const markup = [...text.matchAll(/ (?:href|src)="([^"]+)"/g)];
  return [...markdown, ...markup].map(([, target]) => target).filter((target) => !/^[a-z]+:/.test(target));
}

/** What is wrong with a relative link of a file, or null. */
export function faultOf(file: string, link: string): string | null {
  const [path, anchor] = link.split('#').map(decodeURIComponent);
  const target = path === '' ? file : join(dirname(file), path);
  if (!existsSync(target)) return `${link} does not exist`;
  if (anchor && target.endsWith('.md') && !anchorsOf(target).includes(anchor)) return `${link}: no such heading`;
  return null;
}

/** The anchors that GitHub gives to the headings of a Markdown file. */
export function anchorsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading));
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}
