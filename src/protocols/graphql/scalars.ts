// The scalars that GraphQL has no own for: integers of 64 bits, bytes, moments, spans of time, any JSON, and what is empty.
// Each reads what a client gives into the value that handlers are given, and writes that value back.
import { GraphQLError, GraphQLScalarType, Kind, type ValueNode, valueFromASTUntyped } from 'graphql';

const INT64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n };
const UINT64 = { least: 0n, most: 2n ** 64n - 1n };
const UINT32_MOST = 4_294_967_295;

/** A span of time as proto3's JSON has it. */
const SPAN = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
/** RFC 3339 §5.6. */
const MOMENT = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/;
/** RFC 4648 §4 and §5. */
const BASE64 = /^([A-Za-z0-9+/_-]*)(={0,2})$/;

function wrong(name: string, value: unknown, what: string): GraphQLError {
  const shown = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value));
  return new GraphQLError(`${name} is ${what}, not ${shown.length > 100 ? `${shown.slice(0, 100)}…` : shown}`);
}

/** The value of a literal that only text, or a whole number, may be. */
function literal(name: string, what: string, node: ValueNode): string {
  if (node.kind === Kind.STRING || node.kind === Kind.INT) return node.value;
  throw wrong(name, node.kind, what);
}

function readBig(name: string, { least, most }: typeof INT64, value: unknown): bigint {
  const what = 'a whole number, as text where it is beyond 2^53';
  const isWhole = typeof value === 'string' ? /^-?\d{1,20}$/.test(value) : Number.isSafeInteger(value);
  if (!isWhole) throw wrong(name, value, what);
  const big = BigInt(value as string);
  if (big < least || big > most) throw wrong(name, value, `from ${least} to ${most}`);
  return big;
}

function bigScalar(name: string, description: string, range: typeof INT64): GraphQLScalarType<bigint, string> {
  return new GraphQLScalarType<bigint, string>({
    name,
    description,
    serialize: (value) => {
      if (typeof value !== 'bigint' || value < range.least || value > range.most)
        throw wrong(name, value, 'a whole number of 64 bits');
      return String(value);
    },
    parseValue: (value) => readBig(name, range, value),
    parseLiteral: (node) => readBig(name, range, literal(name, 'a whole number', node)),
  });
}

export const INT64_SCALAR = bigScalar('Int64', 'A whole number of 64 bits, as text: "9007199254740993".', INT64);
export const UINT64_SCALAR = bigScalar('UInt64', 'A whole number from 0, of 64 bits, as text.', UINT64);

function readNatural(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > UINT32_MOST)
    throw wrong('UInt32', value, `a whole number from 0 to ${UINT32_MOST}`);
  return value;
}

export const UINT32_SCALAR = new GraphQLScalarType<number, number>({
  name: 'UInt32',
  description: 'A whole number from 0 to 4294967295.',
  serialize: readNatural,
  parseValue: readNatural,
  parseLiteral: (node) => readNatural(node.kind === Kind.INT ? Number(node.value) : node.kind),
});

/** Padding may be left out, but not be wrong. */
function isBase64(text: string): boolean {
  const [, digits, padding] = BASE64.exec(text) ?? [];
  if (digits === undefined || digits.length % 4 === 1) return false;
  return padding === '' || text.length % 4 === 0;
}

function readBytes(value: unknown): Uint8Array {
  // A file of a multipart request stands here as its bytes.
  if (value instanceof Uint8Array) return value;
  if (typeof value !== 'string' || !isBase64(value)) throw wrong('Base64', value, 'bytes in base64');
  return Buffer.from(value, 'base64');
}

export function bytesText(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64');
}

export const BASE64_SCALAR = new GraphQLScalarType<Uint8Array, string>({
  name: 'Base64',
  description: 'Bytes in base64; in a multipart request, a file.',
  serialize: (value) => {
    if (!(value instanceof Uint8Array)) throw wrong('Base64', value, 'bytes');
    return bytesText(value);
  },
  parseValue: readBytes,
  parseLiteral: (node) => readBytes(node.kind === Kind.STRING ? node.value : null),
});

const DAY_MS = 86_400_000;
const TWO = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));
const THREE = Array.from({ length: 1_000 }, (_, number) => String(number).padStart(3, '0'));
/** The day that was written last, up to its T: the next moment is most often of the same. */
let lastDay = Number.NaN;
let lastDayText = '';

/** As `toISOString`, which is several times slower; '' for what is no moment. */
export function momentText(moment: Date): string {
  const time = moment.getTime();
  if (Number.isNaN(time)) return '';
  const day = Math.floor(time / DAY_MS);
  if (day !== lastDay) {
    const text = moment.toISOString();
    lastDay = day;
    lastDayText = text.slice(0, text.indexOf('T') + 1);
  }
  const ms = time - day * DAY_MS;
  const seconds = Math.floor(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${lastDayText}${TWO[hours]}:${TWO[minutes - hours * 60]}:${TWO[seconds - minutes * 60]}.${THREE[ms - seconds * 1_000]}Z`;
}

function readMoment(value: unknown): Date {
  const moment = typeof value === 'string' && MOMENT.test(value) ? new Date(value) : null;
  if (moment === null || Number.isNaN(moment.getTime()))
    throw wrong('DateTime', value, 'a moment as of RFC 3339: "2026-01-31T12:00:00Z"');
  return moment;
}

export const MOMENT_SCALAR = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  description: 'A moment as of RFC 3339: "2026-01-31T12:00:00Z".',
  serialize: (value) => {
    if (!(value instanceof Date) || Number.isNaN(value.getTime())) throw wrong('DateTime', value, 'a moment');
    return value.toISOString();
  },
  parseValue: readMoment,
  parseLiteral: (node) => readMoment(node.kind === Kind.STRING ? node.value : null),
});

function readSpan(value: unknown): number {
  const found = typeof value === 'string' ? SPAN.exec(value) : null;
  if (found === null) throw wrong('Duration', value, 'seconds with an s behind them: "1.5s"');
  const [, sign, seconds, fraction = ''] = found;
  const ms = Number(seconds) * 1_000 + Number(fraction.padEnd(9, '0')) / 1_000_000;
  return sign === '-' ? -ms : ms;
}

/** Milliseconds as seconds, with no, three, six or nine digits behind the point, as proto3's JSON has them. */
export function spanText(ms: number): string {
  const digits = (Math.abs(ms) / 1_000).toFixed(9).replace(/\.?(?:000){1,3}$/, '');
  return `${ms < 0 && digits !== '0' ? '-' : ''}${digits}s`;
}

export const SPAN_SCALAR = new GraphQLScalarType<number, string>({
  name: 'Duration',
  description: 'A span of time in seconds: "1.500s".',
  serialize: (value) => {
    if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong('Duration', value, 'a span of time');
    return spanText(value);
  },
  parseValue: readSpan,
  parseLiteral: (node) => readSpan(node.kind === Kind.STRING ? node.value : null),
});

export const JSON_SCALAR = new GraphQLScalarType({
  name: 'JSON',
  description: 'Anything that JSON has.',
  serialize: (value) => value,
  parseValue: (value) => value,
  // graphql-js gives objects without a prototype, which handlers would not expect.
  parseLiteral: (node, variables) => structuredClone(valueFromASTUntyped(node, variables)),
});

const EMPTY = Object.freeze({});

function readEmpty(value: unknown): object {
  if (typeof value !== 'object' || value === null || Object.keys(value).length > 0)
    throw wrong('Empty', value, 'an object without fields: {}');
  return {};
}

export const EMPTY_SCALAR = new GraphQLScalarType<object, object>({
  name: 'Empty',
  description: 'An object without fields: {}.',
  serialize: () => EMPTY,
  parseValue: readEmpty,
  parseLiteral: (node, variables) => readEmpty(valueFromASTUntyped(node, variables)),
});

/** By their names, which no type of a service can have. */
export const OWN_SCALARS: readonly GraphQLScalarType[] = [
  INT64_SCALAR,
  UINT64_SCALAR,
  UINT32_SCALAR,
  BASE64_SCALAR,
  MOMENT_SCALAR,
  SPAN_SCALAR,
  JSON_SCALAR,
  EMPTY_SCALAR,
];
