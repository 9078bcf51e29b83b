// Frames (RFC 9000 §19, RFC 9221), read one by one in place. Numbers and offsets of the frame that was read last stand in
// the reader's fields. Which frame may come where is asked by `allowedAt`; what it means is not known here.
import { BAD, MORE } from '../../../bytes/reader.ts';
import type { Fault } from '../../../core/fault.ts';
import { APPLICATION, EARLY, type Level } from '../crypto.ts';
import { transportFaults as faults } from '../faults.ts';
import { isBeyondStreams, varintAt, varintEnd } from './varint.ts';

export const PADDING = 0x00;
export const PING = 0x01;
export const ACK = 0x02;
export const ACK_ECN = 0x03;
export const RESET_STREAM = 0x04;
export const STOP_SENDING = 0x05;
export const CRYPTO = 0x06;
export const NEW_TOKEN = 0x07;
/** To 0x0f; its bits tell of an offset, a length and the end. */
export const STREAM = 0x08;
export const STREAM_OFFSET = 0x04;
export const STREAM_LENGTH = 0x02;
export const STREAM_FIN = 0x01;
export const MAX_DATA = 0x10;
export const MAX_STREAM_DATA = 0x11;
export const MAX_STREAMS_TWO_WAY = 0x12;
export const MAX_STREAMS_ONE_WAY = 0x13;
export const DATA_BLOCKED = 0x14;
export const STREAM_DATA_BLOCKED = 0x15;
export const STREAMS_BLOCKED_TWO_WAY = 0x16;
export const STREAMS_BLOCKED_ONE_WAY = 0x17;
export const NEW_CONNECTION_ID = 0x18;
export const RETIRE_CONNECTION_ID = 0x19;
export const PATH_CHALLENGE = 0x1a;
export const PATH_RESPONSE = 0x1b;
export const CONNECTION_CLOSE = 0x1c;
export const APPLICATION_CLOSE = 0x1d;
export const HANDSHAKE_DONE = 0x1e;
/** And 0x31, with a length. */
export const DATAGRAM = 0x30;
export const DATAGRAM_LENGTH = 0x31;

export const FRAME_NAMES: Readonly<Record<number, string>> = {
  [PADDING]: 'PADDING',
  [PING]: 'PING',
  [ACK]: 'ACK',
  [ACK_ECN]: 'ACK',
  [RESET_STREAM]: 'RESET_STREAM',
  [STOP_SENDING]: 'STOP_SENDING',
  [CRYPTO]: 'CRYPTO',
  [NEW_TOKEN]: 'NEW_TOKEN',
  [STREAM]: 'STREAM',
  [MAX_DATA]: 'MAX_DATA',
  [MAX_STREAM_DATA]: 'MAX_STREAM_DATA',
  [MAX_STREAMS_TWO_WAY]: 'MAX_STREAMS',
  [MAX_STREAMS_ONE_WAY]: 'MAX_STREAMS',
  [DATA_BLOCKED]: 'DATA_BLOCKED',
  [STREAM_DATA_BLOCKED]: 'STREAM_DATA_BLOCKED',
  [STREAMS_BLOCKED_TWO_WAY]: 'STREAMS_BLOCKED',
  [STREAMS_BLOCKED_ONE_WAY]: 'STREAMS_BLOCKED',
  [NEW_CONNECTION_ID]: 'NEW_CONNECTION_ID',
  [RETIRE_CONNECTION_ID]: 'RETIRE_CONNECTION_ID',
  [PATH_CHALLENGE]: 'PATH_CHALLENGE',
  [PATH_RESPONSE]: 'PATH_RESPONSE',
  [CONNECTION_CLOSE]: 'CONNECTION_CLOSE',
  [APPLICATION_CLOSE]: 'CONNECTION_CLOSE',
  [HANDSHAKE_DONE]: 'HANDSHAKE_DONE',
  [DATAGRAM]: 'DATAGRAM',
};

/** Ranges of one ACK frame that are looked at; a peer that names more gets no more out of it. */
const RANGES_MAX = 512;

/** Whether a frame of this type may come in packets of this level (RFC 9000 §12.4). */
export function allowedAt(type: number, level: Level): boolean {
  if (level === APPLICATION) return true;
  if (type === PADDING || type === PING || type === CONNECTION_CLOSE) return true;
  if (level === EARLY)
    return (
      (type >= RESET_STREAM && type <= STOP_SENDING) ||
      (type >= STREAM && type <= NEW_CONNECTION_ID) ||
      type === PATH_CHALLENGE ||
      type === APPLICATION_CLOSE ||
      type === DATAGRAM
    );
  return type === ACK || type === ACK_ECN || type === CRYPTO;
}

/** Whether a packet with a frame of this type is to be acknowledged (RFC 9002 §2). */
export function isEliciting(type: number): boolean {
  return (
    type !== PADDING && type !== ACK && type !== ACK_ECN && type !== CONNECTION_CLOSE && type !== APPLICATION_CLOSE
  );
}

/** Whether a packet with nothing but such frames only probes a path (RFC 9000 §9.1). */
export function isProbing(type: number): boolean {
  return type === PADDING || type === PATH_CHALLENGE || type === PATH_RESPONSE || type === NEW_CONNECTION_ID;
}

/** Reads frames. Fields that a type does not have keep what they were. */
export class FrameReader {
  /** STREAM and DATAGRAM without the bits that only tell of their form. */
  type = 0;
  fault: Fault | null = null;
  /** The stream's. */
  id = 0;
  offset = 0;
  dataStart = 0;
  dataEnd = 0;
  fin = false;
  /** An error code, of the application or the transport. */
  code = 0;
  /** A limit, a final size, a sequence number, the type of the frame that a close blames. */
  value = 0;
  /** Of NEW_CONNECTION_ID. */
  retirePriorTo = 0;
  tokenAt = 0;
  /** Of an ACK: `[smallest, largest]` pairs from the largest on. */
  readonly ranges: number[] = [];
  delay = 0;
  ect0 = 0;
  ect1 = 0;
  ce = 0;

  private at = 0;

  /** Reads the frame at `at` and answers its end, or BAD with `fault` set: packets hold whole frames. */
  read(bytes: Uint8Array, at: number, end: number): number {
    const type = bytes[at]!;
    if (type === PADDING) {
      this.type = PADDING;
      let next = at + 1;
      while (next < end && bytes[next] === 0) next++;
      return next;
    }
    if (type >= 0x40) {
      const next = varintEnd(bytes, at, end);
      if (next === MORE) return this.bad(faults.frameShort);
      return this.bad(varintAt(bytes, at) < 0x40 ? faults.frameTypeLong : faults.frameUnknown);
    }
    this.at = at + 1;
    if (type >= STREAM && type < MAX_DATA) return this.stream(bytes, type, end);
    this.type = type === DATAGRAM_LENGTH ? DATAGRAM : type;
    if (type === DATAGRAM || type === DATAGRAM_LENGTH) return this.datagram(bytes, type, end);
    return this.other(bytes, type, end);
  }

  private bad(fault: Fault): typeof BAD {
    this.fault = fault;
    return BAD;
  }

  /** The next integer; BAD when it is not all there. */
  private number(bytes: Uint8Array, end: number): number {
    const next = varintEnd(bytes, this.at, end);
    if (next === MORE) return this.bad(faults.frameShort);
    const value = varintAt(bytes, this.at);
    this.at = next;
    return value;
  }

  /** STREAM: stream id, [offset], [length], data (RFC 9000 §19.8) */
  private stream(bytes: Uint8Array, type: number, end: number): number {
    this.type = STREAM;
    this.fin = (type & STREAM_FIN) !== 0;
    if ((this.id = this.number(bytes, end)) < 0) return BAD;
    this.offset = 0;
    if ((type & STREAM_OFFSET) !== 0 && (this.offset = this.number(bytes, end)) < 0) return BAD;
    let size = end - this.at;
    if ((type & STREAM_LENGTH) !== 0 && (size = this.number(bytes, end)) < 0) return BAD;
    return this.data(size, end);
  }

  private data(size: number, end: number): number {
    this.dataStart = this.at;
    this.dataEnd = this.at + size;
    if (this.dataEnd > end) return this.bad(faults.frameShort);
    if (this.offset + size >= 2 ** 62) return this.bad(faults.offsetTooLarge);
    return this.dataEnd;
  }

  /** DATAGRAM: [length], data (RFC 9221 §4) */
  private datagram(bytes: Uint8Array, type: number, end: number): number {
    this.offset = 0;
    let size = end - this.at;
    if (type === DATAGRAM_LENGTH && (size = this.number(bytes, end)) < 0) return BAD;
    return this.data(size, end);
  }

  private other(bytes: Uint8Array, type: number, end: number): number {
    switch (type) {
      case PING:
      case HANDSHAKE_DONE:
        return this.at;
      case ACK:
      case ACK_ECN:
        return this.ack(bytes, type, end);
      case RESET_STREAM:
        // stream id, error code, final size (RFC 9000 §19.4)
        if ((this.id = this.number(bytes, end)) < 0 || (this.code = this.number(bytes, end)) < 0) return BAD;
        return this.valued(bytes, end);
      case STOP_SENDING:
        // stream id, error code (RFC 9000 §19.5)
        if ((this.id = this.number(bytes, end)) < 0 || (this.code = this.number(bytes, end)) < 0) return BAD;
        return this.at;
      case CRYPTO: {
        // offset, length, data (RFC 9000 §19.6)
        if ((this.offset = this.number(bytes, end)) < 0) return BAD;
        const size = this.number(bytes, end);
        return size < 0 ? BAD : this.data(size, end);
      }
      case NEW_TOKEN: {
        const size = this.number(bytes, end);
        if (size < 0) return BAD;
        this.offset = 0;
        return size === 0 ? this.bad(faults.tokenEmpty) : this.data(size, end);
      }
      case MAX_STREAM_DATA:
      case STREAM_DATA_BLOCKED:
        if ((this.id = this.number(bytes, end)) < 0) return BAD;
        return this.valued(bytes, end);
      case MAX_DATA:
      case DATA_BLOCKED:
      case RETIRE_CONNECTION_ID:
        return this.valued(bytes, end);
      case MAX_STREAMS_TWO_WAY:
      case MAX_STREAMS_ONE_WAY:
      case STREAMS_BLOCKED_TWO_WAY:
      case STREAMS_BLOCKED_ONE_WAY: {
        const { at } = this;
        if (this.valued(bytes, end) === BAD) return BAD;
        return isBeyondStreams(bytes, at) ? this.bad(faults.streamsTooMany) : this.at;
      }
      case NEW_CONNECTION_ID:
        return this.connectionId(bytes, end);
      case PATH_CHALLENGE:
      case PATH_RESPONSE:
        this.offset = 0;
        return this.data(8, end);
      case CONNECTION_CLOSE:
      case APPLICATION_CLOSE: {
        // error code, [frame type], reason length, reason (RFC 9000 §19.19)
        if ((this.code = this.number(bytes, end)) < 0) return BAD;
        if (type === CONNECTION_CLOSE && this.valued(bytes, end) === BAD) return BAD;
        this.offset = 0;
        const size = this.number(bytes, end);
        return size < 0 ? BAD : this.data(size, end);
      }
      default:
        return this.bad(faults.frameUnknown);
    }
  }

  private valued(bytes: Uint8Array, end: number): number {
    return (this.value = this.number(bytes, end)) < 0 ? BAD : this.at;
  }

  /** NEW_CONNECTION_ID: sequence number, retire prior to, length, id, token of 16 bytes (RFC 9000 §19.15) */
  private connectionId(bytes: Uint8Array, end: number): number {
    if (this.valued(bytes, end) === BAD || (this.retirePriorTo = this.number(bytes, end)) < 0) return BAD;
    if (this.at >= end) return this.bad(faults.frameShort);
    const size = bytes[this.at++]!;
    if (size < 1 || size > 20) return this.bad(faults.connectionIdLength);
    if (this.retirePriorTo > this.value) return this.bad(faults.retireBeyond);
    this.dataStart = this.at;
    this.dataEnd = this.tokenAt = this.at + size;
    return this.tokenAt + 16 > end ? this.bad(faults.frameShort) : this.tokenAt + 16;
  }

  /** ACK: largest, delay, range count, first range, (gap, range)..., [ECT(0), ECT(1), CE] (RFC 9000 §19.3) */
  private ack(bytes: Uint8Array, type: number, end: number): number {
    const { ranges } = this;
    ranges.length = 0;
    let largest = this.number(bytes, end);
    if (largest < 0 || (this.delay = this.number(bytes, end)) < 0) return BAD;
    const count = this.number(bytes, end);
    if (count < 0) return BAD;
    let length = this.number(bytes, end);
    if (length < 0) return BAD;
    for (let index = 0; ; index++) {
      const smallest = largest - length;
      if (smallest < 0) return this.bad(faults.ackRange);
      if (index < RANGES_MAX) ranges.push(smallest, largest);
      if (index === count) break;
      const gap = this.number(bytes, end);
      if (gap < 0 || (length = this.number(bytes, end)) < 0) return BAD;
      largest = smallest - gap - 2;
      if (largest < 0) return this.bad(faults.ackRange);
    }
    if (type === ACK) return this.at;
    this.type = ACK_ECN;
    if ((this.ect0 = this.number(bytes, end)) < 0 || (this.ect1 = this.number(bytes, end)) < 0) return BAD;
    return (this.ce = this.number(bytes, end)) < 0 ? BAD : this.at;
  }
}
