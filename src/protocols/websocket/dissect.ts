// The codec again, as labelled pieces for the inspector: frames of a client unmasked, close codes by name, compressed
// messages with what they say.
import { KeptBytes } from '../../bytes/kept.ts';
import { BAD, copyOf, isUtf8, MORE, u16, utf8 } from '../../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../../core/tap.ts';
import * as C from './codec.ts';
import { codeName } from './codes.ts';
import { COMPRESSED_MAX, SeenDeflate } from './dissect-deflate.ts';

/** Payloads are shown up to here. */
const SHOWN = 64;

/** A frame is shown once this much of its payload has come; the rest is passed over. */
const WAITED = 125;

const NAMES: Readonly<Record<number, string>> = {
  [C.CONTINUATION]: 'continuation',
  [C.TEXT]: 'text',
  [C.BINARY]: 'binary',
  [C.CLOSE]: 'close',
  [C.PING]: 'ping',
  [C.PONG]: 'pong',
};

/** @param direction `in` is what a client says: masked */
export function webSocketDissector(direction: Direction, joinedLate: boolean): Dissector {
  return new Frames(direction === 'in', joinedLate);
}

class Frames implements Dissector {
  private readonly reader: C.FrameReader;
  private readonly masked: boolean;
  private readonly kept = new KeptBytes();
  /** The offset of the first byte that is kept, from the first ever pushed. */
  private origin = 0;
  /** Bytes of a payload that are not looked at. */
  private left = 0;
  private lost = false;
  private readonly joinedLate: boolean;
  /** Once something was compressed. */
  private deflate: SeenDeflate | null = null;
  /** The message whose frames come is compressed. */
  private compressed = false;

  constructor(masked: boolean, joinedLate: boolean) {
    this.masked = masked;
    this.joinedLate = joinedLate;
    this.reader = new C.FrameReader(masked, true);
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    const passed = Math.min(this.left, end - start);
    this.left -= passed;
    this.origin += passed;
    if (start + passed < end) this.kept.append(bytes, start + passed, end);
    while (this.kept.length > 0) {
      const { kept, reader } = this;
      const body = this.lost ? BAD : reader.read(kept.bytes, kept.start, kept.end);
      if (body === MORE) break;
      if (body === BAD) {
        // Shown once: what follows may be anything.
        const { length } = kept;
        if (!this.lost)
          found.push({ ...this.at(0, length), label: 'not a frame', value: reader.fault!.text, hidden: true });
        this.lost = true;
        this.drop(length);
        break;
      }
      if (kept.end - body < Math.min(reader.length, this.wanted())) break;
      found.push(this.frame(body));
      const size = body - kept.start + reader.length;
      const here = Math.min(size, kept.length);
      this.left = size - here;
      this.drop(here);
    }
    return found;
  }

  /** How much of a frame's payload is looked at: of one that is compressed all, or nothing can be read. */
  private wanted(): number {
    const { opcode, compressed, length } = this.reader;
    if (opcode >= C.CLOSE) return WAITED;
    if (opcode !== C.CONTINUATION) this.compressed = compressed;
    return this.compressed && length <= COMPRESSED_MAX ? length : WAITED;
  }

  private frame(body: number): Piece {
    const { kept, reader } = this;
    const head = body - kept.start;
    const { opcode, fin, compressed, length, key } = reader;
    const payload = copyOf(kept.bytes, body, Math.min(kept.end, body + Math.min(length, this.wanted())));
    C.applyKey(payload, 0, payload.length, key);
    const pieces: Piece[] = [
      { ...this.at(0, 1), label: 'fin', value: fin ? 'yes' : 'no' },
      { ...this.at(0, 1), label: 'opcode', value: NAMES[opcode]! },
    ];
    if (compressed) pieces.push({ ...this.at(0, 1), label: 'rsv1', value: 'compressed' });
    const keySize = this.masked ? 4 : 0;
    pieces.push({ ...this.at(1, head - keySize), label: 'length', value: String(length) });
    if (this.masked)
      pieces.push({ ...this.at(head - 4, head), label: 'key', value: (key >>> 0).toString(16).padStart(8, '0') });
    const size = head + length;
    let value = this.compressed && opcode < C.CLOSE ? this.inflated(payload, length, fin) : shown(payload, length);
    if (opcode === C.CLOSE && length >= 2) {
      const code = u16(payload, 0);
      const reason = payload.subarray(2).toString('utf8');
      value = `${code} ${codeName(code)}${reason === '' ? '' : `: ${reason}`}`;
      pieces.push({ ...this.at(head, head + 2), label: 'code', value: `${code} ${codeName(code)}` });
      if (reason !== '') pieces.push({ ...this.at(head + 2, size), label: 'reason', value: reason });
    } else if (length > 0) pieces.push({ ...this.at(head, size), label: 'payload', value });
    return { ...this.at(0, size), label: NAMES[opcode]!, value, pieces };
  }

  /** What a compressed message says, with its last frame; before that only that there is more to come. */
  private inflated(payload: Buffer, length: number, fin: boolean): string {
    this.deflate ??= new SeenDeflate(this.joinedLate);
    if (payload.length === length) this.deflate.add(payload);
    else this.deflate.skip();
    if (!fin) return `${length} bytes, compressed; more follows`;
    const text = this.deflate.end();
    return typeof text === 'string' ? `${length} bytes, compressed: ${text}` : shown(text, text.length);
  }

  private drop(size: number): void {
    this.kept.consume(this.kept.start + size);
    this.origin += size;
  }

  /** `start` and `end` count from the first byte that is kept. */
  private at(start: number, end: number): { start: number; end: number } {
    return { start: this.origin + start, end: this.origin + end };
  }
}

/** Bytes as text where they look like it, else in hex. */
function shown(bytes: Buffer, length: number): string {
  const end = Math.min(bytes.length, SHOWN);
  const rest = end < length ? '…' : '';
  for (let at = 0; at < end; at++)
    if (bytes[at]! < 0x20 || bytes[at] === 0x7f) return `${bytes.toString('hex', 0, end)}${rest}`;
  let cut = end;
  // A character that is cut off is left out.
  if (rest !== '') while (cut > end - 4 && !isUtf8(bytes, 0, cut)) cut--;
  return isUtf8(bytes, 0, cut) ? `${utf8(bytes, 0, cut)}${rest}` : `${bytes.toString('hex', 0, end)}${rest}`;
}
