// What the client would rather have: media types of Accept, codings of Accept-Encoding, and media types themselves
// (RFC 9110 §8.3.1, §12.4, §12.5). It knows no representation.
import type { Fields } from '../../core/fields.ts';
import { isToken } from './chars.ts';

export interface MediaType {
  /** `text/html`, in lower case. */
  readonly type: string;
  /** Names in lower case, values as they are without their quotes. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Members of a field that are looked at; a list that is longer is a list of its first ones. */
const MEMBERS_MAX = 100;

/** Splits at a separator, but not within quoted strings (RFC 9110 §5.6.4). */
function split(text: string, separator: string): string[] {
  if (!text.includes('"')) return text.split(separator);
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (quoted) {
      if (char === '\\') at++;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === separator) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}

/** A token, or a quoted string without its quotes; null for neither. */
function textOf(text: string): string | null {
  if (isToken(text)) return text;
  if (!/^"(?:[^"\\]|\\.)*"$/s.test(text)) return null;
  return text.slice(1, -1).replace(/\\(.)/gs, '$1');
}

/** A media type with its parameters (RFC 9110 §8.3.1), or a media range; null when it is none. */
export function parseMediaType(text: string): MediaType | null {
  const [essence, ...rest] = split(text, ';');
  const type = essence!.trim().toLowerCase();
  const [main, sub, more] = type.split('/');
  if (sub === undefined || more !== undefined || !isToken(main!) || !isToken(sub)) return null;
  const parameters = new Map<string, string>();
  for (const part of rest) {
    const parameter = part.trim();
    if (parameter === '') continue;
    const equals = parameter.indexOf('=');
    const name = parameter.slice(0, equals).toLowerCase();
    const value = textOf(parameter.slice(equals + 1));
    if (equals < 1 || !isToken(name) || value === null) return null;
    // The first of two counts, as browsers have it.
    if (!parameters.has(name)) parameters.set(name, value);
  }
  return { type, parameters };
}

/** The weight, in thousandths: `q=0.5` is 500 (RFC 9110 §12.4.2). What is no weight is none: 1. */
function weightOf(value: string | undefined): number {
  if (value === undefined || !/^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(value)) return 1_000;
  return Math.round(Number(value) * 1_000);
}

export interface Range {
  readonly media: MediaType;
  /** 0 to 1000. */
  readonly weight: number;
}

/** The ranges of Accept; members that cannot be read are left out. Null when the field is not there. */
export function parseAccept(fields: Fields): Range[] | null {
  const text = fields.joined('accept');
  if (text === null) return null;
  const ranges: Range[] = [];
  for (const member of split(text, ',')) {
    if (ranges.length === MEMBERS_MAX) break;
    const media = parseMediaType(member);
    if (media === null) continue;
    const weight = weightOf(media.parameters.get('q'));
    (media.parameters as Map<string, string>).delete('q');
    ranges.push({ media, weight });
  }
  return ranges;
}

/** How closely a range names a type: 0 does not, 1 is `*\/*`, 2 is `text/*`, 3 the type, more for each parameter. */
function closeness(range: MediaType, offered: MediaType): number {
  if (range.type === '*/*') return 1;
  if (range.type.endsWith('/*')) return offered.type.startsWith(range.type.slice(0, -1)) ? 2 : 0;
  if (range.type !== offered.type) return 0;
  for (const [name, value] of range.parameters)
    if (offered.parameters.get(name)?.toLowerCase() !== value.toLowerCase()) return 0;
  return 3 + range.parameters.size;
}

/** How much a type is wanted: the weight of the range that names it most closely (RFC 9110 §12.5.1); 0 not at all. */
function wanted(ranges: readonly Range[], offered: MediaType): number {
  let most = 0;
  let weight = 0;
  for (const range of ranges) {
    const near = closeness(range.media, offered);
    if (near > most) {
      most = near;
      weight = range.weight;
    }
  }
  return weight;
}

/**
 * The one of `types` that the client wants most; the earlier of equals. Null when it takes none of them. Without Accept
 * it takes any.
 */
export function chooseType(fields: Fields, types: readonly string[]): string | null {
  const ranges = parseAccept(fields);
  if (ranges === null || ranges.length === 0) return types[0] ?? null;
  let best: string | null = null;
  let most = 0;
  for (const type of types) {
    const media = parseMediaType(type);
    const weight = media === null ? 0 : wanted(ranges, media);
    if (weight > most) {
      most = weight;
      best = type;
    }
  }
  return best;
}

/** Whether the client names this very type, and wants nothing more than it: how EventSource asks for its stream. */
export function prefers(fields: Fields, type: string): boolean {
  // Nearly every request is answered here.
  if (fields.joined('accept')?.toLowerCase().includes(type) !== true) return false;
  const ranges = parseAccept(fields) ?? [];
  const named = ranges.filter(({ media }) => media.type === type);
  const weight = Math.max(0, ...named.map((range) => range.weight));
  return weight > 0 && ranges.every((range) => range.weight <= weight);
}

/**
 * The one of `codings` that the client wants most, the earlier of equals; `identity` when it wants none more; null when
 * it refuses that, too (RFC 9110 §12.5.3).
 */
export function chooseCoding<Coding extends string>(
  fields: Fields,
  codings: readonly Coding[],
): Coding | 'identity' | null {
  const text = fields.joined('accept-encoding');
  // Any coding would do, but who does not ask may not be able to.
  if (text === null) return 'identity';
  const weights = new Map<string, number>();
  for (const member of text.split(',', MEMBERS_MAX)) {
    const [coding, ...parameters] = member.split(';');
    const name = coding!.trim().toLowerCase();
    const q = parameters.map((each) => each.trim().toLowerCase()).find((each) => each.startsWith('q='));
    // x-gzip is gzip (RFC 9110 §8.4.1.3).
    if (name !== '') weights.set(name === 'x-gzip' ? 'gzip' : name, weightOf(q?.slice(2)));
  }
  const others = weights.get('*');
  // Not excluded unless by name, or by `*` without its name.
  const plain = weights.get('identity') ?? (others === 0 ? 0 : 1);
  let best: Coding | 'identity' | null = plain === 0 ? null : 'identity';
  let most = weights.has('identity') ? plain : 0;
  for (const coding of codings) {
    const weight = weights.get(coding) ?? others ?? 0;
    // Of equals, the coded one is less to carry.
    if (weight > most || (weight === most && weight > 0 && best === 'identity')) {
      most = weight;
      best = coding;
    }
  }
  return best;
}
