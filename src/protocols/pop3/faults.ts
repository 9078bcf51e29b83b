// Every way in which a peer can break POP3 so that the connection ends. POP3 has no numbers: the wire code is always 0.
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('pop3', {
  http: { wire: 0, spec: 'docs/pop3.md §First line', text: 'this is not an HTTP server' },
  tls: { wire: 0, spec: 'docs/pop3.md §First line', text: 'this port begins without TLS: ask for it with STLS' },
  firstUnknown: { wire: 0, spec: 'RFC 1939 §3', text: 'the first line is not a command of POP3' },
  unknownTooMany: { wire: 0, spec: 'RFC 1939 §3', text: 'too many unknown commands' },
  idle: { wire: 0, spec: 'RFC 1939 §3', text: 'nothing was said for too long' },
  signInTooMany: { wire: 0, spec: 'docs/pop3.md §Limits', text: 'too many sign-ins failed' },
  lineTooLong: { wire: 0, spec: 'RFC 2449 §4', text: 'the line is too long', scope: 'stream' },
});

/** Every way in which a server can break it, as the client half sees it. */
export const replyFaults = faultTable('pop3', {
  badReply: { wire: 0, spec: 'RFC 1939 §3', text: 'this is not a response of POP3' },
  tooLong: { wire: 0, spec: 'RFC 1939 §3', text: 'a response is too long' },
  silent: { wire: 0, spec: 'RFC 1939 §3', text: 'the server says nothing' },
});
