// The lock of field numbers: what a service looked like when it was last agreed upon, so that what old clients rely on does
// not change in silence. It gives the numbers of what it knows, the next to what is new, and tells what is broken.
import type { EnumType, Field, MessageType, Type } from '../../formats/schema/types.ts';
import type { CallKind, Service } from './contract.ts';
import type { Numbers } from './from-zod.ts';

export const LOCK_FILE = 'portico.services.lock.json';

interface LockedField {
  readonly number: number;
  /** `string`, `list of shop.v1.LineItem`, `map of string to int64`. */
  readonly type: string;
  /** A caller must give it. */
  readonly required?: true;
}

interface LockedMessage {
  readonly fields: Readonly<Record<string, LockedField>>;
  /** Their numbers are never given again. */
  readonly retired?: Readonly<Record<string, LockedField>>;
}

interface LockedEnum {
  readonly values: Readonly<Record<string, number>>;
  readonly retired?: Readonly<Record<string, number>>;
}

interface LockedMethod {
  readonly kind: CallKind;
  readonly input: string;
  readonly output: string;
}

export interface LockedService {
  readonly methods: Readonly<Record<string, LockedMethod>>;
  readonly types: Readonly<Record<string, LockedMessage | LockedEnum>>;
}

export interface Lock {
  readonly version: 1;
  readonly services: Readonly<Record<string, LockedService>>;
}

export const NO_LOCK: Lock = { version: 1, services: {} };

/** What is other than the lock says. */
export interface Change {
  /** `shop.v1.Order.note`, `shop.v1.Orders/GetOrder`. */
  readonly place: string;
  readonly text: string;
  /** Old clients would break. Else it is new, and only has to be written down. */
  readonly breaks: boolean;
}

/** Reads the text of a lock file; an Error when it is none. */
export function readLock(text: string): Lock | Error {
  try {
    const lock = JSON.parse(text) as Partial<Lock>;
    if (lock.version !== 1) return new Error(`is of version ${lock.version}, which this Portico does not know`);
    if (typeof lock.services !== 'object' || lock.services === null) return new Error('has no `services`');
    return lock as Lock;
  } catch (error) {
    return new Error(`is not JSON: ${(error as Error).message}`);
  }
}

/** Sorted, so that it merges well. */
export function writeLock(lock: Lock): string {
  return `${JSON.stringify(sorted(lock), null, 2)}\n`;
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const byNumber = entries.every(([, each]) => typeof each === 'number' || typeof each?.number === 'number');
  const rank = (each: unknown) => (typeof each === 'number' ? each : (each as LockedField).number);
  entries.sort(([one, first], [other, second]) => (byNumber ? rank(first) - rank(second) : one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}

/** The numbers that a lock has for the types of a service; what it does not know gets the next. */
export function numbersOf(locked: LockedService | undefined): Numbers {
  const typeOf = (name: string) => locked?.types[name] as Partial<LockedMessage & LockedEnum> | undefined;
  const fields: Numbers['fields'] = (type, names) =>
    numbered(names, 1, numbersBy(typeOf(type)?.fields), numbersBy(typeOf(type)?.retired));
  const values: Numbers['values'] = (type, names) =>
    numbered(names, 0, typeOf(type)?.values ?? {}, typeOf(type)?.retired ?? {});
  return { fields, values };
}

function numbersBy(fields: Readonly<Record<string, LockedField>> = {}): Record<string, number> {
  return Object.fromEntries(Object.entries(fields).map(([name, { number }]) => [name, number]));
}

/** Numbers that protobuf keeps to itself. */
const KEPT_FROM = 19_000;
const KEPT_TO = 19_999;

function numbered(
  names: readonly string[],
  first: number,
  known: Readonly<Record<string, number>>,
  retired: Readonly<Record<string, number>>,
): number[] {
  let next = Math.max(first - 1, ...Object.values(known), ...Object.values(retired)) + 1;
  return names.map((name) => {
    if (Object.hasOwn(known, name)) return known[name]!;
    if (first === 1 && next >= KEPT_FROM && next <= KEPT_TO) next = KEPT_TO + 1;
    return next++;
  });
}

function typeText(type: Type): string {
  if (type.kind === 'named' || type.wire === undefined || type.wire === 'varint') return type.name;
  return `${type.wire} ${type.name}`;
}

function fieldText({ type, many, mapKey }: Field): string {
  if (many === 'list') return `list of ${typeText(type)}`;
  return many === 'map' ? `map of ${mapKey} to ${typeText(type)}` : typeText(type);
}

/** All that clients rely on, as it is now. */
export function lockedOf(service: Service): LockedService {
  const methods: Record<string, LockedMethod> = {};
  for (const { name, kind, input, output } of service.methods.values())
    methods[name] = { kind, input: input.name, output: output.name };
  const types: Record<string, LockedMessage | LockedEnum> = {};
  for (const [name, type] of service.schema.types) {
    if (name.startsWith('google.')) continue;
    types[name] = type.kind === 'enum' ? lockedEnum(type) : lockedMessage(type);
  }
  return { methods, types };
}

function lockedMessage({ fields }: MessageType): LockedMessage {
  const entries = fields.map((field) => {
    const { name, number, required } = field;
    return [name, { number, type: fieldText(field), ...(required ? { required } : {}) }] as const;
  });
  return { fields: Object.fromEntries(entries) };
}

function lockedEnum({ values }: EnumType): LockedEnum {
  return { values: Object.fromEntries(values.map(({ name, number }) => [name, number])) };
}

/** What is other in a service than its lock says. */
export function changesOf(locked: LockedService | undefined, service: Service): Change[] {
  const changes: Change[] = [];
  const now = lockedOf(service);
  if (locked === undefined) {
    changes.push({ place: service.name, text: 'is new', breaks: false });
    return changes;
  }
  methodChanges(service.name, locked, now, changes);
  const sent = sentTypes(locked, now);
  for (const [name, before] of Object.entries(locked.types)) {
    const after = now.types[name];
    if (after === undefined) {
      if (!isUsed(name, locked)) changes.push(gone(name, 'the type', 'and clients may still read it'));
    } else if ('fields' in before !== 'fields' in after)
      changes.push({
        place: name,
        text: `was ${sortOf(before)} and is ${sortOf(after)}: give it another name`,
        breaks: true,
      });
    else if ('fields' in before) fieldChanges(name, before, after as LockedMessage, sent.has(name), changes);
    else valueChanges(name, before, after as LockedEnum, changes);
  }
  for (const name of Object.keys(now.types))
    if (locked.types[name] === undefined) changes.push({ place: name, text: 'is new', breaks: false });
  return changes;
}

function sortOf(type: LockedMessage | LockedEnum): string {
  return 'fields' in type ? 'a message' : 'an enum';
}

function gone(place: string, what: string, why: string): Change {
  const text = `${what} is gone, ${why}: put it back, or give it up with portico services lock --retire ${place}`;
  return { place, text, breaks: true };
}

/** Whether something that was locked speaks of the type: then that is what is told of. */
function isUsed(name: string, locked: LockedService): boolean {
  const speaks = ({ type }: LockedField) => type === name || type.endsWith(` ${name}`);
  return (
    Object.values(locked.methods).some(({ input, output }) => input === name || output === name) ||
    Object.values(locked.types).some(
      (type) => 'fields' in type && [...Object.values(type.fields), ...Object.values(type.retired ?? {})].some(speaks),
    )
  );
}

function methodChanges(service: string, locked: LockedService, now: LockedService, changes: Change[]): void {
  for (const [name, before] of Object.entries(locked.methods)) {
    const place = `${service}/${name}`;
    const after = now.methods[name];
    if (after === undefined) changes.push(gone(place, 'the method', 'and old clients still call it'));
    else
      for (const part of ['kind', 'input', 'output'] as const)
        if (before[part] !== after[part])
          changes.push({
            place,
            text:
              `its ${part} was ${before[part]} and is ${after[part]}, which old clients do not know: ` +
              `put it back and make another method, or give the old one up with portico services lock --retire ${place}`,
            breaks: true,
          });
  }
  for (const name of Object.keys(now.methods))
    if (!Object.hasOwn(locked.methods, name))
      changes.push({ place: `${service}/${name}`, text: 'is new', breaks: false });
}

/** Types that old clients send: those of inputs that were locked, and all within them. */
function sentTypes(locked: LockedService, now: LockedService): Set<string> {
  const sent = new Set<string>();
  const open = Object.values(locked.methods).map(({ input }) => input);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const type = now.types[name];
    if (sent.has(name) || type === undefined) continue;
    sent.add(name);
    if ('fields' in type) for (const each of Object.values(type.fields)) open.push(each.type.split(' ').at(-1)!);
  }
  return sent;
}

const UNKNOWN_TO_OLD = 'must be given, which old clients do not know: make it .optional(), or give it a .default()';

function fieldChanges(
  type: string,
  before: LockedMessage,
  after: LockedMessage,
  isSent: boolean,
  changes: Change[],
): void {
  const retired = new Map(Object.entries(before.retired ?? {}).map(([name, { number }]) => [number, name]));
  for (const [name, was] of Object.entries(before.fields)) {
    const place = `${type}.${name}`;
    const is = after.fields[name];
    if (is === undefined)
      changes.push(gone(place, `the field (number ${was.number})`, 'and old clients still send and read it'));
    else if (is.number !== was.number)
      changes.push({
        place,
        text: `its number was ${was.number} and is ${is.number}: give it its old number`,
        breaks: true,
      });
    else if (is.type !== was.type)
      changes.push({
        place,
        text:
          `its type was ${was.type} and is ${is.type}: put it back and add a field of another name, ` +
          `or give the old one up with portico services lock --retire ${place}`,
        breaks: true,
      });
    else if (isSent && is.required === true && was.required !== true)
      changes.push({ place, text: UNKNOWN_TO_OLD, breaks: true });
  }
  for (const [name, { number, required }] of Object.entries(after.fields)) {
    if (Object.hasOwn(before.fields, name)) continue;
    const place = `${type}.${name}`;
    const other = retired.get(number);
    if (isSent && required === true) changes.push({ place, text: UNKNOWN_TO_OLD, breaks: true });
    if (other === undefined) changes.push({ place, text: `is new, with number ${number}`, breaks: false });
    else
      changes.push({ place, text: `has number ${number}, which was that of ${other}: take a free one`, breaks: true });
  }
}

function valueChanges(type: string, before: LockedEnum, after: LockedEnum, changes: Change[]): void {
  for (const [name, number] of Object.entries(before.values)) {
    const place = `${type}.${name}`;
    const is = after.values[name];
    if (is === undefined)
      changes.push(gone(place, `the value (number ${number})`, 'and old clients still send and read it'));
    else if (is !== number)
      changes.push({ place, text: `its number was ${number} and is ${is}: give it its old number`, breaks: true });
  }
  const retired = new Map(Object.entries(before.retired ?? {}).map(([name, number]) => [number, name]));
  for (const [name, number] of Object.entries(after.values)) {
    if (Object.hasOwn(before.values, name)) continue;
    const place = `${type}.${name}`;
    const other = retired.get(number);
    if (other === undefined) changes.push({ place, text: `is new, with number ${number}`, breaks: false });
    else
      changes.push({ place, text: `has number ${number}, which was that of ${other}: take a free one`, breaks: true });
  }
}

/** The lock without what is given up: its numbers are kept, so that they are never given again. Answers what it did not find. */
export function retire(locked: LockedService, service: string, places: readonly string[]): [LockedService, string[]] {
  const methods = { ...locked.methods };
  const types: Record<string, LockedMessage | LockedEnum> = { ...locked.types };
  const unknown: string[] = [];
  for (const place of places) {
    const method = place.startsWith(`${service}/`) ? place.slice(service.length + 1) : null;
    if (method !== null && Object.hasOwn(methods, method)) delete methods[method];
    else if (Object.hasOwn(types, place)) delete types[place];
    else {
      const dot = place.lastIndexOf('.');
      const name = place.slice(dot + 1);
      const type = types[place.slice(0, dot)];
      const retired = type === undefined ? null : without(type, name);
      if (retired === null) unknown.push(place);
      else types[place.slice(0, dot)] = retired;
    }
  }
  return [{ methods, types }, unknown];
}

function without(type: LockedMessage | LockedEnum, name: string): LockedMessage | LockedEnum | null {
  if ('fields' in type) {
    const { [name]: field, ...fields } = type.fields;
    return field === undefined ? null : { fields, retired: { ...type.retired, [name]: field } };
  }
  const { [name]: value, ...values } = type.values;
  return value === undefined ? null : { values, retired: { ...type.retired, [name]: value } };
}

/** The lock with what a service is now, and what was retired before. */
export function locked(before: LockedService | undefined, service: Service): LockedService {
  const now = lockedOf(service);
  if (before === undefined) return now;
  const types: Record<string, LockedMessage | LockedEnum> = {};
  for (const [name, type] of Object.entries(now.types)) {
    const retired = before.types[name]?.retired;
    types[name] = retired === undefined ? type : ({ ...type, retired } as LockedMessage | LockedEnum);
  }
  return { methods: now.methods, types };
}
