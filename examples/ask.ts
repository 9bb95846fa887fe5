/** Answers a question and streams the text. */
import { askPrompt, load } from 'emergent-semantics';

const model = await load(); // the demo; pass a folder or a Hugging Face Hub id for another model
for await (const piece of model.generate(askPrompt('What is the capital of Japan?'))) {
  process.stdout.write(piece);
}
process.stdout.write(`   (${model.backend})\n`);
await model.dispose();
