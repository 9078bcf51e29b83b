// Envelopes read: what their headers say, and where their body begins. It knows no service; who reads the body goes on with the
// same reader.
import { BAD } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { XML_FAULTS } from '../../formats/xml/faults.ts';
import { DONE, END, START, TEXT, type XmlReader } from '../../formats/xml/reader.ts';
import { faults } from './faults.ts';
import {
  ADDRESSING,
  ENVELOPE_11,
  ENVELOPE_12,
  envelopeOf,
  PASSWORD_DIGEST,
  PASSWORD_TEXT,
  SECURITY,
  SECURITY_UTILITY,
  type Version,
} from './names.ts';

/** What wss:UsernameToken has. */
export interface UsernameToken {
  readonly username: string;
  readonly password: string;
  readonly type: 'text' | 'digest';
  /** In base64, as it was sent; '' for none. */
  readonly nonce: string;
  /** In ms since 1970; NaN when it cannot be read, null when absent. */
  readonly created: number | null;
  readonly createdText: string;
}

/** What WS-Addressing says; '' for what is absent. */
export interface Addressing {
  messageId: string;
  action: string;
  to: string;
  replyTo: string;
  faultTo: string;
  relatesTo: string;
}

const NEXT_11 = 'http://schemas.xmlsoap.org/soap/actor/next';
const NEXT_12 = `${ENVELOPE_12}/role/next`;
const ULTIMATE_12 = `${ENVELOPE_12}/role/ultimateReceiver`;

export class Envelope {
  version: Version = 11;
  addressing: Addressing | null = null;
  token: UsernameToken | null = null;
  /** Headers that must be understood and are not: namespace, local name. */
  readonly notUnderstood: (readonly [string, string])[] = [];
  /** The element in the body. */
  operation = '';
  operationUri = '';
  fault: Fault | null = null;
  /** What is wrong, closer than the fault says. */
  detail = '';
  private readonly headersMax: number;

  constructor(headersMax: number) {
    this.headersMax = headersMax;
  }

  /** Reads up to the element in the body, which then has begun. False when there is a fault. */
  readHead(reader: XmlReader): boolean {
    const step = reader.child();
    if (step !== START) return this.refuseReader(reader);
    if (reader.local !== 'Envelope') return this.refuse(faults.notEnvelope, `The root element is ${reader.local}.`);
    if (reader.uri === ENVELOPE_12) this.version = 12;
    else if (reader.uri !== ENVELOPE_11) return this.refuse(faults.version);
    const envelope = reader.uri;
    if (reader.child() !== START) return this.refuseReader(reader);
    if (isElement(reader, envelope, 'Header')) {
      if (!this.readHeaders(reader)) return false;
      if (reader.child() !== START) return this.refuseReader(reader);
    }
    if (!isElement(reader, envelope, 'Body')) return this.refuse(faults.notEnvelope, 'There is no Body.');
    if (this.notUnderstood.length > 0) {
      const names = this.notUnderstood.map(([namespace, local]) => `{${namespace}}${local}`);
      return this.refuse(faults.mustUnderstand, `This is not understood: ${names.join(', ')}.`);
    }
    const first = reader.child();
    if (first === END) return this.refuse(faults.body, 'The body is empty.');
    if (first !== START) return this.refuseReader(reader);
    this.operation = reader.local;
    this.operationUri = reader.uri;
    return true;
  }

  /** Reads what follows the element in the body. */
  readTail(reader: XmlReader): boolean {
    const after = reader.child();
    if (after === START) return this.refuse(faults.body, 'The body has a second element.');
    if (after !== END) return this.refuseReader(reader);
    const last = reader.child();
    if (last === START) return this.refuse(faults.notEnvelope, 'There is something behind the Body.');
    if (last !== END) return this.refuseReader(reader);
    return reader.child() === DONE || this.refuseReader(reader);
  }

  private refuse(fault: Fault, detail = ''): false {
    this.fault ??= fault;
    if (this.detail === '') this.detail = detail;
    return false;
  }

  /** What the reader stopped at, or, when it did not, an element that is missing. */
  refuseReader(reader: XmlReader): false {
    const { fault } = reader;
    if (fault === null) return this.refuse(faults.notEnvelope, reader.problem);
    const isLimit =
      fault === XML_FAULTS.depth ||
      fault === XML_FAULTS.attributes ||
      fault === XML_FAULTS.namespaces ||
      fault === XML_FAULTS.nameLength;
    if (isLimit) return this.refuse(faults.limit, fault.text);
    const isForbidden = fault === XML_FAULTS.dtd || fault === XML_FAULTS.instruction;
    return this.refuse(isForbidden ? faults.forbidden : faults.malformed, `${fault.text} (${fault.spec})`);
  }

  // ---- headers -----------------------------------------------------------------------------------------------------

  private readHeaders(reader: XmlReader): boolean {
    for (let count = 0; ; count++) {
      const step = reader.child();
      if (step === END) return true;
      if (step !== START) return this.refuseReader(reader);
      if (count >= this.headersMax) return this.refuse(faults.headersTooMany);
      if (!this.readHeader(reader)) return this.fault !== null ? false : this.refuseReader(reader);
    }
  }

  private readHeader(reader: XmlReader): boolean {
    const { uri: namespace, local } = reader;
    const isFor = this.isForUs(reader);
    const must = reader.attribute(envelopeOf(this.version), 'mustUnderstand');
    if (isFor && namespace === ADDRESSING && ADDRESSING_HEADERS.has(local)) return this.readAddressing(reader, local);
    if (isFor && namespace === SECURITY && local === 'Security') return this.readSecurity(reader);
    if (isFor && (must === '1' || must === 'true')) this.notUnderstood.push([namespace, local]);
    return reader.skip();
  }

  /** Headers for others on the way are not ours to understand (SOAP 1.1 §4.2.2, SOAP 1.2 §2.2). */
  private isForUs(reader: XmlReader): boolean {
    if (reader.attributes === 0) return true;
    if (this.version === 11) {
      const actor = reader.attribute(ENVELOPE_11, 'actor');
      return actor === null || actor === '' || actor === NEXT_11;
    }
    const role = reader.attribute(ENVELOPE_12, 'role');
    return role === null || role === '' || role === NEXT_12 || role === ULTIMATE_12;
  }

  private readAddressing(reader: XmlReader, local: string): boolean {
    const into = (this.addressing ??= { messageId: '', action: '', to: '', replyTo: '', faultTo: '', relatesTo: '' });
    const name = ADDRESSING_HEADERS.get(local)!;
    if (name === 'replyTo' || name === 'faultTo') {
      if (into[name] !== '') return this.refuse(faults.addressing, `${local} is there twice.`);
      const address = this.readAddress(reader);
      if (address === null) return false;
      into[name] = address;
      return true;
    }
    const text = this.readText(reader);
    if (text === null) return false;
    // A message may relate to several; the one that it answers comes first.
    if (name === null || (name === 'relatesTo' && into.relatesTo !== '')) return true;
    if (into[name] !== '') return this.refuse(faults.addressing, `${local} is there twice.`);
    if (text === '' || text.length > 2_048) return this.refuse(faults.addressing, `${local} cannot be read.`);
    into[name] = text;
    return true;
  }

  /** The Address of an endpoint reference. */
  private readAddress(reader: XmlReader): string | null {
    let address = '';
    for (let step = reader.child(); step !== END; step = reader.child()) {
      if (step !== START) return null;
      if (reader.local === 'Address' && reader.uri === ADDRESSING && address === '') {
        const text = this.readText(reader);
        if (text === null) return null;
        address = text;
      } else if (!reader.skip()) return null;
    }
    if (address !== '') return address;
    this.refuse(faults.addressing, 'An endpoint has no Address.');
    return null;
  }

  private readSecurity(reader: XmlReader): boolean {
    for (let step = reader.child(); step !== END; step = reader.child()) {
      if (step === BAD) return false;
      if (reader.local === 'UsernameToken' && reader.uri === SECURITY) {
        if (this.token !== null) return this.refuse(faults.security, 'There are two UsernameTokens.');
        if (!this.readToken(reader)) return false;
      } else if (reader.local === 'Timestamp' && reader.uri === SECURITY_UTILITY) {
        if (!reader.skip()) return false;
      } else return this.refuse(faults.security, `${reader.local} is not understood in Security.`);
    }
    return true;
  }

  private readToken(reader: XmlReader): boolean {
    const found: Record<string, string | null> = { Username: null, Password: null, Nonce: null, Created: null };
    let type: UsernameToken['type'] = 'text';
    for (let step = reader.child(); step !== END; step = reader.child()) {
      if (step === BAD) return false;
      const { local } = reader;
      const own = reader.uri === (local === 'Created' ? SECURITY_UTILITY : SECURITY);
      if (!own || found[local] === undefined) {
        if (!reader.skip()) return false;
        continue;
      }
      if (local === 'Password') {
        const given = reader.attribute('', 'Type') ?? PASSWORD_TEXT;
        if (given !== PASSWORD_TEXT && given !== PASSWORD_DIGEST)
          return this.refuse(faults.security, 'The type of the password is neither PasswordText nor PasswordDigest.');
        type = given === PASSWORD_TEXT ? 'text' : 'digest';
      }
      if (found[local] !== null) return this.refuse(faults.security, `${local} is there twice.`);
      const text = this.readText(reader, local === 'Username' || local === 'Password');
      if (text === null) return false;
      found[local] = text;
    }
    const { Username: username, Password: password, Nonce: nonce, Created: created } = found;
    if (!username || password == null)
      return this.refuse(faults.security, 'A UsernameToken has a Username and a Password.');
    this.token = {
      username,
      password,
      type,
      nonce: nonce ?? '',
      created: created == null ? null : Date.parse(created),
      createdText: created ?? '',
    };
    return true;
  }

  /** The text of an element, without white space around it; null when that is wrong. */
  private readText(reader: XmlReader, asItIs = false): string | null {
    const step = reader.content();
    if (step === TEXT) {
      const text = reader.text.toString('utf8', reader.textFrom, reader.textTo);
      return asItIs ? text : text.trim();
    }
    if (step === START) this.refuse(faults.notEnvelope, `A header has an element ${reader.local} where text belongs.`);
    return null;
  }
}

function isElement(reader: XmlReader, namespace: string, local: string): boolean {
  return reader.local === local && reader.uri === namespace;
}

const ADDRESSING_HEADERS: ReadonlyMap<string, keyof Addressing | null> = new Map<string, keyof Addressing | null>([
  ['MessageID', 'messageId'],
  ['Action', 'action'],
  ['To', 'to'],
  ['ReplyTo', 'replyTo'],
  ['FaultTo', 'faultTo'],
  ['RelatesTo', 'relatesTo'],
  ['From', null],
  ['ReferenceParameters', null],
]);
