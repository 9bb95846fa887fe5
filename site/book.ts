import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import MarkdownIt from 'markdown-it';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const STYLE = fileURLToPath(new URL('book.css', import.meta.url));

/**
 * Writes the Markdown of `reference/` as pages, with its figures. Other files of the repository that it links to become
 * pages of plain text, so that no link leads out of the site.
 *
 * @throws Error for a link to a file that does not exist.
 */
export async function writeBook(out: string): Promise<void> {
  const chapters = (await readdir(join(ROOT, 'reference/book'))).map((name) => `reference/book/${name}`);
  const pages = ['reference/README.md', ...chapters.filter((file) => file.endsWith('.md'))];
  const figures = ['reference/architecture.svg', ...chapters.filter((file) => file.endsWith('.svg'))];
  const linked = new Set<string>();
  for (const file of pages) {
    const { html, title } = await rendered(file, linked);
    await write(join(out, placeOf(file)), page(file, title, html));
  }
  for (const file of figures) {
    const svg = await readFile(join(ROOT, file), 'utf8');
    const follow = (_: string, target: string): string => ` href="${follows(file, target, linked)}"`;
    await write(join(out, placeOf(file)), svg.replaceAll(/ href="([^"]+)"/g, follow));
  }
  for (const file of linked) {
    if (pages.includes(file) || figures.includes(file)) continue;
    const text = await readFile(join(ROOT, file), 'utf8');
    const html = `<h1>${escapeHtml(file)}</h1>\n<pre tabindex="0"><code>${escapeHtml(text)}</code></pre>`;
    await write(join(out, placeOf(file)), page(file, file, html));
  }
  await copyFile(STYLE, join(out, 'book.css'));
}

/** Where a file of the repository lies in the book. */
function placeOf(file: string): string {
  if (file === 'reference/README.md') return 'index.html';
  const own = /^reference\/(?:book\/)?([^/]+)\.(md|svg)$/.exec(file);
  if (own) return `${own[1]}.${own[2] === 'md' ? 'html' : 'svg'}`;
  return `source/${file}.html`;
}

async function rendered(file: string, linked: Set<string>): Promise<{ html: string; title: string }> {
  const markdown = new MarkdownIt();
  const env = {};
  const tokens = markdown.parse(await readFile(join(ROOT, file), 'utf8'), env);
  let title = file;
  const names = new Map<string, number>();
  for (const [n, token] of tokens.entries()) {
    if (token.type === 'heading_open') {
      const heading = (tokens[n + 1].children ?? []).map(({ content }) => content).join('');
      if (token.tag === 'h1') title = heading;
      const anchor = anchorOf(heading);
      const count = names.get(anchor) ?? 0;
      names.set(anchor, count + 1);
      token.attrSet('id', count === 0 ? anchor : `${anchor}-${count}`);
    }
    if (token.type === 'fence') token.attrSet('tabindex', '0'); // it may scroll sideways
    for (const child of token.children ?? []) {
      for (const name of ['href', 'src']) {
        const target = child.attrGet(name);
        if (target !== null) child.attrSet(name, follows(file, target, linked));
      }
    }
  }
  return { html: markdown.renderer.render(tokens, markdown.options, env), title };
}

/** A link of a file as it must be in the book. What it leads to is added to `linked`. */
function follows(file: string, target: string, linked: Set<string>): string {
  if (/^[a-z]+:|^#/.test(target)) return target;
  const [path, anchor] = target.split('#');
  const linkedFile = posix.join(posix.dirname(file), path);
  linked.add(linkedFile);
  const place = placeOf(linkedFile);
  const relative = posix.relative(posix.dirname(placeOf(file)), place);
  return anchor && !place.startsWith('source/') ? `${relative}#${anchor}` : relative;
}

/** The anchor that GitHub gives to a heading. */
function anchorOf(heading: string): string {
  const kept = heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, '');
  return kept.trim().replaceAll(' ', '-');
}

function page(file: string, title: string, html: string): string {
  const up = '../'.repeat(placeOf(file).split('/').length - 1);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${up}book.css">
</head>
<body>
<nav aria-label="Site">
<a href="${up}../index.html">Playground</a> <a href="${up}index.html">Book</a> <a href="${up}../api/index.html">API</a>
</nav>
<main>
${html}
</main>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
