import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Engine } from './compute/protocol.js';
import { keepOffline } from './offline/keepOffline.js';
import { DEFAULTS, promptOf, type State, type Store } from './state.js';
import { applyTheme, savedTheme, type Theme } from './theme.js';
import { OwnModel } from './own/ownModel.js';
import { Tour, TourLink } from './tour/tour.js';
import { useLoaded } from './use.js';
import { VIEWS } from './views/index.js';
import { VIEW_NAMES, type ViewName } from './views/names.js';
import { Fault } from './draw/fault.js';

const THEMES: readonly Theme[] = ['auto', 'light', 'dark'];

/** The page: its head, the navigation, the prompt that all views share, and one view. */
export function App({ engine: first, store }: { engine: Engine; store: Store }): JSX.Element {
  const [engine, setEngine] = useState(first);
  const { view, q, raw } = store.state.value;
  const name = view in VIEWS ? view : 'ask';
  const { title, lead, component: Component, ignoresPrompt } = VIEWS[name];
  const model = useLoaded(() => engine.info(), [engine]);
  const config = model.value?.config;
  const own = model.value?.name ?? null;
  return (
    <>
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to the content
      </a>
      <header class="masthead">
        <p class="brand">
          Emergent semantics <span>the playground</span>
        </p>
        <p class="model" aria-live="polite">
          {config
            ? `${own ?? 'Demo model'}: ${config.nLayer} layers, width ${config.dModel}, ${config.nHead} heads, ${config.vocabSize} tokens`
            : (model.error ?? 'Loading the demo model, 4 MB…')}
        </p>
        <ThemeChoice />
        {own === null && <TourLink store={store} />}
        <OwnModel
          engine={engine}
          proposed={store.state.value.model}
          isOwn={own !== null}
          onOpen={(address) => {
            setEngine(engine.renewed());
            store.update({ ...DEFAULTS, view, q, raw, model: address }); // choices are for one model
          }}
        />
        <Navigation current={name} store={store} />
      </header>
      {own === null && <Tour engine={engine} store={store} />}
      <main id="main" tabIndex={-1}>
        <div class="title">
          <h1>{title}</h1>
          <p>{lead}</p>
        </div>
        {!ignoresPrompt && <PromptForm key={`${q}\n${raw}`} store={store} />}
        <Fault message={model.error === null ? null : `The model could not be loaded: ${model.error}`} />
        <Component engine={engine} store={store} />
      </main>
      <footer class="colophon">
        <p>
          Everything on this page is computed in your browser, in a worker. Nothing is sent anywhere. The address holds
          what you see: copy it to share it.
        </p>
        {import.meta.env.VITE_SITE !== undefined && (
          <p>
            <a href="book/index.html">The reference, a short book</a> and <a href="api/index.html">the API</a> are here,
            too.
          </p>
        )}
        <Offline engine={engine} />
      </footer>
    </>
  );
}

/** Keeps the page for later, after what it needs now has arrived, and says so. */
function Offline({ engine }: { engine: Engine }): JSX.Element | null {
  const kept = useLoaded(() => engine.info().then(keepOffline), [engine]);
  return kept.value ? <p data-offline>The page is kept in this browser. It also works without a network.</p> : null;
}

/** The hash holds the state, so the link must not change it. */
function skipToMain(event: Event): void {
  event.preventDefault();
  document.querySelector('main')?.focus();
}

function Navigation({ current, store }: { current: ViewName; store: Store }): JSX.Element {
  return (
    <nav aria-label="Views">
      <ol>
        {(Object.keys(VIEW_NAMES) as ViewName[]).map((name) => (
          <li key={name}>
            <a href={store.href({ view: name })} aria-current={name === current ? 'page' : undefined}>
              <span class="numeral">{VIEW_NAMES[name]}</span> {VIEWS[name].title}
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}

function ThemeChoice(): JSX.Element {
  const [theme, setTheme] = useState(savedTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  return (
    <button
      type="button"
      class="quiet theme"
      onClick={() => {
        applyTheme(next);
        setTheme(next);
      }}
    >
      {`Colors: ${theme}`}
    </button>
  );
}

/** What to ask; all views show the same prompt. */
function PromptForm({ store }: { store: Store }): JSX.Element {
  const state = store.state.value;
  const [text, setText] = useState(state.q);
  const [raw, setRaw] = useState(state.raw);
  function submit(event: Event): void {
    event.preventDefault();
    const patch: Partial<State> = { q: text, raw, chosen: [], step: 0 };
    store.update(
      raw === state.raw && text === state.q
        ? { chosen: [], step: 0 }
        : { ...patch, token: 0, column: 0, swap: [], place: Infinity },
    );
  }
  return (
    <form class="prompt" onSubmit={submit}>
      <label>
        <span class="label">{raw ? 'Prompt' : 'Question'}</span>
        <input
          type="text"
          name="q"
          autocomplete="off"
          spellcheck={false}
          dir="auto"
          required
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
          }}
        />
      </label>
      <button type="submit" class="primary">
        {state.view === 'ask' ? 'Ask' : 'Run'}
      </button>
      <details class="frame">
        <summary>As the model reads it</summary>
        <pre>{promptOf({ ...state, q: text, raw })}</pre>
        <label class="check">
          <input
            type="checkbox"
            checked={raw}
            onChange={(event) => {
              setRaw(event.currentTarget.checked);
            }}
          />{' '}
          Send my text as it is, without this frame
        </label>
      </details>
    </form>
  );
}
