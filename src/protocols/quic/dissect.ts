// Packets as labelled pieces for the inspector: the frames of each, out of what a watched connection shows, and what the
// connection says of itself. Contents of streams belong to the protocol on them, whose dissectors are handed in; in packets
// they are told by their number of bytes, and tokens are masked.
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
  HANDSHAKE_DONE,
  MAX_STREAM_DATA,
  NEW_CONNECTION_ID,
  NEW_TOKEN,
  PADDING,
  PATH_CHALLENGE,
  PATH_RESPONSE,
  PING,
  RESET_STREAM,
  STOP_SENDING,
  STREAM,
  STREAM_DATA_BLOCKED,
} from './codec/frames.ts';
import { NEWS, type News, SHOWN_HEAD } from './codec/shown.ts';
import { ShownStreams, type StreamsOf } from './dissect-streams.ts';

const LEVELS = ['Initial', '0-RTT', 'Handshake', '1-RTT'] as const;
const ONE_RTT = 3;
const RANGES_SHOWN = 32;
const NO_STREAMS: StreamsOf = () => null;

/** @param streamsOf who reads what is said on the streams, by the protocol's name */
export function quicDissector(
  _direction: Direction,
  joinedLate: boolean,
  streamsOf: StreamsOf = NO_STREAMS,
): Dissector {
  return new Packets(joinedLate, streamsOf);
}

class Packets implements Dissector {
  private readonly kept = new KeptBytes();
  private readonly reader = new FrameReader();
  private readonly streams: ShownStreams;
  private origin = 0;
  private isLost = false;
  /** What was last said of the window. */
  private recovery = '';
  /** What is said on the streams of the packet at hand. */
  private above: Piece[] = [];

  constructor(joinedLate: boolean, streamsOf: StreamsOf) {
    this.streams = new ShownStreams(joinedLate, streamsOf);
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    const { kept } = this;
    kept.append(bytes, start, end);
    while (!this.isLost && kept.length >= SHOWN_HEAD) {
      const kind = kept.bytes[kept.start]!;
      if (kind > NEWS) {
        this.isLost = true;
        found.push({ ...this.piece('not QUIC', `${kept.length} bytes`, 0, kept.length), hidden: true });
        break;
      }
      const size = SHOWN_HEAD + u16(kept.bytes, kept.start + 9);
      if (kept.length < size) break;
      if (kind === NEWS) this.news(size, found);
      else this.packet(kind, size, found);
      this.origin += size;
      kept.consume(kept.start + size);
    }
    if (this.isLost) {
      this.origin += kept.length;
      kept.clear();
    }
    return found;
  }

  private news(size: number, found: Piece[]): void {
    const { bytes, start } = this.kept;
    const [label, value, more] = newsOf(utf8(bytes, start + SHOWN_HEAD, start + size));
    if (label === '' || (label === 'recovery' && value === this.recovery)) return;
    if (label === 'recovery') this.recovery = value;
    const pieces = more.map(([name, said]) => this.piece(name, said, SHOWN_HEAD, size));
    found.push({ ...this.piece(label, value, 0, size), size: 0, pieces });
  }

  private packet(kind: number, size: number, found: Piece[]): void {
    const { bytes, start } = this.kept;
    const number = u16(bytes, start + 1) * 0x1_0000_0000 + u32(bytes, start + 3);
    const from = SHOWN_HEAD + bytes[start + 11]!;
    const speaks = utf8(bytes, start + SHOWN_HEAD, start + from);
    this.above = [];
    const pieces = this.frames(kind, speaks, from, size);
    const value = `${number}: ${pieces.map(({ label, value: said }) => inShort(label, said)).join(', ')}`;
    found.push({ ...this.piece(LEVELS[kind]!, value, 0, size), size: u16(bytes, start + 7), pieces });
    for (const piece of this.above)
      found.push({ ...piece, start: this.origin + size, end: this.origin + size, size: piece.end - piece.start });
  }

  private frames(level: number, speaks: string, from: number, size: number): Piece[] {
    const { kept, reader } = this;
    const { bytes, start } = kept;
    const pieces: Piece[] = [];
    for (let at = start + from; at < start + size; ) {
      const next = reader.read(bytes, at, start + size);
      if (next < 0) {
        pieces.push({ ...this.piece('malformed', reader.fault?.text ?? '', at - start, size), hidden: true });
        break;
      }
      const label = FRAME_NAMES[reader.type] ?? String(reader.type);
      const secret = this.secret(level, start);
      const whole = this.piece(label, this.value(bytes, next - at), at - start, next - start);
      pieces.push(secret === null ? whole : { ...whole, pieces: [secret] });
      if (reader.type === STREAM)
        this.above.push(
          ...this.streams.read(speaks, reader.id, reader.offset, bytes, reader.dataStart, reader.dataEnd, reader.fin),
        );
      else if (reader.type === RESET_STREAM) this.streams.drop(reader.id);
      at = next;
    }
    return pieces;
  }

  /** What of a frame is not to be seen as bytes: contents of streams, tickets, what resets a connection. */
  private secret(level: number, start: number): Piece | null {
    const { type, dataStart, dataEnd, tokenAt } = this.reader;
    const hidden = (label: string, from: number, to: number): Piece => ({
      ...this.piece(label, `${to - from} bytes`, from - start, to - start),
      hidden: true,
    });
    if (type === STREAM || type === DATAGRAM || (type === CRYPTO && level === ONE_RTT))
      return hidden('data', dataStart, dataEnd);
    return type === NEW_CONNECTION_ID ? hidden('stateless reset token', tokenAt, tokenAt + 16) : null;
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
        for (let index = 0; index < Math.min(reader.ranges.length, RANGES_SHOWN); index += 2)
          ranges.push(`${reader.ranges[index]}-${reader.ranges[index + 1]}`);
        const marks = reader.type === ACK ? '' : `, ECT(0) ${reader.ect0} ECT(1) ${reader.ect1} CE ${reader.ce}`;
        return `${ranges.join(' ')}${marks}`;
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
      case MAX_STREAM_DATA:
      case STREAM_DATA_BLOCKED:
        return `${reader.id}: ${reader.value}`;
      case HANDSHAKE_DONE:
        return '';
      default:
        return String(reader.value);
    }
  }

  /** `start` and `end` count from the first byte that is kept. */
  private piece(label: string, value: string, start: number, end: number): Piece {
    return { label, value, start: this.origin + start, end: this.origin + end };
  }
}

/** A frame within the line of its packet. */
function inShort(label: string, value: string): string {
  if (label === 'PADDING' || value === '' || value === MASKED) return label;
  return `${label} ${value}`;
}

function newsOf(text: string): News {
  try {
    const news: unknown = JSON.parse(text);
    if (Array.isArray(news) && Array.isArray(news[2])) return news as unknown as News;
  } catch {}
  return ['', '', []];
}
