// The words of MQTT on the wire: packet types, versions, reason codes, and the shapes that packets are read into and
// written from. It knows neither bytes nor rules.
import type { Properties, PropertyValues } from './properties.ts';

/** The version as its protocol level: 3.1, 3.1.1, 5.0. */
export const V31 = 3;
export const V311 = 4;
export const V5 = 5;
export type Version = typeof V31 | typeof V311 | typeof V5;

// Packet types (MQTT 5.0 §2.1.2).
export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;
export const AUTH = 15;

/** By packet type; the first is no packet. */
export const PACKET_NAMES = [
  'RESERVED',
  'CONNECT',
  'CONNACK',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'SUBACK',
  'UNSUBSCRIBE',
  'UNSUBACK',
  'PINGREQ',
  'PINGRESP',
  'DISCONNECT',
  'AUTH',
] as const;

export type AckType = typeof PUBACK | typeof PUBREC | typeof PUBREL | typeof PUBCOMP;

export type Qos = 0 | 1 | 2;

/** Reason codes (MQTT 5.0 §2.4). */
export const REASON = {
  success: 0x00,
  normalDisconnection: 0x00,
  grantedQos0: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;

/** CONNACK return codes of 3.1 and 3.1.1 (MQTT 3.1.1 §3.2.2.3). */
export const RETURN = {
  accepted: 0,
  unacceptableVersion: 1,
  identifierRejected: 2,
  serverUnavailable: 3,
  badUserNameOrPassword: 4,
  notAuthorized: 5,
} as const;

/** The one return code of SUBACK in 3.1.1 that is no QoS (MQTT 3.1.1 §3.9.3). */
export const SUBACK_FAILURE = 0x80;

/** A will as CONNECT carries it. */
export interface WillFields {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  /** 5.0: willDelay, payloadFormat, messageExpiry, contentType, responseTopic, correlation, user. */
  readonly properties: PropertyValues;
}

/** CONNECT; in 3.1 and 3.1.1 `cleanStart` is the flag called Clean Session. Everything in it may be kept. */
export interface Connect {
  readonly version: Version;
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly keepAlive: number;
  readonly will: WillFields | null;
  readonly username: string | null;
  readonly password: Uint8Array | null;
  readonly properties: PropertyValues;
}

/** A CONNECT that was read: its properties are all there, absent ones included. */
export interface ConnectRead extends Connect {
  readonly properties: Properties;
  readonly will: (WillFields & { readonly properties: Properties }) | null;
}

/** One filter of a SUBSCRIBE. Before 5.0 only `filter` and `qos` are on the wire, the others are at their defaults. */
export interface SubscriptionRequest {
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0: always give the retained, 1: when the subscription is new, 2: never. */
  readonly retainHandling: 0 | 1 | 2;
}

/** What all recipients of a PUBLISH get alike. A `Message` of the topics is one. */
export interface PublishContent {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** The rest is not on the wire before 5.0. `''` for none. */
  readonly contentType: string;
  /** The payload is UTF-8 text: the payload format indicator. */
  readonly text: boolean;
  /** User properties: name, value, name, value. */
  readonly properties: readonly string[];
  readonly responseTopic: string;
  readonly correlation: Uint8Array | null;
}

/** What differs from recipient to recipient in the head of a PUBLISH. Mutable, so that one serves a whole connection. */
export class PublishHead {
  qos: Qos = 0;
  retain = false;
  dup = false;
  /** Used with QoS 1 and 2. */
  packetId = 0;
  /** Seconds that are left; -1 leaves what the frame says. Only to be set for a frame that has an expiry. */
  expiry = -1;
  /** 0 for none. */
  alias = 0;
  /** False sends an empty topic name with the alias alone. */
  named = true;
  /** Subscription identifiers. */
  identifiers: readonly number[] = [];
}
