// The neutral description of a value: what zod, a .proto, a WSDL or an OpenAPI page is read into, and what every protocol's
// codec is made from. It knows no protocol and no service. Types are plain frozen data; cycles go through `Named`.
//
// A value of a type, as handlers and codecs have it:
//   bool boolean · int32 uint32 float double number · int64 uint64 bigint · string string · bytes Uint8Array
//   timestamp Date · duration number of milliseconds · any what JSON has · empty {}
//   enum its value's name, or a number that no name is known for · message a plain object by `field.name`, camelCase
//   repeated an array · map a plain object, keys as text · an absent optional field is undefined
// A field without presence (`optional` false, no oneof, a scalar or enum) is never undefined once decoded: it has its default.

export type ScalarName =
  | 'bool'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'float'
  | 'double'
  | 'string'
  | 'bytes'
  /** A point in time, to the microsecond of `Date`'s reach; google.protobuf.Timestamp, xsd:dateTime. */
  | 'timestamp'
  | 'duration'
  /** Any JSON; google.protobuf.Value. */
  | 'any';

/** How an integer goes on protobuf's wire; absent: as a varint. */
export type WireForm = 'varint' | 'zigzag' | 'fixed';

/** What a value must be beyond its type. Lengths are of code points, of bytes for `bytes`, of items for repeated fields. */
export interface Constraints {
  readonly min?: number | bigint;
  readonly max?: number | bigint;
  /** Neither NaN nor an infinity; said of `float` and `double`. */
  readonly finite?: boolean;
  /** Min and max themselves are not allowed. */
  readonly minExclusive?: boolean;
  readonly maxExclusive?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** The source of a RegExp with flag `u`; it may match anywhere. */
  readonly pattern?: string;
  readonly format?: 'email' | 'uuid' | 'uri' | 'date' | 'ipv4' | 'ipv6' | 'hostname';
}

export interface ScalarType {
  readonly kind: 'scalar';
  readonly name: ScalarName;
  readonly wire?: WireForm;
}

export interface EnumType {
  readonly kind: 'enum';
  /** With its package: `shop.v1.Colour`. */
  readonly name: string;
  /** The first is the default. On protobuf's wire the number; in JSON, XML and GraphQL the name. */
  readonly values: readonly { readonly name: string; readonly number: number; readonly description?: string }[];
  /** Numbers without a name are not allowed: proto2, zod. */
  readonly closed?: boolean;
  readonly description?: string;
}

export interface MessageType {
  readonly kind: 'message';
  /** With its package: `shop.v1.Order`. */
  readonly name: string;
  /** In the order of their numbers. */
  readonly fields: readonly Field[];
  readonly description?: string;
}

/** A message or enum by name, which `Schema.types` has: so that types may contain themselves. */
export interface Named {
  readonly kind: 'named';
  readonly name: string;
}

export type Type = ScalarType | Named;

export interface Field {
  /** camelCase: as in JSON, GraphQL and a handler's objects. */
  readonly name: string;
  /** As a .proto writes it, snake_case. */
  readonly protoName: string;
  /** On protobuf's wire; from the lock file. */
  readonly number: number;
  readonly type: Type;
  /** One value, a list, or a map from `mapKey` to `type`. */
  readonly many: 'one' | 'list' | 'map';
  readonly mapKey?: 'string' | 'int32' | 'int64' | 'uint32' | 'uint64' | 'bool';
  /** It may be absent, and that is something else than its default. Always so for messages and within a oneof. */
  readonly optional: boolean;
  /** It must be given by a caller, although its type would allow absence; said by zod, WSDL and OpenAPI. */
  readonly required: boolean;
  /** At most one field of those with this name is set. */
  readonly oneof?: string;
  /** What an absent field is taken for by the check, in the value's form. */
  readonly preset?: unknown;
  /** Of the value; for a list or map, of it as a whole: how many items. */
  readonly constraints?: Constraints;
  /** Of each item of a list, or each value of a map. */
  readonly each?: Constraints;
  /** A list is not packed on protobuf's wire. */
  readonly unpacked?: boolean;
  readonly description?: string;
  readonly deprecated?: boolean;
}

/** A closed set of types: every `Named` in it is found in it. */
export interface Schema {
  readonly types: ReadonlyMap<string, MessageType | EnumType>;
}

/** google.protobuf.Empty, which needs no entry of its own in a schema's files but stands in `types` where it is used. */
export const EMPTY_NAME = 'google.protobuf.Empty';

/** One thing that is wrong with a value, and where: `items[2].price`; `''` for the value itself. */
export interface Violation {
  readonly path: string;
  readonly text: string;
}
