// What a browser or a TLS client sends to a port of a text protocol, told by its first bytes: a page must not be able to post
// into one.
import { latin1 } from '../../bytes/reader.ts';

/** The first byte of a TLS record that holds a handshake (RFC 8446 §5.1). No command begins with it. */
const TLS_HANDSHAKE = 0x16;

export function looksLikeTls(input: Uint8Array, start: number, end: number): boolean {
  return start < end && input[start] === TLS_HANDSHAKE;
}

/** Whether a line ends in ` HTTP/1.1` or the like (RFC 9112 §2.3). */
export function looksLikeHttp(input: Uint8Array, start: number, stop: number): boolean {
  return stop - start >= 9 && / HTTP\/\d(?:\.\d)?$/i.test(latin1(input, Math.max(start, stop - 9), stop));
}
