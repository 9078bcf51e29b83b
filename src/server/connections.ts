// The connections that stand, by id: who is asked to leave, who is waited for, who is measured.
import type { Address } from '../core/peer.ts';
import type { Cause, Why } from '../core/pipe.ts';
import type { StreamPipe } from '../core/stream-pipe.ts';

export interface Connection {
  readonly pipe: StreamPipe;
  /** What listens there, or `reach` for what a session of ours opened. */
  readonly door: string;
  /** Whom the doorkeeper counts it for; undefined for what nobody was admitted for. */
  readonly admitted: Address | null | undefined;
  /** Ends what its session opened. */
  readonly ended: (cause: Cause) => void;
  /** `receivedBytes` and `sentBytes` when memory was last measured. */
  received: number;
  sent: number;
}

export class Connections {
  private readonly byId = new Map<number, Connection>();
  private waiting: (() => void)[] = [];

  get size(): number {
    return this.byId.size;
  }

  get(id: number): Connection | undefined {
    return this.byId.get(id);
  }

  all(): IterableIterator<Connection> {
    return this.byId.values();
  }

  add(connection: Connection): void {
    this.byId.set(connection.pipe.id, connection);
  }

  /** Forgets one; answers it, the first time. */
  remove(id: number): Connection | undefined {
    const connection = this.byId.get(id);
    this.byId.delete(id);
    if (this.byId.size === 0) for (const done of this.waiting.splice(0)) done();
    return connection;
  }

  /** Asks each to leave and cuts it after `graceMs`. */
  leave(why: Why, graceMs: number): void {
    // Over a copy: one that leaves at once is removed meanwhile.
    for (const { pipe } of [...this.byId.values()]) pipe.leave(why, graceMs);
  }

  /** Resolves once there is none. */
  empty(): Promise<void> {
    if (this.byId.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
