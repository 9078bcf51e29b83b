// The codec again, as labelled pieces for the inspector. Stateful: it learns the version from a CONNECT, or guesses it from
// what it sees when it joined late. Passwords and authentication data come out masked. It shows what is there, also of
// packets that the codec refuses.
import { KeptBytes } from '../../bytes/kept.ts';
import { BAD, MORE, u16, u32, utf8 } from '../../bytes/reader.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import { PacketReader, type ReaderBounds, type Sender, UNKNOWN } from './codec.ts';
import * as P from './packets.ts';
import { PROPERTY_BY_ID } from './properties.ts';
import { readVarint, varintSize } from './text.ts';

/** Payloads are shown up to here. */
const SHOWN = 64;

/** What is taken for one packet at most, so that garbage which announces much is not waited for. */
const BOUNDS: ReaderBounds = { packetBytesMax: 16_777_216, userPropertiesMax: 65_535, filtersMax: 65_535 };

/** A dissector of one direction, as seen by the server. */
export function mqttDissector(direction: Direction, joinedLate: boolean): Dissector {
  return new MqttDissector(direction === 'in' ? 'client' : 'server', joinedLate ? GUESS : UNKNOWN, BOUNDS);
}

/** The version is not known, and no CONNECT will tell it. */
export const GUESS = -1;

export class MqttDissector implements Dissector {
  private readonly sender: Sender;
  private readonly bounds: ReaderBounds;
  private readonly kept = new KeptBytes();
  /** The offset of the first byte that is kept, from the first ever pushed. */
  private origin = 0;
  private version: number;
  /** The version was guessed: another that reads better may replace it. */
  private guessed: boolean;
  /** Bytes of garbage are shown once and no more. */
  private lost = false;

  constructor(sender: Sender, version: P.Version | typeof UNKNOWN | typeof GUESS, bounds: ReaderBounds = BOUNDS) {
    this.sender = sender;
    this.bounds = bounds;
    this.version = version;
    // A server's first packet does not say its version: only the other direction's CONNECT does.
    this.guessed = version === GUESS || (version === UNKNOWN && sender === 'server');
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    if (this.lost) return [];
    const { kept } = this;
    kept.append(bytes, start, end);
    const frames: Piece[] = [];
    while (kept.length > 0 && !this.lost) {
      const size = this.sizeOf();
      if (size === MORE) break;
      if (size === BAD) {
        frames.push(this.garbage(kept.length));
        this.lost = true;
        kept.clear();
        break;
      }
      frames.push(this.frame(size));
      this.origin += size;
      kept.consume(kept.start + size);
    }
    return frames;
  }

  /** The size of the packet that is kept first, MORE, or BAD when it is none. */
  private sizeOf(): number {
    const { bytes, start, end } = this.kept;
    if (bytes[start]! >>> 4 === 0) return BAD;
    let length = 0;
    for (let index = 0; index < 4; index++) {
      if (start + 1 + index >= end) return MORE;
      const byte = bytes[start + 1 + index]!;
      length |= (byte & 0x7f) << (7 * index);
      if (byte > 0x7f) continue;
      const size = 2 + index + length;
      if (size > this.bounds.packetBytesMax) return BAD;
      return size <= this.kept.length ? size : MORE;
    }
    return BAD;
  }

  private garbage(size: number): Piece {
    // Not what they are: who joined within a packet may have met a password.
    const value = `${size} bytes that are not MQTT`;
    return { label: 'bytes', value, start: this.origin, end: this.origin + size, hidden: true };
  }

  private frame(size: number): Piece {
    const { bytes, start } = this.kept;
    const type = bytes[start]! >>> 4;
    const name = P.PACKET_NAMES[type]!;
    const reader = this.read(type, start, size);
    const fault = reader.fault;
    const walk = new Walk(bytes, start, start + size, this.origin - start);
    if (type === P.CONNECT) walk.connect();
    else walk.packet(type, reader.version);
    const version = reader.version === P.V31 ? '3.1' : reader.version === P.V311 ? '3.1.1' : '5.0';
    let value = `${name}, ${size} bytes, MQTT ${version}${this.guessed ? ' (guessed)' : ''}`;
    if (fault !== null) value += `; ${fault.text} ${fault.spec}`;
    return { label: name, value, start: this.origin, end: this.origin + size, pieces: walk.pieces };
  }

  /** Reads the packet with the codec, for its version and its fault; tries the versions while none is known. */
  private read(type: number, start: number, size: number): PacketReader {
    const known = this.guessed && this.version > 0 ? [this.version, P.V5, P.V311, P.V31] : [P.V5, P.V311, P.V31];
    const versions =
      type === P.CONNECT && this.sender === 'client'
        ? [UNKNOWN]
        : this.guessed || this.version <= 0
          ? known
          : [this.version];
    let first: PacketReader | null = null;
    for (const version of versions) {
      const reader = new PacketReader(this.sender, this.bounds);
      reader.version = version as P.Version | typeof UNKNOWN;
      const next = reader.read(this.kept.bytes, start, start + size);
      if (next !== BAD) {
        this.learn(type, reader, version);
        return reader;
      }
      first ??= reader;
    }
    if (type === P.CONNECT) this.learn(type, first!, first!.version);
    return first!;
  }

  private learn(type: number, reader: PacketReader, version: number): void {
    // A CONNECT names its version; a CONNACK of 5.0 is longer than earlier ones.
    if (type === P.CONNECT || type === P.CONNACK) this.guessed = false;
    // What is written alike in all versions says nothing.
    else if (type === P.PINGREQ || type === P.PINGRESP) return;
    this.version = type === P.CONNECT ? reader.version : version;
  }
}

/** Walks through one packet and labels what it finds; ends where a field reaches beyond the packet. */
class Walk {
  readonly pieces: Piece[] = [];
  private into: Piece[] = this.pieces;
  private readonly bytes: Uint8Array;
  private at: number;
  private readonly end: number;
  /** What is added to an index to give an offset from the first byte ever pushed. */
  private readonly shift: number;
  private readonly first: number;

  constructor(bytes: Uint8Array, start: number, end: number, shift: number) {
    this.bytes = bytes;
    this.end = end;
    this.shift = shift;
    this.first = bytes[start]!;
    this.at = start;
    const type = this.first >>> 4;
    this.piece('packet type', `${type} (${P.PACKET_NAMES[type]!})`, start, start + 1);
    this.piece('flags', (this.first & 15).toString(2).padStart(4, '0'), start, start + 1);
    this.at = start + 1;
    while (this.at < end - 1 && bytes[this.at]! > 0x7f) this.at++;
    this.at++;
    this.piece('remaining length', String(end - this.at), start + 1, this.at);
  }

  connect(): void {
    const name = this.text('protocol name');
    const level = this.number('protocol version', 1);
    // A level that nobody knows may order its fields as it likes.
    if (name !== null && level !== null && level >= P.V31 && level <= P.V5) this.connectFields(level);
    this.rest('rest');
  }

  private connectFields(level: number): void {
    const flags = this.number('connect flags', 1, connectFlags);
    this.number('keep alive', 2, (value) => `${value} s`);
    if (flags === null) return;
    if (level === P.V5) this.properties('properties');
    this.text('client identifier');
    if ((flags & 0x04) !== 0) {
      if (level === P.V5) this.properties('will properties');
      this.text('will topic');
      this.binary('will payload', false);
    }
    if ((flags & 0x80) !== 0) this.text('user name');
    if ((flags & 0x40) !== 0) this.binary('password', true);
  }

  packet(type: number, version: number): void {
    const five = version === P.V5;
    switch (type) {
      case P.CONNACK:
        this.number('acknowledge flags', 1, (flags) => ((flags & 1) === 1 ? 'session present' : 'no session'));
        this.number(five ? 'reason code' : 'return code', 1, five ? reasonText : undefined);
        if (five) this.properties('properties');
        break;
      case P.PUBLISH:
        this.text('topic name');
        if ((this.first & 0x06) !== 0) this.number('packet identifier', 2);
        if (five) this.properties('properties');
        this.rest('payload');
        break;
      case P.SUBSCRIBE:
      case P.UNSUBSCRIBE:
        this.number('packet identifier', 2);
        if (five) this.properties('properties');
        while (this.at < this.end && this.text('topic filter') !== null)
          if (type === P.SUBSCRIBE) this.number('options', 1, five ? optionsText : (qos) => `QoS ${qos & 3}`);
        break;
      case P.SUBACK:
      case P.UNSUBACK:
        this.number('packet identifier', 2);
        if (five) this.properties('properties');
        while (this.at < this.end) this.number(five ? 'reason code' : 'return code', 1, five ? reasonText : undefined);
        break;
      case P.PINGREQ:
      case P.PINGRESP:
        break;
      default:
        if (type !== P.DISCONNECT && type !== P.AUTH) this.number('packet identifier', 2);
        if (five && this.at < this.end) this.number('reason code', 1, reasonText);
        if (five && this.at < this.end) this.properties('properties');
    }
    this.rest('rest');
  }

  private piece(label: string, value: string, start: number, end: number, pieces?: readonly Piece[]): void {
    const piece = { label, value, start: start + this.shift, end: end + this.shift };
    this.into.push(pieces === undefined ? piece : { ...piece, pieces });
  }

  private number(label: string, size: number, show?: (value: number) => string): number | null {
    const { at, bytes } = this;
    if (at + size > this.end) return null;
    const value = size === 1 ? bytes[at]! : size === 2 ? u16(bytes, at) : u32(bytes, at);
    this.at = at + size;
    this.piece(label, show?.(value) ?? String(value), at, this.at);
    return value;
  }

  /** Where a field with a length in front ends, or null. */
  private field(): number | null {
    const after = this.at + 2 > this.end ? this.end + 1 : this.at + 2 + u16(this.bytes, this.at);
    return after > this.end ? null : after;
  }

  private text(label: string): string | null {
    const after = this.field();
    if (after === null) return null;
    const value = utf8(this.bytes, this.at + 2, after);
    this.piece(label, value, this.at, after);
    this.at = after;
    return value;
  }

  private binary(label: string, secret: boolean): void {
    const after = this.field();
    if (after === null) return;
    this.piece(label, secret ? MASKED : shown(this.bytes, this.at + 2, after), this.at, after);
    this.at = after;
  }

  private rest(label: string): void {
    if (this.at >= this.end) return;
    // Bytes behind a field that does not fit may be a password.
    this.piece(label, label === 'payload' ? shown(this.bytes, this.at, this.end) : MASKED, this.at, this.end);
    this.at = this.end;
  }

  private properties(label: string): void {
    const start = this.at;
    const length = readVarint(this.bytes, start, this.end);
    if (length < 0 || start + varintSize(length) + length > this.end) return;
    this.at = start + varintSize(length);
    const stop = this.at + length;
    const outer = this.into;
    const inner: Piece[] = [];
    this.into = inner;
    while (this.at < stop && this.property(stop));
    if (this.at < stop) this.piece('rest', MASKED, this.at, stop);
    this.into = outer;
    this.at = stop;
    this.piece(label, `${length} bytes`, start, stop, inner);
  }

  private property(stop: number): boolean {
    const known = PROPERTY_BY_ID[this.bytes[this.at]!];
    if (known === undefined) return false;
    const start = this.at++;
    const before = this.into.length;
    switch (known.kind) {
      case 'byte':
        this.number(known.label, 1);
        break;
      case 'two':
        this.number(known.label, 2);
        break;
      case 'four':
        this.number(known.label, 4);
        break;
      case 'varint':
        this.varint(known.label);
        break;
      case 'text':
        this.text(known.label);
        break;
      case 'bytes':
        this.binary(known.label, known.name === 'authData');
        break;
      case 'pair':
        this.pair(known.label);
    }
    const made = this.into[before];
    if (made === undefined || this.at > stop) {
      this.into.length = before;
      this.at = start;
      return false;
    }
    this.into[before] = { ...made, start: start + this.shift };
    return true;
  }

  private varint(label: string): void {
    const value = readVarint(this.bytes, this.at, this.end);
    if (value < 0) return;
    const start = this.at;
    this.at += varintSize(value);
    this.piece(label, String(value), start, this.at);
  }

  private pair(label: string): void {
    const start = this.at;
    const name = this.field();
    if (name === null) return;
    this.at = name;
    const value = this.field();
    if (value === null) return;
    this.at = value;
    this.piece(label, `${utf8(this.bytes, start + 2, name)}: ${utf8(this.bytes, name + 2, value)}`, start, value);
  }
}

function connectFlags(flags: number): string {
  const said: string[] = [];
  if ((flags & 0x80) !== 0) said.push('user name');
  if ((flags & 0x40) !== 0) said.push('password');
  if ((flags & 0x04) !== 0) said.push(`will QoS ${(flags >>> 3) & 3}${(flags & 0x20) !== 0 ? ' retain' : ''}`);
  if ((flags & 0x02) !== 0) said.push('clean start');
  return said.length === 0 ? 'none' : said.join(', ');
}

function optionsText(options: number): string {
  let said = `QoS ${options & 3}`;
  if ((options & 0x04) !== 0) said += ', no local';
  if ((options & 0x08) !== 0) said += ', retain as published';
  return (options & 0x30) === 0 ? said : `${said}, retain handling ${(options >>> 4) & 3}`;
}

const REASON_NAMES = new Map(
  Object.entries(P.REASON).map(([name, code]) => [
    code as number,
    name.replaceAll(/[A-Z]/g, (big) => ` ${big.toLowerCase()}`),
  ]),
);
// Several share 0; this is what it means in most packets.
REASON_NAMES.set(0, 'success');

/** A reason code with its name. */
export function reasonText(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')} ${REASON_NAMES.get(code) ?? 'unknown'}`;
}

function hex(bytes: Uint8Array, start: number, end: number): string {
  const shownEnd = Math.min(end, start + SHOWN);
  return `${Buffer.from(bytes.subarray(start, shownEnd)).toString('hex')}${shownEnd < end ? '…' : ''}`;
}

/** Bytes as text where they look like it, else in hex. */
function shown(bytes: Uint8Array, start: number, end: number): string {
  const stop = Math.min(end, start + SHOWN);
  for (let at = start; at < stop; at++) if (bytes[at]! < 0x20 || bytes[at]! > 0x7e) return hex(bytes, start, end);
  return `${utf8(bytes, start, stop)}${stop < end ? '…' : ''}`;
}
