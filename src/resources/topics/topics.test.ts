import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../../core/caller.ts';
import { SILENT } from '../../core/log.ts';
import { DENIED, FULL, INVALID, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import { World } from '../../sim/world.ts';
import { MemoryEngine } from '../../storage/memory/engine.ts';
import type {
  Assurance,
  Attachment,
  DurableOptions,
  Gap,
  Match,
  Message,
  Publication,
  SubscribeOptions,
  Subscriber,
} from './contract.ts';
import type { HistoryPolicy } from './history.ts';
import { type OpenTopics, openTopics } from './topics.ts';

const CALLER: Caller = { account: 'ann', scopes: null, origin: 'local', epoch: 0 };
const QUEUE = { policy: 'disconnect' as const, queueMessagesMax: 10_000, queueBytesMax: 10_000_000, name: 'test' };

/** Writes down what it is given; acknowledges by itself unless told otherwise. */
class Listener implements Subscriber {
  readonly got: string[] = [];
  readonly messages: Message[] = [];
  readonly matches: Match[] = [];
  readonly told: string[] = [];
  readonly open = new Map<number, Message>();
  attachment!: Attachment;
  room = Number.POSITIVE_INFINITY;
  /** Acknowledge at once. */
  prompt = true;
  private tag = 0;

  reserve(_message: Message, match: Match): number {
    if (this.room <= 0) return 0;
    this.room--;
    if (match.assurance === 0) return 1;
    do this.tag = (this.tag % 65_535) + 1;
    while (this.open.has(this.tag));
    return this.tag;
  }

  deliver(message: Message, match: Match, tag: number, again: boolean): void {
    this.messages.push(message);
    this.matches.push(match);
    this.got.push(
      `${message.topic}=${Buffer.from(message.payload)}${match.retain ? ' r' : ''}${again ? ' again' : ''}`,
    );
    if (match.assurance === 0) return;
    this.open.set(tag, message);
    if (this.prompt) setImmediateIn(() => this.acknowledge(tag, match.assurance));
  }

  acknowledge(tag: number, assurance: Assurance): void {
    const end = () => {
      this.open.delete(tag);
      this.attachment.acknowledge(tag);
    };
    if (assurance === 1) end();
    else this.attachment.received(tag, { settled: end }, 0);
  }

  release(tag: number): void {
    this.told.push(`release ${tag}`);
    this.attachment.acknowledge(tag);
  }

  gap(gap: Gap): void {
    this.got.push(`gap ${gap.filter} ${gap.after} ${gap.from}`);
  }

  overflow(): void {
    this.told.push('overflow');
  }

  superseded(): void {
    this.told.push('superseded');
  }
}

let setImmediateIn: (step: () => void) => void = (step) => step();

class House {
  readonly world = new World(1);
  engine = new MemoryEngine({ later: (step) => this.world.after(0.5, step) });
  topics!: OpenTopics;
  policies: HistoryPolicy[] | undefined;

  static async open(policies?: HistoryPolicy[]): Promise<House> {
    const house = new House();
    house.policies = policies;
    setImmediateIn = (step) => house.world.soon(step);
    house.topics = await house.settle(house.opening());
    return house;
  }

  /** Kills the process and starts another over what was committed. */
  async crash(): Promise<void> {
    this.engine = this.engine.restarted();
    this.topics = await this.settle(this.opening());
  }

  private opening(): Promise<OpenTopics> {
    return openTopics({
      engine: this.engine,
      turn: this.world.turn,
      log: SILENT,
      ...(this.policies === undefined ? {} : { policies: this.policies }),
    });
  }

  /** Lets simulated time and promises go on until a promise is done. */
  async settle<Value>(promise: Promise<Value>): Promise<Value> {
    let over = false;
    const done = promise.finally(() => {
      over = true;
    });
    done.catch(() => {});
    while (!over) {
      this.world.pass(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return done;
  }

  async pass(ms = 20): Promise<void> {
    for (let step = 0; step < 20; step++) {
      this.world.pass(ms / 20);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  ask(call: (waiter: { settled(token: number, outcome: Outcome, value: number): void }) => void): Promise<number[]> {
    return this.settle(
      new Promise((resolve) => call({ settled: (_token, outcome, value) => resolve([outcome, value]) })),
    );
  }

  publish(topic: string, text: string, more: Partial<Publication> = {}): Promise<number[]> {
    const publication = { topic, payload: Buffer.from(text), assurance: 1 as const, ...more };
    return this.ask((waiter) => this.topics.publish(CALLER, publication, waiter, 1));
  }

  attach(): Listener {
    const listener = new Listener();
    listener.attachment = this.topics.attach(CALLER, listener, QUEUE);
    return listener;
  }

  async attachDurable(
    id: string,
    more: Partial<DurableOptions> = {},
    prepare = (_listener: Listener) => {},
  ): Promise<[Listener, number]> {
    const listener = new Listener();
    prepare(listener);
    const options = { ...QUEUE, id, fresh: false, keepMs: 100_000, ...more };
    const [outcome, present] = await this.ask((waiter) => {
      listener.attachment = this.topics.attachDurable(CALLER, listener, options, waiter, 1);
    });
    assert.equal(outcome, OK);
    return [listener, present!];
  }

  subscribe(listener: Listener, filter: string, more: Partial<SubscribeOptions> = {}): Promise<number[]> {
    return this.ask((waiter) => listener.attachment.subscribe({ filter, assurance: 1, ...more }, waiter, 1));
  }
}

const NO_HISTORY: HistoryPolicy[] = [{ filter: '#', history: 'none' }];

for (const [name, policies] of [
  ['durable', undefined],
  ['none', NO_HISTORY],
] as const) {
  test(`history ${name}: what is published reaches those whose filter matches`, async () => {
    const house = await House.open(policies === undefined ? undefined : [...policies]);
    const one = house.attach();
    const all = house.attach();
    assert.deepEqual(await house.subscribe(one, 'a/+', { assurance: 0 }), [OK, 0]);
    assert.deepEqual(await house.subscribe(all, '#', { assurance: 2 }), [OK, 2]);
    const [outcome, cursor] = await house.publish('a/b', '1');
    assert.equal(outcome, OK);
    assert.equal(cursor! > 0, policies === undefined);
    await house.publish('a/b/c', '2');
    await house.publish('$x', 'denied');
    await house.pass();
    assert.deepEqual(one.got, ['a/b=1']);
    assert.deepEqual(all.got, ['a/b=1', 'a/b/c=2']);
    assert.deepEqual([one.matches[0]!.assurance, all.matches[0]!.assurance], [0, 1]);
    assert.equal(all.messages[0]!.cursor > 0, policies === undefined);
    assert.equal(house.topics.matching('a/b'), 2);
    assert.deepEqual(house.world.bugs, []);
  });

  test(`history ${name}: a publisher's messages keep their order, retained or not`, async () => {
    const house = await House.open(policies === undefined ? undefined : [...policies]);
    const all = house.attach();
    await house.subscribe(all, '#');
    const from = house.attach();
    for (let index = 0; index < 50; index++) {
      const publication = {
        topic: `t/${index % 3}`,
        payload: Buffer.from(String(index)),
        assurance: (index % 3) as Assurance,
        retain: index % 7 === 0,
        from: from.attachment,
      };
      house.topics.publish(CALLER, publication, { settled() {} }, 1);
    }
    await house.pass();
    assert.deepEqual(
      all.got.map((text) => Number(text.split('=')[1])),
      Array.from({ length: 50 }, (_, index) => index),
    );
  });

  test(`history ${name}: retained values come first, are replaced and cleared, and outlive a crash`, async () => {
    const house = await House.open(policies === undefined ? undefined : [...policies]);
    await house.publish('a/1', 'old', { retain: true });
    await house.publish('a/1', 'new', { retain: true, contentType: 'text/plain', properties: ['k', 'v'] });
    await house.publish('a/2', 'gone', { retain: true });
    await house.publish('a/2', '', { retain: true });
    await house.publish('a/3', 'not retained');
    await house.crash();
    const listener = house.attach();
    await house.subscribe(listener, 'a/#');
    await house.publish('a/1', 'live');
    await house.pass();
    assert.deepEqual(listener.got, ['a/1=new r', 'a/1=live']);
    assert.deepEqual(
      [listener.messages[0]!.contentType, listener.messages[0]!.properties, listener.messages[0]!.publisher],
      ['text/plain', ['k', 'v'], 'ann'],
    );
    const value = house.topics.retained(CALLER, 'a/1') as Message;
    assert.equal(Buffer.from(value.payload).toString(), 'new');
    assert.equal(value.cursor > 0, policies === undefined);
    assert.equal(house.topics.retained(CALLER, 'a/2'), null);
  });
}

test('names and filters that may not be are refused', async () => {
  const house = await House.open();
  for (const topic of ['', 'a/+', '#', 'a\0', 'x'.repeat(65_536), '/'.repeat(200)])
    assert.equal((await house.publish(topic, 'x'))[0], INVALID, topic.slice(0, 20));
  for (const topic of ['$SYS/x', 'files/a', 'connections/1', '$any'])
    assert.equal((await house.publish(topic, 'x'))[0], DENIED);
  const listener = house.attach();
  for (const filter of ['', 'a/#/b', 'a+', '#a', 'a\0'])
    assert.equal((await house.subscribe(listener, filter))[0], INVALID, filter);
  assert.deepEqual(await house.ask((waiter) => listener.attachment.unsubscribe('none', undefined, waiter, 1)), [
    MISSING,
    0,
  ]);
});

test('a refused commit is told to the publisher, reaches nobody, and the next one goes', async () => {
  const house = await House.open();
  const listener = house.attach();
  await house.subscribe(listener, '#');
  house.engine.injected.refuse = FULL;
  assert.deepEqual(await house.publish('a', 'lost', { retain: true }), [FULL, 0]);
  house.engine.injected.refuse = null;
  assert.equal((await house.publish('a', 'kept'))[0], OK);
  await house.pass();
  assert.deepEqual(listener.got, ['a=kept']);
  assert.equal(house.topics.retained(CALLER, 'a'), null);
});

test('several subscriptions of one subscriber give one delivery, with the best assurance and all identifiers', async () => {
  const house = await House.open();
  const listener = house.attach();
  await house.subscribe(listener, 'a/+', { assurance: 0, identifier: 3 });
  await house.subscribe(listener, 'a/b', { assurance: 2, identifier: 5 });
  await house.publish('a/b', 'x', { assurance: 2 });
  await house.pass();
  assert.deepEqual(listener.got, ['a/b=x']);
  assert.equal(listener.matches[0]!.assurance, 2);
  assert.deepEqual([...listener.matches[0]!.identifiers].sort(), [3, 5]);
  // Subscribing again replaces.
  await house.subscribe(listener, 'a/b', { assurance: 1, identifier: 6 });
  await house.publish('a/b', 'y', { assurance: 2 });
  await house.pass();
  assert.equal(listener.matches[1]!.assurance, 1);
  assert.deepEqual([...listener.matches[1]!.identifiers].sort(), [3, 6]);
});

test('no-local, retain-as-published and retained handling', async () => {
  const house = await House.open();
  const listener = house.attach();
  await house.subscribe(listener, 'a', { noLocal: true });
  await house.subscribe(listener, 'b', { retainAsPublished: true });
  await house.publish('a', 'mine', { from: listener.attachment });
  await house.publish('a', 'theirs');
  await house.publish('b', 'kept', { retain: true });
  await house.pass();
  assert.deepEqual(listener.got, ['a=theirs', 'b=kept r']);
  await house.subscribe(listener, 'b', { retained: 'when-new' });
  await house.pass();
  assert.equal(listener.got.length, 2);
  await house.subscribe(listener, 'b', { retained: 'never' });
  await house.subscribe(listener, 'b');
  await house.pass();
  assert.deepEqual(listener.got.slice(2), ['b=kept r']);
  const other = house.attach();
  await house.subscribe(other, 'b', { retained: 'when-new' });
  await house.pass();
  assert.deepEqual(other.got, ['b=kept r']);
});

test('a group shares: each message goes to one, preferably to one that is free', async () => {
  const house = await House.open(NO_HISTORY);
  const members = [house.attach(), house.attach(), house.attach()];
  for (const member of members) await house.subscribe(member, 'a/#', { group: 'g' });
  for (let index = 0; index < 30; index++) await house.publish('a/b', String(index));
  assert.deepEqual(
    members.map(({ got }) => got.length),
    [10, 10, 10],
  );
  members[1]!.room = 0;
  await house.publish('a/b', 'one for the slow one');
  for (let index = 0; index < 10; index++) await house.publish('a/b', String(index));
  assert.ok(members[1]!.got.length <= 11);
  members[1]!.attachment.detach();
  members[2]!.attachment.detach();
  const before = members[0]!.got.length;
  await house.publish('a/b', 'last');
  assert.equal(members[0]!.got.length, before + 1);
});

test('history behind a cursor is given without gap or repeat, also while more is published', async () => {
  const house = await House.open();
  const cursors: number[] = [];
  for (let index = 0; index < 40; index++)
    cursors.push((await house.publish(index % 2 === 0 ? 'a/x' : 'b', String(index)))[1]!);
  for (const restart of [false, true]) {
    if (restart) await house.crash();
    const listener = house.attach();
    // Slow at first, so that live messages overtake the history in the store.
    listener.room = 3;
    listener.attachment.subscribe({ filter: 'a/#', assurance: 1, after: cursors[9]! }, { settled() {} }, 1);
    const numbers: number[] = [];
    for (let index = 100; index < 130; index++) {
      await house.publish('a/y', String(index));
      numbers.push(index);
      listener.room += 1;
      listener.attachment.more();
    }
    listener.room = 1_000;
    listener.attachment.more();
    await house.pass();
    const expected = [
      ...Array.from({ length: 15 }, (_, index) => 10 + index * 2),
      ...(restart ? [...numbers, 999] : []),
      ...numbers,
    ];
    assert.deepEqual(
      listener.got.map((text) => Number(text.split('=')[1])),
      expected,
      `restart ${restart}`,
    );
    await house.publish('a/z', '999');
    await house.pass();
    assert.equal(listener.got.at(-1), 'a/z=999');
    listener.attachment.detach();
  }
});

test('what the history no longer has is a gap, said first', async () => {
  const house = await House.open([
    { filter: 'quiet/#', history: 'none' },
    { filter: '#', history: 'durable', last: 5 },
  ]);
  const cursors: number[] = [];
  for (let index = 0; index < 12; index++) cursors.push((await house.publish('a', String(index)))[1]!);
  const cases: [string, number, string[]][] = [
    ['a', cursors[6]!, ['a=7', 'a=8', 'a=9', 'a=10', 'a=11']],
    ['a', cursors[5]!, [`gap a ${cursors[5]} ${cursors[7]}`, 'a=7', 'a=8', 'a=9', 'a=10', 'a=11']],
    ['quiet/x', 1, ['gap quiet/x 1 0']],
    ['a', 1_000_000, ['gap a 1000000 0']],
  ];
  // From storage rather than from memory.
  await house.crash();
  for (const [filter, after, expected] of cases) {
    const listener = house.attach();
    await house.subscribe(listener, filter, { after });
    await house.pass();
    assert.deepEqual(listener.got, expected);
  }
  const page = await house.settle(house.topics.history(CALLER, 'a', cursors[5]!, 3));
  assert.ok(typeof page === 'object');
  assert.deepEqual(page.gap, { filter: 'a', after: cursors[5], from: cursors[7] });
  assert.deepEqual(
    page.messages.map(({ payload }) => String(Buffer.from(payload))),
    ['7', '8', '9'],
  );
  assert.equal(page.cursor, cursors[9]);
});

test('a slow subscriber: each policy within its bound', async () => {
  const house = await House.open(NO_HISTORY);
  const slow = (policy: 'disconnect' | 'drop-oldest' | 'keep-latest') => {
    const listener = new Listener();
    listener.room = 0;
    listener.attachment = house.topics.attach(CALLER, listener, { ...QUEUE, policy, queueMessagesMax: 4 });
    return listener;
  };
  const [out, oldest, latest] = [slow('disconnect'), slow('drop-oldest'), slow('keep-latest')];
  for (const listener of [out, oldest, latest]) await house.subscribe(listener, '#');
  for (let index = 0; index < 9; index++) await house.publish(`t/${index % 3}`, String(index));
  assert.deepEqual(out.told, ['overflow']);
  for (const listener of [oldest, latest]) {
    listener.room = 100;
    listener.attachment.more();
  }
  assert.deepEqual(oldest.got, ['t/2=5', 't/0=6', 't/1=7', 't/2=8']);
  assert.deepEqual(latest.got, ['t/0=6', 't/1=7', 't/2=8']);
  assert.ok(house.topics.figures.dropped >= 4 + 4 + 5);
  const why = house.topics.why(CALLER, 't/0', 0);
  assert.ok(Array.isArray(why));
  assert.deepEqual(
    why.map(({ reason }) => reason),
    ['not connected', 'dropped', 'dropped'],
  );
});

test('what has expired is not delivered', async () => {
  const house = await House.open();
  const listener = house.attach();
  await house.subscribe(listener, '#');
  listener.room = 0;
  await house.publish('a', 'soon useless', { expiryMs: 1_000 });
  await house.publish('a', 'lasting', { retain: true, expiryMs: 50_000 });
  await house.pass(2_000);
  listener.room = 10;
  listener.attachment.more();
  assert.deepEqual(listener.got, ['a=lasting']);
  await house.pass(120_000);
  assert.equal(house.topics.retained(CALLER, 'a'), null);
  assert.equal(house.topics.figures.retained, 0);
});

test('a durable subscriber gets what came while it was away, also over a crash', async () => {
  const house = await House.open(NO_HISTORY);
  const [first, present] = await house.attachDurable('d');
  assert.equal(present, 0);
  await house.subscribe(first, 'a/#', { assurance: 2, identifier: 7 });
  await house.publish('a/1', 'here');
  await house.pass();
  first.attachment.detach();
  await house.publish('a/2', 'away', { assurance: 2 });
  await house.publish('a/3', 'unsure', { assurance: 0 });
  await house.crash();
  await house.publish('a/4', 'after the crash');
  const [second, again] = await house.attachDurable('d');
  assert.equal(again, 1);
  await house.pass();
  assert.deepEqual(first.got, ['a/1=here']);
  assert.deepEqual(second.got, ['a/2=away', 'a/4=after the crash']);
  assert.deepEqual(second.matches[0]!.identifiers, [7]);
  await house.publish('a/5', 'live');
  await house.pass();
  assert.equal(second.got.at(-1), 'a/5=live');
  // Everything is acknowledged: nothing is left for the next life.
  await house.crash();
  const [third] = await house.attachDurable('d');
  await house.pass();
  assert.deepEqual(third.got, []);
  assert.deepEqual(house.world.bugs, []);
});

test('what was not acknowledged is given again, with the same tag within a life', async () => {
  const house = await House.open();
  const [first] = await house.attachDurable('d', {}, (listener) => {
    listener.prompt = false;
  });
  await house.subscribe(first, 'a', { assurance: 1 });
  for (const text of ['1', '2', '3']) await house.publish('a', text);
  const [tag1, tag2, tag3] = [...first.open.keys()];
  first.attachment.acknowledge(tag2!);
  await house.pass();
  first.attachment.detach();
  const tags: number[] = [];
  const [second] = await house.attachDurable('d', {}, (listener) => {
    listener.prompt = false;
    const { deliver } = listener;
    listener.deliver = (message, match, tag, again) => {
      tags.push(tag);
      deliver.call(listener, message, match, tag, again);
    };
  });
  assert.deepEqual(second.got, ['a=1 again', 'a=3 again']);
  assert.deepEqual(tags, [tag1, tag3]);
  await house.crash();
  const [third] = await house.attachDurable('d');
  await house.pass();
  assert.deepEqual(third.got, ['a=1', 'a=3']);
});

test('exactly once to a durable subscriber: a crash between any two steps repeats with the tag that it knows', async () => {
  for (const step of ['sent', 'received', 'done'] as const) {
    const house = await House.open();
    const [first] = await house.attachDurable('d', {}, (listener) => {
      listener.prompt = false;
    });
    await house.subscribe(first, 'a', { assurance: 2 });
    await house.publish('a', 'x', { assurance: 2 });
    await house.pass();
    const [tag] = [...first.open.keys()];
    assert.ok(tag !== undefined);
    if (step !== 'sent') {
      assert.equal((await house.ask((waiter) => first.attachment.received(tag, waiter, 1)))[0], OK);
      if (step === 'done') first.attachment.acknowledge(tag);
      await house.pass();
    }
    await house.crash();
    const tags: number[] = [];
    const [second] = await house.attachDurable('d', {}, (listener) => {
      const { deliver } = listener;
      listener.deliver = (message, match, tagged, again) => {
        tags.push(tagged);
        deliver.call(listener, message, match, tagged, again);
      };
    });
    await house.pass();
    assert.deepEqual(second.got, step === 'sent' ? ['a=x again'] : [], step);
    assert.deepEqual(tags, step === 'sent' ? [tag] : []);
    assert.deepEqual(second.told, step === 'received' ? [`release ${tag}`] : []);
    await house.crash();
    const [third] = await house.attachDurable('d');
    await house.pass();
    assert.deepEqual([third.got, third.told], [[], []], `after ${step}`);
    assert.deepEqual(house.world.bugs, []);
  }
});

test('a crash never loses who still waits for a message that others have', async () => {
  const house = await House.open(NO_HISTORY);
  for (const id of ['a', 'b', 'c']) {
    const [listener] = await house.attachDurable(id);
    await house.subscribe(listener, '#');
    listener.attachment.detach();
  }
  for (const text of ['1', '2', '3']) await house.publish('t', text);
  const [a] = await house.attachDurable('a');
  await house.pass();
  assert.deepEqual(a.got, ['t=1', 't=2', 't=3']);
  await house.crash();
  const [again] = await house.attachDurable('a');
  const [b] = await house.attachDurable('b');
  await house.pass();
  assert.deepEqual(again.got, []);
  assert.deepEqual(b.got, ['t=1', 't=2', 't=3']);
  await house.crash();
  const [c] = await house.attachDurable('c');
  await house.pass();
  assert.deepEqual(c.got, ['t=1', 't=2', 't=3']);
});

test('published once: a repeat changes nothing, also over a crash, until it is forgotten', async () => {
  const house = await House.open();
  const listener = house.attach();
  await house.subscribe(listener, '#', { assurance: 2 });
  const [publisher] = await house.attachDurable('p');
  const once = { assurance: 2 as const, once: 5, from: publisher.attachment };
  assert.equal((await house.publish('a', 'x', once))[0], OK);
  assert.equal((await house.publish('a', 'x', once))[0], OK);
  await house.crash();
  const after = house.attach();
  await house.subscribe(after, '#', { assurance: 2 });
  const [again] = await house.attachDurable('p');
  assert.ok(again.attachment.isOnce(5));
  assert.equal((await house.publish('a', 'x', { ...once, from: again.attachment }))[0], OK);
  await house.pass();
  assert.deepEqual([listener.got, after.got], [['a=x'], []]);
  assert.equal((await house.ask((waiter) => again.attachment.forget(5, waiter, 1)))[0], OK);
  await house.crash();
  const [third] = await house.attachDurable('p');
  assert.ok(!third.attachment.isOnce(5));
});

test('the newest connection wins, and the former can do nothing any more', async () => {
  const house = await House.open();
  const [first] = await house.attachDurable('d');
  await house.subscribe(first, 'a');
  const [second, present] = await house.attachDurable('d');
  assert.equal(present, 1);
  assert.deepEqual(first.told, ['superseded']);
  first.attachment.detach();
  await house.publish('a', 'x');
  await house.pass();
  assert.deepEqual([first.got, second.got], [[], ['a=x']]);
  const [third, none] = await house.attachDurable('d', { fresh: true });
  assert.equal(none, 0);
  await house.publish('a', 'y');
  await house.pass();
  assert.deepEqual(third.got, []);
  const stranger = new Listener();
  const [outcome] = await house.ask((waiter) => {
    const caller = { ...CALLER, account: 'bob' };
    house.topics.attachDurable(caller, stranger, { ...QUEUE, id: 'd', fresh: true, keepMs: 1 }, waiter, 1);
  });
  assert.equal(outcome, DENIED);
});

test('a durable subscriber ends when its time without a connection is over', async () => {
  const house = await House.open();
  for (const crash of [false, true]) {
    const [first] = await house.attachDurable('d', { keepMs: 5_000 });
    await house.subscribe(first, 'a');
    first.attachment.detach();
    await house.pass(3_000);
    if (crash) await house.crash();
    assert.equal(house.topics.figures.durables, 1);
    await house.pass(3_000);
    assert.equal(house.topics.figures.durables, 0);
    const [, present] = await house.attachDurable('d', { keepMs: 5_000, fresh: false });
    assert.equal(present, 0);
    await house.attachDurable('d', { keepMs: 5_000, fresh: true });
  }
  const [gone] = await house.attachDurable('e', { keepMs: 0 });
  gone.attachment.detach();
  assert.ok(!house.topics.durables.byId.has('e'));
});

test('wills: at once, delayed, taken back, and over a crash', async () => {
  const house = await House.open();
  const watcher = house.attach();
  await house.subscribe(watcher, 'will/#');
  const will = (text: string, delayMs: number) => ({
    publication: { topic: `will/${text}`, payload: Buffer.from(text), assurance: 1 as const },
    delayMs,
  });
  const plain = house.attach();
  house.topics.arm(plain.attachment, CALLER, will('plain', 60_000));
  plain.attachment.detach();
  const polite = house.attach();
  house.topics.arm(polite.attachment, CALLER, will('polite', 0));
  house.topics.arm(polite.attachment, CALLER, null);
  polite.attachment.detach();
  const [back] = await house.attachDurable('back');
  house.topics.arm(back.attachment, CALLER, will('back', 1_000));
  back.attachment.detach();
  await house.attachDurable('back');
  const [late] = await house.attachDurable('late');
  house.topics.arm(late.attachment, CALLER, will('late', 1_000));
  late.attachment.detach();
  await house.pass(500);
  assert.deepEqual(watcher.got, ['will/plain=plain']);
  await house.pass(1_000);
  assert.deepEqual(watcher.got, ['will/plain=plain', 'will/late=late']);
  const [crashed] = await house.attachDurable('crashed');
  house.topics.arm(crashed.attachment, CALLER, will('crashed', 1_000));
  await house.pass();
  await house.crash();
  const after = house.attach();
  await house.subscribe(after, 'will/#', { after: 0 });
  await house.pass(3_000);
  assert.deepEqual(after.got, ['will/plain=plain', 'will/late=late', 'will/crashed=crashed']);
  assert.deepEqual(house.world.bugs, []);
});

test('why a message did not arrive', async () => {
  const house = await House.open();
  const named = (name: string) => {
    const listener = new Listener();
    listener.attachment = house.topics.attach(CALLER, listener, { ...QUEUE, name });
    return listener;
  };
  const [right, wrong, slow] = [named('right'), named('wrong'), named('slow')];
  await house.subscribe(right, 'a/#');
  await house.subscribe(wrong, 'b/#');
  await house.subscribe(slow, 'a/b');
  slow.room = 0;
  const [away] = await house.attachDurable('away', { name: 'away' });
  await house.subscribe(away, '#', { assurance: 0 });
  away.attachment.detach();
  const [, cursor] = await house.publish('a/b', 'x');
  const why = house.topics.why(CALLER, 'a/b', cursor!);
  assert.ok(Array.isArray(why));
  assert.deepEqual(Object.fromEntries(why.map(({ subscriber, reason }) => [subscriber, reason])), {
    right: 'delivered',
    wrong: 'no filter matches',
    slow: 'waiting',
    away: 'not connected',
  });
});

test('random subscribers, publishers and crashes: nothing acknowledged is lost or, at most once a crash, repeated', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const house = await House.open(seed % 2 === 0 ? NO_HISTORY : undefined);
    const { random } = house.world;
    const ids = ['a', 'b', 'c'];
    const got = new Map(ids.map((id) => [id, [] as number[]]));
    const listeners = new Map<string, Listener>();
    const connect = async (id: string) => {
      const [listener] = await house.attachDurable(id, {}, (made) => {
        const { deliver } = made;
        const know = new Map<number, number>();
        made.deliver = (message, match, tag, again) => {
          const number = Number(Buffer.from(message.payload).toString());
          if (!(again && know.get(tag) === number)) got.get(id)!.push(number);
          know.set(tag, number);
          deliver.call(made, message, match, tag, again);
        };
        made.prompt = random.chance(0.8);
      });
      listeners.set(id, listener);
      await house.subscribe(listener, 't/#', { assurance: 1 });
    };
    for (const id of ids) await connect(id);
    const acknowledged: number[] = [];
    for (let number = 1; number <= 120; number++) {
      const waiter = { settled: (_token: number, outcome: Outcome) => outcome === OK && acknowledged.push(number) };
      const publication = {
        topic: `t/${random.below(4)}`,
        payload: Buffer.from(String(number)),
        assurance: 1 as const,
      };
      house.topics.publish(CALLER, publication, waiter as never, number);
      if (random.chance(0.3)) await house.pass(1);
      if (random.chance(0.05)) listeners.get(random.pick(ids))?.attachment.detach();
      if (random.chance(0.05)) await connect(random.pick(ids));
      if (random.chance(0.02)) {
        await house.crash();
        listeners.clear();
      }
    }
    await house.crash();
    for (const id of ids) await connect(id);
    await house.pass(50);
    for (const id of ids) {
      const have = new Set(got.get(id));
      const lost = acknowledged.filter((number) => !have.has(number));
      assert.deepEqual(lost, [], `seed ${seed}, subscriber ${id}`);
    }
    assert.deepEqual(house.world.bugs, [], `seed ${seed}`);
  }
});
