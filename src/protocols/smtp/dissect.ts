// Conversations of SMTP as labelled pieces for the inspector: commands of the client, the lines of its messages, replies of the
// server. What is said to sign in comes out masked.
import { KeptBytes } from '../../bytes/kept.ts';
import { latin1, MORE, utf8 } from '../../bytes/reader.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import { LINE, LineReader } from '../text/line-reader.ts';
import { isSecret } from './codec.ts';

/** What is taken for one line at most. */
const LINE_MAX = 65_536;
const SHOWN = 1_024;

const VERBS = /^(?:EHLO|HELO|MAIL|RCPT|DATA|BDAT|RSET|NOOP|QUIT|VRFY|EXPN|HELP|STARTTLS|AUTH)(?=$|[\s])/i;

export function smtpDissector(direction: Direction): Dissector {
  return direction === 'in' ? new Commands() : new Replies();
}

abstract class Lines implements Dissector {
  private readonly kept = new KeptBytes();
  private readonly reader = new LineReader(LINE_MAX);
  /** The offset of the first byte that is kept, from the first ever pushed. */
  private origin = 0;
  /** Bytes of a chunk that are not lines. */
  protected skip = 0;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    const { kept, reader } = this;
    kept.append(bytes, start, end);
    while (kept.length > 0) {
      const from = kept.start;
      if (this.skip > 0) {
        const size = Math.min(this.skip, kept.length);
        found.push(this.piece('chunk', `${size} bytes`, size));
        this.skip -= size;
        this.consume(size);
        continue;
      }
      const next = reader.read(kept.bytes, from, kept.end);
      if (next === MORE) break;
      const size = next - from;
      if (reader.kind === LINE) {
        const [label, value] = this.show(kept.bytes, reader.start, reader.stop);
        found.push(this.piece(label, value, size));
      } else found.push(this.piece('a long line', `${size} bytes`, size));
      this.consume(size);
    }
    return found;
  }

  protected abstract show(bytes: Uint8Array, start: number, stop: number): readonly [label: string, value: string];

  private piece(label: string, value: string, size: number): Piece {
    return { label, value: value.slice(0, SHOWN), start: this.origin, end: this.origin + size };
  }

  private consume(size: number): void {
    this.kept.consume(this.kept.start + size);
    this.origin += size;
  }
}

class Commands extends Lines {
  private isWithin = false;
  /** The lines behind AUTH, until a command comes, are answers to challenges. */
  private isSecret = false;

  protected show(bytes: Uint8Array, start: number, stop: number): readonly [string, string] {
    const text = utf8(bytes, start, Math.min(stop, start + SHOWN));
    if (this.isWithin) {
      if (text === '.') this.isWithin = false;
      return text === '.' ? ['end of data', ''] : ['line', text];
    }
    const verb = VERBS.exec(text)?.[0].toUpperCase();
    // What is not known may be a password with a slip before it.
    if (verb === undefined) return [this.isSecret ? 'response' : 'unknown command', MASKED];
    const argument = text.slice(verb.length).trim();
    this.isSecret = verb === 'AUTH';
    if (verb === 'DATA') this.isWithin = true;
    if (verb === 'BDAT') this.skip = Math.min(Number.MAX_SAFE_INTEGER, Number(/^\d+/.exec(argument)?.[0] ?? 0));
    if (isSecret(bytes, start, stop)) return [verb, `${/^\S+/.exec(argument)?.[0] ?? ''} ${MASKED}`];
    return [verb, argument];
  }
}

class Replies extends Lines {
  protected show(bytes: Uint8Array, start: number, stop: number): readonly [string, string] {
    const code = latin1(bytes, start, Math.min(stop, start + 3));
    const isReply =
      /^[2-5]\d\d$/.test(code) && (stop === start + 3 || /[ -]/.test(String.fromCharCode(bytes[start + 3]!)));
    const text = utf8(bytes, isReply ? Math.min(stop, start + 4) : start, Math.min(stop, start + SHOWN));
    // SCRAM's messages are of no use to whoever sees them, and still nobody's business.
    return isReply ? [code, code === '334' && text !== '' ? MASKED : text] : ['line', text];
  }
}
