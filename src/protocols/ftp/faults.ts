// Every way in which a peer can break FTP so that the connection ends. The wire code is that of the reply before it.
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('ftp', {
  http: { wire: 421, spec: 'docs/ftp.md §First line', text: 'this is not an HTTP server' },
  tls: { wire: 421, spec: 'docs/ftp.md §First line', text: 'this port begins without TLS: ask for it with AUTH TLS' },
  firstUnknown: { wire: 421, spec: 'RFC 959 §4.1', text: 'the first line is not a command of FTP' },
  unknownTooMany: { wire: 421, spec: 'RFC 959 §4.2', text: 'too many unknown commands' },
  idle: { wire: 421, spec: 'RFC 959 §4.2', text: 'nothing was said for too long' },
  signInTooMany: { wire: 421, spec: 'docs/ftp.md §Limits', text: 'too many sign-ins failed' },
  lineTooLong: { wire: 500, spec: 'docs/ftp.md §Limits', text: 'the line is too long', scope: 'stream' },
  dataIdle: { wire: 426, spec: 'docs/ftp.md §Limits', text: 'the data connection stood still', scope: 'stream' },
  dataPlain: {
    wire: 426,
    spec: 'RFC 4217 §7',
    text: 'the data connection did not begin with TLS',
    scope: 'stream',
  },
  dataNotResumed: {
    wire: 522,
    spec: 'docs/ftp.md §TLS',
    text: 'the data connection did not go on with the TLS session of the control connection',
    scope: 'stream',
  },
});

/** What a client finds in what a server says. */
export const replyFaults = faultTable('ftp', {
  badReply: { wire: 0, spec: 'RFC 959 §4.2', text: 'this is not a reply of FTP' },
  unasked: { wire: 0, spec: 'RFC 959 §5.4', text: 'a reply came to what was not asked' },
  badPassive: { wire: 0, spec: 'RFC 2428 §3', text: 'the reply names no port for data' },
});
