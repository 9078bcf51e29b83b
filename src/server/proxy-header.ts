// The PROXY protocol, versions 1 and 2: what a proxy that the configuration trusts says of whom it comes for, before the
// first byte of that client's own. It does not know what is spoken behind it, and who may send it is decided before.
//
// Clauses are those of HAProxy's proxy-protocol.txt.
import { BAD, latin1, MORE, u16, u32 } from '../bytes/reader.ts';
import { type Fault, faultTable } from '../core/fault.ts';
import type { Address, Peer, TlsFacts } from '../core/peer.ts';
import type { Pipe, Session } from '../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';
import { AddressRanges, canonicalAddress, rangeProblem } from '../transports/addresses.ts';

/** What such a connection speaks until its header has come. */
export const PROXY_HEADER = 'proxy-header';

const PROXY_SPEC = 'PROXY protocol';

export const proxyFaults = faultTable('proxy', {
  noHeader: {
    wire: 0,
    spec: `${PROXY_SPEC} §2`,
    text: 'A proxy that is trusted sent something else than a PROXY header.',
  },
  line: { wire: 0, spec: `${PROXY_SPEC} §2.1`, text: 'The PROXY line cannot be read.' },
  lineTooLong: { wire: 0, spec: `${PROXY_SPEC} §2.1`, text: 'The PROXY line has no end within 107 bytes.' },
  version: { wire: 0, spec: `${PROXY_SPEC} §2.2`, text: 'The PROXY header is of no version or command that is known.' },
  family: { wire: 0, spec: `${PROXY_SPEC} §2.2`, text: 'The PROXY header is of a family that no stream has.' },
  size: {
    wire: 0,
    spec: `${PROXY_SPEC} §2.2`,
    text: 'The PROXY header is shorter than what it has to carry, or too long.',
  },
  extension: {
    wire: 0,
    spec: `${PROXY_SPEC} §2.2.1`,
    text: 'What follows the addresses of a PROXY header has no whole fields.',
  },
  checksum: { wire: 0, spec: `${PROXY_SPEC} §2.2.3`, text: 'The checksum of the PROXY header is another.' },
  late: { wire: 0, spec: `${PROXY_SPEC} §2`, text: 'The PROXY header did not come in time.' },
});

/** The longest line, with its end (§2.1). */
const LINE_BYTES_MAX = 107;
/** Behind the first 16 bytes: addresses and extensions. Certificates are not sent in it; a kilobyte is much. */
const EXTENSION_BYTES_MAX = 4_096;
/** A proxy writes its header at once; a lost packet is sent again after 3 s (§2). */
const HEADER_MS = 5_000;

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const FIXED_BYTES = SIGNATURE.length + 4;
const WORD = Buffer.from('PROXY ');

// `ver_cmd` and `fam` (§2.2).
const LOCAL = 0x20;
const PROXY = 0x21;
const UNSPECIFIED = 0x00;
const TCP4 = 0x11;
const TCP6 = 0x21;
const UNIX_STREAM = 0x31;
/** Bytes of both addresses. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [UNSPECIFIED, 0],
  [TCP4, 12],
  [TCP6, 36],
  [UNIX_STREAM, 216],
]);

// Extensions (§2.2.1 and following).
const ALPN = 0x01;
const AUTHORITY = 0x02;
const CRC32C = 0x03;
const SSL = 0x20;
const SSL_VERSION = 0x21;
const SSL_CIPHER = 0x23;
/** In the first byte of SSL: the client came over TLS. */
const CLIENT_SSL = 0x01;

/** Reads one header. What it found stands in its fields until the next is read. */
export class ProxyHeaderReader {
  fault: Fault | null = null;
  /** It comes for somebody whose addresses it tells. Otherwise for itself, or for it does not say whom. */
  told = false;
  /** Null where the client came over a Unix socket. */
  source: Address | null = null;
  destination: Address | null = null;
  /** What the proxy says of the client's TLS; null when there was none. */
  tls: TlsFacts | null = null;
  private alpn: string | null = null;
  private authority: string | null = null;

  /** Answers the index behind the header, MORE, or BAD with `fault` set. */
  read(input: Uint8Array, start: number, end: number): number {
    this.fault = this.source = this.destination = this.tls = this.alpn = this.authority = null;
    this.told = false;
    if (start === end) return MORE;
    if (input[start] === SIGNATURE[0]) return this.readBinary(input, start, end);
    return this.readLine(input, start, end);
  }

  private bad(fault: Fault): number {
    this.fault = fault;
    return BAD;
  }

  // ---- version 1 ---------------------------------------------------------------------------------------------------

  /** `PROXY TCP4 source destination source-port destination-port CRLF`, or `PROXY UNKNOWN` with anything (§2.1). */
  private readLine(input: Uint8Array, start: number, end: number): number {
    if (!begins(WORD, input, start, end)) return this.bad(proxyFaults.noHeader);
    const most = Math.min(end, start + LINE_BYTES_MAX);
    let at = start;
    while (at + 1 < most && (input[at] !== 0x0d || input[at + 1] !== 0x0a)) at++;
    if (at + 1 >= most) return most - start === LINE_BYTES_MAX ? this.bad(proxyFaults.lineTooLong) : MORE;
    const [, family, ...parts] = latin1(input, start, at).split(' ');
    if (family === 'UNKNOWN') return at + 2;
    const [source, destination, sourcePort, destinationPort, more] = parts;
    if ((family !== 'TCP4' && family !== 'TCP6') || more !== undefined) return this.bad(proxyFaults.line);
    this.source = addressOf(family, source, sourcePort);
    this.destination = addressOf(family, destination, destinationPort);
    if (this.source === null || this.destination === null) return this.bad(proxyFaults.line);
    this.told = true;
    return at + 2;
  }

  // ---- version 2 ---------------------------------------------------------------------------------------------------

  /** Signature, version and command, family, length of the rest, two addresses, extensions (§2.2). */
  private readBinary(input: Uint8Array, start: number, end: number): number {
    if (!begins(SIGNATURE, input, start, end)) return this.bad(proxyFaults.noHeader);
    if (end - start < FIXED_BYTES) return MORE;
    const at = start + SIGNATURE.length;
    const command = input[at]!;
    const family = input[at + 1]!;
    const length = u16(input, at + 2);
    if (command !== LOCAL && command !== PROXY) return this.bad(proxyFaults.version);
    if (length > EXTENSION_BYTES_MAX) return this.bad(proxyFaults.size);
    const body = start + FIXED_BYTES;
    const behind = body + length;
    if (end < behind) return MORE;
    // Whoever speaks for itself may say anything there (§2.2).
    if (command === LOCAL) return behind;
    const size = ADDRESS_BYTES.get(family);
    if (size === undefined) return this.bad(proxyFaults.family);
    if (length < size) return this.bad(proxyFaults.size);
    this.readAddresses(family, input, body);
    return this.readExtensions(input, start, body + size, behind) ? behind : BAD;
  }

  private readAddresses(family: number, input: Uint8Array, at: number): void {
    this.told = family !== UNSPECIFIED;
    if (family !== TCP4 && family !== TCP6) return;
    const size = family === TCP4 ? 4 : 16;
    const text = family === TCP4 ? ipv4Text : ipv6Text;
    this.source = { host: text(input, at), port: u16(input, at + 2 * size) };
    this.destination = { host: text(input, at + size), port: u16(input, at + 2 * size + 2) };
  }

  /** Type, length, value, one behind the other (§2.2.1). False when they are broken. */
  private readExtensions(input: Uint8Array, header: number, from: number, behind: number): boolean {
    const whole = eachField(input, from, behind, (type, start, end) => {
      if (type === ALPN) this.alpn = latin1(input, start, end);
      else if (type === AUTHORITY) this.authority = latin1(input, start, end);
      else if (type === SSL) return this.readTls(input, start, end);
      else if (type === CRC32C && (end - start !== 4 || checksum(input, header, behind, start) !== u32(input, start))) {
        this.fault = proxyFaults.checksum;
        return false;
      }
      return true;
    });
    if (!whole) this.fault ??= proxyFaults.extension;
    else if (this.tls !== null) this.tls = { ...this.tls, alpn: this.alpn, serverName: this.authority };
    return whole;
  }

  /** `client`, `verify`, fields of its own (§2.2.6). A name in a certificate that we have not seen is nobody's. */
  private readTls(input: Uint8Array, start: number, end: number): boolean {
    if (end - start < 5) return false;
    let version = '';
    let cipher = '';
    const whole = eachField(input, start + 5, end, (type, from, to) => {
      if (type === SSL_VERSION) version = latin1(input, from, to);
      else if (type === SSL_CIPHER) cipher = latin1(input, from, to);
      return true;
    });
    if (whole && (input[start]! & CLIENT_SSL) !== 0)
      this.tls = { version, cipher, alpn: null, serverName: null, certificate: null };
    return whole;
  }
}

/** Whether what is there begins as a header does; as far as it is there. */
function begins(word: Uint8Array, input: Uint8Array, start: number, end: number): boolean {
  const size = Math.min(word.length, end - start);
  for (let at = 0; at < size; at++) if (input[start + at] !== word[at]) return false;
  return true;
}

/** Calls for each field; false when one of them ends beyond the end, or was not taken. */
function eachField(
  input: Uint8Array,
  start: number,
  end: number,
  take: (type: number, start: number, end: number) => boolean,
): boolean {
  let at = start;
  while (at < end) {
    if (end - at < 3) return false;
    const from = at + 3;
    const to = from + u16(input, at + 1);
    if (to > end || !take(input[at]!, from, to)) return false;
    at = to;
  }
  return true;
}

function addressOf(family: 'TCP4' | 'TCP6', text = '', portText = ''): Address | null {
  const host = canonicalAddress(text, family === 'TCP4' ? 4 : 6);
  if (host === null || !/^(?:0|[1-9]\d{0,4})$/.test(portText) || Number(portText) > 65_535) return null;
  return { host, port: Number(portText) };
}

function ipv4Text(input: Uint8Array, at: number): string {
  return `${input[at]}.${input[at + 1]}.${input[at + 2]}.${input[at + 3]}`;
}

function ipv6Text(input: Uint8Array, at: number): string {
  const groups: string[] = [];
  for (let group = 0; group < 16; group += 2) groups.push(u16(input, at + group).toString(16));
  return canonicalAddress(groups.join(':'), 6)!;
}

/** CRC-32C of a header, with zeros for the four bytes of the sum itself (§2.2.3). */
function checksum(input: Uint8Array, start: number, end: number, own: number): number {
  let sum = 0xffff_ffff;
  for (let at = start; at < end; at++) {
    sum ^= at >= own && at < own + 4 ? 0 : input[at]!;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0x82f6_3b78 : 0);
  }
  return ~sum >>> 0;
}

/**
 * Whom a header tells of, on a connection of a proxy. Whatever it tells: what comes through a proxy is never a local
 * program, also where it says that it comes from this machine.
 */
export function proxiedPeer(below: Peer, { told, source, destination, tls }: ProxyHeaderReader): Peer {
  if (!told) return { ...below, forwarded: true };
  return { ...below, remote: source, local: destination ?? below.local, tls, below, forwarded: true };
}

/** Stands in the list of proxies for whoever connects to a Unix socket. */
const UNIX = 'unix';

/** What is wrong with an entry of `proxyProtocol`, or null. */
export function proxyEntryProblem(entry: string): string | null {
  const problem = entry === UNIX ? null : rangeProblem(entry);
  return problem === null ? null : `${problem}, nor ${UNIX} for those of a Unix socket`;
}

/** Who has to begin with a header. All others come for themselves, and a header of theirs is nothing that is known here. */
export class TrustedProxies {
  private readonly ranges: AddressRanges;
  private readonly unix: boolean;

  /** @param entries of which `proxyEntryProblem` had nothing to say */
  constructor(entries: readonly string[]) {
    this.unix = entries.includes(UNIX);
    this.ranges = new AddressRanges(entries.filter((entry) => entry !== UNIX));
  }

  has(remote: Address | null): boolean {
    return remote === null ? this.unix : this.ranges.has(remote.host);
  }
}

export interface ProxyHeaderOptions {
  /** What is spoken behind the header. */
  readonly protocol: string;
  /** Told who is there; false when that one is not let in. */
  readonly came: (pipe: Pipe, peer: Peer) => boolean;
  readonly make: (pipe: Pipe) => Session;
}

/** Waits for the header of a proxy that is trusted, and hands the pipe over. */
export class ProxyHeaderSession implements Session {
  deadline: Instant;
  private readonly pipe: Pipe;
  private readonly options: ProxyHeaderOptions;
  private readonly reader = new ProxyHeaderReader();

  constructor(pipe: Pipe, clock: Clock, options: ProxyHeaderOptions) {
    this.pipe = pipe;
    this.options = options;
    this.deadline = clock.now + HEADER_MS;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    if (this.deadline === NEVER) return end;
    const { reader, pipe, options } = this;
    const next = reader.read(input, start, end);
    if (next === MORE) return start;
    if (next === BAD) {
      this.refuse(reader.fault!);
      return end;
    }
    this.deadline = NEVER;
    if (!options.came(pipe, proxiedPeer(pipe.peer, reader))) {
      pipe.reset(0);
      return end;
    }
    pipe.speaks(options.protocol);
    pipe.become(options.make(pipe));
    return next;
  }

  tick(): void {
    this.refuse(proxyFaults.late);
  }

  overlong(): void {
    this.refuse(proxyFaults.size);
  }

  /** A proxy that only looks whether we are there says nothing. */
  finish(): void {
    this.leave();
  }

  writable(): void {}

  leave(): void {
    this.deadline = NEVER;
    this.pipe.end();
  }

  lost(): void {}

  private refuse(fault: Fault): void {
    this.deadline = NEVER;
    this.pipe.fail(fault);
  }
}
