// The bodies of calls as pieces for the inspector: each message with its flags and length. Bodies that have no such prefix,
// those of unary Connect, look like what they are: one piece that is not told apart.
import { u32 } from '../../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../../core/tap.ts';
import { COMPRESSED, CONNECT_END, PREFIX, WEB_TRAILERS } from './codec.ts';

/** Of a message so much is shown. */
const SHOWN = 64;

export function grpcDissector(_direction: Direction, _joinedLate: boolean): Dissector {
  return new Envelopes();
}

class Envelopes implements Dissector {
  private origin = 0;
  private readonly prefix = Buffer.alloc(PREFIX);
  private filled = 0;
  /** What of the message is still to come. */
  private left = 0;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    for (let at = start; at < end; ) {
      const size = this.left > 0 ? Math.min(this.left, end - at) : Math.min(PREFIX - this.filled, end - at);
      if (this.left > 0) {
        found.push({ label: 'bytes', value: shown(bytes, at, at + size), start: this.origin, end: this.origin + size });
        this.left -= size;
      } else {
        this.prefix.set(bytes.subarray(at, at + size), this.filled);
        this.filled += size;
        if (this.filled === PREFIX) found.push(this.message(this.origin + size));
      }
      this.origin += size;
      at += size;
    }
    return found;
  }

  private message(end: number): Piece {
    this.filled = 0;
    this.left = u32(this.prefix, 1);
    const flags = this.prefix[0]!;
    const label = flags & WEB_TRAILERS ? 'trailers' : flags & CONNECT_END ? 'end' : 'message';
    const value = `${this.left} bytes${flags & COMPRESSED ? ', compressed' : ''}`;
    return { label, value, start: end - PREFIX, end };
  }
}

function shown(bytes: Uint8Array, start: number, end: number): string {
  const stop = Math.min(end, start + SHOWN);
  return Buffer.from(bytes.subarray(start, stop)).toString('hex') + (stop < end ? '…' : '');
}
