// Who asks a resource for something. The first argument of every verb of every resource.
import { isLoopback, type Peer } from './peer.ts';

export interface Caller {
  /** The account's name; `''` for somebody who gave none. */
  readonly account: string;
  /** What a token was narrowed to, as rules `verb kind/path`; null for all that the account may. */
  readonly scopes: readonly string[] | null;
  readonly origin: 'local' | 'remote';
  /** The epoch of the rules under which it signed in. */
  readonly epoch: number;
  /** By what it signed in, as the audit names it: `password`, `token:ci`, `certificate:…`, `jwt:<issuer>`; `''` for open mode. */
  readonly by?: string;
  /** The account's own id, never given again, so that a later account of that name is another; `''` without an account. */
  readonly id?: string;
  /** What it is a member of by its issuer's word, beside the account's own groups. */
  readonly groups?: readonly string[];
  /** When it ends by itself, in milliseconds since 1970. */
  readonly until?: number;
}

/** The `by` of whoever asks what is for anyone, and was not asked who he is: nothing that changes ends him. */
export const ANYONE = 'anyone';

/**
 * What the configuration itself asks for: bridges to other brokers, recorders, sites. Whoever wrote it may do all, and no
 * connection is ever this.
 */
export const OPERATOR: Caller = Object.freeze({ account: '', scopes: null, origin: 'local', epoch: 0, by: 'operator' });

/** The caller behind a connection that gave `account` as its name, or `''`. */
export function callerOf(peer: Peer, account: string, epoch: number): Caller {
  return { account, scopes: null, origin: isLocal(peer) ? 'local' : 'remote', epoch };
}

/** Whether a connection comes from this machine, as far as can be told. */
export function isLocal(peer: Peer): boolean {
  return peer.forwarded !== true && (peer.remote === null || isLoopback(peer.remote.host));
}

/** Whether what is said on a connection can be read on the way: not within TLS, and not within this machine. */
export function isExposed(peer: Peer): boolean {
  for (let layer: Peer | null = peer; layer !== null; layer = layer.below) if (layer.tls !== null) return false;
  return !isLocal(peer);
}
