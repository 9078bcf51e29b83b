// Methods with their inputs and outputs as JSON, for protocols that carry calls as JSON: found by name, compiled when they are
// first called, and anew when what there is has changed. It knows no protocol.
import { jsonRead, jsonWrite } from '../../formats/schema/json.ts';
import type { Schema, Violation } from '../../formats/schema/types.ts';
import type { Method, Services } from './contract.ts';
import type { Detail, Status } from './status.ts';

export interface JsonMethod {
  readonly method: Method;
  /** Reads parsed JSON; what is wrong with it is added to `violations`. */
  read(json: unknown, violations: Violation[]): unknown;
  /** Writes an output. */
  write(value: unknown): string;
}

export class JsonMethods {
  private readonly services: Services;
  private readonly found = new Map<string, JsonMethod>();
  private epoch = -1;

  constructor(services: Services) {
    this.services = services;
  }

  /** `shop.v1.Orders.GetOrder`, or with a slash before the method; null when there is none. */
  at(name: string): JsonMethod | null {
    const { services, found } = this;
    if (services.epoch !== this.epoch) {
      found.clear();
      this.epoch = services.epoch;
    }
    const known = found.get(name);
    if (known !== undefined) return known;
    const cut = Math.max(name.lastIndexOf('/'), name.lastIndexOf('.'));
    const method = cut < 0 ? null : services.method(name.slice(0, cut), name.slice(cut + 1));
    if (method === null) return null;
    const { schema } = method.service;
    const made: JsonMethod = {
      method,
      read: jsonRead(schema, method.input),
      write: jsonWrite(schema, method.output),
    };
    found.set(name, made);
    return made;
  }
}

const MADE = new WeakMap<Services, JsonMethods>();

/** The same for all connections of a server. */
export function jsonMethodsOf(services: Services): JsonMethods {
  let made = MADE.get(services);
  if (made === undefined) {
    made = new JsonMethods(services);
    MADE.set(services, made);
  }
  return made;
}

/** What a detail of a type that no schema has is written as: as JSON has it, whole numbers of 64 bits and bytes as text. */
function plainly(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

function detailText({ type, value }: Detail, schema: Schema): string {
  const found = schema.types.get(type);
  const text = found?.kind === 'message' ? jsonWrite(schema, found)(value) : JSON.stringify(value ?? null, plainly);
  return `{"type":${JSON.stringify(type)},"value":${text}}`;
}

/** The details of a status: `[{"type":"shop.v1.OutOfStock","value":{…}}]`. */
export function detailsText({ details }: Status, schema: Schema): string {
  return `[${details.map((detail) => detailText(detail, schema)).join(',')}]`;
}

/** `{"code":"NOT_FOUND","message":"…","details":[…]}`; without what is empty. */
export function statusText(status: Status, schema: Schema): string {
  const { code, message, details } = status;
  let text = `{"code":"${code}"`;
  if (message !== '') text += `,"message":${JSON.stringify(message)}`;
  return details.length === 0 ? `${text}}` : `${text},"details":${detailsText(status, schema)}}`;
}
