// Packets that the three standards show, with the clause of each. Where a standard shows a variable header alone, the
// payload is the smallest that its flags allow.
import type { Sender } from '../codec.ts';
import * as P from '../packets.ts';
import type { Sample } from '../samples.ts';

export interface Vector {
  readonly spec: string;
  readonly name: string;
  readonly sender: Sender;
  readonly version: P.Version;
  readonly hex: string;
  readonly packet: Sample;
  /** False when the bytes are a longer form than the one that is written. */
  readonly written?: false;
}

const bytes = (text: string) => Buffer.from(text, 'latin1');

const WILL_LIKE_THE_EXAMPLE = { topic: 'w', payload: bytes('x'), qos: 1 as const, retain: false, properties: {} };

const CONNECT_LIKE_THE_EXAMPLE = {
  type: P.CONNECT,
  clientId: 'c',
  cleanStart: true,
  keepAlive: 10,
  will: WILL_LIKE_THE_EXAMPLE,
  username: 'u',
  password: bytes('p'),
  properties: {},
} as const;

const TWO_FILTERS = [
  { filter: 'a/b', qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
  { filter: 'c/d', qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 },
] as const;

export const VECTORS: readonly Vector[] = [
  {
    // The variable header of the example: name, level 3, flags 0xCE, keep alive 10.
    spec: 'MQTT 3.1 §3.1',
    name: 'CONNECT with all flags of the example',
    sender: 'client',
    version: P.V31,
    hex: '10 1b 0006 4d5149736470 03 ce 000a 0001 63 0001 77 0001 78 0001 75 0001 70',
    packet: { ...CONNECT_LIKE_THE_EXAMPLE, version: P.V31 },
  },
  {
    // Figure 3.6: name, level 4, flags 0xCE, keep alive 10.
    spec: 'MQTT 3.1.1 §3.1.2.5',
    name: 'CONNECT with all flags of the example',
    sender: 'client',
    version: P.V311,
    hex: '10 19 0004 4d515454 04 ce 000a 0001 63 0001 77 0001 78 0001 75 0001 70',
    packet: { ...CONNECT_LIKE_THE_EXAMPLE, version: P.V311 },
  },
  {
    // Figure 3-6: as above at level 5, with a session expiry interval of 10.
    spec: 'MQTT 5.0 §3.1.2.12',
    name: 'CONNECT with all flags of the example and a session expiry',
    sender: 'client',
    version: P.V5,
    hex: '10 20 0004 4d515454 05 ce 000a 05 11 0000000a 0001 63 00 0001 77 0001 78 0001 75 0001 70',
    packet: { ...CONNECT_LIKE_THE_EXAMPLE, version: P.V5, properties: { sessionExpiry: 10 } },
  },
  {
    // Figure 3.11: topic a/b, packet identifier 10.
    spec: 'MQTT 3.1.1 §3.3.2.3',
    name: 'PUBLISH of the example',
    sender: 'client',
    version: P.V311,
    hex: '32 07 0003 612f62 000a',
    packet: {
      type: P.PUBLISH,
      topic: 'a/b',
      payload: bytes(''),
      qos: 1,
      retain: false,
      dup: false,
      packetId: 10,
      properties: {},
    },
  },
  {
    // Figure 3-9: topic a/b, packet identifier 10, no properties.
    spec: 'MQTT 5.0 §3.3.2.3.9',
    name: 'PUBLISH of the example',
    sender: 'server',
    version: P.V5,
    hex: '32 08 0003 612f62 000a 00',
    packet: {
      type: P.PUBLISH,
      topic: 'a/b',
      payload: bytes(''),
      qos: 1,
      retain: false,
      dup: false,
      packetId: 10,
      properties: {},
    },
  },
  {
    // Figure 3.23: a/b with QoS 1, c/d with QoS 2.
    spec: 'MQTT 3.1.1 §3.8.3',
    name: 'SUBSCRIBE of the example',
    sender: 'client',
    version: P.V311,
    hex: '82 0e 000a 0003 612f62 01 0003 632f64 02',
    packet: { type: P.SUBSCRIBE, packetId: 10, subscriptions: TWO_FILTERS, properties: {} },
  },
  {
    // Figure 3-19 and 3-21: packet identifier 10, no properties, the same filters.
    spec: 'MQTT 5.0 §3.8.3.1',
    name: 'SUBSCRIBE of the example',
    sender: 'client',
    version: P.V5,
    hex: '82 0f 000a 00 0003 612f62 01 0003 632f64 02',
    packet: { type: P.SUBSCRIBE, packetId: 10, subscriptions: TWO_FILTERS, properties: {} },
  },
  {
    // Figure 3.27: QoS 0, QoS 2, failure.
    spec: 'MQTT 3.1.1 §3.9.3',
    name: 'SUBACK of the example',
    sender: 'server',
    version: P.V311,
    hex: '90 05 000a 00 02 80',
    packet: { type: P.SUBACK, packetId: 10, reasons: [0, 2, 0x80], properties: {} },
  },
  {
    // Figure 3.30: a/b, c/d.
    spec: 'MQTT 3.1.1 §3.10.3',
    name: 'UNSUBSCRIBE of the example',
    sender: 'client',
    version: P.V311,
    hex: 'a2 0c 000a 0003 612f62 0003 632f64',
    packet: { type: P.UNSUBSCRIBE, packetId: 10, filters: ['a/b', 'c/d'], properties: {} },
  },
  {
    spec: 'MQTT 5.0 §3.10.3',
    name: 'UNSUBSCRIBE of the example',
    sender: 'client',
    version: P.V5,
    hex: 'a2 0d 000a 00 0003 612f62 0003 632f64',
    packet: { type: P.UNSUBSCRIBE, packetId: 10, filters: ['a/b', 'c/d'], properties: {} },
  },
  {
    // Figure 1-1: the letter A and U+2A6D4.
    spec: 'MQTT 5.0 §1.5.4',
    name: 'a string beyond the basic plane',
    sender: 'client',
    version: P.V5,
    hex: 'a2 0a 0001 00 0005 41 f0aa9b94',
    packet: { type: P.UNSUBSCRIBE, packetId: 1, filters: ['A\u{2a6d4}'], properties: {} },
  },
  {
    // A byte order mark is a character like others ([MQTT-1.5.4-3]).
    spec: '[MQTT-1.5.4-3]',
    name: 'U+FEFF is kept',
    sender: 'client',
    version: P.V311,
    hex: 'a2 08 0001 0004 efbbbf 61',
    packet: { type: P.UNSUBSCRIBE, packetId: 1, filters: ['\ufeffa'], properties: {} },
  },
  {
    spec: 'MQTT 5.0 §3.4.2.1',
    name: 'PUBACK without its reason code, which is success',
    sender: 'server',
    version: P.V5,
    hex: '40 02 000a',
    packet: { type: P.PUBACK, packetId: 10, reason: 0, properties: {} },
  },
  {
    spec: 'MQTT 5.0 §3.4.2.2.1',
    name: 'PUBACK without the length of its properties',
    sender: 'server',
    version: P.V5,
    hex: '40 03 000a 10',
    packet: { type: P.PUBACK, packetId: 10, reason: 0x10, properties: {} },
  },
  {
    spec: 'MQTT 5.0 §3.4.2',
    name: 'PUBACK in full',
    sender: 'server',
    version: P.V5,
    hex: '40 04 000a 00 00',
    packet: { type: P.PUBACK, packetId: 10, reason: 0, properties: {} },
    written: false,
  },
  {
    spec: 'MQTT 5.0 §3.14.2.1',
    name: 'DISCONNECT without a reason code, which is a normal one',
    sender: 'client',
    version: P.V5,
    hex: 'e0 00',
    packet: { type: P.DISCONNECT, reason: 0, properties: {} },
  },
  {
    spec: 'MQTT 5.0 §3.14.2.2.1',
    name: 'DISCONNECT without the length of its properties',
    sender: 'client',
    version: P.V5,
    hex: 'e0 01 04',
    packet: { type: P.DISCONNECT, reason: 4, properties: {} },
  },
  {
    spec: 'MQTT 5.0 §3.15.2.1',
    name: 'AUTH without a reason code, which is success',
    sender: 'server',
    version: P.V5,
    hex: 'f0 00',
    packet: { type: P.AUTH, reason: 0, properties: {} },
  },
  {
    spec: 'MQTT 5.0 §3.12',
    name: 'PINGREQ',
    sender: 'client',
    version: P.V5,
    hex: 'c0 00',
    packet: { type: P.PINGREQ },
  },
  {
    // The user name's flag is set, but the packet ends before it: the remaining length takes precedence.
    spec: 'MQTT 3.1 §3.1',
    name: 'CONNECT whose user name and password are missing',
    sender: 'client',
    version: P.V31,
    hex: '10 0f 0006 4d5149736470 03 c2 000a 0001 63',
    packet: {
      type: P.CONNECT,
      version: P.V31,
      clientId: 'c',
      cleanStart: true,
      keepAlive: 10,
      will: null,
      username: null,
      password: null,
      properties: {},
    },
    written: false,
  },
  {
    // Subscribed again: DUP is set beside QoS 1.
    spec: 'MQTT 3.1 §3.8',
    name: 'SUBSCRIBE that is repeated',
    sender: 'client',
    version: P.V31,
    hex: '8a 08 000a 0003 612f62 01',
    packet: {
      type: P.SUBSCRIBE,
      packetId: 10,
      subscriptions: [TWO_FILTERS[0]],
      properties: {},
    },
    written: false,
  },
  {
    // An older server can refuse in its own form only; it is read as "unsupported protocol version".
    spec: 'MQTT 3.1.1 §3.2.2.3',
    name: 'CONNACK of 3.1.1 in answer to a CONNECT of 5.0',
    sender: 'server',
    version: P.V5,
    hex: '20 02 00 01',
    packet: { type: P.CONNACK, sessionPresent: false, reason: 0x84, properties: {} },
    written: false,
  },
];
