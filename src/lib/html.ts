import { visibleText } from './quote.js';

/** A self-contained HTML page without scripts, in the style of this project's reports. */
export function page(title: string, body: string, style = ''): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escapeHtml(title)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #112; }
pre { background: #f4f5f8; padding: .8rem 1rem; white-space: pre-wrap; }
table { border-collapse: collapse; font: 12.5px ui-monospace, monospace; }
th, td { text-align: left; padding: .15rem .6rem; border-bottom: 1px solid #e3e5ec; white-space: nowrap; }
.scroll { overflow-x: auto; }
${style}</style>
<h1>${escapeHtml(title)}</h1>
${body}
</html>
`;
}

/** Escapes text for HTML elements and quoted attributes, and shows control characters as `\u{1b}`. */
export function escapeHtml(text: string): string {
  return visibleText(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
