import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { createCssVariablesTheme, createHighlighter, type Highlighter } from 'shiki';
import type { Plugin } from 'vite';
import type { OpSource, Span } from '../source.js';

const QUERY = '?highlighted';

/** Colors become classes: a strict Content-Security-Policy forbids style attributes. */
const theme = createCssVariablesTheme({ name: 'classes', variablePrefix: '--' });

/**
 * Imports a TypeScript file as text with the class of each piece: `import source from './x.ts?highlighted'` is an
 * {@link OpSource}. The formula and the prose are those of the docstring, so the page cannot disagree with the source.
 */
export function highlightedSource(): Plugin {
  let shared: Promise<Highlighter> | undefined;
  return {
    name: 'highlighted-source',
    enforce: 'pre',
    async load(id) {
      if (!id.endsWith(QUERY)) return null;
      const path = id.slice(0, -QUERY.length);
      shared ??= createHighlighter({ themes: [theme], langs: ['typescript'] });
      const text = await readFile(path, 'utf8');
      this.addWatchFile(path);
      const { tokens } = (await shared).codeToTokens(text, { lang: 'typescript', theme: 'classes' });
      const lines = tokens.map((line) => line.map(({ content, color = '' }): Span => [content, classOf(color)]));
      const source: OpSource = { text, lines, ...parts(text, basename(path, '.ts')) };
      return { code: `export default ${JSON.stringify(source)};`, map: null, moduleType: 'js' };
    },
  };
}

/** `var(--token-keyword)` is `keyword`. */
function classOf(color: string): string {
  return /--(?:token-)?([\w-]+)/.exec(color)?.[1] ?? '';
}

/** The docstring of the function that a file is named after, and where that function begins and ends. */
function parts(text: string, name: string): Pick<OpSource, 'prose' | 'formula' | 'start' | 'end'> {
  // the form that works in place comes first, and is the one that other ops call
  const head = new RegExp(`^export (?:function|class) ${name}(?:InPlace)?\\b`, 'm').exec(text);
  if (!head) return { prose: '', formula: '', start: 0, end: text.split('\n').length };
  const before = text.slice(0, head.index);
  const own = docOf(before.slice(before.lastIndexOf('/**')));
  const all = docOf(before.replaceAll(/\*\/[^]*?(?=\/\*\*|$)/g, '\n'));
  const after = text.slice(head.index);
  const start = before.split('\n').length - 1;
  return {
    prose: own.prose,
    formula: own.formula === '' ? all.formula : own.formula,
    start,
    end: start + after.slice(0, after.indexOf('\n}\n')).split('\n').length + 1,
  };
}

/** The first paragraph of a docstring, and its indented lines, which are formulas. */
function docOf(comment: string): { prose: string; formula: string } {
  const lines = comment.split('\n').map((line) => line.replace(/^ *(?:\/\*\*|\*\/|\*) ?/, ''));
  const text = lines.join('\n').trim();
  const formula = lines.filter((line) => line.startsWith('    ')).map((line) => line.trim());
  return { prose: text.split('\n\n')[0].replaceAll('\n', ' ').trim(), formula: formula.join('\n') };
}
