// Faults of others as the status of a call: this server's own say their code; of all else the sides and codes of SOAP are known.
import { utf8 } from '../../bytes/reader.ts';
import type { XmlMessage, XmlParts } from '../../formats/schema/xml.ts';
import { readOpaque } from '../../formats/schema/xml-forms.ts';
import { END, START, TEXT, type XmlReader } from '../../formats/xml/reader.ts';
import type { CodeName, Detail, Status } from '../../resources/services/status.ts';
import { CODE_SIDES } from './codes.ts';
import { ERROR_NAMESPACE } from './names.ts';

/** What a fault may have as its detail, by the name of an element or of a type. */
export interface KnownDetails {
  get(name: string): { readonly type: string; readonly message: XmlMessage } | undefined;
}

const MESSAGE_MAX = 1_024;
const DETAILS_MAX = 64;

interface Told {
  /** The outermost code first, without prefixes. */
  readonly codes: string[];
  reason: string;
  code: CodeName | null;
  message: string;
  readonly violations: { field: string; description: string }[];
  readonly details: Detail[];
  /** The detail has an element that the description declares. */
  isDeclared: boolean;
}

/** Reads the Fault that has just begun. @param otherwise the code that the status of HTTP tells */
export function readFault(
  reader: XmlReader,
  known: KnownDetails,
  otherwise: CodeName,
  beside: XmlParts | null,
): Status {
  const told: Told = {
    ...{ codes: [], reason: '', code: null, message: '' },
    ...{ violations: [], details: [], isDeclared: false },
  };
  for (let step = reader.child(); step === START; step = reader.child()) {
    const { local } = reader;
    if (local === 'faultcode') told.codes.push(bare(textIn(reader)));
    else if (local === 'faultstring') told.reason = textIn(reader);
    else if (local === 'Code') readCode(reader, told.codes);
    else if (local === 'Reason') readReason(reader, told);
    else if (local === 'detail' || local === 'Detail') readDetail(reader, known, told, beside);
    else if (!reader.skip()) break;
  }
  const details: Detail[] =
    told.violations.length === 0
      ? []
      : [{ type: 'google.rpc.BadRequest', value: { fieldViolations: told.violations } }];
  return {
    code: told.code ?? codeOf(told, otherwise),
    message: (told.code === null ? told.reason : told.message).trim().slice(0, MESSAGE_MAX),
    details: [...details, ...told.details],
  };
}

const SECURITY_CODES: Readonly<Record<string, CodeName>> = {
  FailedAuthentication: 'UNAUTHENTICATED',
  InvalidSecurity: 'UNAUTHENTICATED',
  InvalidSecurityToken: 'UNAUTHENTICATED',
  SecurityTokenUnavailable: 'UNAUTHENTICATED',
  UnsupportedSecurityToken: 'UNAUTHENTICATED',
  MustUnderstand: 'UNIMPLEMENTED',
  VersionMismatch: 'UNIMPLEMENTED',
  ActionNotSupported: 'UNIMPLEMENTED',
};

/** What the status of HTTP says closer than the code of a fault. */
const SAID_BY_STATUS: ReadonlySet<CodeName> = new Set<CodeName>([
  ...(['UNAUTHENTICATED', 'PERMISSION_DENIED', 'UNIMPLEMENTED', 'UNAVAILABLE', 'RESOURCE_EXHAUSTED'] as const),
]);

function codeOf({ codes, isDeclared }: Told, otherwise: CodeName): CodeName {
  for (const code of codes) {
    const known = Object.hasOwn(SECURITY_CODES, code) ? SECURITY_CODES[code] : undefined;
    if (known !== undefined) return known;
  }
  if (SAID_BY_STATUS.has(otherwise)) return otherwise;
  // What a service declares is an answer of its own, whoever's fault the server calls it.
  if (isDeclared) return 'FAILED_PRECONDITION';
  // `Client.Input` is a Client (SOAP 1.1 §4.4.1).
  return /^(?:Client|Sender)\b/.test(codes[0] ?? '') ? 'INVALID_ARGUMENT' : 'UNKNOWN';
}

function bare(name: string): string {
  return name.trim().replace(/^.*:/, '');
}

/** The text of the element that has just begun, or of what is in it. */
function textIn(reader: XmlReader): string {
  let text = '';
  const depth = reader.depth - 1;
  while (!reader.stopped && reader.depth > depth)
    if (reader.node() === TEXT) text += utf8(reader.text, reader.textFrom, reader.textTo);
  return text;
}

function readCode(reader: XmlReader, codes: string[]): void {
  for (let step = reader.child(); step === START; step = reader.child()) {
    if (reader.local === 'Value') codes.push(bare(textIn(reader)));
    else if (reader.local === 'Subcode') readCode(reader, codes);
    else if (!reader.skip()) return;
  }
}

function readReason(reader: XmlReader, told: Told): void {
  for (let step = reader.child(); step === START; step = reader.child()) {
    const text = textIn(reader);
    if (told.reason === '') told.reason = text;
  }
}

function readDetail(reader: XmlReader, known: KnownDetails, told: Told, beside: XmlParts | null): void {
  // Some write words here where elements belong.
  for (let step = reader.node(); step === START || step === TEXT; step = reader.node()) {
    if (step === TEXT) continue;
    if (reader.local === 'Error' && reader.uri === ERROR_NAMESPACE) readError(reader, known, told, beside);
    else {
      const { local } = reader;
      const found = known.get(local);
      const value = found === undefined ? readOpaque(reader) : found.message.read(reader, beside);
      if (found !== undefined) told.isDeclared = true;
      if (told.details.length < DETAILS_MAX) told.details.push({ type: found?.type ?? local, value });
    }
  }
}

/** What a fault of this server's own kind has (docs/soap.md §Faults). */
function readError(reader: XmlReader, known: KnownDetails, told: Told, beside: XmlParts | null): void {
  for (let step = reader.child(); step === START; step = reader.child()) {
    const { local } = reader;
    if (local === 'code') told.code = codeNamed(textIn(reader));
    else if (local === 'message') told.message = textIn(reader);
    else if (local === 'violation') readViolation(reader, told);
    else if (local === 'detail') readTyped(reader, known, told, beside);
    else if (!reader.skip()) return;
  }
}

function codeNamed(text: string): CodeName {
  const name = text.trim();
  return Object.hasOwn(CODE_SIDES, name) && name !== 'OK' ? (name as CodeName) : 'UNKNOWN';
}

function readViolation(reader: XmlReader, told: Told): void {
  const found = { field: '', description: '' };
  for (let step = reader.child(); step === START; step = reader.child()) {
    if (reader.local === 'path') found.field = textIn(reader);
    else if (reader.local === 'text') found.description = textIn(reader);
    else if (!reader.skip()) return;
  }
  if (told.violations.length < DETAILS_MAX) told.violations.push(found);
}

/** A detail by the name of its type: an element of that type, or JSON. */
function readTyped(reader: XmlReader, known: KnownDetails, told: Told, beside: XmlParts | null): void {
  const type = reader.attribute('', 'type') ?? '';
  const found = known.get(type);
  const step = reader.content();
  let value: unknown = {};
  if (step === TEXT) value = parsed(utf8(reader.text, reader.textFrom, reader.textTo));
  else if (step === START) {
    value = found === undefined ? readOpaque(reader) : found.message.read(reader, beside);
    if (!reader.stopped && reader.child() !== END) reader.wrong('has a detail of two elements');
  }
  if (told.details.length < DETAILS_MAX) told.details.push({ type, value });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
