// The topics below `$SYS` in which the server tells of itself, under the names that MQTT brokers use. Retained while the
// process runs, never stored; a value is published again only when it has changed.
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import type { OpenTopics } from './topics.ts';

/** How often the figures are told. */
const EVERY_MS = 10_000;

export class SysTopics extends Turned {
  private readonly topics: OpenTopics;
  private readonly turn: Turn;
  private readonly software: string;
  private readonly startedAt: Instant;
  private readonly last = new Map<string, string>();
  private at: Instant;

  /** @param software what the server calls itself: `Portico/0.1.0` */
  constructor(topics: OpenTopics, turn: Turn, software: string) {
    super();
    this.topics = topics;
    this.turn = turn;
    this.software = software;
    this.startedAt = turn.clock.now;
    this.at = this.startedAt;
    turn.touch(this);
  }

  stop(): void {
    this.at = NEVER;
    this.turn.forget(this);
  }

  get due(): Instant {
    return this.at;
  }

  work(): void {}

  tick(clock: Clock): void {
    this.at = clock.now + EVERY_MS;
    const { figures, durables } = this.topics;
    let away = 0;
    for (const { core } of durables.byId.values()) if (!core.isAttached) away++;
    this.tell('version', this.software);
    this.tell('uptime', `${Math.floor((clock.now - this.startedAt) / 1_000)} seconds`);
    this.tell('clients/connected', figures.attached);
    this.tell('clients/disconnected', away);
    this.tell('clients/total', figures.attached + away);
    this.tell('publish/messages/received', figures.published);
    this.tell('publish/messages/sent', figures.delivered);
    this.tell('publish/messages/dropped', figures.dropped);
    this.tell('messages/expired', figures.expired);
    this.tell('retained messages/count', figures.retained);
    this.tell('subscriptions/count', figures.subscriptions);
  }

  private tell(name: string, value: string | number): void {
    const text = String(value);
    if (this.last.get(name) === text) return;
    this.last.set(name, text);
    this.topics.announce({
      topic: `$SYS/broker/${name}`,
      payload: Buffer.from(text),
      text: true,
      contentType: 'text/plain',
      retain: true,
      assurance: 0,
    });
  }
}
