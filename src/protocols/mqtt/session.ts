// The server's side of one MQTT connection, versions 3.1, 3.1.1 and 5.0: what may come when, and what is answered. It has a
// pipe and the codec; what packets mean for topics and accounts is the server half's (`Upper`), which answers by calling back.

import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import { type Cause, IDLE, OVERLOADED, type Pipe, REVOKED, type Session, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { PacketReader } from './codec.ts';
import {
  writeAck,
  writeAuth,
  writeConnack,
  writeDisconnect,
  writePingresp,
  writeSuback,
  writeUnsuback,
} from './encode.ts';
import { codecFaults, sessionFaults } from './faults.ts';
import { Acknowledgements } from './inbound.ts';
import type { limits } from './limits.ts';
import { COMMIT, type FrameSlots, Outbound, OVER } from './outbound.ts';
import * as P from './packets.ts';
import type { PropertyValues } from './properties.ts';
import { isReason } from './reasons.ts';

export type MqttLimits = Bound<typeof limits>;

/** The server half of one connection. Nothing here throws; each call is made only where its comment says. */
export interface Upper {
  /** Once: answered by `accept` or `refuse`, or by `challenge` first. */
  connect(connect: P.ConnectRead): void;
  /** AUTH while authenticating, or to authenticate anew: answered by `challenge`, `accept`, `refuse` or `welcome`. */
  auth(reason: number, data: Uint8Array | null): void;
  /** A PUBLISH; with `sequence` at least 0 it is answered by `published(sequence, …)`. What is borrowed is the reader's. */
  publish(reader: PacketReader, sequence: number): void;
  /** PUBREL: answered by `completed`. */
  released(packetId: number): void;
  /** A delivery is over. */
  acknowledged(packetId: number): void;
  /** A delivery of QoS 2 arrived: answered by `outbound.release`. */
  arrived(packetId: number): void;
  /** There is room for deliveries again. */
  more(): void;
  /** Answered by `suback`. */
  subscribe(packetId: number, asked: readonly P.SubscriptionRequest[], reader: PacketReader): void;
  /** Answered by `unsuback`. */
  unsubscribe(packetId: number, filters: readonly string[]): void;
  /** Once, as soon as the connection is over; `expiry` is what DISCONNECT changed the session expiry to, or -1. */
  over(withWill: boolean, expiry: number): void;
}

/** What an accepted client is told, and is bound by. */
export interface Acceptance {
  readonly sessionPresent: boolean;
  /** In seconds; 0 for none. */
  readonly keepAlive: number;
  readonly properties: PropertyValues | null;
}

/** Nothing but a CONNECT may come. */
const WAITING = 0;
/** AUTH packets go back and forth; nothing else may come. */
const AUTHENTICATING = 1;
/** The server half is at work: what comes has to wait. */
const CONNECTING = 2;
const OPEN = 3;
const CLOSED = 4;

/** Why input is not taken; bits. */
export const HOLD_CONNECT = 1;
/** Too much of what was begun has not settled. */
export const HOLD_UNSETTLED = 2;
/** The client does not read what it is answered. */
const HOLD_ROOM = 4;
/** The next packet must not be looked at before this one is done. */
export const HOLD_ORDER = 8;
/** Too many publishes wait for their acknowledgement's turn. */
const HOLD_TURN = 16;

export class MqttSession implements Session {
  readonly pipe: Pipe;
  readonly limits: MqttLimits;
  /** From CONNECT on. */
  version: P.Version = P.V5;
  /** Null until CONNECT was accepted. */
  outbound: Outbound | null = null;
  private readonly clock: Clock;
  private readonly upper: Upper;
  private readonly reader: PacketReader;
  private readonly slots: FrameSlots;
  private readonly acknowledgements: Acknowledgements;
  private readonly writeAcknowledgement: (id: number, exact: boolean, code: number, reason: string) => void;
  private state: typeof WAITING | typeof AUTHENTICATING | typeof CONNECTING | typeof OPEN | typeof CLOSED = WAITING;
  private holds = 0;
  private receiving = false;
  /** When the last whole packet came. */
  private heardAt: Instant;
  /** One and a half times the keep alive, or NEVER. */
  private keepAliveMs = NEVER;
  private readonly connectBy: Instant;
  private rounds = 0;
  private connect: P.ConnectRead | null = null;
  private isOver = false;

  constructor(pipe: Pipe, bounds: MqttLimits, clock: Clock, slots: FrameSlots, upper: (session: MqttSession) => Upper) {
    this.pipe = pipe;
    this.limits = bounds;
    this.clock = clock;
    this.slots = slots;
    this.reader = new PacketReader('client', bounds);
    this.reader.packetBytesMax = Math.min(bounds.connectBytesMax, bounds.packetBytesMax);
    this.acknowledgements = new Acknowledgements(bounds.receiveMaximum + 1);
    this.writeAcknowledgement = (id, exact, code, reason) =>
      this.ack(exact ? P.PUBREC : P.PUBACK, id, code, reason === '' ? null : { reason });
    this.heardAt = clock.now;
    this.connectBy = clock.now + bounds.connectMs;
    this.upper = upper(this);
  }

  // ---- Session -----------------------------------------------------------------------------------------------------

  get deadline(): Instant {
    if (this.state === CLOSED) return NEVER;
    if (this.state < CONNECTING) return this.connectBy;
    // Input that we do not take ourselves is no silence of the client's.
    if (this.state === CONNECTING || (this.holds & ~HOLD_ROOM) !== 0) return NEVER;
    return this.heardAt + this.keepAliveMs;
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    if (this.state === CLOSED) return end;
    if (this.holds !== 0) {
      // Held again since it was let go in this turn: the pipe has not heard of it yet.
      this.pipe.pause();
      return start;
    }
    const { reader } = this;
    let at = start;
    this.receiving = true;
    while (this.holds === 0) {
      const next = reader.read(input, at, end);
      if (next === MORE) break;
      if (next === BAD) {
        this.fault(reader.fault ?? codecFaults.truncated);
        break;
      }
      at = next;
      this.heardAt = clock.now;
      if (reader.type === 0) break;
      this.packet();
      if (this.isClosed) break;
      if (this.pipe.room === 0) this.hold(HOLD_ROOM);
    }
    this.receiving = false;
    if (this.isClosed) return end;
    this.drain();
    return at;
  }

  overlong(): void {
    this.fault(codecFaults.packetTooLarge);
  }

  writable(clock: Clock): void {
    if (this.state !== OPEN) return;
    if ((this.holds & HOLD_ROOM) !== 0) this.heardAt = clock.now;
    this.letGo(HOLD_ROOM);
    this.goOn();
  }

  tick(clock: Clock): void {
    if (this.state < CONNECTING) {
      if (clock.now >= this.connectBy) this.fault(sessionFaults.connectLate);
    } else if (this.state === OPEN && clock.now >= this.deadline) this.fault(sessionFaults.keepAlive);
  }

  finish(): void {
    if (this.state === CLOSED) return;
    // An end without DISCONNECT: as if the network had failed (MQTT 5.0 §3.14.4).
    this.close(true, -1);
  }

  leave(why: Why): void {
    if (this.state === CLOSED) return;
    const busy = why === OVERLOADED;
    if (this.state === OPEN) {
      const wanted = why === REVOKED ? P.REASON.administrativeAction : P.REASON.serverShuttingDown;
      this.disconnect(busy ? P.REASON.serverBusy : why === IDLE ? P.REASON.keepAliveTimeout : wanted, '');
    } else if (this.state === WAITING) this.close(true, -1);
    else this.refuse(busy ? P.REASON.serverBusy : P.REASON.serverUnavailable, '');
  }

  lost(_cause: Cause, _wire: number): void {
    this.state = CLOSED;
    this.end(true, -1);
  }

  // ---- what comes in -----------------------------------------------------------------------------------------------

  private packet(): void {
    if (this.state === OPEN) this.openPacket();
    else if (this.state === WAITING) this.connected();
    else if (this.reader.type === P.AUTH) this.authenticating();
    else if (this.reader.type === P.DISCONNECT) this.close(true, -1);
    else this.fault(sessionFaults.packetDuringAuth);
  }

  private openPacket(): void {
    const { reader, upper, outbound } = this;
    const { packetId } = reader;
    switch (reader.type) {
      case P.PUBLISH:
        this.publish();
        break;
      case P.PUBACK:
        this.answered(outbound!.puback(packetId), packetId);
        break;
      case P.PUBREC:
        this.answered(outbound!.pubrec(packetId, reader.reason), packetId);
        break;
      case P.PUBCOMP:
        this.answered(outbound!.pubcomp(packetId), packetId);
        break;
      case P.PUBREL:
        upper.released(packetId);
        break;
      case P.SUBSCRIBE:
        upper.subscribe(packetId, reader.subscriptions, reader);
        break;
      case P.UNSUBSCRIBE:
        upper.unsubscribe(packetId, reader.filters);
        break;
      case P.PINGREQ:
        writePingresp(this.pipe.out);
        this.pipe.flush();
        break;
      case P.DISCONNECT:
        this.disconnected();
        break;
      default:
        this.authenticating();
    }
  }

  private connected(): void {
    const connect = this.reader.connect!;
    this.connect = connect;
    this.version = connect.version;
    this.state = CONNECTING;
    this.hold(HOLD_CONNECT);
    this.upper.connect(connect);
  }

  /** AUTH, before CONNACK or after it (MQTT 5.0 §4.12). */
  private authenticating(): void {
    const { properties, reason } = this.reader;
    const { authMethod } = this.connect!.properties;
    const begins = reason === P.REASON.reAuthenticate;
    if (authMethod === null) this.fault(sessionFaults.authUnexpected);
    else if (properties.authMethod !== authMethod) this.fault(sessionFaults.authMethodChanged);
    // Only an open connection can authenticate anew, and only then does a client begin ([MQTT-4.12.0-3]).
    else if (this.state !== OPEN && begins) this.fault(sessionFaults.authUnexpected);
    else if (begins ? this.rounds > 0 : this.rounds === 0) this.fault(sessionFaults.authUnexpected);
    else if (++this.rounds > this.limits.authRoundsMax) this.fault(sessionFaults.packetDuringAuth);
    else {
      if (this.state === AUTHENTICATING) this.state = CONNECTING;
      this.hold(HOLD_CONNECT);
      this.upper.auth(reason, properties.authData);
    }
  }

  private publish(): void {
    const { reader, acknowledgements } = this;
    if (reader.qos === 0) {
      this.upper.publish(reader, -1);
      return;
    }
    const exact = reader.qos === 2;
    const isNew = !exact || !acknowledgements.isHeld(reader.packetId);
    if (isNew && acknowledgements.counted >= this.limits.receiveMaximum && this.version === P.V5) {
      this.fault(sessionFaults.receiveMaximum);
      return;
    }
    this.upper.publish(reader, acknowledgements.open(reader.packetId, exact));
    if (acknowledgements.waiting < this.limits.receiveMaximum) return;
    this.drain();
    if (acknowledgements.waiting >= this.limits.receiveMaximum) this.hold(HOLD_TURN);
  }

  private answered(meaning: number, packetId: number): void {
    if (meaning === OVER) {
      this.upper.acknowledged(packetId);
      this.goOn();
    } else if (meaning === COMMIT) this.upper.arrived(packetId);
  }

  /** Goes on delivering: first what is to be sent again, then what is new. */
  private goOn(): void {
    for (const packetId of this.outbound!.goOn()) this.upper.acknowledged(packetId);
    this.upper.more();
  }

  private disconnected(): void {
    const { reason, properties } = this.reader;
    const { sessionExpiry } = properties;
    if (sessionExpiry > 0 && Math.max(0, this.connect!.properties.sessionExpiry) === 0) {
      this.fault(sessionFaults.sessionExpiryRaised);
      return;
    }
    // The will goes unpublished only after a normal end ([MQTT-3.14.4-3]).
    this.close(reason !== P.REASON.normalDisconnection, sessionExpiry);
  }

  // ---- what the server half answers --------------------------------------------------------------------------------

  /** CONNACK 0x00; what had to wait is taken now. */
  accept({ sessionPresent, keepAlive, properties }: Acceptance): void {
    if (this.state === CLOSED || this.outbound !== null) return;
    const { properties: asked } = this.connect!;
    const five = this.version === P.V5;
    this.keepAliveMs = keepAlive === 0 ? NEVER : keepAlive * 1_500;
    this.heardAt = this.clock.now;
    this.state = OPEN;
    this.rounds = 0;
    this.reader.packetBytesMax = this.limits.packetBytesMax;
    const bounds = {
      version: this.version,
      receiveMaximum: Math.min(
        this.limits.inflightMax,
        five && asked.receiveMaximum > 0 ? asked.receiveMaximum : 65_535,
      ),
      packetBytesMax: this.packetMax,
      topicAliasMax: five ? Math.min(this.limits.topicAliasOutMax, Math.max(0, asked.topicAliasMaximum)) : 0,
    };
    this.outbound = new Outbound(this.pipe, bounds, this.slots);
    this.fitting(properties, (values) => writeConnack(this.pipe.out, this.version, sessionPresent, 0, values));
    this.letGo(HOLD_CONNECT);
  }

  /** CONNACK with a reason code of 5.0, or a return code of 3.1.1 made of it, and the end ([MQTT-3.2.2-7]). */
  refuse(code: number, reason: string): void {
    if (this.state === CLOSED) return;
    if (this.state === OPEN) {
      this.disconnect(code, reason);
      return;
    }
    const earlier = returnCodeOf(code);
    if (this.version === P.V5)
      this.fitting(textOf(reason), (values) => writeConnack(this.pipe.out, P.V5, false, code, values));
    else if (earlier !== null) writeConnack(this.pipe.out, this.version, false, earlier, null);
    this.close(true, -1);
  }

  /** AUTH 0x18: the client is to say more. */
  challenge(data: Uint8Array): void {
    if (this.state === CLOSED) return;
    if (this.state === CONNECTING) this.state = AUTHENTICATING;
    this.rounds = Math.max(1, this.rounds);
    const { authMethod } = this.connect!.properties;
    writeAuth(this.pipe.out, P.REASON.continueAuthentication, { authMethod, authData: data });
    this.pipe.flush();
    this.letGo(HOLD_CONNECT);
  }

  /** AUTH 0x00: authenticated anew. */
  welcome(data: Uint8Array | null): void {
    if (this.state === CLOSED) return;
    this.rounds = 0;
    const { authMethod } = this.connect!.properties;
    writeAuth(this.pipe.out, P.REASON.success, { authMethod, authData: data });
    this.pipe.flush();
    this.letGo(HOLD_CONNECT);
  }

  /** PUBACK or PUBREC, in its turn. */
  published(sequence: number, code: number, reason: string): void {
    if (this.state === CLOSED) return;
    this.acknowledgements.settle(sequence, code, reason);
    if (!this.receiving) this.drain();
  }

  /** PUBCOMP. */
  completed(packetId: number, code: number): void {
    if (this.state === CLOSED) return;
    this.acknowledgements.complete(packetId);
    this.ack(P.PUBCOMP, packetId, code, null);
  }

  suback(packetId: number, codes: readonly number[], properties: PropertyValues | null): void {
    if (this.state === CLOSED) return;
    this.fitting(this.problems(properties), (values) =>
      writeSuback(this.pipe.out, this.version, packetId, codes, values),
    );
  }

  unsuback(packetId: number, codes: readonly number[], properties: PropertyValues | null): void {
    if (this.state === CLOSED) return;
    this.fitting(this.problems(properties), (values) =>
      writeUnsuback(this.pipe.out, this.version, packetId, codes, values),
    );
  }

  /** DISCONNECT with a reason code where there is one, and the end. Before 5.0 the connection just closes. */
  disconnect(code: number, reason: string): void {
    if (this.state !== OPEN) {
      if (this.state !== CLOSED) this.refuse(code, reason);
      return;
    }
    this.writeGoodbye(code, reason);
    this.close(true, -1);
  }

  /** Takes no more input until `letGo` of the same. */
  hold(why: number): void {
    if (this.state === CLOSED) return;
    if (this.holds === 0) this.pipe.pause();
    this.holds |= why;
  }

  letGo(why: number): void {
    if ((this.holds & why) === 0) return;
    this.holds &= ~why;
    if (this.holds === 0 && !this.isClosed) {
      this.heardAt = this.clock.now;
      this.pipe.resume();
    }
  }

  get isClosed(): boolean {
    return this.state === CLOSED;
  }

  // ---- endings -----------------------------------------------------------------------------------------------------

  /** The client broke the protocol: said in its version's words, then the end ([MQTT-4.13.1-1]). */
  fault(fault: Fault): void {
    if (this.state === CLOSED) return;
    if (this.state === OPEN) this.writeGoodbye(fault.wire, fault.text);
    else this.refuseFault(fault);
    this.state = CLOSED;
    this.pipe.fail(fault);
    this.end(true, -1);
  }

  /** Before CONNACK: a CONNACK where one is allowed, or nothing. */
  private refuseFault(fault: Fault): void {
    const { out } = this.pipe;
    const { level, version } = this.reader;
    if (fault === codecFaults.unsupportedVersion) {
      // In the words of a version that asker may know ([MQTT-3.1.2-2] of 3.1.1 and of 5.0).
      if (level > P.V5) writeConnack(out, P.V5, false, fault.wire, null);
      else writeConnack(out, P.V311, false, P.RETURN.unacceptableVersion, null);
    } else if (version === P.V5 && isReason(P.CONNACK, fault.wire, P.V5, true) && fault !== sessionFaults.connectLate)
      writeConnack(out, P.V5, false, fault.wire, textOf(fault.text));
  }

  private writeGoodbye(code: number, reason: string): void {
    this.drain();
    if (this.version === P.V5)
      this.fitting(textOf(reason), (values) => writeDisconnect(this.pipe.out, P.V5, code, values));
  }

  private close(withWill: boolean, expiry: number): void {
    this.state = CLOSED;
    this.pipe.end();
    this.pipe.stopReading(0);
    this.end(withWill, expiry);
  }

  private end(withWill: boolean, expiry: number): void {
    if (this.isOver) return;
    this.isOver = true;
    this.upper.over(withWill, expiry);
  }

  // ---- writing -----------------------------------------------------------------------------------------------------

  private drain(): void {
    const { acknowledgements } = this;
    if (acknowledgements.waiting === 0) return;
    acknowledgements.drain(this.writeAcknowledgement);
    if (acknowledgements.waiting < this.limits.receiveMaximum) this.letGo(HOLD_TURN);
    this.pipe.flush();
  }

  private ack(type: P.AckType, packetId: number, code: number, properties: PropertyValues | null): void {
    const said = this.problems(properties);
    if (said === null) {
      writeAck(this.pipe.out, this.version, type, packetId, code, null);
      this.pipe.flush();
    } else this.fitting(said, (values) => writeAck(this.pipe.out, this.version, type, packetId, code, values));
  }

  /** Reasons and user properties, if the client wants them on other packets than these ([MQTT-3.1.2-29]). */
  private problems(properties: PropertyValues | null): PropertyValues | null {
    return this.version === P.V5 && this.connect?.properties.requestProblem !== 0 ? properties : null;
  }

  private get packetMax(): number {
    const size = this.version === P.V5 ? (this.connect?.properties.maximumPacketSize ?? -1) : -1;
    return size > 0 ? size : Number.POSITIVE_INFINITY;
  }

  /**
   * Writes a packet; what is only for people is left out when it would be larger than the client takes ([MQTT-3.2.2-19],
   * [MQTT-3.4.2-2] and their like). One that is too large even so is not sent ([MQTT-3.1.2-24]): the connection ends.
   */
  private fitting(properties: PropertyValues | null, write: (properties: PropertyValues | null) => number): void {
    const { out } = this.pipe;
    const start = out.length;
    if (write(properties) > this.packetMax) {
      out.cut(start);
      const { reason, user, ...needed } = properties ?? {};
      if (write(properties === null ? null : needed) > this.packetMax) {
        out.cut(start);
        if (this.state !== CLOSED) this.close(true, -1);
        return;
      }
    }
    this.pipe.flush();
  }
}

function textOf(reason: string): PropertyValues | null {
  return reason === '' ? null : { reason };
}

/** What 3.1 and 3.1.1 have for a reason code of CONNACK; null where they just close ([MQTT-3.2.2-6] of 3.1.1). */
function returnCodeOf(code: number): number | null {
  switch (code) {
    case P.REASON.unsupportedProtocolVersion:
      return P.RETURN.unacceptableVersion;
    case P.REASON.clientIdentifierNotValid:
      return P.RETURN.identifierRejected;
    case P.REASON.serverUnavailable:
    case P.REASON.serverBusy:
    case P.REASON.quotaExceeded:
    case P.REASON.unspecifiedError:
      return P.RETURN.serverUnavailable;
    case P.REASON.badUserNameOrPassword:
      return P.RETURN.badUserNameOrPassword;
    case P.REASON.notAuthorized:
    case P.REASON.badAuthenticationMethod:
      return P.RETURN.notAuthorized;
    default:
      return null;
  }
}
