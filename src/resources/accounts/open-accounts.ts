// Accounts where there are none: loopback is open. Used by tests and by whatever serves without a store.
import { type Caller, callerOf, isLocal } from '../../core/caller.ts';
import { OPEN_PERMISSIONS } from '../../core/permissions.ts';
import type { Accounts, Credentials, ScramCredentials, SignInRefusal } from './contract.ts';

const WRONG: SignInRefusal = { refused: 'wrong', retryMs: 0 };

/** Nobody can prove anything against this: there is nothing to prove. */
const NO_SCRAM: ScramCredentials = {
  salt: new Uint8Array(16),
  iterations: 4_096,
  storedKey: new Uint8Array(32),
  serverKey: new Uint8Array(32),
};

/** Any name of this machine is that name; tokens, keys and certificates are nobody's. */
export const OPEN_ACCOUNTS: Accounts = {
  open: true,
  permissions: OPEN_PERMISSIONS,
  signIn(credentials, peer): Caller | SignInRefusal {
    return credentials.kind === 'password' && isLocal(peer) ? callerOf(peer, nameOf(credentials), 0) : WRONG;
  },
  nobody: (peer) => (isLocal(peer) ? callerOf(peer, '', 0) : null),
  scramOf: () => NO_SCRAM,
  stands: () => true,
  onRevoked: () => () => {},
};

function nameOf(credentials: Credentials): string {
  return credentials.account ?? '';
}
