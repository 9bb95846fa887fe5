import type { JSX } from 'preact';
import type { LensCell } from '../compute/protocol.js';
import { percent, Token } from '../draw/text.js';
import { promptOf } from '../state.js';
import { useLoaded } from '../use.js';
import type { ViewProps } from './props.js';
import { Fault } from '../draw/fault.js';

/** How many tokens each cell knows. */
const COUNT = 6;

/** View 5: the prediction after each layer, by the model's own final norm and head. */
export function Lens({ engine, store }: ViewProps): JSX.Element {
  const state = store.state.value;
  const prompt = promptOf(state);
  const { value, error } = useLoaded(async () => {
    const { tokens } = await engine.trace(prompt);
    return { tokens, cells: await engine.lens(prompt, COUNT) };
  }, [engine, prompt]);
  if (error !== null) return <Fault message={error} />;
  if (!value) return <p class="waiting">The reference is computing every layer…</p>;

  const { tokens, cells } = value;
  const layer = Math.min(Math.floor(state.layer), cells.length - 1);
  const token = Math.min(Math.floor(state.token), tokens.length - 1);
  return (
    <div class="lens">
      <div class="scroll" tabIndex={0} role="region" aria-label="Predictions, layer by position">
        <table>
          <thead>
            <tr>
              <th scope="col">After token</th>
              {cells.map((_, n) => (
                <th scope="col" key={n}>{`Layer ${n}`}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {tokens.map(({ text }, t) => (
              <tr key={t}>
                <th scope="row">
                  <Token text={text} />
                </th>
                {cells.map((row, n) => (
                  <td key={n}>
                    <a
                      href={store.href({ layer: n, token: t })}
                      aria-current={n === layer && t === token ? 'true' : undefined}
                    >
                      <span class="fill" style={{ width: `${100 * row[t].top[0].probability}%` }} />
                      <Token text={row[t].top[0].text} />
                    </a>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Cell cell={cells[layer][token]} layer={layer} after={tokens[token].text} />
    </div>
  );
}

function Cell({ cell, layer, after }: { cell: LensCell; layer: number; after: string }): JSX.Element {
  return (
    <section class="rivals" aria-live="polite" aria-label="Chosen cell">
      <h2>
        After <Token text={after} />, layer {layer}
      </h2>
      <p>{`Entropy ${cell.entropy.toFixed(2)} nats. The last layer’s answer is number ${cell.rank} here.`}</p>
      <ol>
        {cell.top.map(({ id, text, probability }) => (
          <li key={id}>
            <span>
              <Token text={text} />
              <span class="bar">
                <i style={{ width: `${100 * probability}%` }} />
              </span>
              <span class="percent">{percent(probability)}</span>
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
