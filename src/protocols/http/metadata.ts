// Metadata of calls as fields of HTTP, both ways.
import { Fields } from '../../core/fields.ts';

/** Name, value, name, value. */
type Pairs = readonly string[];

/** What is about the connection, the body or who asks, and so not about the call. */
const NOT_METADATA = new Set([
  ...[
    'host',
    'connection',
    'keep-alive',
    'proxy-authorization',
    'transfer-encoding',
    'te',
    'trailer',
    'upgrade',
    'expect',
  ],
  ...['authorization', 'cookie', 'soapaction', 'mime-version', 'range', 'origin', 'referer'],
]);

export function metadataOf({ list }: Fields): string[] {
  const metadata: string[] = [];
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at]!;
    if (NOT_METADATA.has(name) || name.startsWith('content-') || name.startsWith('accept') || name.startsWith('if-'))
      continue;
    metadata.push(name, list[at + 1]!);
  }
  return metadata;
}

const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
/** An answer's own. */
const OWN = new Set([
  'connection',
  'transfer-encoding',
  'upgrade',
  'date',
  'server',
  'trailer',
  'keep-alive',
  'set-cookie',
]);

/** With the metadata that a field can be; the fields given where there is none. */
export function writeMetadata(fields: Fields, metadata: Pairs): Fields {
  if (metadata.length === 0) return fields;
  let into = fields;
  if (fields.isFixed) {
    into = new Fields();
    into.list.push(...fields.list);
  }
  for (let at = 0; at + 1 < metadata.length; at += 2) {
    const name = metadata[at]!;
    const value = metadata[at + 1]!;
    if (TOKEN.test(name) && VALUE.test(value) && !OWN.has(name) && !name.startsWith('content-'))
      into.append(name, value);
  }
  return into;
}
