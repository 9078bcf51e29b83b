// Every way in which a peer can break the handshake, and the alert that tells it: on the wire 0x100 and the alert's number
// (RFC 9001 §4.8).
import { faultTable } from '../../../core/fault.ts';

const alert = (number: number) => 0x100 + number;

const UNEXPECTED_MESSAGE = alert(10);
const HANDSHAKE_FAILURE = alert(40);
const BAD_CERTIFICATE = alert(42);
const UNSUPPORTED_CERTIFICATE = alert(43);
const CERTIFICATE_EXPIRED = alert(45);
const CERTIFICATE_UNKNOWN = alert(46);
const ILLEGAL_PARAMETER = alert(47);
const UNKNOWN_CA = alert(48);
const DECODE_ERROR = alert(50);
const DECRYPT_ERROR = alert(51);
const PROTOCOL_VERSION = alert(70);
const INTERNAL_ERROR = alert(80);
const MISSING_EXTENSION = alert(109);
const UNSUPPORTED_EXTENSION = alert(110);
const UNRECOGNIZED_NAME = alert(112);
const CERTIFICATE_REQUIRED = alert(116);
const NO_APPLICATION_PROTOCOL = alert(120);
/** Of QUIC itself. */
const PROTOCOL_VIOLATION = 0x0a;

export const faults = faultTable('quic', {
  // Messages and their places.
  wrongLevel: {
    wire: UNEXPECTED_MESSAGE,
    spec: 'RFC 9001 §4.1.3',
    text: 'a message of the handshake came at another encryption level than its own',
  },
  unexpected: { wire: UNEXPECTED_MESSAGE, spec: 'RFC 8446 §4', text: 'a message of the handshake came out of turn' },
  leftover: {
    wire: PROTOCOL_VIOLATION,
    spec: 'RFC 9001 §4.1.3',
    text: 'bytes of the handshake were left over when its keys changed',
  },
  earlyCrypto: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9001 §8.3', text: '0-RTT packets carry no handshake' },
  tooLong: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4', text: 'a message of the handshake is too long' },
  malformed: { wire: DECODE_ERROR, spec: 'RFC 8446 §6.2', text: 'a message of the handshake has wrong lengths' },
  duplicate: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.2', text: 'an extension is there twice' },
  notHere: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.2', text: 'an extension is in a message that it is not for' },
  notOffered: { wire: UNSUPPORTED_EXTENSION, spec: 'RFC 8446 §4.2', text: 'an extension answers nothing' },

  // Hellos.
  version: { wire: PROTOCOL_VERSION, spec: 'RFC 8446 §4.2.1', text: 'the peer does not speak TLS 1.3' },
  oldVersion: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.1.3', text: 'a hello has another legacy version' },
  compression: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.1.2', text: 'a hello has compression' },
  sessionId: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9001 §8.4', text: 'a hello has a session id of TLS 1.2' },
  sessionEcho: {
    wire: ILLEGAL_PARAMETER,
    spec: 'RFC 8446 §4.1.3',
    text: 'the session id is not the one that was sent',
  },
  noSuite: { wire: HANDSHAKE_FAILURE, spec: 'RFC 8446 §4.1.1', text: 'there is no cipher suite in common' },
  noGroup: { wire: HANDSHAKE_FAILURE, spec: 'RFC 8446 §4.1.1', text: 'there is no key exchange in common' },
  noScheme: { wire: HANDSHAKE_FAILURE, spec: 'RFC 8446 §4.4.2.2', text: 'there is no signature scheme in common' },
  noAlgorithms: { wire: MISSING_EXTENSION, spec: 'RFC 8446 §9.2', text: 'signature_algorithms is missing' },
  noShares: {
    wire: MISSING_EXTENSION,
    spec: 'RFC 8446 §9.2',
    text: 'one of supported_groups and key_share is missing',
  },
  noParameters: {
    wire: MISSING_EXTENSION,
    spec: 'RFC 9001 §8.2',
    text: 'quic_transport_parameters is missing',
  },
  noModes: { wire: MISSING_EXTENSION, spec: 'RFC 8446 §4.2.9', text: 'psk_key_exchange_modes is missing' },
  suite: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.1.3', text: 'the cipher suite was not offered' },
  share: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.2.8', text: 'a key share is wrong' },
  shareTwice: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.2.8', text: 'a group has two key shares' },
  shareUnlisted: {
    wire: ILLEGAL_PARAMETER,
    spec: 'RFC 8446 §4.2.8',
    text: 'a key share is of a group that is not listed',
  },
  group: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.2.8', text: 'the group was not offered' },
  retryIdle: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.1.4', text: 'HelloRetryRequest changes nothing' },
  retryAgain: { wire: UNEXPECTED_MESSAGE, spec: 'RFC 8446 §4.1.4', text: 'a second HelloRetryRequest' },
  retryIgnored: {
    wire: ILLEGAL_PARAMETER,
    spec: 'RFC 8446 §4.1.2',
    text: 'the second ClientHello is not what HelloRetryRequest asked for',
  },
  pskPlace: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.2.11', text: 'pre_shared_key is not the last extension' },
  pskCount: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.2.11', text: 'tickets and binders are not as many' },
  pskChoice: {
    wire: ILLEGAL_PARAMETER,
    spec: 'RFC 8446 §4.2.11',
    text: 'the server took a ticket that it cannot have',
  },
  binder: { wire: DECRYPT_ERROR, spec: 'RFC 8446 §4.2.11', text: 'a binder is not that of its ticket' },
  early: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.2.10', text: 'early_data where it cannot be' },
  serverName: { wire: DECODE_ERROR, spec: 'RFC 6066 §3', text: 'server_name is not a name' },
  nameUnknown: { wire: UNRECOGNIZED_NAME, spec: 'RFC 6066 §3', text: 'there is no certificate for this name' },
  noProtocol: {
    wire: NO_APPLICATION_PROTOCOL,
    spec: 'RFC 9001 §8.1',
    text: 'there is no application protocol in common',
  },
  protocol: { wire: ILLEGAL_PARAMETER, spec: 'RFC 7301 §3.1', text: 'the application protocol was not offered' },

  // Certificates.
  noChain: { wire: DECODE_ERROR, spec: 'RFC 8446 §4.4.2.4', text: 'the server shows no certificate' },
  certificateRequired: { wire: CERTIFICATE_REQUIRED, spec: 'RFC 8446 §4.4.2.4', text: 'a certificate is required' },
  context: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.4.2', text: 'a certificate has a request context' },
  scheme: { wire: ILLEGAL_PARAMETER, spec: 'RFC 8446 §4.4.3', text: 'the signature scheme was not offered' },
  signature: { wire: DECRYPT_ERROR, spec: 'RFC 8446 §4.4.3', text: 'the signature of the handshake is wrong' },
  finished: { wire: DECRYPT_ERROR, spec: 'RFC 8446 §4.4.4', text: 'Finished is wrong' },
  chainTooLong: { wire: BAD_CERTIFICATE, spec: 'RFC 5280 §6', text: 'the chain has too many certificates' },
  certificateMalformed: { wire: BAD_CERTIFICATE, spec: 'RFC 5280 §4', text: 'a certificate cannot be read' },
  certificateKey: {
    wire: UNSUPPORTED_CERTIFICATE,
    spec: 'RFC 8446 §4.4.2',
    text: 'the key of a certificate is of no use here',
  },
  certificateUnknown: {
    wire: UNKNOWN_CA,
    spec: 'RFC 5280 §6',
    text: 'no authority that is trusted has issued the certificate',
  },
  certificateExpired: { wire: CERTIFICATE_EXPIRED, spec: 'RFC 5280 §4.1.2.5', text: 'a certificate has expired' },
  certificateEarly: { wire: CERTIFICATE_EXPIRED, spec: 'RFC 5280 §4.1.2.5', text: 'a certificate does not hold yet' },
  certificateForged: {
    wire: BAD_CERTIFICATE,
    spec: 'RFC 5280 §6.1.3',
    text: 'the signature of a certificate is wrong',
  },
  certificateWeak: {
    wire: BAD_CERTIFICATE,
    spec: 'RFC 8446 §4.4.2.2',
    text: 'a certificate is signed with MD5 or SHA-1',
  },
  notAuthority: {
    wire: BAD_CERTIFICATE,
    spec: 'RFC 5280 §4.2.1.9',
    text: 'the issuer of a certificate may not issue any',
  },
  pathLength: {
    wire: BAD_CERTIFICATE,
    spec: 'RFC 5280 §4.2.1.9',
    text: 'the chain is longer than an authority allows',
  },
  critical: {
    wire: UNSUPPORTED_CERTIFICATE,
    spec: 'RFC 5280 §4.2',
    text: 'a certificate has a critical extension that is not known',
  },
  keyUsage: { wire: BAD_CERTIFICATE, spec: 'RFC 5280 §4.2.1.3', text: 'the key of a certificate may not sign' },
  purpose: { wire: BAD_CERTIFICATE, spec: 'RFC 5280 §4.2.1.12', text: 'the certificate is for another purpose' },
  certificateName: { wire: BAD_CERTIFICATE, spec: 'RFC 9525 §6', text: 'the certificate is for other names' },
  constrained: {
    wire: BAD_CERTIFICATE,
    spec: 'RFC 5280 §4.2.1.10',
    text: 'an authority may not speak for a name of the certificate',
  },
  refused: {
    wire: CERTIFICATE_UNKNOWN,
    spec: 'RFC 8446 §6.2',
    text: 'the certificate was revoked, or is not wanted here',
  },

  // Tickets.
  ticketEarly: {
    wire: PROTOCOL_VIOLATION,
    spec: 'RFC 9001 §4.6.1',
    text: 'a ticket allows an amount of early data that QUIC does not have',
  },
  internal: { wire: INTERNAL_ERROR, spec: 'RFC 8446 §6.2', text: 'the handshake cannot go on' },
});
