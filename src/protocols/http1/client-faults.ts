// Every way in which a server can break HTTP/1.1 besides those that both halves share. Nothing is answered: a client can
// only end the connection.
import { faultTable } from '../../core/fault.ts';

export const clientFaults = faultTable('http1-client', {
  unsolicited: { wire: 0, spec: 'RFC 9112 §9.2', text: 'The server answers what was not asked.' },
  unanswered: { wire: 0, spec: 'RFC 9112 §9.5', text: 'The connection ended before the answer.' },
  notSwitching: {
    wire: 0,
    spec: 'RFC 9110 §15.2.2',
    text: 'The server switches to a protocol that was not asked for.',
  },
  interimsTooMany: { wire: 0, spec: 'RFC 9110 §15.2', text: 'The server sends more interim answers than are taken.' },
  silent: { wire: 0, spec: 'RFC 9112 §9.5', text: 'Nothing is heard of the server for too long.' },
  lengths: { wire: 0, spec: 'RFC 9112 §6.3', text: 'Content-Length is no number, or several that differ.' },
});
