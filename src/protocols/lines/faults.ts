// Every way in which a peer can break Lines. The wire code is the outcome whose word the last line says; the clauses are
// those of docs/lines.md.
import { faultTable } from '../../core/fault.ts';
import { BUSY, FULL, INVALID, LATE } from '../../core/outcome.ts';

export const faults = faultTable('lines', {
  http: { wire: INVALID, spec: 'docs/lines.md §First line', text: 'this is not an HTTP server' },
  tls: { wire: INVALID, spec: 'docs/lines.md §First line', text: 'this port does not speak TLS' },
  firstUnknown: { wire: INVALID, spec: 'docs/lines.md §First line', text: 'the first line is not a command: try HELP' },
  unknownTooMany: { wire: INVALID, spec: 'docs/lines.md §Errors', text: 'too many unknown commands' },
  lineTooLong: { wire: FULL, spec: 'docs/lines.md §Limits', text: 'the line is too long: PUBB takes longer payloads' },
  badLength: { wire: INVALID, spec: 'docs/lines.md §Raw bytes', text: 'there is no length where the bytes end' },
  payloadTooLong: { wire: FULL, spec: 'docs/lines.md §Limits', text: 'the payload is too long' },
  idle: { wire: LATE, spec: 'docs/lines.md §Limits', text: 'nothing was said for too long' },
  tooSlow: { wire: BUSY, spec: 'docs/lines.md §Slow subscribers', text: 'messages were not taken fast enough' },
});

/** What a client finds in what a server says. */
export const replyFaults = faultTable('lines', {
  badReply: { wire: INVALID, spec: 'docs/lines.md §What the server says', text: 'this is not an answer of Lines' },
  replyTooLong: { wire: FULL, spec: 'docs/lines.md §Raw bytes', text: 'the message is longer than was allowed' },
  unasked: { wire: INVALID, spec: 'docs/lines.md §Answers', text: 'an answer came to what was not asked' },
});
