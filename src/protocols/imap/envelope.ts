// ENVELOPE and BODYSTRUCTURE (RFC 9051 §7.5.2), written from a message's bytes and its structure.
import type { ByteWriter } from '../../bytes/writer.ts';
import { type Address, type Listed, readAddresses } from '../../formats/mime/addresses.ts';
import { HeaderReader } from '../../formats/mime/header.ts';
import { linesOf, type Part } from '../../formats/mime/structure.ts';
import { writeNstring, writeString } from './writer.ts';

/** Fields of an envelope in their order; the lists of addresses are at 2 to 7. */
const FIELDS = ['date', 'subject', 'from', 'sender', 'reply-to', 'to', 'cc', 'bcc', 'in-reply-to', 'message-id'];
const FIRST_ADDRESSES = 2;
const LAST_ADDRESSES = 7;

export function writeEnvelope(out: ByteWriter, bytes: Uint8Array, start: number, stop: number, utf8: boolean): void {
  const values: (string | null)[] = new Array<string | null>(FIELDS.length).fill(null);
  const reader = new HeaderReader(bytes, start, stop);
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
    if (at < FIRST_ADDRESSES || at > LAST_ADDRESSES) writeNstring(out, values[at]!, utf8);
    else {
      // Whoever sent it is who it is from, unless said (RFC 9051 §7.5.2).
      const own = values[at]!;
      writeAddresses(out, (own ?? '').trim() === '' && (at === 3 || at === 4) ? from : own, utf8);
    }
  }
  out.u8(0x29);
}

function writeAddresses(out: ByteWriter, text: string | null, utf8: boolean): void {
  const listed = text === null ? [] : readAddresses(text);
  if (listed.length === 0) {
    out.ascii('NIL');
    return;
  }
  out.u8(0x28);
  for (const item of listed) writeListed(out, item, utf8);
  out.u8(0x29);
}

function writeListed(out: ByteWriter, item: Listed, utf8: boolean): void {
  if (!('group' in item)) {
    writeAddress(out, item, utf8);
    return;
  }
  out.ascii('(NIL NIL ');
  writeString(out, item.group, utf8);
  out.ascii(' NIL)');
  for (const member of item.members) writeAddress(out, member, utf8);
  out.ascii('(NIL NIL NIL NIL)');
}

function writeAddress(out: ByteWriter, { name, local, domain }: Address, utf8: boolean): void {
  out.u8(0x28);
  writeNstring(out, name === '' ? null : name, utf8);
  out.ascii(' NIL ');
  writeString(out, local, utf8);
  out.u8(0x20);
  // NIL would make a group of it.
  writeString(out, domain, utf8);
  out.u8(0x29);
}

type Parameters = readonly (readonly [name: string, value: string])[];

function writeParameters(out: ByteWriter, parameters: Parameters, utf8: boolean): void {
  if (parameters.length === 0) {
    out.ascii('NIL');
    return;
  }
  out.u8(0x28);
  for (let at = 0; at < parameters.length; at++) {
    if (at > 0) out.u8(0x20);
    writeString(out, parameters[at]![0], utf8);
    out.u8(0x20);
    writeString(out, parameters[at]![1], utf8);
  }
  out.u8(0x29);
}

/** @param extended with what BODYSTRUCTURE has over BODY */
export function writeStructure(out: ByteWriter, bytes: Buffer, part: Part, extended: boolean, utf8: boolean): void {
  out.u8(0x28);
  if (part.parts.length > 0) {
    for (const child of part.parts) writeStructure(out, bytes, child, extended, utf8);
    out.u8(0x20);
    writeString(out, part.subtype, utf8);
    if (extended) {
      out.u8(0x20);
      writeParameters(out, part.parameters, utf8);
      writeRest(out, part, utf8);
    }
  } else writeSingle(out, bytes, part, extended, utf8);
  out.u8(0x29);
}

function writeSingle(out: ByteWriter, bytes: Buffer, part: Part, extended: boolean, utf8: boolean): void {
  const { type, subtype, message } = part;
  writeString(out, type, utf8);
  out.u8(0x20);
  writeString(out, subtype, utf8);
  out.u8(0x20);
  writeParameters(out, part.parameters, utf8);
  out.u8(0x20);
  writeNstring(out, part.id, utf8);
  out.u8(0x20);
  writeNstring(out, part.description, utf8);
  out.u8(0x20);
  writeString(out, part.encoding === '' ? '7bit' : part.encoding, utf8);
  out.ascii(` ${part.end - part.body}`);
  if (message !== null) {
    out.u8(0x20);
    writeEnvelope(out, bytes, message.start, message.body, utf8);
    out.u8(0x20);
    writeStructure(out, bytes, message, extended, utf8);
  }
  if (message !== null || type === 'text') out.ascii(` ${linesOf(bytes, part.body, part.end)}`);
  if (!extended) return;
  out.u8(0x20);
  writeNstring(out, part.md5, utf8);
  writeRest(out, part, utf8);
}

/** Disposition, language and location. */
function writeRest(out: ByteWriter, { disposition, languages, location }: Part, utf8: boolean): void {
  out.u8(0x20);
  if (disposition === null) out.ascii('NIL');
  else {
    out.u8(0x28);
    writeString(out, disposition.kind, utf8);
    out.u8(0x20);
    writeParameters(out, disposition.parameters, utf8);
    out.u8(0x29);
  }
  out.u8(0x20);
  if (languages.length === 0) out.ascii('NIL');
  else if (languages.length === 1) writeString(out, languages[0]!, utf8);
  else {
    out.u8(0x28);
    for (let at = 0; at < languages.length; at++) {
      if (at > 0) out.u8(0x20);
      writeString(out, languages[at]!, utf8);
    }
    out.u8(0x29);
  }
  out.u8(0x20);
  writeNstring(out, location, utf8);
}
