// The log of accesses: one line a request, whatever version of HTTP it came by, and one for each connection that opens and
// ends.
import type { AccessLog } from '../core/access.ts';
import type { Connection } from '../core/connection.ts';
import type { Exchange } from '../core/exchange.ts';
import type { Log } from '../core/log.ts';
import { addressText } from '../core/peer.ts';
import { type Cause, ENDED } from '../core/pipe.ts';
import type { Instant } from '../core/time.ts';

/** Of what a client chose, so many characters are logged. */
const TEXT_MOST = 512;

export class ServerAccessLog implements AccessLog {
  private readonly log: Log;

  constructor(log: Log) {
    this.log = log;
  }

  now(): Instant {
    return performance.now();
  }

  exchanged(exchange: Exchange, status: number, came: number, sent: number, began: Instant, cause: Cause): void {
    const { connection, peer, caller, method, authority, target } = exchange;
    this.log.info('request', {
      connection,
      from: addressText(peer.remote),
      ...accountOf(caller.account),
      method: clipped(method),
      host: clipped(authority),
      path: pathOf(target),
      status: status === 0 ? null : status,
      in: came,
      out: sent,
      ms: Math.round((this.now() - began) * 1_000) / 1_000,
      ...(cause === ENDED ? {} : { cause }),
    });
  }

  opened(pipe: Connection, protocol: string): void {
    const { peer, id: connection } = pipe;
    this.log.info('connection opened', { connection, protocol, carrier: peer.carrier, from: addressText(peer.remote) });
  }

  ended(pipe: Connection, cause: Cause, ms: number): void {
    const { id: connection, protocol, peer, callers, receivedBytes, sentBytes } = pipe;
    this.log.info('connection ended', {
      connection,
      protocol,
      from: addressText(peer.remote),
      ...accountOf(callers.findLast((caller) => caller.account !== '')?.account ?? ''),
      cause,
      in: receivedBytes,
      out: sentBytes,
      ms: Math.round(ms),
    });
  }
}

function accountOf(account: string): { account?: string } {
  return account === '' ? {} : { account: clipped(account) };
}

/** A target without its query, which may hold secrets, and without what an absolute form has before the path. */
function pathOf(target: string): string {
  const origin = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i.exec(target)?.[0] ?? '';
  const path = target.slice(origin.length).replace(/[?#].*$/s, '');
  return clipped(path === '' ? '/' : path);
}

function clipped(text: string): string {
  return text.length <= TEXT_MOST ? text : `${text.slice(0, TEXT_MOST)}…`;
}
