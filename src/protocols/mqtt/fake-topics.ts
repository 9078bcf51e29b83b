// A small stand-in for the topics, for playbooks: it does in memory what the contract says, settles when the test lets it,
// and refuses what the test tells it to. Topics below `kept/` have a history.
import type { Caller } from '../../core/caller.ts';
import { DENIED, INVALID, MISSING, OK, type Outcome, UNSUPPORTED, type Waiter } from '../../core/outcome.ts';
import type {
  Attachment,
  AttachOptions,
  DurableOptions,
  Match,
  Message,
  Publication,
  SubscribeOptions,
  Subscriber,
  TopicFigures,
  Topics,
  Will,
} from '../../resources/topics/contract.ts';
import { isTopicFilter, isTopicName, matches } from '../../resources/topics/names.ts';
import type { World } from '../../sim/world.ts';

interface Flight {
  readonly message: Message;
  readonly match: Match;
  received: boolean;
}

/** What outlives a connection. */
class Store {
  subscriptions: SubscribeOptions[] = [];
  queue: { message: Message; match: Match }[] = [];
  flights = new Map<number, Flight>();
  onces = new Set<number>();
  attached: FakeAttachment | null = null;
  keepMs = 0;
  readonly id: string | null;
  readonly account: string;

  constructor(id: string | null, account: string) {
    this.id = id;
    this.account = account;
  }
}

export class FakeTopics implements Topics {
  readonly world: World;
  readonly stores = new Map<string, Store>();
  readonly loose = new Set<Store>();
  readonly retainedValues = new Map<string, Message>();
  readonly kept: Message[] = [];
  /** All that was published, in order. */
  readonly published: Message[] = [];
  /** What publishing to a topic, or subscribing to a filter, is answered with instead. */
  readonly refusals = new Map<string, Outcome>();
  /** While set, nothing settles: `letGo()` does. */
  holding = false;
  private held: (() => void)[] = [];
  private cursor = 0;
  private turn = 0;

  get head(): number {
    return this.cursor;
  }

  readonly figures: TopicFigures = {
    published: 0,
    delivered: 0,
    dropped: 0,
    expired: 0,
    retained: 0,
    subscriptions: 0,
    attached: 0,
    durables: 0,
  };

  constructor(world: World) {
    this.world = world;
  }

  /** As a commit does: later, and in order. */
  settle(step: () => void): void {
    if (this.holding) this.held.push(step);
    else this.world.soon(step);
  }

  letGo(): void {
    this.holding = false;
    for (const step of this.held.splice(0)) step();
  }

  publish(_caller: Caller, publication: Publication, waiter: Waiter, token: number): void {
    const refusal = this.refusals.get(publication.topic) ?? (isTopicName(publication.topic) ? OK : INVALID);
    if (refusal !== OK) {
      this.settle(() => waiter.settled(token, refusal, 0));
      return;
    }
    const from = publication.from as FakeAttachment | null | undefined;
    if (from && publication.once !== undefined) {
      const again = from.store.onces.has(publication.once);
      from.store.onces.add(publication.once);
      if (again) {
        this.settle(() => waiter.settled(token, OK, 0));
        return;
      }
    }
    const message = this.take(publication);
    this.settle(() => {
      waiter.settled(token, OK, message.cursor);
    });
    this.dispatch(message, from ?? null);
  }

  private take(publication: Publication): Message {
    const time = this.world.wall();
    const message: Message = {
      contentType: '',
      text: false,
      properties: [],
      responseTopic: '',
      correlation: null,
      ...publication,
      retain: publication.retain ?? false,
      publisher: '',
      time,
      expiry: publication.expiryMs === undefined ? Number.POSITIVE_INFINITY : time + publication.expiryMs,
      cursor: publication.topic.startsWith('kept/') ? ++this.cursor : 0,
      frames: [],
    };
    this.published.push(message);
    this.figures.published++;
    if (message.cursor > 0) this.kept.push(message);
    if (message.retain && message.payload.length > 0) this.retainedValues.set(message.topic, message);
    if (message.retain && message.payload.length === 0) this.retainedValues.delete(message.topic);
    return message;
  }

  private everyStore(): Store[] {
    return [...this.stores.values(), ...this.loose];
  }

  private dispatch(message: Message, from: FakeAttachment | null): void {
    const groups = new Map<string, Store[]>();
    for (const store of this.everyStore()) {
      const plain: SubscribeOptions[] = [];
      for (const options of store.subscriptions) {
        if (!matches(options.filter, message.topic)) continue;
        if (options.group !== undefined) {
          const key = `${options.group} ${options.filter}`;
          groups.set(key, [...(groups.get(key) ?? []), store]);
        } else if (!(options.noLocal && from?.store === store)) plain.push(options);
      }
      if (plain.length > 0)
        this.give(store, message, plain, message.retain && plain.some((it) => it.retainAsPublished));
    }
    for (const [key, members] of groups) {
      const present = members.filter((store) => store.attached !== null);
      const store = (present.length > 0 ? present : members)[this.turn++ % (present.length || members.length)]!;
      const options = store.subscriptions.filter((it) => `${it.group} ${it.filter}` === key);
      this.give(store, message, options, message.retain && options.some((it) => it.retainAsPublished));
    }
  }

  /** Queues a message, with the lesser of the assurances, and delivers what there is room for. */
  give(store: Store, message: Message, matched: readonly SubscribeOptions[], retain: boolean): void {
    const assurance = Math.min(message.assurance, Math.max(...matched.map((it) => it.assurance))) as 0 | 1 | 2;
    if (store.attached === null && assurance === 0) return;
    const identifiers = matched.map((it) => it.identifier ?? 0).filter((identifier) => identifier > 0);
    store.queue.push({ message, match: { assurance, identifiers, filters: matched.map((it) => it.filter), retain } });
    if (store.attached === null) return;
    store.attached.more();
    if (store.queue.length > store.attached.options.queueMessagesMax) store.attached.subscriber.overflow();
  }

  matching(topic: string): number {
    return this.everyStore().filter((store) => store.subscriptions.some((it) => matches(it.filter, topic))).length;
  }

  attach(caller: Caller, subscriber: Subscriber, options: AttachOptions): Attachment {
    const store = new Store(null, caller.account);
    this.loose.add(store);
    return new FakeAttachment(this, store, subscriber, options);
  }

  attachDurable(
    caller: Caller,
    subscriber: Subscriber,
    options: DurableOptions,
    waiter: Waiter,
    token: number,
  ): Attachment {
    const before = this.stores.get(options.id);
    if (before && before.account !== caller.account) {
      this.settle(() => waiter.settled(token, DENIED, 0));
      return new FakeAttachment(this, new Store(options.id, caller.account), subscriber, options);
    }
    const older = before?.attached ?? null;
    const store = before === undefined || options.fresh ? new Store(options.id, caller.account) : before;
    if (older !== null) {
      older.subscriber.superseded();
      older.leave(store !== before);
    }
    this.stores.set(options.id, store);
    store.keepMs = options.keepMs;
    const attachment = new FakeAttachment(this, store, subscriber, options);
    attachment.ready = false;
    this.settle(() => {
      waiter.settled(token, OK, before !== undefined && !options.fresh ? 1 : 0);
      attachment.resume();
    });
    return attachment;
  }

  arm(attachment: Attachment, _caller: Caller, will: Will | null): void {
    (attachment as FakeAttachment).will = will;
  }

  /** What a will or the test publishes. */
  say(publication: Publication): void {
    this.dispatch(this.take(publication), null);
  }

  retained(_caller: Caller, topic: string): Message | null {
    return this.retainedValues.get(topic) ?? null;
  }

  eachRetained(_caller: Caller, filter: string, visit: (message: Message) => void): Outcome {
    for (const message of this.retainedValues.values()) if (matches(filter, message.topic)) visit(message);
    return OK;
  }

  history: Topics['history'] = async () => UNSUPPORTED;

  why(): Outcome {
    return UNSUPPORTED;
  }
}

export class FakeAttachment implements Attachment {
  readonly topics: FakeTopics;
  readonly store: Store;
  readonly subscriber: Subscriber;
  readonly options: AttachOptions;
  will: Will | null = null;
  ready = true;
  private gone = false;

  constructor(topics: FakeTopics, store: Store, subscriber: Subscriber, options: AttachOptions) {
    this.topics = topics;
    this.store = store;
    this.subscriber = subscriber;
    this.options = options;
    store.attached = this;
  }

  get durable(): string | null {
    return this.store.id;
  }

  /** Delivers again what was not acknowledged, under its own tag. */
  resume(): void {
    if (this.gone) return;
    this.ready = true;
    for (const [tag, flight] of this.store.flights) {
      if (flight.received) this.subscriber.release(tag);
      else this.subscriber.deliver(flight.message, flight.match, tag, true);
    }
    this.more();
  }

  subscribe(options: SubscribeOptions, waiter: Waiter, token: number): void {
    const refusal = this.topics.refusals.get(options.filter) ?? (isTopicFilter(options.filter) ? OK : INVALID);
    if (refusal !== OK) {
      this.topics.settle(() => waiter.settled(token, refusal, 0));
      return;
    }
    const { store, topics } = this;
    const place = store.subscriptions.findIndex((it) => it.filter === options.filter && it.group === options.group);
    if (place >= 0) store.subscriptions[place] = options;
    else store.subscriptions.push(options);
    topics.settle(() => {
      if (options.after !== undefined) this.gapBehind(options);
      waiter.settled(token, OK, options.assurance);
      if (this.gone) return;
      if (options.after !== undefined) {
        for (const message of topics.kept)
          if (message.cursor > options.after && matches(options.filter, message.topic))
            topics.give(store, message, [options], false);
      } else if (options.retained !== 'never' && (options.retained !== 'when-new' || place < 0) && !options.group) {
        for (const message of topics.retainedValues.values())
          if (matches(options.filter, message.topic)) topics.give(store, message, [options], true);
      }
    });
  }

  private gapBehind(options: SubscribeOptions): void {
    const after = options.after ?? 0;
    const first = this.topics.kept.find((message) => matches(options.filter, message.topic));
    if (first === undefined || first.cursor > after + 1)
      this.subscriber.gap({ filter: options.filter, after, from: first?.cursor ?? 0 });
  }

  unsubscribe(filter: string, group: string | undefined, waiter: Waiter, token: number): void {
    const { subscriptions } = this.store;
    const place = subscriptions.findIndex((it) => it.filter === filter && it.group === group);
    if (place >= 0) subscriptions.splice(place, 1);
    this.topics.settle(() => waiter.settled(token, place >= 0 ? OK : MISSING, 0));
  }

  more(): void {
    const { queue, flights } = this.store;
    while (this.ready && !this.gone && queue.length > 0) {
      const { message, match } = queue[0]!;
      if (message.expiry <= this.topics.world.wall()) {
        queue.shift();
        this.topics.figures.expired++;
        continue;
      }
      const tag = this.subscriber.reserve(message, match);
      if (tag === 0) return;
      queue.shift();
      if (match.assurance > 0) flights.set(tag, { message, match, received: false });
      this.topics.figures.delivered++;
      this.subscriber.deliver(message, match, tag, false);
    }
  }

  acknowledge(tag: number): void {
    this.store.flights.delete(tag);
  }

  received(tag: number, waiter: Waiter, token: number): void {
    const flight = this.store.flights.get(tag);
    if (flight) flight.received = true;
    this.topics.settle(() => waiter.settled(token, flight ? OK : MISSING, 0));
  }

  forget(once: number, waiter: Waiter, token: number): void {
    const had = this.store.onces.delete(once);
    this.topics.settle(() => waiter.settled(token, had ? OK : MISSING, 0));
  }

  isOnce(once: number): boolean {
    return this.store.onces.has(once);
  }

  keep(ms: number): void {
    this.store.keepMs = ms;
  }

  detach(): void {
    if (!this.gone) this.leave(false);
  }

  /** Ends this hold, and with it what is not kept. */
  leave(forgotten: boolean): void {
    const { store, topics, will } = this;
    this.gone = true;
    if (store.attached === this) store.attached = null;
    if (store.id === null) topics.loose.delete(store);
    else if (store.keepMs === 0 && topics.stores.get(store.id) === store && store.attached === null)
      topics.stores.delete(store.id);
    else if (Number.isFinite(store.keepMs))
      topics.world.after(store.keepMs, () => {
        if (store.attached === null && topics.stores.get(store.id!) === store) topics.stores.delete(store.id!);
      });
    if (will === null) return;
    const delay = forgotten || store.keepMs === 0 ? 0 : Math.min(will.delayMs, store.keepMs);
    topics.world.after(delay, () => {
      if (delay === 0 || store.attached === null) topics.say(will.publication);
    });
  }
}
