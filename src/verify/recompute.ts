import { add } from '../../reference/add.js';
import { embedding } from '../../reference/embedding.js';
import type { ModelConfig } from '../../reference/lib/config.js';
import { tensor, type Tensor } from '../../reference/lib/tensor.js';
import type { LayerNormWeights, LinearWeights, Model } from '../../reference/lib/weights.js';
import { linear } from '../../reference/linear.js';
import { repeatInterleave } from '../../reference/repeatInterleave.js';
import { boundIn } from './bounds.js';
import type { Golden } from './golden.js';
import { activationGraph, type GraphNode } from './graph.js';
import type { Hypothesis } from './hypotheses.js';

import {
  activationVariant,
  attentionVariant,
  attentionWeightsVariant,
  fusedPerHead,
  layerNormVariant,
  linearVariant,
  mixVariant,
  rotateVariant,
  round,
  tile,
  type Choices,
} from './variants.js';
import { compareRow, type Row } from './verify.js';

/** A hypothesis and where it holds. */
export interface Assumption {
  hypothesis: Hypothesis;
  /** The activation within a layer that it concerns, `blocks` for all in layers, null for all of its ops. */
  role: string | null;
  /** null for every layer */
  layer: number | null;
}

/** The name of an activation within its layer. */
export function roleOf(name: string): string {
  return name.replace(/^layers\.\d+\./, '');
}

const LINEAR = { q: 'qProj', k: 'kProj', v: 'vProj', attn_out: 'oProj', ffn_up: 'ffnUp', ffn_out: 'ffnDown' } as const;

/**
 * Recomputes activations from the values of a golden file: each op from the file's own inputs, so that a fault in one op says
 * nothing about the next one. An input that is missing from the file, or only sampled, is itself recomputed.
 */
export class Recomputation {
  readonly graph: readonly GraphNode[];
  readonly nodes: ReadonlyMap<string, GraphNode>;
  private readonly model: Model;
  private readonly golden: Golden;
  private readonly assumptions: readonly Assumption[];
  private readonly usual: Recomputation | null;
  private readonly forced: boolean;
  private readonly values = new Map<string, Tensor>();
  private readonly config: ModelConfig;

  /**
   * @param usual the recomputation without assumptions, whose values are taken where no assumption reaches
   * @param forced take inputs from the file where it has them; otherwise the whole pass runs from the tokens
   */
  constructor(
    model: Model,
    golden: Golden,
    assumptions: readonly Assumption[] = [],
    usual: Recomputation | null = null,
    forced = true,
  ) {
    this.model = model;
    this.golden = golden;
    this.assumptions = assumptions;
    this.forced = forced;
    const normPosition = assumptions.map(({ hypothesis }) => hypothesis.change?.normPosition).find(Boolean);
    // In another order of the norms, the same names have other inputs.
    this.usual = normPosition || !forced ? null : usual;
    this.config = { ...model.config, ...(normPosition && { normPosition }) };
    const attnWeights = [...golden.tensors.keys()].some((name) => name.endsWith('.attn_weights'));
    this.graph = activationGraph(this.config, model.weights.finalNorm !== null, attnWeights);
    this.nodes = new Map(this.graph.map((node) => [node.name, node]));
  }

  /** The activation, recomputed. */
  value(name: string): Tensor {
    const known = this.values.get(name);
    if (known) return known;
    const node = this.nodes.get(name)!;
    const value = this.usual && !this.isReached(node) ? this.usual.value(name) : this.evaluate(node);
    this.values.set(name, value);
    return value;
  }

  /** The comparison of an activation with the file. */
  row(name: string): Row {
    const node = this.nodes.get(name)!;
    const truth = this.golden.tensors.get(name)!;
    return compareRow(node, this.value(name), truth, boundIn(this.golden, node, truth, 'reference'));
  }

  /** The activations that disagree with the file, in order of execution. */
  mismatches(): Row[] {
    return this.graph
      .filter(({ name }) => this.golden.tensors.has(name))
      .map(({ name }) => this.row(name))
      .filter(({ status }) => status !== 'OK');
  }

  /** An activation and those before it that the file does not hold: what may be at fault if the activation disagrees. */
  suspects(name: string): GraphNode[] {
    const found = new Set([name]);
    for (const suspect of found) {
      for (const input of this.nodes.get(suspect)!.inputs) if (!this.isHeld(input)) found.add(input);
    }
    return this.graph.filter((node) => found.has(node.name));
  }

  private isHeld(name: string): boolean {
    return this.forced && this.golden.tensors.get(name)?.step === 1;
  }

  private isReached(node: GraphNode): boolean {
    if (this.assumptions.some((assumption) => concerns(assumption, node))) return true;
    return node.inputs.some((input) => !this.isHeld(input) && this.isReached(this.nodes.get(input)!));
  }

  private input(name: string): Tensor {
    if (!this.isHeld(name)) return this.value(name);
    const { data, shape } = this.golden.tensors.get(name)!;
    return tensor(shape, Float32Array.from(data));
  }

  private evaluate(node: GraphNode): Tensor {
    const { op, layer, name } = node;
    const { config, model, golden } = this;
    const { nHead: H, dModel: C, nEmbed: E } = config;
    const role = roleOf(name);
    const choices: Choices = Object.assign(
      {},
      ...this.assumptions.filter((it) => concerns(it, node)).map(({ hypothesis }) => hypothesis.choices),
    ) as Choices;
    if (op === 'embedding') {
      const table = model.weights.embedding;
      return embedding(golden.header.tokens, choices.rounded ? round(table, choices.rounded) : table);
    }
    if (op === 'add') return this.residual(node, choices);
    const [x, y, z] = node.inputs.map((input) => this.input(input)) as [Tensor, Tensor, Tensor?];
    if (op === 'repeatInterleave') return choices.expand ? tile(x, C / E) : repeatInterleave(x, C / E);
    if (op === 'layerNorm') {
      const source = choices.weightsOf?.[role] ?? role;
      return layerNormVariant(x, this.normWeights(source, layer), config.layerNormEps, choices);
    }
    if (op === 'rope') return rotateVariant(x, config, choices);
    if (op === 'softmax') return attentionWeightsVariant(x, y, H, choices);
    if (op === 'attention') return z ? attentionVariant(x, y, z, H, choices) : mixVariant(x, y, choices);
    if (op === 'gelu') return activationVariant(x, choices.activation ?? config.geluApproximate);
    return linear(x, linearVariant(this.linearWeights(role, layer, choices), choices));
  }

  private residual({ inputs: [stream, branch], layer, name }: GraphNode, { residual }: Choices): Tensor {
    if (residual === 'branch') return this.input(branch);
    if (residual === 'stream') return this.input(stream);
    const normed = `layers.${layer}.${roleOf(name) === 'resid_mid' ? 'attn_norm' : 'ffn_norm'}`;
    const isNormed = residual === 'normed' && this.config.normPosition === 'pre';
    return add(this.input(isNormed ? normed : stream), this.input(branch));
  }

  private normWeights(role: string, layer: number): LayerNormWeights {
    const { finalNorm, blocks } = this.model.weights;
    if (role === 'final_norm') return finalNorm!;
    return role === 'attn_norm' ? blocks[layer].attnNorm : blocks[layer].ffnNorm;
  }

  private linearWeights(role: string, layer: number, choices: Choices): LinearWeights {
    if (role === 'logits') return this.model.weights.lmHead;
    const weights = this.model.weights.blocks[layer];
    if (choices.fused) {
      return fusedPerHead([weights.qProj, weights.kProj, weights.vProj], 'qkv'.indexOf(role), this.config.nHead);
    }
    return weights[LINEAR[(choices.weightsOf?.[role] ?? role) as keyof typeof LINEAR]];
  }
}

/** Whether an assumption changes how an activation is computed. */
export function concerns({ hypothesis, role, layer }: Assumption, node: GraphNode): boolean {
  const name = roleOf(node.name);
  return (
    hypothesis.ops.includes(node.op) &&
    (role === null || role === name || (role === 'blocks' && name !== node.name)) &&
    (hypothesis.roles?.includes(name) ?? true) &&
    (layer === null || layer === node.layer)
  );
}
