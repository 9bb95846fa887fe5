/**
 * The hyperparameters of a model. These letters mean the same in every file of the project:
 *
 * - T  tokens in a sequence
 * - V  vocabulary size
 * - E  width of the frozen embedding
 * - C  width of the model; every embedding is repeated C / E times to reach it
 * - H  attention heads
 * - D  width of a head, C / H
 * - L  layers
 */
export interface ModelConfig {
  /** The name of the family member, such as `model_64_float`. */
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
  /** The token that fills up short sequences in training. */
  padId: number;
  /** Which elements of a head one rotation turns: (i, i + D/2) or (2i, 2i + 1). */
  ropePairing: 'half' | 'interleaved';
  /** The base of the geometric series of rotary frequencies. */
  ropeTheta: number;
  /** GELU by the error function (`none`) or by its tanh approximation. */
  geluApproximate: 'none' | 'tanh';
  /** LayerNorm before each sub-layer, or after its residual sum. */
  normPosition: 'pre' | 'post';
  /** What LayerNorm adds to the variance. */
  layerNormEps: number;
}
