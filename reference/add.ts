import { ShapeError } from './lib/errors.js';
import { show, tensor, type Tensor } from './lib/tensor.js';

/**
 * Adds a sublayer's output to the residual stream, which carries every token through the model.
 *
 *     y = a + b
 *
 * @returns the shape of a and b; each sum is rounded once.
 * @throws ShapeError if the shapes differ: nothing is broadcast.
 *
 * @example
 * ```ts
 * add(matrix([[1, 2]]), matrix([[10, 20]])).data; // => [11, 22]
 * ```
 */
export function add(a: Tensor, b: Tensor): Tensor {
  if (show(a.shape) !== show(b.shape)) {
    throw new ShapeError(`add: a is ${show(a.shape)} but b is ${show(b.shape)}`);
  }
  return tensor(
    a.shape,
    a.data.map((value, i) => value + b.data[i]),
  );
}
