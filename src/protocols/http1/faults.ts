// Every way in which a peer can break HTTP/1.1; `wire` is the status that a client is answered with before the connection
// is closed.
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('http1', {
  requestLine: { wire: 400, spec: 'RFC 9112 §3', text: 'The request line is not `method target HTTP/1.1`.' },
  statusLine: { wire: 502, spec: 'RFC 9112 §4', text: 'The status line is not `HTTP/1.1 200 reason`.' },
  targetTooLong: { wire: 414, spec: 'RFC 9112 §3', text: 'The request line is longer than is taken.' },
  target: { wire: 400, spec: 'RFC 9112 §3.2', text: 'The target has no form that this method allows.' },
  version: { wire: 505, spec: 'RFC 9110 §2.5', text: 'Only HTTP/1.0 and HTTP/1.1 are spoken here.' },
  lineEnd: { wire: 400, spec: 'RFC 9112 §2.2', text: 'A line ends with CR LF, and neither of them stands alone.' },
  leadingSpace: { wire: 400, spec: 'RFC 9112 §2.2', text: 'White space stands between the start line and the fields.' },
  fieldName: {
    wire: 400,
    spec: 'RFC 9112 §5.1',
    text: 'A field line is `name: value`, without space before the colon.',
  },
  fieldValue: { wire: 400, spec: 'RFC 9110 §5.5', text: 'A field value holds a control character.' },
  fold: { wire: 400, spec: 'RFC 9112 §5.2', text: 'A field goes on over several lines.' },
  headTooLong: { wire: 431, spec: 'RFC 6585 §5', text: 'The fields are longer than is taken.' },
  fieldsTooMany: { wire: 431, spec: 'RFC 6585 §5', text: 'There are more fields than are taken.' },
  hostMissing: { wire: 400, spec: 'RFC 9112 §3.2', text: 'A request of HTTP/1.1 has a Host field.' },
  hostTwice: { wire: 400, spec: 'RFC 9112 §3.2', text: 'A request has one Host field.' },
  host: { wire: 400, spec: 'RFC 9112 §3.2', text: 'Host is not a name or address with an optional port.' },
  length: { wire: 400, spec: 'RFC 9112 §6.3', text: 'Content-Length is not one number.' },
  bothLengths: { wire: 400, spec: 'RFC 9112 §6.1', text: 'Content-Length and Transfer-Encoding do not go together.' },
  codingTooOld: { wire: 400, spec: 'RFC 9112 §6.1', text: 'HTTP/1.0 has no Transfer-Encoding.' },
  coding: { wire: 501, spec: 'RFC 9112 §6.1', text: 'The only transfer coding that is taken is chunked.' },
  chunkedNotLast: { wire: 400, spec: 'RFC 9112 §6.3', text: 'Chunked is the last transfer coding, and applied once.' },
  chunkSize: { wire: 400, spec: 'RFC 9112 §7.1', text: 'A chunk begins with its size in hexadecimal digits.' },
  chunkExtension: {
    wire: 400,
    spec: 'RFC 9112 §7.1.1',
    text: 'A chunk extension is malformed or longer than is taken.',
  },
  chunkEnd: { wire: 400, spec: 'RFC 9112 §7.1', text: 'A chunk does not end with CR LF where its size says.' },
  trailersTooLong: { wire: 431, spec: 'RFC 9112 §7.1.2', text: 'The trailer section is longer than is taken.' },
  expectation: { wire: 417, spec: 'RFC 9110 §10.1.1', text: 'The only expectation that is met is 100-continue.' },
  slowHead: { wire: 408, spec: 'RFC 9110 §15.5.9', text: 'The request did not arrive in time.' },
  slowBody: { wire: 408, spec: 'RFC 9110 §15.5.9', text: 'The body arrives too slowly.' },
  slowReader: { wire: 0, spec: 'RFC 9112 §9.5', text: 'The answer is not taken.' },
  incomplete: { wire: 400, spec: 'RFC 9112 §8', text: 'The connection ended within a message.' },
});
