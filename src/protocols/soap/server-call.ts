// One message and its answer: read, let in, called, written. Values never stand as a tree of XML in between.
import type { Caller } from '../../core/caller.ts';
import type { Exchange, ExchangeEvents } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import { type Cause, ENDED, REVOKED, type Why } from '../../core/pipe.ts';
import { reportBug } from '../../core/protocol.ts';
import type { XmlParts, XmlWriting } from '../../formats/schema/xml.ts';
import { utf8Document } from '../../formats/xml/decode.ts';
import { XmlReader } from '../../formats/xml/reader.ts';
import type { Call, CallReceiver, Metadata } from '../../resources/services/contract.ts';
import { invalidStatus, type Status } from '../../resources/services/status.ts';
import { answerBytes, answerNothing, answerProblem } from '../http/answers.ts';
import { collectBody } from '../http/collect.ts';
import { isRefusal, type Refusal } from '../http/guard.ts';
import { metadataOf, writeMetadata } from '../http/metadata.ts';
import { parseMediaType } from '../http/negotiate.ts';
import { Envelope } from './codec.ts';
import {
  addressingHeader,
  envelope,
  type FaultText,
  faultElement,
  notUnderstoodHeader,
  plainWriting,
  UPGRADE_HEADER,
} from './encode.ts';
import { faults } from './faults.ts';
import { pack, unpack } from './multipart.ts';
import {
  ANONYMOUS,
  FAULT_ACTION,
  MULTIPART,
  NO_ADDRESS,
  SOAP_FAULT_ACTION,
  TYPE_11,
  TYPE_12,
  type Version,
} from './names.ts';
import type { SoapHost } from './server.ts';
import { faultTextOf, isFaultOfAddressing, refusalText, statusText, tokenText } from './server-faults.ts';
import { isTokenRefusal, type TokenAnswer, type TokenSignIn } from './server-security.ts';
import { type Operation, type SoapService, soapService } from './services.ts';

export interface SoapParts {
  readonly host: SoapHost;
  readonly tokens: TokenSignIn;
}

/** Readers that nobody uses now. */
const idle: XmlReader[] = [];
const IDLE_MAX = 16;

const FIELDS_11 = Fields.of({ 'content-type': `${TYPE_11}; charset=utf-8` }).fix();
const FIELDS_12 = Fields.of({ 'content-type': `${TYPE_12}; charset=utf-8` }).fix();
const CHALLENGE = 'Basic realm="Portico", charset="UTF-8"';
const CANCEL = 8;

export class SoapCall implements ExchangeEvents, CallReceiver {
  readonly room = 1;
  private readonly parts: SoapParts;
  private readonly exchange: Exchange;
  private readonly name: string;
  /** Who the request itself is from, or why that is not known. */
  private readonly sender: Caller | Refusal;
  private readonly envelope: Envelope;
  private reader: XmlReader | null = null;
  private beside: XmlParts | null = null;
  /** Of SOAP, until the envelope was read: by the media type. */
  private version: Version = 11;
  private isPacked = false;
  private operation: Operation | null = null;
  private soap: SoapService | null = null;
  private call: Call | null = null;
  private value: unknown;
  private headerData: Metadata = [];
  private over = false;

  constructor(parts: SoapParts, exchange: Exchange, name: string, sender: Caller | Refusal) {
    this.parts = parts;
    this.exchange = exchange;
    this.name = name;
    this.sender = sender;
    this.envelope = new Envelope(parts.host.limits.headersMax);
  }

  begin(): void {
    const { exchange, sender } = this;
    const media = parseMediaType(exchange.fields.get('content-type') ?? '');
    const type = media?.type ?? '';
    this.isPacked = type === MULTIPART;
    if (media === null || (type !== TYPE_11 && type !== TYPE_12 && !this.isPacked)) {
      answerProblem(exchange, faults.mediaType.wire, faults.mediaType.text, Fields.of({ accept: ACCEPT }));
      return;
    }
    if (type === TYPE_12 || media.parameters.get('start-info')?.startsWith(TYPE_12) === true) this.version = 12;
    // Who says in the head who he is, and is not, need not send more.
    if (isRefusal(sender) && exchange.fields.has('authorization')) {
      this.refuseSender(sender);
      return;
    }
    exchange.on = this;
    collectBody(exchange, this.parts.host.limits.bodyBytesMax, (body) => {
      if (!this.over) this.receive(body, media.parameters);
    });
  }

  // ---- the message -------------------------------------------------------------------------------------------------

  private receive(body: Buffer, parameters: ReadonlyMap<string, string>): void {
    let root = body;
    let charset = parameters.get('charset') ?? '';
    if (this.isPacked) {
      const { partsMax } = this.parts.host.limits;
      const packed = unpack(body, parameters.get('boundary') ?? '', parameters.get('start') ?? '', partsMax);
      if (packed === null) {
        this.refuse(faults.attachments);
        return;
      }
      if (packed.type === TYPE_12) this.version = 12;
      root = Buffer.from(packed.root.buffer, packed.root.byteOffset, packed.root.length);
      charset = packed.charset;
      this.beside = packed.parts;
    }
    const document = utf8Document(root, charset.toLowerCase());
    if (!Buffer.isBuffer(document)) {
      this.refuse(faults.malformed, `${document.text} (${document.spec})`);
      return;
    }
    const reader = idle.pop() ?? new XmlReader({ ...this.parts.host.limits, instructions: false });
    this.reader = reader;
    reader.begin(document);
    const { envelope } = this;
    if (!envelope.readHead(reader)) {
      if (envelope.fault !== faults.version) this.version = reader.depth > 0 ? envelope.version : this.version;
      this.refuse(envelope.fault!, envelope.detail);
      return;
    }
    this.version = envelope.version;
    this.letIn();
  }

  private letIn(): void {
    const { sender, exchange, parts, envelope } = this;
    if (envelope.token === null) {
      if (isRefusal(sender)) this.refuseSender(sender);
      else this.enter(sender);
      return;
    }
    const forwarded = exchange.caller.origin === 'remote';
    const peer = forwarded ? { ...exchange.peer, forwarded: true } : exchange.peer;
    const answer = parts.tokens.callerOf(envelope.token, peer, (later) => {
      if (!this.over) this.signedIn(later);
    });
    if (answer !== null) this.signedIn(answer);
  }

  private signedIn(answer: TokenAnswer): void {
    if (!isTokenRefusal(answer)) this.enter(answer);
    else if (answer.fault !== null) this.refuse(answer.fault);
    else this.answerFault(500, tokenText(answer.refused!));
  }

  private enter(caller: Caller): void {
    const { services } = this.parts.host.resources;
    const { envelope, exchange } = this;
    exchange.caller = caller;
    const service = services?.all.get(this.name);
    if (services === undefined || service === undefined) {
      this.refuse(faults.noService, `There is no service ${JSON.stringify(this.name)} here.`);
      return;
    }
    const soap = soapService(service);
    this.soap = soap;
    const operation = envelope.operationUri === soap.namespace ? soap.operations.get(envelope.operation) : undefined;
    if (operation === undefined) {
      this.refuseOperation(soap);
      return;
    }
    if (!this.fitsAction(operation) || !this.fitsAddressing(operation)) return;
    this.operation = operation;
    const value = this.read(operation);
    if (value === null) return;
    const call = services.begin(
      operation.method,
      {
        caller,
        connection: exchange.connection,
        metadata: metadataOf(exchange.fields),
        timeoutMs: Number.POSITIVE_INFINITY,
      },
      this,
    );
    this.call = call;
    call.send(value);
    call.finish();
  }

  /** The value in the body; null once the message was refused. */
  private read(operation: Operation): unknown {
    const reader = this.reader!;
    const value = operation.input.read(reader, this.beside);
    if (reader.problem !== '') {
      this.answerStatus(invalidStatus([{ path: reader.path, text: reader.problem }]));
      return null;
    }
    const { envelope } = this;
    if (reader.stopped ? !envelope.refuseReader(reader) : !envelope.readTail(reader)) {
      this.refuse(envelope.fault!, envelope.detail);
      return null;
    }
    this.release();
    return value;
  }

  private release(): void {
    const { reader } = this;
    this.reader = null;
    if (reader === null) return;
    reader.release();
    if (idle.length < IDLE_MAX) idle.push(reader);
  }

  private refuseOperation({ service, namespace }: SoapService): void {
    const { envelope } = this;
    const method = envelope.operationUri === namespace ? service.methods.get(envelope.operation) : undefined;
    const detail =
      method === undefined
        ? `The service ${service.name} has no operation {${envelope.operationUri}}${envelope.operation}; its elements are in ${namespace}.`
        : `${method.name} is a stream, which SOAP does not carry: call it with gRPC, or over a WebSocket.`;
    this.refuse(faults.noOperation, detail);
  }

  /** SOAPAction, or the parameter `action`, names the operation in the body, or nothing. */
  private fitsAction({ action, method }: Operation): boolean {
    const { fields } = this.exchange;
    const given =
      this.version === 11
        ? (fields.get('soapaction') ?? '').trim().replace(/^"(.*)"$/, '$1')
        : (parseMediaType(fields.get('content-type') ?? '')?.parameters.get('action') ?? '');
    if (given === '' || given === action || given === method.name || given === `"${action}"`) return true;
    this.refuse(faults.action, `The action is ${given}, and that of ${method.name} is ${action}.`);
    return false;
  }

  private fitsAddressing({ action }: Operation): boolean {
    const { addressing } = this.envelope;
    if (addressing === null) return true;
    if (addressing.action === '') this.refuse(faults.actionRequired);
    else if (addressing.action !== action)
      this.refuse(faults.action, `The action is ${addressing.action}, and that of the operation is ${action}.`);
    else if (!isReachable(addressing.replyTo) || !isReachable(addressing.faultTo)) this.refuse(faults.anonymousOnly);
    else return true;
    return false;
  }

  // ---- the call ----------------------------------------------------------------------------------------------------

  headers(metadata: Metadata): void {
    this.headerData = metadata;
  }

  message(value: unknown): void {
    this.value = value;
  }

  end(status: Status, trailers: Metadata): void {
    this.call = null;
    if (this.over) return;
    if (status.code !== 'OK') {
      this.answerStatus(status, trailers);
      return;
    }
    try {
      this.answer(trailers);
    } catch (error) {
      // A value that is not of its type: the service's check should have found it.
      reportBug(this.parts.host, error, 'soap', { connection: this.exchange.connection });
      this.answerStatus({ code: 'INTERNAL', message: 'The answer could not be written.', details: [] }, trailers);
    }
  }

  private answer(trailers: Metadata): void {
    const operation = this.operation!;
    if (this.isUnanswered()) return;
    const { attachBytes } = this.parts.host.limits;
    const boundary = this.isPacked ? `portico${this.random()}` : '';
    const idOf = (index: number) => `${index}.${boundary}@portico`;
    const writing: XmlWriting = this.isPacked
      ? { attachAt: attachBytes, attached: [], idOf, unwritable: null }
      : plainWriting();
    const text = operation.output.write(this.value, writing);
    if (writing.unwritable !== null) {
      const place = writing.unwritable === '' ? 'The answer' : `${writing.unwritable} of the answer`;
      const message = `${place} has a character that XML cannot have; call another way, such as gRPC or REST.`;
      this.answerStatus({ code: 'INTERNAL', message, details: [] }, trailers);
      return;
    }
    const header = this.addressingOf(operation.answerAction);
    const document = envelope(this.version, header, operation.open + text + operation.close);
    const type = this.version === 11 ? TYPE_11 : TYPE_12;
    let fields = this.version === 11 ? FIELDS_11 : FIELDS_12;
    let body: Buffer;
    if (this.isPacked) {
      const packing = pack(document, type, writing.attached, idOf, boundary);
      fields = Fields.of({ 'content-type': packing.contentType });
      body = packing.body;
    } else body = Buffer.from(document);
    fields = writeMetadata(writeMetadata(fields, this.headerData), trailers);
    this.close();
    answerBytes(this.exchange, 200, fields, body);
  }

  // ---- answers -----------------------------------------------------------------------------------------------------

  /** Whoever wants no answer gets none, once the call is over. */
  private isUnanswered(): boolean {
    if (this.envelope.addressing?.replyTo !== NO_ADDRESS) return false;
    this.close();
    answerNothing(this.exchange, 202);
    return true;
  }

  private addressingOf(action: string): string {
    const { addressing } = this.envelope;
    return addressing === null ? '' : addressingHeader(action, addressing.messageId, `urn:uuid:${this.uuid()}`);
  }

  private refuseSender({ status, detail, fields = {} }: Refusal): void {
    this.answerFault(status, refusalText(detail), Fields.of(fields));
  }

  private refuse(fault: Fault, detail = ''): void {
    const text = faultTextOf(fault, detail);
    const isSender = text.side === 'Sender' && this.version === 12;
    this.answerFault(fault.wire === 404 ? 404 : isSender ? 400 : 500, text, undefined, fault);
  }

  private answerStatus(status: Status, trailers: Metadata = []): void {
    if (this.isUnanswered()) return;
    const text = statusText(status, this.soap);
    const isStranger = status.code === 'UNAUTHENTICATED' && this.exchange.caller.account === '';
    const wire = isStranger ? 401 : text.side === 'Sender' && this.version === 12 ? 400 : 500;
    const fields = isStranger ? Fields.of({ 'www-authenticate': CHALLENGE }) : new Fields();
    this.answerFault(wire, text, writeMetadata(writeMetadata(fields, this.headerData), trailers));
  }

  private answerFault(status: number, text: FaultText, fields = new Fields(), fault: Fault | null = null): void {
    if (this.over) return;
    const { version } = this;
    let header = this.addressingOf(isFaultOfAddressing(text) ? FAULT_ACTION : SOAP_FAULT_ACTION);
    if (fault === faults.mustUnderstand && version === 12) header += notUnderstoodHeader(this.envelope.notUnderstood);
    if (fault === faults.version) header += UPGRADE_HEADER;
    const body = Buffer.from(envelope(version, header, faultElement(version, text)));
    fields.set('content-type', `${version === 11 ? TYPE_11 : TYPE_12}; charset=utf-8`);
    this.close();
    answerBytes(this.exchange, status, fields, body);
  }

  private random(): string {
    const bytes = Buffer.alloc(16);
    this.parts.host.entropy.fill(bytes);
    return bytes.toString('hex');
  }

  private uuid(): string {
    const hex = this.random();
    const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3]!;
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  /** Nothing comes after this. */
  private close(): void {
    this.over = true;
    this.release();
    this.call = null;
  }

  writable(): void {}
  tick(): void {}

  leave(why: Why): void {
    // Who may no longer see the answer does not get it; what else is under way comes to its end.
    if (why !== REVOKED || this.over) return;
    this.cancel();
    this.exchange.reset(CANCEL);
  }

  lost(cause: Cause): void {
    if (cause !== ENDED || !this.over) this.cancel();
  }

  private cancel(): void {
    const { call } = this;
    this.close();
    call?.cancel();
  }
}

const ACCEPT = `${TYPE_11}, ${TYPE_12}, ${MULTIPART}`;

function isReachable(address: string): boolean {
  return address === '' || address === ANONYMOUS || address === NO_ADDRESS;
}
