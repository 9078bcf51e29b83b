// Properties of messages as fields, both ways. A name or value that a field cannot have is percent-encoded: names where
// they are no tokens, values in the extended notation of RFC 8187 §3.2 under a name with `*` behind it.
import type { Fields } from '../../core/fields.ts';
import { decodePath } from '../http/target.ts';

const PREFIX = 'x-property-';

/** Printable ASCII without white space at its ends: what every recipient of a field reads as the same. */
const PLAIN_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** Not in a token (RFC 9110 §5.6.2), or with a meaning here. */
const NOT_IN_NAME = /[^!#$&'+\-.^_`|~0-9a-zA-Z]/gu;

/**
 * Adds properties as fields; answers how many of them were left out because all together are longer than `bytesMax`.
 */
export function writeProperties(properties: readonly string[], fields: Fields, bytesMax: number): number {
  let bytes = 0;
  for (let at = 0; at + 1 < properties.length; at += 2) {
    const name = `${PREFIX}${properties[at]!.replace(NOT_IN_NAME, percent)}`;
    const value = properties[at + 1]!;
    const plain = PLAIN_VALUE.test(value);
    const shown = plain ? value : `UTF-8''${[...value].map((each) => each.replace(/[^\w.~-]/u, percent)).join('')}`;
    bytes += name.length + shown.length + 4;
    if (bytes > bytesMax) return (properties.length - at) / 2;
    fields.append(plain ? name : `${name}*`, shown);
  }
  return 0;
}

function percent(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text)) encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return encoded;
}

/** The properties that fields are, in their order: name, value, name, value. Null when one cannot be read. */
export function readProperties(fields: Fields): string[] | null {
  const properties: string[] = [];
  const { list } = fields;
  for (let at = 0; at < list.length; at += 2) {
    const field = list[at]!;
    if (!field.startsWith(PREFIX)) continue;
    const extended = field.endsWith('*');
    const name = decodePath(field.slice(PREFIX.length, extended ? -1 : undefined));
    const value = extended ? extendedValue(list[at + 1]!) : list[at + 1]!;
    if (name === null || name === '' || value === null) return null;
    properties.push(name, value);
  }
  return properties;
}

/** `UTF-8''text`, with or without a language. */
function extendedValue(text: string): string | null {
  const parts = /^utf-8'[^']*'([^\s]*)$/i.exec(text);
  return parts === null ? null : decodePath(parts[1]!);
}
