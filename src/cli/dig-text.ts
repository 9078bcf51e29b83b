// Answers as dig prints them: header, sections in columns of tabs, EDNS, times; or short, or as JSON (RFC 8427).

import { ByteWriter } from '../bytes/writer.ts';
import { NameBuffer, nameText } from '../formats/dns/name.ts';
import { className, expandRdata, rdataText, TYPE, typeName } from '../formats/dns/records.ts';
import { ADDITIONAL, ANSWER, AUTHORITY, type Message } from '../protocols/dns/codec.ts';
import { optionText } from '../protocols/dns/codec-edns.ts';
import * as W from '../protocols/dns/wire.ts';
import type { Heard } from './dig-ask.ts';
import type { Shown } from './dig-options.ts';

const NAME = new NameBuffer();
const DATA = new ByteWriter(70_000);

/** The column behind the owner; each further one is eight later. What is not shown leaves no room. */
const OWNER_END = 24;

export interface RecordLine {
  readonly owner: string;
  readonly ttl: number;
  readonly class: number;
  readonly type: number;
  readonly data: string;
  readonly octets: Buffer;
}

export function recordOf(message: Message, index: number): RecordLine {
  const { bytes, start } = message;
  const type = message.type[index]!;
  const at = message.dataAt[index]!;
  const end = message.dataEnd[index]!;
  const owner = message.readOwner(index, NAME) ? nameText(NAME.bytes) : '<malformed>';
  DATA.cut(0);
  const whole = expandRdata(type, bytes, start, at, end, DATA);
  const octets = whole ? Buffer.from(DATA.bytes.subarray(0, DATA.length)) : Buffer.from(bytes.subarray(at, end));
  const data = whole ? rdataText(type, octets, 0, octets.length) : `\\# ${octets.length} ${octets.toString('hex')}`;
  return { owner, ttl: message.ttl[index]!, class: message.class[index]!, type, data, octets };
}

/** Goes on to a column with tabs; where it is passed already, by what brings the text one further. */
function to(text: string, column: number): string {
  let at = 0;
  for (const letter of text) at = letter === '\t' ? (at | 7) + 1 : at + 1;
  const target = Math.max(column, at + 1);
  const tabs = (target >>> 3) - (at >>> 3);
  return text + '\t'.repeat(tabs) + ' '.repeat(tabs > 0 ? target & 7 : target - at);
}

export function recordText(record: RecordLine, shown: Pick<Shown, 'ttl' | 'class'>): string {
  let column = OWNER_END;
  let line = to(record.owner, column);
  if (shown.ttl) line = to(line + record.ttl, (column += 8));
  if (shown.class) line = to(line + className(record.class), (column += 8));
  return `${to(line + typeName(record.type), column + 8)}${record.data}`;
}

export function shortText(message: Message): string {
  let text = '';
  for (let index = 0; index < message.answers; index++) text += `${recordOf(message, index).data}\n`;
  return text;
}

const FLAGS: readonly (readonly [number, string])[] = [
  [W.QR, 'qr'],
  [W.AA, 'aa'],
  [W.TC, 'tc'],
  [W.RD, 'rd'],
  [W.RA, 'ra'],
  [W.AD, 'ad'],
  [W.CD, 'cd'],
];

function flagsOf(message: Message): string {
  return FLAGS.map(([bit, name]) => ((message.flags & bit) === 0 ? '' : ` ${name}`)).join('');
}

function headerText(message: Message): string {
  const { questions, answers, authorities, additionals, id, opcode, rcode } = message;
  const counts = `QUERY: ${questions}, ANSWER: ${answers}, AUTHORITY: ${authorities}, ADDITIONAL: ${additionals}`;
  const warning =
    message.isAnswer && message.wantsRecursion && !message.offersRecursion
      ? ';; WARNING: recursion requested but not available\n'
      : '';
  return `;; ->>HEADER<<- opcode: ${W.opcodeName(opcode)}, status: ${W.rcodeName(rcode)}, id: ${id}\n;; flags:${flagsOf(message)}; ${counts}\n${warning}\n`;
}

function optText(message: Message): string {
  const index = message.opt;
  const udp = message.class[index]!;
  const flags = message.wantsSignatures ? ' do' : '';
  let text = `;; OPT PSEUDOSECTION:\n; EDNS: version: ${message.ednsVersion}, flags:${flags}; udp: ${udp}\n`;
  const { bytes } = message;
  const end = message.dataEnd[index]!;
  for (let at = message.dataAt[index]!; at + 4 <= end; ) {
    const code = (bytes[at]! << 8) | bytes[at + 1]!;
    const stop = at + 4 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
    text += `; ${optionText(code, bytes, at + 4, stop)}\n`;
    at = stop;
  }
  return text;
}

/** A message as dig prints it, without what stands below it. */
export function messageText(message: Message, shown: Shown): string {
  let text = shown.comments ? headerText(message) : '';
  if (message.opt >= 0 && shown.comments) text += optText(message);
  if (shown.question && message.questions > 0) {
    if (shown.comments) text += ';; QUESTION SECTION:\n';
    const { qname, qtype, qclass } = message;
    const column = shown.ttl && shown.class ? OWNER_END + 8 : OWNER_END;
    const line = to(to(nameText(qname.bytes), column) + className(qclass), column + 8);
    text += `;${line}${typeName(qtype)}\n${shown.comments ? '\n' : ''}`;
  }
  text += sectionText(message, ANSWER, 'ANSWER', shown.answer, shown);
  text += sectionText(message, AUTHORITY, 'AUTHORITY', shown.authority, shown);
  return text + sectionText(message, ADDITIONAL, 'ADDITIONAL', shown.additional, shown);
}

function sectionText(message: Message, section: number, name: string, wanted: boolean, shown: Shown): string {
  if (!wanted) return '';
  let text = '';
  for (let index = 0; index < message.count; index++)
    if (message.sectionOf(index) === section && message.type[index] !== TYPE.OPT)
      text += `${recordText(recordOf(message, index), shown)}\n`;
  if (text === '' || !shown.comments) return text;
  return `;; ${name} SECTION:\n${text}\n`;
}

const CARRIERS = { udp: 'UDP', tcp: 'TCP', tls: 'TLS', https: 'HTTPS', quic: 'QUIC' } as const;

export function statsText({ messages, ms, point, carrier }: Heard, named: string, transfer: number): string {
  const bytes = messages.reduce((sum, { length }) => sum + length, 0);
  const when = new Date().toUTCString().replace(/^(\w+), (\d+) (\w+) (\d+) (\S+) GMT$/, '$1 $3 $2 $5 UTC $4');
  const size =
    transfer < 0
      ? `;; MSG SIZE  rcvd: ${bytes}`
      : `;; XFR size: ${transfer} records (messages ${messages.length}, bytes ${bytes})`;
  return (
    `;; Query time: ${Math.round(ms)} msec\n;; SERVER: ${point.host}#${point.port}(${named}) (${CARRIERS[carrier]})\n` +
    `;; WHEN: ${when}\n${size}\n\n`
  );
}

/** One message in the members of RFC 8427 §2. */
export function messageJson(message: Message, { ms, point, carrier }: Heard): string {
  const section = (wanted: number) => {
    const records: unknown[] = [];
    for (let index = 0; index < message.count; index++) {
      if (message.sectionOf(index) !== wanted || message.type[index] === TYPE.OPT) continue;
      const { owner, ttl, class: qclass, type, data, octets } = recordOf(message, index);
      records.push({
        ...{ NAME: owner, TYPE: type, TYPEname: typeName(type), CLASS: qclass, CLASSname: className(qclass), TTL: ttl },
        ...{
          RDLENGTH: octets.length,
          RDATAHEX: octets.toString('hex').toUpperCase(),
          [`rdata${typeName(type)}`]: data,
        },
      });
    }
    return records;
  };
  const bit = (flag: number) => ((message.flags & flag) === 0 ? 0 : 1);
  return JSON.stringify({
    ...{ ID: message.id, QR: bit(W.QR), Opcode: message.opcode, AA: bit(W.AA), TC: bit(W.TC), RD: bit(W.RD) },
    ...{ RA: bit(W.RA), AD: bit(W.AD), CD: bit(W.CD), RCODE: message.rcode, RCODEname: W.rcodeName(message.rcode) },
    ...{ QNAME: nameText(message.qname.bytes), QTYPE: message.qtype, QTYPEname: typeName(message.qtype) },
    ...{ QCLASS: message.qclass, answerRRs: section(ANSWER), authorityRRs: section(AUTHORITY) },
    additionalRRs: section(ADDITIONAL),
    ...{ server: `${point.host}#${point.port}`, carrier, ms: Math.round(ms * 10) / 10 },
  });
}
