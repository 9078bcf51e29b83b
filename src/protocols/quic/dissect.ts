// Packets as labelled pieces for the inspector: the frames of each, out of what a watched connection shows. Contents of
// streams belong to the protocol on them and are told by their number of bytes; tokens are masked.
import { KeptBytes } from '../../bytes/kept.ts';
import { u16, u32, utf8 } from '../../bytes/reader.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import {
  ACK,
  ACK_ECN,
  APPLICATION_CLOSE,
  CONNECTION_CLOSE,
  CRYPTO,
  DATAGRAM,
  FRAME_NAMES,
  FrameReader,
  NEW_CONNECTION_ID,
  NEW_TOKEN,
  PADDING,
  PATH_CHALLENGE,
  PATH_RESPONSE,
  PING,
  RESET_STREAM,
  STOP_SENDING,
  STREAM,
} from './codec/frames.ts';
import { SHOWN_HEAD } from './codec/shown.ts';

const LEVELS = ['Initial', '0-RTT', 'Handshake', '1-RTT'] as const;

export function quicDissector(_direction: Direction, _joinedLate: boolean): Dissector {
  return new Packets();
}

class Packets implements Dissector {
  private readonly kept = new KeptBytes();
  private readonly reader = new FrameReader();
  private origin = 0;
  private isLost = false;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    const { kept } = this;
    kept.append(bytes, start, end);
    while (!this.isLost && kept.length >= SHOWN_HEAD) {
      const level = LEVELS[kept.bytes[kept.start]!];
      if (level === undefined) {
        this.isLost = true;
        found.push({ ...this.piece('not QUIC', `${kept.length} bytes`, 0, kept.length), hidden: true });
        break;
      }
      const size = SHOWN_HEAD + u16(kept.bytes, kept.start + 7);
      if (kept.length < size) break;
      const number = u16(kept.bytes, kept.start + 1) * 0x1_0000_0000 + u32(kept.bytes, kept.start + 3);
      found.push({ ...this.piece(level, String(number), 0, size), pieces: this.frames(size) });
      this.origin += size;
      kept.consume(kept.start + size);
    }
    if (this.isLost) {
      this.origin += kept.length;
      kept.clear();
    }
    return found;
  }

  private frames(size: number): Piece[] {
    const { kept, reader } = this;
    const { bytes, start } = kept;
    const pieces: Piece[] = [];
    for (let at = start + SHOWN_HEAD; at < start + size; ) {
      const next = reader.read(bytes, at, start + size);
      if (next < 0) {
        pieces.push({ ...this.piece('malformed', reader.fault?.text ?? '', at - start, size), hidden: true });
        break;
      }
      const label = FRAME_NAMES[reader.type] ?? String(reader.type);
      pieces.push(this.piece(label, this.value(bytes, next - at), at - start, next - start));
      at = next;
    }
    return pieces;
  }

  private value(bytes: Uint8Array, size: number): string {
    const { reader } = this;
    const count = reader.dataEnd - reader.dataStart;
    switch (reader.type) {
      case PADDING:
        return `${size} bytes`;
      case PING:
        return '';
      case ACK:
      case ACK_ECN: {
        const ranges: string[] = [];
        for (let index = 0; index < Math.min(reader.ranges.length, 16); index += 2)
          ranges.push(`${reader.ranges[index]}-${reader.ranges[index + 1]}`);
        return ranges.join(' ');
      }
      case STREAM:
        return `${reader.id}: ${count} bytes at ${reader.offset}${reader.fin ? ', end' : ''}`;
      case CRYPTO:
        return `${count} bytes at ${reader.offset}`;
      case DATAGRAM:
        return `${count} bytes`;
      case RESET_STREAM:
      case STOP_SENDING:
        return `${reader.id}: ${reader.code}`;
      case NEW_TOKEN:
        return MASKED;
      case NEW_CONNECTION_ID:
        return `${reader.value}: ${Buffer.from(bytes.subarray(reader.dataStart, reader.dataEnd)).toString('hex')}`;
      case PATH_CHALLENGE:
      case PATH_RESPONSE:
        return Buffer.from(bytes.subarray(reader.dataStart, reader.dataEnd)).toString('hex');
      case CONNECTION_CLOSE:
      case APPLICATION_CLOSE:
        return `${reader.code} ${utf8(bytes, reader.dataStart, Math.min(reader.dataEnd, reader.dataStart + 100))}`;
      default:
        return String(reader.value);
    }
  }

  /** `start` and `end` count from the first byte that is kept. */
  private piece(label: string, value: string, start: number, end: number): Piece {
    return { label, value, start: this.origin + start, end: this.origin + end };
  }
}
