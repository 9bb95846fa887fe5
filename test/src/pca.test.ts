import assert from 'node:assert/strict';
import { alignTo, principalPlane } from '../../src/play/compute/pca.js';

/** Numbers between -1 and 1, the same each time. */
function* noise(): Generator<number, never> {
  for (let state = 1; ;) {
    state = (state * 48271) % 2147483647;
    yield (2 * state) / 2147483647 - 1;
  }
}

describe('principal component analysis', () => {
  it('finds the plane that the data was made in, and the share of the variance in it', () => {
    const [u, v, w] = [
      [0.6, 0.8, 0, 0],
      [0, 0, 0.6, -0.8],
      [0.8, -0.6, 0, 0],
    ]; // orthonormal
    const random = noise();
    const weights = Array.from({ length: 50 }, () => [5, 3, 0.5].map((size) => size * random.next().value));
    // exactly uncorrelated with mean 0: every combination of signs
    const signs = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => [n & 1, n & 2, n & 4].map((bit) => (bit ? 1 : -1)));
    const places = weights.flatMap((sizes) => signs.map((sign) => sizes.map((size, k) => size * sign[k])));
    const vectors = places.map(([a, b, c]) => Float64Array.from(u, (_, i) => a * u[i] + b * v[i] + c * w[i]));
    const { points, explained } = principalPlane(vectors);
    const total = (k: number): number => places.reduce((sum, place) => sum + place[k] ** 2, 0);
    assert.ok(Math.abs(explained - (total(0) + total(1)) / (total(0) + total(1) + total(2))) < 1e-9);
    places.forEach(([a, b], n) => {
      assert.ok(Math.abs(Math.abs(points[2 * n]) - Math.abs(a)) < 1e-6, `x of ${n}`);
      assert.ok(Math.abs(Math.abs(points[2 * n + 1]) - Math.abs(b)) < 1e-6, `y of ${n}`);
    });
  });

  it('undoes a rotation and a reflection', () => {
    const random = noise();
    const target = alignTo(
      Float64Array.from({ length: 40 }, () => random.next().value),
      null,
    );
    assert.ok(Math.abs(target.reduce((sum, x) => sum + x * x, 0) / 20 - 1) < 1e-12, 'mean square of 1');
    const [cos, sin] = [Math.cos(2), Math.sin(2)];
    for (const mirror of [1, -1]) {
      const moved = target.map((_, i) => {
        const [x, y] = [target[i - (i % 2)], mirror * target[i - (i % 2) + 1]];
        return 7 * (i % 2 === 0 ? cos * x - sin * y : sin * x + cos * y);
      });
      alignTo(moved, target).forEach((value, i) => {
        assert.ok(Math.abs(value - target[i]) < 1e-12);
      });
    }
  });
});
