// Every way in which a peer can break SSH, as far as the library below tells; the wire codes are those of SSH_MSG_DISCONNECT
// (RFC 4253 §11.1).
import { faultTable } from '../../core/fault.ts';

const PROTOCOL_ERROR = 2;
const BY_APPLICATION = 11;

export const faults = faultTable('ssh', {
  broken: { wire: PROTOCOL_ERROR, spec: 'RFC 4253 §11.1', text: 'the peer broke the protocol' },
  idle: { wire: BY_APPLICATION, spec: 'docs/sftp.md §Limits', text: 'nothing was said for too long' },
  tooSlow: { wire: BY_APPLICATION, spec: 'docs/sftp.md §Limits', text: 'signing in took too long' },
  tooMany: { wire: BY_APPLICATION, spec: 'docs/sftp.md §Limits', text: 'too many attempts to sign in' },
});
