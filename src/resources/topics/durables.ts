// Subscribers that outlive their connection: what is stored of them, and how they come back after a start.
//
// d/<id>          number, account, the id of that account, how long it is kept, when its connection went
// u/<number>/<group>\x01<filter>   one subscription
// t/<number>/<tag>   a delivery of assurance 2 under way: the sequence of its message, whether it has arrived
// i/<number>/<once>  what was published once
// p/<number>      which stored messages it has acknowledged
// w/<number>      its will
// q/<n>           a message, and the numbers of those that are to get it
import type { Caller } from '../../core/caller.ts';
import { OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Batch } from '../../storage/batch.ts';
import type { Entry, Space } from '../../storage/engine.ts';
import type { Committer } from './committer.ts';
import type { AttachOptions, Message, SubscribeOptions, TopicFigures, Will } from './contract.ts';
import { Core, type DurableKeeper, type MayHear, type Pending, type Stored } from './core.ts';
import { decodeMessage, encodeMessage } from './message.ts';
import { matches } from './names.ts';
import type { Subscription } from './subscriptions.ts';

/** A durable subscriber. */
export interface Durable {
  readonly id: string;
  /** Never given again: what is stored under another number belongs to a former life. */
  readonly number: number;
  /** The id of its account; `''` for one of open mode or without a name, whatever name was given. */
  readonly owner: string;
  readonly core: Core;
  keepMs: number;
  /** Milliseconds since 1970; 0 while it is attached. */
  detachedAt: number;
  will: Will | null;
  /** Whether anything of it is stored. */
  stored: boolean;
  /** Acknowledged messages whose records others still wait for. */
  readonly done: Set<number>;
  progress: boolean;
}

/** What offline subscribers are bounded by until a connection brings its own options. */
const OFFLINE: AttachOptions = {
  policy: 'drop-oldest',
  queueMessagesMax: 10_000,
  queueBytesMax: 67_108_864,
  name: '',
};

const NONE = Buffer.alloc(0);

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const parsed = (entry: Entry) => JSON.parse(Buffer.from(entry.bytes).toString()) as unknown;

/** How keys hold numbers: fixed width, so that they sort. */
const padded = (number: number) => number.toString(36).padStart(9, '0');

/** The record of one, as it is stored. */
interface StoredState {
  readonly number: number;
  readonly account: string;
  readonly owner?: string;
  /** Of its last connection: what is published while it is away is for that, not for all that the account may. */
  readonly scopes?: readonly string[] | null;
  readonly by?: string;
  readonly groups?: readonly string[];
  readonly keepMs: number;
  readonly detachedAt: number;
}

function storedCaller({ account, owner = '', scopes = null, by = '', groups }: Partial<StoredState>): Caller {
  const caller: Caller = { account: account ?? '', scopes, origin: 'remote', epoch: 0, by, id: owner };
  return groups === undefined ? caller : { ...caller, groups };
}

export class Durables implements DurableKeeper {
  readonly byId = new Map<string, Durable>();
  readonly byNumber = new Map<number, Durable>();
  private readonly committer: Committer;
  private readonly figures: TopicFigures;
  private readonly wall: () => number;
  private readonly mayHear: MayHear;
  private lastNumber = 0;
  private lastStored = 0;

  constructor(committer: Committer, figures: TopicFigures, wall: () => number, mayHear: MayHear) {
    this.committer = committer;
    this.figures = figures;
    this.wall = wall;
    this.mayHear = mayHear;
  }

  make(id: string, caller: Caller, keepMs: number): Durable {
    return this.register(id, ++this.lastNumber, caller, keepMs, 0);
  }

  private register(id: string, number: number, caller: Caller, keepMs: number, detachedAt: number): Durable {
    this.lastNumber = Math.max(this.lastNumber, number);
    const core = new Core(id, caller, this.mayHear, OFFLINE, this, this.figures, this.wall);
    const owner = caller.id ?? '';
    const durable: Durable = {
      id,
      number,
      owner,
      core,
      keepMs,
      detachedAt,
      will: null,
      stored: false,
      done: new Set(),
      progress: false,
    };
    this.byId.set(id, durable);
    this.byNumber.set(number, durable);
    return durable;
  }

  of(core: Core): Durable {
    return this.byId.get(core.durable!)!;
  }

  /** Ends one: its records go, and so do messages that waited for it alone. */
  end(durable: Durable): void {
    if (this.byId.get(durable.id) !== durable) return;
    durable.core.abandon();
    this.byId.delete(durable.id);
    this.byNumber.delete(durable.number);
    if (!durable.stored) return;
    const { id, number } = durable;
    const { subscriptions, once } = durable.core;
    const keys = [`p/${padded(number)}`, `w/${padded(number)}`];
    for (const { options } of subscriptions.values()) keys.push(subscriptionKey(number, options));
    for (const sequence of once) keys.push(`i/${padded(number)}/${sequence}`);
    // The record that names it goes first: what a crash leaves behind it is swept at the next start.
    this.change((batch) => batch.remove(`d/${id}`));
    for (const key of keys) this.change((batch) => batch.remove(key));
  }

  // ---- records -----------------------------------------------------------------------------------------------------

  /** Commits one change; `then` is told how it went. */
  change(write: (batch: Batch) => void, then: (outcome: Outcome) => void = () => {}, bytes = 256): void {
    this.committer.add({ write, settle: (outcome) => then(outcome) }, bytes);
  }

  writeState(durable: Durable, then?: (outcome: Outcome) => void): void {
    const { id, number, owner, keepMs, detachedAt, core } = durable;
    durable.stored = true;
    const keep = Number.isFinite(keepMs) ? keepMs : -1;
    const { account, scopes, by, groups } = core.caller;
    const bytes = json({ number, account, owner, scopes, by, groups, keepMs: keep, detachedAt });
    this.change((batch) => batch.put(`d/${id}`, bytes, 0, bytes.length), then);
  }

  /** It ends with its connection from now on: a start that finds what else is stored of it sweeps that. */
  forgetState(durable: Durable, then: (outcome: Outcome) => void): void {
    this.change((batch) => {
      if (durable.stored) batch.remove(`d/${durable.id}`);
    }, then);
  }

  writeSubscription(durable: Durable, options: SubscribeOptions, then: (outcome: Outcome) => void): void {
    const { after, ...kept } = options;
    const bytes = json(kept);
    this.change((batch) => batch.put(subscriptionKey(durable.number, options), bytes, 0, bytes.length), then);
  }

  removeSubscription(durable: Durable, options: SubscribeOptions, then: (outcome: Outcome) => void): void {
    this.change((batch) => batch.remove(subscriptionKey(durable.number, options)), then);
  }

  writeWill(durable: Durable, message: Message | null, delayMs: number): void {
    const key = `w/${padded(durable.number)}`;
    if (message === null) {
      this.change((batch) => batch.remove(key));
      return;
    }
    const { bytes, length } = encodeMessage(message, 0, [Math.min(delayMs, 0xffff_ffff)]);
    const copy = Buffer.from(bytes.subarray(0, length));
    this.change((batch) => batch.put(key, copy, 0, copy.length));
  }

  forget(durable: Durable, once: number, waiter: Waiter, token: number): void {
    durable.core.once.delete(once);
    this.change(
      (batch) => batch.remove(`i/${padded(durable.number)}/${once}`),
      (outcome) => waiter.settled(token, outcome, 0),
    );
  }

  onceKey(durable: Durable, once: number): string {
    return `i/${padded(durable.number)}/${once}`;
  }

  /** The record of a message that durable subscribers wait for. */
  storedKey(): string {
    return `q/${padded(++this.lastStored)}`;
  }

  // ---- DurableKeeper -----------------------------------------------------------------------------------------------

  tagged(core: Core, pending: Pending, then: (known: boolean) => void): void {
    this.writeTag(core, pending, (outcome) => then(outcome === OK));
  }

  untagged(core: Core, tag: number): void {
    const durable = this.byId.get(core.durable!);
    if (durable?.core === core) this.change((batch) => batch.remove(`t/${padded(durable.number)}/${tag}`));
  }

  arrived(core: Core, pending: Pending, waiter: Waiter, token: number): void {
    this.writeTag(core, pending, (outcome) => waiter.settled(token, outcome, 0));
  }

  done(core: Core, pending: Pending): void {
    const durable = this.byId.get(core.durable!);
    if (durable?.core === core && pending.match.assurance === 2 && pending.tag !== 0)
      this.change((batch) => batch.remove(`t/${padded(durable.number)}/${pending.tag}`));
    const { stored } = pending;
    if (stored === null) return;
    this.letGo(stored, durable?.core === core ? durable : null);
  }

  /** One fewer waits for a stored message. */
  letGo(stored: Stored, durable: Durable | null): void {
    if (--stored.waiting > 0) {
      if (durable !== null) this.mark(durable, stored);
      return;
    }
    for (const done of stored.noted) done.delete(stored.sequence);
    this.change((batch) => batch.remove(stored.key));
  }

  private writeTag(core: Core, pending: Pending, then: (outcome: Outcome) => void): void {
    const durable = this.of(core);
    const bytes = json([pending.stored?.sequence ?? 0, pending.released ? 1 : 0]);
    this.change((batch) => batch.put(`t/${padded(durable.number)}/${pending.tag}`, bytes, 0, bytes.length), then);
  }

  /** Others still wait for the message: remember that this one does not. One record for all of a turn. */
  private mark(durable: Durable, stored: Stored): void {
    durable.done.add(stored.sequence);
    stored.noted.push(durable.done);
    if (durable.progress) return;
    durable.progress = true;
    this.committer.add(
      {
        // Written when the batch is made up would be too early: `settle` of this empty step runs once others are in.
        write() {},
        settle: () => {
          durable.progress = false;
          if (this.byNumber.get(durable.number) !== durable) return;
          const bytes = json([...durable.done]);
          this.change((batch) => batch.put(`p/${padded(durable.number)}`, bytes, 0, bytes.length));
        },
      },
      0,
    );
  }

  // ---- after a start -----------------------------------------------------------------------------------------------

  /** Reads what is stored. Those that were attached when the process ended count as detached now. */
  async load(space: Space, subscribe: (core: Core, options: SubscribeOptions) => void): Promise<void> {
    await each(space, 'd/', (rest, entry) => {
      const { number, keepMs, detachedAt, ...state } = parsed(entry) as StoredState;
      const keep = keepMs === -1 ? Number.POSITIVE_INFINITY : keepMs;
      const durable = this.register(rest, number, storedCaller(state), keep, detachedAt || this.wall());
      durable.stored = true;
      durable.core.lasting = true;
    });
    const stale: string[] = [];
    const owned = async (prefix: string, visit: (durable: Durable, rest: string, entry: Entry) => void) =>
      each(space, prefix, (rest, entry) => {
        const number = Number.parseInt(rest.slice(0, 9), 36);
        this.lastNumber = Math.max(this.lastNumber, number);
        const durable = this.byNumber.get(number);
        if (durable === undefined) stale.push(entry.key);
        else visit(durable, rest.slice(10), entry);
      });
    await owned('u/', (durable, _rest, entry) => subscribe(durable.core, parsed(entry) as SubscribeOptions));
    await owned('i/', (durable, rest) => void durable.core.once.add(Number(rest)));
    await owned('p/', (durable, _rest, entry) => {
      for (const sequence of parsed(entry) as number[]) durable.done.add(sequence);
    });
    await owned('w/', (durable, _rest, entry) => {
      const { message, extra } = decodeMessage(entry, 0);
      durable.will = { publication: publicationOf(message), delayMs: extra[0]! };
    });
    const tags = new Map<string, Tag>();
    await owned('t/', (durable, rest, entry) => {
      const [sequence, released] = parsed(entry) as [number, number];
      tags.set(`${durable.number}/${sequence}`, {
        key: entry.key,
        durable,
        tag: Number(rest),
        released: released === 1,
      });
    });
    await this.loadStored(space, tags, stale);
    for (const { key, durable, tag, released } of tags.values()) {
      // The message is gone, or was never stored: only a release can be left to be done.
      if (released) durable.core.restore(releaseOnly(tag));
      else stale.push(key);
    }
    for (const key of stale) this.change((batch) => batch.remove(key));
  }

  private async loadStored(space: Space, tags: Map<string, Tag>, stale: string[]): Promise<void> {
    const alive = new Set<number>();
    await each(space, 'q/', (rest, entry) => {
      this.lastStored = Math.max(this.lastStored, Number.parseInt(rest, 36));
      const { message, extra } = decodeMessage(entry, null);
      const stored: Stored = { key: entry.key, sequence: entry.sequence, waiting: 0, noted: [] };
      for (const number of extra) {
        const durable = this.byNumber.get(number);
        if (durable === undefined) continue;
        if (durable.done.has(entry.sequence)) {
          stored.noted.push(durable.done);
          continue;
        }
        stored.waiting++;
        const name = `${number}/${entry.sequence}`;
        const known = tags.get(name);
        tags.delete(name);
        const match = restoredMatch(durable.core, message);
        const tag = known?.tag ?? 0;
        durable.core.restore({ message, match, stored, tag, released: known?.released ?? false, again: tag !== 0 });
      }
      if (stored.waiting === 0) stale.push(entry.key);
      else alive.add(entry.sequence);
    });
    for (const { done } of this.byNumber.values())
      for (const sequence of done) if (!alive.has(sequence)) done.delete(sequence);
  }
}

/** What is stored of a delivery of assurance 2 that is under way. */
interface Tag {
  readonly key: string;
  readonly durable: Durable;
  readonly tag: number;
  readonly released: boolean;
}

function releaseOnly(tag: number): Pending {
  const match = { assurance: 2 as const, identifiers: [], filters: [], retain: false };
  return { message: NOTHING, match, stored: null, tag, released: true, again: true };
}

const NOTHING: Message = {
  topic: '',
  payload: NONE,
  contentType: '',
  text: false,
  properties: [],
  responseTopic: '',
  correlation: null,
  publisher: '',
  time: 0,
  expiry: Number.POSITIVE_INFINITY,
  retain: false,
  assurance: 2,
  cursor: 0,
  frames: [],
};

function restoredMatch(core: Core, message: Message): Pending['match'] {
  const matching: Subscription[] = [];
  for (const subscription of core.subscriptions.values())
    if (matches(subscription.options.filter, message.topic)) matching.push(subscription);
  const most = matching.reduce((sum, { options }) => Math.max(sum, options.assurance), matching.length === 0 ? 2 : 0);
  return {
    assurance: Math.min(message.assurance, most) as Message['assurance'],
    identifiers: matching.map(({ options }) => options.identifier ?? 0).filter((identifier) => identifier > 0),
    filters: matching.map(({ options }) => options.filter),
    retain: message.retain && matching.some(({ options }) => options.retainAsPublished === true),
  };
}

/** A stored will as it was given. Its expiry is kept as what was left. */
function publicationOf(message: Message): Will['publication'] {
  const { topic, payload, contentType, text, properties, responseTopic, correlation, retain, assurance } = message;
  return {
    topic,
    payload,
    contentType,
    text,
    properties,
    responseTopic,
    correlation,
    retain,
    assurance,
    ...(Number.isFinite(message.expiry) ? { expiryMs: message.expiry - message.time } : {}),
  };
}

async function each(space: Space, prefix: string, visit: (rest: string, entry: Entry) => void): Promise<void> {
  await space.scan(prefix, 0, (entry) => {
    visit(entry.key.slice(prefix.length), entry);
    return true;
  });
}

/** The name under which a subscriber has a subscription. */
export function subscriptionName(filter: string, group: string | undefined): string {
  return `${group ?? ''}\u0001${filter}`;
}

function subscriptionKey(number: number, options: SubscribeOptions): string {
  return `u/${padded(number)}/${subscriptionName(options.filter, options.group)}`;
}
