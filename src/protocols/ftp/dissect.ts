// The codec again, as labelled pieces for the inspector: commands of the client, replies of the server. Passwords come out
// masked.
import { KeptBytes } from '../../bytes/kept.ts';
import { latin1, MORE, utf8 } from '../../bytes/reader.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import { LINE, LineReader } from '../text/line-reader.ts';
import { CommandLine } from './codec.ts';
import { COMMANDS, NOT_DONE } from './commands.ts';

/** What is taken for one line at most. */
const LINE_MAX = 65_536;
const SHOWN = 1_024;

export function ftpDissector(direction: Direction): Dissector {
  return new Lines(direction === 'in' ? commandPiece : replyPiece);
}

type Show = (bytes: Uint8Array, start: number, stop: number, origin: number, size: number) => Piece | null;

class Lines implements Dissector {
  private readonly kept = new KeptBytes();
  private readonly reader = new LineReader(LINE_MAX);
  private readonly show: Show;
  /** The offset of the first byte that is kept, from the first ever pushed. */
  private origin = 0;

  constructor(show: Show) {
    this.show = show;
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
      const piece =
        reader.kind === LINE
          ? this.show(kept.bytes, reader.start, reader.stop, this.origin, size)
          : {
              label: 'not FTP',
              value: `${size} bytes`,
              start: this.origin,
              end: this.origin + size,
              hidden: true as const,
            };
      if (piece !== null) found.push(piece);
      kept.consume(next);
      this.origin += size;
    }
    return found;
  }
}

function commandPiece(bytes: Uint8Array, start: number, stop: number, origin: number, size: number): Piece | null {
  if (start === stop) return null;
  const line = new CommandLine();
  line.read(bytes, start, stop, null);
  const { verb, argument } = line;
  const isKnown = COMMANDS.has(verb) || NOT_DONE.has(verb);
  // What is not known may be a PASS with a slip in it.
  const shown = !isKnown || verb === 'PASS' || verb === 'ACCT' ? (argument === '' && isKnown ? '' : MASKED) : argument;
  const label = isKnown ? verb : 'unknown command';
  return { label, value: shown.slice(0, SHOWN), start: origin, end: origin + size };
}

function replyPiece(bytes: Uint8Array, start: number, stop: number, origin: number, size: number): Piece {
  const code = latin1(bytes, start, Math.min(stop, start + 3));
  const isReply =
    /^[1-5]\d\d$/.test(code) && (stop === start + 3 || bytes[start + 3] === 0x20 || bytes[start + 3] === 0x2d);
  const from = isReply ? Math.min(stop, start + 4) : start;
  const value = utf8(bytes, from, Math.min(stop, from + SHOWN));
  return { label: isReply ? code : 'line', value, start: origin, end: origin + size };
}
