// Every way in which a peer can break the transport; the wire codes are those of RFC 9000 §20.1. Those of the handshake stand
// in `tls/faults.ts`.
import { faultTable } from '../../core/fault.ts';
import { faults as handshake } from './tls/faults.ts';

export const NO_ERROR = 0x00;
export const INTERNAL_ERROR = 0x01;
export const CONNECTION_REFUSED = 0x02;
export const FLOW_CONTROL_ERROR = 0x03;
export const STREAM_LIMIT_ERROR = 0x04;
export const STREAM_STATE_ERROR = 0x05;
export const FINAL_SIZE_ERROR = 0x06;
export const FRAME_ENCODING_ERROR = 0x07;
export const TRANSPORT_PARAMETER_ERROR = 0x08;
export const CONNECTION_ID_LIMIT_ERROR = 0x09;
export const PROTOCOL_VIOLATION = 0x0a;
export const INVALID_TOKEN = 0x0b;
export const APPLICATION_ERROR = 0x0c;
export const CRYPTO_BUFFER_EXCEEDED = 0x0d;
export const AEAD_LIMIT_REACHED = 0x0f;
export const NO_VIABLE_PATH = 0x10;
export const VERSION_NEGOTIATION_ERROR = 0x11;
/** A code that a fault of the application never has. */
export const CRYPTO_ERROR = 0x100;

export const transportFaults = faultTable('quic', {
  // Packets.
  reservedBits: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9000 §17.2', text: 'reserved bits of a packet are not zero' },
  noFrames: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9000 §12.4', text: 'a packet has no frames' },
  worn: { wire: AEAD_LIMIT_REACHED, spec: 'RFC 9001 §6.6', text: 'too many packets were not genuine' },

  // Frames.
  frameUnknown: { wire: FRAME_ENCODING_ERROR, spec: 'RFC 9000 §12.4', text: 'a frame has a type that is not known' },
  frameTypeLong: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9000 §12.4', text: 'a frame type is longer than it has to be' },
  frameShort: { wire: FRAME_ENCODING_ERROR, spec: 'RFC 9000 §12.4', text: 'a frame goes beyond its packet' },
  frameNotHere: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9000 §12.5', text: 'a frame is not for packets of its kind' },
  ackRange: { wire: FRAME_ENCODING_ERROR, spec: 'RFC 9000 §19.3.1', text: 'an ACK range goes below zero' },
  ackUnsent: {
    wire: PROTOCOL_VIOLATION,
    spec: 'RFC 9000 §13.1',
    text: 'a packet was acknowledged that was never sent',
  },
  offsetTooLarge: { wire: FRAME_ENCODING_ERROR, spec: 'RFC 9000 §19.8', text: 'an offset goes beyond 2^62' },
  streamsTooMany: { wire: FRAME_ENCODING_ERROR, spec: 'RFC 9000 §19.11', text: 'a number of streams is beyond 2^60' },
  tokenEmpty: { wire: FRAME_ENCODING_ERROR, spec: 'RFC 9000 §19.7', text: 'NEW_TOKEN has no token' },
  connectionIdLength: {
    wire: FRAME_ENCODING_ERROR,
    spec: 'RFC 9000 §19.15',
    text: 'a connection id has a length that is not allowed',
  },
  retireBeyond: {
    wire: FRAME_ENCODING_ERROR,
    spec: 'RFC 9000 §19.15',
    text: 'NEW_CONNECTION_ID retires numbers beyond its own',
  },
  datagramNotWanted: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9221 §3', text: 'a DATAGRAM is larger than was allowed' },
  fromServerOnly: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9000 §19.7', text: 'a client sent what only a server may' },

  // Transport parameters.
  parametersMalformed: {
    wire: TRANSPORT_PARAMETER_ERROR,
    spec: 'RFC 9000 §18',
    text: 'the transport parameters cannot be read',
  },
  parameterTwice: {
    wire: TRANSPORT_PARAMETER_ERROR,
    spec: 'RFC 9000 §7.4',
    text: 'a transport parameter is there twice',
  },
  parameterValue: {
    wire: TRANSPORT_PARAMETER_ERROR,
    spec: 'RFC 9000 §18.2',
    text: 'a transport parameter has a value that is not allowed',
  },
  parameterNotClients: {
    wire: TRANSPORT_PARAMETER_ERROR,
    spec: 'RFC 9000 §18.2',
    text: 'a client sent a transport parameter that only a server may',
  },
  connectionIdsDiffer: {
    wire: TRANSPORT_PARAMETER_ERROR,
    spec: 'RFC 9000 §7.3',
    text: 'connection ids in the transport parameters are not those of the packets',
  },
  versionForced: {
    wire: VERSION_NEGOTIATION_ERROR,
    spec: 'RFC 9368 §4',
    text: 'the version in use is not the one that was negotiated',
  },
  versionNone: {
    wire: VERSION_NEGOTIATION_ERROR,
    spec: 'RFC 9000 §6.2',
    text: 'there is no version in common',
  },
  parametersLess: {
    wire: PROTOCOL_VIOLATION,
    spec: 'RFC 9000 §7.4.1',
    text: 'the server took 0-RTT and allows less than before',
  },

  // Streams and their credit.
  streamLimit: { wire: STREAM_LIMIT_ERROR, spec: 'RFC 9000 §4.6', text: 'more streams were opened than was allowed' },
  streamState: { wire: STREAM_STATE_ERROR, spec: 'RFC 9000 §19.8', text: 'a frame is not for streams of its kind' },
  streamCredit: { wire: FLOW_CONTROL_ERROR, spec: 'RFC 9000 §4.1', text: 'more came on a stream than was allowed' },
  connectionCredit: {
    wire: FLOW_CONTROL_ERROR,
    spec: 'RFC 9000 §4.1',
    text: 'more came on the connection than was allowed',
  },
  finalSize: { wire: FINAL_SIZE_ERROR, spec: 'RFC 9000 §4.5', text: 'the final size of a stream has changed' },
  cryptoBuffer: {
    wire: CRYPTO_BUFFER_EXCEEDED,
    spec: 'RFC 9000 §7.5',
    text: 'too much of the handshake came out of order',
  },

  // Connection ids and paths.
  connectionIdLimit: {
    wire: CONNECTION_ID_LIMIT_ERROR,
    spec: 'RFC 9000 §5.1.1',
    text: 'more connection ids were issued than was allowed',
  },
  connectionIdReused: {
    wire: PROTOCOL_VIOLATION,
    spec: 'RFC 9000 §19.15',
    text: 'a connection id was issued again as another',
  },
  retireUnknown: {
    wire: PROTOCOL_VIOLATION,
    spec: 'RFC 9000 §19.16',
    text: 'a connection id was retired that was never issued, or that it was retired with',
  },
  retireFlood: {
    wire: CONNECTION_ID_LIMIT_ERROR,
    spec: 'RFC 9000 §5.1.2',
    text: 'connection ids were retired faster than that could be told',
  },
  pathFlood: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9000 §21.6', text: 'paths were challenged too often' },
  resetFlood: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9000 §21.6', text: 'streams were opened and reset too often' },
  emptyFlood: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9000 §21.9', text: 'too many packets brought next to nothing' },
  ranges: { wire: PROTOCOL_VIOLATION, spec: 'RFC 9000 §21.6', text: 'a stream came in too many pieces' },
  badToken: { wire: INVALID_TOKEN, spec: 'RFC 9000 §8.1.3', text: 'the token of a Retry does not hold' },
  refused: { wire: CONNECTION_REFUSED, spec: 'RFC 9000 §20.1', text: 'no more connections are taken now' },
  handshakeSlow: { wire: NO_ERROR, spec: 'RFC 9000 §10.1', text: 'the handshake took too long' },

  // What we say when nobody is at fault.
  leaving: { wire: NO_ERROR, spec: 'RFC 9000 §10.2', text: 'the server takes no more' },
  bug: { wire: INTERNAL_ERROR, spec: 'RFC 9000 §20.1', text: 'something went wrong here' },
});

export const faults = Object.freeze({ ...handshake, ...transportFaults });
