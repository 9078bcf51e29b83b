// The check of a value against its description: closures made once from a type, which answer the value with presets and
// defaults filled in, and write down what is wrong with it. A value is never changed, only copied where something is filled
// in. It knows no protocol and no service, and throws for no value.
import { regexes } from 'zod';
import type { Constraints, EnumType, Field, MessageType, ScalarName, Schema, Type, Violation } from './types.ts';

/** Answers the value as it is to be taken from now on. It is valid when nothing was added to `violations`. */
export type Check = (value: unknown, violations: Violation[]) => unknown;

/** Messages within messages; deeper is refused, as are values that contain themselves. */
export const DEPTH_MAX = 100;
/** No more than these are told of one value. */
export const VIOLATIONS_MAX = 20;

/** A place is put together from the inside out, so that a valid value costs no text. */
interface Wrong {
  path: string;
  readonly text: string;
}

type Inner = (value: unknown, wrong: Wrong[], depth: number) => unknown;
/** What is wrong, or null. */
type Rule<Value> = (value: Value) => string | null;

const CHECKS = new WeakMap<MessageType, Check>();

/** The check of a message; the same one each time for the same description. */
export function checkOf(schema: Schema, type: MessageType): Check {
  const known = CHECKS.get(type);
  if (known !== undefined) return known;
  const inner = new Compiler(schema).message(type);
  const check: Check = (value, violations) => inner(value, violations as Wrong[], 0);
  CHECKS.set(type, check);
  return check;
}

function put(wrong: Wrong[], text: string): void {
  if (wrong.length < VIOLATIONS_MAX) wrong.push({ path: '', text });
}

/** All that was found since `from` is within `step`. */
function within(wrong: Wrong[], from: number, step: string): void {
  for (let index = from; index < wrong.length; index++) {
    const each = wrong[index]!;
    each.path = each.path === '' || each.path.startsWith('[') ? `${step}${each.path}` : `${step}.${each.path}`;
  }
}

class Compiler {
  private readonly schema: Schema;
  private readonly made = new Map<string, Inner>();

  constructor(schema: Schema) {
    this.schema = schema;
  }

  message(type: MessageType): Inner {
    const known = this.made.get(type.name);
    if (known !== undefined) return known;
    let check: Inner | null = null;
    // A type that contains itself meets this while its own check is being made.
    this.made.set(type.name, (value, wrong, depth) => check!(value, wrong, depth));
    check = messageCheck(
      type.fields.map((field) => this.field(field)),
      oneofsOf(type),
    );
    this.made.set(type.name, check);
    return check;
  }

  private field(field: Field): FieldCheck {
    const { name, required, many } = field;
    const one = this.value(field.type, many === 'one' ? field.constraints : field.each);
    const check =
      many === 'list'
        ? listCheck(one, field.constraints ?? {}, required)
        : many === 'map'
          ? mapCheck(one, field.mapKey ?? 'string', field.constraints ?? {})
          : one;
    return { name, required, check, fill: this.fillOf(field), inherited: name in Object.prototype };
  }

  /** What stands for an absent value; null where it stays absent. */
  private fillOf(field: Field): (() => unknown) | null {
    const { preset, many, type } = field;
    if (preset !== undefined) return typeof preset === 'object' ? () => structuredClone(preset) : () => preset;
    if (many === 'list') return () => [];
    if (many === 'map') return () => ({});
    if (field.optional || field.oneof !== undefined) return null;
    if (type.kind === 'scalar') return ZEROS[type.name];
    const named = this.schema.types.get(type.name);
    return named?.kind === 'enum' ? () => named.values[0]?.name : null;
  }

  private value(type: Type, constraints: Constraints = {}): Inner {
    if (type.kind === 'scalar') return scalarCheck(type.name, constraints);
    const named = this.schema.types.get(type.name);
    if (named === undefined) throw new Error(`${type.name} is not in its schema`);
    return named.kind === 'enum' ? enumCheck(named) : this.message(named);
  }
}

interface FieldCheck {
  readonly name: string;
  readonly required: boolean;
  readonly check: Inner;
  readonly fill: (() => unknown) | null;
  /** Every object has something by that name: only its own counts. */
  readonly inherited: boolean;
}

const ZEROS: Readonly<Record<ScalarName, (() => unknown) | null>> = {
  bool: () => false,
  int32: () => 0,
  uint32: () => 0,
  int64: () => 0n,
  uint64: () => 0n,
  float: () => 0,
  double: () => 0,
  string: () => '',
  bytes: () => new Uint8Array(0),
  timestamp: null,
  duration: null,
  any: null,
};

type Plain = Record<string, unknown>;

function messageCheck(fields: readonly FieldCheck[], oneofs: readonly (readonly string[])[]): Inner {
  return (value, wrong, depth) => {
    if (!isObject(value)) {
      put(wrong, 'is not an object');
      return value;
    }
    if (depth >= DEPTH_MAX) {
      put(wrong, `is nested deeper than ${DEPTH_MAX}`);
      return value;
    }
    let taken: Plain = value;
    for (let index = 0; index < fields.length; index++) {
      const { name, required, check, fill, inherited } = fields[index]!;
      const given = inherited && !Object.hasOwn(value, name) ? undefined : value[name];
      const from = wrong.length;
      let next: unknown;
      if (given !== undefined) next = check(given, wrong, depth + 1);
      else if (required) put(wrong, 'is required');
      else if (fill !== null) next = fill();
      if (wrong.length > from) {
        within(wrong, from, name);
        if (wrong.length >= VIOLATIONS_MAX) return value;
      } else if (next !== given) {
        if (taken === value) taken = { ...value };
        taken[name] = next;
      }
    }
    for (const names of oneofs) checkOneof(value, names, wrong);
    return taken;
  };
}

function checkOneof(value: Plain, names: readonly string[], wrong: Wrong[]): void {
  let first = '';
  for (const name of names) {
    if (value[name] === undefined) continue;
    if (first !== '') wrong.push({ path: name, text: `cannot be given together with ${first}` });
    else first = name;
  }
}

function oneofsOf({ fields }: MessageType): string[][] {
  const groups = new Map<string, string[]>();
  for (const { name, oneof } of fields) {
    if (oneof === undefined) continue;
    const group = groups.get(oneof);
    if (group === undefined) groups.set(oneof, [name]);
    else group.push(name);
  }
  return [...groups.values()].filter(({ length }) => length > 1);
}

function isObject(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function listCheck(item: Inner, constraints: Constraints, required: boolean): Inner {
  const { minLength = 0 } = constraints;
  const length = countRule(constraints, 'items');
  return (value, wrong, depth) => {
    if (!Array.isArray(value)) {
      put(wrong, 'is not a list');
      return value;
    }
    // Protobuf cannot tell a list without items from an absent one.
    if (value.length === 0 && !required && minLength > 0) return undefined;
    const short = length?.(value.length) ?? null;
    if (short !== null) put(wrong, short);
    let taken: unknown[] = value;
    for (let index = 0; index < value.length; index++) {
      const given: unknown = value[index];
      const from = wrong.length;
      const next = item(given, wrong, depth);
      if (wrong.length > from) {
        within(wrong, from, `[${index}]`);
        if (wrong.length >= VIOLATIONS_MAX) return value;
      } else if (next !== given) {
        if (taken === value) taken = value.slice();
        taken[index] = next;
      }
    }
    return taken;
  };
}

const KEYS: Readonly<Record<NonNullable<Field['mapKey']>, (key: string) => boolean>> = {
  string: () => true,
  bool: (key) => key === 'true' || key === 'false',
  int32: (key) => isKey(key, -(2n ** 31n), 2n ** 31n - 1n),
  uint32: (key) => isKey(key, 0n, 2n ** 32n - 1n),
  int64: (key) => isKey(key, INT64_MIN, INT64_MAX),
  uint64: (key) => isKey(key, 0n, UINT64_MAX),
};

function isKey(key: string, min: bigint, max: bigint): boolean {
  if (!/^(?:0|-?[1-9]\d{0,19})$/.test(key)) return false;
  const number = BigInt(key);
  return number >= min && number <= max;
}

function mapCheck(item: Inner, keys: NonNullable<Field['mapKey']>, constraints: Constraints): Inner {
  const isRight = KEYS[keys];
  const length = countRule(constraints, 'entries');
  return (value, wrong, depth) => {
    if (!isObject(value)) {
      put(wrong, 'is not an object');
      return value;
    }
    const names = Object.keys(value);
    const short = length?.(names.length) ?? null;
    if (short !== null) put(wrong, short);
    let changed = false;
    const entries: [string, unknown][] = [];
    for (const key of names) {
      const given = value[key];
      const from = wrong.length;
      const next = item(given, wrong, depth);
      if (!isRight(key)) put(wrong, `is not under a key of type ${keys}`);
      if (wrong.length > from) {
        within(wrong, from, `[${JSON.stringify(key)}]`);
        if (wrong.length >= VIOLATIONS_MAX) return value;
      }
      changed ||= next !== given;
      entries.push([key, next]);
    }
    return changed ? Object.fromEntries(entries) : value;
  };
}

function countRule({ minLength, maxLength }: Constraints, of: string): Rule<number> | null {
  if (minLength === undefined && maxLength === undefined) return null;
  const min = minLength ?? 0;
  const max = maxLength ?? Number.POSITIVE_INFINITY;
  const few = min === 1 ? 'is empty' : `has fewer than ${min} ${of}`;
  return (count) => {
    if (count < min) return few;
    return count > max ? `has more than ${max} ${of}` : null;
  };
}

function enumCheck({ values, closed }: EnumType): Inner {
  const names = new Set(values.map(({ name }) => name));
  const byNumber = new Map(values.map(({ name, number }) => [number, name] as const).reverse());
  const shown = values.length > 10 ? `a value of its enum` : `one of ${[...names].join(', ')}`;
  return (value, wrong) => {
    if (typeof value === 'string') {
      if (!names.has(value)) put(wrong, `is not ${shown}`);
      return value;
    }
    if (typeof value === 'number') {
      const name = byNumber.get(value);
      if (name !== undefined) return name;
      if (closed !== true && value === (value | 0)) return value;
    }
    put(wrong, `is not ${shown}`);
    return value;
  };
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;
/** From the year 1 to 9999, as google.protobuf.Timestamp and xsd:dateTime have them. */
const TIME_MIN = Date.parse('0001-01-01T00:00:00Z');
const TIME_MAX = Date.parse('9999-12-31T23:59:59.999Z');
/** google.protobuf.Duration: 10,000 years. */
const DURATION_MAX = 315_576_000_000_000;

function scalarCheck(name: ScalarName, constraints: Constraints): Inner {
  switch (name) {
    case 'bool':
      return typed((value): value is boolean => typeof value === 'boolean', 'is not true or false', null);
    case 'string':
      return typed((value): value is string => typeof value === 'string', 'is not a string', textRule(constraints));
    case 'int32':
      return typed(isInt32, 'is not a whole number of 32 bits', numberRule<number>(constraints));
    case 'uint32':
      return typed(isUint32, 'is not a whole number from 0 to 4294967295', numberRule<number>(constraints));
    case 'int64':
      return typed(isInt64, 'is not a whole number of 64 bits', numberRule<bigint>(constraints));
    case 'uint64':
      return typed(isUint64, 'is not a whole number from 0 to 18446744073709551615', numberRule<bigint>(constraints));
    case 'float':
      return typed(isFloat, 'is not a number of 32 bits', numberRule<number>(constraints));
    case 'double':
      return typed(
        (value): value is number => typeof value === 'number',
        'is not a number',
        numberRule<number>(constraints),
      );
    case 'bytes': {
      const rule = countRule(constraints, 'bytes');
      return typed(
        (value): value is Uint8Array => value instanceof Uint8Array,
        'is not bytes',
        rule === null ? null : (value) => rule(value.length),
      );
    }
    case 'timestamp':
      return typed(isTime, 'is not a point in time of the years 1 to 9999', null);
    case 'duration':
      return typed(
        isDuration,
        'is not a number of milliseconds of at most 10000 years',
        numberRule<number>(constraints),
      );
    case 'any':
      return (value, wrong, depth) => {
        if (!isJson(value, depth)) put(wrong, `is not JSON, or is nested deeper than ${DEPTH_MAX}`);
        return value;
      };
  }
}

function typed<Value>(is: (value: unknown) => value is Value, otherwise: string, rule: Rule<Value> | null): Inner {
  if (rule === null)
    return (value, wrong) => {
      if (!is(value)) put(wrong, otherwise);
      return value;
    };
  return (value, wrong) => {
    const text = is(value) ? rule(value) : otherwise;
    if (text !== null) put(wrong, text);
    return value;
  };
}

function isInt32(value: unknown): value is number {
  return typeof value === 'number' && value === (value | 0);
}

function isUint32(value: unknown): value is number {
  return typeof value === 'number' && value === value >>> 0;
}

function isInt64(value: unknown): value is bigint {
  return typeof value === 'bigint' && value >= INT64_MIN && value <= INT64_MAX;
}

function isUint64(value: unknown): value is bigint {
  return typeof value === 'bigint' && value >= 0n && value <= UINT64_MAX;
}

/** The largest of 32 bits; what is beyond would arrive as infinity. */
const FLOAT_MAX = 3.4028234663852886e38;

function isFloat(value: unknown): value is number {
  return typeof value === 'number' && !(Number.isFinite(value) && Math.abs(value) > FLOAT_MAX);
}

function isTime(value: unknown): value is Date {
  if (!(value instanceof Date)) return false;
  const time = value.getTime();
  return time >= TIME_MIN && time <= TIME_MAX;
}

function isDuration(value: unknown): value is number {
  return typeof value === 'number' && value >= -DURATION_MAX && value <= DURATION_MAX;
}

function isJson(value: unknown, depth: number): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (depth >= DEPTH_MAX || typeof value !== 'object') return false;
  if (Array.isArray(value)) return value.every((item) => isJson(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return false;
  return Object.values(value).every((item) => item === undefined || isJson(item, depth + 1));
}

function numberRule<Value extends number | bigint>(constraints: Constraints): Rule<Value> | null {
  const { min, max, minExclusive, maxExclusive, multipleOf, finite } = constraints;
  const rules: Rule<Value>[] = [];
  if (finite === true) rules.push((value) => (Number.isFinite(value) ? null : 'is not a finite number'));
  // Bounds refuse NaN as well, which is neither below nor above them.
  if (min !== undefined)
    rules.push(
      minExclusive === true
        ? (value) => (value > min ? null : `is not greater than ${min}`)
        : (value) => (value >= min ? null : `is less than ${min}`),
    );
  if (max !== undefined)
    rules.push(
      maxExclusive === true
        ? (value) => (value < max ? null : `is not less than ${max}`)
        : (value) => (value <= max ? null : `is more than ${max}`),
    );
  if (multipleOf !== undefined)
    rules.push((value) => (isMultiple(Number(value), multipleOf) ? null : `is not a multiple of ${multipleOf}`));
  return allOf(rules);
}

function isMultiple(value: number, step: number): boolean {
  if (step === 1) return Number.isInteger(value);
  // 0.3 is a multiple of 0.1, although 0.3 / 0.1 is not quite 3: three roundings are forgiven, as zod does.
  const ratio = value / step;
  return Math.abs(ratio - Math.round(ratio)) < 4 * Number.EPSILON * Math.max(1, Math.abs(ratio));
}

function allOf<Value>(rules: readonly Rule<Value>[]): Rule<Value> | null {
  const [first, second] = rules;
  if (first === undefined) return null;
  if (second === undefined) return first;
  if (rules.length === 2) return (value) => first(value) ?? second(value);
  return (value) => {
    for (const rule of rules) {
      const text = rule(value);
      if (text !== null) return text;
    }
    return null;
  };
}

function textRule({ minLength, maxLength, pattern, format }: Constraints): Rule<string> | null {
  const rules: Rule<string>[] = [];
  if (minLength !== undefined) {
    const few = minLength === 1 ? 'is empty' : `has fewer than ${minLength} characters`;
    rules.push((text) => (isLong(text, minLength) ? null : few));
  }
  if (maxLength !== undefined)
    rules.push((text) =>
      text.length <= maxLength || !isLong(text, maxLength + 1) ? null : `has more than ${maxLength} characters`,
    );
  if (pattern !== undefined) {
    const expression = new RegExp(pattern, 'u');
    rules.push((text) => (expression.test(text) ? null : `does not match ${pattern}`));
  }
  if (format !== undefined) {
    const [is, called] = FORMATS[format];
    rules.push((text) => (is(text) ? null : `is not ${called}`));
  }
  return allOf(rules);
}

/** Whether a text has at least so many code points. */
function isLong(text: string, least: number): boolean {
  if (text.length < least) return false;
  if (text.length >= least * 2) return true;
  let points = 0;
  for (let index = 0; index < text.length && points < least; points++)
    index += text.codePointAt(index)! > 0xffff ? 2 : 1;
  return points >= least;
}

const FORMATS: Readonly<Record<NonNullable<Constraints['format']>, readonly [(text: string) => boolean, string]>> = {
  email: [(text) => regexes.email.test(text), 'an e-mail address'],
  uuid: [(text) => regexes.guid.test(text), 'a UUID'],
  uri: [(text) => URL.canParse(text), 'a URL'],
  date: [(text) => regexes.date.test(text), 'a date like 2030-12-31'],
  ipv4: [(text) => regexes.ipv4.test(text), 'an IPv4 address'],
  ipv6: [(text) => text.includes(':') && URL.canParse(`http://[${text}]`), 'an IPv6 address'],
  hostname: [(text) => regexes.hostname.test(text), 'a host name'],
};
