// A subscription as something that can be iterated over: a bounded queue between the topics, which do not wait, and a handler
// that does.
import type { Caller } from '../../core/caller.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { Attachment, Gap, Match, Message, SubscribeOptions, Subscriber, Topics } from './contract.ts';

export type StreamEvent = { readonly message: Message; readonly match: Match } | { readonly gap: Gap };

/** Events that lie here; what comes beyond them waits in the topics' own queue. */
const HELD_MAX = 64;
const QUEUE = { queueMessagesMax: 10_000, queueBytesMax: 16_777_216 };

export class TopicStream implements Subscriber, AsyncIterable<StreamEvent> {
  /** The caller did not take what came fast enough. */
  isTooSlow = false;
  private readonly attachment: Attachment;
  private held: StreamEvent[] = [];
  private isFull = false;
  private isOver = false;
  private wake: (() => void) | null = null;

  constructor(topics: Topics, caller: Caller, signal: AbortSignal) {
    const name = caller.account === '' ? 'service' : `service/${caller.account}`;
    this.attachment = topics.attach(caller, this, { policy: 'disconnect', name, ...QUEUE });
    if (signal.aborted) this.end();
    else signal.addEventListener('abort', () => this.end(), { once: true });
  }

  subscribe(options: SubscribeOptions): Promise<Outcome> {
    return new Promise((resolve) => {
      this.attachment.subscribe(options, { settled: (_token, outcome) => resolve(outcome) }, 0);
    });
  }

  end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.attachment.detach();
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent> {
    for (;;) {
      if (this.held.length === 0) {
        if (this.isOver) return;
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
        this.wake = null;
        continue;
      }
      const { held } = this;
      this.held = [];
      if (this.isFull) {
        this.isFull = false;
        this.attachment.more();
      }
      yield* held;
    }
  }

  // ---- Subscriber --------------------------------------------------------------------------------------------------

  reserve(): number {
    if (this.isOver || this.held.length < HELD_MAX) return 1;
    this.isFull = true;
    return 0;
  }

  deliver(message: Message, match: Match): void {
    this.take({ message, match });
  }

  gap(gap: Gap): void {
    this.take({ gap });
  }

  private take(event: StreamEvent): void {
    if (this.isOver) return;
    this.held.push(event);
    this.wake?.();
  }

  release(): void {}

  overflow(): void {
    this.isTooSlow = true;
    this.end();
  }

  superseded(): void {
    this.end();
  }
}
