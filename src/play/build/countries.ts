import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Plugin } from 'vite';

/** What `world-countries` says of a country, as far as it is used. */
interface Entry {
  name: { common: string };
  cca3: string;
  region: string;
  unMember: boolean;
}

/**
 * Makes `virtual:countries`: the 193 members of the UN, each with its continent. The whole package would add a megabyte.
 * It counts Vatican City as a member, but that is an observer.
 */
export function countries(): Plugin {
  return {
    name: 'countries',
    resolveId: (id) => (id === 'virtual:countries' ? '\0countries' : null),
    async load(id) {
      if (id !== '\0countries') return null;
      const path = createRequire(import.meta.url).resolve('world-countries/countries.json');
      const entries = JSON.parse(await readFile(path, 'utf8')) as Entry[];
      const members = entries
        .filter(({ unMember, cca3 }) => unMember && cca3 !== 'VAT')
        .map(({ name, region }) => ({ name: name.common, continent: region }));
      return { code: `export default ${JSON.stringify(members)};`, moduleType: 'js' };
    },
  };
}
