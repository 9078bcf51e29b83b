// Bodies of services over REST as pieces for the inspector: lines as they are, cut where they are long.
import { KeptBytes } from '../../bytes/kept.ts';
import { utf8 } from '../../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../../core/tap.ts';

const SHOWN = 256;
const LINE_MOST = 65_536;
const LF = 0x0a;

export function openapiDissector(direction: Direction, _joinedLate: boolean): Dissector {
  return new Lines(direction === 'in' ? 'input' : 'output');
}

class Lines implements Dissector {
  private readonly label: string;
  private readonly kept = new KeptBytes();
  private origin = 0;

  constructor(label: string) {
    this.label = label;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const { kept, label } = this;
    const found: Piece[] = [];
    kept.append(bytes, start, end);
    while (kept.length > 0) {
      const line = kept.bytes.indexOf(LF, kept.start);
      const isWhole = line >= 0 && line < kept.end;
      // A body of one value has no line feed: what a chunk brought is shown.
      const next = isWhole ? line + 1 : kept.length < LINE_MOST ? kept.end : kept.start + LINE_MOST;
      const stop = Math.min(isWhole ? line : next, kept.start + SHOWN);
      const value = utf8(kept.bytes, kept.start, stop) + (stop < (isWhole ? line : next) ? '…' : '');
      const size = next - kept.start;
      found.push({ label, value, start: this.origin, end: this.origin + size });
      this.origin += size;
      kept.consume(next);
    }
    return found;
  }
}
