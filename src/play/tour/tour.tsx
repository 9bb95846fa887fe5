import type { JSX } from 'preact';
import type { Engine } from '../compute/protocol.js';
import { DEFAULTS, toHash, type State, type Store } from '../state.js';
import { useLoaded } from '../use.js';
import { STOPS, type Stop } from './stops.js';

/** The state of a stop, counted from 1, before or after its question is answered. */
function stateOf(n: number, isAnswered: boolean): State {
  const { shows, then }: Stop = STOPS[n - 1];
  return { ...DEFAULTS, ...shows, ...(isAnswered ? then : {}), tour: n, answered: isAnswered };
}

/** Starts the tour; nothing while it runs. */
export function TourLink({ store }: { store: Store }): JSX.Element | null {
  if (store.state.value.tour > 0) return null;
  return (
    <a class="tour-link" href={toHash(stateOf(1, false))}>
      {`New here? Take the tour of ${STOPS.length} stops`}
    </a>
  );
}

/** A strip that leads through the views. All of it are links of state, so each stop can be copied, and Back works. */
export function Tour({ engine, store }: { engine: Engine; store: Store }): JSX.Element | null {
  const state = store.state.value;
  const { answered } = state;
  const n = Math.min(Math.floor(state.tour), STOPS.length);
  const answer = useLoaded(
    async () => ({ n, text: n > 0 && answered ? await STOPS[n - 1].answer(engine) : null }),
    [engine, n, answered],
  );
  if (n === 0) return null;
  const { title, text, question, shows } = STOPS[n - 1];
  const said = answer.value?.n === n ? answer.value.text : null;
  const isElsewhere = state.view !== shows.view;
  return (
    <section class="tour" aria-label="Tour" data-stop={n}>
      <p class="tour-place">
        <span class="label">{`Stop ${n} of ${STOPS.length}`}</span>
        <meter min={0} max={STOPS.length} value={n} aria-hidden="true" />
        <a href={store.href({ tour: 0, answered: false })}>Leave the tour</a>
      </p>
      <h2>{title}</h2>
      <p class="prose">{text}</p>
      <p class="tour-question">{question}</p>
      <p class="tour-answer" role="status" data-said={said === null ? undefined : n}>
        {answered && (answer.error ?? said ?? 'The model is computing…')}
      </p>
      <p class="tour-moves">
        {!answered && (
          <a class="tour-ask" href={toHash(stateOf(n, true))}>
            Let the model answer
          </a>
        )}
        {isElsewhere && <a href={toHash(stateOf(n, answered))}>Show this stop</a>}
        {n > 1 && <a href={toHash(stateOf(n - 1, false))}>Back</a>}
        {n < STOPS.length ? (
          <a class={answered ? 'tour-ask' : ''} href={toHash(stateOf(n + 1, false))}>
            Next stop
          </a>
        ) : (
          <a class={answered ? 'tour-ask' : ''} href={toHash({ ...DEFAULTS, view: 'ask' })}>
            Ask your own question
          </a>
        )}
      </p>
    </section>
  );
}
