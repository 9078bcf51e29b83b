import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DENIED, FULL, INVALID, MISSING, OK } from '../../core/outcome.ts';
import type { Assurance, Message } from './contract.ts';
import { SysTopics } from './sys.ts';
import { CALLER, House, Listener, NO_HISTORY, QUEUE } from './testing/house.ts';

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

test('what the history drops while a slow subscriber reads it is a gap as well', async () => {
  const house = await House.open([{ filter: '#', history: 'durable', last: 600 }]);
  const publish = (from: number, to: number) => {
    for (let index = from; index < to; index++)
      house.topics.publish(
        CALLER,
        { topic: 'a', payload: Buffer.from(String(index)), assurance: 1 },
        { settled() {} },
        0,
      );
    return house.pass();
  };
  await publish(0, 600);
  // From storage rather than from memory.
  await house.crash();
  const listener = house.attach();
  listener.room = 10;
  await house.subscribe(listener, 'a', { after: 0 });
  await house.pass();
  // More than memory holds: the subscriber must go on in the store, which has only the last of them.
  await publish(600, 10_000);
  listener.room = Number.POSITIVE_INFINITY;
  listener.attachment.more();
  await house.pass(100);
  const numbers = listener.got.map((text) => (text.startsWith('gap') ? -1 : Number(text.split('=')[1])));
  // A page was in memory by then.
  assert.deepEqual(numbers.slice(0, 257), [...Array.from({ length: 256 }, (_, index) => index), -1]);
  assert.deepEqual(
    numbers.slice(257),
    Array.from({ length: 600 }, (_, index) => 9_400 + index),
  );
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

test('the server tells of itself below $SYS: retained, not stored, and not by `#`', async () => {
  const house = await House.open();
  const sys = new SysTopics(house.topics, house.world.turn, 'Portico/test');
  await house.publish('a', 'x');
  const all = house.attach();
  await house.subscribe(all, '#');
  await house.pass(11_000);
  const listener = house.attach();
  await house.subscribe(listener, '$SYS/broker/+');
  await house.pass();
  assert.ok(listener.got.includes('$SYS/broker/version=Portico/test r'), listener.got.join());
  await house.subscribe(listener, '$SYS/broker/publish/#');
  await house.pass(10_000);
  assert.ok(listener.got.includes('$SYS/broker/publish/messages/received=1 r'), listener.got.join());
  assert.deepEqual(all.got, []);
  sys.stop();
  await house.crash();
  assert.equal(house.topics.figures.retained, 0);
});

test('nothing is seen or acknowledged before a stalled disk goes on, and the rest of the house goes on meanwhile', async () => {
  const house = await House.open([
    { filter: 'quick/#', history: 'none' },
    { filter: '#', history: 'durable' },
  ]);
  const listener = house.attach();
  await house.subscribe(listener, '#');
  house.disk.stall(true);
  let acknowledged = 0;
  const waiter = { settled: () => void acknowledged++ };
  const publication = { topic: 'a', payload: Buffer.from('x'), assurance: 1 as const };
  house.topics.publish(CALLER, publication, waiter, 1);
  await house.pass(1_000);
  await house.publish('quick/b', 'y');
  assert.deepEqual([acknowledged, listener.got], [0, ['quick/b=y']]);
  house.disk.stall(false);
  await house.pass();
  assert.deepEqual([acknowledged, listener.got], [1, ['quick/b=y', 'a=x']]);
});

test('a subscriber is told when its subscription is live, and up to where it was given the history', async () => {
  const house = await House.open();
  const cursors: number[] = [];
  for (const text of ['1', '2', '3']) cursors.push((await house.publish('a', text, { retain: true }))[1]!);
  const listener = house.attach();
  const live: string[] = [];
  Object.assign(listener, {
    live: (filter: string, cursor: number) => void live.push(`${filter} ${cursor} behind ${listener.got.length}`),
  });
  listener.room = 1;
  await house.subscribe(listener, 'a', { after: cursors[0]!, retained: 'never' });
  await house.pass();
  assert.deepEqual(live, []);
  listener.room = 10;
  listener.attachment.more();
  await house.pass();
  assert.deepEqual(live.splice(0), [`a ${cursors[2]} behind 2`]);
  // Without a cursor it is live at once, before retained values.
  await house.subscribe(listener, '#');
  await house.pass();
  assert.deepEqual(live, [`# ${cursors[2]} behind 2`]);
  assert.equal(listener.got.at(-1), 'a=3 r');
});
