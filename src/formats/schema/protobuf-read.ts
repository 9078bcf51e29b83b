// Readers of protobuf's wire, made once from the description of a type: a field's reader is found by its tag, unknown fields
// are passed over, what comes twice is merged as protobuf says.

import {
  BYTES,
  FIXED32,
  FIXED64,
  signed64,
  signed64Number,
  TOO_DEEP,
  TOO_MANY,
  unsigned64,
  VARINT,
  type Wire,
} from './protobuf-wire.ts';
import type { EnumType, Field, MessageType, ScalarType, Schema } from './types.ts';

export type Plain = Record<string, unknown>;

/** Reads one value that begins at `wire.at`. */
type ReadValue = (wire: Wire, end: number) => unknown;
/** Reads a field of `into`. */
type ReadField = (wire: Wire, into: Plain, end: number) => void;

/** How a type's values stand on the wire and what they are when they do not. */
interface Reading {
  readonly wireType: number;
  readonly read: ReadValue;
  readonly absent: () => unknown;
  /** Messages: what comes again is merged into what was. */
  readonly message: MessageReader | null;
}

const float = new DataView(new ArrayBuffer(8));

/** Tags below are found by index, which all but large schemas have. */
const DIRECT = 2_048;

/** Sets a key that may be any text. */
function put(into: Plain, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(into, key, { value, writable: true, enumerable: true, configurable: true });
  else into[key] = value;
}

export class MessageReader {
  readonly name: string;
  private readonly direct: (ReadField | undefined)[] = [];
  private readonly others = new Map<number, ReadField>();
  private template: Plain = {};
  private made: readonly { readonly name: string; readonly absent: () => unknown }[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Apart from the constructor, since types contain themselves. */
  compile(type: MessageType, readers: Readers): void {
    const made: { name: string; absent: () => unknown }[] = [];
    for (const field of type.fields) {
      const absent = this.add(field, type, readers);
      if (absent === null) continue;
      const value = absent();
      // What is an object has to be another one each time.
      if (typeof value === 'object' && value !== null) made.push({ name: field.name, absent });
      this.template[field.name] = value;
    }
    this.made = made;
  }

  /** A message with nothing in it. */
  fresh(): Plain {
    const { made } = this;
    const value = { ...this.template };
    for (let at = 0; at < made.length; at++) {
      const { name, absent } = made[at]!;
      value[name] = absent();
    }
    return value;
  }

  readInto(wire: Wire, into: Plain, end: number): void {
    const { direct } = this;
    while (wire.at < end) {
      const tag = wire.tag(end);
      const read = tag < DIRECT ? direct[tag] : this.others.get(tag);
      if (read !== undefined) read(wire, into, end);
      else if (wire.fault === null) wire.skip(tag, end);
    }
  }

  /** A message with its length before it, into what was or something new. */
  readNested(wire: Wire, was: Plain | undefined, end: number): Plain {
    const into = was ?? this.fresh();
    const to = wire.lengthEnd(end);
    if (--wire.depth < 0) wire.fail(TOO_DEEP);
    if (--wire.left < 0) wire.fail(TOO_MANY);
    this.readInto(wire, into, to);
    wire.depth++;
    return into;
  }

  /** Answers what the field is when it is absent; null when it is undefined then. */
  private add(field: Field, type: MessageType, readers: Readers): (() => unknown) | null {
    const reading = readers.reading(field);
    const { name, number } = field;
    if (field.many === 'map') {
      this.set(number, BYTES, readMap(field, reading));
      return () => ({});
    }
    if (field.many === 'list') {
      this.set(number, reading.wireType, readItem(name, reading));
      if (reading.wireType !== BYTES) this.set(number, BYTES, readPacked(name, reading));
      return () => [];
    }
    this.set(number, reading.wireType, readOne(field, type, reading));
    return field.optional || reading.message !== null ? null : reading.absent;
  }

  private set(number: number, wireType: number, read: ReadField): void {
    const tag = number * 8 + wireType;
    if (tag < DIRECT) this.direct[tag] = read;
    else this.others.set(tag, read);
  }
}

function readOne({ name, oneof }: Field, type: MessageType, { read, message }: Reading): ReadField {
  const siblings =
    oneof === undefined ? [] : type.fields.filter((other) => other.oneof === oneof && other.name !== name);
  if (siblings.length === 0) {
    if (message === null)
      return (wire, into, end) => {
        into[name] = read(wire, end);
      };
    return (wire, into, end) => {
      into[name] = message.readNested(wire, into[name] as Plain | undefined, end);
    };
  }
  const names = siblings.map((sibling) => sibling.name);
  return (wire, into, end) => {
    // The last of a oneof stands (protobuf.dev/programming-guides/encoding, Last One Wins).
    for (let at = 0; at < names.length; at++) if (into[names[at]!] !== undefined) delete into[names[at]!];
    into[name] = message === null ? read(wire, end) : message.readNested(wire, into[name] as Plain | undefined, end);
  };
}

function readItem(name: string, { read, message }: Reading): ReadField {
  if (message !== null)
    return (wire, into, end) => {
      (into[name] as unknown[]).push(message.readNested(wire, undefined, end));
    };
  return (wire, into, end) => {
    if (--wire.left < 0) wire.fail(TOO_MANY);
    else (into[name] as unknown[]).push(read(wire, end));
  };
}

function readPacked(name: string, { read }: Reading): ReadField {
  return (wire, into, end) => {
    const list = into[name] as unknown[];
    const to = wire.lengthEnd(end);
    while (wire.at < to) {
      if (--wire.left < 0) wire.fail(TOO_MANY);
      else list.push(read(wire, to));
    }
  };
}

/** Entries are messages of a key, 1, and a value, 2; the last of a key stands. */
function readMap({ name, mapKey = 'string' }: Field, value: Reading): ReadField {
  const key = scalarReading({ kind: 'scalar', name: mapKey });
  const keyTag = 8 + key.wireType;
  const valueTag = 16 + value.wireType;
  return (wire, into, end) => {
    const to = wire.lengthEnd(end);
    if (--wire.left < 0) wire.fail(TOO_MANY);
    let foundKey = key.absent();
    let found: unknown;
    while (wire.at < to) {
      const tag = wire.tag(to);
      if (tag === keyTag) foundKey = key.read(wire, to);
      else if (tag === valueTag)
        found = value.message === null ? value.read(wire, to) : value.message.readNested(wire, found as Plain, to);
      else if (wire.fault === null) wire.skip(tag, to);
    }
    if (wire.fault === null) put(into[name] as Plain, String(foundKey), found === undefined ? value.absent() : found);
  };
}

/** The readers of a schema's messages, each made when it is first wanted. */
export class Readers {
  private readonly schema: Schema;
  private readonly messages = new Map<string, MessageReader>();

  constructor(schema: Schema) {
    this.schema = schema;
  }

  message(type: MessageType): MessageReader {
    let reader = this.messages.get(type.name);
    if (reader === undefined) {
      reader = new MessageReader(type.name);
      this.messages.set(type.name, reader);
      reader.compile(type, this);
    }
    return reader;
  }

  reading({ type }: Field): Reading {
    if (type.kind === 'scalar') return scalarReading(type);
    const named = this.schema.types.get(type.name);
    if (named === undefined) throw new RangeError(`there is no type ${type.name} in the schema`);
    if (named.kind === 'enum') return enumReading(named);
    const message = this.message(named);
    return {
      wireType: BYTES,
      read: (wire, end) => message.readNested(wire, undefined, end),
      absent: () => message.fresh(),
      message,
    };
  }
}

function enumReading(type: EnumType): Reading {
  const names = new Map<number, string>();
  // Of two names for a number the first is meant.
  for (const { name, number } of type.values) if (!names.has(number)) names.set(number, name);
  const first = type.values[0]?.name ?? 0;
  return {
    wireType: VARINT,
    read: (wire, end) => {
      const number = wire.varint(end) | 0;
      return names.get(number) ?? number;
    },
    absent: () => first,
    message: null,
  };
}

function reading(wireType: number, read: ReadValue, absent: () => unknown): Reading {
  return { wireType, read, absent, message: null };
}

const ZERO = () => 0;
const ZERO_BIG = () => 0n;

function scalarReading({ name, wire: form }: ScalarType): Reading {
  switch (name) {
    case 'bool':
      return reading(
        VARINT,
        (wire, end) => (wire.varint(end) | wire.high) !== 0,
        () => false,
      );
    case 'int32':
      if (form === 'zigzag') return reading(VARINT, readZigzag32, ZERO);
      if (form === 'fixed') return reading(FIXED32, (wire, end) => wire.fixed32(end) | 0, ZERO);
      return reading(VARINT, (wire, end) => wire.varint(end) | 0, ZERO);
    case 'uint32':
      if (form === 'fixed') return reading(FIXED32, (wire, end) => wire.fixed32(end), ZERO);
      return reading(VARINT, (wire, end) => wire.varint(end) >>> 0, ZERO);
    case 'int64':
      if (form === 'zigzag') return reading(VARINT, readZigzag64, ZERO_BIG);
      if (form === 'fixed') return reading(FIXED64, (wire, end) => readFixed64(wire, end, signed64), ZERO_BIG);
      return reading(VARINT, (wire, end) => signed64(wire.varint(end), wire.high), ZERO_BIG);
    case 'uint64':
      if (form === 'fixed') return reading(FIXED64, (wire, end) => readFixed64(wire, end, unsigned64), ZERO_BIG);
      return reading(VARINT, (wire, end) => unsigned64(wire.varint(end), wire.high), ZERO_BIG);
    case 'float':
      return reading(FIXED32, readFloat, ZERO);
    case 'double':
      return reading(FIXED64, readDouble, ZERO);
    case 'string':
      return reading(
        BYTES,
        (wire, end) => wire.text(end),
        () => '',
      );
    case 'bytes':
      return reading(
        BYTES,
        (wire, end) => wire.blob(end),
        () => new Uint8Array(0),
      );
    case 'timestamp':
      return reading(BYTES, readTimestamp, () => new Date(0));
    case 'duration':
      return reading(BYTES, readDuration, ZERO);
    case 'any':
      return reading(BYTES, readAny, () => null);
  }
}

function readZigzag32(wire: Wire, end: number): number {
  const bits = wire.varint(end);
  return (bits >>> 1) ^ -(bits & 1);
}

function readZigzag64(wire: Wire, end: number): bigint {
  const bits = unsigned64(wire.varint(end), wire.high);
  return (bits >> 1n) ^ -(bits & 1n);
}

function readFixed64(wire: Wire, end: number, make: (low: number, high: number) => bigint): bigint {
  const low = wire.fixed32(end);
  return make(low, wire.fixed32(end));
}

function readFloat(wire: Wire, end: number): number {
  float.setUint32(0, wire.fixed32(end), true);
  return float.getFloat32(0, true);
}

function readDouble(wire: Wire, end: number): number {
  float.setUint32(0, wire.fixed32(end), true);
  float.setUint32(4, wire.fixed32(end), true);
  return float.getFloat64(0, true);
}

// ---- google.protobuf.Timestamp, Duration, Value ----------------------------------------------------------------------

let seconds = 0;
let nanos = 0;

/** Seconds, 1, and nanoseconds, 2. */
function readSeconds(wire: Wire, end: number): void {
  seconds = 0;
  nanos = 0;
  const to = wire.lengthEnd(end);
  while (wire.at < to) {
    const tag = wire.tag(to);
    if (tag === 8) seconds = signed64Number(wire.varint(to), wire.high);
    else if (tag === 16) nanos = wire.varint(to) | 0;
    else if (wire.fault === null) wire.skip(tag, to);
  }
}

/** From the year 1 to the end of 9999 (google/protobuf/timestamp.proto). */
const SECONDS_LEAST = -62_135_596_800;
const SECONDS_MOST = 253_402_300_799;
/** Ten thousand years (google/protobuf/duration.proto). */
const DURATION_MOST = 315_576_000_000;
const NANOS_MOST = 999_999_999;

function readTimestamp(wire: Wire, end: number): Date {
  readSeconds(wire, end);
  if (seconds < SECONDS_LEAST || seconds > SECONDS_MOST || nanos < 0 || nanos > NANOS_MOST)
    wire.fail('a timestamp is not between the years 1 and 9999');
  return new Date(seconds * 1_000 + Math.floor(nanos / 1_000_000));
}

function readDuration(wire: Wire, end: number): number {
  readSeconds(wire, end);
  if (Math.abs(seconds) > DURATION_MOST || Math.abs(nanos) > NANOS_MOST || seconds * nanos < 0)
    wire.fail('a duration is longer than ten thousand years, or has two signs');
  return seconds * 1_000 + nanos / 1_000_000;
}

const NULL_TAG = 8;
const NUMBER_TAG = 17;
const STRING_TAG = 26;
const BOOL_TAG = 32;
const STRUCT_TAG = 42;
const LIST_TAG = 50;

function readAny(wire: Wire, end: number): unknown {
  const to = wire.lengthEnd(end);
  if (--wire.depth < 0) wire.fail(TOO_DEEP);
  if (--wire.left < 0) wire.fail(TOO_MANY);
  let value: unknown = null;
  while (wire.at < to) {
    const tag = wire.tag(to);
    if (tag === NULL_TAG) {
      wire.varint(to);
      value = null;
    } else if (tag === NUMBER_TAG) value = readDouble(wire, to);
    else if (tag === STRING_TAG) value = wire.text(to);
    else if (tag === BOOL_TAG) value = wire.varint(to) !== 0;
    else if (tag === STRUCT_TAG) value = readStruct(wire, to, isPlain(value) ? value : {});
    else if (tag === LIST_TAG) value = readList(wire, to, Array.isArray(value) ? value : []);
    else if (wire.fault === null) wire.skip(tag, to);
  }
  wire.depth++;
  return value;
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Entries of a text, 1, and a value, 2. */
function readStruct(wire: Wire, end: number, into: Plain): Plain {
  const to = wire.lengthEnd(end);
  while (wire.at < to) {
    const tag = wire.tag(to);
    if (tag !== 10) {
      if (wire.fault === null) wire.skip(tag, to);
      continue;
    }
    const entryEnd = wire.lengthEnd(to);
    let key = '';
    let value: unknown = null;
    while (wire.at < entryEnd) {
      const part = wire.tag(entryEnd);
      if (part === 10) key = wire.text(entryEnd);
      else if (part === 18) value = readAny(wire, entryEnd);
      else if (wire.fault === null) wire.skip(part, entryEnd);
    }
    put(into, key, value);
  }
  return into;
}

function readList(wire: Wire, end: number, into: unknown[]): unknown[] {
  const to = wire.lengthEnd(end);
  while (wire.at < to) {
    const tag = wire.tag(to);
    if (tag === 10) into.push(readAny(wire, to));
    else if (wire.fault === null) wire.skip(tag, to);
  }
  return into;
}
