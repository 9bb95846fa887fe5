import type { JSX } from 'preact';
import type { ModelConfig } from '../../../reference/lib/config.js';
import type { MovedPosition } from '../compute/protocol.js';
import { Moves, Positions } from '../draw/moves.js';
import { Token } from '../draw/text.js';
import { promptOf, type State, type Store } from '../state.js';
import { useLoaded } from '../use.js';
import type { ViewProps } from './props.js';
import { Fault } from '../draw/fault.js';

/** How many of the likeliest tokens are followed, before and after. */
const COUNT = 6;

/** View 7: interventions in the pass, and which predictions they move. */
export function ChangeIt({ engine, store }: ViewProps): JSX.Element {
  const state = store.state.value;
  const prompt = promptOf(state);
  const patches = patchesOf(state);
  const swap = state.swap.length === 2 ? state.swap : [];
  const other = patches.some((patch) => patch.endsWith('=other')) ? promptOf({ ...state, q: state.other }) : null;
  const model = useLoaded(() => engine.info(), [engine]);
  const tokens = useLoaded(() => engine.trace(prompt), [engine, prompt]);
  const { value, error, isPending } = useLoaded(
    () => engine.change(prompt, { patches, swap, other }, COUNT),
    [engine, prompt, state.patch, swap.join(), other],
  );
  const isChanged = patches.length > 0 || swap.length > 0;
  const failure = error ?? tokens.error;
  return (
    <div class="change">
      <div class="levers">
        {model.value && <Zero config={model.value.config} state={state} store={store} />}
        {tokens.value && <Swap texts={tokens.value.tokens.map(({ text }) => text)} state={state} store={store} />}
        {model.value && <FromOther config={model.value.config} state={state} store={store} />}
        <Written key={state.patch} state={state} store={store} />
      </div>
      <div class="effect" data-changed={isPending ? undefined : state.patch}>
        <Fault message={failure} />
        {failure === null && !value && <p class="waiting">The reference is computing…</p>}
        {failure === null && value && <Effect positions={value} isChanged={isChanged} state={state} store={store} />}
      </div>
    </div>
  );
}

function patchesOf({ patch }: State): string[] {
  return patch
    .split(';')
    .map((text) => text.trim())
    .filter((text) => text !== '');
}

/** The link that adds a patch, or takes it away. */
function Toggle(props: { patch: string; what: string; label: string; state: State; store: Store }): JSX.Element {
  const { patch, what, label, state, store } = props;
  const patches = patchesOf(state);
  const isOn = patches.includes(patch);
  const rest = patches.filter((text) => text !== patch);
  return (
    <a
      class="lever"
      href={store.href({ patch: (isOn ? rest : [...patches, patch]).join('; ') })}
      aria-current={isOn ? 'true' : undefined}
      aria-label={isOn ? `Undo: ${what}` : what}
      title={what}
    >
      {label}
    </a>
  );
}

interface LeverProps {
  config: ModelConfig;
  state: State;
  store: Store;
}

function Zero({ config, state, store }: LeverProps): JSX.Element {
  const heads = Array.from({ length: config.nHead }, (_, h) => h);
  const toggle = (patch: string, what: string, label: string): JSX.Element => (
    <Toggle {...{ patch, what, label, state, store }} />
  );
  return (
    <section aria-label="Zero a part">
      <h2>Zero a part</h2>
      <p>Its output becomes 0, so it adds nothing to the stream.</p>
      <ol class="lever-rows">
        {Array.from({ length: config.nLayer }, (_, n) => (
          <li key={n}>
            <span class="label">Layer {n}</span>
            <span class="lever-group">
              {heads.map((h) =>
                toggle(`layers.${n}.attn[:, head ${h}]=0`, `Zero head ${h} of layer ${n}`, `head ${h}`),
              )}
            </span>
            <span class="lever-group">
              {toggle(`layers.${n}.attn_out=0`, `Zero all attention of layer ${n}`, 'attention')}
              {toggle(`layers.${n}.ffn_out=0`, `Zero the feed-forward half of layer ${n}`, 'feed-forward')}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Two tokens of the prompt; a third click starts again with that one. */
function Swap({ texts, state, store }: { texts: string[]; state: State; store: Store }): JSX.Element {
  const { swap } = state;
  return (
    <section aria-label="Swap two codes">
      <h2>Swap two tokens’ codes</h2>
      <p>
        {swap.length === 1
          ? 'Now the token to swap it with.'
          : 'A code is all that the model knows of a token when it begins. Choose two.'}
      </p>
      <ol class="chips">
        {texts.map((text, t) => (
          <li key={t}>
            <a
              href={store.href({
                swap: swap.includes(t) ? swap.filter((other) => other !== t) : swap.length === 2 ? [t] : [...swap, t],
              })}
              aria-current={swap.includes(t) ? 'true' : undefined}
            >
              <Token text={text} />
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}

function FromOther({ config, state, store }: LeverProps): JSX.Element {
  const name = config.normPosition === 'pre' ? 'resid' : 'ffn_norm'; // the output of a layer
  return (
    <section aria-label="A state from another question">
      <h2>A state from another question</h2>
      <label>
        <span class="label">The other question</span>
        <input
          type="text"
          value={state.other}
          dir="auto"
          autocomplete="off"
          spellcheck={false}
          onChange={(event) => {
            store.update({ other: event.currentTarget.value });
          }}
        />
      </label>
      <p>The last token’s state is taken from there, after</p>
      <span class="lever-group">
        {Array.from({ length: config.nLayer }, (_, n) => (
          <Toggle
            key={n}
            patch={`layers.${n}.${name}[-1]=other`}
            what={`Take the last state after layer ${n} from the other question`}
            label={`layer ${n}`}
            {...{ state, store }}
          />
        ))}
      </span>
    </section>
  );
}

/** The patches as text: for everything that the levers do not reach. */
function Written({ state, store }: { state: State; store: Store }): JSX.Element {
  return (
    <section aria-label="As patches">
      <h2>As patches</h2>
      <label>
        <span class="label">The same as the command line takes it, separated by ;</span>
        <input
          type="text"
          class="code"
          value={state.patch}
          placeholder="layers.2.attn[:, head 3]=0"
          autocomplete="off"
          spellcheck={false}
          onChange={(event) => {
            store.update({ patch: event.currentTarget.value });
          }}
        />
      </label>
    </section>
  );
}

interface EffectProps {
  positions: MovedPosition[];
  isChanged: boolean;
  state: State;
  store: Store;
}

function Effect({ positions, isChanged, state, store }: EffectProps): JSX.Element {
  const place = Math.min(Math.floor(state.place), positions.length - 1);
  const { text, moves, distance } = positions[place];
  return (
    <>
      <section class="rivals" aria-live="polite" aria-label="Predictions at the chosen token">
        <h2>
          What comes after <Token text={text} />
        </h2>
        <p>
          {isChanged
            ? `${Math.round(100 * distance)} % of the probability went to other tokens.`
            : 'Nothing is changed yet. Try '}
          {!isChanged && <a href={store.href({ patch: 'layers.2.resid[-1]=other' })}>a state from another question</a>}
          {!isChanged && ' or '}
          {!isChanged && <a href={store.href({ patch: 'layers.2.attn_out=0' })}>no attention in layer 2</a>}
          {!isChanged && '.'}
          {isChanged && ' '}
          {isChanged && <a href={store.href({ patch: '', swap: [] })}>Undo all</a>}
        </p>
        <Moves moves={moves} isChanged={isChanged} />
      </section>
      <Positions positions={positions} place={place} hrefOf={(t) => store.href({ place: t })} />
    </>
  );
}
