// The codec again, as labelled pieces for the inspector: messages behind their length, as they cross a stream.
import { KeptBytes } from '../../bytes/kept.ts';
import { u16 } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import { NameBuffer, nameText } from '../../formats/dns/name.ts';
import { className, expandRdata, rdataText, TYPE, typeName } from '../../formats/dns/records.ts';
import { Message } from './codec.ts';
import { optionText } from './codec-edns.ts';
import { opcodeName, rcodeName } from './wire.ts';

/** Records that are shown of one message; transfers have thousands. */
const SHOWN = 100;
const SECTIONS = ['answer', 'authority', 'additional'];

export function dnsDissector(_direction: Direction, _joinedLate: boolean): Dissector {
  return new Messages();
}

class Messages implements Dissector {
  private readonly kept = new KeptBytes();
  private origin = 0;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const { kept } = this;
    const found: Piece[] = [];
    kept.append(bytes, start, end);
    while (kept.length >= 2) {
      const size = 2 + u16(kept.bytes, kept.start);
      if (kept.length < size) break;
      found.push(messagePiece(kept.bytes, kept.start + 2, kept.start + size, this.origin - kept.start));
      kept.consume(kept.start + size);
      this.origin += size;
    }
    return found;
  }
}

/** One message; `shift` turns indices into offsets of the stream. */
export function messagePiece(bytes: Uint8Array, start: number, end: number, shift: number): Piece {
  const message = new Message();
  const at = { start: start + shift, end: end + shift };
  if (message.read(bytes, start, end) < 0)
    return { label: 'not DNS', value: `${end - start} bytes`, ...at, hidden: true };
  const pieces: Piece[] = [];
  const { qname, qtype, qclass } = message;
  if (qname.length > 0) {
    const value = `${nameText(qname.bytes)} ${className(qclass)} ${typeName(qtype)}`;
    pieces.push({ label: 'question', value, start: start + 12 + shift, end: message.questionsEnd + shift });
  }
  for (let index = 0; index < Math.min(message.count, SHOWN); index++) pieces.push(recordPiece(message, index, shift));
  if (message.count > SHOWN) pieces.push({ label: 'more', value: `${message.count - SHOWN} records`, ...at });
  const said = message.isAnswer ? rcodeName(message.rcode) : qname.length > 0 ? nameText(qname.bytes) : '';
  return {
    label: message.isAnswer ? 'answer' : opcodeName(message.opcode),
    value: `#${message.id} ${said}`,
    ...at,
    pieces,
  };
}

const NAME = new NameBuffer();

function recordPiece(message: Message, index: number, shift: number): Piece {
  const { bytes } = message;
  const [from, to] = [message.dataAt[index]!, message.dataEnd[index]!];
  const at = { start: message.owner[index]! + shift, end: to + shift };
  const type = message.type[index]!;
  if (type === TYPE.OPT) return { label: 'OPT', value: optText(message, index), ...at };
  // A signature by a shared secret is nobody else's to try.
  if (type === TYPE.TSIG) return { label: 'TSIG', value: MASKED, ...at };
  const owner = message.readOwner(index, NAME) ? nameText(NAME.bytes) : '?';
  const data = new ByteWriter(70_000);
  const whole = expandRdata(type, bytes, message.start, from, to, data);
  const text = whole ? rdataText(type, data.bytes, 0, data.length) : `${to - from} bytes`;
  data.clear();
  const value = `${owner} ${message.ttl[index]} ${typeName(type)} ${text}`;
  return { label: SECTIONS[message.sectionOf(index)]!, value, ...at };
}

function optText(message: Message, index: number): string {
  const { bytes } = message;
  const parts = [`udp ${message.udpBytes}`];
  if (message.wantsSignatures) parts.push('do');
  for (let at = message.dataAt[index]!; at < message.dataEnd[index]!; ) {
    const end = at + 4 + u16(bytes, at + 2);
    parts.push(optionText(u16(bytes, at), bytes, at + 4, end));
    at = end;
  }
  return parts.join(', ');
}
