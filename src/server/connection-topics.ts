// Connections that open and end, as the topics `connections/opened` and `connections/ended`, for as long as somebody listens.

import type { Connection } from '../core/connection.ts';
import { addressText } from '../core/peer.ts';
import type { Cause } from '../core/pipe.ts';
import type { Topics } from '../resources/topics/contract.ts';
import { type Announcer, announceEvent } from '../resources/topics/events.ts';
import type { ConnectionLog } from './registry.ts';

const OPENED = 'connections/opened';
const ENDED = 'connections/ended';

export class ConnectionTopics implements ConnectionLog {
  private readonly topics: Pick<Topics, 'matching'> & Announcer;

  constructor(topics: Pick<Topics, 'matching'> & Announcer) {
    this.topics = topics;
  }

  opened({ id: connection, peer }: Connection, protocol: string): void {
    if (this.topics.matching(OPENED) === 0) return;
    const { carrier } = peer;
    announceEvent(this.topics, OPENED, { connection, protocol, carrier, from: addressText(peer.remote) });
  }

  ended(
    { id: connection, protocol, peer, callers, receivedBytes, sentBytes }: Connection,
    cause: Cause,
    ms: number,
  ): void {
    if (this.topics.matching(ENDED) === 0) return;
    announceEvent(this.topics, ENDED, {
      connection,
      protocol,
      from: addressText(peer.remote),
      account: callers.findLast(({ account }) => account !== '')?.account ?? null,
      cause,
      in: receivedBytes,
      out: sentBytes,
      ms: Math.round(ms),
    });
  }
}
