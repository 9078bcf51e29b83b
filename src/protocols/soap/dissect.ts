// Messages as pieces for the inspector: the elements of the envelope as they begin, down to the fields of the operation, with
// what passwords say left out.
import { KeptBytes } from '../../bytes/kept.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';

/** What is longer than this without an end of an element is shown as it is. */
const KEPT_MAX = 65_536;
const SHOWN = 256;

export function soapDissector(_direction: Direction, _joinedLate: boolean): Dissector {
  return new Elements();
}

class Elements implements Dissector {
  private readonly kept = new KeptBytes();
  private origin = 0;
  private isSecret = false;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const { kept } = this;
    kept.append(bytes, start, end);
    const found: Piece[] = [];
    while (kept.length > 0) {
      const tag = kept.bytes[kept.start] === 0x3c;
      const stop = kept.bytes.indexOf(tag ? 0x3e : 0x3c, kept.start);
      const whole = stop >= 0 && stop < kept.end;
      if (!whole && kept.length < KEPT_MAX) break;
      const next = whole ? (tag ? stop + 1 : stop) : kept.end;
      this.show(found, tag, next);
      kept.consume(next);
    }
    return found;
  }

  private show(found: Piece[], tag: boolean, next: number): void {
    const { kept, origin } = this;
    const size = next - kept.start;
    const text = kept.bytes.toString('utf8', kept.start, Math.min(next, kept.start + SHOWN));
    this.origin += size;
    const value = size > SHOWN ? `${text}…` : text;
    if (tag) {
      this.isSecret = /^<(?:[\w.-]+:)?(?:Password|Nonce)[\s>]/.test(text);
      found.push({ label: /^<[/!?]/.test(text) ? 'tag' : 'element', value, start: origin, end: this.origin });
    } else if (text.trim() !== '')
      found.push({ label: 'text', value: this.isSecret ? MASKED : value, start: origin, end: this.origin });
  }
}
