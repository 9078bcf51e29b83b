// Who asks a resource for something. The first argument of every verb of every resource.
import { isLoopback, type Peer } from './peer.ts';

export interface Caller {
  /** The account's name; `''` for somebody who gave none. */
  readonly account: string;
  /** What a token was narrowed to; null for all that the account may. */
  readonly scopes: readonly string[] | null;
  readonly origin: 'local' | 'remote';
  /** The epoch of the rules under which this caller's grants were worked out. */
  readonly epoch: number;
}

/** The caller behind a connection that gave `account` as its name, or `''`. */
export function callerOf(peer: Peer, account: string, epoch: number): Caller {
  const local = peer.forwarded !== true && (peer.remote === null || isLoopback(peer.remote.host));
  return { account, scopes: null, origin: local ? 'local' : 'remote', epoch };
}
