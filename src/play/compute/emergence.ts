import { nearest, positions } from '../../lens.js';
import type { LanguageModel } from '../../languageModel.js';
import { alignTo, principalPlane } from './pca.js';
import type { Country, Emergence } from './protocol.js';

/** How many neighbors of a country are looked at. */
export const NEIGHBORS = 10;

/** Where countries lie in the frozen table and after each layer, and how many of their neighbors share their continent. */
export async function emergenceOf(
  model: LanguageModel,
  countries: readonly Country[],
  backend: string,
): Promise<Emergence> {
  const names = countries.map(({ name }) => name);
  const index = new Map(names.map((name, n) => [name, n]));
  const isSame = (a: number, b: number): boolean => countries[a].continent === countries[b].continent;
  const places = await positions(model.model, names, (text) => model.tokenizer.encode(text), undefined, backend);
  const planes = places.map(principalPlane);

  // each layer is turned toward the next, so that points travel no further than they must
  const points: Float64Array[] = [];
  for (let n = planes.length - 1; n >= 0; n--) points[n] = alignTo(planes[n].points, points[n + 1] ?? null);

  const layers = places.map((vectors, n) => {
    const near = names.map((_, i) =>
      nearest(vectors, names, i)
        .slice(0, NEIGHBORS)
        .map(({ text }) => index.get(text)!),
    );
    const hits = near.reduce((sum, list, i) => sum + list.filter((other) => isSame(i, other)).length, 0);
    return {
      points: Float32Array.from(points[n]),
      explained: planes[n].explained,
      near,
      share: hits / (NEIGHBORS * names.length),
    };
  });
  const pairs = names.reduce((sum, _, i) => sum + names.filter((_, j) => j !== i && isSame(i, j)).length, 0);
  return { countries: [...countries], layers, chance: pairs / (names.length * (names.length - 1)) };
}
