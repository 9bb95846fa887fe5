import { requireModel, type Service } from './service.js';

/** `GET /v1/models` */
export function listModels(service: Service): Response {
  return Response.json({ object: 'list', data: [describe(service)] });
}

/** `GET /v1/models/{id}` */
export function showModel(service: Service, id: string): Response {
  requireModel(service, id);
  return Response.json(describe(service));
}

function describe({ name, created, model }: Service): object {
  return { id: name, object: 'model', created, owned_by: 'emergent-semantics', max_model_len: model.config.blockSize };
}
