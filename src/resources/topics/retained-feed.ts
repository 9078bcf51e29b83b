// The retained values that a new subscription is given first, so many a turn: others have their turns in between.
import { type Instant, NEVER } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import type { Match, Message } from './contract.ts';
import type { Feed } from './core.ts';
import type { RetainedValues } from './retained.ts';
import { LATER, RetainedWalk } from './retained-walk.ts';
import { matchAlone, type Subscription } from './subscriptions.ts';

/** Values that one subscription is given in a turn, and topics that are looked at for it. */
const GIVEN = 256;
const LOOKED_AT = 4_096;

/** The values that a subscription's filter matches now; null when there are none. */
export function retainedFeed(subscription: Subscription, values: RetainedValues, turn: Turn): Feed | null {
  const feed = new RetainedFeed(subscription, values, turn);
  return feed.peek() === null ? null : feed;
}

class RetainedFeed extends Turned implements Feed {
  readonly subscription: Subscription;
  readonly due: Instant = NEVER;
  private readonly values: RetainedValues;
  private readonly turn: Turn;
  private readonly walk: RetainedWalk;
  private message: Message | null = null;
  private given = 0;
  private waits = false;

  constructor(subscription: Subscription, values: RetainedValues, turn: Turn) {
    super();
    this.subscription = subscription;
    this.values = values;
    this.turn = turn;
    this.walk = new RetainedWalk(values, subscription.options.filter);
  }

  peek(): { message: Message; match: Match } | null | typeof LATER {
    if (this.waits) return LATER;
    if (this.given >= GIVEN) return this.later();
    for (let looked = 0; looked < LOOKED_AT; looked++) {
      const message = this.message ?? this.walk.next(LOOKED_AT);
      if (message === LATER) return this.later();
      if (message === null) return null;
      this.message = message;
      if (this.isDue(message)) return { message, match: matchAlone(this.subscription, message, true) };
      this.message = null;
    }
    return this.later();
  }

  next(): void {
    this.message = null;
    this.given++;
  }

  private isDue(message: Message): boolean {
    const { core, options } = this.subscription;
    // A subscription that resumes gets what has a place in the history from there: not twice.
    if (options.after !== undefined && message.cursor !== 0) return false;
    if (message.expiry <= this.turn.clock.wall || !core.hears(message.topic)) return false;
    // One that was replaced while there was no room comes live, behind this.
    return this.values.get(message.topic) === message;
  }

  private later(): typeof LATER {
    this.waits = true;
    this.turn.touch(this);
    return LATER;
  }

  work(): void {
    if (!this.waits) return;
    this.waits = false;
    this.given = 0;
    this.subscription.core.pump();
  }

  tick(): void {}
}
