// The client's side of one call: the request that an operation is, and the value or the status that an answer is. It knows neither
// connections nor clocks; who sends it is somebody else.
import { createHash } from 'node:crypto';
import { bindLimits } from '../../core/limits.ts';
import type { XmlMessage, XmlParts } from '../../formats/schema/xml.ts';
import { escapeText } from '../../formats/xml/chars.ts';
import { utf8Document } from '../../formats/xml/decode.ts';
import { END, START, XmlReader } from '../../formats/xml/reader.ts';
import type { Metadata, Method } from '../../resources/services/contract.ts';
import type { CodeName, Status } from '../../resources/services/status.ts';
import { parseMediaType } from '../http/negotiate.ts';
import { type KnownDetails, readFault } from './client-fault.ts';
import { envelope, plainWriting } from './encode.ts';
import { limits } from './limits.ts';
import { unpack } from './multipart.ts';
import {
  ADDRESSING,
  ANONYMOUS,
  ENVELOPE_11,
  ENVELOPE_12,
  MULTIPART,
  PASSWORD_DIGEST,
  PASSWORD_TEXT,
  SECURITY,
  SECURITY_UTILITY,
  TYPE_11,
  TYPE_12,
  type Version,
} from './names.ts';

/** An operation as its client has it. */
export interface ClientOperation {
  readonly method: Method;
  readonly version: Version;
  /** Where it is called. */
  readonly location: string;
  readonly action: string;
  /** The start of the tag around the input, without its end: attributes may follow. `''` for an empty body. */
  readonly open: string;
  readonly close: string;
  readonly input: XmlMessage;
  readonly output: XmlMessage;
  /** Requests have headers of WS-Addressing. */
  readonly isAddressed: boolean;
  /** What a fault may have as its detail: by the name of its element, and by the name of its type. */
  readonly details: KnownDetails;
}

/** Who calls. */
export type SoapSender =
  | null
  | { readonly way: 'basic' | 'text' | 'digest'; readonly user: string; readonly password: string }
  | { readonly way: 'bearer'; readonly token: string };

export interface SoapTerms {
  readonly sender: SoapSender;
  /** Elements that stand in the header as they are; '' for none. */
  readonly header: string;
  readonly metadata: Metadata;
  /** In ms since 1970. */
  readonly now: number;
  /** That many bytes that nobody knows. */
  readonly random: (size: number) => Buffer;
}

export interface SoapRequest {
  readonly fields: Record<string, string>;
  readonly body: Buffer;
}

export type SoapAnswer = { readonly value: unknown; readonly status: null } | { readonly status: Status };

const ACCEPTED = 'text/xml, application/soap+xml, multipart/related';
const bounds = bindLimits(limits);
const READING = { ...bounds, instructions: true };

/** Readers that nobody uses now. */
const idle: XmlReader[] = [];
const IDLE_MAX = 16;

// ---- requests ------------------------------------------------------------------------------------------------------

/** The request, or what is wrong with the value. */
export function soapRequest(operation: ClientOperation, value: unknown, terms: SoapTerms): SoapRequest | Status {
  const { version, action, open, close, input } = operation;
  const writing = plainWriting();
  const body =
    open === '' ? '' : `${open}${input.writeAttributes(value, writing)}>${input.write(value, writing)}${close}`;
  if (writing.unwritable !== null) {
    const place = writing.unwritable === '' ? 'the input' : writing.unwritable;
    return statusOf('INVALID_ARGUMENT', `${place} has a character, or a name, that XML cannot have`);
  }
  const headers =
    securityHeader(version, terms) + terms.header + (operation.isAddressed ? addressing(operation, terms) : '');
  const fields: Record<string, string> = { accept: ACCEPTED };
  const { metadata, sender } = terms;
  for (let at = 0; at + 1 < metadata.length; at += 2) {
    const name = metadata[at]!;
    fields[name] = name in fields && name !== 'accept' ? `${fields[name]}, ${metadata[at + 1]!}` : metadata[at + 1]!;
  }
  if (version === 11) {
    fields['content-type'] = `${TYPE_11}; charset=utf-8`;
    // Always there, and always in quotes (WS-I Basic Profile 1.1 R1109).
    fields.soapaction = `"${quotable(action)}"`;
  } else fields['content-type'] = `${TYPE_12}; charset=utf-8${action === '' ? '' : `; action="${quotable(action)}"`}`;
  if (sender?.way === 'basic') {
    const pair = Buffer.from(`${sender.user}:${sender.password}`);
    fields.authorization = `Basic ${pair.toString('base64')}`;
  } else if (sender?.way === 'bearer') fields.authorization = `Bearer ${sender.token}`;
  return { fields, body: Buffer.from(envelope(version, headers, body)) };
}

function quotable(action: string): string {
  return action.replace(/[^\x21\x23-\x5b\x5d-\x7e ]/g, '');
}

/** A UsernameToken; the digest is of nonce, time and password (WS-Security UsernameToken Profile 1.1 §3.1). */
function securityHeader(version: Version, { sender, now, random }: SoapTerms): string {
  if (sender === null || (sender.way !== 'text' && sender.way !== 'digest')) return '';
  const { user, password, way } = sender;
  const nonce = random(16);
  const created = new Date(now).toISOString();
  const isDigest = way === 'digest';
  const secret = isDigest
    ? createHash('sha1').update(nonce).update(created).update(password).digest('base64')
    : escapeText(password);
  return (
    `<wsse:Security xmlns:wsse="${SECURITY}" soap:mustUnderstand="${version === 11 ? '1' : 'true'}">` +
    `<wsse:UsernameToken xmlns:wsu="${SECURITY_UTILITY}"><wsse:Username>${escapeText(user)}</wsse:Username>` +
    `<wsse:Password Type="${isDigest ? PASSWORD_DIGEST : PASSWORD_TEXT}">${secret}</wsse:Password>` +
    `<wsse:Nonce EncodingType="${BASE64}">${nonce.toString('base64')}</wsse:Nonce>` +
    `<wsu:Created>${created}</wsu:Created></wsse:UsernameToken></wsse:Security>`
  );
}

const BASE64 = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary';

/** The headers of a request (WS-Addressing Core §3.2). */
function addressing({ action, location }: ClientOperation, { random }: SoapTerms): string {
  const hex = random(16).toString('hex');
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  return (
    `<wsa:Action xmlns:wsa="${ADDRESSING}">${escapeText(action)}</wsa:Action>` +
    `<wsa:MessageID xmlns:wsa="${ADDRESSING}">urn:uuid:${id}</wsa:MessageID>` +
    `<wsa:To xmlns:wsa="${ADDRESSING}">${escapeText(location)}</wsa:To>` +
    `<wsa:ReplyTo xmlns:wsa="${ADDRESSING}"><wsa:Address>${ANONYMOUS}</wsa:Address></wsa:ReplyTo>`
  );
}

// ---- answers -------------------------------------------------------------------------------------------------------

/** What an answer says. @param status of HTTP */
export function soapAnswer(operation: ClientOperation, status: number, contentType: string, body: Buffer): SoapAnswer {
  const media = parseMediaType(contentType);
  const type = media?.type ?? '';
  if (body.length === 0 && (status === 200 || status === 202 || status === 204)) return emptied(operation);
  if (type !== TYPE_11 && type !== TYPE_12 && type !== MULTIPART && type !== 'application/xml')
    return failed(codeOfHttp(status), `the server answers with status ${status}${type === '' ? '' : ` and ${type}`}`);
  let root = body;
  let charset = media?.parameters.get('charset') ?? '';
  let beside: XmlParts | null = null;
  if (type === MULTIPART) {
    const { parameters } = media!;
    const packed = unpack(body, parameters.get('boundary') ?? '', parameters.get('start') ?? '', bounds.partsMax);
    if (packed === null) return wrong('its parts cannot be read');
    root = Buffer.from(packed.root.buffer, packed.root.byteOffset, packed.root.length);
    charset = packed.charset;
    beside = packed.parts;
  }
  const document = utf8Document(root, charset.toLowerCase());
  if (!Buffer.isBuffer(document)) return wrong(document.text);
  const reader = idle.pop() ?? new XmlReader(READING);
  reader.begin(document);
  let answer = readEnvelope(reader, operation, status, beside);
  // A page of words, whatever it is said to be.
  if (status >= 300 && reader.fault !== null)
    answer = failed(codeOfHttp(status), `the server answers with status ${status}`);
  reader.release();
  if (idle.length < IDLE_MAX) idle.push(reader);
  return answer;
}

function readEnvelope(
  reader: XmlReader,
  operation: ClientOperation,
  status: number,
  beside: XmlParts | null,
): SoapAnswer {
  if (reader.child() !== START || !isOfEnvelope(reader, 'Envelope'))
    return wrong(reader.fault?.text ?? 'it is no SOAP envelope');
  let step = reader.child();
  // Headers of answers say nothing that is asked for here.
  if (step === START && isOfEnvelope(reader, 'Header') && reader.skip()) step = reader.child();
  if (step !== START || !isOfEnvelope(reader, 'Body')) return wrong(reader.fault?.text ?? 'it has no Body');
  step = reader.child();
  if (step === END) return status < 300 ? emptied(operation) : failed(codeOfHttp(status), 'the server failed');
  if (step !== START) return wrong(reader.fault?.text ?? 'its Body cannot be read');
  if (isOfEnvelope(reader, 'Fault')) {
    const ended = readFault(reader, operation.details, codeOfHttp(status), beside);
    return reader.stopped ? wrong(problemOf(reader)) : { status: ended };
  }
  const value = operation.output.read(reader, beside);
  return reader.stopped ? wrong(problemOf(reader)) : { value, status: null };
}

/** Of an answer without anything in it: what was sent was taken. */
function emptied({ output }: ClientOperation): SoapAnswer {
  const reader = new XmlReader(READING);
  reader.begin(Buffer.from('<e/>'));
  reader.child();
  return { value: output.read(reader, null), status: null };
}

function isOfEnvelope({ uri, local }: XmlReader, name: string): boolean {
  return local === name && (uri === ENVELOPE_11 || uri === ENVELOPE_12);
}

function problemOf({ fault, problem, path }: XmlReader): string {
  return fault?.text ?? `${path === '' ? 'it' : path} ${problem}`;
}

function wrong(why: string): SoapAnswer {
  return failed('INTERNAL', `the answer cannot be read: ${why}`);
}

function failed(code: CodeName, message: string): SoapAnswer {
  return { status: statusOf(code, message) };
}

function statusOf(code: CodeName, message: string): Status {
  return { code, message, details: [] };
}

const BY_STATUS: Readonly<Record<number, CodeName>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'UNIMPLEMENTED',
  405: 'UNIMPLEMENTED',
  408: 'DEADLINE_EXCEEDED',
  413: 'RESOURCE_EXHAUSTED',
  429: 'RESOURCE_EXHAUSTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/** Where nothing else says it. */
function codeOfHttp(status: number): CodeName {
  return BY_STATUS[status] ?? 'UNKNOWN';
}
