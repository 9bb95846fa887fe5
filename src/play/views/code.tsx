import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Activation, Near, Progress, TokenNeighbors } from '../compute/protocol.js';
import { Download } from '../draw/download.js';
import { HeatMap } from '../draw/heatMap.js';
import { Source } from '../draw/source.js';
import { Token } from '../draw/text.js';
import { TokenStrip } from '../draw/tokenStrip.js';
import { promptOf } from '../state.js';
import { messageOf } from '../../../reference/lib/errors.js';
import { useLoaded } from '../use.js';
import type { ViewProps } from './props.js';
import { Fault } from '../draw/fault.js';

/** How many neighbors are listed. */
const COUNT = 8;
/** Codes of at most this many numbers are written out. */
const MAX_WRITTEN = 16;

/** View 2: the code of a token, what it becomes, and the tokens near to it before and after. */
export function Code({ engine, store }: ViewProps): JSX.Element {
  const state = store.state.value;
  const prompt = promptOf(state);
  const { value, error } = useLoaded(async () => {
    const [{ tokens }, { config }] = await Promise.all([engine.trace(prompt), engine.info()]);
    const last = config.normPosition === 'pre' ? 'resid' : 'ffn_norm';
    const names = Array.from({ length: config.nLayer }, (_, n) => `layers.${n}.${last}`);
    const [code, expanded, ...states] = await Promise.all(
      ['embedding', 'expanded', ...names].map((name) => engine.activation(prompt, name)),
    );
    return { prompt, tokens, config, code, expanded, states };
  }, [engine, prompt]);
  if (error !== null) return <Fault message={error} />;
  if (!value) return <p class="waiting">The reference is computing every state…</p>;

  const { tokens, config, code, expanded, states } = value;
  const { nEmbed: E, dModel: C } = config;
  const times = C / E;
  const position = Math.min(Math.floor(state.token), tokens.length - 1);
  const column = Math.min(Math.floor(state.column), C - 1);
  const layer = Math.min(Math.floor(state.layer), states.length - 1);
  const { text, id } = tokens[position];
  const own = rowOf(code, position);
  const labelOf = (c: number): string => `copy ${(c % times) + 1} of number ${Math.floor(c / times)}`;
  return (
    <div class="code">
      <TokenStrip tokens={tokens} current={position} href={(token) => store.href({ token })} />
      <section aria-label="Numbers of the token">
        <h2>
          <Token text={text} /> is token {id}: {E} frozen numbers
        </h2>
        <div class="from-code">
          <HeatMap
            {...{ name: 'embedding', shape: [1, E] as const, labels: ['code'], row: 0 }}
            {...own}
            step={code.step}
            column={Math.floor(column / times)}
            below={
              E <= MAX_WRITTEN && (
                <ol class="written" aria-label="The numbers of the code" style={{ '--count': E }}>
                  {Array.from(own.data, (x, n) => (
                    <li key={n}>{x.toFixed(2).replace('-', '−')}</li>
                  ))}
                </ol>
              )
            }
            onPick={(_, d) => {
              store.update({ column: d * times }, 'replace');
            }}
          />
        </div>
        <p class="then">
          repeat_interleave writes each number {times} times, which fills the width of {C}.
        </p>
        <HeatMap
          {...{ name: 'expanded', shape: [1, C] as const, labels: ['copies'], row: 0, column }}
          {...rowOf(expanded, position)}
          step={expanded.step}
          columnLabel={labelOf}
          onPick={(_, c) => {
            store.update({ column: c }, 'replace');
          }}
        />
        <p class="then">Then each layer adds to it, and the copies part.</p>
        <HeatMap
          {...{ name: 'state after each layer', shape: [states.length, C] as const, row: layer, column }}
          {...stack(states.map((of) => rowOf(of, position)))}
          step={states[0].step}
          labels={states.map((_, n) => `layer\u00a0${n}`)}
          columnLabel={labelOf}
          onPick={(n, c) => {
            store.update({ layer: n, column: c }, 'replace');
          }}
        />
      </section>
      <Neighbors {...{ engine, store, prompt, position, layer, text, layers: states.length }} />
      <h3>The source that repeats the code</h3>
      <Source file="repeatInterleave" />
    </div>
  );
}

interface NeighborsProps extends ViewProps {
  prompt: string;
  position: number;
  layer: number;
  layers: number;
  text: string;
}

/** The nearest codes beside the nearest states. */
function Neighbors({ engine, store, prompt, position, layer, layers, text }: NeighborsProps): JSX.Element {
  const [progress, setProgress] = useState<Progress | null>(null);
  const [found, setFound] = useState<TokenNeighbors | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    setFound(null);
    setProgress(null);
    setError(null);
    void (async () => {
      try {
        for await (const piece of engine.neighbors(prompt, position, COUNT, abort.signal)) {
          if ('codes' in piece) setFound(piece);
          else setProgress(piece);
        }
      } catch (problem) {
        if (!abort.signal.aborted) setError(messageOf(problem));
      }
    })();
    return () => {
      abort.abort();
    };
  }, [engine, prompt, position]);
  return (
    <section class="neighbors" aria-label="Nearest tokens">
      <h3>Which tokens are near</h3>
      <p class="prose">
        Every token of the vocabulary in the place of <Token text={text} />, after the same beginning. In the table,
        near means nothing; after the layers, near means that the model treats them alike here.
      </p>
      <label class="heads">
        <span class="label">After layer</span>
        <input
          type="range"
          min={0}
          max={layers - 1}
          value={layer}
          onInput={(event) => {
            store.update({ layer: Number(event.currentTarget.value) }, 'replace');
          }}
        />
        <output>{`${layer} of 0 to ${layers - 1}`}</output>
      </label>
      <Fault message={error} />
      {error === null && !found && (
        <p class="waiting">
          <progress max={progress?.total ?? 1} value={progress?.done ?? 0} aria-label="Tokens tried" />
          {progress ? `${progress.done} of ${progress.total} tokens` : 'Starting…'}
        </p>
      )}
      {found && (
        <>
          <div class="two">
            <Ranking title="Nearest codes, in the frozen table" near={found.codes} />
            <Ranking title={`Nearest states, after layer ${layer}`} near={found.states[layer]} />
          </div>
          <Download
            name="neighbors.json"
            make={() => JSON.stringify({ prompt, position, token: text, ...found }, null, 2)}
          >
            Save as JSON
          </Download>
        </>
      )}
    </section>
  );
}

function Ranking({ title, near }: { title: string; near: readonly Near[] }): JSX.Element {
  return (
    <section class="rivals" aria-label={title}>
      <h4>{title}</h4>
      <ol>
        {near.map(({ id, text, cosine }) => (
          <li key={id} data-near={id} data-cosine={cosine}>
            <span>
              <Token text={text} />
              <span class="bar">
                <i style={{ width: `${100 * Math.max(0, cosine)}%` }} />
              </span>
              <span class="percent">{cosine.toFixed(3).replace('-', '−')}</span>
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

interface Row {
  data: Float32Array;
  truth: Float64Array | null;
}

/** The numbers of one position. */
function rowOf({ data, truth, shape }: Activation, position: number): Row {
  const [from, to] = [position * shape[1], (position + 1) * shape[1]];
  return { data: data.subarray(from, to), truth: truth?.subarray(from, to) ?? null };
}

function stack(rows: readonly Row[]): Row {
  const size = rows[0].data.length;
  const data = new Float32Array(rows.length * size);
  const truth = new Float64Array(rows.length * size).fill(NaN);
  rows.forEach((row, n) => {
    data.set(row.data, n * size);
    if (row.truth) truth.set(row.truth, n * size);
  });
  return { data, truth };
}
