// Which version of HTTP a client uses: what servers say of themselves (RFC 7838), what came of it, and HTTP/3 with a head start
// over TCP, as addresses have it over each other (RFC 8305).
import type { Fault } from '../core/fault.ts';
import { Fields } from '../core/fields.ts';
import type { Cause } from '../core/pipe.ts';
import type { ClientRequest, SentRequest } from '../protocols/http/client.ts';
import type { HttpPool, Origin, PoolEvents, PooledRequest } from '../protocols/http1/pool.ts';

/** How long HTTP/3 may take to stand before TCP is used as well. */
const HEAD_START_MS = 250;
/** Where it did not stand it is left alone so long, doubled each time. */
const LEFT_ALONE_MS = 2_000;
const LEFT_ALONE_MOST_MS = 300_000;
/** How long an alternative is good that does not say (RFC 7838 §3.1). */
const AGE_SECONDS = 86_400;
const KEPT_MAX = 1_024;

/** One of the list: its protocol, host, port, and how many seconds it is good for. */
const ALTERNATIVE =
  /^\s*([!#$%&'*+.^`|~\w-]+)="([^":]*|\[[\da-fA-F:.]+\]):(\d{1,5})"((?:\s*;\s*[!#$%&'*+.^`|~\w-]+=(?:"[^"]*"|[!#$%&'*+.^`|~\w-]+))*)\s*(?:,|$)/;

export interface Alternative {
  /** '' for the origin's own. */
  readonly host: string;
  readonly port: number;
}

interface Known extends Alternative {
  readonly until: number;
  leftAloneUntil: number;
  failures: number;
}

/** Where HTTP/3 is spoken, of what Alt-Svc says; null for nowhere. */
export function readAltSvc(text: string): (Alternative & { readonly seconds: number }) | null {
  for (let left = text; left.trim() !== ''; ) {
    const found = ALTERNATIVE.exec(left);
    if (found === null) return null;
    const [whole, protocol, host, port, parameters] = found;
    if (protocol === 'h3' && Number(port) > 0 && Number(port) < 65_536) {
      const age = /;\s*ma="?(\d+)"?/.exec(parameters!);
      const seconds = age === null ? AGE_SECONDS : Math.min(Number(age[1]), 2_592_000);
      return { host: host!.replace(/^\[|\]$/g, ''), port: Number(port), seconds };
    }
    left = left.slice(whole.length);
  }
  return null;
}

/** What is known of origins. */
export class Alternatives {
  private readonly known = new Map<string, Known>();

  /** @param said the field Alt-Svc of an answer of the origin's, over TLS; null where there was none */
  learn(origin: string, said: string | null, now: number): void {
    if (said === null) return;
    if (said.trim() === 'clear') {
      this.known.delete(origin);
      return;
    }
    const read = readAltSvc(said);
    if (read === null) return;
    const { host, port, seconds } = read;
    const before = this.known.get(origin);
    const isSame = before?.host === host && before.port === port;
    if (before === undefined && this.known.size >= KEPT_MAX)
      for (const first of this.known.keys()) if (this.known.delete(first)) break;
    const { leftAloneUntil = 0, failures = 0 } = isSame ? before : {};
    this.known.set(origin, { host, port, until: now + seconds * 1_000, leftAloneUntil, failures });
  }

  /** The one to try now. */
  find(origin: string, now: number): Alternative | null {
    const known = this.known.get(origin);
    if (known === undefined || now < known.leftAloneUntil) return null;
    if (now < known.until) return known;
    this.known.delete(origin);
    return null;
  }

  worked(origin: string): void {
    const known = this.known.get(origin);
    if (known !== undefined) known.failures = 0;
  }

  failed(origin: string, now: number): void {
    const known = this.known.get(origin);
    if (known === undefined) return;
    known.leftAloneUntil = now + Math.min(LEFT_ALONE_MS * 2 ** known.failures, LEFT_ALONE_MOST_MS);
    known.failures++;
  }

  forget(origin: string): void {
    this.known.delete(origin);
  }
}

export interface Ways {
  readonly pool: HttpPool;
  /** Where HTTP/3 is, and the request as it is sent there. */
  readonly first: Origin;
  readonly firstRequest: ClientRequest;
  readonly second: Origin;
  readonly request: ClientRequest;
  /** Whether it stood in time. */
  readonly told: (worked: boolean) => void;
}

/** A request that is sent over HTTP/3 where that stands in time, and over TCP where it does not; once. */
export class EitherRequest implements PooledRequest, PoolEvents {
  private readonly ways: Ways;
  private readonly events: PoolEvents;
  private pooled: PooledRequest | null = null;
  private readonly timer: NodeJS.Timeout;
  private hasStarted = false;
  private isSecond = false;
  private isCancelled = false;

  constructor(ways: Ways, events: PoolEvents) {
    this.ways = ways;
    this.events = events;
    this.timer = setTimeout(() => this.pooled?.cancel(), HEAD_START_MS);
    this.pooled = ways.pool.request(ways.first, ways.firstRequest, this);
  }

  get exchange(): SentRequest | null {
    return this.pooled?.exchange ?? null;
  }

  cancel(): void {
    this.isCancelled = true;
    this.pooled?.cancel();
  }

  started(exchange: SentRequest): void {
    this.hasStarted = true;
    clearTimeout(this.timer);
    if (!this.isSecond) this.ways.told(true);
    this.events.started?.(exchange);
  }

  over(cause: Cause | null, fault: Fault | null, why: string): void {
    clearTimeout(this.timer);
    if (this.hasStarted || this.isSecond || this.isCancelled) {
      this.events.over(cause, fault, why);
      return;
    }
    this.isSecond = true;
    this.ways.told(false);
    this.pooled = this.ways.pool.request(this.ways.second, this.ways.request, this);
  }

  begun: NonNullable<PoolEvents['begun']> = (clock) => this.events.begun?.(clock);
  writable: NonNullable<PoolEvents['writable']> = (clock) => this.events.writable?.(clock);
  inform: NonNullable<PoolEvents['inform']> = (status, fields) => this.events.inform?.(status, fields);
  answered: PoolEvents['answered'] = (status, reason, fields) => this.events.answered(status, reason, fields);
}

/** The request as an alternative gets it: it is told by which name it was found (RFC 7838 §5). */
export function toAlternative(request: ClientRequest, host: string, port: number): ClientRequest {
  const { fields } = request;
  const shown = host.includes(':') ? `[${host}]` : host;
  const named = new Fields();
  named.list.push(...fields.list, 'alt-used', `${shown}:${port}`);
  return { ...request, fields: named };
}
