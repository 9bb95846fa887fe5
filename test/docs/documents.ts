import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { commandsOf, type Snippet } from './snippets.js';

export const ROOT: string = fileURLToPath(new URL('../../', import.meta.url));

/** The documents whose commands are run. */
export const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'golden/README.md',
  'reference/README.md',
  'models/demo/README.md',
  'bench/RESULTS.md',
] as const;

/** Commands that no test runs as printed, by their beginning, with the reason. */
export const NOT_RUN: Record<string, string> = {
  'golden/run.sh record': 'needs PyTorch and a model with its own code; its options are checked',
};

/** Who runs a command: `test/docs` in a checkout, or `test/package` in a fresh copy and an empty project. */
export type Place = 'checkout' | 'installed' | 'not run';

const PLACES: readonly [beginning: string, place: Place][] = [
  ['npm run -s emergent -- ', 'checkout'],
  ['npm install && npm start', 'installed'],
  ['npm pack && ', 'installed'],
  ['npx emergent ', 'installed'],
  ...Object.keys(NOT_RUN).map((beginning): [string, Place] => [beginning, 'not run']),
];

export function placeOf({ command }: Snippet): Place | undefined {
  return PLACES.find(([beginning]) => command.startsWith(beginning))?.[1];
}

export function read(document: string): string {
  return readFileSync(`${ROOT}${document}`, 'utf8');
}

/** The commands of all documents in one place, by block. */
export function commandsAt(place: Place): { title: string; snippets: Snippet[] }[] {
  return DOCUMENTS.flatMap((document) =>
    commandsOf(read(document)).map((block) => {
      const snippets = block.filter((snippet) => placeOf(snippet) === place);
      return { title: `${document}:${snippets[0]?.line ?? 0}`, snippets };
    }),
  ).filter(({ snippets }) => snippets.length > 0);
}
