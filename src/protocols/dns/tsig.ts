// Transaction signatures (RFC 8945): queries of those who share a key with this server are checked, and what answers them is
// signed, the messages of a transfer in a chain.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { copyOf, u16, u32 } from '../../bytes/reader.ts';
import { LOWER, NameBuffer, nameFrom, nameText } from '../../formats/dns/name.ts';
import { TYPE } from '../../formats/dns/records.ts';
import type { Message } from './codec.ts';
import type { MessageWriter } from './codec-write.ts';
import { BADSIG, RCODE } from './wire.ts';

export const ALGORITHMS = {
  'hmac-sha1': 'hmac-sha1.',
  'hmac-sha224': 'hmac-sha224.',
  'hmac-sha256': 'hmac-sha256.',
  'hmac-sha384': 'hmac-sha384.',
  'hmac-sha512': 'hmac-sha512.',
} as const;
export type TsigAlgorithm = keyof typeof ALGORITHMS;

/** How far the clocks may be apart, in seconds (RFC 8945 §10). */
const FUDGE = 300;
/** Octets of names, numbers and the longest MAC. */
const TSIG_BYTES_MAX = 10 + 255 + 32 + 16 + 64 + 6;
const CLASS_ANY = 255;

export interface TsigKey {
  /** As people write it, without the dot at the end. */
  readonly name: string;
  readonly wire: Uint8Array;
  readonly algorithm: TsigAlgorithm;
  readonly algorithmWire: Uint8Array;
  readonly secret: Uint8Array;
  /** On whose behalf it acts; null for nobody but itself. */
  readonly account: string | null;
}

/** The key of a configuration; null where its name is none. */
export function tsigKey(
  name: string,
  algorithm: TsigAlgorithm,
  secret: Uint8Array,
  account: string | null = null,
): TsigKey | null {
  const wire = nameFrom(name.endsWith('.') ? name : `${name}.`);
  if (wire === null) return null;
  return {
    name: nameText(wire).toLowerCase().slice(0, -1),
    wire: lowered(wire, 0, wire.length),
    algorithm,
    algorithmWire: nameFrom(ALGORITHMS[algorithm])!,
    secret,
    account,
  };
}

function lowered(bytes: Uint8Array, at: number, end: number): Uint8Array {
  const copy = copyOf(bytes, at, end);
  for (let index = 0; index < copy.length; index++) copy[index] = LOWER[copy[index]!]!;
  return copy;
}

/** A signature under way: who signs, and what the next message is chained to. */
export class Signing {
  readonly key: TsigKey | null;
  /** As it was asked, for answers to those whose key is not known. */
  private readonly name: Uint8Array;
  private readonly algorithm: Uint8Array;
  private mac: Uint8Array;
  private messages = 0;
  error = 0;
  /** The sender's clock, for BADTIME. */
  theirTime = 0;

  constructor(key: TsigKey | null, name: Uint8Array, algorithm: Uint8Array, mac: Uint8Array) {
    this.key = key;
    this.name = name;
    this.algorithm = algorithm;
    this.mac = mac;
  }

  /** The message that was sent with `begin` is followed by an answer that is chained to it. */
  static query(key: TsigKey): Signing {
    return new Signing(key, key.wire, key.algorithmWire, EMPTY);
  }

  /** Signs the message in `out`, which is whole but for this. */
  sign(out: MessageWriter, wall: number): void {
    const { error, key } = this;
    const time = error === RCODE.BADTIME ? this.theirTime : Math.floor(wall / 1_000);
    const other = error === RCODE.BADTIME ? timeOctets(Math.floor(wall / 1_000)) : EMPTY;
    const id = u16(out.bytes, out.start);
    let mac: Uint8Array = EMPTY;
    if (key !== null && error !== BADSIG && error !== RCODE.BADKEY && error !== RCODE.BADTRUNC) {
      const hmac = createHmac(key.algorithm.slice(5), key.secret);
      if (this.mac.length > 0) hmac.update(Uint8Array.of(this.mac.length >>> 8, this.mac.length)).update(this.mac);
      hmac.update(out.bytes.subarray(out.start, out.at));
      // Behind the first message of several only the times are signed (RFC 8945 §5.3.1).
      if (this.messages > 0) hmac.update(timers(time, FUDGE));
      else hmac.update(variables(key.wire, key.algorithmWire, time, FUDGE, error, other));
      mac = hmac.digest();
      this.mac = mac;
    }
    this.messages++;
    const data = [
      ...this.algorithm,
      ...timeOctets(time),
      FUDGE >>> 8,
      FUDGE & 0xff,
      mac.length >>> 8,
      mac.length & 0xff,
      ...mac,
      id >>> 8,
      id & 0xff,
      error >>> 8,
      error & 0xff,
      other.length >>> 8,
      other.length,
      ...other,
    ];
    const rdata = Uint8Array.from(data);
    out.recordPlain(10, this.name, TYPE.TSIG, CLASS_ANY, 0, rdata);
  }

  /**
   * Checks the next message of an answer to what was signed by this: one without a signature between two that have one is
   * taken note of. False when it is not what the other side sent.
   */
  checkAnswer(message: Message, wall: number): boolean {
    const { key } = this;
    if (key === null) return true;
    const { bytes, start, end } = message;
    if (message.tsig < 0) {
      this.pending.push(copyOf(bytes, start, end));
      // At least each hundredth is signed (RFC 8945 §5.3.1).
      return this.messages > 0 && this.pending.length < 100;
    }
    const parsed = parse(message);
    if (parsed === null || !sameOctets(parsed.name, key.wire) || !sameOctets(parsed.algorithm, key.algorithmWire))
      return false;
    if (parsed.error !== 0 || Math.abs(parsed.time - wall / 1_000) > parsed.fudge) return false;
    const hmac = createHmac(key.algorithm.slice(5), key.secret);
    hmac.update(Uint8Array.of(this.mac.length >>> 8, this.mac.length)).update(this.mac);
    for (const piece of this.pending) hmac.update(piece);
    this.pending = [];
    hmac.update(withoutTsig(message, parsed.originalId));
    if (this.answers++ > 0) hmac.update(timers(parsed.time, parsed.fudge));
    else hmac.update(variables(key.wire, key.algorithmWire, parsed.time, parsed.fudge, parsed.error, parsed.other));
    const mac = hmac.digest();
    if (mac.length !== parsed.mac.length || !timingSafeEqual(mac, parsed.mac)) return false;
    this.mac = mac;
    return true;
  }
  private answers = 0;
  private pending: Uint8Array[] = [];

  /** Messages came that no signature has covered yet. */
  get isOpen(): boolean {
    return this.key !== null && this.pending.length > 0;
  }
}

const EMPTY = new Uint8Array(0);

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => octet === b[index]);
}

function timeOctets(seconds: number): Uint8Array {
  const high = Math.floor(seconds / 2 ** 32);
  const low = seconds >>> 0;
  return Uint8Array.of(high >>> 8, high, low >>> 24, low >>> 16, low >>> 8, low);
}

function timers(time: number, fudge: number): Uint8Array {
  return Uint8Array.of(...timeOctets(time), fudge >>> 8, fudge);
}

/** name · class · TTL · algorithm · time · fudge · error · other (RFC 8945 §4.3.3). */
function variables(
  name: Uint8Array,
  algorithm: Uint8Array,
  time: number,
  fudge: number,
  error: number,
  other: Uint8Array,
): Uint8Array {
  return Uint8Array.from([
    ...name,
    ...[0, CLASS_ANY, 0, 0, 0, 0],
    ...algorithm,
    ...timers(time, fudge),
    ...[error >>> 8, error & 0xff, other.length >>> 8, other.length],
    ...other,
  ]);
}

interface Parsed {
  readonly name: Uint8Array;
  readonly algorithm: Uint8Array;
  readonly time: number;
  readonly fudge: number;
  readonly mac: Uint8Array;
  readonly originalId: number;
  readonly error: number;
  readonly other: Uint8Array;
}

const NAME = new NameBuffer();

/** The TSIG of a message; null when its data is none. */
function parse(message: Message): Parsed | null {
  const { bytes, tsig } = message;
  const end = message.dataEnd[tsig]!;
  if (!message.readOwner(tsig, NAME)) return null;
  const name = lowered(NAME.bytes, 0, NAME.length);
  let at = NAME.read(bytes, message.start, message.dataAt[tsig]!, end);
  if (at < 0 || at + 10 > end) return null;
  const algorithm = lowered(NAME.bytes, 0, NAME.length);
  const time = u16(bytes, at) * 2 ** 32 + u32(bytes, at + 2);
  const fudge = u16(bytes, at + 6);
  const macSize = u16(bytes, at + 8);
  at += 10;
  if (at + macSize + 6 > end) return null;
  const mac = copyOf(bytes, at, at + macSize);
  at += macSize;
  const other = copyOf(bytes, at + 6, end);
  if (u16(bytes, at + 4) !== other.length) return null;
  return { name, algorithm, time, fudge, mac, originalId: u16(bytes, at), error: u16(bytes, at + 2), other };
}

/** The message as it was before it was signed. */
function withoutTsig(message: Message, originalId: number): Uint8Array {
  const { bytes, start, tsig } = message;
  const copy = copyOf(bytes, start, message.owner[tsig]!);
  copy[0] = originalId >>> 8;
  copy[1] = originalId;
  const count = u16(copy, 10) - 1;
  copy[10] = count >>> 8;
  copy[11] = count;
  return copy;
}

/** The keys of a server, and the signature of the message that is being answered. */
export class SignedMessages {
  private readonly keys: readonly TsigKey[];
  signing: Signing | null = null;
  /** Signatures that did not hold. */
  refused = 0;

  constructor(keys: readonly TsigKey[]) {
    this.keys = keys;
  }

  clear(): void {
    this.signing = null;
  }

  /** The name of the key that the query was signed with, as people write it; '' for none. */
  get keyName(): string {
    const { signing } = this;
    return signing === null || signing.error !== 0 ? '' : (signing.key?.name ?? '');
  }

  get account(): string | null {
    return this.keyName === '' ? null : this.signing!.key!.account;
  }

  keyNamed(name: string): TsigKey | null {
    return this.keys.find((key) => key.name === name) ?? null;
  }

  /** Octets that the answer's signature needs. */
  get bytes(): number {
    return this.signing === null ? 0 : TSIG_BYTES_MAX;
  }

  /** Whether the message is whom it says from; if not, the answer's TSIG says why (RFC 8945 §5.2). */
  verify(message: Message, wall: number): boolean {
    const parsed = parse(message);
    if (parsed === null) {
      this.signing = null;
      this.refused++;
      return false;
    }
    const { name, algorithm, mac } = parsed;
    const key = this.keys.find((each) => sameOctets(each.wire, name) && sameOctets(each.algorithmWire, algorithm));
    const signing = new Signing(key ?? null, name, algorithm, mac);
    this.signing = signing;
    if (key === undefined) signing.error = RCODE.BADKEY;
    else signing.error = errorOf(message, parsed, key, wall);
    signing.theirTime = parsed.time;
    if (signing.error !== 0) this.refused++;
    return signing.error === 0;
  }

  sign(out: MessageWriter, wall: number): void {
    this.signing?.sign(out, wall);
  }
}

function errorOf(message: Message, parsed: Parsed, key: TsigKey, wall: number): number {
  const { mac, time, fudge, error, other, originalId } = parsed;
  const expected = createHmac(key.algorithm.slice(5), key.secret)
    .update(withoutTsig(message, originalId))
    .update(variables(key.wire, key.algorithmWire, time, fudge, error, other))
    .digest();
  // A MAC that was cut is not taken, though a client may send one (RFC 8945 §5.2.2.1).
  if (mac.length < expected.length && mac.length >= 10 && timingSafeEqual(mac, expected.subarray(0, mac.length)))
    return RCODE.BADTRUNC;
  if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) return BADSIG;
  return Math.abs(time - wall / 1_000) > fudge ? RCODE.BADTIME : 0;
}
