// Every way in which a peer can break IMAP so that the connection ends. IMAP has no numbers: the wire code is always 0, and
// what it says is `* BYE`.
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('imap', {
  http: { wire: 0, spec: 'docs/imap.md §First line', text: 'this is not an HTTP server' },
  tls: { wire: 0, spec: 'docs/imap.md §First line', text: 'this port begins without TLS: ask for it with STARTTLS' },
  firstUnknown: { wire: 0, spec: 'RFC 9051 §2.2.1', text: 'the first line is not a command of IMAP' },
  unknownTooMany: { wire: 0, spec: 'docs/imap.md §Limits', text: 'too many unknown commands' },
  badTooMany: { wire: 0, spec: 'docs/imap.md §Limits', text: 'too many commands that cannot be understood' },
  idle: { wire: 0, spec: 'RFC 9051 §5.4', text: 'nothing was said for too long' },
  signInTooMany: { wire: 0, spec: 'docs/imap.md §Limits', text: 'too many sign-ins failed' },
  literalTooLong: { wire: 0, spec: 'RFC 7888 §4', text: 'a literal that was not waited for is too long' },
  compressionBroken: { wire: 0, spec: 'RFC 4978 §3', text: 'what comes is no DEFLATE stream' },
  commandTooLong: { wire: 0, spec: 'docs/imap.md §Limits', text: 'the command is too long', scope: 'stream' },
  nestedTooDeep: { wire: 0, spec: 'docs/imap.md §Limits', text: 'it is nested too deep', scope: 'stream' },
});

/** Every way in which a server can break it, as the client half sees it. */
export const replyFaults = faultTable('imap', {
  badReply: { wire: 0, spec: 'RFC 9051 §7', text: 'this is not a response of IMAP' },
  tooLong: { wire: 0, spec: 'RFC 9051 §4', text: 'a response is too long' },
  silent: { wire: 0, spec: 'docs/imap.md §Limits', text: 'the server says nothing' },
});
