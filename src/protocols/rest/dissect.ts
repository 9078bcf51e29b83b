// The bodies of the topics over HTTP as pieces for the inspector: lines of NDJSON as the objects that they are, anything
// else as it came.
import { KeptBytes } from '../../bytes/kept.ts';
import { utf8 } from '../../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../../core/tap.ts';

/** Of a line or a piece of a payload, so much is shown. */
const SHOWN = 256;

/** A line that is longer is shown before its end has come. */
const LINE_MOST = 65_536;

export function restDissector(direction: Direction, _joinedLate: boolean): Dissector {
  return direction === 'in' ? new Payload() : new Lines();
}

/** What a client sends is a payload, whose bytes may be anything. */
class Payload implements Dissector {
  private origin = 0;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    if (end === start) return [];
    const from = this.origin;
    this.origin += end - start;
    return [{ label: 'payload', value: shown(bytes, start, end), start: from, end: this.origin }];
  }
}

class Lines implements Dissector {
  private readonly kept = new KeptBytes();
  private origin = 0;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const { kept } = this;
    const found: Piece[] = [];
    kept.append(bytes, start, end);
    while (kept.length > 0) {
      const lineFeed = kept.bytes.indexOf(0x0a, kept.start);
      const whole = lineFeed >= 0 && lineFeed < kept.end;
      if (!whole && kept.length < LINE_MOST) break;
      const next = whole ? lineFeed + 1 : kept.end;
      const size = next - kept.start;
      const value = shown(kept.bytes, kept.start, whole ? lineFeed : next);
      const label = value.startsWith('{"gap"') ? 'gap' : value.startsWith('{') ? 'message' : 'value';
      found.push({ label, value, start: this.origin, end: this.origin + size });
      this.origin += size;
      kept.consume(next);
    }
    return found;
  }
}

/** Bytes as text where they look like it, else in hex. */
function shown(bytes: Uint8Array, start: number, end: number): string {
  const stop = Math.min(end, start + SHOWN);
  const rest = stop < end ? '…' : '';
  for (let at = start; at < stop; at++)
    if (bytes[at]! < 0x20 || bytes[at] === 0x7f)
      return `${Buffer.from(bytes.subarray(start, stop)).toString('hex')}${rest}`;
  return `${utf8(bytes, start, stop)}${rest}`;
}
