// Every way in which a peer can break a WebSocket. The wire code is the close code that it is told (RFC 6455 §7.4.1).
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('websocket', {
  reservedBits: { wire: 1002, spec: 'RFC 6455 §5.2', text: 'a reserved bit is set that no extension gives a meaning' },
  reservedOpcode: { wire: 1002, spec: 'RFC 6455 §5.2', text: 'the opcode is reserved' },
  notMasked: { wire: 1002, spec: 'RFC 6455 §5.1', text: 'a frame of the client is not masked' },
  masked: { wire: 1002, spec: 'RFC 6455 §5.1', text: 'a frame of the server is masked' },
  controlTooLong: { wire: 1002, spec: 'RFC 6455 §5.5', text: 'a control frame is longer than 125 bytes' },
  controlFragmented: { wire: 1002, spec: 'RFC 6455 §5.5', text: 'a control frame is fragmented' },
  lengthNotMinimal: { wire: 1002, spec: 'RFC 6455 §5.2', text: 'the length is written longer than it need be' },
  lengthTooLarge: { wire: 1002, spec: 'RFC 6455 §5.2', text: 'the highest bit of the length is set' },
  nothingToContinue: { wire: 1002, spec: 'RFC 6455 §5.4', text: 'there is no message to continue' },
  messageWithin: { wire: 1002, spec: 'RFC 6455 §5.4', text: 'a message begins within another' },
  closeTooShort: { wire: 1002, spec: 'RFC 6455 §5.5.1', text: 'the body of a close frame is one byte' },
  closeCode: { wire: 1002, spec: 'RFC 6455 §7.4', text: 'the close code is not one that may be sent' },
  notUtf8: { wire: 1007, spec: 'RFC 6455 §8.1', text: 'the text is not UTF-8' },
  badDeflate: { wire: 1007, spec: 'RFC 7692 §7.2.2', text: 'the message cannot be decompressed' },
  messageTooBig: { wire: 1009, spec: 'RFC 6455 §10.4', text: 'the message is longer than is taken here' },
  tooMuchHeld: { wire: 1013, spec: 'RFC 6455 §10.4', text: 'too many messages are on their way here: try again later' },
  noPong: { wire: 1011, spec: 'RFC 6455 §5.5.2', text: 'nothing was heard after a ping' },
});

/** What a client finds in the answer to its handshake. No WebSocket is open yet, so there is no close code. */
export const handshakeFaults = faultTable('websocket', {
  notHttp: { wire: 0, spec: 'RFC 6455 §4.2.2', text: 'the answer is not HTTP/1.1' },
  refused: { wire: 0, spec: 'RFC 6455 §4.1', text: 'the server did not switch protocols' },
  notUpgraded: { wire: 0, spec: 'RFC 6455 §4.1', text: 'the answer does not upgrade to websocket' },
  wrongAccept: { wire: 0, spec: 'RFC 6455 §4.1', text: 'Sec-WebSocket-Accept does not prove that the key was read' },
  wrongSubprotocol: { wire: 0, spec: 'RFC 6455 §4.1', text: 'the server chose a subprotocol that was not offered' },
  wrongExtension: { wire: 0, spec: 'RFC 6455 §9.1', text: 'the server chose an extension that was not offered so' },
  answerTooLong: { wire: 0, spec: 'RFC 9112 §3', text: 'the head of the answer is longer than is taken here' },
  late: { wire: 0, spec: 'RFC 6455 §4.1', text: 'the handshake took too long' },
});
