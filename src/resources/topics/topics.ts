// The topics: who publishes what, who gets it, what is kept. A message that must last is committed first and dispatched
// from its settlement, in cursor order; what need not last is dispatched at once.
import type { Caller } from '../../core/caller.ts';
import type { Log } from '../../core/log.ts';
import {
  DENIED,
  FAILED,
  FULL,
  GONE,
  INVALID,
  MISSING,
  OK,
  type Outcome,
  UNKNOWN,
  type Waiter,
} from '../../core/outcome.ts';
import { ALL, NONE, OPEN_PERMISSIONS, type Permissions } from '../../core/permissions.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import type { Batch } from '../../storage/batch.ts';
import type { Engine, Space } from '../../storage/engine.ts';
import { Committer } from './committer.ts';
import type {
  Attachment,
  AttachOptions,
  DurableOptions,
  History,
  Message,
  Publication,
  SubscribeOptions,
  Subscriber,
  TopicFigures,
  Topics,
  WhyAnswer,
  Will,
} from './contract.ts';
import { Core, type MayHear, type Stored } from './core.ts';
import { DurableTimer } from './durable-timer.ts';
import { type Durable, Durables, subscriptionName } from './durables.ts';
import { EventPermissions } from './event-permissions.ts';
import { DEFAULT_POLICIES, HistoryLog, type HistoryPolicy, keepsOf } from './history.ts';
import { Hold } from './hold.ts';
import { decodeMessage, messageOf, placeAt, sizeOf } from './message.ts';
import { isReserved, isTopicFilter, isTopicName } from './names.ts';
import { PublishStep } from './publish-step.ts';
import { Replay } from './replay.ts';
import { RetainedValues } from './retained.ts';
import { retainedFeed } from './retained-feed.ts';
import { type Group, matchOf, pickOf, type Subscription, Subscriptions, type Target } from './subscriptions.ts';
import { whyNot } from './why.ts';

export interface TopicsOptions {
  readonly engine: Engine;
  readonly turn: Turn;
  readonly log: Log;
  readonly policies?: readonly HistoryPolicy[];
  /** Who may do what; all may do all when absent. */
  readonly permissions?: Permissions;
  /** How often what is too old is dropped. */
  readonly sweepMs?: number;
}

const SWEEP_MS = 60_000;

/** How long a complaint about the store is not repeated. */
const COMPLAIN_MS = 60_000;

/** What is too old is dropped earlier when so many messages came since. */
const SWEEP_RECORDS = 100_000;

/** Opens the topics of a store and brings durable subscribers and retained values back. */
export async function openTopics(options: TopicsOptions): Promise<OpenTopics> {
  const policies = options.policies ?? DEFAULT_POLICIES;
  const space = await options.engine.space('topics', keepsOf(policies));
  const topics = new OpenTopics(options, space, policies);
  await topics.load();
  return topics;
}

export class OpenTopics extends Turned implements Topics {
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
  readonly turn: Turn;
  readonly subscriptions: Subscriptions;
  readonly values = new RetainedValues();
  readonly log: HistoryLog;
  readonly committer: Committer;
  readonly durables: Durables;
  readonly cores = new Set<Core>();
  private readonly permissions: Permissions;
  private readonly mayHear: MayHear;
  private readonly space: Space;
  private readonly logger: Log;
  private readonly sweepMs: number;
  private readonly timers = new Map<Durable, DurableTimer>();
  /** Topics without history of which something is being committed: what follows waits behind it. */
  private readonly busy = new Map<string, number>();
  private sweepAt: Instant;
  /** Messages added to the history since the last sweep. */
  private added = 0;
  private sweeping = false;
  private isOpenOver = false;
  private quietUntil: Instant = 0;

  constructor(options: TopicsOptions, space: Space, policies: readonly HistoryPolicy[]) {
    super();
    this.turn = options.turn;
    this.space = space;
    this.logger = options.log;
    this.sweepMs = options.sweepMs ?? SWEEP_MS;
    const wall = () => this.turn.clock.wall;
    this.log = new HistoryLog(space, policies, wall);
    this.committer = new Committer(space, this.turn);
    this.permissions = new EventPermissions(options.permissions ?? OPEN_PERMISSIONS);
    this.mayHear = (caller, topic) => this.permissions.may(caller, 'subscribe', 'topics', topic);
    this.subscriptions = new Subscriptions(this.permissions);
    this.durables = new Durables(this.committer, this.figures, wall, this.mayHear);
    this.sweepAt = this.turn.clock.now + this.sweepMs;
    this.turn.touch(this);
  }

  async load(): Promise<void> {
    await this.space.scan('r/', 0, (entry) => {
      this.values.set(decodeMessage(entry, null).message);
      return true;
    });
    this.figures.retained = this.values.size;
    await this.durables.load(this.space, (core, options) => this.activate(core, options));
    for (const durable of this.durables.byNumber.values()) {
      this.cores.add(durable.core);
      this.wait(durable);
    }
    this.figures.durables = this.durables.byId.size;
  }

  /** Commits what is on its way. Nothing may be published any more. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.committer.whenIdle(resolve));
    for (const timer of this.timers.values()) this.turn.forget(timer);
    this.turn.forget(this);
  }

  // ---- publishing --------------------------------------------------------------------------------------------------

  publish(caller: Caller, publication: Publication, waiter: Waiter, token: number): void {
    if (!isTopicName(publication.topic)) waiter.settled(token, INVALID, 0);
    else if (isReserved(publication.topic)) waiter.settled(token, DENIED, 0);
    else if (!this.permissions.may(caller, 'publish', 'topics', publication.topic))
      waiter.settled(token, refusalFor(caller), 0);
    else this.take(caller.account, publication, waiter, token);
  }

  /** Publishes for the server itself, also where clients may not. */
  announce(publication: Publication): void {
    this.take('', publication, NOBODY, 0);
  }

  private take(account: string, publication: Publication, waiter: Waiter, token: number): void {
    const { topic, once } = publication;
    const from = publication.from == null ? null : (publication.from as Hold).core;
    if (once !== undefined && from?.once.has(once)) {
      // Behind the first: if that one failed, this one does too.
      const settle = () => waiter.settled(token, from.once.has(once) ? OK : FAILED, 0);
      this.committer.add({ write() {}, settle }, 0);
      return;
    }
    const message = messageOf(publication, account, this.turn.clock.wall);
    // What the server tells of itself is not counted, or telling the figures would change them.
    if (!isReserved(topic)) this.figures.published++;
    const key = this.log.keyOf(topic);
    const targets =
      message.assurance > 0 && this.subscriptions.planOf(topic).durables ? this.storedFor(message, from) : null;
    // What begins with `$` tells of this process: it is retained while that runs and never stored.
    const retains = message.retain && !topic.startsWith('$');
    const marks = once !== undefined && from?.lasting === true;
    if (once !== undefined) from?.once.add(once);
    const lasting = key !== null || retains || targets !== null || marks;
    if (!lasting && !this.busy.has(topic) && (from === null || from.committing === 0)) {
      this.dispatch(message, from, null, null);
      waiter.settled(token, OK, 0);
      return;
    }
    const step = new PublishStep(this, message, from, key, retains, targets, marks ? once! : null, waiter, token);
    step.once = once ?? null;
    if (key === null) this.busy.set(topic, (this.busy.get(topic) ?? 0) + 1);
    if (from !== null) from.committing++;
    this.committer.add(step, sizeOf(message) * 3 + 64);
  }

  /** The numbers of durable subscribers that are to get a message also after a crash; null when there are none. */
  private storedFor(message: Message, from: Core | null): Set<number> | null {
    const numbers = new Set<number>();
    const plan = this.subscriptions.planOf(message.topic);
    const add = (target: Target) => {
      if (!target.core.lasting || matchOf(target, message, from)?.assurance === 0) return;
      if (matchOf(target, message, from) !== null) numbers.add(this.durables.of(target.core).number);
    };
    for (const target of plan.targets) add(target);
    for (const group of plan.groups) {
      const picked = pickOf(group, message.topic);
      if (picked !== null) add(picked);
    }
    return numbers.size === 0 ? null : numbers;
  }

  /** A step of publishing has been committed, or refused. */
  published(step: PublishStep, outcome: Outcome, sequence: number): void {
    const { message, from, key } = step;
    if (key === null) {
      const left = this.busy.get(message.topic)! - 1;
      if (left === 0) this.busy.delete(message.topic);
      else this.busy.set(message.topic, left);
    }
    if (from !== null) from.committing--;
    if (outcome !== OK) {
      this.complain(outcome);
      if (step.once !== null) from!.once.delete(step.once);
      step.waiter.settled(step.token, outcome, 0);
      return;
    }
    if (key !== null) {
      placeAt(message, sequence);
      this.log.add(message);
      if (++this.added === SWEEP_RECORDS) {
        this.sweepAt = 0;
        this.turn.touch(this);
      }
    }
    const { targets } = step;
    const stored: Stored | null =
      targets === null
        ? null
        : { key: step.storedKey, sequence: sequence + step.storedAt, waiting: targets.size, noted: [] };
    this.dispatch(message, from, stored, targets);
    step.waiter.settled(step.token, OK, message.cursor);
  }

  /** What operators must hear of: told once a minute, not once a message. */
  private complain(outcome: Outcome): void {
    const { now } = this.turn.clock;
    if ((outcome !== FULL && outcome !== FAILED) || now < this.quietUntil) return;
    this.quietUntil = now + COMPLAIN_MS;
    if (outcome === FULL) this.logger.warn('the disk is full: what must last is refused until there is space');
    else this.logger.error('the store cannot write: what must last is refused');
  }

  private dispatch(message: Message, from: Core | null, stored: Stored | null, numbers: Set<number> | null): void {
    if (message.retain) this.retain(message);
    const plan = this.subscriptions.planOf(message.topic);
    const { targets } = plan;
    for (let index = 0; index < targets.length; index++) this.hand(targets[index]!, message, from, stored, numbers);
    for (const group of plan.groups) {
      const target = this.memberFor(group, message.topic, numbers);
      if (target !== null) this.hand(target, message, from, stored, numbers);
    }
    if (stored === null) return;
    // Those that unsubscribed or ended while the message was committed do not wait for it.
    for (const number of numbers!) this.durables.letGo(stored, this.durables.byNumber.get(number) ?? null);
  }

  private hand(
    target: Target,
    message: Message,
    from: Core | null,
    stored: Stored | null,
    numbers: Set<number> | null,
  ): void {
    const match = matchOf(target, message, from);
    if (match === null) return;
    const { core } = target;
    const mine = numbers !== null && core.lasting && numbers.delete(this.durables.of(core).number);
    core.offer(message, match, mine ? stored : null);
  }

  /** Whom of a group a message goes to: the durable member that it was stored for, else whoever is free. */
  private memberFor(group: Group, topic: string, numbers: Set<number> | null): Target | null {
    if (numbers !== null)
      for (const member of group.members)
        if (member.core.lasting && numbers.has(this.durables.of(member.core).number)) return member;
    return pickOf(group, topic);
  }

  private retain(message: Message): void {
    if (message.payload.length === 0) this.values.delete(message.topic);
    else this.values.set(message);
    this.figures.retained = this.values.size;
  }

  // ---- subscribing -------------------------------------------------------------------------------------------------

  attach(caller: Caller, subscriber: Subscriber, options: AttachOptions): Attachment {
    const core = new Core(null, caller, this.mayHear, options, null, this.figures, () => this.turn.clock.wall);
    core.attach(subscriber, options);
    this.cores.add(core);
    this.figures.attached++;
    return new Hold(this, core);
  }

  attachDurable(
    caller: Caller,
    subscriber: Subscriber,
    options: DurableOptions,
    waiter: Waiter,
    token: number,
  ): Attachment {
    let durable = this.durables.byId.get(options.id);
    const owner = caller.id ?? '';
    // Of open mode, or of a former account of that name: nobody's, whoever comes with an account of his own.
    const isLeftover =
      durable !== undefined &&
      owner !== '' &&
      durable.owner !== owner &&
      (durable.owner === '' || durable.core.account === caller.account);
    if (durable !== undefined && !isLeftover && !['', caller.account].includes(durable.core.account)) {
      waiter.settled(token, DENIED, 0);
      return new Hold(this, new Core(null, caller, this.mayHear, options, null, this.figures, () => 0), true);
    }
    if (durable?.core.isAttached) {
      this.figures.attached--;
      durable.core.supersede();
      this.connectionLost(durable);
    }
    if (durable !== undefined && (options.fresh || isLeftover)) {
      if (isLeftover) this.setWill(durable, null);
      this.end(durable);
      durable = undefined;
    }
    const present = durable !== undefined;
    durable ??= this.begin(options.id, caller, options.keepMs);
    durable.core.caller = caller;
    durable.keepMs = options.keepMs;
    durable.core.lasting = options.keepMs > 0;
    durable.detachedAt = 0;
    this.unwait(durable);
    // Whether it lasts may be another answer than before.
    this.subscriptions.touch();
    if (durable.will !== null) this.setWill(durable, null);
    const hold = new Hold(this, durable.core);
    const attached = (outcome: Outcome) => {
      if (hold.isOver) {
        waiter.settled(token, GONE, 0);
        return;
      }
      if (outcome !== OK) {
        waiter.settled(token, outcome, 0);
        return;
      }
      // Of two that came at once, the newer wins.
      if (durable.core.isAttached) durable.core.supersede();
      else this.figures.attached++;
      durable.core.attach(subscriber, options);
      waiter.settled(token, OK, present ? 1 : 0);
      if (!hold.isOver) durable.core.resume();
    };
    if (durable.core.lasting) this.durables.writeState(durable, attached);
    else this.durables.forgetState(durable, attached);
    return hold;
  }

  private begin(id: string, caller: Caller, keepMs: number): Durable {
    const durable = this.durables.make(id, caller, keepMs);
    this.cores.add(durable.core);
    this.figures.durables = this.durables.byId.size;
    return durable;
  }

  /** Open mode is over: what was kept for a name that was only said in it ends, now or with its connection. */
  endNameless(): void {
    this.isOpenOver = true;
    for (const durable of [...this.durables.byId.values()])
      if (isNameless(durable) && !durable.core.isAttached) {
        this.setWill(durable, null);
        this.end(durable);
      }
  }

  /** Ends a durable subscriber and all that is stored of it. */
  end(durable: Durable): void {
    this.unwait(durable);
    this.publishWill(durable);
    for (const subscription of durable.core.subscriptions.values()) this.drop(subscription);
    this.durables.end(durable);
    this.cores.delete(durable.core);
    this.figures.durables = this.durables.byId.size;
  }

  subscribe(hold: Hold, options: SubscribeOptions, waiter: Waiter, token: number): void {
    const { core } = hold;
    if (!isTopicFilter(options.filter)) {
      waiter.settled(token, INVALID, 0);
      return;
    }
    if (this.permissions.covers(core.caller, 'subscribe', 'topics', options.filter) === NONE) {
      waiter.settled(token, refusalFor(core.caller), 0);
      return;
    }
    const isNew = !core.subscriptions.has(subscriptionName(options.filter, options.group));
    const begin = (outcome: Outcome) => {
      if (outcome !== OK || hold.isOver) {
        waiter.settled(token, hold.isOver ? MISSING : outcome, 0);
        return;
      }
      const subscription = this.activate(core, options);
      waiter.settled(token, OK, options.assurance);
      this.giveFirst(subscription, isNew);
    };
    if (!core.lasting) begin(OK);
    else this.durables.writeSubscription(this.durables.of(core), options, begin);
  }

  /** Adds a subscription, or replaces the one with its filter and group. */
  private activate(core: Core, options: SubscribeOptions): Subscription {
    const name = subscriptionName(options.filter, options.group);
    const former = core.subscriptions.get(name);
    if (former !== undefined) this.drop(former);
    const live = options.after === undefined || options.group !== undefined;
    const subscription: Subscription = { core, options, live };
    core.subscriptions.set(name, subscription);
    this.subscriptions.add(subscription);
    this.figures.subscriptions++;
    return subscription;
  }

  /** Retained values and history, before all that is live. Members of a group are given neither. */
  private giveFirst(subscription: Subscription, isNew: boolean): void {
    const { core, options } = subscription;
    if (options.group !== undefined) return;
    const { filter, after } = options;
    if (after === undefined) core.live(filter, this.log.head);
    const handling = options.retained ?? 'always';
    if (handling === 'always' || (handling === 'when-new' && isNew)) {
      const feed = retainedFeed(subscription, this.values, this.turn);
      if (feed !== null) core.addFeed(feed);
    }
    if (after === undefined) return;
    const live = () => {
      this.subscriptions.touch();
      core.live(filter, this.log.head);
    };
    core.addReplay(new Replay(subscription, after, this.log, live));
  }

  unsubscribe(hold: Hold, filter: string, group: string | undefined, waiter: Waiter, token: number): void {
    const { core } = hold;
    const subscription = core.subscriptions.get(subscriptionName(filter, group));
    if (subscription === undefined) {
      waiter.settled(token, MISSING, 0);
      return;
    }
    this.drop(subscription);
    if (!core.lasting) waiter.settled(token, OK, 0);
    else
      this.durables.removeSubscription(this.durables.of(core), subscription.options, (outcome) =>
        waiter.settled(token, outcome, 0),
      );
  }

  private drop(subscription: Subscription): void {
    const { core, options } = subscription;
    core.dropSources(subscription);
    this.subscriptions.remove(subscription);
    core.subscriptions.delete(subscriptionName(options.filter, options.group));
    this.figures.subscriptions--;
  }

  // ---- going away --------------------------------------------------------------------------------------------------

  arm(attachment: Attachment, _caller: Caller, will: Will | null): void {
    const hold = attachment as Hold;
    if (hold.isOver) return;
    if (hold.core.durable === null) hold.will = will;
    else this.setWill(this.durables.of(hold.core), will);
  }

  private setWill(durable: Durable, will: Will | null): void {
    if (durable.will === null && will === null) return;
    durable.will = will;
    if (!durable.core.lasting) return;
    const message = will === null ? null : messageOf(will.publication, durable.core.account, this.turn.clock.wall);
    this.durables.writeWill(durable, message, will?.delayMs ?? 0);
  }

  detached(hold: Hold): void {
    const { core } = hold;
    if (core.durable === null) {
      if (core.isAttached) core.detach();
      this.figures.attached--;
      for (const subscription of core.subscriptions.values()) this.drop(subscription);
      this.cores.delete(core);
      if (hold.will !== null) this.publishFor(core, hold.will.publication);
      return;
    }
    const durable = this.durables.of(core);
    if (core.isAttached) this.figures.attached--;
    core.detach();
    this.connectionLost(durable);
    if (durable.keepMs <= 0 || (this.isOpenOver && isNameless(durable))) this.end(durable);
    else {
      durable.detachedAt = this.turn.clock.wall;
      this.durables.writeState(durable);
      this.wait(durable);
    }
  }

  /** The will of one whose connection went without a word: at once, or when its delay is over. */
  private connectionLost(durable: Durable): void {
    if (durable.will !== null && durable.will.delayMs <= 0) this.publishWill(durable);
  }

  publishWill(durable: Durable): void {
    const { will, core } = durable;
    if (will === null) return;
    this.setWill(durable, null);
    this.publishFor(core, will.publication);
  }

  /** A will is published with what its owner may do then. */
  private publishFor({ caller }: Core, publication: Publication): void {
    if (this.permissions.may(caller, 'publish', 'topics', publication.topic))
      this.take(caller.account, publication, NOBODY, 0);
  }

  /** Waits for the delay of a will and for the end of a durable subscriber without a connection. */
  private wait(durable: Durable): void {
    const timer = new DurableTimer(this, durable, this.turn.clock);
    this.timers.set(durable, timer);
    this.turn.touch(timer);
  }

  private unwait(durable: Durable): void {
    const timer = this.timers.get(durable);
    if (timer === undefined) return;
    timer.due = NEVER;
    this.turn.forget(timer);
    this.timers.delete(durable);
  }

  // ---- reading -----------------------------------------------------------------------------------------------------

  matching(topic: string): number {
    const { targets, groups } = this.subscriptions.planOf(topic);
    return targets.length + groups.length;
  }

  retained(caller: Caller, topic: string): Message | null | Outcome {
    if (!isTopicName(topic)) return INVALID;
    if (!this.permissions.may(caller, 'read', 'topics', topic)) return refusalFor(caller);
    const message = this.values.get(topic);
    return message === null || message.expiry <= this.turn.clock.wall ? null : message;
  }

  eachRetained(caller: Caller, filter: string, visit: (message: Message) => void): Outcome {
    if (!isTopicFilter(filter)) return INVALID;
    const coverage = this.permissions.covers(caller, 'read', 'topics', filter);
    if (coverage === NONE) return refusalFor(caller);
    const { wall } = this.turn.clock;
    this.values.match(filter, (message) => {
      if (message.expiry > wall && (coverage === ALL || this.permissions.may(caller, 'read', 'topics', message.topic)))
        visit(message);
    });
    return OK;
  }

  get head(): number {
    return this.log.head;
  }

  async history(caller: Caller, filter: string, after: number, most: number): Promise<History | Outcome> {
    if (!isTopicFilter(filter)) return INVALID;
    const coverage = this.permissions.covers(caller, 'read', 'topics', filter);
    if (coverage === NONE) return refusalFor(caller);
    const isFor = ({ topic }: Message) => coverage === ALL || this.permissions.may(caller, 'read', 'topics', topic);
    const { log } = this;
    if (!log.keeps(filter) || after > log.head)
      return { messages: [], gap: { filter, after, from: 0 }, cursor: log.head };
    if (log.tailCovers(after)) {
      const { messages, cursor } = log.readTail(filter, after, most);
      return { messages: messages.filter(isFor), cursor, gap: null };
    }
    try {
      const { messages, upTo } = await log.read(filter, after, most);
      // Asked behind the reading: what goes meanwhile is a gap that is told once too often rather than never.
      const dropped = await log.dropped(filter);
      const gap = dropped > after ? { filter, after, from: messages[0]?.cursor ?? 0 } : null;
      return { messages: messages.filter(isFor), gap, cursor: upTo };
    } catch (error) {
      this.turn.bug(error, 'reading the history');
      return FAILED;
    }
  }

  why(_caller: Caller, topic: string, cursor: number): WhyAnswer[] | Outcome {
    return isTopicName(topic) ? whyNot(this.cores, topic, cursor, this.turn.clock.wall) : INVALID;
  }

  // ---- Turned ------------------------------------------------------------------------------------------------------

  get due(): Instant {
    return this.sweepAt;
  }

  work(): void {}

  /** Drops what is too old: history by the policies, retained values that have expired. */
  tick(clock: Clock): void {
    this.sweepAt = clock.now + this.sweepMs;
    this.added = 0;
    if (!this.sweeping) {
      this.sweeping = true;
      this.space
        .sweep(clock.wall)
        .catch((error: unknown) => {
          this.logger.warn('old messages could not be dropped; it is tried again later', { error: String(error) });
        })
        .finally(() => {
          this.sweeping = false;
        });
    }
    const gone: Message[] = [];
    this.values.match('#', (message) => {
      if (message.expiry <= clock.wall) gone.push(message);
    });
    for (const { topic } of gone) {
      this.values.delete(topic);
      this.committer.add({ write: (batch: Batch) => batch.remove(`r/${topic}`), settle() {} }, topic.length);
    }
    this.figures.retained = this.values.size;
  }
}

/** Who gave no name may be let do it once they sign in. */
function refusalFor({ account }: Caller): typeof DENIED | typeof UNKNOWN {
  return account === '' ? UNKNOWN : DENIED;
}

/** Nobody waits: what the server publishes by itself. */
const NOBODY: Waiter = { settled() {} };

function isNameless({ owner, core }: Durable): boolean {
  return owner === '' && core.account !== '';
}
