// IMAP as labelled pieces for the inspector: commands and responses by line, literals by their size. Passwords, and what answers
// a challenge, come out masked.
import { KeptBytes } from '../../bytes/kept.ts';
import { MORE, utf8 } from '../../bytes/reader.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import { LINE, LineReader } from '../text/line-reader.ts';
import { type Announced, readAnnounced } from './codec.ts';
import { COMMANDS } from './commands.ts';

/** What is taken for one line at most. */
const LINE_MAX = 131_072;
const SHOWN = 1_024;

export function imapDissector(direction: Direction): Dissector {
  return new Lines(direction);
}

class Lines implements Dissector {
  private readonly direction: Direction;
  private readonly kept = new KeptBytes();
  private readonly reader = new LineReader(LINE_MAX);
  private readonly announced: Announced = { size: -1, isEager: false, isBinary: false, start: 0 };
  private origin = 0;
  /** Bytes of a literal that are still to come, and how many it has. */
  private literalLeft = 0;
  private literalSize = 0;
  /** The line goes on behind a literal: it is of a command that is masked, or of one that is not. */
  private goesOn: 'masked' | 'shown' | null = null;

  constructor(direction: Direction) {
    this.direction = direction;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    const { kept, reader } = this;
    let at = start;
    while (at < end || kept.length > 0) {
      if (this.literalLeft > 0) {
        at = this.literal(at, end, found);
        if (this.literalLeft > 0) break;
        continue;
      }
      kept.append(bytes, at, end);
      at = end;
      const from = kept.start;
      const next = reader.read(kept.bytes, from, kept.end);
      if (next === MORE) break;
      const size = next - from;
      const stretch = { start: this.origin, end: this.origin + size };
      if (reader.kind !== LINE) found.push({ label: 'not IMAP', value: `${size} bytes`, ...stretch, hidden: true });
      else found.push({ ...this.piece(kept.bytes, reader.start, reader.stop), ...stretch });
      kept.consume(next);
      this.origin += size;
      if (kept.length === 0 && at >= end) break;
    }
    return found;
  }

  /** Passes over a literal, first what is kept of it. */
  private literal(at: number, end: number, found: Piece[]): number {
    const { kept } = this;
    const ofKept = Math.min(kept.length, this.literalLeft);
    if (ofKept > 0) kept.consume(kept.start + ofKept);
    const ofNew = Math.min(end - at, this.literalLeft - ofKept);
    this.literalLeft -= ofKept + ofNew;
    this.origin += ofKept + ofNew;
    if (this.literalLeft === 0) {
      const value = `${this.literalSize} bytes`;
      found.push({ label: 'literal', value, start: this.origin - this.literalSize, end: this.origin });
    }
    return at + ofNew;
  }

  private piece(bytes: Uint8Array, start: number, stop: number): { label: string; value: string } {
    const { goesOn, announced } = this;
    readAnnounced(bytes, start, stop, announced);
    const text = utf8(bytes, start, Math.min(stop, start + SHOWN));
    const made =
      goesOn !== null
        ? { label: '…', value: goesOn === 'masked' ? MASKED : text }
        : this.direction === 'in'
          ? command(text)
          : response(text);
    if (announced.size > 0) this.literalLeft = this.literalSize = announced.size;
    this.goesOn = announced.size < 0 ? null : made.value.endsWith(MASKED) ? 'masked' : 'shown';
    return made;
  }
}

function command(text: string): { label: string; value: string } {
  if (/^done$/i.test(text)) return { label: 'DONE', value: '' };
  const parts = /^(\S+) (uid )?(\S+)(?: (.*))?$/is.exec(text);
  const verb = parts?.[3]?.toUpperCase() ?? '';
  // What is no command may be the answer to a challenge, or a LOGIN with a slip in it.
  if (parts === null || !COMMANDS.has(verb)) return { label: 'response', value: MASKED };
  const rest = parts[4] ?? '';
  const label = parts[2] === undefined ? verb : `UID ${verb}`;
  if (verb === 'LOGIN') return { label, value: MASKED };
  if (verb === 'AUTHENTICATE') {
    const [mechanism = '', initial] = rest.split(' ');
    return { label, value: initial === undefined ? mechanism : `${mechanism} ${MASKED}` };
  }
  return { label, value: rest };
}

function response(text: string): { label: string; value: string } {
  // A challenge of SASL, or words.
  if (text.startsWith('+ '))
    return { label: '+', value: /^[A-Za-z0-9+/]+=*$/.test(text.slice(2)) ? MASKED : text.slice(2) };
  const parts = /^(\S+) (\S+)(?: (.*))?$/s.exec(text);
  if (parts === null) return { label: 'line', value: text };
  return { label: parts[1] === '*' ? parts[2]! : `${parts[1]} ${parts[2]}`, value: parts[3] ?? '' };
}
