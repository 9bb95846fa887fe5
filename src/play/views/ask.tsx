import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { AskStep, AskSummary } from '../compute/protocol.js';
import { Marked, percent, Token } from '../draw/text.js';
import { promptOf, type State, type Store } from '../state.js';
import { messageOf } from '../../../reference/lib/errors.js';
import type { ViewProps } from './props.js';
import { Fault } from '../draw/fault.js';

const BACKENDS = ['simd', 'reference'];

/** An answer as far as it has come. */
interface Answer {
  steps: AskStep[];
  summary: AskSummary | null;
  error: string | null;
}

/** View 1: the answer token by token, each with its probability and its rivals. */
export function Ask({ engine, store }: ViewProps): JSX.Element {
  const state = store.state.value;
  const { temperature, topK, topP, seed, backend, chosen } = state;
  const prompt = promptOf(state);
  const [answer, setAnswer] = useState<Answer>({ steps: [], summary: null, error: null });

  useEffect(() => {
    const abort = new AbortController();
    const steps: AskStep[] = [];
    void (async () => {
      try {
        const options = { temperature, topK, topP, seed, backend, chosen };
        for await (const piece of engine.ask(prompt, options, abort.signal)) {
          if ('rivals' in piece) {
            steps.push(piece);
            setAnswer({ steps: [...steps], summary: null, error: null });
          } else {
            setAnswer({ steps: [...steps], summary: piece, error: null });
          }
        }
      } catch (error) {
        if (!abort.signal.aborted) setAnswer({ steps: [...steps], summary: null, error: messageOf(error) });
      }
    })();
    return () => {
      abort.abort();
    };
  }, [engine, prompt, temperature, topK, topP, seed, backend, chosen.join()]);

  const { steps, summary, error } = answer;
  const at = Math.min(Math.floor(state.step), steps.length - 1);
  const text = steps.filter(({ isEnd }) => !isEnd).map((step) => step.text);
  return (
    <div class="ask">
      <section aria-label="Answer">
        <Fault message={error} />
        {error === null && steps.length === 0 && <p class="waiting">The model is reading…</p>}
        <ol class="answer" aria-label="Tokens of the answer">
          {steps.map((step, n) => (
            <li key={n}>
              <button
                type="button"
                class={n < chosen.length ? 'chosen' : ''}
                aria-pressed={n === at}
                onClick={() => {
                  store.update({ step: n }, 'replace');
                }}
              >
                <span class="word">
                  {step.isEnd ? (
                    <i>end</i>
                  ) : (
                    <bdi>
                      <Marked text={step.text} />
                    </bdi>
                  )}
                </span>
                <meter min={0} max={1} value={step.probability} aria-hidden="true" />
                <span class="percent">{percent(step.probability)}</span>
              </button>
            </li>
          ))}
        </ol>
        <p class="whole" role="status" data-answer={summary ? text.join('') : undefined}>
          {summary && <Summary {...summary} text={text.join('')} />}
        </p>
      </section>
      <div class="beside">
        {at >= 0 && <Rivals step={steps[at]} at={at} steps={steps} store={store} />}
        <Sampling state={state} store={store} />
      </div>
    </div>
  );
}

function Summary({ tokens, firstMs, restMs, backend, adapter, text }: AskSummary & { text: string }): JSX.Element {
  const rate = tokens > 1 ? `, then ${((1000 * (tokens - 1)) / restMs).toFixed(0)} tokens a second` : '';
  return (
    <>
      <span class="said">{text.trim()}</span>
      {` ${tokens} tokens, the first after ${firstMs.toFixed(0)} ms${rate}, on ${backend} (${adapter}).`}
    </>
  );
}

/** The likeliest tokens at one place of the answer. Choosing one goes on from there. */
function Rivals({
  step,
  at,
  steps,
  store,
}: {
  step: AskStep;
  at: number;
  steps: AskStep[];
  store: Store;
}): JSX.Element {
  const before = steps.slice(0, at).map(({ id }) => id);
  const isListed = step.rivals.some(({ id }) => id === step.id);
  return (
    <section class="rivals" aria-label="Rivals">
      <h2>
        Token {at + 1}: {step.isEnd ? 'the end' : <Token text={step.text} />}
      </h2>
      <p>
        {step.rank === 1 ? 'The likeliest here' : `Number ${step.rank} in the model’s order`}, with{' '}
        {percent(step.probability)}.{' Choose a rival to go on from it.'}
      </p>
      <ol>
        {(isListed ? step.rivals : [...step.rivals, step]).map((rival) => (
          <li key={rival.id}>
            <a
              href={store.href({ chosen: [...before, rival.id], step: at })}
              aria-current={rival.id === step.id ? 'true' : undefined}
            >
              <Token text={rival.text} />
              <span class="bar">
                <i style={{ width: `${100 * rival.probability}%` }} />
              </span>
              <span class="percent">{percent(rival.probability)}</span>
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Sampling({ state, store }: { state: State; store: Store }): JSX.Element {
  const { temperature, topK, topP, seed, backend, chosen } = state;
  const number = (
    name: 'temperature' | 'topK' | 'topP' | 'seed',
    label: string,
    limits: { min: number; max: number; step: number },
  ): JSX.Element => (
    <label>
      <span class="label">{label}</span>
      <input
        type="number"
        {...limits}
        value={state[name]}
        onChange={(event) => {
          const input = event.currentTarget;
          if (input.value !== '' && input.validity.valid) store.update({ [name]: Number(input.value) });
          else input.reportValidity();
        }}
      />
    </label>
  );
  const isGreedy = temperature === 0;
  return (
    <fieldset class="sampling">
      <legend>How tokens are chosen</legend>
      {number('temperature', 'Temperature', { min: 0, max: 5, step: 0.1 })}
      {number('topK', 'Top-k, 0 for all', { min: 0, max: 1024, step: 1 })}
      {number('topP', 'Top-p', { min: 0.05, max: 1, step: 0.05 })}
      {number('seed', 'Seed', { min: 0, max: 999999, step: 1 })}
      <label>
        <span class="label">Backend</span>
        <select
          value={backend}
          onChange={(event) => {
            store.update({ backend: event.currentTarget.value });
          }}
        >
          {[...new Set([...BACKENDS, backend])].map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <p>
        {isGreedy
          ? 'Temperature 0 always takes the likeliest token.'
          : `At temperature ${temperature}${topK > 0 ? `, among the ${topK} likeliest` : ''}${
              topP < 1 ? `, within ${percent(topP)} of the probability` : ''
            }; seed ${seed} repeats the same choices.`}
      </p>
      {chosen.length > 0 && (
        <p>
          <a href={store.href({ chosen: [], step: 0 })}>Back to the model’s own answer</a>
        </p>
      )}
    </fieldset>
  );
}
