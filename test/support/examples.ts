import assert from 'node:assert/strict';
import ts from 'typescript';
import * as reference from '../../reference/index.js';

/** A line `expression; // => value` of an example, and what the expression really gives. */
export interface Result {
  line: string;
  actual: number[];
  expected: string[];
}

/** Every ```ts block of a Markdown text or, its stars removed, of a doc comment. */
export function codeBlocks(text: string): string[] {
  return [...text.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code);
}

/** Runs TypeScript that uses the exports of the reference, and collects its results. */
export function resultsOf(code: string): Result[] {
  const found: Result[] = [];
  const recorded = code.replaceAll(/^(.*?);? \/\/ => (.*)$/gm, (line, expression: string, value: string) => {
    return `record(${JSON.stringify(line)}, ${expression}, ${JSON.stringify(value)});`;
  });
  function record(line: string, value: Iterable<number> | number, stated: string): void {
    const actual = typeof value === 'number' ? [value] : [...value];
    found.push({ line, actual, expected: stated.match(/-?\d+(\.\d+)?/g) ?? [] });
  }
  const body = ts.transpile(recorded, { target: ts.ScriptTarget.ES2022 });
  const scope = { ...reference, record };
  // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call
  new Function(...Object.keys(scope), `{${body}}`)(...Object.values(scope));
  return found;
}

/** Compares a result with the value beside it, to the digits given: whole numbers to 1e-6, decimals to half a unit. */
export function assertResult({ line, actual, expected }: Result): void {
  assert.ok(expected.length > 0, `no value stands in: ${line}`);
  assert.equal(actual.length, expected.length, line);
  expected.forEach((digits, i) => {
    const decimals = digits.split('.')[1]?.length ?? 0;
    const bound = decimals === 0 ? 1e-6 : 0.5 * 10 ** -decimals + 1e-12;
    assert.ok(Math.abs(actual[i] - Number(digits)) <= bound, `${line}: element ${i} is ${actual[i]}`);
  });
}
