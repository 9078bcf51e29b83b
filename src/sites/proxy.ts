// A reverse proxy: requests of a site go to the upstream whose turn it is, as they come, and its answers back, as fast as
// the client takes them (RFC 9110 §7.6). Bodies are streamed both ways; nothing is kept whole.
import type { BodyReader, Exchange, ExchangeHandler } from '../core/exchange.ts';
import type { Fault } from '../core/fault.ts';
import { Fields } from '../core/fields.ts';
import { addressText } from '../core/peer.ts';
import { type Cause, type Pipe, REVOKED, type Session, type Why } from '../core/pipe.ts';
import { type Clock, NEVER } from '../core/time.ts';
import { answerProblem } from '../protocols/http/answers.ts';
import { eachMember } from '../protocols/http/chars.ts';
import { type ClientRequest, isIdempotent, type SentRequest, UNKNOWN } from '../protocols/http/client.ts';
import { clientFaults } from '../protocols/http1/client-faults.ts';
import type { HttpPool, PoolEvents, PooledRequest } from '../protocols/http1/pool.ts';
import { joinLegs, Leg } from '../protocols/wire/proxy.ts';
import type { Upstream, Upstreams } from './upstreams.ts';

export interface ProxySite {
  /** Where it stands: exactly that, or all below a path that ends with `/`. */
  readonly path: string;
  /** Whether the upstream is asked for what is below `path`, rather than for the whole path. */
  readonly strip: boolean;
  /** Whether the upstream is told the Host that the client asked for, rather than its own. */
  readonly keepHost: boolean;
  /** How long an upstream may say nothing while its answer is awaited. */
  readonly silenceMs: number;
}

export interface ProxyHost {
  readonly clock: Clock;
  readonly pool: HttpPool;
  readonly upstreams: Upstreams;
  /** What this server is called in Via: its own for each process, so that it knows itself again in a loop. */
  readonly via: string;
}

/** Of one connection only (RFC 9110 §7.6.1), or written by who sends the message. */
const HOP_BY_HOP = new Set([
  ...['connection', 'proxy-connection', 'keep-alive', 'te', 'transfer-encoding', 'upgrade', 'content-length', 'expect'],
  ...['host', 'proxy-authenticate', 'proxy-authorization', 'trailer', 'via', 'http2-settings'],
]);

/** What a client says of those before it: nobody here has reason to believe it. */
const FORGEABLE = /^(?:forwarded|x-forwarded-.*|x-real-ip)$/;

/** A connection that was upgraded is given up after so long a silence. */
const TUNNEL_IDLE_MS = 3_600_000;

/** INTERNAL_ERROR and CANCEL (RFC 9113 §7). */
const INTERNAL_ERROR = 2;
const CANCEL = 8;

export function proxyHandler(site: ProxySite, host: ProxyHost): ExchangeHandler {
  return (exchange) => {
    const via = exchange.fields.joined('via');
    if (via?.includes(host.via) === true) {
      answerProblem(exchange, 508, 'This request came from here: an upstream of this site leads back to it.');
      return;
    }
    new Passing(site, host, exchange).begin();
  };
}

/** One request on its way through. */
class Passing implements PoolEvents {
  private readonly site: ProxySite;
  private readonly host: ProxyHost;
  private readonly exchange: Exchange;
  private readonly tried = new Set<Upstream>();
  private upstream: Upstream | null = null;
  private asked: PooledRequest | null = null;
  private far: SentRequest | null = null;
  /** The body may be written. */
  private hasBegun = false;
  private isHeld = false;
  private bodyEnded: Fields | true | null = null;
  private isAnswered = false;
  /** The client is gone, or has all of its answer. */
  private isOver = false;

  constructor(site: ProxySite, host: ProxyHost, exchange: Exchange) {
    this.site = site;
    this.host = host;
    this.exchange = exchange;
  }

  begin(): void {
    const { exchange } = this;
    exchange.on = {
      writable: () => this.far?.resume(),
      tick() {},
      leave(why: Why) {
        if (why === REVOKED) exchange.reset(CANCEL);
      },
      lost: () => {
        const { asked, isOver } = this;
        this.isOver = true;
        if (!isOver) asked?.cancel();
      },
    };
    exchange.deadline = NEVER;
    exchange.body({
      receive: (input, start, end) => this.receive(input, start, end),
      trailers: (fields) => {
        this.bodyEnded = withoutHops(fields);
      },
      finish: () => {
        this.bodyEnded ??= true;
        this.endBody();
      },
      // The exchange is lost with it, which is told above.
      lost() {},
    });
    this.next();
  }

  /** Asks an upstream that was not asked yet. */
  private next(): void {
    const { host, exchange } = this;
    const upstream = host.upstreams.choose(host.clock, this.tried);
    if (upstream === null) {
      this.refuse(this.tried.size > 0 ? 502 : 503);
      return;
    }
    this.tried.add(upstream);
    this.upstream = upstream;
    upstream.open++;
    const request = this.requestTo(upstream);
    try {
      this.asked = host.pool.request(upstream.origin, request, this);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.letGo();
      this.isOver = true;
      answerProblem(exchange, 400, `The request cannot be passed on: ${error.message}.`);
    }
  }

  private requestTo({ authority, base }: Upstream): ClientRequest {
    const { exchange, site } = this;
    const { method, upgrade } = exchange;
    const rest = site.strip ? exchange.target.slice(site.path.length - 1) : exchange.target;
    const length = bodyLengthOf(exchange);
    return {
      // Extended CONNECT is GET with an upgrade to who speaks HTTP/1.1 (RFC 8441 §5).
      method: method === 'CONNECT' ? 'GET' : method,
      target: `${base}${rest.startsWith('/') ? rest : `/${rest}`}`,
      authority: site.keepHost && exchange.authority !== '' ? exchange.authority : authority,
      fields: this.fieldsOut(),
      ...(length === 0 ? {} : { length }),
      ...(upgrade === '' ? {} : { upgrade }),
      silenceMs: site.silenceMs,
    };
  }

  private fieldsOut(): Fields {
    const { exchange, host } = this;
    const fields = new Fields();
    const dropped = connectionFields(exchange.fields);
    for (const [name, value] of exchange.fields)
      if (!HOP_BY_HOP.has(name) && !dropped.has(name) && !FORGEABLE.test(name)) fields.append(name, value);
    const { peer, authority } = exchange;
    const { remote } = peer;
    const secure = peer.tls !== null || peer.below?.tls != null;
    if (remote !== null) fields.append('x-forwarded-for', remote.host);
    fields.append('x-forwarded-proto', secure ? 'https' : 'http').append('x-forwarded-host', authority);
    const from = remote === null ? 'unknown' : addressText(remote);
    fields.append('forwarded', `for="${from}";host="${authority}";proto=${secure ? 'https' : 'http'}`);
    return fields.append('via', joinVia(exchange.fields.joined('via'), host.via));
  }

  // ---- the request's body, to the upstream -------------------------------------------------------------------------

  private receive(input: Uint8Array, start: number, end: number): number {
    const { far } = this;
    // Answered before all of it came: the rest is nobody's.
    if (this.isOver || far?.isWhole === true) return end;
    if (far === null || !this.hasBegun || far.room === 0) {
      this.isHeld = true;
      this.exchange.pause();
      return start;
    }
    far.write(Buffer.from(input.subarray(start, end)));
    return end;
  }

  private endBody(): void {
    const { far, bodyEnded } = this;
    if (bodyEnded === null || far === null || !this.hasBegun || far.request.length !== UNKNOWN) return;
    if (bodyEnded === true) far.end();
    else far.end(bodyEnded);
  }

  // ---- what the pool and the upstream say --------------------------------------------------------------------------

  started(far: SentRequest): void {
    this.far = far;
    this.hasBegun = false;
  }

  begun(): void {
    this.hasBegun = true;
    this.goOn();
    this.endBody();
  }

  private goOn(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.exchange.resume();
  }

  inform(status: number, fields: Fields): void {
    // 100 is between us and the upstream: ours to the client goes out when its body is wanted.
    if (status !== 100 && !this.isOver) this.exchange.inform(status, withoutHops(fields));
  }

  answered(status: number, _reason: string, fields: Fields): BodyReader | null {
    const { exchange, host, upstream } = this;
    host.upstreams.succeeded(upstream!);
    if (this.isOver) return null;
    this.isAnswered = true;
    const length = fields.get('content-length');
    exchange.respond(
      status,
      this.fieldsBack(fields),
      length === null || fields.has('transfer-encoding') ? undefined : Number(length),
    );
    exchange.flush();
    return new Answer(exchange, this);
  }

  private fieldsBack(fields: Fields): Fields {
    const back = withoutHops(fields);
    const location = fields.get('location');
    const own = this.upstream!;
    const root = `${own.origin.tls === null ? 'http' : 'https'}://${own.authority}${own.base}`;
    // Where the upstream goes by its own name, its redirects would lead the client past this server.
    if (location?.startsWith(`${root}/`) === true)
      back.set('location', `${this.site.strip ? this.site.path.slice(0, -1) : ''}${location.slice(root.length)}`);
    return back.append('via', joinVia(fields.joined('via'), this.host.via));
  }

  upgraded(pipe: Pipe, _status: number, fields: Fields): Session {
    const { exchange, host } = this;
    host.upstreams.succeeded(this.upstream!);
    const far = new Leg(pipe, TUNNEL_IDLE_MS, host.clock);
    this.isAnswered = true;
    // The exchange is lost with this, and what was asked goes on in the tunnel.
    this.isOver = true;
    exchange.take(exchange.method === 'CONNECT' ? 200 : 101, withoutHops(fields), (mine) => {
      const near = new Leg(mine, TUNNEL_IDLE_MS, host.clock);
      joinLegs(near, far);
      return near;
    });
    return far;
  }

  over(cause: Cause | null, fault: Fault | null, why: string): void {
    const { host, upstream } = this;
    this.letGo();
    if (this.isOver) return;
    if (this.isAnswered) return;
    const text = fault?.text ?? why;
    host.upstreams.didFail(upstream!, host.clock, text);
    const { method } = this.exchange;
    // Nothing was sent; or it was, and twice is as once: another may answer.
    const mayRepeat = cause === null || (isIdempotent(method) && bodyLengthOf(this.exchange) === 0);
    if (mayRepeat && fault !== clientFaults.silent) this.next();
    else this.refuse(fault === clientFaults.silent ? 504 : 502);
  }

  /** An answer broke off. */
  broke(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.exchange.reset(INTERNAL_ERROR);
  }

  complete(trailers: Fields | null): void {
    if (this.isOver) return;
    this.isOver = true;
    if (trailers === null) this.exchange.end();
    else this.exchange.end(trailers);
    this.exchange.flush();
    this.goOn();
  }

  get isDone(): boolean {
    return this.isOver;
  }

  /** The client does not keep up. */
  hold(): void {
    this.far?.pause();
  }

  private letGo(): void {
    if (this.upstream !== null) this.upstream.open--;
    this.asked = null;
    this.far = null;
    this.hasBegun = false;
  }

  private refuse(status: 502 | 503 | 504): void {
    const { exchange, host } = this;
    this.isOver = true;
    const wait = Math.max(1, Math.ceil((host.upstreams.nextTry() - host.clock.now) / 1_000));
    const fields =
      status === 503
        ? Fields.of({ 'retry-after': String(wait === Number.POSITIVE_INFINITY ? 10 : wait) })
        : new Fields();
    answerProblem(exchange, status, REFUSALS[status], fields);
    this.goOn();
  }
}

/** The upstream's answer on its way to the client. */
class Answer implements BodyReader {
  private readonly exchange: Exchange;
  private readonly passing: Passing;
  private trailing: Fields | null = null;

  constructor(exchange: Exchange, passing: Passing) {
    this.exchange = exchange;
    this.passing = passing;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    const { exchange, passing } = this;
    if (passing.isDone) return end;
    if (exchange.room <= 0) {
      passing.hold();
      return start;
    }
    exchange.out.copy(input, start, end);
    exchange.flush();
    return end;
  }

  trailers(fields: Fields): void {
    this.trailing = withoutHops(fields);
  }

  finish(): void {
    this.passing.complete(this.trailing);
  }

  lost(): void {
    this.passing.broke();
  }
}

/** Bytes of the request's body; UNKNOWN where only its end will tell; 0 for none. */
function bodyLengthOf({ method, fields, upgrade, peer }: Exchange): number {
  const length = fields.get('content-length');
  if (length !== null) return Number(length);
  if (upgrade !== '') return 0;
  if (fields.has('transfer-encoding')) return UNKNOWN;
  // A stream needs neither field to have a body: by its method it has one.
  return peer.stream !== null && (method === 'POST' || method === 'PUT' || method === 'PATCH') ? UNKNOWN : 0;
}

/** The fields that Connection names: of this connection only. */
function connectionFields(fields: Fields): ReadonlySet<string> {
  const named = new Set<string>();
  eachMember(fields.joined('connection') ?? '', (name) => void named.add(name.toLowerCase()));
  return named;
}

function withoutHops(fields: Fields): Fields {
  const dropped = connectionFields(fields);
  const kept = new Fields();
  for (const [name, value] of fields) if (!HOP_BY_HOP.has(name) && !dropped.has(name)) kept.append(name, value);
  return kept;
}

function joinVia(before: string | null, own: string): string {
  return before === null ? `1.1 ${own}` : `${before}, 1.1 ${own}`;
}

const REFUSALS = {
  502: 'The server behind this one could not be reached, or did not answer as it should.',
  503: 'No server behind this one is well at the moment.',
  504: 'The server behind this one did not answer in time.',
} as const;
