// The head of the answer to a client's handshake, read in one piece: a status and fields. A client speaks to a server that
// it chose; it reads no more of HTTP than this.
import { BAD, latin1, MORE } from '../../bytes/reader.ts';
import { Fields } from '../../core/fields.ts';

const LF = 0x0a;
const CR = 0x0d;

export class AnswerReader {
  status = 0;
  reason = '';
  fields = new Fields();
  /** How far the end was searched for, from the start. */
  private searched = 0;

  /** The index behind the head, MORE or BAD. What is offered again begins at the same byte. */
  read(input: Uint8Array, start: number, end: number): number {
    for (let at = start + this.searched; at < end; at++) {
      if (input[at] !== LF) continue;
      const before = input[at - 1] === CR ? at - 2 : at - 1;
      if (at - start < 2 || input[before] !== LF) continue;
      this.searched = 0;
      return this.parse(latin1(input, start, before)) ? at + 1 : BAD;
    }
    this.searched = end - start;
    return MORE;
  }

  /** Whether what has come may become an answer. */
  static mayBegin(input: Uint8Array, start: number, end: number): boolean {
    const head = 'HTTP/1.1 ';
    for (let at = 0; at < head.length && start + at < end; at++)
      if (input[start + at] !== head.charCodeAt(at)) return false;
    return true;
  }

  private parse(head: string): boolean {
    const [first, ...rest] = head.replace(/\r$/, '').split(/\r?\n/);
    const line = /^HTTP\/1\.1 (\d{3})(?: (.*))?$/.exec(first!);
    if (line === null) return false;
    this.status = Number(line[1]);
    this.reason = line[2] ?? '';
    this.fields = new Fields();
    for (const text of rest) {
      const field = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(text);
      if (field === null) return false;
      this.fields.append(field[1]!, field[2]!);
    }
    return true;
  }
}
