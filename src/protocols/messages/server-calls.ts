// Calls of services on one socket: which are open, what comes for them, and how their answers are written. It knows no topics.
import { reportBug } from '../../core/protocol.ts';
import type { Violation } from '../../formats/schema/types.ts';
import type { Call, CallReceiver, Metadata } from '../../resources/services/contract.ts';
import { type JsonMethod, type JsonMethods, jsonMethodsOf, statusText } from '../../resources/services/json-methods.ts';
import { invalidStatus, type Status } from '../../resources/services/status.ts';
import {
  type BatchRequest,
  CANCEL,
  type CallRequest,
  type EndRequest,
  type Id,
  REFUSED,
  SEND,
  type SendRequest,
} from './codec.ts';
import {
  batchText,
  callErrorText,
  endText,
  headersText,
  nextText,
  pairsText,
  resultText,
  rpcErrorText,
  rpcRefusedText,
  rpcResultText,
} from './encode.ts';
import type { MessagesHost } from './server.ts';
import type { PorticoJsonSession } from './session.ts';

const NO_METADATA: Metadata = [];
const NO_SCHEMA = { types: new Map<never, never>() };

function failure(code: Exclude<Status['code'], 'OK'>, message: string): Status {
  return { code, message, details: [] };
}

const NOT_OPEN = failure('FAILED_PRECONDITION', 'no call with this id is open');
const TOO_MANY = failure('RESOURCE_EXHAUSTED', 'as many calls of this socket are open as may be');
const NO_ID = failure('INVALID_ARGUMENT', 'a stream needs an id');
const NO_STREAMS = failure('UNIMPLEMENTED', 'JSON-RPC has no streams: call this method with {"call":…}');
const ID_TAKEN = failure('INVALID_ARGUMENT', 'a call with this id is open already');
const TOO_LONG = failure('RESOURCE_EXHAUSTED', 'the answers of the batch are too long together');
const LEAVING = failure('UNAVAILABLE', 'the server is going away');
const BUG = failure('INTERNAL', 'the server failed to answer');

export class SocketCalls {
  readonly session: PorticoJsonSession;
  readonly host: MessagesHost;
  private readonly methods: JsonMethods | null;
  private readonly open = new Set<SocketCall>();
  private readonly byId = new Map<string | number, SocketCall>();

  constructor(session: PorticoJsonSession, host: MessagesHost) {
    this.session = session;
    this.host = host;
    const { services } = host.resources;
    this.methods = services === undefined ? null : jsonMethodsOf(services);
  }

  /** Calls that are answered together, once the last has ended. */
  batch({ requests }: BatchRequest, size: number): void {
    const batch = new Batch(this.session, requests.length, this.host.limits.batchAnswerBytesMax);
    const each = Math.ceil(size / requests.length);
    for (const request of requests) {
      if (request.verb === REFUSED) batch.answer(rpcRefusedText(request.id, request.detail), request.id);
      else this.begin(request, each, batch);
    }
  }

  begin(request: CallRequest, size: number, batch: Batch | null = null): void {
    const { id, rpc, method: name, params } = request;
    const refuse = (asked: Id, status: Status) => this.refuse(asked, request, status, batch);
    const entry = this.methods?.at(name) ?? null;
    const isStream = entry !== null && entry.method.kind !== 'unary';
    if (entry === null) refuse(id, failure('UNIMPLEMENTED', `there is no ${name.slice(0, 256)}`));
    else if (rpc && isStream) refuse(id, NO_STREAMS);
    else if (isStream && id === undefined) refuse(id, NO_ID);
    // An error that carried the id would end the other call for whoever reads it.
    else if (id !== undefined && this.byId.has(id)) refuse(undefined, ID_TAKEN);
    else if (this.open.size >= this.host.limits.callsMax) refuse(id, TOO_MANY);
    else {
      const token = isStream ? 0 : this.session.open(id, size);
      if (!isStream && token === 0) {
        refuse(id, TOO_MANY);
        return;
      }
      const call = new SocketCall(this, entry, request, token, batch);
      this.open.add(call);
      if (id !== undefined) this.byId.set(id, call);
      call.begin(request.metadata, request.timeoutMs, params);
    }
  }

  input(request: SendRequest | EndRequest): void {
    const call = this.byId.get(request.id);
    // One that has ended meanwhile: its end is on the way.
    if (call === undefined) {
      if (request.verb === SEND) this.refuse(request.id, NATIVE, NOT_OPEN, null);
    } else if (request.verb === SEND) call.input(request.params);
    else if (request.verb === CANCEL) call.cancel();
    else call.finish();
  }

  private refuse(id: Id, { rpc, isQuiet }: Manner, status: Status, batch: Batch | null): void {
    const text = statusText(status, NO_SCHEMA);
    const answer = rpc ? rpcErrorText(id, status.code, status.message, text) : callErrorText(id, text, '');
    if (batch !== null) batch.answer(isQuiet ? null : answer, id);
    else if (!isQuiet) this.session.say(answer);
  }

  closed(call: SocketCall, id: Id, token: number): void {
    this.open.delete(call);
    if (id !== undefined && this.byId.get(id) === call) this.byId.delete(id);
    if (token !== 0) this.session.closed(token);
  }

  roomy(): void {
    for (const call of [...this.open]) call.more();
  }

  /** Streams end; what has one answer is awaited. */
  leaving(): void {
    for (const call of [...this.open]) call.leave();
  }

  gone(): void {
    for (const call of [...this.open]) call.drop();
  }
}

/** How a call is answered. */
type Manner = Pick<CallRequest, 'rpc' | 'isQuiet'>;
const NATIVE: Manner = { rpc: false, isQuiet: false };
const RPC_MANNER: Manner = { rpc: true, isQuiet: false };
const QUIET: Manner = { rpc: true, isQuiet: true };

/** Answers that go out together. */
class Batch {
  private readonly session: PorticoJsonSession;
  private readonly bytesMax: number;
  private readonly answers: Buffer[] = [];
  private bytes = 0;
  private left: number;

  constructor(session: PorticoJsonSession, left: number, bytesMax: number) {
    this.session = session;
    this.left = left;
    this.bytesMax = bytesMax;
  }

  /** One of them has ended. @param answer null where there is nothing to say */
  answer(answer: Buffer | null, id: Id): void {
    if (answer !== null) {
      const isLong = this.bytes + answer.length > this.bytesMax;
      const { code, message } = TOO_LONG;
      const text = isLong ? rpcErrorText(id, code, message, statusText(TOO_LONG, NO_SCHEMA)) : answer;
      this.bytes += text.length;
      this.answers.push(text);
    }
    this.left--;
    // There is no answer to notifications alone (JSON-RPC 2.0 §6).
    if (this.left === 0 && this.answers.length > 0) this.session.say(batchText(this.answers));
  }
}

class SocketCall implements CallReceiver {
  private readonly calls: SocketCalls;
  private readonly entry: JsonMethod;
  private readonly id: Id;
  private readonly manner: Manner;
  private readonly token: number;
  private readonly batch: Batch | null;
  private call: Call | null = null;
  private result: string | null = null;
  private head: Metadata = NO_METADATA;
  private isOver = false;
  private finished = false;
  /** It holds the socket back: it takes no more inputs for now. */
  private holds = false;

  constructor(calls: SocketCalls, entry: JsonMethod, request: CallRequest, token: number, batch: Batch | null) {
    this.calls = calls;
    this.entry = entry;
    this.id = request.id;
    this.manner = request.isQuiet ? QUIET : request.rpc ? RPC_MANNER : NATIVE;
    this.token = token;
    this.batch = batch;
  }

  private get manyIn(): boolean {
    const { kind } = this.entry.method;
    return kind === 'client' || kind === 'both';
  }

  private get manyOut(): boolean {
    const { kind } = this.entry.method;
    return kind === 'server' || kind === 'both';
  }

  begin(metadata: Metadata, timeoutMs: number, params: unknown): void {
    const { messages } = this.calls.session;
    const { services } = this.calls.host.resources;
    const options = { caller: messages.caller, connection: messages.id, metadata, timeoutMs };
    this.call = services!.begin(this.entry.method, options, this);
    if (this.isOver) this.call.cancel();
    else if (!this.manyIn) {
      this.input(params ?? {});
      this.finish();
    } else if (params !== undefined) this.input(params);
  }

  input(params: unknown): void {
    if (this.isOver) return;
    if (this.finished) {
      this.stop(failure('INVALID_ARGUMENT', 'an input came after the last'));
      return;
    }
    const violations: Violation[] = [];
    const value = this.entry.read(params, violations);
    const { host, session } = this.calls;
    // Who may not call it is not told what it looks like: the call ends with that by itself.
    if (violations.length > 0 && host.resources.services!.may(session.messages.caller, this.entry.method)) {
      this.stop(invalidStatus(violations));
      return;
    }
    this.call!.send(value);
    if (this.isOver || this.holds || !this.manyIn || this.call!.room > 0) return;
    this.holds = true;
    session.hold();
  }

  finish(): void {
    if (this.isOver || this.finished) return;
    this.finished = true;
    this.call!.finish();
  }

  /** Its caller wants no more, and hears that it has ended. */
  cancel(): void {
    this.stop(failure('CANCELLED', 'cancelled'));
  }

  leave(): void {
    if (this.token === 0) this.stop(LEAVING);
  }

  /** Nobody is there any more. */
  drop(): void {
    if (this.isOver) return;
    this.over();
    this.call?.cancel();
  }

  more(): void {
    this.call?.more();
  }

  // ---- CallReceiver ------------------------------------------------------------------------------------------------

  headers(metadata: Metadata): void {
    if (!this.manyOut) this.head = metadata;
    else if (metadata.length > 0 && !this.isOver) this.calls.session.say(headersText(this.id!, metadata));
  }

  message(value: unknown): void {
    if (this.isOver) return;
    let text: string;
    try {
      text = this.entry.write(value);
    } catch (error) {
      const { name, service } = this.entry.method;
      const fields = { connection: this.calls.session.messages.id, method: `${service.name}/${name}` };
      reportBug(this.calls.host, error, 'the answer of a handler', fields);
      this.stop(BUG);
      return;
    }
    if (this.manyOut) this.calls.session.say(nextText(this.id!, text));
    else this.result = text;
  }

  end(status: Status, trailers: Metadata): void {
    if (this.isOver) return;
    const answer = this.manner.isQuiet ? null : this.answerOf(status, trailers);
    if (this.batch !== null) this.batch.answer(answer, this.id);
    else if (answer !== null) this.calls.session.say(answer);
    this.over();
  }

  /** What says how it ended; null where nobody is to hear of it. */
  private answerOf(status: Status, trailers: Metadata): Buffer | null {
    const { id, manner } = this;
    const isOk = status.code === 'OK';
    const error = isOk ? '' : statusText(status, this.entry.method.service.schema);
    if (manner.rpc)
      return isOk ? rpcResultText(id, this.result!) : rpcErrorText(id, status.code, status.message, error);
    const around = pairsText('headers', this.head) + pairsText('trailers', trailers);
    if (!isOk) return callErrorText(id, error, around);
    if (id === undefined) return null;
    return this.manyOut ? endText(id, around) : resultText(id, this.result!, around);
  }

  get room(): number {
    return this.calls.session.isRoomy ? 1 : 0;
  }

  writable(): void {
    this.letGo();
  }

  private stop(status: Status): void {
    if (this.isOver) return;
    this.end(status, NO_METADATA);
    this.call?.cancel();
  }

  private over(): void {
    this.isOver = true;
    this.letGo();
    this.calls.closed(this, this.id, this.token);
  }

  private letGo(): void {
    if (!this.holds) return;
    this.holds = false;
    this.calls.session.letGo();
  }
}
