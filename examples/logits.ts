/** A session by hand: logits of every token, what is remembered, what is forgotten. */
import { argmax, load } from 'emergent-semantics';

const model = await load();
const session = await model.openSession();

const ids = model.tokenizer.encode('Question: What is the capital of Chile?\nAnswer:');
const { data, shape } = await session.forward(ids, { logits: 'all' }); // [T, V]
console.log(`${ids.length} tokens, logits [${shape.join(', ')}]`);

let next = argmax(data.subarray(data.length - shape[1]));
for (let i = 0; i < 4; i++) {
  process.stdout.write(model.tokenizer.decode([next]));
  next = argmax((await session.forward([next])).data); // only the new token: the others are remembered
}
console.log(`\n${session.length} tokens remembered`);
session.reset();
console.log(`${session.length} after a reset`);

await session.dispose();
await model.dispose();
