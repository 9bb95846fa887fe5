/**
 * Turns the kernel functions in the compiled modules of accel/gpu into strings:  node accel/gpu/kernelText.mjs DIST
 *
 * GPU.js parses the source of a kernel. Minifiers rewrite functions into forms that it cannot compile, but no minifier
 * changes a string. So kernels are TypeScript functions in this folder, which the compiler checks, and strings in dist.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import ts from 'typescript';

/** Replaces each kernel function of a module with a string constant of the same name. */
function kernelsToText(path) {
  const source = readFileSync(path, 'utf8');
  const { statements } = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true);
  let result = '';
  let kernels = 0;
  for (const statement of statements) {
    const text = statement.getText();
    const comments = statement.getFullText().slice(0, -text.length);
    if (!readsThread(statement)) {
      result += comments + text;
      continue;
    }
    if (!ts.isFunctionDeclaration(statement))
      throw new Error(`${path}: a kernel must be a top-level function: ${text}`);
    result += `${comments}const ${statement.name.text} = ${templateLiteral(text)};`;
    kernels++;
  }
  writeFileSync(path, `${result}\n`);
  return kernels;
}

/** Whether code reads `this.thread`, as only kernels do. */
function readsThread(node) {
  if (ts.isPropertyAccessExpression(node) && node.getText() === 'this.thread') return true;
  return ts.forEachChild(node, (child) => readsThread(child) || undefined) ?? false;
}

function templateLiteral(text) {
  return `\`${text.replace(/[\\`]|\$\{/g, '\\$&')}\``;
}

const folder = join(process.argv[2], 'accel/gpu');
let kernels = 0;
for (const name of readdirSync(folder)) {
  if (name.endsWith('.js')) kernels += kernelsToText(join(folder, name));
}
if (kernels === 0) throw new Error(`${folder} has no kernels`);
