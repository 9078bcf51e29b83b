// JSON of values as proto3 has it (protobuf.dev, ProtoJSON): closures made once from a description. Reading turns parsed JSON
// into a value and leaves what it cannot turn as it is, for the check to tell of; writing makes text, with every field that
// cannot be absent. It knows no protocol and no service, and throws for no JSON.
import { DEPTH_MAX, VIOLATIONS_MAX } from './check.ts';
import type { Field, MessageType, ScalarName, Schema, Type, Violation } from './types.ts';

export interface JsonReading {
  /** Fields that the description does not have are left out; else they are told of. */
  readonly unknown?: 'refuse' | 'ignore';
}

/** Answers the value. What only JSON can have wrong is added to `violations`; the rest is the check's to find. */
export type JsonRead = (json: unknown, violations: Violation[]) => unknown;
export type JsonWrite = (value: unknown) => string;

const READS = { refuse: new WeakMap<MessageType, JsonRead>(), ignore: new WeakMap<MessageType, JsonRead>() };
const WRITES = new WeakMap<MessageType, JsonWrite>();

/** How JSON is read into values of a message; the same function each time for the same description. */
export function jsonRead(schema: Schema, type: MessageType, { unknown = 'refuse' }: JsonReading = {}): JsonRead {
  const known = READS[unknown].get(type);
  if (known !== undefined) return known;
  const inner = new ReadCompiler(schema, unknown === 'ignore').message(type);
  const read: JsonRead = (json, violations) => {
    const reading = new Reading();
    const value = inner(json, reading, 0);
    violations.push(...reading.wrong);
    return value;
  };
  READS[unknown].set(type, read);
  return read;
}

/** How values of a message are written; the same function each time for the same description. */
export function jsonWrite(schema: Schema, type: MessageType): JsonWrite {
  const known = WRITES.get(type);
  if (known !== undefined) return known;
  const write = new WriteCompiler(schema).message(type);
  WRITES.set(type, write);
  return write;
}

// ---- reading -------------------------------------------------------------------------------------------------------

/** What is wrong, and the way to where the reader is. */
class Reading {
  readonly wrong: Violation[] = [];
  readonly path: string[] = [];

  tell(text: string): void {
    if (this.wrong.length < VIOLATIONS_MAX) this.wrong.push({ path: this.path.join('').replace(/^\./, ''), text });
  }
}

type Read = (json: unknown, reading: Reading, depth: number) => unknown;
type Plain = Record<string, unknown>;

interface FieldRead {
  readonly name: string;
  /** `.name`, as a path has it. */
  readonly step: string;
  readonly read: Read | null;
  /** `null` is a value of it. */
  readonly takesNull: boolean;
}

class ReadCompiler {
  private readonly schema: Schema;
  private readonly ignores: boolean;
  private readonly made = new Map<string, Read>();

  constructor(schema: Schema, ignores: boolean) {
    this.schema = schema;
    this.ignores = ignores;
  }

  message(type: MessageType): Read {
    const known = this.made.get(type.name);
    if (known !== undefined) return known;
    let read: Read | null = null;
    // A type that contains itself meets this while its own reader is being made.
    this.made.set(type.name, (json, reading, depth) => read!(json, reading, depth));
    const fields = new Map<string, FieldRead>();
    for (const field of type.fields) {
      const made = this.field(field);
      if (!fields.has(field.protoName)) fields.set(field.protoName, made);
      fields.set(field.name, made);
    }
    read = messageRead(fields, this.ignores);
    this.made.set(type.name, read);
    return read;
  }

  private field({ name, type, many }: Field): FieldRead {
    const one = this.value(type);
    const read = one === null || many === 'one' ? one : many === 'list' ? listRead(one) : mapRead(one);
    const takesNull = many === 'one' && type.kind === 'scalar' && type.name === 'any';
    return { name, step: `.${name}`, read, takesNull };
  }

  /** Null for what is in JSON what it is here. */
  private value(type: Type): Read | null {
    if (type.kind === 'scalar') return SCALAR_READS[type.name];
    const named = this.schema.types.get(type.name);
    if (named === undefined) throw new Error(`${type.name} is not in its schema`);
    return named.kind === 'enum' ? null : this.message(named);
  }
}

function isPlain(json: unknown): json is Plain {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function messageRead(fields: ReadonlyMap<string, FieldRead>, ignores: boolean): Read {
  return (json, reading, depth) => {
    // What is no object, or too deep, is told by the check.
    if (!isPlain(json) || depth >= DEPTH_MAX) return json;
    let taken: Plain = json;
    for (const key of Object.keys(json)) {
      const given = json[key];
      const field = fields.get(key);
      if (field === undefined) {
        if (!ignores) {
          reading.path.push(`.${key.slice(0, 64)}`);
          reading.tell('is not a field');
          reading.path.pop();
        }
        if (taken === json) taken = { ...json };
        delete taken[key];
        continue;
      }
      const { name, step, read, takesNull } = field;
      let next = given;
      if (given === null && !takesNull) next = undefined;
      else if (read !== null) {
        reading.path.push(step);
        next = read(given, reading, depth + 1);
        reading.path.pop();
      }
      if (next === given && name === key) continue;
      if (taken === json) taken = { ...json };
      if (name !== key) delete taken[key];
      if (name !== key && Object.hasOwn(json, name)) {
        reading.path.push(step);
        reading.tell('is given twice');
        reading.path.pop();
      } else taken[name] = next;
    }
    return taken;
  };
}

function listRead(item: Read): Read {
  return (json, reading, depth) => {
    if (!Array.isArray(json)) return json;
    let taken: unknown[] = json;
    for (let index = 0; index < json.length; index++) {
      const given: unknown = json[index];
      reading.path.push(`[${index}]`);
      const next = item(given, reading, depth);
      reading.path.pop();
      if (next === given) continue;
      if (taken === json) taken = json.slice();
      taken[index] = next;
    }
    return taken;
  };
}

function mapRead(item: Read): Read {
  return (json, reading, depth) => {
    if (!isPlain(json)) return json;
    const entries: [string, unknown][] = [];
    for (const key of Object.keys(json)) {
      reading.path.push(`[${JSON.stringify(key.slice(0, 64))}]`);
      entries.push([key, item(json[key], reading, depth)]);
      reading.path.pop();
    }
    return Object.fromEntries(entries);
  };
}

/** Whole numbers may stand as text, and with an exponent (ProtoJSON). */
const NUMBER = /^-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?$/;
const WHOLE = /^-?(?:0|[1-9]\d{0,19})$/;

const number: Read = (json) => (typeof json === 'string' && NUMBER.test(json) ? Number(json) : json);

const big: Read = (json) => {
  if (typeof json === 'number') return Number.isSafeInteger(json) ? BigInt(json) : json;
  if (typeof json !== 'string') return json;
  if (WHOLE.test(json)) return BigInt(json);
  const value = NUMBER.test(json) ? Number(json) : Number.NaN;
  return Number.isSafeInteger(value) ? BigInt(value) : json;
};

const real: Read = (json, reading, depth) => {
  if (json === 'NaN') return Number.NaN;
  if (json === 'Infinity') return Number.POSITIVE_INFINITY;
  if (json === '-Infinity') return Number.NEGATIVE_INFINITY;
  return number(json, reading, depth);
};

const short: Read = (json, reading, depth) => {
  const value = real(json, reading, depth);
  return typeof value === 'number' ? Math.fround(value) : value;
};

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

const raw: Read = (json, reading) => {
  if (typeof json !== 'string') return json;
  const digits = json.replace(/=+$/, '');
  if (BASE64.test(json) && digits.length % 4 !== 1) return new Uint8Array(Buffer.from(json, 'base64'));
  reading.tell('is not base64');
  return new Uint8Array(0);
};

/** RFC 3339 §5.6; more digits than three of a second are cut. */
const TIME = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

const moment: Read = (json) => {
  if (typeof json !== 'string') return json;
  const found = TIME.exec(json);
  if (found === null) return json;
  const [, day, time, fraction = '', zone = 'Z'] = found;
  const date = new Date(`${day}T${time}${fraction.slice(0, 4)}${zone.toUpperCase()}`);
  // 30 February is none, although Date takes it for one in March.
  const isDay = new Date(`${day}T00:00:00Z`).toJSON()?.startsWith(day!) === true;
  return isDay && !Number.isNaN(date.getTime()) ? date : json;
};

const span: Read = (json) => {
  const found = typeof json === 'string' ? /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(json) : null;
  if (found === null) return json;
  const [, sign, seconds, fraction = ''] = found;
  const ms = Number(seconds) * 1_000 + Number(fraction.padEnd(9, '0')) / 1_000_000;
  return sign === '-' ? -ms : ms;
};

const SCALAR_READS: Readonly<Record<ScalarName, Read | null>> = {
  bool: null,
  int32: number,
  uint32: number,
  int64: big,
  uint64: big,
  float: short,
  double: real,
  string: null,
  bytes: raw,
  timestamp: moment,
  duration: span,
  any: null,
};

// ---- writing -------------------------------------------------------------------------------------------------------

type Write = (value: unknown) => string;

interface FieldWrite {
  readonly name: string;
  /** `"name":` */
  readonly head: string;
  readonly write: Write;
  /** What an absent one is written as; null for nothing. */
  readonly absent: string | null;
}

class WriteCompiler {
  private readonly schema: Schema;
  private readonly made = new Map<string, Write>();

  constructor(schema: Schema) {
    this.schema = schema;
  }

  message(type: MessageType): Write {
    const known = this.made.get(type.name);
    if (known !== undefined) return known;
    let write: Write | null = null;
    this.made.set(type.name, (value) => write!(value));
    write = messageWrite(type.fields.map((field) => this.field(field)));
    this.made.set(type.name, write);
    return write;
  }

  private field(field: Field): FieldWrite {
    const { name, many } = field;
    const one = this.value(field.type);
    const write = many === 'one' ? one : many === 'list' ? listWrite(one) : mapWrite(one);
    return { name, head: `${JSON.stringify(name)}:`, write, absent: this.absent(field) };
  }

  private absent({ many, optional, oneof, type }: Field): string | null {
    if (many !== 'one') return many === 'list' ? '[]' : '{}';
    if (optional || oneof !== undefined) return null;
    if (type.kind === 'scalar') return ZEROS[type.name];
    const named = this.schema.types.get(type.name);
    return named?.kind === 'enum' && named.values.length > 0 ? JSON.stringify(named.values[0]!.name) : null;
  }

  private value(type: Type): Write {
    if (type.kind === 'scalar') return SCALAR_WRITES[type.name];
    const named = this.schema.types.get(type.name);
    if (named === undefined) throw new Error(`${type.name} is not in its schema`);
    return named.kind === 'enum' ? plain : this.message(named);
  }
}

function messageWrite(fields: readonly FieldWrite[]): Write {
  return (value) => {
    let text = '{';
    for (let index = 0; index < fields.length; index++) {
      const { name, head, write, absent } = fields[index]!;
      const given = (value as Plain)[name];
      if (given === undefined && absent === null) continue;
      text += `${text.length > 1 ? ',' : ''}${head}${given === undefined ? absent : write(given)}`;
    }
    return `${text}}`;
  };
}

function listWrite(item: Write): Write {
  return (value) => {
    const items = value as readonly unknown[];
    let text = '[';
    for (let index = 0; index < items.length; index++) text += `${index > 0 ? ',' : ''}${item(items[index])}`;
    return `${text}]`;
  };
}

function mapWrite(item: Write): Write {
  return (value) => {
    let text = '{';
    for (const [key, each] of Object.entries(value as Plain))
      text += `${text.length > 1 ? ',' : ''}${JSON.stringify(key)}:${item(each)}`;
    return `${text}}`;
  };
}

const plain: Write = (value) => JSON.stringify(value);
const quoted: Write = (value) => `"${value as bigint}"`;
const whole: Write = (value) => String(value);

const decimal: Write = (value) =>
  Number.isFinite(value) ? (Object.is(value, -0) ? '-0' : String(value)) : `"${value as number}"`;

/** With no more digits than tell a number of 32 bits from its neighbours. */
const single: Write = (value) => {
  const exact = Math.fround(value as number);
  if (!Number.isFinite(exact) || Number.isInteger(exact)) return decimal(exact);
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(exact.toPrecision(digits));
    if (Math.fround(short) === exact) return decimal(short);
  }
  return decimal(exact);
};

const base64: Write = (value) => {
  const { buffer, byteOffset, length } = value as Uint8Array;
  return `"${Buffer.from(buffer, byteOffset, length).toString('base64')}"`;
};

const time: Write = (value) => `"${(value as Date).toISOString()}"`;

const seconds: Write = (value) => {
  const nanos = Math.round(Math.abs(value as number) * 1_000_000);
  const whole = Math.floor(nanos / 1e9);
  const rest = nanos - whole * 1e9;
  const digits =
    rest === 0
      ? ''
      : `.${String(rest)
          .padStart(9, '0')
          .replace(/(?:000){1,2}$/, '')}`;
  return `"${(value as number) < 0 && nanos > 0 ? '-' : ''}${whole}${digits}s"`;
};

const SCALAR_WRITES: Readonly<Record<ScalarName, Write>> = {
  bool: whole,
  int32: whole,
  uint32: whole,
  int64: quoted,
  uint64: quoted,
  float: single,
  double: decimal,
  string: plain,
  bytes: base64,
  timestamp: time,
  duration: seconds,
  any: plain,
};

const ZEROS: Readonly<Record<ScalarName, string | null>> = {
  bool: 'false',
  int32: '0',
  uint32: '0',
  int64: '"0"',
  uint64: '"0"',
  float: '0',
  double: '0',
  string: '""',
  bytes: '""',
  timestamp: null,
  duration: null,
  any: null,
};
