import { checkBody, DETOKENIZE_BODY, TOKENIZE_BODY } from './bodies.js';
import { encode, requireIds, requireModel, type Service } from './service.js';
import { badField } from './apiError.js';

/** `POST /tokenize` */
export function tokenize(service: Service, json: unknown): Response {
  const { prompt, add_special_tokens: addsSpecial, model } = checkBody(TOKENIZE_BODY, json);
  if (typeof model === 'string') requireModel(service, model);
  const tokens = encode(service, prompt, 'prompt');
  if (addsSpecial === false && encode(service, '', 'prompt').length > 0) {
    throw badField('add_special_tokens', 'cannot be false: this tokenizer always adds them', 'unsupported_parameter');
  }
  return Response.json({ count: tokens.length, max_model_len: service.model.config.blockSize, tokens });
}

/** `POST /detokenize` */
export function detokenize(service: Service, json: unknown): Response {
  const { tokens, model } = checkBody(DETOKENIZE_BODY, json);
  if (typeof model === 'string') requireModel(service, model);
  requireIds(service, tokens, 'tokens');
  return Response.json({ prompt: service.model.tokenizer.decode(tokens, { specialTokens: true }) });
}

/** `GET /tokenizer_info`, from which lm-evaluation-harness learns that it can tokenize here. */
export function tokenizerInfo({ model: { tokenizer } }: Service): Response {
  const end = tokenizer.eosId;
  return Response.json({
    eos_token: end === undefined ? null : tokenizer.token(end),
    bos_token: null,
    pad_token: null,
  });
}
