// Whether a client that has just connected speaks HTTP/1.
import { latin1 } from '../../bytes/reader.ts';

/** Methods of the registry (RFC 9110 §16.1.1) that clients open a conversation with, WebDAV's among them. */
const METHODS = [
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'QUERY', 'SEARCH', 'REPORT'],
  ...['PROPFIND', 'PROPPATCH', 'MKCOL', 'MKCALENDAR', 'COPY', 'MOVE', 'LOCK', 'UNLOCK', 'ACL', 'PURGE'],
];

/** True for a known method, a space, and what a target begins with; null while that may still come. */
export function beginsWithMethod(bytes: Uint8Array, start: number, end: number): boolean | null {
  let at = start;
  while (at < end && bytes[at]! >= 0x41 && bytes[at]! <= 0x5a) at++;
  const word = latin1(bytes, start, at);
  if (at === end) return METHODS.some((method) => method.startsWith(word)) ? null : false;
  if (bytes[at] !== 0x20 || !METHODS.includes(word)) return false;
  if (at + 1 === end) return null;
  const first = bytes[at + 1]!;
  return first === 0x2f || first === 0x2a || word === 'CONNECT' || (first | 0x20) === 0x68;
}
