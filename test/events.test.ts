// What the server tells of itself as topics: administrators hear of accounts and connections over real clients, others do not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import mqtt from 'mqtt';
import { Portico } from '../src/portico.ts';

const PASSWORD = 'correct horse';

async function until(done: () => boolean, what: string): Promise<void> {
  for (let round = 0; !done(); round++) {
    assert.ok(round < 2_000, `${what} does not happen`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('administrators hear of accounts and connections, and nobody else does', async () => {
  await using portico = await Portico.start({ ports: 'ephemeral', storage: 'memory', hosts: ['127.0.0.1'] });
  for (const name of ['ann', 'bob'])
    assert.ok((await portico.order({ do: 'account.add', name, password: PASSWORD })).ok);
  const ann = await mqtt.connectAsync(portico.urls.mqtt!, { username: 'ann', password: PASSWORD, protocolVersion: 5 });
  const heard: Record<string, unknown>[] = [];
  ann.on('message', (topic, payload) => void heard.push({ topic, ...JSON.parse(payload.toString()) }));
  const granted = await ann.subscribeAsync(['accounts/#', 'connections/+']);
  assert.deepEqual(
    granted.map(({ qos }) => qos),
    [0, 0],
  );
  const bob = await mqtt.connectAsync(portico.urls.mqtt!, { username: 'bob', password: PASSWORD, protocolVersion: 5 });
  for (const filter of ['accounts/#', 'accounts/audit', 'connections/opened'])
    await assert.rejects(bob.subscribeAsync(filter), filter);
  assert.ok((await portico.order({ do: 'account.add', name: 'zoe', password: PASSWORD })).ok);
  await bob.endAsync();
  const has = (fields: Readonly<Record<string, unknown>>) =>
    heard.find((event) => Object.entries(fields).every(([name, value]) => event[name] === value));
  await until(() => has({ topic: 'connections/ended', account: 'bob' }) !== undefined, 'the end of a connection');
  await until(() => has({ topic: 'accounts/audit', what: 'account.add', who: 'zoe' }) !== undefined, 'the audit');
  const opened = has({ topic: 'connections/opened', protocol: 'mqtt' });
  const ended = has({ topic: 'connections/ended', account: 'bob' });
  assert.equal(opened?.connection, ended?.connection);
  assert.ok(!JSON.stringify(heard).includes(PASSWORD));
  await ann.endAsync();
});
