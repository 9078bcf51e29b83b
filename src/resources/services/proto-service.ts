// `protoService`: a .proto file with the handlers of its methods, as a program names them. It is read when it is taken into a
// server.
import { fileURLToPath } from 'node:url';
import type { AnyHandler } from './handler.ts';

/** By the service's name with its package, then by the method's. */
export type ProtoHandlers = Readonly<Record<string, Readonly<Record<string, AnyHandler | undefined>>>>;

export interface ProtoDefinition {
  readonly portico: 'proto';
  readonly path: string;
  readonly handlers: ProtoHandlers;
  /** Folders in which imports are looked for, beside those of the files themselves. */
  readonly include: readonly string[];
}

/**
 * Services as a .proto describes them: `protoService<Handlers>(new URL('./shop.proto', import.meta.url), { 'shop.v1.Orders':
 * { GetOrder: … } })`. `portico services types shop.proto` writes the type `Handlers`.
 */
export function protoService<Handlers extends object = ProtoHandlers>(
  file: string | URL,
  handlers: Handlers,
  { include = [] }: { readonly include?: readonly string[] } = {},
): ProtoDefinition {
  const path = file instanceof URL ? fileURLToPath(new URL(file.pathname, 'file:')) : file;
  return { portico: 'proto', path, handlers: handlers as unknown as ProtoHandlers, include };
}

export function isProto(value: unknown): value is ProtoDefinition {
  return typeof value === 'object' && value !== null && (value as { portico?: unknown }).portico === 'proto';
}
