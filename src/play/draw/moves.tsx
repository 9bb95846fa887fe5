import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Move, MovedPosition } from '../compute/protocol.js';
import { percent, Token } from './text.js';

/** Tokens with their probabilities before and after a change, in their order after it. */
export function Moves({ moves, isChanged }: { moves: readonly Move[]; isChanged: boolean }): JSX.Element {
  return (
    <ol class="moves">
      {moves.map((move) => (
        <li key={move.id} data-token={move.text} data-rank={move.rankAfter}>
          {isChanged && <Arrow {...move} />}
          <Token text={move.text} />
          <span class="pair" aria-hidden="true">
            {isChanged && <i class="before" style={{ width: `${100 * move.before}%` }} />}
            <i class="after" style={{ width: `${100 * move.after}%` }} />
          </span>
          <span class="percent">
            {isChanged && (
              <>
                {percent(move.before)} <span aria-label="then">→</span>{' '}
              </>
            )}
            <b>{percent(move.after)}</b>
          </span>
        </li>
      ))}
    </ol>
  );
}

/** By how many places a token rose or fell. */
function Arrow({ rankBefore, rankAfter }: Move): JSX.Element {
  const rise = rankBefore - rankAfter;
  const what = rise > 0 ? `up ${rise}` : rise < 0 ? `down ${-rise}` : 'same place';
  return (
    <span class={`arrow ${rise > 0 ? 'up' : rise < 0 ? 'down' : ''}`} role="img" aria-label={what}>
      {rise > 0 ? `▲ ${rise}` : rise < 0 ? `▼ ${-rise}` : '='}
    </span>
  );
}

interface PositionsProps {
  positions: readonly MovedPosition[];
  place: number;
  hrefOf: (position: number) => string;
}

/** The likeliest next token at every position, before and after. */
export function Positions({ positions, place, hrefOf }: PositionsProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  // a long prompt scrolls within the table: keep the chosen row in view
  useEffect(() => {
    const row = box.current!.querySelector<HTMLElement>('[aria-current]')!.closest('tr')!;
    const { scrollTop, clientHeight } = box.current!;
    const bottom = row.offsetTop + row.offsetHeight;
    if (row.offsetTop < scrollTop || bottom > scrollTop + clientHeight) box.current!.scrollTop = bottom - clientHeight;
  }, [place, positions.length]);
  return (
    <div ref={box} class="scroll" tabIndex={0} role="region" aria-label="Predictions at every token">
      <table class="positions">
        <thead>
          <tr>
            <th scope="col">After token</th>
            <th scope="col">Before</th>
            <th scope="col">Now</th>
            <th scope="col">Moved</th>
          </tr>
        </thead>
        <tbody>
          {positions.map(({ text, moves, distance }, t) => {
            const [first, now] = [(move: Move) => move.rankBefore, (move: Move) => move.rankAfter].map((rank) =>
              moves.reduce((best, move) => (rank(move) < rank(best) ? move : best)),
            );
            return (
              <tr key={t}>
                <th scope="row">
                  <a href={hrefOf(t)} aria-current={t === place ? 'true' : undefined}>
                    <Token text={text} />
                  </a>
                </th>
                <td class={first.id === now.id ? 'same' : 'gone'}>
                  <Token text={first.text} />
                </td>
                <td class={first.id === now.id ? 'same' : 'new'}>
                  <Token text={now.text} />
                </td>
                <td class="moved">
                  {distance > 0 && (
                    <>
                      <span class="bar">
                        <i style={{ width: `${100 * distance}%` }} />
                      </span>
                      <span class="percent">{percent(distance)}</span>
                    </>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
