// Every way in which a peer can break HTTP/3. `wire` is the error code (RFC 9114 §8.1, RFC 9204 §6) that the stream's reset
// or the connection's close says.
import { type FaultRow, faultTable } from '../../core/fault.ts';
import {
  H3_CLOSED_CRITICAL_STREAM,
  H3_DATAGRAM_ERROR,
  H3_EXCESSIVE_LOAD,
  H3_FRAME_ERROR,
  H3_FRAME_UNEXPECTED,
  H3_ID_ERROR,
  H3_MESSAGE_ERROR,
  H3_MISSING_SETTINGS,
  H3_NO_ERROR,
  H3_REQUEST_CANCELLED,
  H3_REQUEST_INCOMPLETE,
  H3_REQUEST_REJECTED,
  H3_SETTINGS_ERROR,
  H3_STREAM_CREATION_ERROR,
  QPACK_DECODER_STREAM_ERROR,
  QPACK_DECOMPRESSION_FAILED,
  QPACK_ENCODER_STREAM_ERROR,
} from './codec.ts';

const connection = (wire: number, spec: string, text: string): FaultRow => ({ wire, spec, text });
const stream = (wire: number, spec: string, text: string): FaultRow => ({ wire, spec, text, scope: 'stream' });

export const faults = faultTable('http3', {
  // Streams and frames.
  secondStream: connection(
    H3_STREAM_CREATION_ERROR,
    'RFC 9114 §6.2.1',
    'There is one control stream, and one of each QPACK stream.',
  ),
  pushStream: connection(H3_STREAM_CREATION_ERROR, 'RFC 9114 §6.2.2', 'Clients push nothing.'),
  serverStream: connection(H3_STREAM_CREATION_ERROR, 'RFC 9114 §6.1', 'Servers open no two-way streams.'),
  criticalStream: connection(H3_CLOSED_CRITICAL_STREAM, 'RFC 9114 §6.2.1', 'The control and QPACK streams stay open.'),
  missingSettings: connection(H3_MISSING_SETTINGS, 'RFC 9114 §6.2.1', 'The control stream begins with SETTINGS.'),
  unexpected: connection(H3_FRAME_UNEXPECTED, 'RFC 9114 §7.2', 'The frame has no place there.'),
  frame: connection(H3_FRAME_ERROR, 'RFC 9114 §7.1', 'A frame is not as long as what is in it, or ends within.'),
  setting: connection(
    H3_SETTINGS_ERROR,
    'RFC 9114 §7.2.4',
    'A setting comes twice, is one of HTTP/2, or has a value that it cannot have.',
  ),
  id: connection(H3_ID_ERROR, 'RFC 9114 §7.2', 'A push or a stream is named that cannot be.'),
  datagram: connection(H3_DATAGRAM_ERROR, 'RFC 9297 §2.1', 'A datagram names no stream.'),
  // Field compression.
  decompression: connection(QPACK_DECOMPRESSION_FAILED, 'RFC 9204 §2.2', 'A field section cannot be decompressed.'),
  encoderStream: connection(
    QPACK_ENCODER_STREAM_ERROR,
    'RFC 9204 §4.3',
    'An instruction to the table cannot be followed.',
  ),
  decoderStream: connection(
    QPACK_DECODER_STREAM_ERROR,
    'RFC 9204 §4.4',
    'Something is acknowledged that was not sent.',
  ),
  blocked: connection(QPACK_DECOMPRESSION_FAILED, 'RFC 9204 §2.1.2', 'More streams wait for the table than may.'),
  // Messages.
  field: stream(H3_MESSAGE_ERROR, 'RFC 9114 §4.2', 'A field name or value has characters that it cannot have.'),
  connectionField: stream(
    H3_MESSAGE_ERROR,
    'RFC 9114 §4.2',
    'A field is about the connection, which HTTP/3 has none of.',
  ),
  pseudo: stream(H3_MESSAGE_ERROR, 'RFC 9114 §4.3', 'Pseudo-header fields are unknown, doubled, late, or in trailers.'),
  request: stream(
    H3_MESSAGE_ERROR,
    'RFC 9114 §4.3.1',
    'A request has :method, :scheme and :path, each once and not empty.',
  ),
  authority: stream(H3_MESSAGE_ERROR, 'RFC 9114 §4.3.1', 'The authority is none, or Host is another.'),
  connect: stream(H3_MESSAGE_ERROR, 'RFC 9114 §4.4', 'CONNECT has :authority, and with :protocol :scheme and :path.'),
  response: stream(H3_MESSAGE_ERROR, 'RFC 9114 §4.3.2', 'An answer has one :status of three digits, which is not 101.'),
  contentLength: stream(H3_MESSAGE_ERROR, 'RFC 9114 §4.1.2', 'The body is not as long as Content-Length says.'),
  incomplete: stream(H3_REQUEST_INCOMPLETE, 'RFC 9114 §4.1', 'The stream ended before a whole request.'),
  // Too much.
  sectionTooLong: stream(H3_EXCESSIVE_LOAD, 'RFC 9114 §10.5.1', 'A field section is longer than is taken.'),
  streamsTooMany: stream(H3_REQUEST_REJECTED, 'RFC 9114 §4.1.1', 'More requests are open than are taken at once.'),
  transportsTooMany: stream(
    H3_REQUEST_REJECTED,
    'draft-ietf-webtrans-http3 §5.2',
    'More WebTransport sessions are open than are taken at once.',
  ),
  goingAway: stream(H3_REQUEST_REJECTED, 'RFC 9114 §5.2', 'The connection takes no new requests any more.'),
  controlTooLong: connection(
    H3_EXCESSIVE_LOAD,
    'RFC 9114 §10.5',
    'A frame of the control stream is longer than is taken.',
  ),
  oneWayTooMany: connection(H3_EXCESSIVE_LOAD, 'RFC 9114 §10.5', 'Too many one-way streams that mean nothing.'),
  resets: connection(H3_EXCESSIVE_LOAD, 'RFC 9114 §10.5', 'Too many requests are made only to be reset.'),
  idleFrames: connection(H3_EXCESSIVE_LOAD, 'RFC 9114 §10.5', 'Too many frames bring nothing.'),
  // Time and ends.
  slowHead: stream(H3_REQUEST_CANCELLED, 'RFC 9114 §10.5', 'A head did not arrive in time.'),
  slowBody: stream(H3_EXCESSIVE_LOAD, 'RFC 9114 §10.5', 'The body arrives too slowly.'),
  silence: stream(H3_REQUEST_CANCELLED, 'RFC 9114 §4.1.1', 'The server is silent for too long.'),
  ended: connection(H3_NO_ERROR, 'RFC 9114 §5.2', 'The connection is not needed any more.'),
});
