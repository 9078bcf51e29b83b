// Calls of services on one socket: which are open, what comes for them, and how their answers are written. It knows no topics.
import { reportBug } from '../../core/protocol.ts';
import type { Violation } from '../../formats/schema/types.ts';
import type { Call, CallReceiver, Metadata } from '../../resources/services/contract.ts';
import { type JsonMethod, type JsonMethods, jsonMethodsOf, statusText } from '../../resources/services/json-methods.ts';
import { invalidStatus, type Status } from '../../resources/services/status.ts';
import { CANCEL, type CallRequest, type EndRequest, type Id, SEND, type SendRequest } from './codec.ts';
import {
  callErrorText,
  endText,
  headersText,
  nextText,
  pairsText,
  resultText,
  rpcErrorText,
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

  begin(request: CallRequest, size: number): void {
    const { id, rpc, method: name, params } = request;
    const entry = this.methods?.at(name) ?? null;
    const isStream = entry !== null && entry.method.kind !== 'unary';
    if (entry === null) this.refuse(id, rpc, failure('UNIMPLEMENTED', `there is no ${name.slice(0, 256)}`));
    else if (rpc && isStream) this.refuse(id, rpc, NO_STREAMS);
    else if (isStream && id === undefined) this.refuse(id, rpc, NO_ID);
    // An error that carried the id would end the other call for whoever reads it.
    else if (id !== undefined && this.byId.has(id)) this.refuse(undefined, rpc, ID_TAKEN);
    else if (this.open.size >= this.host.limits.callsMax) this.refuse(id, rpc, TOO_MANY);
    else {
      const token = isStream ? 0 : this.session.open(id, size);
      if (!isStream && token === 0) {
        this.refuse(id, rpc, TOO_MANY);
        return;
      }
      const call = new SocketCall(this, entry, id, rpc, token);
      this.open.add(call);
      if (id !== undefined) this.byId.set(id, call);
      call.begin(request.metadata, request.timeoutMs, params);
    }
  }

  input(request: SendRequest | EndRequest): void {
    const call = this.byId.get(request.id);
    // One that has ended meanwhile: its end is on the way.
    if (call === undefined) {
      if (request.verb === SEND) this.refuse(request.id, false, NOT_OPEN);
    } else if (request.verb === SEND) call.input(request.params);
    else if (request.verb === CANCEL) call.cancel();
    else call.finish();
  }

  refuse(id: Id, rpc: boolean, status: Status, schema: Parameters<typeof statusText>[1] = NO_SCHEMA): void {
    const text = statusText(status, schema);
    this.session.say(rpc ? rpcErrorText(id, status.code, status.message, text) : callErrorText(id, text, ''));
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

class SocketCall implements CallReceiver {
  private readonly calls: SocketCalls;
  private readonly entry: JsonMethod;
  private readonly id: Id;
  private readonly rpc: boolean;
  private readonly token: number;
  private call: Call | null = null;
  private result: string | null = null;
  private head: Metadata = NO_METADATA;
  private isOver = false;
  private finished = false;
  /** It holds the socket back: it takes no more inputs for now. */
  private holds = false;

  constructor(calls: SocketCalls, entry: JsonMethod, id: Id, rpc: boolean, token: number) {
    this.calls = calls;
    this.entry = entry;
    this.id = id;
    this.rpc = rpc;
    this.token = token;
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
    const { session } = this.calls;
    const { id, rpc } = this;
    const around = pairsText('headers', this.head) + pairsText('trailers', trailers);
    if (status.code !== 'OK') {
      const text = statusText(status, this.entry.method.service.schema);
      session.say(rpc ? rpcErrorText(id, status.code, status.message, text) : callErrorText(id, text, around));
    } else if (id !== undefined) {
      if (this.manyOut) session.say(endText(id, around));
      else session.say(rpc ? rpcResultText(id, this.result!) : resultText(id, this.result!, around));
    }
    this.over();
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
