// A service of the protocol's own as it is described: everybody who is let in may call it.
import type { MessageType, Schema } from '../../formats/schema/types.ts';
import type { CallKind, Idempotency, Method, Service } from '../../resources/services/contract.ts';

export interface OwnMethod {
  readonly name: string;
  readonly kind: CallKind;
  readonly input: MessageType;
  readonly output: MessageType;
  readonly idempotency: Idempotency;
}

export function ownService(name: string, schema: Schema, description: string, own: readonly OwnMethod[]): Service {
  const methods = new Map<string, Method>();
  const service: Service = { name, schema, description, methods, origin: 'resource' };
  for (const method of own)
    methods.set(method.name, {
      ...method,
      service,
      http: [],
      description: '',
      deprecated: false,
      deadlineMs: Number.POSITIVE_INFINITY,
    });
  return service;
}
