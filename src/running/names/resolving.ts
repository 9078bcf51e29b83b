// The resolver of a running server: its sockets, its timer, its lists from files, and its questions as events.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Config, ConfigError } from '../../config.ts';
import type { Log } from '../../core/log.ts';
import { NO_EVENTS, PIPE_BOUNDS } from '../../core/stream-pipe.ts';
import type { Clock, Instant } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import { DnsCarriers } from '../../exports/dns.ts';
import { type Outside, Resolver } from '../../protocols/dns/resolver.ts';
import { BlockList } from '../../protocols/dns/resolver-blocks.ts';
import type { Carrier, ServerPoint } from '../../protocols/dns/resolver-servers.ts';
import { Recursion } from '../../protocols/dns/server-recursion.ts';
import { resolverSettings } from '../../protocols/dns/settings-resolver.ts';
import { networkFrom } from '../../resources/names/networks.ts';
import { type Announcer, announceEvent } from '../../resources/topics/events.ts';
import { ENTROPY } from '../../server/server.ts';
import { AddressPolicy } from '../../transports/addresses.ts';
import { dial } from '../../transports/socket-pipe.ts';
import { Asker } from '../asking.ts';
import { type Lookup, OwnLookup } from './looking-up.ts';

export interface ResolvingOptions {
  readonly turn: Turn;
  readonly log: Log;
  readonly topics: Announcer;
}

/** How long connections to upstreams are kept with nothing asked. */
const IDLE_MS = 8_000;
const POST_MS = 5_000;
/** A message and its length. */
const INPUT_MAX = 65_537;

export class Resolving extends Turned implements Outside {
  readonly resolver: Resolver;
  readonly recursion: Recursion;
  /** For what this server itself wants to know. */
  readonly lookup: Lookup;
  private readonly turn: Turn;
  private readonly carriers: DnsCarriers;
  private readonly asker: Asker;
  private readonly open = new Map<number, () => void>();
  private closed = false;

  /** Null where the configuration wants none. Throws a `ConfigError` for a list that cannot be read. */
  static open(config: Config, options: ResolvingOptions): Resolving | null {
    const plan = config.dns.resolver;
    return plan === false ? null : new Resolving(config, plan, options);
  }

  private constructor(config: Config, plan: Exclude<Config['dns']['resolver'], false>, options: ResolvingOptions) {
    super();
    const { turn, topics } = options;
    this.turn = turn;
    const policy = new AddressPolicy(config.outbound);
    const settings = resolverSettings(plan, blockList(plan.block, options.log), (host) => policy.allows(host));
    const way: Parameters<typeof dial>[2] = {
      turn,
      bounds: { ...PIPE_BOUNDS, inputMax: INPUT_MAX },
      events: NO_EVENTS,
    };
    const dialled = (...[target, tls, connected, refused]: DialArguments) => dial(target, tls, way, connected, refused);
    // Upstreams are the operator's own word: they may be where others are not let.
    this.asker = new Asker({ dial: dialled, listenOnce: async () => null, datagrams: async () => null }, turn);
    this.carriers = new DnsCarriers({
      turn,
      dial: dialled,
      tls: ({ host, tlsName }) => ({ role: 'client', serverName: tlsName ?? host, alpn: ['dot'] }),
      post: (url, query, point) => this.post(url, query, point),
      idleMs: IDLE_MS,
    });
    this.resolver = new Resolver(settings, this, ENTROPY, (error) => turn.bug(error, 'resolver'));
    this.lookup = new OwnLookup(this.resolver, turn, () => turn.touch(this));
    this.recursion = new Recursion({
      ask: (question) => {
        this.resolver.ask(question, turn.clock);
        turn.touch(this);
      },
      clients: plan.clients.map((text) => networkFrom(text)!),
      // Each turn reads anew.
      clock: turnClock(turn),
      told: plan.log ? (event) => announceEvent(topics, 'names/queries', event) : null,
    });
    turn.touch(this);
  }

  private async post(url: string, query: Uint8Array, { host, port }: ServerPoint): Promise<Uint8Array> {
    const { status, body } = await this.asker.ask(url, {
      ...{ at: { host, port }, method: 'POST', body: query, bytesMax: 65_535, withinMs: POST_MS },
      fields: { 'content-type': 'application/dns-message', accept: 'application/dns-message' },
    });
    if (status !== 200) throw new Error(`status ${status}`);
    return body;
  }

  send(token: number, point: ServerPoint, carrier: Carrier, query: Uint8Array): void {
    const { resolver, turn } = this;
    const stop = this.carriers.ask(
      point,
      carrier,
      query,
      (bytes, start, end) => {
        resolver.arrived(token, bytes, start, end, turn.clock);
        turn.touch(this);
        return this.open.has(token);
      },
      () => {
        resolver.failed(token, turn.clock);
        turn.touch(this);
      },
    );
    this.open.set(token, stop);
  }

  drop(token: number): void {
    const stop = this.open.get(token);
    this.open.delete(token);
    stop?.();
  }

  get due(): Instant {
    return this.closed ? Number.POSITIVE_INFINITY : this.resolver.due;
  }

  work(): void {}

  tick(clock: Clock): void {
    if (!this.closed) this.resolver.tick(clock);
  }

  close(): void {
    this.closed = true;
    for (const stop of this.open.values()) stop();
    this.open.clear();
    this.carriers.close();
    this.asker.close();
    this.turn.forget(this);
  }
}

/** The time as it is in whatever turn it is asked for. */
function turnClock(turn: Turn): Clock {
  return {
    get now() {
      return turn.clock.now;
    },
    get wall() {
      return turn.clock.wall;
    },
  };
}

type DialArguments = [
  target: Parameters<typeof dial>[0],
  tls: Parameters<typeof dial>[1],
  connected: Parameters<typeof dial>[3],
  refused: Parameters<typeof dial>[4],
];

function blockList(paths: readonly string[], log: Log): BlockList {
  const blocks = new BlockList();
  for (const path of paths) {
    try {
      const wrong = blocks.add(readFileSync(resolve(path), 'utf8'));
      if (wrong > 0) log.warn('lines of a block list are no names', { path, lines: wrong });
    } catch (error) {
      throw new ConfigError([`dns.resolver.block: ${path} cannot be read: ${(error as Error).message}`]);
    }
  }
  if (paths.length > 0) log.info('names are blocked', { count: blocks.size });
  return blocks;
}
