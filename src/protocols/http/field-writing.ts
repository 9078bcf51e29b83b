// How fields are written in header compression, on HTTP/2 and on HTTP/3: integers, strings, and which fields are worth a place
// in a table.
import type { ByteWriter } from '../../bytes/writer.ts';
import { huffmanLength, huffmanWrite } from './huffman.ts';

/** An observer who can make requests must not be able to guess these by their size (RFC 7541 §7.1). */
export const SECRET = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key']);

/** Those with few values, which come again: indexed at once. Others only when the same value comes a second time. */
export const STEADY = new Set([
  ...[
    'content-type',
    'server',
    'date',
    'vary',
    'cache-control',
    'accept-ranges',
    'content-encoding',
    'allow',
    'accept',
  ],
  ...[
    'x-content-type-options',
    'cross-origin-resource-policy',
    'access-control-allow-origin',
    'user-agent',
    ':authority',
  ],
  ...['accept-encoding', 'accept-language', 'strict-transport-security', 'alt-svc', 'te', 'content-language'],
]);

/** An integer with a prefix of so many bits (RFC 7541 §5.1), behind what `first` has above it. */
export function writeInteger(out: ByteWriter, first: number, bits: number, value: number): void {
  const most = (1 << bits) - 1;
  if (value < most) {
    out.u8(first | value);
    return;
  }
  out.u8(first | most);
  value -= most;
  while (value >= 0x80) {
    out.u8(0x80 | (value & 0x7f));
    value = Math.floor(value / 0x80);
  }
  out.u8(value);
}

/**
 * Writes a string, in the shorter of both forms, with a length of so many bits; the bit above them says which. Answers the
 * bytes that it stands for.
 */
export function writeText(out: ByteWriter, text: string, first = 0, bits = 7): number {
  const { length } = text;
  for (let at = 0; at < length; at++) {
    if (text.charCodeAt(at) <= 0x7f) continue;
    const bytes = Buffer.byteLength(text);
    writeInteger(out, first, bits, bytes);
    return out.utf8(text);
  }
  const coded = length < 4 ? length : huffmanLength(text);
  if (coded < length) {
    writeInteger(out, first | (1 << bits), bits, coded);
    huffmanWrite(out, text, coded);
  } else {
    writeInteger(out, first, bits, length);
    out.ascii(text);
  }
  return length;
}
