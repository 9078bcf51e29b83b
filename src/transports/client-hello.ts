// Reads a client's first words of a TLS handshake (RFC 8446 §4.1.2), as far as a server wants them before it answers: the
// name that is asked for, what the client would speak, which versions it knows. It decides nothing.
import { BAD, latin1, MORE, u16 } from '../bytes/reader.ts';

export interface ClientHello {
  /** In lower case; null when it named none (RFC 6066 §3). */
  readonly serverName: string | null;
  /** By preference (RFC 7301 §3.1). */
  readonly alpn: readonly string[];
  /** As numbers of the wire: 0x0304 is TLS 1.3. */
  readonly versions: readonly number[];
  /** It proposes to go on with an earlier session, or has a key of one. */
  readonly resumes: boolean;
}

/** More is not waited for: hellos with post-quantum keys are some two kilobytes. */
const HELLO_BYTES_MAX = 32_768;
const RECORD_BYTES_MAX = 16_384;

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;

const SERVER_NAME = 0;
const ALPN = 16;
const SUPPORTED_VERSIONS = 43;
const SESSION_TICKET = 35;
const PRE_SHARED_KEY = 41;

/** The hello that begins at `start`, MORE while it is not whole, BAD when it is none. */
export function readClientHello(bytes: Uint8Array, start: number, end: number): ClientHello | typeof MORE | typeof BAD {
  const parts: Uint8Array[] = [];
  let length = 0;
  let wanted = 4;
  for (let at = start; length < wanted; ) {
    if (at < end && bytes[at] !== HANDSHAKE_RECORD) return BAD;
    if (end - at < 5) return MORE;
    const size = u16(bytes, at + 3);
    if (bytes[at + 1] !== 3 || size === 0 || size > RECORD_BYTES_MAX) return BAD;
    const from = at + 5;
    const to = Math.min(end, from + size);
    parts.push(bytes.subarray(from, to));
    length += to - from;
    if (length >= 4 && wanted === 4) {
      const head = Buffer.concat(parts);
      if (head[0] !== CLIENT_HELLO) return BAD;
      wanted = 4 + ((head[1]! << 16) | u16(head, 2));
      if (wanted > HELLO_BYTES_MAX) return BAD;
    }
    if (length >= wanted) break;
    if (to < from + size) return MORE;
    at = to;
  }
  const message = Buffer.concat(parts);
  return readMessage(message, wanted) ?? BAD;
}

function readMessage(message: Buffer, end: number): ClientHello | null {
  // Version and random, then lists with their lengths: session, ciphers, compression.
  let at = 4 + 2 + 32;
  if (at + 1 > end) return null;
  const legacy = u16(message, 4);
  at += 1 + message[at]!;
  if (at + 2 > end) return null;
  at += 2 + u16(message, at);
  if (at + 1 > end) return null;
  at += 1 + message[at]!;
  const found = { serverName: null as string | null, alpn: [] as string[], versions: [legacy], resumes: false };
  if (at === end) return found;
  if (at + 2 > end || at + 2 + u16(message, at) !== end) return null;
  at += 2;
  while (at < end) {
    if (at + 4 > end) return null;
    const type = u16(message, at);
    const from = at + 4;
    const to = from + u16(message, at + 2);
    if (to > end) return null;
    if (type === SERVER_NAME) found.serverName = nameIn(message, from, to);
    else if (type === ALPN) found.alpn = protocolsIn(message, from, to);
    else if (type === SUPPORTED_VERSIONS) found.versions = versionsIn(message, from, to);
    else if (type === PRE_SHARED_KEY || (type === SESSION_TICKET && to > from)) found.resumes = true;
    at = to;
  }
  return found;
}

function nameIn(message: Buffer, from: number, to: number): string | null {
  // One list of names, of which only host names (0) were ever defined.
  if (to - from < 5 || message[from + 2] !== 0) return null;
  const end = from + 5 + u16(message, from + 3);
  if (end > to) return null;
  const name = latin1(message, from + 5, end).toLowerCase();
  return /^[a-z\d._-]{1,255}$/.test(name) ? name : null;
}

function protocolsIn(message: Buffer, from: number, to: number): string[] {
  const found: string[] = [];
  for (let at = from + 2; at < to; ) {
    const end = at + 1 + message[at]!;
    if (end > to) return found;
    found.push(latin1(message, at + 1, end));
    at = end;
  }
  return found;
}

function versionsIn(message: Buffer, from: number, to: number): number[] {
  const found: number[] = [];
  for (let at = from + 1; at + 1 < to; at += 2) {
    const version = u16(message, at);
    // What looks like 0x?a?a is there so that servers do not rely on the list (RFC 8701).
    if ((version & 0x0f0f) !== 0x0a0a) found.push(version);
  }
  return found;
}
