// The client half of MQTT as a session on a pipe: it connects, publishes, subscribes, acknowledges and keeps alive. The
// caller dials, and tells what comes next; it knows no socket and no resource.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import {
  AliasesIn,
  AliasesOut,
  type Asking,
  type ClientEvents,
  ClientMemory,
  type ClientOptions,
  type Closed,
  CUT_OFF,
  type Outgoing,
  type Publish,
  type ServerBounds,
  type Subscribe,
  serverBounds,
  type Taken,
  UNBOUND,
} from './client-memory.ts';
import { PacketReader } from './codec.ts';
import * as E from './encode.ts';
import { clientFaults as faults } from './faults.ts';
import * as P from './packets.ts';
import { Properties, type PropertyValues } from './properties.ts';

/** CONNECT is sent; CONNACK or AUTH is awaited. */
const CONNECTING = 0;
const CONNECTED = 1;
/** We have said all, or the server has. */
const LEAVING = 2;

const NO_PROPERTIES: PropertyValues = Object.freeze({});
const EMPTY = Buffer.alloc(0);
const nobody = () => {};

export class MqttClient implements Session {
  deadline: Instant;
  readonly version: P.Version;
  /** The client identifier, also one that the server assigned. */
  clientId: string;

  private readonly pipe: Pipe;
  private readonly options: ClientOptions;
  private readonly events: ClientEvents;
  private readonly reader: PacketReader;
  private readonly memory: ClientMemory;
  private readonly asking = new Map<number, Asking>();
  private readonly receiveMaximum: number;
  private readonly answerMs: number;
  private readonly queueMax: number;
  private readonly head = new P.PublishHead();
  private readonly aliasesIn = new AliasesIn();
  private readonly aliasesOut = new AliasesOut();
  /** Messages of QoS 1 that the caller has not acknowledged. */
  private readonly unacknowledged = new Map<number, P.Qos>();
  private server: ServerBounds = UNBOUND;
  private state: typeof CONNECTING | typeof CONNECTED | typeof LEAVING = CONNECTING;
  private keepAliveMs: number;
  /** Something was sent since the last look at the keep alive. */
  private wrote = false;
  /** When the PINGRESP is due. */
  private pingDue: Instant = NEVER;
  private aliveAt: Instant = NEVER;
  private inflight = 0;
  private wasFull = false;
  private held = false;
  private ending: Closed | null = null;

  /** Sends the CONNECT. @param clock the turn's, now */
  constructor(pipe: Pipe, clock: Clock, options: ClientOptions, events: ClientEvents) {
    this.pipe = pipe;
    this.options = options;
    this.events = events;
    this.version = options.version ?? P.V5;
    this.clientId = options.clientId ?? '';
    this.memory = options.memory ?? new ClientMemory();
    this.receiveMaximum = options.receiveMaximum ?? 1_024;
    this.answerMs = options.answerMs ?? 10_000;
    this.queueMax = options.queueMessagesMax ?? 10_000;
    const packetBytesMax = options.packetBytesMax ?? 16_777_216;
    this.reader = new PacketReader('server', { packetBytesMax, userPropertiesMax: 65_535, filtersMax: 65_535 });
    this.reader.version = this.version;
    this.keepAliveMs = (options.keepAliveSeconds ?? 60) * 1_000;
    this.deadline = clock.now + this.answerMs;
    this.connect(packetBytesMax);
    pipe.flush();
  }

  get isConnected(): boolean {
    return this.state === CONNECTED;
  }

  /** Messages of QoS 1 and 2 that are not acknowledged yet. */
  get pending(): number {
    return this.memory.outgoing.size + this.memory.waiting.length;
  }

  // ---- what the caller may ask for ---------------------------------------------------------------------------------

  /**
   * Publishes. `done` is told the reason code: at once with QoS 0, with the acknowledgement otherwise, CUT_OFF when the
   * session ended before. Calls it only if the answer is `taken`.
   */
  publish(publish: Publish, done: (reason: number) => void = nobody): Taken {
    const qos = publish.qos ?? 0;
    const retain = publish.retain === true;
    const refused = this.refusal(qos, retain);
    if (refused !== 'taken') return refused;
    const content = { contentType: '', text: false, properties: [], responseTopic: '', correlation: null, ...publish };
    const frame = E.encodePublish(content, this.version, retain, publish.expiry ?? -1);
    if (this.isTooLarge(frame, qos)) return 'too-large';
    if (qos === 0) {
      this.send(frame, publish.topic, 0, retain, false, 0);
      done(P.REASON.success);
      return 'taken';
    }
    const { topic } = publish;
    const packetId = publish.packetId ?? 0;
    this.memory.waiting.push({ packetId, qos, retain, topic, frame, dup: false, counted: false, done });
    this.pump();
    return 'taken';
  }

  /** Whether one more publish would be queued; if not, `room` is told once it would. */
  hasRoom(): boolean {
    if (this.state === CONNECTED && this.pipe.room > 0 && this.pending < this.queueMax) return true;
    this.wasFull = true;
    return false;
  }

  /**
   * Subscribes. `done` is told a reason code (before 5.0 a return code) for each filter, none when it was cut off.
   *
   * @param identifier 5.0: a number that deliveries carry; 0 for none
   * @param user 5.0: user properties of the SUBSCRIBE, name and value in turn
   */
  subscribe(
    filters: readonly Subscribe[],
    done: (reasons: readonly number[]) => void = nobody,
    identifier = 0,
    user: readonly string[] = [],
  ): Taken {
    if (this.state !== CONNECTED) return 'closed';
    if (this.pipe.room === 0) return this.full();
    const { server } = this;
    if (identifier !== 0 && (!server.identifiersAvailable || this.version !== P.V5)) return 'unsupported';
    for (const { filter } of filters) {
      if (!server.sharedAvailable && filter.startsWith('$share/')) return 'unsupported';
      if (!server.wildcardAvailable && (filter.includes('+') || filter.includes('#'))) return 'unsupported';
    }
    const requests = filters.map((asked) => ({
      qos: 0 as const,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0 as const,
      ...asked,
    }));
    return this.ask(P.SUBSCRIBE, filters.length, done, (packetId) => {
      const subscriptionIds = identifier === 0 ? [] : [identifier];
      const properties = identifier === 0 && user.length === 0 ? null : { subscriptionIds, user };
      return E.writeSubscribe(this.pipe.out, this.version, packetId, requests, properties);
    });
  }

  /** Unsubscribes. `done` is told a reason code for each filter, 0 before 5.0; none when it was cut off. */
  unsubscribe(filters: readonly string[], done: (reasons: readonly number[]) => void = nobody): Taken {
    if (this.state !== CONNECTED) return 'closed';
    if (this.pipe.room === 0) return this.full();
    return this.ask(P.UNSUBSCRIBE, filters.length, done, (packetId) =>
      E.writeUnsubscribe(this.pipe.out, this.version, packetId, filters, null),
    );
  }

  /** With `manual`: acknowledges a message; a reason code of 0x80 and above refuses it in 5.0. */
  acknowledge(packetId: number, reason = 0): void {
    const qos = this.unacknowledged.get(packetId);
    if (qos === undefined || this.state === LEAVING) return;
    this.unacknowledged.delete(packetId);
    this.answer(qos, packetId, reason);
    this.pipe.flush();
  }

  /** Takes no more from the server until `resume`. */
  pause(): void {
    this.held = true;
    this.pipe.pause();
  }

  resume(): void {
    this.held = false;
    this.pipe.resume();
  }

  /** Sends a PINGREQ; the connection ends as a fault when the PINGRESP does not come in time. */
  ping(clock: Clock): void {
    if (this.state !== CONNECTED) return;
    E.writePingreq(this.pipe.out);
    if (this.pingDue === NEVER) this.pingDue = clock.now + this.answerMs;
    this.schedule();
    this.pipe.flush();
  }

  /** 5.0: begins to authenticate again, by the method of the CONNECT ([MQTT-4.12.1-1]). */
  reauthenticate(first: Uint8Array | null): Taken {
    const { auth } = this.options;
    if (this.state !== CONNECTED) return 'closed';
    if (auth === undefined || auth === null || this.version !== P.V5) return 'unsupported';
    E.writeAuth(this.pipe.out, P.REASON.reAuthenticate, { authMethod: auth.method, authData: first });
    this.flush();
    return 'taken';
  }

  /**
   * Ends the connection. Before 5.0 the reason is not on the wire; there a will is published only if the connection is
   * lost, in 5.0 also with `REASON.disconnectWithWill`.
   */
  disconnect(reason: number = P.REASON.normalDisconnection, properties: PropertyValues | null = null): void {
    if (this.state === LEAVING) return;
    E.writeDisconnect(this.pipe.out, this.version, reason, properties);
    this.end({ why: 'done', reason, text: '', reference: '' });
  }

  // ---- Session -----------------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    const { reader } = this;
    let at = start;
    while (at < end && !this.held) {
      if (this.state === LEAVING) return end;
      const next = reader.read(input, at, end);
      if (next === MORE) break;
      if (next === BAD) {
        this.break(reader.fault!);
        return end;
      }
      at = next;
      if (reader.type !== 0) this.packet(clock);
    }
    return at;
  }

  overlong(): void {
    this.break(faults.connackMissing);
  }

  writable(): void {
    if (this.state !== CONNECTED) return;
    this.pump();
    this.tellRoom();
  }

  tick(clock: Clock): void {
    if (this.state === CONNECTING) this.break(faults.connackLate);
    else if (clock.now >= this.pingDue) this.break(faults.pingrespLate);
    else if (clock.now >= this.aliveAt) {
      // Looked at twice in each keep alive: between two looks without a packet there is never more than that
      // ([MQTT-3.1.2-20]).
      if (!this.wrote && this.pingDue === NEVER) this.ping(clock);
      this.wrote = false;
      this.aliveAt = clock.now + this.keepAliveMs / 2;
      this.schedule();
    }
  }

  finish(): void {
    this.pipe.end();
    this.state = LEAVING;
    this.deadline = NEVER;
  }

  leave(_why: Why): void {
    this.disconnect();
  }

  lost(cause: Cause): void {
    this.state = LEAVING;
    this.deadline = NEVER;
    for (const asked of this.asking.values()) asked.done([]);
    this.asking.clear();
    if (this.options.memory === undefined) this.memory.drop();
    this.events.closed(this.ending ?? { why: 'lost', reason: 0, text: cause, reference: '' });
  }

  // ---- sending -----------------------------------------------------------------------------------------------------

  private connect(packetBytesMax: number): void {
    const { options, version } = this;
    const properties: PropertyValues =
      version !== P.V5
        ? NO_PROPERTIES
        : {
            sessionExpiry: options.sessionExpirySeconds ?? -1,
            receiveMaximum: this.receiveMaximum,
            maximumPacketSize: packetBytesMax,
            topicAliasMaximum: options.topicAliasMax ?? -1,
            authMethod: options.auth?.method ?? null,
            authData: options.auth?.first ?? null,
            user: options.user ?? [],
          };
    E.writeConnect(this.pipe.out, {
      version,
      clientId: this.clientId,
      cleanStart: options.cleanStart ?? options.memory === undefined,
      keepAlive: options.keepAliveSeconds ?? 60,
      will: options.will ?? null,
      username: options.username ?? null,
      password: options.password ?? null,
      properties,
    });
  }

  private flush(): void {
    this.wrote = true;
    this.pipe.flush();
  }

  private full(): Taken {
    this.wasFull = true;
    return 'full';
  }

  private tellRoom(): void {
    if (!this.wasFull || this.pipe.room === 0 || this.pending >= this.queueMax) return;
    this.wasFull = false;
    this.events.room();
  }

  private refusal(qos: P.Qos, retain: boolean): Taken {
    const { server } = this;
    if (this.state !== CONNECTED) return 'closed';
    // [MQTT-3.2.2-11], [MQTT-3.2.2-14]
    if (qos > server.maximumQos || (retain && !server.retainAvailable)) return 'unsupported';
    if (this.pipe.room === 0 || (qos > 0 && this.pending >= this.queueMax)) return this.full();
    return 'taken';
  }

  private isTooLarge(frame: Uint8Array, qos: P.Qos): boolean {
    const { server, head } = this;
    if (frame.length + 16 <= server.packetBytesMax) return false;
    head.qos = qos;
    head.named = true;
    head.alias = Math.min(server.topicAliasMax, 1);
    return E.publishSize(frame, this.version, head) > server.packetBytesMax;
  }

  private ask(type: number, count: number, done: Asking['done'], write: (packetId: number) => number): Taken {
    const packetId = this.memory.identifier(this.asking);
    if (packetId === 0) return this.full();
    const { out } = this.pipe;
    const before = out.length;
    if (write(packetId) > this.server.packetBytesMax) {
      out.cut(before);
      return 'too-large';
    }
    this.asking.set(packetId, { type, count, done });
    this.flush();
    return 'taken';
  }

  /** Sends what waits, as far as the server's receive maximum and the pipe allow ([MQTT-3.3.4-7]). */
  private pump(): void {
    const { again, waiting, outgoing } = this.memory;
    let taken = 0;
    while (taken < again.length && this.sendNext(again[taken]!)) taken++;
    again.splice(0, taken);
    if (again.length > 0) return;
    taken = 0;
    while (taken < waiting.length && this.mayPublish) {
      const next = waiting[taken]!;
      if (next.packetId === 0) next.packetId = this.memory.identifier(this.asking);
      if (next.packetId === 0) break;
      outgoing.set(next.packetId, next);
      this.sendNext(next);
      taken++;
    }
    waiting.splice(0, taken);
  }

  private get mayPublish(): boolean {
    return this.pipe.room > 0 && this.inflight < this.server.receiveMaximum;
  }

  /** Sends a PUBLISH or, for what was received already, its PUBREL; false when it has to wait. */
  private sendNext(next: Outgoing): boolean {
    if (next.frame === null) {
      E.writeAck(this.pipe.out, this.version, P.PUBREL, next.packetId, 0, null);
      this.flush();
      return true;
    }
    if (!this.mayPublish) return false;
    this.inflight++;
    next.counted = true;
    this.send(next.frame, next.topic, next.qos, next.retain, next.dup, next.packetId);
    return true;
  }

  private send(frame: Uint8Array, topic: string, qos: P.Qos, retain: boolean, dup: boolean, packetId: number): void {
    const { pipe, head } = this;
    head.qos = qos;
    head.retain = retain;
    head.dup = dup;
    head.packetId = packetId;
    this.aliasesOut.choose(head, topic, this.server.topicAliasMax);
    const rest = E.writePublishHead(pipe.out, frame, this.version, head);
    pipe.share(frame, rest, frame.length);
    this.flush();
  }

  private answer(qos: P.Qos, packetId: number, reason: number): void {
    if (qos === 2 && reason >= 0x80 && this.version === P.V5) this.memory.incoming.delete(packetId);
    E.writeAck(this.pipe.out, this.version, qos === 1 ? P.PUBACK : P.PUBREC, packetId, reason, null);
    this.flush();
  }

  private end(closed: Closed): void {
    this.state = LEAVING;
    this.deadline = NEVER;
    this.ending = closed;
    this.pipe.end();
  }

  private break(fault: Fault): void {
    if (this.state === LEAVING) return;
    // Nothing may be said before the CONNACK, and nothing can be before 5.0.
    if (this.version === P.V5 && this.state === CONNECTED) {
      const { wire } = fault;
      // A client has no code for a server that does not answer.
      const reason = wire === P.REASON.keepAliveTimeout ? P.REASON.unspecifiedError : wire;
      E.writeDisconnect(this.pipe.out, this.version, reason, null);
    }
    this.state = LEAVING;
    this.deadline = NEVER;
    this.ending = { why: 'fault', reason: fault.wire, text: `${fault.text} ${fault.spec}`, reference: '' };
    this.pipe.fail(fault);
  }

  private schedule(): void {
    this.deadline = Math.min(this.pingDue, this.aliveAt);
  }

  // ---- what comes --------------------------------------------------------------------------------------------------

  private packet(clock: Clock): void {
    const { reader } = this;
    if (this.state === CONNECTING && reader.type !== P.CONNACK && reader.type !== P.AUTH) {
      this.break(faults.connackMissing);
      return;
    }
    switch (reader.type) {
      case P.PUBLISH:
        this.published();
        break;
      case P.CONNACK:
        this.accepted(clock);
        break;
      case P.SUBACK:
      case P.UNSUBACK:
        this.answered(reader.type === P.SUBACK ? P.SUBSCRIBE : P.UNSUBSCRIBE);
        break;
      case P.PINGRESP:
        this.pingDue = NEVER;
        this.schedule();
        break;
      case P.DISCONNECT:
        this.closing('disconnected');
        break;
      case P.AUTH:
        this.challenged();
        break;
      default:
        this.acknowledged();
    }
  }

  private closing(why: Closed['why']): void {
    const { reason, properties } = this.reader;
    this.end({ why, reason, text: properties.reason ?? '', reference: properties.serverReference ?? '' });
  }

  private accepted(clock: Clock): void {
    const { reader, memory, options } = this;
    const { properties } = reader;
    if (this.state !== CONNECTING) {
      this.break(faults.connackTwice);
      return;
    }
    if (reader.reason !== 0) {
      this.closing('refused');
      return;
    }
    // [MQTT-3.2.2-4]
    if (reader.sessionPresent && (options.memory === undefined || options.cleanStart === true)) {
      this.break(faults.sessionUnasked);
      return;
    }
    this.state = CONNECTED;
    this.learn(properties);
    if (this.keepAliveMs > 0) this.aliveAt = clock.now + this.keepAliveMs / 2;
    this.schedule();
    const accepted = { sessionPresent: reader.sessionPresent, properties: keptProperties(properties) };
    if (accepted.sessionPresent) memory.resume();
    else memory.forget();
    this.pump();
    this.events.connected(accepted);
  }

  private learn(properties: Properties): void {
    this.server = serverBounds(properties, this.options.topicAliases === true);
    // The server's word counts ([MQTT-3.1.2-21]).
    if (properties.serverKeepAlive >= 0) this.keepAliveMs = properties.serverKeepAlive * 1_000;
    this.clientId = properties.assignedClientId ?? this.clientId;
  }

  private challenged(): void {
    const { auth } = this.options;
    const { reader } = this;
    if (auth === undefined || auth === null) {
      this.break(faults.authNotOffered);
      return;
    }
    if (reader.reason !== P.REASON.continueAuthentication) return;
    const answer = auth.answer(reader.properties.authData);
    if (answer === null) {
      this.break(faults.authNotOffered);
      return;
    }
    const properties = { authMethod: auth.method, authData: answer };
    E.writeAuth(this.pipe.out, P.REASON.continueAuthentication, properties);
    this.flush();
  }

  private published(): void {
    const { reader, memory } = this;
    const { qos } = reader;
    const topic = this.aliasesIn.topic(reader, this.options.topicAliasMax ?? 0);
    if (topic === null) {
      this.break(faults.serverTopicAlias);
      return;
    }
    const packetId = qos === 0 ? 0 : reader.packetId;
    if (qos === 2) {
      if (memory.incoming.has(packetId)) {
        // Known already: only the answer is repeated ([MQTT-4.3.3-10]), unless the caller still owes it.
        if (!this.unacknowledged.has(packetId)) this.answer(2, packetId, 0);
        return;
      }
      memory.incoming.add(packetId);
    }
    const manual = this.options.manual === true && qos > 0;
    if (manual) this.unacknowledged.set(packetId, qos);
    if (this.version === P.V5 && this.isTooMany()) {
      this.break(faults.serverReceiveMaximum);
      return;
    }
    const message = {
      topic,
      payload: reader.payloadStart === reader.payloadEnd ? EMPTY : reader.keep(reader.payloadStart, reader.payloadEnd),
      qos,
      retain: reader.retain,
      dup: reader.dup,
      packetId,
      properties: reader.hasProperties ? keptProperties(reader.properties) : NO_PROPERTIES,
    };
    this.events.message(message);
    if (qos > 0 && !manual && this.state === CONNECTED) this.answer(qos, packetId, 0);
  }

  private isTooMany(): boolean {
    let ones = 0;
    if (this.unacknowledged.size + this.memory.incoming.size <= this.receiveMaximum) return false;
    for (const qos of this.unacknowledged.values()) if (qos === 1) ones++;
    return ones + this.memory.incoming.size > this.receiveMaximum;
  }

  private acknowledged(): void {
    const { reader, memory } = this;
    const { packetId, reason, type } = reader;
    if (type === P.PUBREL) {
      const known = memory.incoming.delete(packetId);
      const found = known ? P.REASON.success : P.REASON.packetIdentifierNotFound;
      E.writeAck(this.pipe.out, this.version, P.PUBCOMP, packetId, found, null);
      this.flush();
      return;
    }
    const sent = memory.outgoing.get(packetId);
    const awaited = type === P.PUBACK ? 1 : 2;
    if (sent === undefined || sent.qos !== awaited || (type === P.PUBCOMP && sent.frame !== null)) {
      this.break(faults.ackUnasked);
      return;
    }
    if (type === P.PUBREC && reason < 0x80) {
      sent.frame = null;
      E.writeAck(this.pipe.out, this.version, P.PUBREL, packetId, 0, null);
      this.flush();
      return;
    }
    // A PUBCOMP that does not know the identifier any more is no error during recovery (MQTT 5.0 §3.7.2.1); the message was
    // taken with its PUBREC.
    this.settle(sent, type === P.PUBCOMP ? P.REASON.success : reason);
  }

  private settle(sent: Outgoing, reason: number): void {
    this.memory.outgoing.delete(sent.packetId);
    if (sent.counted) this.inflight--;
    sent.done(reason);
    this.pump();
    this.tellRoom();
  }

  private answered(type: number): void {
    const { reader, asking } = this;
    const asked = asking.get(reader.packetId);
    if (asked === undefined || asked.type !== type) {
      this.break(faults.ackUnasked);
      return;
    }
    const { reasons } = reader;
    const told = type === P.UNSUBSCRIBE && this.version !== P.V5 ? Array<number>(asked.count).fill(0) : reasons;
    // One code for each filter ([MQTT-3.8.4-6]).
    if (told.length !== asked.count) {
      this.break(faults.reasonsCount);
      return;
    }
    asking.delete(reader.packetId);
    asked.done(told);
    this.tellRoom();
  }
}

/** Properties that outlive the next packet. */
function keptProperties(properties: Properties): Properties {
  return Object.assign(new Properties(), properties);
}

export { CUT_OFF };
