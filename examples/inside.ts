/** Traces the model: prints the rms of the residual stream after each layer. */
import { load } from 'emergent-semantics';

const model = await load();
const session = await model.openSession('reference');
await session.forward(model.tokenizer.encode('Question: What is the capital of Kenya?'), {
  trace(name, { data }) {
    if (!/^expanded|resid$/.test(name)) return;
    let squares = 0;
    for (const x of data) squares += x * x;
    const rms = Math.sqrt(squares / data.length);
    console.log(`${name.padEnd(16)} ${'#'.repeat(Math.round(10 * rms))} ${rms.toFixed(2)}`);
  },
});
await session.dispose();
await model.dispose();
