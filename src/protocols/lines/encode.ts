// Writes what the server says: messages, encoded once each and shared by all that get them, and answers. It knows the
// grammar of docs/lines.md and no connection.
import { isUtf8, utf8 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Outcome } from '../../core/outcome.ts';
import { topicWord, word } from './token.ts';
import { type Encoding, HELP_LINES, OUTCOME_WORDS, UNHEARD, VERBS } from './words.ts';

/** What is written of a message. */
export interface Shown {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly contentType: string;
  readonly properties: readonly string[];
  readonly publisher: string;
  readonly time: number;
  readonly cursor: number;
}

const LF = 0x0a;

/**
 * Whether a payload can stand in a line as it is: UTF-8 without anything that somebody takes for the end of a line or that
 * steers a terminal (C0 but tab, DEL, C1, U+2028, U+2029).
 */
export function isPlain(bytes: Uint8Array): boolean {
  let high = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) return false;
    high |= byte;
  }
  return high < 0x80 || (isUtf8(bytes, 0, bytes.length) && !breaksLines(bytes));
}

/** In well-formed UTF-8: C1, U+2028 and U+2029. */
function breaksLines(bytes: Uint8Array): boolean {
  for (let at = 0; at + 1 < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === 0xc2 && bytes[at + 1]! < 0xa0) return true;
    if (byte === 0xe2 && bytes[at + 1] === 0x80 && (bytes[at + 2]! & 0xfe) === 0xa8) return true;
  }
  return false;
}

/** `topic payload`, or in base64 what cannot stand in a line. */
export function textFrame(message: Shown): Buffer {
  return isPlain(message.payload) ? plainFrame(message) : base64Frame(message);
}

/** `topic payload`, whatever the payload is: for datagrams, which end by themselves. */
export function plainFrame({ topic, payload }: Shown): Buffer {
  const head = topicWord(topic);
  const size = Buffer.byteLength(head);
  const frame = Buffer.allocUnsafe(size + payload.length + 2);
  frame.write(head, 0);
  frame[size] = 0x20;
  frame.set(payload, size + 1);
  frame[frame.length - 1] = LF;
  return frame;
}

/** `B64 topic base64` */
export function base64Frame({ topic, payload }: Shown): Buffer {
  return Buffer.from(`B64 ${word(topic)} ${base64(payload)}\n`);
}

/** `MSGB topic length cursor`, the bytes, a line feed. */
export function rawFrame({ topic, payload, cursor }: Shown): Buffer {
  const head = Buffer.from(`MSGB ${word(topic)} ${payload.length} ${cursor}\n`);
  return Buffer.concat([head, payload, Buffer.of(LF)]);
}

/** One JSON object; the payload is `payload` where it is UTF-8 and `base64` where it is not, or wherever that is asked. */
export function jsonFrame(message: Shown, retained: boolean, encoding: Encoding): Buffer {
  const { topic, payload, cursor, time, contentType, properties, publisher } = message;
  const text = encoding !== 'base64' && isUtf8(payload, 0, payload.length);
  const pairs: string[][] = [];
  for (let at = 0; at + 1 < properties.length; at += 2) pairs.push([properties[at]!, properties[at + 1]!]);
  const line = json({
    topic,
    ...(text ? { payload: utf8(payload, 0, payload.length) } : { base64: base64(payload) }),
    ...(cursor > 0 ? { cursor: String(cursor) } : {}),
    time,
    ...(retained ? { retained } : {}),
    ...(contentType === '' ? {} : { contentType }),
    ...(pairs.length === 0 ? {} : { properties: pairs }),
    ...(publisher === '' ? {} : { publisher }),
  });
  return Buffer.from(`${line}\n`);
}

/** JSON on one line, also for readers that take more than a line feed for the end of one. */
export function json(value: object): string {
  return JSON.stringify(value).replace(/[\u007f-\u009f\u2028\u2029]/g, (found) => {
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/** `+OK`, with a cursor where there is one. */
export function writeOk(out: ByteWriter, asJson: boolean, cursor: number): void {
  if (asJson) out.ascii(cursor > 0 ? `{"ok":true,"cursor":"${cursor}"}\n` : '{"ok":true}\n');
  else out.ascii(cursor > 0 ? `+OK ${cursor}\n` : '+OK\n');
}

/** The command that an error is about as it was given; `-` where it was none. */
export function commandName(verb: number, loud: boolean): string {
  return loud && verb > UNHEARD ? `${VERBS[verb]!}!` : VERBS[verb]!;
}

/** `-ERR OUTCOME COMMAND text` */
export function writeError(out: ByteWriter, asJson: boolean, outcome: Outcome, command: string, text: string): void {
  const said = OUTCOME_WORDS[outcome];
  if (!asJson) out.ascii(`-ERR ${said} ${command} ${text}\n`);
  else out.utf8(`${json({ error: said, ...(command === '-' ? {} : { command }), text })}\n`);
}

/** `GAP filter after from`: what is between is not there; from 0 means that nothing follows. */
export function writeGap(out: ByteWriter, asJson: boolean, filter: string, after: number, from: number): void {
  if (asJson) out.utf8(`${json({ gap: { filter, after: String(after), from: String(from) } })}\n`);
  else out.utf8(`GAP ${word(filter)} ${after} ${from}\n`);
}

export function writePong(out: ByteWriter, asJson: boolean): void {
  out.ascii(asJson ? '{"pong":true}\n' : '+PONG\n');
}

export function writeBye(out: ByteWriter, asJson: boolean): void {
  out.ascii(asJson ? '{"bye":true}\n' : '+BYE\n');
}

export function writeHelp(out: ByteWriter, asJson: boolean): void {
  if (asJson) out.ascii(`${json({ help: HELP_LINES })}\n`);
  else for (const line of HELP_LINES) out.ascii(`+ ${line}\n`);
}
