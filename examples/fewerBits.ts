/** Loads the weights in fewer bits and prints how far the logits move from those of float32. */
import { DTYPES, load } from 'emergent-semantics';

let exact: Float32Array | null = null;
for (const dtype of DTYPES) {
  const model = await load(undefined, { dtype, backend: 'simd' });
  const session = await model.openSession();
  const { data } = await session.forward(model.tokenizer.encode('Question: What is the capital of Japan?\nAnswer:'));
  exact ??= data;
  const lost = data.reduce((sum, x, i) => sum + (x - exact![i]) ** 2, 0);
  const whole = exact.reduce((sum, x) => sum + x * x, 0);
  console.log(
    `${dtype.padEnd(5)} ${model.report.lossless ? 'lossless' : 'rounded'}, relative distance ${Math.sqrt(lost / whole).toExponential(1)}`,
  );
  await session.dispose();
  await model.dispose();
}
