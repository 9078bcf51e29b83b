// One message on its way through the store: which records it leaves, and who is told how they fared.
import type { Outcome, Waiter } from '../../core/outcome.ts';
import type { Batch } from '../../storage/batch.ts';
import type { Step } from './committer.ts';
import type { Message } from './contract.ts';
import type { Core } from './core.ts';
import { encodeMessage } from './message.ts';
import type { OpenTopics } from './topics.ts';

const NONE = Buffer.alloc(0);

export class PublishStep implements Step {
  readonly message: Message;
  readonly from: Core | null;
  /** Of its history; null where there is none. */
  readonly key: string | null;
  readonly targets: Set<number> | null;
  readonly waiter: Waiter;
  readonly token: number;
  readonly storedKey: string;
  /** How many records before the one that durable subscribers wait for. */
  readonly storedAt: number;
  once: number | null = null;
  private readonly topics: OpenTopics;
  private readonly retains: boolean;
  private readonly marked: number | null;

  constructor(
    topics: OpenTopics,
    message: Message,
    from: Core | null,
    key: string | null,
    retains: boolean,
    targets: Set<number> | null,
    marked: number | null,
    waiter: Waiter,
    token: number,
  ) {
    this.topics = topics;
    this.message = message;
    this.from = from;
    this.key = key;
    this.retains = retains;
    this.targets = targets;
    this.marked = marked;
    this.waiter = waiter;
    this.token = token;
    this.storedKey = targets === null ? '' : topics.durables.storedKey();
    this.storedAt = (key === null ? 0 : 1) + (retains ? 1 : 0);
  }

  write(batch: Batch): void {
    const { message, key, targets } = this;
    if (key !== null) {
      const { bytes, length } = encodeMessage(message, 0);
      batch.append(key, bytes, 0, length);
    }
    if (this.retains) {
      const name = `r/${message.topic}`;
      if (message.payload.length === 0) batch.remove(name);
      else {
        const { bytes, length } = encodeMessage(message, key === null ? 0 : 1);
        batch.put(name, bytes, 0, length);
      }
    }
    if (targets !== null) {
      const { bytes, length } = encodeMessage(message, key === null ? 0 : this.storedAt, targets);
      batch.put(this.storedKey, bytes, 0, length);
    }
    if (this.marked !== null)
      batch.put(this.topics.durables.onceKey(this.topics.durables.of(this.from!), this.marked), NONE, 0, 0);
  }

  settle(outcome: Outcome, sequence: number): void {
    this.topics.published(this, outcome, sequence);
  }
}
