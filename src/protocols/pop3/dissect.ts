// POP3 as labelled pieces for the inspector: commands of the client, replies of the server. Passwords, and what answers a
// challenge, come out masked.
import { KeptBytes } from '../../bytes/kept.ts';
import { latin1, MORE, utf8 } from '../../bytes/reader.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import { LINE, LineReader } from '../text/line-reader.ts';
import { COMMANDS } from './session.ts';

/** What is taken for one line at most. */
const LINE_MAX = 65_536;
const SHOWN = 1_024;

export function pop3Dissector(direction: Direction): Dissector {
  return new Lines(direction);
}

class Lines implements Dissector {
  private readonly direction: Direction;
  private readonly kept = new KeptBytes();
  private readonly reader = new LineReader(LINE_MAX);
  private origin = 0;

  constructor(direction: Direction) {
    this.direction = direction;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    const { kept, reader } = this;
    kept.append(bytes, start, end);
    while (kept.length > 0) {
      const from = kept.start;
      const next = reader.read(kept.bytes, from, kept.end);
      if (next === MORE) break;
      const size = next - from;
      const stretch = { start: this.origin, end: this.origin + size };
      if (reader.kind !== LINE) found.push({ label: 'not POP3', value: `${size} bytes`, ...stretch, hidden: true });
      else if (this.direction === 'in') found.push({ ...command(kept.bytes, reader.start, reader.stop), ...stretch });
      else found.push({ ...reply(kept.bytes, reader.start, reader.stop), ...stretch });
      kept.consume(next);
      this.origin += size;
    }
    return found;
  }
}

function command(bytes: Uint8Array, start: number, stop: number): { label: string; value: string } {
  const text = utf8(bytes, start, stop);
  const space = text.indexOf(' ');
  const verb = (space < 0 ? text : text.slice(0, space)).toUpperCase();
  // What is not known may be a password with a slip in it, or the answer to a challenge.
  if (!COMMANDS.has(verb)) return { label: 'response', value: MASKED };
  const argument = space < 0 ? '' : text.slice(space + 1);
  if (verb === 'PASS' || verb === 'APOP') return { label: verb, value: argument === '' ? '' : MASKED };
  if (verb === 'AUTH') {
    const [mechanism = '', initial] = argument.split(' ');
    return { label: verb, value: initial === undefined ? mechanism : `${mechanism} ${MASKED}` };
  }
  return { label: verb, value: argument.slice(0, SHOWN) };
}

function reply(bytes: Uint8Array, start: number, stop: number): { label: string; value: string } {
  const sign = latin1(bytes, start, Math.min(stop, start + 4));
  if (sign.startsWith('+OK')) return { label: '+OK', value: shown(bytes, start + 4, stop) };
  if (sign === '-ERR') return { label: '-ERR', value: shown(bytes, start + 5, stop) };
  // A challenge.
  if (sign.startsWith('+ ')) return { label: '+', value: stop - start > 2 ? MASKED : '' };
  return { label: 'line', value: shown(bytes, start, stop) };
}

function shown(bytes: Uint8Array, start: number, stop: number): string {
  return start >= stop ? '' : utf8(bytes, start, Math.min(stop, start + SHOWN));
}
