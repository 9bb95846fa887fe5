/** The OpenAI-compatible API of a model, as a function from `Request` to `Response`. It imports no Node built-ins. */
export { type AccessOptions } from './access.js';
export { QUESTION_ANSWER, templateFormat, type ChatFormat, type Message } from './chatFormat.js';
export { createHandler, type Handler, type HandlerOptions } from './handler.js';
export { type SchedulerStats } from './scheduler.js';
