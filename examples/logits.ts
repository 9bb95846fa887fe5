/** Drives a session directly: logits of every token, the cache, and a reset. */
import { argmax, load } from 'emergent-semantics';

const model = await load();
const session = await model.openSession();

const ids = model.tokenizer.encode('Question: What is the capital of Chile?\nAnswer:');
const { data, shape } = await session.forward(ids, { logits: 'all' }); // [T, V]
console.log(`${ids.length} tokens, logits [${shape.join(', ')}]`);

let next = argmax(data.subarray(data.length - shape[1]));
for (let i = 0; i < 4; i++) {
  process.stdout.write(model.tokenizer.decode([next]));
  next = argmax((await session.forward([next])).data); // only the new token: the others are cached
}
console.log(`\n${session.length} tokens cached`);
session.reset();
console.log(`${session.length} after a reset`);

await session.dispose();
await model.dispose();
