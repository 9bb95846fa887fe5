import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The floors, lowest first. A file imports from its own floor and from those below. */
const FLOORS = [
  'reference/lib',
  'reference',
  'accel',
  'src/lib',
  'src/codes',
  'src/folder',
  'src/tokenizer',
  'src/checkpoint',
  'src',
  'src/serve',
  'src/verify',
  'src/cli',
  'src/play',
];

/** The longest floor that a file lies in. */
function floorOf(file: string): number {
  const homes = FLOORS.filter((floor) => file.startsWith(`${floor}/`));
  return FLOORS.indexOf(homes.sort((a, b) => b.length - a.length)[0]);
}

function sourcesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file.split(sep).join('/')}`)
    .filter((file) => /\.tsx?$/.test(file) && !/\.d\.ts$|\/node_modules\//.test(file));
}

/** What a file imports from the project, by type or by value, at once or on demand. */
function importsOf(file: string): string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(join(root, file), 'utf8'));
  return importedFiles
    .map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => posix.join(posix.dirname(file), name.replace(/\.js$/, '.ts')))
    .map((name) => (/\.tsx?$/.test(name) ? name : `${name}.ts`)) // AssemblyScript names no ending
    .map((name) => (existsSync(join(root, name)) ? name : name.replace(/\.ts$/, '.tsx')));
}

const files = ['reference', 'accel', 'src'].flatMap(sourcesIn);
const graph = new Map(files.map((file) => [file, importsOf(file)]));

/** What a program of golden/ imports from its own folder, at the top or inside a function. */
function pythonImportsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/^ *(?:from|import) (\w+)/gm)]
    .map(([, name]) => `golden/${name}.py`)
    .filter((target) => existsSync(join(root, target)));
}

/** A way from a file through its imports back to itself, or null. */
function circleFrom(start: string, graph: ReadonlyMap<string, string[]>): string[] | null {
  const seen = new Set<string>();
  function search(file: string, path: string[]): string[] | null {
    for (const next of graph.get(file) ?? []) {
      if (next === start) return [...path, next];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = search(next, [...path, next]);
      if (found) return found;
    }
    return null;
  }
  return search(start, [start]);
}

describe('floors', () => {
  it('are seen: hundreds of imports lead to files that exist', () => {
    const imports = [...graph.values()].flat();
    assert.ok(imports.length > 300);
    for (const [file, imported] of graph) {
      for (const target of imported) assert.ok(graph.has(target), `${file} imports ${target}`);
    }
  });

  it('the reference imports nothing outside itself, not even a package', () => {
    for (const file of sourcesIn('reference')) {
      const { importedFiles } = ts.preProcessFile(readFileSync(join(root, file), 'utf8'));
      for (const { fileName } of importedFiles) {
        assert.ok(posix.join(posix.dirname(file), fileName).startsWith('reference/'), `${file} imports ${fileName}`);
        assert.ok(fileName.startsWith('.'), `${file} imports ${fileName}`);
      }
    }
  });

  it('imports go down or stay on their floor', () => {
    for (const [file, imported] of graph) {
      for (const target of imported) {
        assert.ok(floorOf(target) <= floorOf(file), `${file} imports ${target}, which lies higher`);
      }
    }
  });

  it('no import leads back in a circle, neither here nor in tests and benchmarks', () => {
    const rest = ['test', 'bench'].flatMap(sourcesIn).map((file): [string, string[]] => [file, importsOf(file)]);
    const all = new Map([...graph, ...rest]);
    for (const file of all.keys()) assert.equal(circleFrom(file, all)?.join(' -> '), undefined);
  });

  it('nor does one in golden/', () => {
    const programs = readdirSync(join(root, 'golden')).filter((name) => name.endsWith('.py'));
    const python = new Map(programs.map((name) => [`golden/${name}`, pythonImportsOf(`golden/${name}`)]));
    assert.ok([...python.values()].flat().length > 10, 'imports are found');
    for (const file of python.keys()) assert.equal(circleFrom(file, python)?.join(' -> '), undefined);
  });
});

describe('the map in ARCHITECTURE.md', () => {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const map = /^## Folders\n+```\n([^]*?)^```$/m.exec(text)?.[1] ?? '';
  const named = pathsOf(map);

  /** What each line begins with, as a path from the root, and the other files that the line mentions. */
  function pathsOf(lines: string): { path: string; mentioned: string[] }[] {
    let top = '';
    return lines
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [, indent, name] = /^( *)(\S+)/.exec(line)!;
        if (indent === '') top = name;
        const mentioned = [...line.slice(indent.length + name.length).matchAll(/[\w.]+\.(?:ts|md)\b/g)].map(
          ([file]) => file,
        );
        return { path: indent === '' ? name : top + name, mentioned };
      });
  }

  it('names every folder of two levels', () => {
    const folders = named.filter(({ path }) => path.endsWith('/')).map(({ path }) => path);
    for (const top of ['reference', 'accel', 'src', 'golden', 'test', 'bench', 'models', 'examples']) {
      assert.ok(folders.includes(`${top}/`), `${top}/ is missing`);
      for (const entry of readdirSync(join(root, top), { withFileTypes: true })) {
        if (!entry.isDirectory() || /^(\.|__|fixtures|node_modules)/.test(entry.name)) continue;
        assert.ok(folders.includes(`${top}/${entry.name}/`), `${top}/${entry.name}/ is missing`);
      }
    }
  });

  it('names no file that does not exist', () => {
    assert.ok(named.length > 20);
    for (const { path, mentioned } of named) {
      assert.ok(existsSync(join(root, path)), `${path} does not exist`);
      const folder = path.endsWith('/') ? path : posix.dirname(path);
      for (const file of mentioned) assert.ok(existsSync(join(root, folder, file)), `${folder} has no ${file}`);
    }
  });
});
