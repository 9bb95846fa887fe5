import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Emergence as Data } from '../compute/protocol.js';
import { Download } from '../draw/download.js';
import { Scatter } from '../draw/scatter.js';
import { placesOf, SHAPES } from '../draw/scatterScene.js';
import { percent } from '../draw/text.js';
import type { Store } from '../state.js';
import { useLoaded } from '../use.js';
import type { ViewProps } from './props.js';
import { Fault } from '../draw/fault.js';

/** Milliseconds that each layer is shown while playing. */
const REST = 1400;

/** View 6: countries in the frozen table and after each layer. */
export function Emergence({ engine, store }: ViewProps): JSX.Element {
  const state = store.state.value;
  const { value, error } = useLoaded(() => engine.emergence(), [engine]);
  const [isPlaying, setPlaying] = useState(false);
  const last = value ? value.layers.length - 1 : 0;
  const depth = Math.min(Math.floor(state.depth), last);
  useEffect(() => {
    if (!isPlaying) return undefined;
    const timer = setTimeout(() => {
      if (depth < last) store.update({ depth: depth + 1 }, 'replace');
      if (depth + 1 >= last) setPlaying(false);
    }, REST);
    return () => {
      clearTimeout(timer);
    };
  }, [isPlaying, depth, last]);
  if (error !== null) return <Fault message={error} />;
  if (!value) return <p class="waiting">The model is reading about 193 countries…</p>;

  const { countries, layers } = value;
  const continents = [...new Set(countries.map(({ continent }) => continent))].sort();
  const chosen = Math.max(
    0,
    countries.findIndex(({ name }) => name === state.country),
  );
  const { points, near, explained } = layers[depth];
  const colorOf = (country: number): number => continents.indexOf(countries[country].continent);
  return (
    <div class="emergence">
      <section aria-label="Map of the states">
        <div class="depth">
          <button
            type="button"
            class="primary"
            onClick={() => {
              if (!isPlaying && depth === last) store.update({ depth: 0 }, 'replace');
              setPlaying(!isPlaying);
            }}
          >
            {isPlaying ? 'Pause' : 'Play'}
          </button>
          <label>
            <span class="label">Depth</span>
            <input
              type="range"
              min={0}
              max={last}
              value={depth}
              aria-valuetext={placeName(depth)}
              onInput={(event) => {
                setPlaying(false);
                store.update({ depth: Number(event.currentTarget.value) }, 'replace');
              }}
            />
          </label>
          <output>{placeName(depth)}</output>
        </div>
        <Scatter
          {...{ countries, continents, points, chosen, near: near[chosen] }}
          label={`193 countries ${placeName(depth)}. The lists beside say the same in words.`}
          onPick={(n) => {
            store.update({ country: countries[n].name }, 'replace');
          }}
        />
        <ul class="key" aria-label="Continents">
          {continents.map((name, n) => (
            <li key={name}>
              <Mark kind={n} /> {name}
            </li>
          ))}
        </ul>
        <p class="legend">
          {`The two directions of most variance (PCA), which show ${percent(explained)} of it; each layer is turned toward the next. Lines lead to the ten nearest in all directions.`}
        </p>
      </section>
      <div class="facts">
        <Shares data={value} depth={depth} store={store} />
        <section aria-label="Nearest countries">
          <h2>Nearest to</h2>
          <select
            aria-label="Country"
            value={countries[chosen].name}
            onChange={(event) => {
              store.update({ country: event.currentTarget.value });
            }}
          >
            {continents.map((continent) => (
              <optgroup key={continent} label={continent}>
                {countries
                  .filter((country) => country.continent === continent)
                  .map(({ name }) => (
                    <option key={name}>{name}</option>
                  ))}
              </optgroup>
            ))}
          </select>
          <ol class="near" aria-live="polite">
            {near[chosen].map((n) => (
              <li key={n} class={colorOf(n) === colorOf(chosen) ? 'same' : ''}>
                <Mark kind={colorOf(n)} /> {countries[n].name} <small>{countries[n].continent}</small>
              </li>
            ))}
          </ol>
        </section>
        <p class="actions">
          <Download name="emergence.svg" make={() => svgOf(value, continents, depth)}>
            Save as SVG
          </Download>
          <Download
            name="emergence.json"
            make={() =>
              JSON.stringify({ ...value, layers: layers.map((layer) => ({ ...layer, points: [...layer.points] })) })
            }
          >
            Save as JSON
          </Download>
        </p>
      </div>
    </div>
  );
}

/** The share of neighbors on the same continent, layer by layer, beside chance. */
function Shares({ data, depth, store }: { data: Data; depth: number; store: Store }): JSX.Element {
  const { layers, chance } = data;
  const most = Math.max(...layers.map(({ share }) => share), chance);
  return (
    <section class="shares" aria-label="Neighbors on the same continent">
      <h2>Neighbors on the same continent</h2>
      <p class="caption">
        Share of each country’s ten nearest. The dashed line is chance, {percent(chance)}. No training question compares
        countries.
      </p>
      <ol>
        {layers.map(({ share }, n) => (
          <li key={n}>
            <a href={store.href({ depth: n })} aria-current={n === depth ? 'true' : undefined}>
              <span class="where">{placeName(n)}</span>
              <span class="bar">
                <i style={{ width: `${(100 * share) / most}%` }} />
                <b style={{ left: `${(100 * chance) / most}%` }} />
              </span>
              <span class="percent" data-share={share}>
                {percent(share)}
              </span>
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Mark({ kind }: { kind: number }): JSX.Element {
  return (
    <svg class="mark-of" viewBox="-7 -7 14 14" aria-hidden="true">
      <path d={SHAPES[kind % SHAPES.length]} class={`continent-${kind}`} />
    </svg>
  );
}

function placeName(depth: number): string {
  return depth === 0 ? 'in the frozen table' : `after layer ${depth - 1}`;
}

/** The points as a picture of its own, in the colors of the page. */
function svgOf({ countries, layers }: Data, continents: readonly string[], depth: number): string {
  const colors = continents.map((_, n) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--continent-${n}`).trim(),
  );
  const places = placesOf(layers[depth].points, 800, 600);
  const marks = countries.map(({ name, continent }, n) => {
    const kind = continents.indexOf(continent);
    const [x, y] = places[n];
    return `<path transform="translate(${x.toFixed(1)} ${y.toFixed(1)})" fill="${colors[kind]}" d="${SHAPES[kind]}"><title>${name}, ${continent}</title></path>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 600">
<title>193 countries ${placeName(depth)}</title>
${marks.join('\n')}
</svg>
`;
}
