// One query to one server and what may count as its answer: the id, the port, the name in its very case, and the cookie must be ours
// (RFC 5452, RFC 7873). It decides what a reply is worth trusting as a reply, not what it says.
import { u16 } from '../../bytes/reader.ts';
import type { Entropy, Instant } from '../../core/time.ts';
import { CLASS } from '../../formats/dns/records.ts';
import { sameName } from '../../formats/dnssec/names.ts';
import type { Message } from './codec.ts';
import { type Reply, readReply } from './resolver-reply.ts';
import type { Carrier, Server } from './resolver-servers.ts';
import { OPTION, RCODE } from './wire.ts';

/**
 * How an ask ended without a reply: nothing came; the server cannot be reached; or somebody else seems to answer in its place, so
 * that a stream is called for.
 */
export type AskEnd = 'timeout' | 'lost' | 'suspicious';

/** Answers that are not ours before a stream is taken: whoever guesses needs thousands. */
const MISMATCHES_MAX = 3;

export class Ask {
  readonly server: Server;
  readonly carrier: Carrier;
  /** In the case in which it goes out. */
  readonly name: Buffer;
  readonly type: number;
  readonly id: number;
  readonly recursion: boolean;
  readonly edns: boolean;
  readonly cookie: Buffer | null;
  readonly checksCase: boolean;
  sentAt: Instant = 0;
  deadline: Instant = 0;
  private mismatches = 0;

  constructor(
    server: Server,
    carrier: Carrier,
    name: Buffer,
    type: number,
    id: number,
    options: {
      readonly recursion: boolean;
      readonly edns: boolean;
      readonly cookie: Buffer | null;
      readonly checksCase: boolean;
    },
  ) {
    this.server = server;
    this.carrier = carrier;
    this.name = name;
    this.type = type;
    this.id = id;
    this.recursion = options.recursion;
    this.edns = options.edns;
    this.cookie = options.cookie;
    this.checksCase = options.checksCase;
  }

  private get isDatagram(): boolean {
    return this.carrier === 'udp';
  }

  /** What bytes that arrived mean for this ask; null when they are to be passed over. */
  hear(message: Message, bytes: Uint8Array, start: number, end: number): Reply | AskEnd | null {
    const whole = message.read(bytes, start, end);
    if (end - start < 12 || message.id !== this.id || !message.isAnswer || message.opcode !== 0) return this.mismatch();
    if (whole < 0) return this.isDatagram ? this.mismatch() : 'lost';
    if (!this.isQuestion(message)) return this.mismatch();
    if (!this.isCookie(message)) return this.mismatch();
    const keptCase = this.keptCase(message);
    if (!keptCase && this.checksCase && this.isDatagram) return 'suspicious';
    return readReply(message, keptCase) ?? this.mismatch();
  }

  private mismatch(): AskEnd | null {
    if (!this.isDatagram) return 'lost';
    return ++this.mismatches >= MISMATCHES_MAX ? 'suspicious' : null;
  }

  private isQuestion(message: Message): boolean {
    // A server that understands nothing may leave the question out.
    if (message.questions === 0) return message.rcode === RCODE.FORMERR || message.rcode === RCODE.NOTIMP;
    const name = message.qname.bytes.subarray(0, message.qname.length);
    return (
      message.questions === 1 && message.qtype === this.type && message.qclass === CLASS.IN && sameName(name, this.name)
    );
  }

  private keptCase(message: Message): boolean {
    const { bytes, length } = message.qname;
    return message.questions === 0 || this.name.equals(bytes.subarray(0, length));
  }

  /** The cookie that comes back is ours, and comes from a server that sends them (RFC 7873 §5.3). */
  private isCookie(message: Message): boolean {
    if (this.cookie === null) return true;
    const at = message.option(OPTION.COOKIE);
    if (at < 0) {
      // A server that had a cookie for us before would give one again, unless it failed.
      const failed = message.rcode !== RCODE.NOERROR && message.rcode !== RCODE.NXDOMAIN;
      return this.cookie.length === 8 || !this.isDatagram || failed;
    }
    const size = message.optionEnd - at;
    for (let index = 0; index < 8; index++) if (message.bytes[at + index] !== this.cookie[index]) return false;
    if (size >= 16 && size <= 40) this.server.keepCookie(Buffer.from(message.bytes.subarray(at + 8, at + size)));
    return true;
  }
}

/** Chance for ids, cases and choices, drawn in bulk. */
export class Dice {
  private readonly entropy: Entropy;
  private readonly pool = new Uint8Array(1_024);
  private at = 1_024;

  constructor(entropy: Entropy) {
    this.entropy = entropy;
  }

  u16(): number {
    if (this.at + 2 > this.pool.length) {
      this.entropy.fill(this.pool);
      this.at = 0;
    }
    this.at += 2;
    return u16(this.pool, this.at - 2);
  }

  below(most: number): number {
    return ((this.u16() << 15) | (this.u16() & 0x7fff)) % most;
  }

  /** The name with its letters in random case: some more bits that must come back (draft-vixie-dnsext-dns0x20). */
  cased(name: Buffer): Buffer {
    const cased = Buffer.from(name);
    let bits = 0;
    let left = 0;
    for (let at = 0; cased[at]! !== 0; ) {
      const end = at + cased[at]! + 1;
      for (at++; at < end; at++) {
        const letter = cased[at]! | 0x20;
        if (letter < 0x61 || letter > 0x7a) continue;
        if (left === 0) {
          bits = this.u16();
          left = 16;
        }
        cased[at] = bits & 1 ? letter : letter ^ 0x20;
        bits >>>= 1;
        left--;
      }
    }
    return cased;
  }
}
