// Every way in which a peer can break MQTT: the reason code of 5.0 for it, the clause, and a sentence. Clauses are those of
// MQTT 5.0 unless the version is named.
import { faultTable } from '../../core/fault.ts';

/** What the codec finds in the bytes alone. */
export const codecFaults = faultTable('mqtt', {
  // ---- the fixed header
  packetType: { wire: 0x81, spec: 'MQTT 5.0 §2.1.2', text: 'The packet type is reserved in this version.' },
  headerFlags: {
    wire: 0x81,
    spec: '[MQTT-2.1.3-1]',
    text: 'The flags of the fixed header are not those of the packet.',
  },
  qosThree: { wire: 0x81, spec: '[MQTT-3.3.1-4]', text: 'A PUBLISH has both QoS bits set.' },
  dupQosZero: { wire: 0x81, spec: '[MQTT-3.3.1-2]', text: 'A PUBLISH of QoS 0 says that it is a duplicate.' },
  remainingLength: { wire: 0x81, spec: 'MQTT 5.0 §1.5.5', text: 'A variable byte integer is longer than four bytes.' },
  lengthNotMinimal: {
    wire: 0x81,
    spec: '[MQTT-1.5.5-1]',
    text: 'A variable byte integer has more bytes than it needs.',
  },
  packetTooLarge: { wire: 0x95, spec: '[MQTT-3.2.2-15]', text: 'The packet is larger than the maximum packet size.' },
  firstNotConnect: { wire: 0x82, spec: '[MQTT-3.1.0-1]', text: 'The first packet is not a CONNECT.' },
  secondConnect: { wire: 0x82, spec: '[MQTT-3.1.0-2]', text: 'A second CONNECT came on the connection.' },
  wrongDirection: { wire: 0x82, spec: 'MQTT 5.0 §2.1.2', text: 'Only the other side may send this packet.' },
  // ---- fields
  truncated: { wire: 0x81, spec: 'MQTT 5.0 §4.13.1', text: 'A field reaches beyond the end of its packet.' },
  trailingBytes: { wire: 0x81, spec: 'MQTT 5.0 §4.13.1', text: 'There are bytes behind the last field of a packet.' },
  notUtf8: { wire: 0x81, spec: '[MQTT-1.5.4-1]', text: 'A string is not well-formed UTF-8.' },
  nulInText: { wire: 0x81, spec: '[MQTT-1.5.4-2]', text: 'A string contains the null character.' },
  packetIdZero: { wire: 0x82, spec: '[MQTT-2.2.1-3]', text: 'A packet identifier is zero.' },
  reasonCode: { wire: 0x82, spec: 'MQTT 5.0 §2.4', text: 'The reason code is not one of this packet.' },
  // ---- CONNECT and CONNACK
  protocolName: { wire: 0x84, spec: '[MQTT-3.1.2-1]', text: 'The protocol name is not MQTT.' },
  unsupportedVersion: { wire: 0x84, spec: '[MQTT-3.1.2-2]', text: 'The protocol version is not 3.1, 3.1.1 or 5.0.' },
  connectReserved: { wire: 0x81, spec: '[MQTT-3.1.2-3]', text: 'The reserved flag of a CONNECT is set.' },
  willFlags: { wire: 0x81, spec: '[MQTT-3.1.2-11]', text: 'A CONNECT without a will has the flags of one.' },
  willQos: { wire: 0x81, spec: '[MQTT-3.1.2-12]', text: 'The QoS of a will is 3.' },
  passwordWithoutName: {
    wire: 0x81,
    spec: 'MQTT 3.1.1 [MQTT-3.1.2-22]',
    text: 'A CONNECT has a password and no user name.',
  },
  connackFlags: { wire: 0x81, spec: '[MQTT-3.2.2-1]', text: 'Reserved flags of a CONNACK are set.' },
  sessionPresentRefused: { wire: 0x82, spec: '[MQTT-3.2.2-6]', text: 'A CONNACK that refuses has a session present.' },
  // ---- topics
  topicEmpty: { wire: 0x82, spec: '[MQTT-4.7.3-1]', text: 'A topic name is empty and no alias stands for it.' },
  topicWildcard: { wire: 0x90, spec: '[MQTT-3.3.2-2]', text: 'A topic name contains a wildcard.' },
  responseTopicWildcard: { wire: 0x82, spec: '[MQTT-3.3.2-14]', text: 'A response topic contains a wildcard.' },
  topicAliasZero: { wire: 0x94, spec: '[MQTT-3.3.2-8]', text: 'A topic alias is zero.' },
  noSubscriptions: { wire: 0x82, spec: '[MQTT-3.8.3-2]', text: 'A SUBSCRIBE has no topic filter.' },
  noUnsubscriptions: { wire: 0x82, spec: '[MQTT-3.10.3-2]', text: 'An UNSUBSCRIBE has no topic filter.' },
  noReasons: { wire: 0x82, spec: '[MQTT-3.8.4-6]', text: 'A SUBACK or UNSUBACK has no reason code.' },
  subscriptionOptions: { wire: 0x81, spec: '[MQTT-3.8.3-5]', text: 'Reserved bits of subscription options are set.' },
  subscriptionQos: { wire: 0x82, spec: 'MQTT 5.0 §3.8.3.1', text: 'The QoS of a subscription is 3.' },
  retainHandling: { wire: 0x82, spec: 'MQTT 5.0 §3.8.3.1', text: 'The retain handling of a subscription is 3.' },
  noLocalShared: { wire: 0x82, spec: '[MQTT-3.8.3-4]', text: 'A shared subscription asks for no local.' },
  // ---- properties
  propertyUnknown: { wire: 0x81, spec: 'MQTT 5.0 §2.2.2.2', text: 'There is no property with this identifier.' },
  propertyMisplaced: { wire: 0x81, spec: 'MQTT 5.0 §2.2.2.2', text: 'The packet cannot have this property.' },
  propertyTwice: { wire: 0x82, spec: 'MQTT 5.0 §2.2.2.2', text: 'A property that may appear once appears twice.' },
  propertyValue: { wire: 0x82, spec: 'MQTT 5.0 §3.1.2.11', text: 'The value of a property is out of its range.' },
  subscriptionIdZero: { wire: 0x82, spec: 'MQTT 5.0 §3.8.2.1.2', text: 'A subscription identifier is zero.' },
  subscriptionIdFromClient: {
    wire: 0x82,
    spec: '[MQTT-3.3.4-6]',
    text: 'A PUBLISH from a client has a subscription identifier.',
  },
  authDataAlone: {
    wire: 0x82,
    spec: 'MQTT 5.0 §3.1.2.11.10',
    text: 'There is authentication data without an authentication method.',
  },
  authMethodMissing: { wire: 0x82, spec: 'MQTT 5.0 §3.15.2.2.2', text: 'An AUTH names no authentication method.' },
  // ---- our bounds
  tooManyUserProperties: { wire: 0x97, spec: 'MQTT 5.0 §4.13.2', text: 'A packet has too many user properties.' },
  tooManyFilters: { wire: 0x97, spec: 'MQTT 5.0 §4.13.2', text: 'A packet has too many topic filters.' },
});

/** What only the server's session can tell. */
export const sessionFaults = faultTable('mqtt', {
  connectLate: { wire: 0x8d, spec: 'MQTT 5.0 §3.1', text: 'No CONNECT came in time.' },
  clientIdTooLong: { wire: 0x85, spec: '[MQTT-3.1.3-8]', text: 'The client identifier is longer than is allowed.' },
  keepAlive: { wire: 0x8d, spec: '[MQTT-3.1.2-22]', text: 'Nothing came for one and a half times the keep alive.' },
  receiveMaximum: { wire: 0x93, spec: '[MQTT-3.3.4-7]', text: 'More PUBLISH packets are unacknowledged than allowed.' },
  topicAliasTooLarge: { wire: 0x94, spec: '[MQTT-3.3.2-9]', text: 'A topic alias is above the topic alias maximum.' },
  topicAliasUnknown: { wire: 0x82, spec: 'MQTT 5.0 §3.3.2.3.4', text: 'No topic was given for a topic alias.' },
  payloadFormat: { wire: 0x99, spec: 'MQTT 5.0 §3.3.2.3.2', text: 'A payload that is said to be text is not UTF-8.' },
  sessionExpiryRaised: {
    wire: 0x82,
    spec: 'MQTT 5.0 §3.14.2.2.2',
    text: 'A DISCONNECT raises a session expiry interval that was zero.',
  },
  authUnexpected: {
    wire: 0x82,
    spec: '[MQTT-4.12.0-6]',
    text: 'An AUTH came, but no authentication method was chosen.',
  },
  authMethodChanged: { wire: 0x82, spec: '[MQTT-4.12.0-5]', text: 'An AUTH names another method than the CONNECT.' },
  packetDuringAuth: { wire: 0x82, spec: '[MQTT-3.1.2-30]', text: 'A packet came before authentication was done.' },
});

/** What only the client can tell of a server. */
export const clientFaults = faultTable('mqtt', {
  connackLate: { wire: 0x8d, spec: 'MQTT 5.0 §3.1.4', text: 'No CONNACK came in time.' },
  pingrespLate: { wire: 0x8d, spec: 'MQTT 5.0 §3.12.4', text: 'No PINGRESP came in time.' },
  connackMissing: { wire: 0x82, spec: '[MQTT-3.2.0-1]', text: 'The first packet of the server is not a CONNACK.' },
  connackTwice: { wire: 0x82, spec: '[MQTT-3.2.0-2]', text: 'The server sent a second CONNACK.' },
  sessionUnasked: {
    wire: 0x82,
    spec: 'MQTT 5.0 §3.2.2.1.1',
    text: 'The server has a session that the client has not.',
  },
  ackUnasked: { wire: 0x82, spec: 'MQTT 5.0 §4.3', text: 'The server acknowledges what was not sent.' },
  reasonsCount: { wire: 0x82, spec: '[MQTT-3.8.4-6]', text: 'An acknowledgement has not one reason code a filter.' },
  serverReceiveMaximum: {
    wire: 0x93,
    spec: '[MQTT-3.3.4-9]',
    text: 'The server left more unacknowledged than the client allows.',
  },
  serverTopicAlias: {
    wire: 0x94,
    spec: '[MQTT-3.1.2-26]',
    text: 'The server used a topic alias that it was not given.',
  },
  authNotOffered: { wire: 0x8c, spec: '[MQTT-4.12.0-6]', text: 'The server asks for authentication not offered.' },
});

export const faults = { ...codecFaults, ...sessionFaults, ...clientFaults };
