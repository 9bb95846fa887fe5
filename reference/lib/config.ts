/**
 * The hyperparameters of a model. These letters mean the same in every file of the project:
 *
 * - T  tokens of this pass
 * - S  tokens that attention sees: those in the cache and these T
 * - V  vocabulary size
 * - E  width of the frozen embedding
 * - C  width of the model; every embedding is repeated C / E times to reach it
 * - H  attention heads
 * - D  width of a head, C / H
 * - L  layers
 * - K, N  inputs and outputs of a linear layer
 */
export interface ModelConfig {
  /** The family member, such as `model_64_float`. */
  modelType: string;
  /** V */
  vocabSize: number;
  /** The longest sequence that the model was trained for. */
  blockSize: number;
  /** E */
  nEmbed: number;
  /** C */
  dModel: number;
  /** L */
  nLayer: number;
  /** H */
  nHead: number;
  /** The token that pads short sequences in training. */
  padId: number;
  /** Which two elements of a head form a rotary pair: (i, i + D/2) or (2i, 2i + 1). */
  ropePairing: 'half' | 'interleaved';
  /** The base of the geometric series of rotary frequencies. */
  ropeTheta: number;
  /** GELU by the error function (`none`) or the tanh approximation. */
  geluApproximate: 'none' | 'tanh';
  /** LayerNorm before each sublayer, or after its residual sum. */
  normPosition: 'pre' | 'post';
  /** ε, which LayerNorm adds to the variance. */
  layerNormEps: number;
}
