// What happens by itself to a durable subscriber without a connection: its will after its delay, then its end.
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { Turned } from '../../core/turn.ts';
import type { Durable } from './durables.ts';
import type { OpenTopics } from './topics.ts';

export class DurableTimer extends Turned {
  due: Instant;
  private readonly topics: OpenTopics;
  private readonly durable: Durable;
  private readonly endAt: Instant;

  constructor(topics: OpenTopics, durable: Durable, clock: Clock) {
    super();
    this.topics = topics;
    this.durable = durable;
    const gone = clock.wall - durable.detachedAt;
    this.endAt = clock.now + durable.keepMs - gone;
    this.due = Math.min(this.endAt, durable.will === null ? NEVER : clock.now + durable.will.delayMs - gone);
  }

  work(): void {}

  tick(clock: Clock): void {
    if (clock.now >= this.endAt) {
      this.due = NEVER;
      this.topics.end(this.durable);
      return;
    }
    this.due = this.endAt;
    this.topics.publishWill(this.durable);
  }
}
