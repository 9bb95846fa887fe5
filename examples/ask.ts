/** Text in, text out, piece by piece. */
import { askPrompt, load } from 'emergent-semantics';

const model = await load(); // the demo; or a folder, or the id of a model on the Hugging Face Hub
for await (const piece of model.generate(askPrompt('What is the capital of Japan?'))) {
  process.stdout.write(piece);
}
process.stdout.write(`   (${model.backend})\n`);
await model.dispose();
