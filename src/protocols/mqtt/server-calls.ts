// Calls of services by request and response (MQTT 5.0 §4.10): a PUBLISH to `services/<Service>/<Method>` is an input, and its
// answers are published to the response topic with the caller's own rights. One belongs to one connection.
import { utf8 } from '../../bytes/reader.ts';
import type { Caller } from '../../core/caller.ts';
import { OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import { reportBug } from '../../core/protocol.ts';
import { Tokens } from '../../core/tokens.ts';
import type { Violation } from '../../formats/schema/types.ts';
import type { Call, CallReceiver, Metadata } from '../../resources/services/contract.ts';
import { type JsonMethod, type JsonMethods, jsonMethodsOf, statusText } from '../../resources/services/json-methods.ts';
import { invalidStatus, type Status } from '../../resources/services/status.ts';
import type { Attachment } from '../../resources/topics/contract.ts';
import type { PacketReader } from './codec.ts';
import { REASON } from './packets.ts';
import type { MqttHost } from './server.ts';

const PREFIX = 'services/';
/** Outputs of a call that are being published. */
const PUBLISHING_MAX = 16;
const NO_METADATA: Metadata = [];
const NO_SCHEMA = { types: new Map<never, never>() };
const EMPTY = Buffer.alloc(0);
const JSON_TYPE = 'application/json';
/** User properties that say how a call goes on; all others are its metadata. */
const MORE = 'more';
const CANCEL = 'cancel';
const TIMEOUT = 'timeout-ms';

function failure(code: Exclude<Status['code'], 'OK'>, message: string): Status {
  return { code, message, details: [] };
}

/** The connection, as calls need it. */
export interface Calling {
  readonly host: MqttHost;
  readonly caller: Caller;
  readonly connection: number;
  /** Whether it takes more for now. */
  isRoomy(): boolean;
  /** An answer is being published, or has been: past so many nothing more is read. */
  began(): void;
  ended(): void;
  /** Answers a packet by PUBACK or PUBREC, unless its sequence is below 0. */
  acknowledge(sequence: number, code: number, reason: string): void;
}

/** What a request says beside its payload. */
interface Asked {
  readonly responseTopic: string;
  readonly correlation: Uint8Array | null;
  readonly metadata: Metadata;
  readonly timeoutMs: number;
  readonly more: boolean;
  readonly cancel: boolean;
}

export class MqttCalls implements Waiter {
  readonly calling: Calling;
  private attachment: Attachment | null;
  private readonly methods: JsonMethods;
  private readonly open = new Set<MqttCall>();
  /** Those that take more inputs, by what their requests have in common. */
  private readonly fed = new Map<string, MqttCall>();
  private readonly publishing: Tokens<MqttCall | null>;
  /** Packets of QoS 2 that were taken and are not released. */
  private readonly once = new Set<number>();

  constructor(calling: Calling, attachment: Attachment) {
    this.calling = calling;
    this.attachment = attachment;
    const { limits, resources } = calling.host;
    this.methods = jsonMethodsOf(resources.services!);
    this.publishing = new Tokens(limits.callsMax * (PUBLISHING_MAX + 2) + limits.receiveMaximum);
  }

  /** Whether this is the topic of a method rather than one to be heard. */
  static isFor(host: MqttHost, topic: string): boolean {
    return topic.startsWith(PREFIX) && host.resources.services !== undefined;
  }

  publish(topic: string, reader: PacketReader, sequence: number): void {
    const { calling, once } = this;
    const { qos, packetId, properties } = reader;
    if (qos === 2 && once.has(packetId)) calling.acknowledge(sequence, REASON.success, '');
    else if (properties.responseTopic === null)
      calling.acknowledge(sequence, REASON.implementationSpecific, 'a call needs a response topic');
    else {
      if (qos === 2) once.add(packetId);
      const isTaken = this.request(topic, askedOf(reader), qos === 0 ? 0 : 1, reader, sequence);
      if (isTaken) calling.acknowledge(sequence, REASON.success, '');
    }
  }

  /** PUBREL; false when it is not of a call. */
  released(packetId: number): boolean {
    return this.once.delete(packetId);
  }

  /** False when it waits until it is taken: it is acknowledged then. */
  private request(
    topic: string,
    asked: Asked,
    assurance: 0 | 1,
    { bytes, payloadStart, payloadEnd }: PacketReader,
    sequence: number,
  ): boolean {
    const { limits } = this.calling.host;
    const { responseTopic, correlation } = asked;
    const name = topic.slice(PREFIX.length);
    const key = `${topic} ${responseTopic} ${correlation === null ? '' : Buffer.from(correlation).toString('base64')}`;
    let call = this.fed.get(key);
    if (asked.cancel) {
      call?.cancel();
      return true;
    }
    if (call === undefined) {
      const entry = this.methods.at(name);
      const refusal =
        entry === null
          ? failure('UNIMPLEMENTED', `there is no ${name.slice(0, 256).replace('/', '.')}`)
          : this.open.size >= limits.callsMax
            ? failure('RESOURCE_EXHAUSTED', 'as many calls of this connection are open as may be')
            : null;
      call = new MqttCall(this, entry, key, responseTopic, correlation, assurance);
      if (refusal !== null) {
        call.end(refusal, NO_METADATA);
        return true;
      }
      this.open.add(call);
      this.fed.set(key, call);
      call.begin(asked.metadata, asked.timeoutMs);
    }
    // An empty payload that ends a stream of inputs is none of them.
    const isInput = payloadEnd > payloadStart || !call.manyIn;
    const text = payloadEnd > payloadStart ? utf8(bytes, payloadStart, payloadEnd) : '{}';
    const isTaken = !isInput || call.input(text, sequence);
    if (!asked.more || !call.manyIn) call.finish();
    return isTaken;
  }

  /** Publishes an answer; false when it was not taken. */
  answer(call: MqttCall, payload: Buffer, properties: readonly string[]): boolean {
    const token = this.publishing.open(call);
    if (token === 0) return false;
    this.calling.began();
    const { responseTopic, correlation, assurance } = call;
    const publication = {
      topic: responseTopic,
      payload,
      text: true,
      contentType: payload.length === 0 ? '' : JSON_TYPE,
      properties,
      correlation,
      assurance,
      from: this.attachment,
    };
    this.calling.host.resources.topics.publish(this.calling.caller, publication, this, token);
    return true;
  }

  settled(token: number, outcome: Outcome): void {
    const call = this.publishing.take(token);
    if (call === undefined || call === null) return;
    this.calling.ended();
    if (outcome !== OK) {
      const { host, connection } = this.calling;
      const fields = { connection, topic: call.responseTopic, outcome };
      host.log.debug('the answer of a call was not taken by its response topic', fields);
    }
    call.published(outcome === OK);
  }

  closed(call: MqttCall): void {
    this.open.delete(call);
    if (this.fed.get(call.key) === call) this.fed.delete(call.key);
  }

  more(): void {
    for (const call of [...this.open]) call.more();
  }

  /** The connection is over: streams end, and what has one answer is still published. */
  gone(): void {
    this.attachment = null;
    for (const call of [...this.open]) if (call.isStream) call.drop();
  }
}

function askedOf({ properties }: PacketReader): Asked {
  const { user, responseTopic, correlation, messageExpiry } = properties;
  const metadata: string[] = [];
  let timeoutMs = messageExpiry >= 0 ? messageExpiry * 1_000 : Number.POSITIVE_INFINITY;
  let more = false;
  let cancel = false;
  for (let at = 0; at + 1 < user.length; at += 2) {
    const name = user[at]!.toLowerCase();
    const value = user[at + 1]!;
    if (name === MORE) more = value === 'true';
    else if (name === CANCEL) cancel = value === 'true';
    else if (name === TIMEOUT && /^\d{1,12}$/.test(value)) timeoutMs = Math.min(timeoutMs, Number(value));
    else metadata.push(name, value);
  }
  // A message of no time is one that is late.
  return { responseTopic: responseTopic!, correlation, metadata, timeoutMs, more, cancel };
}

/** `status`, metadata before and after: as user properties. */
function withMetadata(first: readonly string[], headers: Metadata, trailers: Metadata): string[] {
  const pairs = [...first];
  for (let at = 0; at + 1 < headers.length; at += 2) pairs.push(`header.${headers[at]!}`, headers[at + 1]!);
  for (let at = 0; at + 1 < trailers.length; at += 2) pairs.push(`trailer.${trailers[at]!}`, trailers[at + 1]!);
  return pairs;
}

const OUTPUT_MORE = [MORE, 'true'];

class MqttCall implements CallReceiver {
  readonly key: string;
  readonly responseTopic: string;
  readonly correlation: Uint8Array | null;
  readonly assurance: 0 | 1;
  private readonly calls: MqttCalls;
  private readonly entry: JsonMethod | null;
  private call: Call | null = null;
  private head: Metadata = NO_METADATA;
  private result: string | null = null;
  private underway = 0;
  /** Inputs that are not taken yet: their packets are not acknowledged, so that the receive maximum holds the caller back. */
  private readonly waiting: { readonly text: string; readonly sequence: number }[] = [];
  private waitingBytes = 0;
  private finished = false;
  private isOver = false;

  constructor(
    calls: MqttCalls,
    entry: JsonMethod | null,
    key: string,
    responseTopic: string,
    correlation: Uint8Array | null,
    assurance: 0 | 1,
  ) {
    this.calls = calls;
    this.entry = entry;
    this.key = key;
    this.responseTopic = responseTopic;
    this.correlation = correlation;
    this.assurance = assurance;
  }

  get manyIn(): boolean {
    const kind = this.entry?.method.kind;
    return kind === 'client' || kind === 'both';
  }

  private get manyOut(): boolean {
    const kind = this.entry?.method.kind;
    return kind === 'server' || kind === 'both';
  }

  get isStream(): boolean {
    return this.manyIn || this.manyOut;
  }

  begin(metadata: Metadata, timeoutMs: number): void {
    const { host, caller, connection } = this.calls.calling;
    const options = { caller, connection, metadata, timeoutMs };
    this.call = host.resources.services!.begin(this.entry!.method, options, this);
    if (this.isOver) this.call.cancel();
  }

  /** False when it waits until there is room for it. */
  input(text: string, sequence: number): boolean {
    if (this.isOver) return true;
    if (this.finished) this.stop(failure('INVALID_ARGUMENT', 'an input came after the last'));
    else if (!this.manyIn || (this.waiting.length === 0 && this.call!.room > 0)) this.send(text);
    else if (sequence < 0 || this.waitingBytes + text.length > this.calls.calling.host.limits.callInputBytesMax)
      this.stop(failure('RESOURCE_EXHAUSTED', 'inputs came faster than they are taken'));
    else {
      this.waiting.push({ text, sequence });
      this.waitingBytes += text.length;
      return false;
    }
    return true;
  }

  private send(text: string): void {
    const { host, caller } = this.calls.calling;
    const { method, read } = this.entry!;
    const violations: Violation[] = [];
    const value = read(parsed(text, violations), violations);
    // Who may not call it is not told what it looks like: the call ends with that by itself.
    if (violations.length > 0 && host.resources.services!.may(caller, method)) this.stop(invalidStatus(violations));
    else this.call!.send(value);
  }

  finish(): void {
    if (this.isOver || this.finished) return;
    this.finished = true;
    if (this.waiting.length === 0) this.call!.finish();
  }

  cancel(): void {
    this.stop(failure('CANCELLED', 'cancelled'));
  }

  drop(): void {
    if (this.isOver) return;
    this.over();
    this.call?.cancel();
  }

  more(): void {
    this.call?.more();
  }

  /** An answer has been published, or was refused. */
  published(taken: boolean): void {
    this.underway--;
    if (this.isOver) return;
    if (!taken) this.drop();
    else if (this.underway === PUBLISHING_MAX >> 1) this.more();
  }

  // ---- CallReceiver ------------------------------------------------------------------------------------------------

  headers(metadata: Metadata): void {
    this.head = metadata;
  }

  message(value: unknown): void {
    if (this.isOver) return;
    let text: string;
    try {
      text = this.entry!.write(value);
    } catch (error) {
      const { name, service } = this.entry!.method;
      const { host, connection } = this.calls.calling;
      const fields = { connection, method: `${service.name}/${name}` };
      reportBug(host, error, 'the answer of a handler', fields);
      this.stop(failure('INTERNAL', 'the server failed to answer'));
      return;
    }
    if (!this.manyOut) {
      this.result = text;
      return;
    }
    const { head } = this;
    this.head = NO_METADATA;
    this.say(text, head.length === 0 ? OUTPUT_MORE : withMetadata(OUTPUT_MORE, head, NO_METADATA));
  }

  end(status: Status, trailers: Metadata): void {
    if (this.isOver) return;
    const { code } = status;
    const properties = withMetadata(['status', code], this.head, trailers);
    const schema = this.entry?.method.service.schema ?? NO_SCHEMA;
    this.say(code === 'OK' ? (this.result ?? '') : statusText(status, schema), properties);
    this.over();
  }

  private say(text: string, properties: readonly string[]): void {
    this.underway++;
    if (this.calls.answer(this, text === '' ? EMPTY : Buffer.from(text), properties)) return;
    this.underway--;
  }

  get room(): number {
    return this.underway < PUBLISHING_MAX && this.calls.calling.isRoomy() ? 1 : 0;
  }

  writable(): void {
    const { waiting } = this;
    if (waiting.length === 0) return;
    while (!this.isOver && waiting.length > 0 && this.call!.room > 0) {
      const { text, sequence } = waiting.shift()!;
      this.waitingBytes -= text.length;
      this.send(text);
      this.calls.calling.acknowledge(sequence, REASON.success, '');
    }
    if (!this.isOver && waiting.length === 0 && this.finished) this.call!.finish();
  }

  private stop(status: Status): void {
    if (this.isOver) return;
    this.end(status, NO_METADATA);
    this.call?.cancel();
  }

  private over(): void {
    this.isOver = true;
    for (const { sequence } of this.waiting.splice(0)) this.calls.calling.acknowledge(sequence, REASON.success, '');
    this.calls.closed(this);
  }
}

function parsed(text: string, violations: Violation[]): unknown {
  try {
    return JSON.parse(text);
  } catch {
    violations.push({ path: '', text: 'is not JSON' });
    return null;
  }
}
