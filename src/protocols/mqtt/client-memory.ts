// What an MQTT client remembers of its session beyond one connection: what is not acknowledged, in order, and the packet
// identifiers in use ([MQTT-4.1.0-1]).
import type { PacketReader } from './codec.ts';
import type { PublishContent, PublishHead, Qos, SubscriptionRequest, Version, WillFields } from './packets.ts';
import { Properties, type PropertyValues } from './properties.ts';

/** The reason of an operation that the connection's end cut off. */
export const CUT_OFF = -1;

/** A PUBLISH of QoS 1 or 2 on its way to the server. */
export interface Outgoing {
  packetId: number;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly topic: string;
  /** As `encodePublish` made it; null once PUBREC came, since then only the identifier matters. */
  frame: Uint8Array | null;
  /** It was sent on an earlier connection. */
  dup: boolean;
  /** It takes a place of the server's receive maximum. */
  counted: boolean;
  readonly done: (reason: number) => void;
}

/** A SUBSCRIBE or UNSUBSCRIBE on its way. */
export interface Asking {
  readonly type: number;
  readonly count: number;
  readonly done: (reasons: readonly number[]) => void;
}

const NOBODY_ASKS: ReadonlyMap<number, Asking> = new Map();

/** Given to one client after the other, it makes them one session. It holds as much as the clients were allowed to queue. */
export class ClientMemory {
  /** Sent, by packet identifier, in the order of sending. */
  readonly outgoing = new Map<number, Outgoing>();
  /** Of those, the ones that are to be sent again on this connection, in order. */
  again: Outgoing[] = [];
  /** Not sent yet, in order. */
  readonly waiting: Outgoing[] = [];
  /** Messages of QoS 2 that have come and are not released yet. */
  readonly incoming = new Set<number>();
  /** Identifiers that the caller has taken by `reserve` and not freed. */
  private readonly reserved = new Set<number>();
  private lastId = 0;

  /** An identifier for a publish to come, the caller's until `free`; 0 when all are in use. Not while a SUBSCRIBE is under way. */
  reserve(): number {
    const packetId = this.identifier(NOBODY_ASKS);
    if (packetId !== 0) this.reserved.add(packetId);
    return packetId;
  }

  free(packetId: number): void {
    this.reserved.delete(packetId);
  }

  /**
   * Before the first connection: a PUBLISH that a former life of the caller sent and that was not acknowledged. It is sent
   * again if the server still has the session; otherwise it is cut off.
   */
  restore(sent: Pick<Outgoing, 'packetId' | 'qos' | 'retain' | 'topic' | 'frame' | 'done'>): void {
    this.reserved.add(sent.packetId);
    this.outgoing.set(sent.packetId, { ...sent, dup: true, counted: false });
  }

  /** A packet identifier that is not in use, or 0 when all are. */
  identifier(asking: ReadonlyMap<number, Asking>): number {
    for (let tries = 0; tries < 0xffff; tries++) {
      this.lastId = (this.lastId % 0xffff) + 1;
      const id = this.lastId;
      if (!this.outgoing.has(id) && !this.reserved.has(id) && !asking.has(id)) return id;
    }
    return 0;
  }

  /** The server has forgotten the session, so it is forgotten here ([MQTT-3.2.2-5]); what was under way is cut off. */
  forget(): void {
    const sent = [...this.outgoing.values()];
    this.outgoing.clear();
    this.incoming.clear();
    this.again = [];
    for (const one of sent) one.done(CUT_OFF);
  }

  /** A new connection to the same session: all that was sent is to be sent again, in order ([MQTT-4.4.0-1]). */
  resume(): void {
    this.again = [...this.outgoing.values()];
    for (const one of this.again) {
      one.dup = true;
      one.counted = false;
    }
  }

  /** Ends all that is under way: the session will not be taken up again. */
  drop(): void {
    this.forget();
    for (const one of this.waiting.splice(0)) one.done(CUT_OFF);
  }
}

/** The topic aliases that the server has set on one connection. */
export class AliasesIn {
  private readonly topics: string[] = [];

  /** The topic of a PUBLISH, by its alias if it has one; null when the alias is not lawful. */
  topic(reader: PacketReader, most: number): string | null {
    const alias = reader.properties.topicAlias;
    if (alias < 0) return reader.topic();
    if (alias > most) return null;
    if (reader.topicStart === reader.topicEnd) return this.topics[alias] ?? null;
    return (this.topics[alias] = reader.topic());
  }
}

/** The topic aliases that the client has set on one connection. */
export class AliasesOut {
  private readonly aliases = new Map<string, number>();

  /** The first topics get an alias, as many as the server allows; which will be used most cannot be known. */
  choose(head: PublishHead, topic: string, most: number): void {
    const known = this.aliases.get(topic);
    head.named = known === undefined;
    head.alias = known ?? 0;
    if (known !== undefined || this.aliases.size >= most) return;
    head.alias = this.aliases.size + 1;
    this.aliases.set(topic, head.alias);
  }
}

/** What CONNACK says of the server, with the defaults of MQTT 5.0 §3.2.2.3, which are also what earlier versions have. */
export interface ServerBounds {
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
  readonly maximumQos: number;
  readonly retainAvailable: boolean;
  readonly wildcardAvailable: boolean;
  readonly sharedAvailable: boolean;
  readonly identifiersAvailable: boolean;
  readonly topicAliasMax: number;
}

/** @param aliases whether the client wants to set topic aliases */
export function serverBounds(properties: Properties, aliases: boolean): ServerBounds {
  const or = (value: number, otherwise: number) => (value < 0 ? otherwise : value);
  return {
    receiveMaximum: or(properties.receiveMaximum, 65_535),
    packetBytesMax: or(properties.maximumPacketSize, Number.POSITIVE_INFINITY),
    maximumQos: or(properties.maximumQos, 2),
    retainAvailable: properties.retainAvailable !== 0,
    wildcardAvailable: properties.wildcardAvailable !== 0,
    sharedAvailable: properties.sharedAvailable !== 0,
    identifiersAvailable: properties.subscriptionIdsAvailable !== 0,
    topicAliasMax: aliases ? or(properties.topicAliasMaximum, 0) : 0,
  };
}

/** A server that has said nothing. */
export const UNBOUND: ServerBounds = serverBounds(new Properties(), false);

/** An authentication method of 5.0 as the client sees it. */
export interface ClientAuth {
  readonly method: string;
  /** What the CONNECT carries. */
  readonly first: Uint8Array | null;
  /** The answer to the server's data, or null to give up. */
  answer(data: Uint8Array | null): Uint8Array | null;
}

export interface ClientOptions {
  /** 5.0 unless said. */
  readonly version?: Version;
  /** Empty unless said: the server makes one up. */
  readonly clientId?: string;
  /** True unless a memory is given. */
  readonly cleanStart?: boolean;
  /** 60 unless said; 0 for none. */
  readonly keepAliveSeconds?: number;
  readonly will?: WillFields | null;
  readonly username?: string | null;
  readonly password?: Uint8Array | null;
  /** 5.0: how long the server keeps the session after the end. */
  readonly sessionExpirySeconds?: number;
  /** 5.0: how many messages of QoS 1 and 2 the server may leave unacknowledged; 1,024 unless said. */
  readonly receiveMaximum?: number;
  /** The largest packet that is taken; 16 MiB unless said. 5.0 tells the server. */
  readonly packetBytesMax?: number;
  /** 5.0: how many topic aliases the server may set; 0 unless said. */
  readonly topicAliasMax?: number;
  /** 5.0: set topic aliases for the first topics that are published to, as far as the server allows. */
  readonly topicAliases?: boolean;
  /** 5.0: user properties of the CONNECT. */
  readonly user?: readonly string[];
  readonly auth?: ClientAuth | null;
  /** Until CONNACK, and for each PINGRESP; 10,000 unless said. */
  readonly answerMs?: number;
  /** Messages of QoS 1 and 2 that may wait for an acknowledgement or for their turn; 10,000 unless said. */
  readonly queueMessagesMax?: number;
  /** The caller acknowledges each message of QoS 1 and 2 with `acknowledge`. */
  readonly manual?: boolean;
  /** The session to take up again. */
  readonly memory?: ClientMemory;
}

/** A message from the server. It may be kept. */
export interface Received {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
  /** For `acknowledge`; 0 with QoS 0. */
  readonly packetId: number;
  readonly properties: PropertyValues;
}

/** CONNACK. */
export interface Accepted {
  readonly sessionPresent: boolean;
  readonly properties: Readonly<Properties>;
}

/** Why a connection ended. */
export interface Closed {
  /** `refused` by CONNACK, `disconnected` by the server, a `fault` of the server's, `done` by us, or `lost`. */
  readonly why: 'refused' | 'disconnected' | 'fault' | 'done' | 'lost';
  /** The reason code; before 5.0 the return code of CONNACK. 0 where there is none. */
  readonly reason: number;
  /** For a person: the server's reason string, the fault's text, how the pipe ended. */
  readonly text: string;
  /** The server to use instead; `''` for none. */
  readonly reference: string;
}

export interface ClientEvents {
  connected(accepted: Accepted): void;
  message(message: Received): void;
  /** `publish` may be tried again after it answered `full`. */
  room(): void;
  /** Exactly once, the last. */
  closed(closed: Closed): void;
}

/** What a caller publishes; what is left out is empty. */
export type Publish = Pick<PublishContent, 'topic' | 'payload'> &
  Partial<PublishContent> & {
    readonly qos?: Qos;
    readonly retain?: boolean;
    /** 5.0: seconds. */
    readonly expiry?: number;
    /** With QoS 1 and 2: one that the memory's `reserve` gave; the client takes one itself when absent. */
    readonly packetId?: number;
  };

/**
 * `taken`, or why not: `closed` (not connected), `full` (wait for `room`), `too-large` (the server takes no such packet),
 * `unsupported` (the server does not do this QoS, retained messages, …).
 */
export type Taken = 'taken' | 'closed' | 'full' | 'too-large' | 'unsupported';

/** A filter to subscribe to; what is left out is QoS 0 and the plain options. */
export type Subscribe = Pick<SubscriptionRequest, 'filter'> & Partial<SubscriptionRequest>;
