// ENVELOPE and BODYSTRUCTURE (RFC 9051 §7.5.2), written from a message's bytes and its structure.
import type { ByteWriter } from '../../bytes/writer.ts';
import { type Address, type Listed, readAddresses } from '../../formats/mime/addresses.ts';
import { HeaderReader } from '../../formats/mime/header.ts';
import { linesOf, type Part } from '../../formats/mime/structure.ts';
import { writeNstring, writeString } from './writer.ts';

/** How texts are written, and how much of them may still be: what is beyond is left empty. */
export interface Terms {
  readonly utf8: boolean;
  left: number;
}

/** Of one message. A mail with more in what is told of it means harm. */
const TEXT_MAX = 262_144;
const ADDRESS_COST = 24;
/** What is farther into a header is not looked at. */
const HEADER_BYTES_MAX = 1_048_576;

export function termsOf(utf8: boolean): Terms {
  return { utf8, left: TEXT_MAX };
}

function text(out: ByteWriter, value: string, terms: Terms): void {
  terms.left -= value.length;
  writeString(out, terms.left < 0 ? '' : value, terms.utf8);
}

function textOrNil(out: ByteWriter, value: string | null, terms: Terms): void {
  if (value === null) writeNstring(out, null, terms.utf8);
  else text(out, value, terms);
}

/** Fields of an envelope in their order; the lists of addresses are at 2 to 7. */
const FIELDS = ['date', 'subject', 'from', 'sender', 'reply-to', 'to', 'cc', 'bcc', 'in-reply-to', 'message-id'];
const FIRST_ADDRESSES = 2;
const LAST_ADDRESSES = 7;

export function writeEnvelope(out: ByteWriter, bytes: Uint8Array, start: number, stop: number, terms: Terms): void {
  const values: (string | null)[] = new Array<string | null>(FIELDS.length).fill(null);
  const reader = new HeaderReader(bytes, start, Math.min(stop, start + HEADER_BYTES_MAX));
  while (reader.next()) {
    const at = FIELDS.indexOf(reader.name);
    if (at < 0) continue;
    const known = values[at]!;
    if (known === null) values[at] = reader.value;
    // More than one field of addresses is one list.
    else if (at >= FIRST_ADDRESSES && at <= LAST_ADDRESSES) values[at] = `${known}, ${reader.value}`;
  }
  out.u8(0x28);
  const from = values[FIRST_ADDRESSES]!;
  for (let at = 0; at < values.length; at++) {
    if (at > 0) out.u8(0x20);
    if (at < FIRST_ADDRESSES || at > LAST_ADDRESSES) textOrNil(out, values[at]!, terms);
    else {
      // Whoever sent it is who it is from, unless said (RFC 9051 §7.5.2).
      const own = values[at]!;
      writeAddresses(out, (own ?? '').trim() === '' && (at === 3 || at === 4) ? from : own, terms);
    }
  }
  out.u8(0x29);
}

function writeAddresses(out: ByteWriter, list: string | null, terms: Terms): void {
  const listed = list === null || terms.left < 0 ? [] : readAddresses(list);
  if (listed.length === 0) {
    out.ascii('NIL');
    return;
  }
  // At least one: the list must not be empty.
  terms.left = Math.max(terms.left, ADDRESS_COST);
  out.u8(0x28);
  for (const item of listed) writeListed(out, item, terms);
  out.u8(0x29);
}

function writeListed(out: ByteWriter, item: Listed, terms: Terms): void {
  if (!('group' in item)) {
    writeAddress(out, item, terms);
    return;
  }
  if (terms.left < 0) return;
  out.ascii('(NIL NIL ');
  text(out, item.group, terms);
  out.ascii(' NIL)');
  for (const member of item.members) writeAddress(out, member, terms);
  out.ascii('(NIL NIL NIL NIL)');
}

function writeAddress(out: ByteWriter, { name, local, domain }: Address, terms: Terms): void {
  terms.left -= ADDRESS_COST;
  if (terms.left < 0) return;
  out.u8(0x28);
  textOrNil(out, name === '' ? null : name, terms);
  out.ascii(' NIL ');
  text(out, local, terms);
  out.u8(0x20);
  // NIL would make a group of it.
  text(out, domain, terms);
  out.u8(0x29);
}

type Parameters = readonly (readonly [name: string, value: string])[];

function writeParameters(out: ByteWriter, parameters: Parameters, terms: Terms): void {
  if (parameters.length === 0) {
    out.ascii('NIL');
    return;
  }
  out.u8(0x28);
  for (let at = 0; at < parameters.length; at++) {
    if (at > 0) out.u8(0x20);
    text(out, parameters[at]![0], terms);
    out.u8(0x20);
    text(out, parameters[at]![1], terms);
  }
  out.u8(0x29);
}

/** @param extended with what BODYSTRUCTURE has over BODY */
export function writeStructure(out: ByteWriter, bytes: Buffer, part: Part, extended: boolean, terms: Terms): void {
  out.u8(0x28);
  if (part.parts.length > 0) {
    for (const child of part.parts) writeStructure(out, bytes, child, extended, terms);
    out.u8(0x20);
    text(out, part.subtype, terms);
    if (extended) {
      out.u8(0x20);
      writeParameters(out, part.parameters, terms);
      writeRest(out, part, terms);
    }
  } else writeSingle(out, bytes, part, extended, terms);
  out.u8(0x29);
}

function writeSingle(out: ByteWriter, bytes: Buffer, part: Part, extended: boolean, terms: Terms): void {
  const { type, subtype, message } = part;
  text(out, type, terms);
  out.u8(0x20);
  text(out, subtype, terms);
  out.u8(0x20);
  writeParameters(out, part.parameters, terms);
  out.u8(0x20);
  textOrNil(out, part.id, terms);
  out.u8(0x20);
  textOrNil(out, part.description, terms);
  out.u8(0x20);
  text(out, part.encoding === '' ? '7bit' : part.encoding, terms);
  out.ascii(` ${part.end - part.body}`);
  if (message !== null) {
    out.u8(0x20);
    writeEnvelope(out, bytes, message.start, message.body, terms);
    out.u8(0x20);
    writeStructure(out, bytes, message, extended, terms);
  }
  if (message !== null || type === 'text') out.ascii(` ${linesOf(bytes, part.body, part.end)}`);
  if (!extended) return;
  out.u8(0x20);
  textOrNil(out, part.md5, terms);
  writeRest(out, part, terms);
}

/** Disposition, language and location. */
function writeRest(out: ByteWriter, { disposition, languages, location }: Part, terms: Terms): void {
  out.u8(0x20);
  if (disposition === null) out.ascii('NIL');
  else {
    out.u8(0x28);
    text(out, disposition.kind, terms);
    out.u8(0x20);
    writeParameters(out, disposition.parameters, terms);
    out.u8(0x29);
  }
  out.u8(0x20);
  if (languages.length === 0) out.ascii('NIL');
  else if (languages.length === 1) text(out, languages[0]!, terms);
  else {
    out.u8(0x28);
    for (let at = 0; at < languages.length; at++) {
      if (at > 0) out.u8(0x20);
      text(out, languages[at]!, terms);
    }
    out.u8(0x29);
  }
  out.u8(0x20);
  textOrNil(out, location, terms);
}
