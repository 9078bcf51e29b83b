// Every way in which a peer can break SMTP. The wire code is that of the reply.
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('smtp', {
  http: { wire: 554, spec: 'docs/smtp.md §First line', text: 'this is not an HTTP server' },
  tls: { wire: 554, spec: 'docs/smtp.md §First line', text: 'this port begins without TLS: ask for it with STARTTLS' },
  firstUnknown: { wire: 554, spec: 'RFC 5321 §4.1.4', text: 'the first line is not a command of SMTP' },
  unknownTooMany: { wire: 421, spec: 'RFC 5321 §3.8', text: 'too many unknown commands' },
  idle: { wire: 421, spec: 'RFC 5321 §4.5.3.2.7', text: 'nothing was said for too long' },
  signInTooMany: { wire: 421, spec: 'docs/smtp.md §Limits', text: 'too many sign-ins failed' },
  refusedTooMany: { wire: 421, spec: 'docs/smtp.md §Limits', text: 'too many recipients were refused' },
  bareLf: {
    wire: 500,
    spec: 'RFC 5321 §2.3.8',
    text: 'a command ended with a line feed alone: commands end with a carriage return and a line feed',
  },
  doubtful: {
    wire: 550,
    spec: 'RFC 5321 §4.1.1.4',
    text: 'a dot stood where some see the end of the message: it ends with a dot between two whole line ends',
  },
  half: { wire: 550, spec: 'RFC 5321 §2.3.8', text: 'half a line end was in the message', scope: 'stream' },
  lineTooLong: { wire: 500, spec: 'docs/smtp.md §Limits', text: 'the line is too long', scope: 'stream' },
  messageTooLong: { wire: 552, spec: 'RFC 1870 §6.3', text: 'the message is too long', scope: 'stream' },
  loop: { wire: 554, spec: 'RFC 5321 §6.3', text: 'the message has been through too many servers', scope: 'stream' },
});

/** What a client finds in what a server says. */
export const replyFaults = faultTable('smtp', {
  badReply: { wire: 0, spec: 'RFC 5321 §4.2', text: 'this is not a reply of SMTP' },
  unasked: { wire: 0, spec: 'RFC 5321 §4.2', text: 'a reply came to what was not asked' },
  late: { wire: 0, spec: 'RFC 5321 §4.5.3.2', text: 'the server took too long to answer' },
});
