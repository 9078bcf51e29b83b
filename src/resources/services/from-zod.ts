// Reads zod 4 schemas into the neutral description. What the model cannot say is refused with the mend; what it can say only
// in part (a refinement, a transform) is marked, and zod itself is asked after the check. Schemas are read by their
// definitions, so that a program may bring its own copy of zod.
import type { z } from 'zod';
import {
  type Constraints,
  EMPTY_NAME,
  type EnumType,
  type Field,
  type MessageType,
  type Type,
  type WireForm,
} from '../../formats/schema/types.ts';
import { readNumber, readText, type ZodCheck } from './zod-checks.ts';
import { isEmptyType, markOf, oneofOf } from './zod-types.ts';

/** Where a type gets the numbers of its fields and values: from the lock file, or by their order. */
export interface Numbers {
  fields(type: string, names: readonly string[]): readonly number[];
  values(type: string, names: readonly string[]): readonly number[];
}

/** A service that cannot be described; the message names the place and the mend. */
export class DefinitionError extends Error {
  constructor(place: string, text: string) {
    super(`${place}: ${text}`);
    this.name = 'DefinitionError';
  }
}

/** As much of a schema's definition as is read here. */
interface Def {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly catchall?: z.core.$ZodType;
  readonly innerType?: z.core.$ZodType;
  readonly element?: z.core.$ZodType;
  readonly keyType?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly options?: readonly z.core.$ZodType[];
  readonly entries?: Readonly<Record<string, string | number>>;
  readonly values?: readonly unknown[];
  readonly defaultValue?: unknown;
  readonly getter?: () => z.core.$ZodType;
  readonly fn?: object;
  readonly format?: string;
  readonly coerce?: boolean;
  readonly check?: string;
  readonly checks?: readonly { readonly _zod: { readonly def: ZodCheck } }[];
}

interface Meta {
  readonly id?: string;
  readonly description?: string;
  readonly deprecated?: boolean;
  readonly wire?: WireForm;
}

/** A schema without what stands around it. */
interface Bare {
  readonly schema: z.core.$ZodType;
  readonly optional: boolean;
  readonly preset: { readonly value: unknown; readonly again: () => unknown } | null;
  readonly meta: Meta;
  /** zod has to look at the value as well. */
  readonly exact: boolean;
  /** zod makes another value of it. */
  readonly turned: boolean;
}

/** What a field's or item's schema says of its value. */
export interface ValueOf {
  readonly type: Type;
  readonly constraints?: Constraints;
  readonly exact: boolean;
}

export class ZodReader {
  readonly types = new Map<string, MessageType | EnumType>();
  private readonly prefix: string;
  private readonly numbers: Numbers;
  private readonly names = new Map<z.core.$ZodType, string>();
  private readonly exact = new Set<string>();
  private readonly presets: { readonly type: string; readonly text: string; readonly again: () => unknown }[] = [];
  /** Types with a value that zod makes into another. */
  private readonly turned = new Set<string>();

  /** @param named names that the author gave, without the package */
  constructor(prefix: string, named: Readonly<Record<string, z.core.$ZodType>>, numbers: Numbers) {
    this.prefix = prefix;
    this.numbers = numbers;
    for (const [name, schema] of Object.entries(named)) {
      if (!/^[A-Z]\w*$/.test(name))
        throw new DefinitionError(prefix, `the type ${name} has a name like Order or LineItem`);
      this.names.set(bareOf(schema, `${prefix}.${name}`).schema, `${prefix}.${name}`);
    }
  }

  /** The message of an object's schema. */
  message(schema: z.core.$ZodType, name: string): MessageType {
    const place = `${this.prefix}.${name}`;
    const bare = bareOf(schema, place);
    if (defOf(bare.schema).type !== 'object') throw new DefinitionError(place, 'it is an object: z.object({ … })');
    const type = this.objectOf(bare, name, place);
    this.mark(bare, type);
    return this.types.get(type) as MessageType;
  }

  /** Reads a type that no method names: details of errors. */
  named(schema: z.core.$ZodType, name: string): void {
    const bare = bareOf(schema, `${this.prefix}.${name}`);
    if (defOf(bare.schema).type === 'object') this.objectOf(bare, name, `${this.prefix}.${name}`);
    else this.valueOf(bare, name, `${this.prefix}.${name}`);
  }

  /** Whether zod has something to say of a type beyond its description, or of what is in it. */
  isExact(type: MessageType): boolean {
    return this.reaches(type, this.exact);
  }

  /** Whether zod makes something else of its values. */
  isTurned(type: MessageType): boolean {
    return this.reaches(type, this.turned);
  }

  private mark(bare: Bare, type: string): void {
    if (bare.exact) this.exact.add(type);
    if (bare.turned) this.turned.add(type);
  }

  private reaches(type: MessageType, marked: ReadonlySet<string>): boolean {
    const seen = new Set<string>();
    const open = [type.name];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (marked.has(name)) return true;
      const each = this.types.get(name);
      if (seen.has(name) || each?.kind !== 'message') continue;
      seen.add(name);
      for (const field of each.fields) if (field.type.kind === 'named') open.push(field.type.name);
    }
    return false;
  }

  /**
   * When all is read. Presets that are made anew each time, as the present moment, are zod's to fill in: they are read once
   * more, a while later.
   */
  settle(): void {
    if (this.presets.length === 0) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    for (const { type, text, again } of this.presets.splice(0)) {
      if (textOf(again()) === text) continue;
      this.exact.add(type);
      const message = this.types.get(type) as MessageType;
      const fields = message.fields.map((field) => {
        if (field.preset === undefined || textOf(field.preset) !== text) return field;
        const { preset: _preset, ...rest } = field;
        return rest;
      });
      this.types.set(type, Object.freeze({ ...message, fields }));
    }
  }

  private objectOf(bare: Bare, given: string, place: string): string {
    const { schema, meta } = bare;
    const known = isEmptyType(schema) ? EMPTY_NAME : this.names.get(schema);
    const name = known ?? (meta.id === undefined ? `${this.prefix}.${given}` : `${this.prefix}.${meta.id}`);
    if (known !== undefined && this.types.has(name)) return name;
    if (this.types.has(name))
      throw new DefinitionError(place, `there is another type ${name}: name them apart in \`types\``);
    this.names.set(schema, name);
    const fields: Field[] = [];
    const message = {
      kind: 'message' as const,
      name,
      fields,
      ...(meta.description === undefined ? {} : { description: meta.description }),
    };
    this.types.set(name, message);
    const def = defOf(schema);
    if (def.catchall !== undefined && defOf(def.catchall).type !== 'never')
      throw new DefinitionError(place, 'it has whatever fields come: name them, or use z.record');
    if ((def.checks ?? []).length > 0) this.exact.add(name);
    const shape = def.shape ?? {};
    const names = Object.keys(shape);
    const numbers = this.numbers.fields(name, names);
    const local = name.slice(this.prefix.length + 1);
    for (const [index, field] of names.entries())
      fields.push(this.fieldOf(field, shape[field]!, numbers[index]!, name, local, `${place}.${field}`));
    fields.sort((one, two) => one.number - two.number);
    return name;
  }

  private fieldOf(
    name: string,
    schema: z.core.$ZodType,
    number: number,
    owner: string,
    local: string,
    place: string,
  ): Field {
    if (!/^[a-z][A-Za-z0-9]*$/.test(name)) throw new DefinitionError(place, 'a field has a name like unitPrice');
    const bare = bareOf(schema, place);
    this.mark(bare, owner);
    const { meta } = bare;
    const oneof = oneofOf(schema) ?? oneofOf(bare.schema);
    const below = `${local}${name[0]!.toUpperCase()}${name.slice(1)}`;
    const value = this.manyOf(bare, below, owner, place);
    const any = value.type.kind === 'scalar' && value.type.name === 'any';
    const isMessage = value.type.kind === 'named' && this.types.get(value.type.name)?.kind !== 'enum';
    const absent = bare.optional || bare.preset !== null || (any && value.many === 'one');
    const field: Field = {
      name,
      protoName: snakeOf(name),
      number,
      ...value,
      optional: value.many === 'one' && (absent || isMessage),
      required: !absent,
      ...(oneof === undefined ? {} : { oneof }),
      ...(meta.description === undefined ? {} : { description: meta.description }),
      ...(meta.deprecated === true ? { deprecated: true } : {}),
    };
    if (bare.preset === null) return field;
    const { value: preset, again } = bare.preset;
    if (preset instanceof Date || textOf(preset) === undefined) {
      this.exact.add(owner);
      return field;
    }
    this.presets.push({ type: owner, text: textOf(preset)!, again });
    return { ...field, preset };
  }

  /** One value, a list, or a map. */
  private manyOf(
    bare: Bare,
    local: string,
    owner: string,
    place: string,
  ): Pick<Field, 'many' | 'type' | 'mapKey' | 'constraints' | 'each'> {
    const def = defOf(bare.schema);
    if (def.type !== 'array' && def.type !== 'record') {
      const { exact, ...value } = this.valueOf(bare, local, place);
      if (exact) this.exact.add(owner);
      return { many: 'one', ...value };
    }
    const inner = bareOf((def.element ?? def.valueType)!, `${place}[]`);
    if (inner.optional || inner.preset !== null) throw new DefinitionError(place, 'its items are never absent');
    if (['array', 'record'].includes(defOf(inner.schema).type))
      throw new DefinitionError(place, 'a list or map in another needs an object around it');
    const { type, constraints, exact } = this.valueOf(inner, local, `${place}[]`);
    const read = readText(def.checks ?? [], {});
    this.mark(inner, owner);
    if (exact || read.exact) this.exact.add(owner);
    const common = {
      type,
      ...(constraints === undefined ? {} : { each: constraints }),
      ...(isEmpty(read.constraints) ? {} : { constraints: read.constraints }),
    };
    if (def.type === 'array') return { many: 'list', ...common };
    const key = bareOf(def.keyType!, `${place}{}`);
    if (defOf(key.schema).type !== 'string')
      throw new DefinitionError(place, 'the keys of a map are z.string(), of whatever they look like');
    if ((defOf(key.schema).checks ?? []).length > 0 || defOf(key.schema).format !== undefined) this.exact.add(owner);
    return { many: 'map', mapKey: 'string', ...common };
  }

  private valueOf(bare: Bare, local: string, place: string): ValueOf {
    const { schema, meta } = bare;
    const def = defOf(schema);
    const wire = meta.wire === undefined ? {} : { wire: meta.wire };
    if (def.coerce === true) throw new DefinitionError(place, 'values come in their type already: leave out `coerce`');
    switch (def.type) {
      case 'string': {
        const { constraints, exact } = readText(def.checks ?? [], def);
        return valueAs({ kind: 'scalar', name: 'string' }, constraints, exact);
      }
      case 'number':
      case 'bigint': {
        const { name, constraints, exact } = readNumber(def.type, def.checks ?? [], def);
        return valueAs({ kind: 'scalar', name, ...wire }, constraints, exact);
      }
      case 'boolean':
        return valueAs({ kind: 'scalar', name: 'bool' }, {}, hasChecks(def));
      case 'date':
        return valueAs({ kind: 'scalar', name: 'timestamp' }, {}, hasChecks(def));
      case 'any':
      case 'unknown':
        return valueAs({ kind: 'scalar', name: 'any' }, {}, hasChecks(def));
      case 'custom':
        return customOf(schema, def, place);
      case 'enum':
      case 'literal':
        return this.enumOf(schema, meta, local, Object.values(def.entries ?? def.values ?? []), place);
      case 'union':
        return this.unionOf(bare, local, place);
      case 'object':
        return valueAs({ kind: 'named', name: this.objectOf(bare, local, place) }, {}, false);
      default:
        throw new DefinitionError(place, mendOf(def.type));
    }
  }

  private unionOf(bare: Bare, local: string, place: string): ValueOf {
    const options = (defOf(bare.schema).options ?? []).map((option) => defOf(option));
    if (isJson(options)) return valueAs({ kind: 'scalar', name: 'any' }, {}, false);
    const values = options.flatMap((option) => Object.values(option.entries ?? option.values ?? [undefined]));
    if (values.some((value) => typeof value !== 'string')) throw new DefinitionError(place, mendOf('union'));
    return this.enumOf(bare.schema, bare.meta, local, values, place);
  }

  private enumOf(
    schema: z.core.$ZodType,
    meta: Meta,
    local: string,
    values: readonly unknown[],
    place: string,
  ): ValueOf {
    const names = values.map((value) => {
      if (typeof value === 'string' && /^[A-Za-z_]\w*$/.test(value)) return value;
      throw new DefinitionError(
        place,
        `${String(value)} cannot be a value of an enum: those are words of letters, digits and _`,
      );
    });
    const known = this.names.get(schema);
    const name = known ?? `${this.prefix}.${meta.id ?? local}`;
    const type: Type = { kind: 'named', name };
    const exact = (defOf(schema).checks ?? []).length > 0;
    if (known !== undefined && this.types.has(name)) return valueAs(type, {}, exact);
    if (this.types.has(name))
      throw new DefinitionError(place, `there is another type ${name}: name them apart in \`types\``);
    this.names.set(schema, name);
    const numbers = this.numbers.values(name, names);
    const described = names.map((each, index) => ({ name: each, number: numbers[index]! }));
    // The first is the default, and on protobuf's wire that is 0.
    described.sort((one, two) => one.number - two.number);
    const description = meta.description === undefined ? {} : { description: meta.description };
    this.types.set(name, { kind: 'enum', name, values: described, closed: true, ...description });
    return valueAs(type, {}, exact);
  }
}

function valueAs(type: Type, constraints: Constraints, exact: boolean): ValueOf {
  return { type, exact, ...(isEmpty(constraints) ? {} : { constraints }) };
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}

function hasChecks(def: Def): boolean {
  return (def.checks ?? []).length > 0;
}

function customOf(schema: z.core.$ZodType, def: Def, place: string): ValueOf {
  const mark = def.fn === undefined ? undefined : markOf(def.fn);
  if (mark !== undefined) return valueAs({ kind: 'scalar', name: mark.scalar }, mark.constraints, hasChecks(def));
  if ((schema._zod.bag as { Class?: unknown }).Class === Uint8Array)
    return valueAs({ kind: 'scalar', name: 'bytes' }, {}, hasChecks(def));
  throw new DefinitionError(
    place,
    'z.custom and z.instanceof say nothing of the type; of bytes and durations: bytes(), duration()',
  );
}

/** `z.json()` is a union of what JSON has. */
function isJson(options: readonly Def[]): boolean {
  const types = new Set(options.map(({ type }) => type));
  return types.has('null') && types.has('record') && types.has('array') && types.has('boolean');
}

const MENDS: Readonly<Record<string, string>> = {
  union: 'a union of anything but words is made with oneof(), which names each case',
  nullable: 'no protocol of services has null: use .optional()',
  null: 'no protocol of services has null: use .optional()',
  undefined: 'leave the field out',
  void: 'for what has nothing to say use empty',
  tuple: 'use z.object, which names each part',
  map: 'use z.record',
  set: 'use z.array',
  intersection: 'use .extend()',
  catch: 'a wrong value is told to whoever sent it: leave out .catch()',
  transform: 'begin with a type, and transform that: z.string().transform(…)',
  array: 'a list or map in another needs an object around it',
  record: 'a list or map in another needs an object around it',
};

function mendOf(type: string): string {
  return MENDS[type] ?? `z.${type} has no form that every protocol has`;
}

function defOf(schema: z.core.$ZodType): Def {
  return schema._zod.def as unknown as Def;
}

function metaOf(schema: z.core.$ZodType): Meta {
  return (schema as { meta?: () => Meta | undefined }).meta?.() ?? {};
}

/** Takes off what stands around a schema. */
function bareOf(given: z.core.$ZodType, place: string): Bare {
  let schema = given;
  let optional = false;
  let exact = false;
  let turned = false;
  let preset: Bare['preset'] = null;
  let meta: Meta = {};
  for (;;) {
    if ((schema as { readonly _zod?: unknown } | undefined)?._zod === undefined)
      throw new DefinitionError(place, 'it is no schema of zod 4: `import { z } from "portico"` has it');
    meta = { ...metaOf(schema), ...meta };
    const def = defOf(schema);
    if (def.type === 'optional') optional = true;
    else if (def.type === 'nonoptional') optional = false;
    else if (def.type === 'default' || def.type === 'prefault') {
      preset ??= { value: def.defaultValue, again: () => def.defaultValue };
      // zod parses what it takes for absent, and may change it.
      if (def.type === 'prefault') exact = true;
    } else if (def.type === 'pipe') {
      exact = turned = true;
      schema = def.in!;
      continue;
    } else if (def.type === 'lazy') {
      schema = def.getter!();
      continue;
    } else if (def.type !== 'readonly') break;
    schema = def.innerType!;
  }
  if (['nullable', 'catch', 'transform'].includes(defOf(schema).type))
    throw new DefinitionError(place, mendOf(defOf(schema).type));
  return { schema, optional, preset, meta, exact, turned };
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'bigint') return `${value}n`;
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** `unitPrice` as a .proto writes it. */
export function snakeOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
