// Every way in which a peer can break SFTP so that its channel ends; the wire code is the status that says it last.
import { faultTable } from '../../core/fault.ts';

const BAD_MESSAGE = 5;

export const faults = faultTable('sftp', {
  packetTooLong: { wire: BAD_MESSAGE, spec: 'draft-ietf-secsh-filexfer-02 §3', text: 'the packet is too long' },
  packetTooShort: {
    wire: BAD_MESSAGE,
    spec: 'draft-ietf-secsh-filexfer-02 §3',
    text: 'the packet has no request in it',
  },
  notFirst: { wire: BAD_MESSAGE, spec: 'draft-ietf-secsh-filexfer-02 §4', text: 'INIT comes first, and once' },
  badAnswer: {
    wire: BAD_MESSAGE,
    spec: 'draft-ietf-secsh-filexfer-02 §7',
    text: 'the answer is to no request, or is none',
  },
});
