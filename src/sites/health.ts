// Asks the upstreams of a site at intervals whether they are well.
import { Fields } from '../core/fields.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';
import { type Turn, Turned } from '../core/turn.ts';
import type { HttpPool, PooledRequest } from '../protocols/http1/pool.ts';
import type { Health, Upstream, Upstreams } from './upstreams.ts';

export class HealthChecks extends Turned {
  private readonly turn: Turn;
  private readonly pool: HttpPool;
  private readonly upstreams: Upstreams;
  private readonly health: Health;
  private readonly asked = new Map<Upstream, PooledRequest>();
  private at: Instant;

  constructor(turn: Turn, pool: HttpPool, upstreams: Upstreams, health: Health) {
    super();
    this.turn = turn;
    this.pool = pool;
    this.upstreams = upstreams;
    this.health = health;
    this.at = turn.clock.now;
    turn.touch(this);
  }

  stop(): void {
    this.at = NEVER;
    this.turn.forget(this);
    for (const request of this.asked.values()) request.cancel();
  }

  get due(): Instant {
    return this.at;
  }

  work(): void {}

  tick(clock: Clock): void {
    this.at = clock.now + this.health.everyMs;
    for (const upstream of this.upstreams.all) if (!this.asked.has(upstream)) this.ask(upstream);
    this.turn.touch(this);
  }

  private ask(upstream: Upstream): void {
    const { path, withinMs } = this.health;
    let status = 0;
    let isOver = false;
    const request = {
      method: 'GET',
      target: `${upstream.base}${path}`,
      authority: upstream.authority,
      fields: Fields.of({ 'user-agent': 'Portico health check' }),
      silenceMs: withinMs,
    };
    const asked = this.pool.request(upstream.origin, request, {
      answered: (answer) => {
        status = answer;
        return null;
      },
      over: (_cause, fault, why) => {
        isOver = true;
        this.asked.delete(upstream);
        const isWell = status >= 200 && status < 400;
        this.upstreams.checked(upstream, isWell, status > 0 ? `${path} answers ${status}` : (fault?.text ?? why));
      },
    });
    if (!isOver) this.asked.set(upstream, asked);
  }
}
