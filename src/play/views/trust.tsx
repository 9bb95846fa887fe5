import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { BackendCheck, CheckedActivation } from '../compute/protocol.js';
import { distance } from '../draw/text.js';
import type { Store } from '../state.js';
import { messageOf } from '../../../reference/lib/errors.js';
import type { ViewProps } from './props.js';
import { Fault } from '../draw/fault.js';

/** View 8: every backend that this browser has, against PyTorch's golden activations. */
export function Trust({ engine, store }: ViewProps): JSX.Element {
  const [checks, setChecks] = useState<BackendCheck[]>([]);
  const [isDone, setDone] = useState(false);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const found: BackendCheck[] = [];
    void (async () => {
      try {
        for await (const check of engine.trust(abort.signal)) {
          found.push(check);
          setChecks([...found]);
        }
        setDone(true);
      } catch (failure) {
        if (!abort.signal.aborted) setError(messageOf(failure));
      }
    })();
    return () => {
      abort.abort();
    };
  }, [engine]);

  const ran = checks.filter(({ error: reason }) => reason === null);
  const chosen = ran.find(({ name }) => name === store.state.value.checked) ?? ran.at(0);
  const reasons = [...new Set(checks.map(({ error: reason }) => reason))].filter((reason) => reason !== null);
  return (
    <div class="trust" data-done={isDone ? 'true' : undefined}>
      <Fault message={error} />
      <p class="prose">
        PyTorch computed one question of the demo in float64 and stored its activations. Each backend now computes the
        same question. An error is the largest distance of an element, relative to the rms of PyTorch’s values; its
        bound was fixed beforehand for each op.
      </p>
      {error === null && checks.length === 0 && <p class="waiting">The backends are computing…</p>}
      {checks.length > 0 && (
        <ol class="backends" aria-label="Backends" aria-live="polite">
          {ran.map((check) => (
            <Backend key={check.name} check={check} isChosen={check === chosen} store={store} />
          ))}
          {reasons.map((reason) => (
            <Absent key={reason} checks={checks.filter((check) => check.error === reason)} reason={reason} />
          ))}
        </ol>
      )}
      {chosen && <Ops check={chosen} store={store} />}
    </div>
  );
}

interface BackendProps {
  check: BackendCheck;
  isChosen: boolean;
  store: Store;
}

function Backend({ check, isChosen, store }: BackendProps): JSX.Element {
  const { name, adapter, ms, activations } = check;
  const worst = worstOf(activations);
  const wrong = activations.filter(({ isOk }) => !isOk).length;
  return (
    <li data-backend={name}>
      <a href={store.href({ checked: name })} aria-current={isChosen ? 'true' : undefined}>
        <b>{name}</b>
        <span class={`verdict ${wrong > 0 ? 'wrong' : ''}`}>
          {wrong === 0 ? `✓ ${activations.length} of ${activations.length} within` : `✗ ${wrong} beyond their bounds`}
        </span>
        <Share share={worst.share} />
        <span class="time">{`${milliseconds(ms)} a pass`}</span>
        <span class="why">{adapter}</span>
      </a>
    </li>
  );
}

/** The backends that cannot run here for one reason. */
function Absent({ checks, reason }: { checks: readonly BackendCheck[]; reason: string }): JSX.Element {
  return (
    <li class="absent" data-absent={checks.map(({ name }) => name).join()}>
      <b>Not here</b>
      <span class="verdict">{checks.map(({ name }) => name).join(', ')}</span>
      <span class="why">{reason}.</span>
    </li>
  );
}

/** The share of a bound as a bar and in words; the end of the bar is the bound. */
function Share({ share }: { share: number }): JSX.Element {
  return (
    <span class="share">
      <span class="bar" aria-hidden="true">
        <i class={share > 1 ? 'wrong' : ''} style={{ width: `${Math.min(100, 100 * share)}%` }} />
      </span>
      <span class="percent">{share === 0 ? 'exact' : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`}</span>
    </span>
  );
}

function worstOf(activations: readonly CheckedActivation[]): CheckedActivation {
  return activations.reduce((worst, one) => (one.share > worst.share ? one : worst));
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(ms < 1 ? 2 : 1) : ms.toFixed(0)} ms`;
}

/** The ops of a backend, each with the activation that comes nearest to its bound. */
function Ops({ check, store }: { check: BackendCheck; store: Store }): JSX.Element {
  const ops = [...new Set(check.activations.map(({ op }) => op))].map((op) => {
    const own = check.activations.filter((activation) => activation.op === op);
    return { op, count: own.length, worst: worstOf(own), ms: own.reduce((sum, { ms }) => sum + ms, 0) };
  });
  return (
    <section aria-label={`Ops on ${check.name}`}>
      <h2>{check.name}, op by op</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Errors by op">
        <table class="checks">
          <thead>
            <tr>
              <th scope="col">Op</th>
              <th scope="col">Share of its bound</th>
              <th scope="col">Largest error</th>
              <th scope="col">Bound</th>
              <th scope="col">Time, all of them</th>
              <th scope="col">Worst of</th>
            </tr>
          </thead>
          <tbody>
            {ops.map(({ op, count, worst, ms }) => (
              <tr key={op} data-op={op} data-share={worst.share}>
                <th scope="row">{op}</th>
                <td>
                  <Share share={worst.share} />
                </td>
                <td>{distance(worst.error)}</td>
                <td>{distance(worst.bound)}</td>
                <td>{milliseconds(ms)}</td>
                <td>
                  {`${count}: `}
                  <WalkLink name={worst.name} store={store} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="timing">Times of ops include reading each activation out; a pass alone does not.</p>
    </section>
  );
}

/** The activation, as a link to its place in the walk. */
function WalkLink({ name, store }: { name: string; store: Store }): JSX.Element {
  const match = /^layers\.(\d+)\.(.+)$/.exec(name);
  return <a href={store.href({ view: 'walk', op: match?.[2] ?? name, layer: Number(match?.[1] ?? 0) })}>{name}</a>;
}
