import { ShapeError } from './errors.js';

/** What holds the numbers of a tensor. Weights are float32; activations may be float64, see {@link Precision}. */
export type Floats = Float32Array | Float64Array;

/** A dense array in row-major order: the last dimension is contiguous, as in PyTorch. */
export interface Tensor<Data extends Floats = Floats> {
  readonly data: Data;
  readonly shape: readonly number[];
}

/** A tensor of float32 numbers. */
export type Float32Tensor = Tensor<Float32Array>;

/** The format of activations between ops. The numbers inside an op are float64 in any case. */
export type Precision = 'float32' | 'float64';

/** The number of elements that a shape holds: the product of its dimensions, 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/**
 * Wraps `data` as a tensor of the given shape, or creates one of zeros.
 *
 * @throws ShapeError if `data` does not hold exactly as many elements as the shape asks for.
 */
export function tensor(shape: readonly number[]): Float32Tensor;
export function tensor<Data extends Floats>(shape: readonly number[], data: Data): Tensor<Data>;
export function tensor(shape: readonly number[], data: Floats = new Float32Array(sizeOf(shape))): Tensor {
  if (data.length !== sizeOf(shape)) {
    throw new ShapeError(`tensor: shape ${show(shape)} holds ${sizeOf(shape)} elements, data has ${data.length}`);
  }
  return { data, shape };
}

/** A tensor of zeros in the format of `x`: an op answers in the format of its input. */
export function zerosLike(x: Tensor, shape: readonly number[]): Tensor {
  const size = sizeOf(shape);
  return tensor(shape, x.data instanceof Float64Array ? new Float64Array(size) : new Float32Array(size));
}

/** A float32 tensor in the given format, bit for bit. */
export function inPrecision(precision: Precision, x: Float32Tensor): Tensor {
  return precision === 'float64' ? tensor(x.shape, Float64Array.from(x.data)) : x;
}

/**
 * A matrix from its rows: `matrix([[1, 2], [3, 4]])` is [2, 2].
 *
 * @throws ShapeError if the rows differ in length.
 */
export function matrix(values: readonly (readonly number[])[]): Float32Tensor {
  const columns = values[0]?.length ?? 0;
  values.forEach((row, i) => {
    if (row.length !== columns) {
      throw new ShapeError(`matrix: row ${i} has ${row.length} elements, but row 0 has ${columns}`);
    }
  });
  return tensor([values.length, columns], Float32Array.from(values.flat()));
}

/** A vector, such as a bias: `vector([1, 2])` is [2]. */
export function vector(values: readonly number[]): Float32Tensor {
  return tensor([values.length], Float32Array.from(values));
}

/** Rows `start` to `end` (exclusive) of a matrix, as a view that shares its memory. */
export function rows<Data extends Floats>(x: Tensor<Data>, start: number, end: number): Tensor<Data> {
  const width = x.shape[1];
  return { data: x.data.subarray(start * width, end * width) as Data, shape: [end - start, width] };
}

/** A shape as error messages print it: `[4, 1000]`. */
export function show(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

/**
 * Checks a matrix argument of an op, once, before its loops. Without `columns` any width is accepted.
 *
 * @throws ShapeError such as `layerNorm: x expects [T, 1024], got [4, 1000]`.
 */
export function expectMatrix(op: string, argument: string, x: Tensor, columns?: number): void {
  if (x.shape.length !== 2 || (columns !== undefined && x.shape[1] !== columns)) {
    throw new ShapeError(`${op}: ${argument} expects [rows, ${columns ?? 'columns'}], got ${show(x.shape)}`);
  }
}

/**
 * Checks a vector argument of an op, such as a bias or a LayerNorm weight.
 *
 * @throws ShapeError such as `linear: bias expects [4096], got [1024]`.
 */
export function expectVector(op: string, argument: string, x: Tensor, length: number): void {
  if (x.shape.length !== 1 || x.shape[0] !== length) {
    throw new ShapeError(`${op}: ${argument} expects [${length}], got ${show(x.shape)}`);
  }
}
