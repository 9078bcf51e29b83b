// Connections to origins, kept and used again: bounded for each origin and in all, with a bounded queue of requests before
// them. A request that met a closing connection is sent once more where that cannot do harm (RFC 9110 §9.2.2). How to
// dial is handed in.
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import type { Cause, Pipe } from '../../core/pipe.ts';
import type { Reach } from '../../core/reach.ts';
import type { Clock } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import type { ClientConnection, ConnectionEvents, RequestConnection, SentRequest } from '../http/client.ts';
import { Http1Client } from './client.ts';
import {
  type AnswerEvents,
  type ClientRequest,
  checkRequest,
  isIdempotent,
  type Progress,
  UNANSWERED,
  UNSENT,
} from './client-exchange.ts';
import type { clientLimits } from './client-limits.ts';

export interface Origin {
  readonly host: string;
  readonly port: number;
  /** Null for plain HTTP. Origins whose policies are different objects do not share connections. */
  readonly tls: TlsPolicy | null;
}

export interface PoolEvents extends Omit<AnswerEvents, 'over'> {
  /** It was given a connection, or another one: what follows is of this exchange. */
  started?(exchange: SentRequest): void;
  /**
   * Exactly once, the last call ever; without a cause when there was no connection to be had, and then `why` says it.
   */
  over(cause: Cause | null, fault: Fault | null, why: string): void;
}

/** A request in the pool's hands. */
export interface PooledRequest {
  /** Null before it is given a connection. */
  readonly exchange: SentRequest | null;
  cancel(): void;
}

/** Makes the session of a connection by what was agreed on it. */
export type MakeConnection = (
  pipe: Pipe,
  turn: { readonly clock: Clock },
  limits: Bound<typeof clientLimits>,
  events: ConnectionEvents,
) => ClientConnection;

/** Dials what is no pipe, for an origin: `made` takes what makes the connection once it stands, or `refused` says why there is none. */
export type OpenConnection = (
  origin: Origin,
  limits: Bound<typeof clientLimits>,
  made: <Made extends RequestConnection>(make: (events: ConnectionEvents) => Made) => Made,
  refused: (why: string) => void,
) => void;

export interface PoolWays {
  /** What else than HTTP/1.1 is spoken, by the name of ALPN (RFC 7301). */
  readonly speaks?: Readonly<Record<string, MakeConnection>>;
  /** How origins are reached whose policy has this as its first name of ALPN. */
  readonly opens?: Readonly<Record<string, OpenConnection>>;
}

export class HttpPool {
  private readonly dial: Reach['dial'];
  private readonly ways: PoolWays;
  private readonly turn: { readonly clock: Clock };
  private readonly limits: Bound<typeof clientLimits>;
  /** By host and port, and by policy. Those without connections and requests are not kept. */
  private readonly origins = new Map<string, OriginPool[]>();
  private connections = 0;
  private waiting = 0;
  private closed = false;

  constructor(
    dial: Reach['dial'],
    turn: { readonly clock: Clock },
    limits: Bound<typeof clientLimits>,
    ways: PoolWays = {},
  ) {
    this.ways = ways;
    this.dial = dial;
    this.turn = turn;
    this.limits = limits;
  }

  /** Sends a request. Throws a RangeError when it cannot be sent to anybody; all else is told by `over`. */
  request(origin: Origin, request: ClientRequest, events: PoolEvents): PooledRequest {
    checkRequest(request);
    const asked = new Asked(this, origin, request, events);
    this.take(asked);
    return asked;
  }

  /** Ends what is idle, and all else once it is answered; takes nothing more. */
  close(): void {
    this.closed = true;
    for (const places of [...this.origins.values()]) {
      for (const place of [...places]) {
        for (const asked of place.waiting.splice(0)) {
          this.waiting--;
          asked.fail('the client is closed');
        }
        for (const client of [...place.clients]) client.close();
      }
    }
  }

  /** Connections that stand or are being made, and requests that wait for one. */
  get figures(): { readonly connections: number; readonly waiting: number } {
    return { connections: this.connections, waiting: this.waiting };
  }

  private placeOf(origin: Origin): OriginPool {
    const key = `${origin.host} ${origin.port}`;
    const places = this.origins.get(key) ?? [];
    this.origins.set(key, places);
    let place = places.find(({ of }) => of.tls === origin.tls);
    if (place === undefined) {
      place = { of: origin, clients: new Set(), idle: [], waiting: [], dialling: 0, isParallel: false };
      places.push(place);
    }
    return place;
  }

  /** Gives the request a connection, or lets it wait for one. */
  take(asked: Asked): void {
    if (this.closed) {
      asked.fail('the client is closed');
      return;
    }
    const place = this.placeOf(asked.origin);
    asked.place = place;
    for (let client = place.idle.pop(); client !== undefined; client = place.idle.pop())
      if (client.isIdle) {
        asked.start(client);
        return;
      }
    const { limits } = this;
    if (place.isParallel) {
      const roomy = [...place.clients].find((client) => client.isParallel && client.hasRoom);
      if (roomy !== undefined) {
        asked.start(roomy);
        return;
      }
    }
    if (limits.pipelineMax > 1) {
      const roomy = [...place.clients].find((client) => client.hasRoom && client.open < limits.pipelineMax);
      if (roomy !== undefined && isIdempotent(asked.request.method) && asked.request.length === undefined) {
        asked.start(roomy);
        return;
      }
    }
    if (this.waiting >= limits.waitingMax) {
      asked.fail(`${this.waiting} requests wait already`);
      this.forget(place);
      return;
    }
    this.waiting++;
    place.waiting.push(asked);
    this.grow(place);
  }

  /** Dials for those who wait, within the bounds. */
  private grow(place: OriginPool): void {
    const { originConnectionsMax, connectionsMax } = this.limits;
    if (place.isParallel && place.dialling > 0) return;
    while (place.dialling < place.waiting.length && place.clients.size + place.dialling < originConnectionsMax) {
      // Making room may have let another origin grow: the bounds are looked at again.
      if (this.connections < connectionsMax) this.open(place);
      else if (!this.makeRoom()) return;
    }
  }

  /** Ends the connection that has been idle longest anywhere; false when none is. */
  private makeRoom(): boolean {
    for (const places of this.origins.values())
      for (const { idle } of places) {
        const client = idle.shift();
        if (client === undefined) continue;
        client.close();
        return true;
      }
    for (const places of this.origins.values())
      for (const { clients } of places)
        for (const client of clients) {
          if (!client.isParallel || !client.isIdle) continue;
          client.close();
          return true;
        }
    return false;
  }

  private open(place: OriginPool): void {
    const { of } = place;
    this.connections++;
    place.dialling++;
    const { speaks = {}, opens = {} } = this.ways;
    const open = opens[of.tls?.alpn?.[0] ?? ''];
    if (open !== undefined) {
      open(
        of,
        this.limits,
        (make) => this.made(place, make),
        (why) => this.refused(place, why),
      );
      return;
    }
    this.dial(
      { host: of.host, port: of.port },
      of.tls,
      (pipe) => {
        const make = speaks[pipe.peer.tls?.alpn ?? ''] ?? makeHttp1;
        return this.made(place, (events) => make(pipe, this.turn, this.limits, events));
      },
      (_cause, why) => this.refused(place, why),
    );
  }

  private made<Made extends RequestConnection>(place: OriginPool, make: (events: ConnectionEvents) => Made): Made {
    place.dialling--;
    const client: Made = make({
      idle: () => this.idle(place, client),
      closed: () => this.gone(place, client),
    });
    place.isParallel = client.isParallel;
    place.clients.add(client);
    if (this.closed) client.close();
    else this.idle(place, client);
    return client;
  }

  private refused(place: OriginPool, why: string): void {
    place.dialling--;
    this.connections--;
    const asked = place.waiting.shift();
    if (asked !== undefined) {
      this.waiting--;
      asked.fail(why);
    }
    this.regrow(place);
  }

  private idle(place: OriginPool, client: RequestConnection): void {
    if (client.isParallel) {
      for (let next = place.waiting[0]; next !== undefined && client.hasRoom; next = place.waiting[0]) {
        place.waiting.shift();
        this.waiting--;
        next.start(client);
      }
      if (client.isIdle && this.isWanted()) client.close();
      return;
    }
    const asked = place.waiting.shift();
    if (asked !== undefined) {
      this.waiting--;
      asked.start(client);
    } else if (this.isWanted()) client.close();
    else place.idle.push(client);
  }

  /** Somebody waits for a connection to elsewhere, and there are as many as there may be. */
  private isWanted(): boolean {
    const { originConnectionsMax, connectionsMax } = this.limits;
    if (this.waiting === 0 || this.connections < connectionsMax) return false;
    for (const places of this.origins.values())
      for (const { waiting, dialling, clients } of places)
        if (waiting.length > dialling && clients.size + dialling < originConnectionsMax) return true;
    return false;
  }

  private gone(place: OriginPool, client: RequestConnection): void {
    if (!place.clients.delete(client)) return;
    this.connections--;
    const at = place.idle.indexOf(client);
    if (at >= 0) place.idle.splice(at, 1);
    this.regrow(place);
  }

  /** A connection less: somebody may dial who could not. */
  private regrow(place: OriginPool): void {
    this.grow(place);
    for (const places of this.origins.values())
      for (const other of places) if (other.waiting.length > 0) this.grow(other);
    this.forget(place);
  }

  private forget(place: OriginPool): void {
    if (place.clients.size + place.dialling + place.waiting.length > 0) return;
    const key = `${place.of.host} ${place.of.port}`;
    const places = this.origins.get(key);
    const at = places?.indexOf(place) ?? -1;
    if (places === undefined || at < 0) return;
    places.splice(at, 1);
    if (places.length === 0) this.origins.delete(key);
  }

  /** Takes one that waits off the list. */
  leave(asked: Asked): boolean {
    const { place } = asked;
    const at = place?.waiting.indexOf(asked) ?? -1;
    if (place === null || at < 0) return false;
    place.waiting.splice(at, 1);
    this.waiting--;
    this.forget(place);
    return true;
  }
}

const makeHttp1: MakeConnection = (pipe, turn, limits, events) => new Http1Client(pipe, turn, limits, events);

interface OriginPool {
  readonly of: Origin;
  readonly clients: Set<RequestConnection>;
  readonly idle: RequestConnection[];
  readonly waiting: Asked[];
  dialling: number;
  /** One connection is enough, as far as is known. */
  isParallel: boolean;
}

class Asked implements PooledRequest, AnswerEvents {
  exchange: SentRequest | null = null;
  /** Where it waits, or was given a connection. */
  place: OriginPool | null = null;
  readonly origin: Origin;
  readonly request: ClientRequest;
  private readonly pool: HttpPool;
  private readonly events: PoolEvents;
  private again = false;
  private isOver = false;
  readonly upgraded?: NonNullable<AnswerEvents['upgraded']>;

  constructor(pool: HttpPool, origin: Origin, request: ClientRequest, events: PoolEvents) {
    this.pool = pool;
    this.origin = origin;
    this.request = request;
    this.events = events;
    const { upgraded } = events;
    if (upgraded !== undefined) this.upgraded = (pipe, status, fields) => upgraded.call(events, pipe, status, fields);
  }

  start(client: RequestConnection): void {
    this.exchange = client.send(this.request, this, (exchange) => {
      this.exchange = exchange;
      this.events.started?.(exchange);
    });
    if (this.exchange === null) this.pool.take(this);
  }

  cancel(): void {
    if (this.isOver) return;
    if (this.exchange !== null) this.exchange.cancel();
    else if (this.pool.leave(this)) this.end(null, null, 'given up');
  }

  fail(why: string): void {
    this.end(null, null, why);
  }

  private end(cause: Cause | null, fault: Fault | null, why: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.events.over(cause, fault, why);
  }

  begun(clock: Clock): void {
    this.events.begun?.(clock);
  }

  writable(clock: Clock): void {
    this.events.writable?.(clock);
  }

  inform: NonNullable<AnswerEvents['inform']> = (status, fields) => this.events.inform?.(status, fields);

  answered: AnswerEvents['answered'] = (status, reason, fields) => this.events.answered(status, reason, fields);

  over(cause: Cause, fault: Fault | null, progress: Progress): void {
    const cancelled = this.exchange?.isCancelled === true;
    if (!cancelled && !this.again && this.mayRepeat(progress)) {
      this.again = true;
      this.exchange = null;
      this.pool.take(this);
    } else this.end(cause, fault, fault?.text ?? (cancelled ? 'given up' : `the connection is gone (${cause})`));
  }

  /** A body that is written piece by piece is gone with the connection that took it. */
  private mayRepeat(progress: Progress): boolean {
    const { method, length } = this.request;
    if (progress === UNSENT) return true;
    return progress === UNANSWERED && isIdempotent(method) && length === undefined;
  }
}
