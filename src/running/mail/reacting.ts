// Does something for each message of a filter, also for those that came while the server was away: a durable subscriber that
// acknowledges once it is done, tries again with growing waits, and gives a message up that is too old.
import { OPERATOR } from '../../core/caller.ts';
import type { Log } from '../../core/log.ts';
import { OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Clock, Entropy, Instant } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import type { Attachment, Message, Subscriber, Topics } from '../../resources/topics/contract.ts';

export interface ReactingOptions {
  /** Of its durable subscriber, and in the log. */
  readonly name: string;
  readonly filter: string;
  readonly turn: Turn;
  readonly topics: Topics;
  readonly log: Log;
  readonly entropy: Entropy;
  /** `done`, `again` later, or `never`. Must not reject. */
  readonly act: (message: Message) => Promise<Verdict>;
  /** The first wait; 5,000 unless said. */
  readonly againMs?: number;
}

export interface Verdict {
  readonly verdict: 'done' | 'again' | 'never';
  /** Why it is not done. */
  readonly why: string;
}

const AT_ONCE = 8;
const AGAIN_MOST_MS = 3_600_000;
/** A message is tried for so long, and its subscriber remembered. */
const GIVE_UP_MS = 86_400_000;
const KEEP_MS = 7 * 86_400_000;
const QUEUE_MESSAGES_MAX = 10_000;
const QUEUE_BYTES_MAX = 67_108_864;

interface Deed {
  readonly message: Message;
  tries: number;
  at: Instant;
  running: boolean;
}

export class Reacting extends Turned implements Subscriber, Waiter {
  private readonly options: ReactingOptions;
  private readonly attachment: Attachment;
  private readonly deeds = new Map<number, Deed>();
  private over = false;
  private began!: () => void;
  /** From now on nothing is missed. */
  readonly ready = new Promise<void>((resolve) => {
    this.began = resolve;
  });

  constructor(options: ReactingOptions) {
    super();
    this.options = options;
    const { name, topics } = options;
    const terms = { keepMs: KEEP_MS, queueMessagesMax: QUEUE_MESSAGES_MAX, queueBytesMax: QUEUE_BYTES_MAX };
    this.attachment = topics.attachDurable(
      OPERATOR,
      this,
      { ...terms, id: name, name, fresh: false, policy: 'drop-oldest' },
      this,
      1,
    );
  }

  settled(token: number, outcome: Outcome): void {
    if (outcome !== OK) this.options.log.error(`${this.options.name}: the topics do not let it subscribe`, { outcome });
    if (outcome !== OK || token !== 1 || this.over) this.began();
    else this.attachment.subscribe({ filter: this.options.filter, assurance: 1, retained: 'never' }, this, 2);
  }

  // ---- Subscriber --------------------------------------------------------------------------------------------------

  reserve(): number {
    for (let tag = 1; tag <= AT_ONCE; tag++) if (!this.deeds.has(tag)) return tag;
    return 0;
  }

  deliver(message: Message, _match: unknown, tag: number): void {
    const deed = { message, tries: 0, at: Number.POSITIVE_INFINITY, running: false };
    this.deeds.set(tag, deed);
    this.begin(tag, deed);
  }

  release(): void {}
  gap(): void {}

  overflow(): void {
    this.options.log.warn(`${this.options.name}: messages were dropped: it is too slow`);
  }

  superseded(): void {
    this.close();
  }

  // ---- deeds -------------------------------------------------------------------------------------------------------

  private begin(tag: number, deed: Deed): void {
    const { act, turn, name } = this.options;
    deed.running = true;
    deed.at = Number.POSITIVE_INFINITY;
    act(deed.message).then(
      (verdict) => this.ended(tag, deed, verdict),
      (error: unknown) => {
        turn.bug(error, name);
        this.ended(tag, deed, { verdict: 'never', why: 'a fault of this server' });
      },
    );
  }

  private ended(tag: number, deed: Deed, { verdict, why }: Verdict): void {
    if (this.over) return;
    const { turn, log, name, entropy, againMs = 5_000 } = this.options;
    deed.running = false;
    const isOld = turn.clock.wall > deed.message.time + GIVE_UP_MS;
    const fields = { topic: deed.message.topic, why, tries: ++deed.tries };
    if (verdict === 'again' && !isOld) {
      log.info(`${name}: tried again later`, fields);
      const chance = Buffer.alloc(2);
      entropy.fill(chance);
      const most = Math.min(againMs * 3 ** Math.min(deed.tries - 1, 20), AGAIN_MOST_MS);
      deed.at = turn.clock.now + most * (0.75 + chance.readUInt16BE() / 131_072);
      turn.touch(this);
      return;
    }
    if (verdict !== 'done') log.warn(`${name}: given up`, fields);
    this.deeds.delete(tag);
    this.attachment.acknowledge(tag);
    this.attachment.more();
  }

  get due(): Instant {
    let due = Number.POSITIVE_INFINITY;
    if (!this.over) for (const { at } of this.deeds.values()) due = Math.min(due, at);
    return due;
  }

  work(): void {}

  tick(clock: Clock): void {
    if (this.over) return;
    for (const [tag, deed] of [...this.deeds]) if (deed.at <= clock.now && !deed.running) this.begin(tag, deed);
  }

  /** What was not done is done after the next start. */
  close(): void {
    if (this.over) return;
    this.over = true;
    this.options.turn.forget(this);
    this.attachment.detach();
  }
}
