// The tour itself: every protocol subscribes, each in turn publishes one message, and what was observed of it becomes one
// step. It prints nothing and waits for nobody.

import type { Status } from '../control/words.ts';
import type { Direction, KernelFigures } from '../core/tap.ts';
import { summaryOf } from '../inspector/seen.ts';
import { PROTOCOLS } from '../protocols.ts';
import type { WhyAnswer } from '../resources/topics/contract.ts';
import type { TurnLoop } from '../server/turn.ts';
import type { Channel, Shown } from './channel.ts';
import { mentions, type SeenConnection, type TourFeed } from './tour-feed.ts';
import { STOPS, type Stop, type StopPlace } from './tour-stops.ts';

/** A frame, with the milliseconds since the message's first one on this connection's server. */
export interface TourFrame {
  readonly ms: number;
  /** As the server sees it. */
  readonly direction: Direction;
  readonly protocol: string;
  readonly size: number;
  readonly summary: string;
}

export interface TourConnection {
  readonly connection: number;
  /** Whose it is: the name of a stop. */
  readonly of: string;
  readonly from: string;
  readonly to: string;
  readonly carrier: string;
  readonly layers: readonly string[];
  readonly frames: readonly TourFrame[];
  readonly faults: readonly string[];
  readonly kernel: KernelFigures | null;
  /** How it ended; '' while it stands. */
  readonly cause: string;
}

export interface Arrival {
  readonly by: string;
  /** Milliseconds from before the publisher connected until the subscriber had it, as this command's clients saw it. */
  readonly ms: number | null;
}

export type TourStep =
  | {
      readonly step: 'server';
      /** Started for the tour, in memory. */
      readonly own: boolean;
      readonly portico: string;
      readonly native: string;
      readonly filter: string;
    }
  /** Nobody listens for it. */
  | { readonly step: 'skipped'; readonly by: string; readonly why: string }
  /** The server, or the client, would not. */
  | { readonly step: 'refused'; readonly by: string; readonly what: 'subscribe' | 'publish'; readonly why: string }
  | { readonly step: 'subscribed'; readonly by: string; readonly connection: TourConnection | null }
  | PublishedStep
  | { readonly step: 'end'; readonly published: number; readonly missing: number; readonly refused: number };

export interface PublishedStep {
  readonly step: 'published';
  readonly by: string;
  readonly title: string;
  readonly topic: string;
  readonly payload: string;
  /** Null where the protocol acknowledges nothing. */
  readonly acknowledgedMs: number | null;
  /** Null where there is none: datagrams. */
  readonly connection: TourConnection | null;
  /** What this command's client sent and got where no connection was to be seen. */
  readonly datagrams: readonly TourFrame[];
  /** What the server answers to `why` of this message. */
  readonly subscribers: readonly WhyAnswer[];
  /** The subscribers' connections, with the frames since the message was published. */
  readonly reached: readonly TourConnection[];
  readonly arrivals: readonly Arrival[];
  /** Events that the inspector had no time for. */
  readonly lost: number;
}

export interface TourPlan {
  readonly feed: TourFeed;
  readonly turn: TurnLoop;
  readonly status: Status;
  readonly own: boolean;
  /** The names of the stops that publish. */
  readonly from: readonly string[];
  /** Tells apart this tour from others on the same server. */
  readonly mark: string;
  /** Who signs in; '' for nobody. */
  readonly user: string;
  readonly password: string;
}

/** How long a message may take to arrive. */
const ARRIVE_MS = 3_000;

interface Subscribed {
  readonly stop: Stop;
  readonly channel: Channel;
  /** The payloads that came. */
  readonly came: Map<string, number>;
  connection: SeenConnection | null;
}

export class Tour {
  private readonly plan: TourPlan;
  private readonly subscribed: Subscribed[] = [];
  /** Datagrams since the last step. */
  private datagrams: { at: number; frame: Omit<TourFrame, 'ms'> }[] = [];
  private published = 0;
  private missing = 0;
  private refused = 0;

  constructor(plan: TourPlan) {
    this.plan = plan;
  }

  /** The steps, each when it is asked for. */
  async *steps(): AsyncGenerator<TourStep, undefined> {
    const { status, own } = this.plan;
    const { portico, native } = status;
    yield { step: 'server', own, portico, native, filter: this.filter };
    for (const stop of STOPS) if (stop.subscribes) yield await this.orRefused(stop, 'subscribe', this.subscribe(stop));
    for (const stop of this.publishers) yield await this.orRefused(stop, 'publish', this.publish(stop));
    const { published, missing, refused } = this;
    yield { step: 'end', published, missing, refused };
  }

  private async orRefused(stop: Stop, what: 'subscribe' | 'publish', step: Promise<TourStep>): Promise<TourStep> {
    try {
      return await step;
    } catch (error) {
      const { feed } = this.plan;
      if (feed.over !== '') throw error;
      this.refused++;
      return { step: 'refused', by: stop.name, what, why: error instanceof Error ? error.message : String(error) };
    }
  }

  close(): void {
    for (const { channel } of this.subscribed.splice(0)) channel.close();
  }

  /** Those that publish and that somebody listens for. */
  get publishers(): readonly Stop[] {
    const { from, user } = this.plan;
    return STOPS.filter(
      (stop) =>
        stop.publishes && from.includes(stop.name) && (user === '' || stop.signsIn) && this.placeOf(stop) !== null,
    );
  }

  private get filter(): string {
    return `${this.plan.mark}/#`;
  }

  /** Where a stop's listener is; null when nobody listens. */
  private placeOf({ listener, scheme }: Stop): StopPlace | null {
    const { protocol, on } = listener;
    const found = this.plan.status.listening.find(
      (one) => one.protocol === protocol && one.on === on && one.address !== null,
    );
    if (found === undefined || found.address === null) return null;
    const { host, port } = found.address;
    // Who listens everywhere is reached here.
    const here = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
    return {
      scheme,
      host: here,
      port,
      topic: '',
      user: this.plan.user,
      password: this.plan.password,
      token: '',
      tls: null,
    };
  }

  private open(stop: Stop, place: StopPlace, isSeen: boolean): Promise<Channel> {
    return stop.open(place, this.plan.turn, (direction, bytes) => {
      if (isSeen) this.datagrams.push({ at: performance.now(), frame: datagramFrame(direction, bytes) });
    });
  }

  private async subscribe(stop: Stop): Promise<TourStep> {
    const { feed } = this.plan;
    const place = this.placeOf(stop);
    if (place === null) {
      const { protocol, on } = stop.listener;
      return { step: 'skipped', by: stop.name, why: `no listener of ${protocol} over ${on}` };
    }
    const channel = await this.open(stop, place, false);
    const own: Subscribed = { stop, channel, came: new Map(), connection: null };
    const message = ({ payload }: Shown) => void own.came.set(payload.toString().trimEnd(), performance.now());
    try {
      await channel.subscribe(this.filter, { after: null, qos: 1 }, { message, gap: () => {} });
    } catch (error) {
      channel.close();
      throw error;
    }
    this.subscribed.push(own);
    if (stop.isConnection) {
      // An address may have it as it is written in a URL.
      const find = () => this.newest((seen) => seen.frames.some((frame) => mentions(frame, this.plan.mark)));
      await feed.settled(() => find() !== null);
      own.connection = find();
    }
    const { connection } = own;
    return {
      step: 'subscribed',
      by: stop.name,
      connection: connection === null ? null : this.shown(connection, stop.name, connection.openedAt, 0),
    };
  }

  /** The last connection that is nobody's yet and of which something holds. */
  private newest(holds: (seen: SeenConnection) => boolean): SeenConnection | null {
    const taken = new Set(this.subscribed.map(({ connection }) => connection));
    const all = [...this.plan.feed.connections.values()];
    // One that is carried within another comes after it and is the same.
    return all.find((seen) => !taken.has(seen) && seen.cause === '' && holds(seen)) ?? null;
  }

  private async publish(stop: Stop): Promise<PublishedStep> {
    const { feed, mark } = this.plan;
    const topic = `${mark}/${stop.name}`;
    const payload = `said by ${stop.name}`;
    const known = new Set(feed.connections.keys());
    const seenBefore = new Map(this.subscribed.map(({ connection }) => [connection, connection?.frames.length ?? 0]));
    this.datagrams = [];
    const began = performance.now();
    const channel = await this.open(stop, this.placeOf(stop)!, true);
    try {
      await channel.publish(topic, Buffer.from(payload), { retain: false, qos: 1, contentType: '' });
    } catch (error) {
      channel.close();
      throw error;
    }
    const acknowledgedMs = stop.acknowledges ? performance.now() - began : null;
    await this.arrived(payload);
    const subscribers = await feed.why(topic);
    channel.close();
    const find = () =>
      [...feed.connections.values()].find(
        (seen) =>
          !known.has(seen.connection) && seen.frames.some((frame) => mentions(frame, stop.spells?.(topic) ?? topic)),
      ) ?? null;
    await feed.settled(() => !stop.isConnection || (find()?.cause ?? '') !== '');
    const own = stop.isConnection ? find() : null;
    const arrivals = this.subscribed.map(({ stop: { name }, came }): Arrival => {
      const at = came.get(payload);
      return { by: name, ms: at === undefined ? null : rounded(at - began) };
    });
    this.published++;
    this.missing += arrivals.filter(({ ms }) => ms === null).length;
    const reached = this.subscribed.flatMap(({ stop: { name }, connection }) =>
      connection === null ? [] : [{ name, connection, first: seenBefore.get(connection) ?? 0 }],
    );
    // Where the publisher has no connection, the first that was sent on is the beginning.
    const since =
      own?.openedAt ?? Math.min(...reached.map(({ connection, first }) => connection.frames[first]?.at ?? Infinity));
    const [firstDatagram] = this.datagrams;
    return {
      step: 'published',
      by: stop.name,
      title: stop.title,
      topic,
      payload,
      acknowledgedMs: acknowledgedMs === null ? null : rounded(acknowledgedMs),
      connection: own === null ? null : this.shown(own, stop.name, since, 0),
      datagrams: this.datagrams.map(({ at, frame }) => ({ ms: rounded(at - firstDatagram!.at), ...frame })),
      subscribers,
      reached: reached.map(({ name, connection, first }) => this.shown(connection, name, since, first)),
      arrivals,
      lost: feed.takeLost(),
    };
  }

  /** Resolves when all have it, or when it was waited for long enough. */
  private async arrived(payload: string): Promise<void> {
    const until = performance.now() + ARRIVE_MS;
    while (performance.now() < until && this.subscribed.some(({ came }) => !came.has(payload)))
      await new Promise((resolve) => setTimeout(resolve, 2));
  }

  private shown(seen: SeenConnection, of: string, since: number, first: number): TourConnection {
    const { connection, from, to, carrier, layers, faults, kernel, cause } = seen;
    const frames = seen.frames.slice(first).map(({ at, direction, protocol, size, summary }): TourFrame => {
      return { ms: rounded(at - since), direction, protocol, size, summary };
    });
    return { connection, of, from, to, carrier, layers: [...layers], frames, faults: [...faults], kernel, cause };
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** A datagram as the protocol's own dissector reads it. */
function datagramFrame(direction: Direction, bytes: Uint8Array): Omit<TourFrame, 'ms'> {
  const lines = PROTOCOLS.find(({ name }) => name === 'lines');
  const frames = lines?.dissector(direction, false).push(bytes, 0, bytes.length) ?? [];
  const summary = frames.map(({ label, value, pieces = [] }) => summaryOf({ label, value, pieces })).join('; ');
  return { direction, protocol: 'lines', size: bytes.length, summary };
}
