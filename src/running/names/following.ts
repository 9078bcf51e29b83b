// Zones between this server and others, as it runs: the sockets and the timer of what refreshes and notifies.
import type { Config } from '../../config.ts';
import type { Log } from '../../core/log.ts';
import { NO_EVENTS, PIPE_BOUNDS } from '../../core/stream-pipe.ts';
import type { Clock, Instant } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import { DnsCarriers } from '../../exports/dns.ts';
import { Followers } from '../../protocols/dns/server-followers.ts';
import { keysOf } from '../../protocols/dns/settings.ts';
import type { Zone } from '../../resources/names/contract.ts';
import type { ZoneNames } from '../../resources/names/names.ts';
import type { StoredZone } from '../../resources/names/zone.ts';
import { dial } from '../../transports/socket-pipe.ts';

/** A message and its length. */
const INPUT_MAX = 65_537;
const IDLE_MS = 2_000;

export class Following extends Turned {
  private readonly followers: Followers;
  private readonly carriers: DnsCarriers;
  private readonly turn: Turn;

  constructor(config: Config, names: ZoneNames, { turn, log }: { readonly turn: Turn; readonly log: Log }) {
    super();
    this.turn = turn;
    const way: Parameters<typeof dial>[2] = {
      turn,
      bounds: { ...PIPE_BOUNDS, inputMax: INPUT_MAX },
      events: NO_EVENTS,
    };
    // Primaries and secondaries are the operator's own word: they may be where others are not let.
    const carriers = new DnsCarriers({
      turn,
      dial: (target, tls, connected, refused) => dial(target, tls, way, connected, refused),
      tls: ({ host }) => ({ role: 'client', serverName: host, alpn: ['dot'] }),
      post: () => Promise.reject(new Error('zones are not transferred by HTTP')),
      idleMs: IDLE_MS,
    });
    this.carriers = carriers;
    this.followers = new Followers({
      names,
      carriers: {
        ask: ({ host, port }, carrier, query, heard, failed) =>
          carriers.ask({ host, port, carrier }, carrier, query, heard, failed),
      },
      keys: keysOf(config.dns),
      clock: () => turn.clock,
      refreshedAt: (zone) => (zone as StoredZone).state.refreshed,
      setUsable: (zone, usable) => names.setUsable(zone as StoredZone, usable),
      log: (text, fields) => log.warn(text, fields as never),
      touch: () => turn.touch(this),
    });
  }

  begin(): void {
    this.followers.begin();
  }

  /** A NOTIFY came; false when it is not from a primary. */
  notified(zone: Zone, host: string, key: string): boolean {
    return this.followers.notified(zone, host, key);
  }

  get due(): Instant {
    return this.followers.due;
  }

  work(): void {}

  tick(clock: Clock): void {
    this.followers.tick(clock);
  }

  close(): void {
    this.followers.close();
    this.carriers.close();
    this.turn.forget(this);
  }
}
