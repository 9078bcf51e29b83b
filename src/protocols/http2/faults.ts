// Every way in which a peer can break HTTP/2. `wire` is the error code (RFC 9113 §7) that RST_STREAM or GOAWAY says.
import { type FaultRow, faultTable } from '../../core/fault.ts';
import {
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  SETTINGS_TIMEOUT,
  STREAM_CLOSED,
} from './codec.ts';

const connection = (wire: number, spec: string, text: string): FaultRow => ({ wire, spec, text });
const stream = (wire: number, spec: string, text: string): FaultRow => ({ wire, spec, text, scope: 'stream' });

export const faults = faultTable('http2', {
  // Frames.
  preface: connection(PROTOCOL_ERROR, 'RFC 9113 §3.4', 'The connection does not begin with the preface and SETTINGS.'),
  frameSize: connection(FRAME_SIZE_ERROR, 'RFC 9113 §4.2', 'A frame is longer than is taken, or not as long as it is.'),
  streamFrameSize: stream(FRAME_SIZE_ERROR, 'RFC 9113 §6.3', 'PRIORITY is 5 bytes.'),
  padding: connection(PROTOCOL_ERROR, 'RFC 9113 §6.1', 'The padding is as long as the frame.'),
  streamZero: connection(PROTOCOL_ERROR, 'RFC 9113 §5.1.1', 'The frame belongs to a stream, and names none.'),
  streamNotZero: connection(
    PROTOCOL_ERROR,
    'RFC 9113 §5.1.1',
    'The frame belongs to the connection, and names a stream.',
  ),
  interleaved: connection(PROTOCOL_ERROR, 'RFC 9113 §6.10', 'A header block is followed by its CONTINUATION only.'),
  continuation: connection(PROTOCOL_ERROR, 'RFC 9113 §6.10', 'CONTINUATION follows no header block.'),
  push: connection(PROTOCOL_ERROR, 'RFC 9113 §8.4', 'Nothing may be pushed here.'),
  setting: connection(PROTOCOL_ERROR, 'RFC 9113 §6.5.2', 'A setting has a value that it cannot have.'),
  windowSetting: connection(FLOW_CONTROL_ERROR, 'RFC 9113 §6.5.2', 'INITIAL_WINDOW_SIZE is more than 2^31-1.'),
  priorityUpdate: connection(PROTOCOL_ERROR, 'RFC 9218 §7.1', 'PRIORITY_UPDATE names a stream that it cannot.'),
  settingsUnanswered: connection(SETTINGS_TIMEOUT, 'RFC 9113 §6.5.3', 'Our SETTINGS were not acknowledged in time.'),
  // Streams.
  streamIdle: connection(PROTOCOL_ERROR, 'RFC 9113 §5.1', 'The frame is for a stream that was never opened.'),
  streamNumber: connection(PROTOCOL_ERROR, 'RFC 9113 §5.1.1', 'A new stream has an odd number above all before it.'),
  streamEnded: connection(STREAM_CLOSED, 'RFC 9113 §5.1', 'The frame is for a stream that has ended.'),
  streamHalfClosed: stream(STREAM_CLOSED, 'RFC 9113 §5.1', 'The frame follows the end of its stream.'),
  streamsTooMany: stream(REFUSED_STREAM, 'RFC 9113 §5.1.2', 'More streams are open than may be at once.'),
  goingAway: stream(REFUSED_STREAM, 'RFC 9113 §6.8', 'The connection takes no new requests any more.'),
  selfDependency: stream(PROTOCOL_ERROR, 'RFC 7540 §5.3.1', 'A stream cannot depend on itself.'),
  // Flow control.
  streamWindow: stream(FLOW_CONTROL_ERROR, 'RFC 9113 §6.9', 'More was sent than the window of the stream has.'),
  connectionWindow: connection(FLOW_CONTROL_ERROR, 'RFC 9113 §6.9', 'More was sent than the window has.'),
  streamWindowOverflow: stream(FLOW_CONTROL_ERROR, 'RFC 9113 §6.9.1', 'The window of the stream is beyond 2^31-1.'),
  windowOverflow: connection(FLOW_CONTROL_ERROR, 'RFC 9113 §6.9.1', 'The window is beyond 2^31-1.'),
  streamWindowZero: stream(PROTOCOL_ERROR, 'RFC 9113 §6.9', 'WINDOW_UPDATE adds nothing.'),
  windowZero: connection(PROTOCOL_ERROR, 'RFC 9113 §6.9', 'WINDOW_UPDATE adds nothing.'),
  // Header compression.
  headerBlock: connection(COMPRESSION_ERROR, 'RFC 7541 §5', 'A header block ends within a field.'),
  headerInteger: connection(COMPRESSION_ERROR, 'RFC 7541 §5.1', 'An integer is larger than anything here.'),
  headerIndex: connection(COMPRESSION_ERROR, 'RFC 7541 §2.3.3', 'An index points at no entry of the tables.'),
  huffman: connection(COMPRESSION_ERROR, 'RFC 7541 §5.2', 'A string is not in the Huffman code.'),
  tableSize: connection(COMPRESSION_ERROR, 'RFC 7541 §6.3', 'The table size is above ours, or changes within a block.'),
  // Messages.
  field: stream(PROTOCOL_ERROR, 'RFC 9113 §8.2.1', 'A field name or value has characters that it cannot have.'),
  connectionField: stream(
    PROTOCOL_ERROR,
    'RFC 9113 §8.2.2',
    'A field is about the connection, which HTTP/2 has none of.',
  ),
  pseudo: stream(PROTOCOL_ERROR, 'RFC 9113 §8.3', 'Pseudo-header fields are unknown, doubled, late, or in trailers.'),
  request: stream(
    PROTOCOL_ERROR,
    'RFC 9113 §8.3.1',
    'A request has :method, :scheme and :path, each once and not empty.',
  ),
  authority: stream(PROTOCOL_ERROR, 'RFC 9113 §8.3.1', 'The authority is none, or Host is another.'),
  connect: stream(PROTOCOL_ERROR, 'RFC 9113 §8.5', 'CONNECT has :authority, and with :protocol :scheme and :path.'),
  response: stream(PROTOCOL_ERROR, 'RFC 9113 §8.3.2', 'An answer has one :status of three digits.'),
  contentLength: stream(PROTOCOL_ERROR, 'RFC 9113 §8.1.1', 'The body is not as long as Content-Length says.'),
  trailers: stream(PROTOCOL_ERROR, 'RFC 9113 §8.1', 'Trailers end the stream.'),
  // Too much.
  headerBlockTooLong: connection(ENHANCE_YOUR_CALM, 'RFC 9113 §10.5.1', 'A header block is longer than is taken.'),
  continuations: connection(ENHANCE_YOUR_CALM, 'RFC 9113 §10.5', 'A header block is cut into too many frames.'),
  trailersTooLong: stream(ENHANCE_YOUR_CALM, 'RFC 9113 §10.5.1', 'The trailers are longer than is taken.'),
  resets: connection(ENHANCE_YOUR_CALM, 'RFC 9113 §10.5', 'Too many streams are opened only to be reset.'),
  pings: connection(ENHANCE_YOUR_CALM, 'RFC 9113 §10.5', 'Too many frames ask for an answer and nothing else.'),
  emptyFrames: connection(ENHANCE_YOUR_CALM, 'RFC 9113 §10.5', 'Too many frames bring nothing.'),
  windowUpdates: connection(ENHANCE_YOUR_CALM, 'RFC 9113 §10.5', 'Too many WINDOW_UPDATEs for what was sent.'),
  // Time.
  slowHead: connection(NO_ERROR, 'RFC 9113 §10.5', 'A header block, or the preface, did not arrive in time.'),
  slowBody: stream(ENHANCE_YOUR_CALM, 'RFC 9113 §10.5', 'The body arrives too slowly.'),
  slowReader: connection(NO_ERROR, 'RFC 9113 §10.5', 'What is sent is not taken.'),
  slowStream: stream(ENHANCE_YOUR_CALM, 'RFC 9113 §10.5', 'No window is given to what waits to be sent.'),
  silence: stream(NO_ERROR, 'RFC 9113 §5.4', 'The server is silent for too long.'),
  incomplete: connection(NO_ERROR, 'RFC 9113 §5.4', 'The connection ended within a frame or a request.'),
});
