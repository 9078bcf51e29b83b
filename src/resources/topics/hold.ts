// One connection's hold on a subscriber. A durable subscriber outlives it, and a connection that was superseded can do
// nothing to the one that has it now.
import { GONE, OK, type Waiter } from '../../core/outcome.ts';
import type { Attachment, SubscribeOptions, Will } from './contract.ts';
import type { Core } from './core.ts';
import type { OpenTopics } from './topics.ts';

export class Hold implements Attachment {
  readonly core: Core;
  /** Of a subscriber that is not durable. */
  will: Will | null = null;
  private readonly topics: OpenTopics;
  private over: boolean;
  private readonly life: number;

  constructor(topics: OpenTopics, core: Core, over = false) {
    this.topics = topics;
    this.core = core;
    this.over = over;
    this.life = over ? 0 : ++core.lives;
  }

  /** Detached, or superseded by a newer connection. */
  get isOver(): boolean {
    return this.over || this.life !== this.core.lives;
  }

  get durable(): string | null {
    return this.core.durable;
  }

  subscribe(options: SubscribeOptions, waiter: Waiter, token: number): void {
    if (this.isOver) waiter.settled(token, GONE, 0);
    else this.topics.subscribe(this, options, waiter, token);
  }

  unsubscribe(filter: string, group: string | undefined, waiter: Waiter, token: number): void {
    if (this.isOver) waiter.settled(token, GONE, 0);
    else this.topics.unsubscribe(this, filter, group, waiter, token);
  }

  more(): void {
    if (!this.isOver) this.core.pump();
  }

  acknowledge(tag: number): void {
    if (!this.isOver) this.core.acknowledge(tag);
  }

  received(tag: number, waiter: Waiter, token: number): void {
    if (this.isOver) waiter.settled(token, GONE, 0);
    else this.core.received(tag, waiter, token);
  }

  forget(once: number, waiter: Waiter, token: number): void {
    if (this.isOver) {
      waiter.settled(token, GONE, 0);
      return;
    }
    const { durables } = this.topics;
    if (this.core.lasting) durables.forget(durables.of(this.core), once, waiter, token);
    else {
      this.core.once.delete(once);
      waiter.settled(token, OK, 0);
    }
  }

  isOnce(once: number): boolean {
    return this.core.once.has(once);
  }

  keep(ms: number): void {
    if (!this.isOver && this.core.durable !== null) this.topics.durables.of(this.core).keepMs = ms;
  }

  detach(): void {
    if (this.isOver) return;
    this.over = true;
    this.topics.detached(this);
  }
}
