/** A fenced block of a Markdown text. `line` is the number of its first line. */
export interface FencedBlock {
  language: string;
  line: number;
  text: string;
}

/** A command of a document and the output that the document shows below it. */
export interface Snippet {
  line: number;
  command: string;
  output: string[];
}

export function blocksOf(markdown: string): FencedBlock[] {
  return [...markdown.matchAll(/^```(.*)\n([^]*?)^```$/gm)].map(({ index, 1: language, 2: text }) => ({
    language,
    line: markdown.slice(0, index).split('\n').length + 1,
    text,
  }));
}

/** The commands of each block that has any: lines that begin with `$ `, each followed by its output. */
export function commandsOf(markdown: string): Snippet[][] {
  return blocksOf(markdown)
    .map(({ line, text }) => {
      const snippets: Snippet[] = [];
      for (const [i, content] of text.split('\n').slice(0, -1).entries()) {
        if (content.startsWith('$ ')) snippets.push({ line: line + i, command: content.slice(2), output: [] });
        else snippets.at(-1)?.output.push(content);
      }
      return snippets;
    })
    .filter((snippets) => snippets.length > 0);
}

/**
 * Compares what a program printed with the output that a document shows. A line `...` stands for any number of lines.
 * Times and speeds (a number before `ms`, `s` or `tokens/s`) are not compared.
 */
export function agrees(printed: string, shown: readonly string[]): boolean {
  const pattern = shown.map((line) => (line === '...' ? '(?:.*\\n)*?' : `${literal(mask(line))}\\n`)).join('');
  return new RegExp(`^${pattern}$`).test(mask(printed));
}

function mask(text: string): string {
  return text.replaceAll(/\d+(\.\d+)? m?s\b/g, '# s').replaceAll(/\d+(\.\d+)? tokens\/s\b/g, '# tokens/s');
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
