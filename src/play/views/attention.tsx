import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { TokenInfo } from '../compute/protocol.js';
import { colorIndex, colorTable } from '../draw/colors.js';
import { Download, escapeXml } from '../draw/download.js';
import { FAINTEST, Links } from '../draw/links.js';
import { paintSoon } from '../draw/paintQueue.js';
import { percent, Token, visibleToken } from '../draw/text.js';
import { promptOf } from '../state.js';
import { isDark, onThemeChange } from '../theme.js';
import { useLoaded } from '../use.js';
import type { ViewProps } from './props.js';
import { Fault } from '../draw/fault.js';

/** How many tokens are listed that one takes from. */
const COUNT = 8;

/** View 4: all heads of all layers, one of them enlarged. */
export function Attention({ engine, store }: ViewProps): JSX.Element {
  const state = store.state.value;
  const prompt = promptOf(state);
  const { value, error } = useLoaded(async () => {
    const [{ tokens }, { config }] = await Promise.all([engine.trace(prompt), engine.info()]);
    const layers = await Promise.all(
      Array.from({ length: config.nLayer }, (_, n) => engine.activation(prompt, `layers.${n}.attn_weights`)),
    );
    return { tokens, heads: layers.map(({ data, shape }) => split(data, shape[0])) };
  }, [engine, prompt]);
  if (error !== null) return <Fault message={error} />;
  if (!value) return <p class="waiting">The reference is computing every head…</p>;

  const { tokens, heads } = value;
  const layer = Math.min(Math.floor(state.layer), heads.length - 1);
  const head = Math.min(Math.floor(state.head), heads[layer].length - 1);
  const token = Math.min(Math.floor(state.token), tokens.length - 1);
  const weights = heads[layer][head];
  const name = `Layer ${layer}, head ${head}`;
  return (
    <div class="attention">
      <section class="thumbs" aria-label="All heads">
        {heads.map((row, n) => (
          <div class="layer" key={n}>
            <span class="label">Layer {n}</span>
            <ol>
              {row.map((data, h) => (
                <li key={h}>
                  <a
                    href={store.href({ layer: n, head: h })}
                    aria-label={`Layer ${n}, head ${h}`}
                    aria-current={n === layer && h === head ? 'true' : undefined}
                  >
                    <Thumb data={data} size={tokens.length} />
                  </a>
                </li>
              ))}
            </ol>
          </div>
        ))}
        <p class="legend">
          Each square: a row for each token that takes, a column for each that gives. Darker or brighter is more; the
          color grows with the square root of the weight.
        </p>
      </section>
      <section class="enlarged" aria-label={name}>
        <h2>{name}</h2>
        <p class="caption">Left takes from right. A stronger line is a larger weight; those under 2 % have none.</p>
        <Links
          {...{ tokens, weights, name, current: token }}
          onPick={(picked) => {
            store.update({ token: picked, column: 0 }, 'replace');
          }}
        />
      </section>
      <div class="told">
        <Sources {...{ tokens, weights, token }} />
        <p class="actions">
          <a href={store.href({ view: 'walk', op: 'attn_weights', layer, head, token })}>How this is computed</a>
          <Download
            name={`attention-${layer}-${head}.svg`}
            make={() => svgOf(tokens, weights, `${name}: ${visibleToken(prompt)}`)}
          >
            Save as SVG
          </Download>
          <Download
            name={`attention-${layer}-${head}.json`}
            make={() =>
              JSON.stringify({
                prompt,
                layer,
                head,
                tokens,
                weights: split(weights, tokens.length).map((row) => [...row]),
              })
            }
          >
            Save as JSON
          </Download>
        </p>
      </div>
    </div>
  );
}

/** What one token takes, the most first. */
function Sources({
  tokens,
  weights,
  token,
}: {
  tokens: readonly TokenInfo[];
  weights: Float32Array;
  token: number;
}): JSX.Element {
  const T = tokens.length;
  const row = weights.subarray(token * T, (token + 1) * T);
  const order = Array.from({ length: token + 1 }, (_, s) => s).sort((a, b) => row[b] - row[a]);
  const rest = order.slice(COUNT).reduce((sum, s) => sum + row[s], 0);
  return (
    <section class="rivals" aria-live="polite" aria-label="What the token takes">
      <h2>
        <Token text={tokens[token].text} /> takes
      </h2>
      <p>{`Token ${token} of 0 to ${T - 1}. It sees itself and ${token === 0 ? 'nothing before it' : `the ${token} before it`}.`}</p>
      <ol>
        {order.slice(0, COUNT).map((s) => (
          <li key={s} data-source-token={s} data-weight={row[s]}>
            <span>
              <span class="from">
                <Token text={tokens[s].text} />
                <small>{s}</small>
              </span>
              <span class="bar">
                <i style={{ width: `${100 * row[s]}%` }} />
              </span>
              <span class="percent">{percent(row[s])}</span>
            </span>
          </li>
        ))}
      </ol>
      {order.length > COUNT && <p>{`All ${order.length - COUNT} others together: ${percent(rest)}.`}</p>}
    </section>
  );
}

/** A head's weights, one pixel each. */
function Thumb({ data, size }: { data: Float32Array; size: number }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current!;
    let cancel: () => void = () => undefined;
    const draw = (): void => {
      cancel();
      cancel = paintSoon(() => {
        paint(element, data, size);
      });
    };
    draw();
    const stop = onThemeChange(draw);
    return () => {
      cancel();
      stop();
    };
  }, [data, size]);
  return <canvas ref={canvas} width={size} height={size} class={size < 64 ? 'pixels' : ''} />;
}

function paint(canvas: HTMLCanvasElement, data: Float32Array, size: number): void {
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(size, size);
  const table = colorTable(isDark());
  for (let n = 0; n < data.length; n++) {
    const color = colorIndex(Math.sqrt(data[n]));
    image.data[4 * n] = table[color];
    image.data[4 * n + 1] = table[color + 1];
    image.data[4 * n + 2] = table[color + 2];
    image.data[4 * n + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** Equal parts of an array. */
function split(data: Float32Array, parts: number): Float32Array[] {
  const size = data.length / parts;
  return Array.from({ length: parts }, (_, n) => data.subarray(n * size, (n + 1) * size));
}

/** The enlarged head as a picture of its own. */
function svgOf(tokens: readonly TokenInfo[], weights: Float32Array, title: string): string {
  const T = tokens.length;
  const y = (n: number): number => 20 * n + 14;
  const texts = tokens.map(({ text }, n) => {
    const label = escapeXml(visibleToken(text));
    return `<text x="130" y="${y(n) + 4}" text-anchor="end">${label}</text><text x="370" y="${y(n) + 4}">${label}</text>`;
  });
  const lines: string[] = [];
  for (let t = 0; t < T; t++) {
    for (let s = 0; s <= t; s++) {
      const weight = weights[t * T + s];
      if (weight < FAINTEST) continue;
      lines.push(`<path d="M140 ${y(t)}C250 ${y(t)} 250 ${y(s)} 360 ${y(s)}" stroke-opacity="${weight.toFixed(3)}"/>`);
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 500 ${20 * T + 8}" font-family="monospace" font-size="13">
<title>${escapeXml(title)}</title>
<rect width="100%" height="100%" fill="#faf9f6"/>
<g fill="none" stroke="#1f5fa8" stroke-width="1.5">${lines.join('\n')}</g>
<g fill="#1c1d20">${texts.join('\n')}</g>
</svg>
`;
}
