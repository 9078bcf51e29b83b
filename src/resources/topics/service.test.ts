import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../../core/caller.ts';
import { SILENT } from '../../core/log.ts';
import { Rules } from '../accounts/rules/rules.ts';
import { clientOver } from '../services/client.ts';
import { describe } from '../services/define.ts';
import { OpenServices } from '../services/registry.ts';
import { topicsService } from './service.ts';
import { House, NO_HISTORY } from './testing/house.ts';

const who = (account: string): Caller => ({
  account,
  scopes: null,
  origin: 'remote',
  epoch: 0,
  by: account === '' ? '' : 'password',
  id: account,
});

async function served(policies?: Parameters<typeof House.open>[0]) {
  const rules = new Rules();
  const texts = ['allow ann * topics/#', 'allow bob subscribe,read topics/open/#'];
  rules.replace(
    texts.map((text, index) => ({ id: String(index), text })),
    { groupsOf: (account: string) => (account === '' ? null : []) },
  );
  const house = await House.open(policies, 1, rules);
  const services = new OpenServices({ turn: house.world.turn, log: SILENT, permissions: rules });
  services.put('topics', [describe(topicsService(house.topics), undefined, 'resource')]);
  const clientOf = (account: string) =>
    clientOver(services.carrier(who(account)), 'portico.v1.Topics') as Record<string, (...given: unknown[]) => never>;
  return { house, services, clientOf };
}

test('publishing, what is retained, history, and clearing, each under the topics’ own rules', async () => {
  const { house, clientOf } = await served();
  const ann = clientOf('ann');
  const bob = clientOf('bob');
  const given = {
    topic: 'open/a',
    payload: Buffer.from('1'),
    contentType: 'text/plain',
    retain: true,
    properties: [
      { name: 'a', value: '1' },
      { name: 'a', value: '2' },
    ],
  };
  const { cursor } = await house.settle<{ cursor: bigint }>(ann.Publish!(given));
  assert.ok(cursor > 0n);
  const got = await house.settle<Record<string, unknown>>(bob.Get!({ topic: 'open/a' }));
  assert.deepEqual(
    [Buffer.from(got.payload as Uint8Array).toString(), got.contentType, got.properties, got.publisher, got.cursor],
    ['1', 'text/plain', given.properties, 'ann', cursor],
  );
  for (const [client, method, input, code] of [
    [bob, 'Publish', given, 'PERMISSION_DENIED'],
    [clientOf(''), 'Publish', given, 'UNAUTHENTICATED'],
    [bob, 'Get', { topic: 'secret' }, 'PERMISSION_DENIED'],
    [ann, 'Get', { topic: 'nothing' }, 'NOT_FOUND'],
    [ann, 'Publish', { topic: 'a/#' }, 'INVALID_ARGUMENT'],
    [ann, 'Publish', { topic: 'files/a' }, 'PERMISSION_DENIED'],
    [ann, 'Read', { filter: 'a/#/b' }, 'INVALID_ARGUMENT'],
  ] as const)
    await assert.rejects(
      house.settle(client[method]!(input)),
      (error: { code?: string }) => error.code === code,
      `${method} ${JSON.stringify(input)} is not ${code}`,
    );
  const page = await house.settle<{ messages: { cursor: bigint }[]; cursor: bigint; gap?: unknown }>(
    bob.Read!({ filter: 'open/#', after: 0n }),
  );
  assert.deepEqual([page.messages.map((each) => each.cursor), page.cursor, page.gap], [[cursor], cursor, undefined]);
  await house.settle(ann.Delete!({ topic: 'open/a' }));
  await assert.rejects(house.settle(ann.Get!({ topic: 'open/a' })));
  assert.deepEqual(house.world.bugs, []);
});

test('a stream of publications is published in order', async () => {
  const { house, clientOf } = await served();
  const { PublishMany, Read } = clientOf('ann');
  async function* many() {
    for (let index = 0; index < 600; index++) yield { topic: 'open/n', payload: Buffer.from(String(index)) };
  }
  const { published } = await house.settle<{ published: number }>(PublishMany!(many()));
  assert.equal(published, 600);
  const page = await house.settle<{ messages: { payload: Uint8Array }[] }>(
    Read!({ filter: 'open/n', after: 0n, most: 1_000 }),
  );
  assert.deepEqual(
    page.messages.map(({ payload }) => Buffer.from(payload).toString()),
    Array.from({ length: 600 }, (_, index) => String(index)),
  );
});

for (const [name, policies] of [
  ['durable', undefined],
  ['none', NO_HISTORY],
] as const)
  test(`history ${name}: a subscription has the retained values first, then what comes, and ends with its caller`, async () => {
    const { house, clientOf } = await served(policies === undefined ? undefined : [...policies]);
    await house.publish('open/kept', 'k', { retain: true }, who('ann'));
    const gone = new AbortController();
    const heard: string[] = [];
    const stream = clientOf('bob').Subscribe!({ filter: 'open/#' }, { signal: gone.signal }) as AsyncIterable<{
      message?: { topic: string; payload: Uint8Array };
      retained: boolean;
    }>;
    const ended = (async () => {
      for await (const { message, retained } of stream)
        heard.push(`${message?.topic}=${Buffer.from(message!.payload).toString()}${retained ? ' r' : ''}`);
    })().catch((error: { code?: string }) => error.code);
    const until = async (count: number) => {
      for (let round = 0; heard.length < count && round < 200; round++) await house.settle(house.pass());
    };
    await until(1);
    for (let index = 0; index < 300; index++) await house.publish('open/a', String(index), {}, who('ann'));
    await until(301);
    assert.equal(heard[0], 'open/kept=k r');
    assert.deepEqual(
      heard.slice(1),
      Array.from({ length: 300 }, (_, index) => `open/a=${index}`),
    );
    gone.abort();
    await house.settle(ended);
    await house.pass();
    assert.equal(house.topics.figures.attached, 0);
    assert.deepEqual(house.world.bugs, []);
  });
