import { ShapeError } from './lib/errors.js';
import { show, tensor, type Tensor } from './lib/tensor.js';

/**
 * Adds what a sub-layer found to the residual stream that carries every token through the model.
 *
 *     y = a + b
 *
 * @returns the common shape of a and b; one rounding each.
 * @throws ShapeError if the shapes differ: nothing is broadcast.
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
