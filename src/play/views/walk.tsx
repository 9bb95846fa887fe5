import type { JSX } from 'preact';
import type { GraphNode } from '../../verify/graph.js';
import type { Activation, TraceInfo } from '../compute/protocol.js';
import { Figure, opOf } from '../draw/figure.js';
import { HeatMap } from '../draw/heatMap.js';
import { Explanation, Source } from '../draw/source.js';
import { Token } from '../draw/text.js';
import { promptOf, type State } from '../state.js';
import { useLoaded } from '../use.js';
import type { ViewProps } from './props.js';
import { Fault } from '../draw/fault.js';

/** What each activation is, in a line. */
const MEANINGS: Readonly<Record<string, string>> = {
  embedding: 'One frozen code per token',
  expanded: 'The code, each number repeated to fill the model’s width',
  attn_norm: 'Each token scaled to mean 0 and variance 1',
  q: 'Queries: what each token looks for',
  k: 'Keys: what each token offers',
  v: 'Values: what each token passes on',
  q_rot: 'Queries rotated by their position',
  k_rot: 'Keys rotated by their position',
  attn_weights: 'How much of each earlier token a token takes',
  attn: 'The weighted sum of earlier values',
  attn_out: 'The heads mixed by the output projection',
  resid_mid: 'Attention added to the residual stream',
  ffn_norm: 'Each token scaled again',
  ffn_up: 'Feed-forward: up to four times the width',
  ffn_act: 'The nonlinearity',
  ffn_out: 'Feed-forward: back down to the model’s width',
  resid: 'Feed-forward added to the residual stream',
  final_norm: 'The last norm before the head',
  logits: 'A score for every possible next token',
};

/** Activations whose columns are the heads side by side. */
const BY_HEAD = ['q', 'k', 'v', 'q_rot', 'k_rot', 'attn'];

/** View 3: the figure of the architecture leads through one forward pass, op by op. */
export function Walk({ engine, store }: ViewProps): JSX.Element {
  const state = store.state.value;
  const prompt = promptOf(state);
  const trace = useLoaded(() => engine.trace(prompt), [engine, prompt]);
  const model = useLoaded(() => engine.info(), [engine]);
  if (trace.error !== null) return <Fault message={trace.error} />;
  if (!trace.value || !model.value) return <p class="waiting">The reference is computing every activation…</p>;

  const { graph } = trace.value;
  const { nLayer, nHead } = model.value.config;
  const layer = Math.min(Math.floor(state.layer), nLayer - 1);
  const at = Math.max(
    0,
    graph.findIndex(({ name }) => name === state.op || name === `layers.${layer}.${state.op}`),
  );
  const node = graph[at];
  const op = opOf(node.name);
  const files = FILES[node.op] ?? [node.op];
  const goTo = ({ name, layer: of }: GraphNode): Partial<State> => ({
    op: opOf(name),
    layer: name.startsWith('layers.') ? of : layer,
  });
  const loadAll = (): Promise<Activation[]> =>
    Promise.all([...node.inputs, node.name].map((name) => engine.activation(prompt, name)));
  const figure = <Figure graph={graph} layers={nLayer} current={{ op, layer }} href={(place) => store.href(place)} />;
  const [previous, next] = [graph[at - 1], graph[at + 1]] as (GraphNode | undefined)[];
  return (
    <div class="walk">
      <aside aria-label="Architecture">
        <div class="wide-only">{figure}</div>
        <details class="narrow-only">
          <summary>{`Figure of the architecture, at ${node.name}`}</summary>
          {figure}
        </details>
        <p class="timing">{`All ${graph.length} activations in ${trace.value.ms.toFixed(0)} ms, on the reference.`}</p>
      </aside>
      <article>
        <header class="op-head">
          <p class="steps">
            {previous ? <a href={store.href(goTo(previous))}>{`← ${opOf(previous.name)}`}</a> : <span />}
            <span>{`op ${at + 1} of ${graph.length}`}</span>
            {next ? <a href={store.href(goTo(next))}>{`${opOf(next.name)} →`}</a> : <span />}
          </p>
          <h2 aria-live="polite">{MEANINGS[op] ?? op}</h2>
          <p class="equation">
            <b>{node.name}</b> = {node.op}({node.inputs.length === 0 ? 'ids' : node.inputs.join(', ')})
            {node.op === 'softmax' && ', within attention'}
          </p>
          <Explanation file={files[0]} />
        </header>
        <Numbers
          node={node}
          trace={trace.value}
          heads={nHead}
          load={loadAll}
          keyOf={`${prompt}\n${node.name}`}
          engine={engine}
          store={store}
        />
        <h3>The source that computed this</h3>
        {files.map((file) => (
          <Source key={file} file={file} />
        ))}
      </article>
    </div>
  );
}

/** The files of `reference/` that compute the ops which are not in a file of their name alone. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  softmax: ['attention', 'softmax'],
  attention: ['attention', 'softmax'],
  lmHead: ['lmHead', 'linear'],
  gelu: ['gelu', 'erf'],
};

interface NumbersProps {
  node: GraphNode;
  trace: TraceInfo;
  heads: number;
  load: () => Promise<Activation[]>;
  /** Changes with what `load` loads. */
  keyOf: string;
  engine: ViewProps['engine'];
  store: ViewProps['store'];
}

/** What went into an op and what came out, as heat maps. */
function Numbers({ node, trace, heads, load, keyOf, engine, store }: NumbersProps): JSX.Element {
  const state = store.state.value;
  const { value, error } = useLoaded(async () => ({ node, activations: await load() }), [keyOf]);
  const vocabulary = useLoaded(() => engine.vocabulary(), [engine]);
  if (error !== null) return <Fault message={error} />;
  if (!value) return <p class="waiting">Loading the numbers…</p>;

  const labels = trace.tokens.map(({ text }) => text);
  const names = [...value.node.inputs, value.node.name];
  const head = Math.min(Math.floor(state.head), heads - 1);
  const hasHeads = value.activations.some(({ shape }) => shape.length === 3);
  return (
    <section aria-label="Numbers">
      {hasHeads && (
        <label class="heads">
          <span class="label">Head</span>
          <input
            type="range"
            min={0}
            max={heads - 1}
            value={head}
            onInput={(event) => {
              store.update({ head: Number(event.currentTarget.value) }, 'replace');
            }}
          />
          <output>{`${head} of 0 to ${heads - 1}`}</output>
        </label>
      )}
      <div class="maps">
        {value.node.inputs.length === 0 && (
          <figure class="map ids">
            <figcaption>
              <span class="way">In</span> <span class="name">ids</span>{' '}
              <span class="shape">{`[${trace.tokens.length}]`}</span>
            </figcaption>
            <ol>
              {trace.tokens.map(({ id, text }, n) => (
                <li key={n}>
                  <Token text={text} /> {id}
                </li>
              ))}
            </ol>
          </figure>
        )}
        {value.activations.map((activation, n) => {
          const { step } = activation;
          const { data, shape, truth } = ofHead(activation, head);
          const isOut = n === names.length - 1;
          const op = opOf(names[n]);
          return (
            <div key={names[n]} data-activation={names[n]}>
              <p class="way">{isOut ? 'Out' : 'In'}</p>
              <HeatMap
                name={activation.shape.length === 3 ? `${names[n]}, head ${head}` : names[n]}
                data={data}
                shape={shape}
                truth={truth}
                step={step}
                labels={labels}
                {...(BY_HEAD.includes(op) && {
                  columnLabel: (c: number) =>
                    `head ${Math.floor((c * heads) / shape[1])}, d = ${c % (shape[1] / heads)}`,
                })}
                {...(op === 'logits' && { columnLabel: (c: number) => `for “${vocabulary.value?.[c] ?? ''}”` })}
                {...(activation.shape.length === 3 && { columnLabel: (c: number) => `of “${labels[c]}”` })}
                row={state.token}
                column={state.column}
                onPick={(token, column) => {
                  store.update({ token, column }, 'replace');
                }}
              />
            </div>
          );
        })}
      </div>
    </section>
  );
}

/** A matrix, or one head of [H, T, S]. */
function ofHead(
  { data, shape, truth }: Activation,
  head: number,
): {
  data: Float32Array;
  shape: readonly [number, number];
  truth: Float64Array | null;
} {
  if (shape.length === 2) return { data, shape: [shape[0], shape[1]], truth };
  const size = shape[1] * shape[2];
  return { data: data.subarray(head * size, (head + 1) * size), shape: [shape[1], shape[2]], truth: null };
}
