/** Runs several generations at once. Each has its own session; they share only the weights. */
import { askPrompt, load, type LanguageModel } from 'emergent-semantics';

async function answer(model: LanguageModel, question: string): Promise<string> {
  let text = '';
  for await (const piece of model.generate(askPrompt(question), { maxNewTokens: 20 })) text += piece;
  return `${question}${text}`;
}

const model = await load();
const questions = ['What is the capital of Peru?', 'What is the currency of Japan?', 'On which continent is Kenya?'];
for (const line of await Promise.all(questions.map((question) => answer(model, question)))) console.log(line);
await model.dispose();
