// The events of new mail on their way to topics. The first is told at once; those that follow it closely are told together,
// so that storing them does not stand between mails that wait for the disk.
import type { Clock, Instant } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import type { MailEvent } from '../../resources/mail/contract.ts';
import { type Announcer, announceEvent } from '../../resources/topics/events.ts';

const TOGETHER_MS = 20;
const EVENTS_MAX = 1_000;

export class Arrivals extends Turned {
  due: Instant = Number.POSITIVE_INFINITY;
  private readonly turn: Turn;
  private readonly topics: Announcer;
  private waiting: MailEvent[] = [];
  private last: Instant = Number.NEGATIVE_INFINITY;

  constructor(turn: Turn, topics: Announcer) {
    super();
    this.turn = turn;
    this.topics = topics;
  }

  told(event: MailEvent): void {
    this.waiting.push(event);
    const { now } = this.turn.clock;
    if (now - this.last >= TOGETHER_MS || this.waiting.length === EVENTS_MAX) this.tell(now);
    else if (this.waiting.length === 1) {
      this.due = this.last + TOGETHER_MS;
      this.turn.touch(this);
    }
  }

  work(): void {}

  tick(clock: Clock): void {
    this.tell(clock.now);
  }

  /** What waits is told, and nothing waits after it. */
  close(): void {
    this.tell(this.turn.clock.now);
    this.turn.forget(this);
  }

  private tell(now: Instant): void {
    this.due = Number.POSITIVE_INFINITY;
    this.last = now;
    const { waiting } = this;
    this.waiting = [];
    for (const event of waiting)
      announceEvent(this.topics, `mail/${levelsOf(event.mailbox)}/${levelsOf(event.folder)}`, event);
  }
}

/** A name as levels of a topic: what would be a wildcard there is written as an escape. */
function levelsOf(name: string): string {
  return name.replace(/[+#%]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
