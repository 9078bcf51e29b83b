import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../../core/caller.ts';
import { DENIED, OK, UNKNOWN } from '../../core/outcome.ts';
import { Rules } from '../accounts/rules/rules.ts';
import type { Message } from './contract.ts';
import { announceEvent } from './events.ts';
import { House, NO_HISTORY } from './testing/house.ts';

const who = (account: string, more: Partial<Caller> = {}): Caller => ({
  account,
  scopes: null,
  origin: 'remote',
  epoch: 0,
  by: account === '' ? '' : 'password',
  id: account === '' ? '' : `id-${account}`,
  ...more,
});
const ANN = who('ann');
const BOB = who('bob');
const NOBODY = who('');

class Book {
  readonly rules = new Rules();
  texts: string[] = [];

  constructor(...texts: string[]) {
    this.set(...texts);
  }

  set(...texts: string[]): void {
    this.texts = texts;
    const groups = { groupsOf: (account: string) => (account === '' ? null : account === 'root' ? ['admins'] : []) };
    this.rules.replace(
      texts.map((text, index) => ({ id: String(index), text })),
      groups,
    );
  }
}

const ALL_FOR_ANN = 'allow ann * topics/#';

test('publishing: denied without a rule, unknown without a name', async () => {
  const { rules } = new Book(ALL_FOR_ANN, 'deny ann publish topics/secret/#');
  const house = await House.open(undefined, 1, rules);
  assert.equal((await house.publish('a', 'x', {}, ANN))[0], OK);
  assert.equal((await house.publish('secret/a', 'x', {}, ANN))[0], DENIED);
  assert.equal((await house.publish('a', 'x', {}, BOB))[0], DENIED);
  assert.equal((await house.publish('a', 'x', {}, NOBODY))[0], UNKNOWN);
  assert.deepEqual(house.world.bugs, []);
});

for (const [name, policies] of [
  ['durable', undefined],
  ['none', NO_HISTORY],
] as const)
  test(`history ${name}: who subscribes to all gets what they may have`, async () => {
    const book = new Book(ALL_FOR_ANN, 'allow bob subscribe,read topics/#', 'deny bob * topics/secret/#');
    const house = await House.open(policies === undefined ? undefined : [...policies], 1, book.rules);
    await house.publish('a/kept', '1', { retain: true }, ANN);
    await house.publish('secret/kept', '2', { retain: true }, ANN);
    const bob = house.attach(BOB);
    assert.equal((await house.subscribe(bob, '#'))[0], OK);
    assert.equal((await house.subscribe(bob, 'secret/#'))[0], DENIED);
    const nobody = house.attach(NOBODY);
    assert.equal((await house.subscribe(nobody, '#'))[0], UNKNOWN);
    await house.publish('a', '3', {}, ANN);
    await house.publish('secret/a', '4', {}, ANN);
    await house.pass();
    assert.deepEqual(bob.got, ['a/kept=1 r', 'a=3']);
    const why = house.topics.why(ANN, 'secret/a', 0);
    assert.ok(Array.isArray(why) && why.some(({ reason }) => reason === 'denied'));

    // A change holds for subscriptions that stand.
    book.set(ALL_FOR_ANN, 'allow bob subscribe,read topics/#', 'deny bob * topics/a/#');
    await house.publish('a', '5', {}, ANN);
    await house.publish('secret/a', '6', {}, ANN);
    await house.pass();
    assert.deepEqual(bob.got.slice(2), ['secret/a=6']);
    assert.deepEqual(house.world.bugs, []);
  });

test('retained values, history and replay give only what may be read', async () => {
  const book = new Book(ALL_FOR_ANN, 'allow bob subscribe,read topics/#', 'deny bob * topics/secret/#');
  const house = await House.open(undefined, 1, book.rules);
  const [, first] = await house.publish('a', '1', { retain: true }, ANN);
  await house.publish('secret/a', '2', { retain: true }, ANN);
  await house.publish('a', '3', { retain: true }, ANN);
  const { topics } = house;
  assert.equal(topics.retained(BOB, 'secret/a'), DENIED);
  assert.equal(topics.retained(NOBODY, 'a'), UNKNOWN);
  assert.equal((topics.retained(BOB, 'a') as Message).topic, 'a');
  const seen: string[] = [];
  assert.equal(
    topics.eachRetained(BOB, '#', ({ topic }) => void seen.push(topic)),
    OK,
  );
  assert.deepEqual(seen, ['a']);
  assert.equal(
    topics.eachRetained(BOB, 'secret/#', () => assert.fail()),
    DENIED,
  );
  const history = await house.settle(topics.history(BOB, '#', 0, 100));
  assert.ok(typeof history === 'object');
  assert.deepEqual(
    history.messages.map(({ topic }) => topic),
    ['a', 'a'],
  );
  assert.equal(await house.settle(topics.history(BOB, 'secret/#', 0, 100)), DENIED);
  const bob = house.attach(BOB);
  await house.subscribe(bob, '#', { after: first! - 1, retained: 'never' });
  await house.pass();
  assert.deepEqual(bob.got, ['a=1', 'a=3']);
});

test('what waited for a subscriber that lasts is not given once it may not have it', async () => {
  const book = new Book(ALL_FOR_ANN, 'allow bob * topics/#');
  const house = await House.open(undefined, 1, book.rules);
  const [first] = await house.attachDurable('phone', {}, undefined, BOB);
  await house.subscribe(first, '#');
  first.attachment.detach();
  await house.publish('a', '1', {}, ANN);
  await house.publish('secret/a', '2', {}, ANN);
  book.set(ALL_FOR_ANN, 'allow bob * topics/#', 'deny bob * topics/secret/#');
  await house.crash();
  await house.publish('secret/a', '3', {}, ANN);
  const [again] = await house.attachDurable('phone', {}, undefined, BOB);
  await house.pass();
  assert.deepEqual(again.got, ['a=1']);
  assert.deepEqual(house.world.bugs, []);
});

test('what comes while a subscriber is away is for what its token was for', async () => {
  const house = await House.open(undefined, 1, new Book(ALL_FOR_ANN, 'allow bob * topics/#').rules);
  const token = who('bob', { by: 'token:phone', scopes: ['subscribe topics/a/#'] });
  const [first] = await house.attachDurable('phone', {}, undefined, token);
  assert.equal((await house.subscribe(first, '#'))[0], OK);
  first.attachment.detach();
  await house.crash();
  await house.publish('a', '1', {}, ANN);
  await house.publish('b', '2', {}, ANN);
  const [again] = await house.attachDurable('phone', {}, undefined, BOB);
  await house.pass();
  assert.deepEqual(again.got, ['a=1']);
});

test('a will is published with what its owner may do then', async () => {
  const book = new Book(ALL_FOR_ANN, 'allow bob publish topics/b');
  const house = await House.open(undefined, 1, book.rules);
  const ann = house.attach(ANN);
  await house.subscribe(ann, '#');
  const will = (topic: string) => {
    const bob = house.attach(BOB);
    const publication = { topic, payload: Buffer.from('gone'), assurance: 1 as const };
    house.topics.arm(bob.attachment, BOB, { publication, delayMs: 0 });
    bob.attachment.detach();
  };
  will('a');
  will('b');
  book.set(ALL_FOR_ANN);
  will('b');
  await house.pass();
  assert.deepEqual(ann.got, ['b=gone']);
});

test('of a group only those get a message who may have it', async () => {
  const house = await House.open(
    undefined,
    1,
    new Book(ALL_FOR_ANN, 'allow bob subscribe topics/#', 'deny bob * topics/secret').rules,
  );
  const bob = house.attach(BOB);
  const ann = house.attach(ANN);
  await house.subscribe(bob, '#', { group: 'g' });
  await house.subscribe(ann, '#', { group: 'g' });
  for (let step = 0; step < 6; step++) await house.publish('secret', String(step), {}, ANN);
  for (let step = 0; step < 6; step++) await house.publish('open', String(step), {}, ANN);
  await house.pass();
  assert.ok(!bob.got.some((text) => text.startsWith('secret')));
  assert.equal(ann.got.filter((text) => text.startsWith('secret')).length, 6);
  assert.equal(bob.got.length + ann.got.length, 12);
  assert.ok(bob.got.length > 0);
});

test('the events of other resources are heard by whoever may read what they tell of', async () => {
  const { rules } = new Book(ALL_FOR_ANN, 'allow ann read files/shared/#');
  const house = await House.open(undefined, 1, rules);
  const tell = () => {
    for (const topic of ['files/shared/a', 'files/private/b', 'accounts/audit', 'plain'])
      announceEvent(house.topics, topic, { topic });
  };
  const root = who('root');
  const heard = async (caller: Caller, filter: string) => {
    const listener = house.attach(caller);
    const [outcome] = await house.subscribe(listener, filter);
    tell();
    await house.pass();
    return outcome === OK ? listener.got.map((line) => line.split('=')[0]) : outcome;
  };
  assert.deepEqual(await heard(ANN, '#'), ['files/shared/a', 'plain']);
  assert.deepEqual(await heard(ANN, 'files/#'), ['files/shared/a']);
  assert.deepEqual(await heard(ANN, 'files/shared/+'), ['files/shared/a']);
  assert.equal(await heard(ANN, 'files/private/b'), DENIED);
  assert.equal(await heard(ANN, 'accounts/#'), DENIED);
  assert.deepEqual(await heard(root, 'accounts/#'), ['accounts/audit']);
  // Administrators name what is theirs alone.
  assert.deepEqual(await heard(root, '#'), ['files/shared/a', 'files/private/b', 'plain']);
  assert.deepEqual(await heard(root, '+/audit'), []);
});
