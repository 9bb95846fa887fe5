import { Template } from '@huggingface/jinja';
import { foreignMessage } from '../lib/quote.js';
import { badField } from './apiError.js';

export interface Message {
  role: string;
  content: string;
}

/** How a conversation becomes a prompt. */
export interface ChatFormat {
  /** Whether an answer begins with a space that belongs to the format. */
  readonly trimsStart: boolean;
  /** @throws ApiError 400 if the template refuses the messages. */
  render(messages: readonly Message[]): string;
}

/** The model card's form, which base models know: `Question: …` and `Answer: …` in turn. */
export const QUESTION_ANSWER: ChatFormat = {
  trimsStart: true,
  render: (messages) => {
    const lines = messages.map(({ role, content }) => {
      if (role === 'user') return `Question: ${content}`;
      return role === 'assistant' ? `Answer: ${content}` : content;
    });
    return [...lines, 'Answer:'].join('\n');
  },
};

/**
 * A chat template in Jinja, as `tokenizer_config.json` has it.
 *
 * @param variables what templates may name beside the messages, such as `bos_token`
 * @throws whatever the template's syntax makes `@huggingface/jinja` throw.
 */
export function templateFormat(template: string, variables: Readonly<Record<string, unknown>> = {}): ChatFormat {
  const parsed = new Template(template);
  return {
    trimsStart: false,
    render: (messages) => {
      try {
        return parsed.render({ ...variables, messages: [...messages], add_generation_prompt: true });
      } catch (error) {
        throw badField('messages', `are refused by the model's chat template: ${foreignMessage(error)}`);
      }
    },
  };
}
