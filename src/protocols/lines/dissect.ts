// The codec again, as labelled pieces for the inspector: commands of the client, lines of the server. Passwords come out
// masked.
import { KeptBytes } from '../../bytes/kept.ts';
import { BAD, MORE, utf8 } from '../../bytes/reader.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import { CommandReader } from './codec.ts';
import { commandName } from './encode.ts';
import { MESSAGE, MESSAGE_HEAD, ReplyReader } from './replies.ts';
import { NAME, NOTHING, SUB, UNHEARD } from './words.ts';

/** Payloads are shown up to here. */
const SHOWN = 64;

/** What is taken for one line at most. */
const BOUNDS = { lineBytesMax: 65_536, payloadBytesMax: 268_435_455 };

export function linesDissector(direction: Direction, joinedLate: boolean): Dissector {
  return direction === 'in' ? new Commands(joinedLate) : new Replies();
}

/** Lines with raw bytes between, of either direction. */
abstract class Lines implements Dissector {
  protected readonly kept = new KeptBytes();
  /** The offset of the first byte that is kept, from the first ever pushed. */
  protected origin = 0;
  /** Raw bytes that are still to come. */
  private left = 0;
  private lost = false;

  /** Reads a line at the head of what is kept: its size, MORE or BAD. */
  protected abstract read(): number;
  /** The line of this size as a piece, and the raw bytes that follow it. */
  protected abstract show(size: number): { piece: Piece | null; body: number };

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    this.kept.append(bytes, start, end);
    while (this.kept.length > 0) {
      if (this.left > 0) {
        this.body(found);
        continue;
      }
      const size = this.lost ? BAD : this.read();
      if (size === MORE) break;
      if (size === BAD) {
        // Shown once: what follows may be anything.
        const { length } = this.kept;
        if (!this.lost) found.push({ ...this.piece('not Lines', `${length} bytes`, 0, length), hidden: true });
        this.lost = true;
        this.drop(this.kept.length);
        break;
      }
      const { piece, body } = this.show(size);
      if (piece !== null) found.push(piece);
      this.drop(size);
      this.left = body;
    }
    return found;
  }

  private body(found: Piece[]): void {
    const size = Math.min(this.left, this.kept.length);
    const { bytes, start } = this.kept;
    found.push(this.piece('bytes', shown(bytes, start, start + size), 0, size));
    this.left -= size;
    this.drop(size);
  }

  private drop(size: number): void {
    this.kept.consume(this.kept.start + size);
    this.origin += size;
  }

  /** `start` and `end` count from the first byte that is kept. */
  protected piece(label: string, value: string, start: number, end: number, pieces?: readonly Piece[]): Piece {
    const made = { label, value, start: this.origin + start, end: this.origin + end };
    return pieces === undefined ? made : { ...made, pieces };
  }
}

class Commands extends Lines {
  private reader = new CommandReader(BOUNDS);

  constructor(joinedLate: boolean) {
    super();
    if (!joinedLate) return;
    // Not the first line: it is let off the rules for that.
    this.reader.read(Buffer.from('PING\n'), 0, 5);
  }

  protected read(): number {
    const { kept, reader } = this;
    const next = reader.read(kept.bytes, kept.start, kept.end);
    return next < 0 ? next : next - kept.start;
  }

  protected show(size: number): { piece: Piece | null; body: number } {
    const { reader, kept } = this;
    const { verb, wrong, loud, topicStart, topicEnd, payloadStart, payloadEnd } = reader;
    if (verb === NOTHING) return { piece: null, body: 0 };
    const { bytes, start } = kept;
    const at = (label: string, value: string, from: number, to: number) =>
      this.piece(label, value, from - start, to - start);
    const pieces: Piece[] = [];
    if (verb !== UNHEARD) {
      if (topicEnd > topicStart) {
        const label = verb === NAME ? 'name' : verb === SUB ? 'filter' : 'topic';
        pieces.push(at(label, utf8(bytes, topicStart, topicEnd), topicStart, topicEnd));
      }
      if (payloadEnd > payloadStart) {
        const value = verb === NAME ? MASKED : shown(bytes, payloadStart, payloadEnd);
        pieces.push(at(verb === NAME ? 'password' : 'rest', value, payloadStart, payloadEnd));
      }
    }
    // What is not known may be a NAME with a slip in it.
    const label = verb === UNHEARD ? 'unknown command' : commandName(verb, loud);
    return { piece: this.piece(label, verb === UNHEARD ? MASKED : wrong, 0, size, pieces), body: reader.length };
  }
}

class Replies extends Lines {
  private readonly reader = new ReplyReader();
  /** Lines of JSON come as they are. */
  protected read(): number {
    const { kept, reader } = this;
    if (kept.bytes[kept.start] === 0x7b) {
      const end = kept.bytes.indexOf(0x0a, kept.start);
      return end < 0 || end >= kept.end ? MORE : end + 1 - kept.start;
    }
    const next = reader.read(kept.bytes, kept.start, kept.end);
    return next < 0 ? next : next - kept.start;
  }

  protected show(size: number): { piece: Piece; body: number } {
    const { kept, reader } = this;
    const { bytes, start } = kept;
    const line = utf8(bytes, start, start + Math.min(size - 1, 1_024));
    const isJson = bytes[start] === 0x7b;
    const space = isJson ? -1 : line.indexOf(' ');
    const label = isJson ? 'JSON' : space < 0 ? line : line.slice(0, space);
    // The line feed behind the raw bytes is an empty line.
    const body = !isJson && reader.kind === MESSAGE_HEAD ? reader.length + 1 : 0;
    if (!isJson && (reader.kind === MESSAGE || reader.kind === MESSAGE_HEAD))
      return { piece: this.message(line, space, size), body };
    return { piece: this.piece(label, isJson ? line : space < 0 ? '' : line.slice(space + 1), 0, size), body };
  }

  /** A line that begins with its topic, or with a word and then the topic. */
  private message(line: string, space: number, size: number): Piece {
    const { topic, kind } = this.reader;
    const topicStart = kind === MESSAGE ? 0 : space + 1;
    // As it was written, which may be longer than what it means.
    const word = line.slice(topicStart).split(' ', 1)[0]!;
    const topicEnd = topicStart + Buffer.byteLength(word);
    const pieces = [this.piece('topic', topic, topicStart, topicEnd)];
    if (kind === MESSAGE) pieces.push(this.piece('payload', line.slice(space + 1), topicEnd + 1, size - 1));
    const value = kind === MESSAGE ? '' : line.slice(space + 1);
    return this.piece(kind === MESSAGE ? 'message' : line.slice(0, space), value, 0, size, pieces);
  }
}

/** Bytes as text where they look like it, else in hex. */
function shown(bytes: Uint8Array, start: number, end: number): string {
  const stop = Math.min(end, start + SHOWN);
  const rest = stop < end ? '…' : '';
  for (let at = start; at < stop; at++)
    if (bytes[at]! < 0x20 || bytes[at]! > 0x7e)
      return `${Buffer.from(bytes.subarray(start, stop)).toString('hex')}${rest}`;
  return `${utf8(bytes, start, stop)}${rest}`;
}
