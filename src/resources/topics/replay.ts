// Gives a subscription the history behind a cursor, at the subscriber's pace, and joins it to what is live without gap or
// repeat: while it runs the subscription gets nothing live, and it becomes live in the very step in which it reaches the
// newest message.

import type { Message } from './contract.ts';
import type { Core } from './core.ts';
import type { HistoryLog } from './history.ts';
import { matches } from './names.ts';
import { matchAlone, type Subscription } from './subscriptions.ts';

/** Messages read from storage at a time. */
const PAGE = 256;

export class Replay {
  readonly subscription: Subscription;
  private readonly core: Core;
  private readonly log: HistoryLog;
  private readonly live: () => void;
  /** The last cursor that was dealt with. */
  private at: number;
  /** When the subscription began: what came later may have been given live by another subscription of the same subscriber. */
  private readonly began: number;
  private page: readonly Message[] = [];
  private pageAt = 0;
  /** Everything up to here is in the page. */
  private pageUpTo = 0;
  private reading = false;
  private stopped = false;
  private gapKnown = false;
  private gapFrom: boolean;
  /** Where what is missing begins. */
  private gapAfter: number;
  /** The highest cursor that was known to be dropped: what went before that has been told. */
  private dropped = 0;

  /** @param live called once, in the step in which everything was given */
  constructor(subscription: Subscription, after: number, log: HistoryLog, live: () => void) {
    this.subscription = subscription;
    this.core = subscription.core;
    this.gapAfter = after;
    this.at = after;
    this.began = log.head;
    this.log = log;
    this.live = live;
    // A cursor from another life of the store, or of topics that keep nothing: what is asked for is not there.
    this.gapFrom = after > log.head || !log.keeps(subscription.options.filter);
    if (this.gapFrom) {
      this.gapKnown = true;
      this.at = log.head;
    } else if (log.tailCovers(after)) this.gapKnown = true;
  }

  stop(): void {
    this.stopped = true;
  }

  /** Goes on; true when the subscription is live now, false when it waits for room or for storage. */
  step(): boolean {
    if (this.stopped) return true;
    if (this.reading) return false;
    if (!this.gapKnown) {
      this.findGap();
      return false;
    }
    if (!this.givePage()) return false;
    if (!this.log.tailCovers(this.at)) {
      this.read();
      return false;
    }
    const done = this.log.eachTail(this.at, (message) => {
      if (!this.give(message)) return false;
      this.at = message.cursor;
      return true;
    });
    if (!done) return false;
    this.tellGap(0);
    this.subscription.live = true;
    this.live();
    return true;
  }

  private givePage(): boolean {
    for (; this.pageAt < this.page.length; this.pageAt++) {
      const message = this.page[this.pageAt]!;
      if (!this.give(message)) return false;
      this.at = Math.max(this.at, message.cursor);
    }
    this.page = [];
    this.pageAt = 0;
    this.at = Math.max(this.at, this.pageUpTo);
    return true;
  }

  private give(message: Message): boolean {
    if (!matches(this.subscription.options.filter, message.topic) || !this.core.hears(message.topic)) return true;
    if (message.expiry <= this.log.wall()) return true;
    if (message.cursor > this.began && this.givenOtherwise(message)) return true;
    this.tellGap(message.cursor);
    return this.core.replayed(message, matchAlone(this.subscription, message, false));
  }

  private givenOtherwise(message: Message): boolean {
    for (const other of this.core.subscriptions.values())
      if (other !== this.subscription && other.live && matches(other.options.filter, message.topic)) return true;
    return false;
  }

  private tellGap(from: number): void {
    if (!this.gapFrom) return;
    this.gapFrom = false;
    this.core.gap(this.subscription.options.filter, this.gapAfter, from);
  }

  private findGap(): void {
    this.reading = true;
    this.log.dropped(this.subscription.options.filter).then(
      (upTo) => {
        this.gapFrom = upTo > this.at;
        this.dropped = upTo;
        this.goOn();
      },
      () => this.unreadable(),
    );
  }

  private read(): void {
    this.reading = true;
    this.readPage().then(
      () => this.goOn(),
      () => this.unreadable(),
    );
  }

  private async readPage(): Promise<void> {
    const { log, at } = this;
    const { filter } = this.subscription.options;
    const { messages, upTo } = await log.read(filter, at, PAGE);
    // A subscriber that is slow, or a page that is: what went meanwhile is told as a gap, rather once too often than never.
    const dropped = await log.dropped(filter);
    if (dropped > at && dropped > this.dropped && !this.gapFrom) {
      this.gapFrom = true;
      this.gapAfter = at;
    }
    this.dropped = dropped;
    this.page = messages;
    this.pageAt = 0;
    this.pageUpTo = upTo;
  }

  private goOn(): void {
    this.gapKnown = true;
    this.reading = false;
    if (!this.stopped) this.core.pump();
  }

  /** The store cannot be read: what is live goes on, and the subscriber is told that something is missing. */
  private unreadable(): void {
    this.gapFrom = true;
    this.at = this.log.head;
    this.goOn();
  }
}
