import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DENIED, OK, type Outcome } from '../../core/outcome.ts';
import { CALLER, House, Listener, NO_HISTORY, QUEUE } from './testing/house.ts';

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

test('random subscribers, publishers and crashes: nothing acknowledged is lost or, at most once a crash, repeated', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const house = await House.open(seed % 2 === 0 ? NO_HISTORY : undefined, seed);
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

test('one that ends with its connection is superseded by name, and stores nothing', async () => {
  const house = await House.open(NO_HISTORY);
  const [first, none] = await house.attachDurable('d', { keepMs: 0 }, (listener) => {
    listener.prompt = false;
  });
  await house.subscribe(first, '#', { assurance: 2 });
  const once = { assurance: 2 as const, once: 3, from: first.attachment };
  await house.publish('a', 'x', once);
  await house.publish('a', 'x', once);
  await house.pass();
  assert.deepEqual([none, first.got], [0, ['a=x']]);
  const space = (house.engine as unknown as { spaces: Map<string, { head: number }> }).spaces.get('topics')!;
  assert.equal(space.head, 0);
  const [second, present] = await house.attachDurable('d', { keepMs: 0 });
  assert.deepEqual([first.told, present], [['superseded'], 1]);
  second.attachment.detach();
  assert.equal(house.topics.figures.durables, 0);
  // One that lasted and does not any more is gone after a crash.
  const [third] = await house.attachDurable('d');
  await house.subscribe(third, '#');
  third.attachment.detach();
  await house.publish('a', 'kept for it');
  const [fourth, there] = await house.attachDurable('d', { keepMs: 0 });
  await house.pass();
  assert.deepEqual([there, fourth.got], [1, ['a=kept for it']]);
  await house.crash();
  assert.equal(house.topics.figures.durables, 0);
  assert.deepEqual(house.world.bugs, []);
});

test('what was kept in open mode, or for a former account of the name, is not given to the account of that name', async () => {
  const house = await House.open(NO_HISTORY);
  const [first] = await house.attachDurable('d');
  await house.subscribe(first, 'a/#');
  first.attachment.detach();
  await house.publish('a/1', 'for nobody');
  await house.crash();
  const account = { ...CALLER, by: 'password', id: 'one' };
  const [second, present] = await house.attachDurable('d', {}, undefined, account);
  await house.pass();
  assert.deepEqual([present, second.got], [0, []]);
  await house.subscribe(second, 'a/#');
  second.attachment.detach();
  await house.publish('a/2', 'for the first ann');
  await house.crash();
  const [third, again] = await house.attachDurable('d', {}, undefined, { ...account, id: 'two' });
  await house.pass();
  assert.deepEqual([again, third.got], [0, []]);
  await house.subscribe(third, 'a/#');
  third.attachment.detach();
  await house.publish('a/3', 'for the second ann');
  const [fourth, still] = await house.attachDurable('d', {}, undefined, { ...account, id: 'two' });
  await house.pass();
  assert.deepEqual([still, fourth.got], [1, ['a/3=for the second ann']]);
  // Somebody else's stays somebody else's.
  fourth.attachment.detach();
  const bob = { ...account, account: 'bob', id: 'three' };
  const [outcome] = await house.ask((waiter) => {
    const options = { ...QUEUE, id: 'd', fresh: false, keepMs: 1_000 };
    house.topics.attachDurable(bob, new Listener(), options, waiter, 1);
  });
  assert.equal(outcome, DENIED);
  assert.deepEqual(house.world.bugs, []);
});

test('when open mode ends, what was kept for names that were only said ends, with its connection where it has one', async () => {
  const house = await House.open(NO_HISTORY);
  const [first] = await house.attachDurable('offline');
  const [second] = await house.attachDurable('online');
  const [third] = await house.attachDurable('anns', {}, undefined, { ...CALLER, by: 'password', id: 'one' });
  first.attachment.detach();
  third.attachment.detach();
  house.topics.endNameless();
  assert.equal(house.topics.figures.durables, 2);
  second.attachment.detach();
  assert.equal(house.topics.figures.durables, 1);
  await house.pass();
  await house.crash();
  assert.equal(house.topics.figures.durables, 1);
});
