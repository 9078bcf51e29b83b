// A stream of events as pieces for the inspector. What clients send has no body.
import { KeptBytes } from '../../bytes/kept.ts';
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../../core/tap.ts';
import { EventReader } from './codec.ts';

/** Of data so much is shown. */
const SHOWN = 256;

const EVENT_MAX = 1_048_576;

export function sseDissector(direction: Direction, joinedLate: boolean): Dissector {
  return direction === 'in' ? { push: () => [] } : new Events(joinedLate);
}

class Events implements Dissector {
  private readonly kept = new KeptBytes();
  private readonly reader = new EventReader(EVENT_MAX);
  private origin = 0;
  /** The rest of an event whose beginning was not seen, or that is too long, is passed over. */
  private late: boolean;

  constructor(joinedLate: boolean) {
    this.late = joinedLate;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const { kept, reader } = this;
    const found: Piece[] = [];
    kept.append(bytes, start, end);
    while (kept.length > 0) {
      const { id } = reader;
      const next = reader.read(kept.bytes, kept.start, kept.end);
      if (next === MORE) break;
      const size = (next === BAD ? kept.end : next) - kept.start;
      if (next === BAD) found.push(this.piece('event', 'too long to be shown', size));
      else if (this.late) found.push(this.piece('event', 'its beginning was not seen', size));
      else found.push(this.show(size, id));
      this.late = next === BAD;
      this.origin += size;
      kept.consume(kept.start + size);
    }
    return found;
  }

  private show(size: number, formerId: string): Piece {
    const { type, data, id, isEvent, comments } = this.reader;
    const pieces: Piece[] = [];
    if (id !== formerId) pieces.push(this.piece('id', id, size));
    if (isEvent) pieces.push(this.piece('data', data.length > SHOWN ? `${data.slice(0, SHOWN)}…` : data, size));
    for (const comment of comments) pieces.push(this.piece('comment', comment, size));
    return { ...this.piece(isEvent ? 'event' : 'no event', isEvent ? type : '', size), pieces };
  }

  private piece(label: string, value: string, size: number): Piece {
    return { label, value, start: this.origin, end: this.origin + size };
  }
}
