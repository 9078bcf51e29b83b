// What zod's checks of texts and numbers are in the words of the neutral description, and whether anything is left over for
// zod itself.
import type { Constraints, ScalarName } from '../../formats/schema/types.ts';

/** As much of a check's definition as is read here. */
export interface ZodCheck {
  readonly check: string;
  readonly format?: string;
  readonly pattern?: RegExp;
  readonly value?: number | bigint;
  readonly inclusive?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly length?: number;
}

export type ZodChecks = readonly { readonly _zod: { readonly def: ZodCheck } }[];

interface Read {
  readonly constraints: Constraints;
  /** zod has to look as well. */
  readonly exact: boolean;
}

type Draft = { -readonly [Name in keyof Constraints]: Constraints[Name] };

const FORMATS: Readonly<Record<string, NonNullable<Constraints['format']>>> = {
  email: 'email',
  uuid: 'uuid',
  guid: 'uuid',
  url: 'uri',
  date: 'date',
  ipv4: 'ipv4',
  ipv6: 'ipv6',
  hostname: 'hostname',
};

/** Formats that the check knows in zod's own way, so that zod need not look. */
const WHOLE = new Set(['email', 'date', 'ipv4']);

/** Of texts, and of lists, which have lengths as well. */
export function readText(checks: ZodChecks, own: { readonly format?: string; readonly check?: string }): Read {
  const constraints: Draft = {};
  let exact = false;
  const all = own.check === undefined ? [] : [own as ZodCheck];
  for (const { _zod } of checks) all.push(_zod.def);
  for (const each of all) {
    if (each.check === 'min_length') constraints.minLength = Math.max(constraints.minLength ?? 0, each.minimum!);
    else if (each.check === 'max_length')
      constraints.maxLength = Math.min(constraints.maxLength ?? Number.POSITIVE_INFINITY, each.maximum!);
    else if (each.check === 'length_equals') constraints.minLength = constraints.maxLength = each.length!;
    else if (each.check === 'string_format') exact = readFormat(each, constraints) || exact;
    else exact = true;
  }
  return { constraints, exact };
}

function readFormat(check: ZodCheck, into: Draft): boolean {
  const known = FORMATS[check.format ?? ''];
  if (known !== undefined && into.format === undefined) {
    into.format = known;
    return !WHOLE.has(check.format!);
  }
  const { pattern } = check;
  if (pattern === undefined || into.pattern !== undefined || !isPlain(pattern)) return true;
  into.pattern = pattern.source;
  // Checks that have a pattern beside what they really do: a base64 of a JWT and the like.
  return !['regex', 'starts_with', 'ends_with', 'datetime', 'time', 'duration', 'cuid2', 'ulid', 'nanoid'].includes(
    check.format ?? '',
  );
}

function isPlain({ source, flags }: RegExp): boolean {
  if (flags !== '' && flags !== 'u') return false;
  try {
    new RegExp(source, 'u');
    return true;
  } catch {
    return false;
  }
}

const INTEGERS: Readonly<Record<string, readonly [min: number | bigint, max: number | bigint]>> = {
  int32: [-2_147_483_648, 2_147_483_647],
  uint32: [0, 4_294_967_295],
};

/** Of numbers, whose type is the narrowest that their checks allow. */
export function readNumber(
  kind: 'number' | 'bigint',
  checks: ZodChecks,
  own: { readonly format?: string; readonly check?: string },
): Read & { readonly name: ScalarName } {
  const constraints: Draft = {};
  let format = own.format ?? '';
  let exact = false;
  for (const { _zod } of checks) {
    const { def } = _zod;
    if (def.check === 'number_format' || def.check === 'bigint_format') format = def.format ?? format;
    else if (def.check === 'greater_than') raise(constraints, def);
    else if (def.check === 'less_than') lower(constraints, def);
    else if (def.check === 'multiple_of' && kind === 'number' && constraints.multipleOf === undefined)
      constraints.multipleOf = def.value as number;
    else exact = true;
  }
  if (kind === 'bigint') return { name: format === 'uint64' ? 'uint64' : 'int64', constraints, exact };
  if (format === 'safeint') return { ...safeOf(constraints), exact };
  if (format === 'int32' || format === 'uint32') return { name: format, constraints, exact };
  constraints.finite = true;
  return { name: format === 'float32' ? 'float' : 'double', constraints, exact };
}

function raise(into: Draft, { value, inclusive }: ZodCheck): void {
  if (into.min !== undefined && into.min > value!) return;
  into.min = value!;
  if (inclusive === false) into.minExclusive = true;
  else delete into.minExclusive;
}

function lower(into: Draft, { value, inclusive }: ZodCheck): void {
  if (into.max !== undefined && into.max < value!) return;
  into.max = value!;
  if (inclusive === false) into.maxExclusive = true;
  else delete into.maxExclusive;
}

/** `z.int()`: 32 bits when its bounds allow that; else a whole number of 53 bits, which only a double is. */
function safeOf(constraints: Draft): { readonly name: ScalarName; readonly constraints: Constraints } {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = constraints;
  for (const name of ['int32', 'uint32'] as const) {
    const [least, most] = INTEGERS[name]!;
    if (min >= least && max <= most) return { name, constraints };
  }
  return {
    name: 'double',
    constraints: { ...constraints, min, max, multipleOf: constraints.multipleOf ?? 1, finite: true },
  };
}
