// The table of docs/security.md, "Signing in", cell by cell over real sockets: what opens which protocol once there is an
// account, and that what is revoked ends on all of them at once, and nothing else does.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { Portico } from '../src/portico.ts';
import { missing, run } from './clients.ts';
import { runCommand } from './server-process.ts';

const PASSWORD = 'correct horse';
let portico: Portico;
let token = '';

async function order(
  what: string,
  fields: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await portico.order({ do: what, ...fields });
  assert.ok(answer.ok, answer.ok ? '' : answer.error);
  return answer;
}

before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  await order('account.add', { name: 'ann', password: PASSWORD });
  await order('account.add', { name: 'bob', password: PASSWORD });
  token = String((await order('token.add', { account: 'ann', label: 'ci' })).token);
});

after(() => portico.close());

const basic = (name: string, password: string) => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;

async function http(
  path: string,
  authorization?: string,
  more: Readonly<Record<string, string>> = {},
): Promise<number> {
  const headers = { ...(authorization === undefined ? {} : { authorization }), ...more };
  const answer = await fetch(portico.urls.http! + path, { headers });
  await answer.body?.cancel();
  return answer.status;
}

/** `open`, or how it was not. */
function socket(path: string, protocols: string[] = []): Promise<string> {
  return new Promise((resolve) => {
    const opened = new WebSocket(portico.urls.ws! + path, protocols);
    opened.onopen = () => {
      opened.close();
      resolve('open');
    };
    opened.onerror = () => resolve('refused');
  });
}

async function join(url: string, options: IClientOptions): Promise<number | string | undefined> {
  try {
    const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, protocolVersion: 5, ...options });
    await client.endAsync();
    return 0;
  } catch (error) {
    return (error as { code?: number | string }).code;
  }
}

/** Says some lines; answers what comes until it has as many. */
async function lines(text: string, count: number): Promise<string[]> {
  const { hostname, port } = new URL(portico.urls.lines!.replace('tcp:', 'http:'));
  const client = connect(Number(port), hostname);
  client.write(text);
  let heard = '';
  for await (const chunk of client) {
    heard += String(chunk);
    if (heard.split('\n').length > count) break;
  }
  return heard.split('\n').slice(0, count);
}

describe('HTTP', () => {
  test('nothing, right and wrong', async () => {
    assert.equal(await http('/topics'), 401);
    assert.equal(await http('/topics', basic('ann', PASSWORD)), 200);
    assert.equal(await http('/topics', basic('ann', 'wrong horse')), 401);
    assert.equal(await http('/topics', basic('zoe', PASSWORD)), 401);
    assert.equal(await http('/topics', basic('ann', token)), 200);
    assert.equal(await http('/topics', `Bearer ${token}`), 200);
    assert.equal(await http('/topics', `Bearer ${token}x`), 401);
  });

  test('a password behind a proxy, which may have come in the clear', async () => {
    assert.equal(await http('/topics', basic('ann', PASSWORD), { via: '1.1 proxy' }), 403);
  });

  test('/healthz is for anyone, /metrics for who may read server/metrics', async () => {
    assert.equal(await http('/healthz'), 200);
    assert.equal(await http('/metrics'), 401);
    assert.equal(await http('/metrics', basic('bob', PASSWORD)), 403);
    assert.equal(await http('/metrics', basic('ann', PASSWORD)), 200);
  });

  test('a body that comes with a password that has to be checked first is whole', async () => {
    const url = `${portico.urls.http}/topics/door`;
    await order('account.add', { name: 'cat', password: PASSWORD, admin: true });
    const body = 'x'.repeat(300_000);
    const headers = { authorization: basic('cat', PASSWORD) };
    const put = await fetch(url, { method: 'PUT', body, headers });
    assert.ok(put.ok, String(put.status));
    const read = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await read.text()).length, body.length);
  });
});

test('streams of events: by field, and by a token in the query', async () => {
  const accept = { accept: 'text/event-stream' };
  assert.equal(await http('/topics/a', undefined, accept), 401);
  assert.equal(await http('/topics/a', `Bearer ${token}`, accept), 200);
  assert.equal(await http(`/topics/a?access_token=${token}`, undefined, accept), 200);
  assert.equal(await http(`/topics/a?access_token=${token}x`, undefined, accept), 401);
  assert.equal(await http(`/topics?access_token=${token}`), 401);
});

test('WebSocket: by a token in the query; MQTT on it asks itself', async () => {
  assert.equal(await socket('/topics/a'), 'refused');
  assert.equal(await socket(`/topics/a?access_token=${token}`), 'open');
  assert.equal(await socket(`/topics/a?access_token=${token}x`), 'refused');
  assert.equal(await socket('/', ['portico.json']), 'refused');
  assert.equal(await socket(`/?access_token=${token}`, ['portico.json']), 'open');
  assert.equal(await join(portico.urls['mqtt-ws']!, { username: 'ann', password: PASSWORD }), 0);
  assert.equal(await join(portico.urls['mqtt-ws']!, {}), 0x87);
  assert.equal(await join(portico.urls['mqtt-ws']!, { username: 'ann', password: 'wrong horse' }), 0x86);
});

test('MQTT: password, token as password, nothing, wrong; in 3.1.1 as well', async () => {
  const url = portico.urls.mqtt!;
  for (const [protocolVersion, wrong, nobody] of [
    [5, 0x86, 0x87],
    [4, 4, 5],
  ] as const) {
    assert.equal(await join(url, { protocolVersion, username: 'ann', password: PASSWORD }), 0);
    assert.equal(await join(url, { protocolVersion, username: 'ann', password: token }), 0);
    assert.equal(await join(url, { protocolVersion, username: 'bob', password: token }), wrong);
    assert.equal(await join(url, { protocolVersion, username: 'ann', password: 'wrong horse' }), wrong);
    assert.equal(await join(url, { protocolVersion }), nobody);
  }
});

test('mosquitto_pub signs in', { skip: missing('mosquitto_pub', '--help') }, async () => {
  const { port } = new URL(portico.urls.mqtt!.replace('mqtt:', 'http:'));
  const args = ['-h', '127.0.0.1', '-p', port, '-t', 'a', '-m', 'b', '-q', '1'];
  assert.equal((await run('mosquitto_pub', ...args, '-u', 'ann', '-P', PASSWORD)).code, 0);
  assert.equal((await run('mosquitto_pub', ...args, '-u', 'ann', '-P', token, '-V', '5')).code, 0);
  assert.equal((await run('mosquitto_pub', ...args)).code, 5);
});

test('curl signs in', { skip: missing('curl') }, async () => {
  const url = `${portico.urls.http}/topics/curl`;
  const status = async (...args: string[]) =>
    (await run('curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', ...args, url)).out;
  assert.equal(await status('-u', `ann:${PASSWORD}`, '-T', '/etc/hostname'), '201');
  assert.equal(await status('-H', `Authorization: Bearer ${token}`), '200');
  assert.equal(await status(), '401');
});

test('portico pub signs in, with a password of the environment', async () => {
  const place = (name: string, path: string) => `${portico.urls[name]}${path}`.replace('://', '://ann@');
  for (const url of [place('mqtt', '/a'), place('http', '/topics/a'), place('lines', '/a')]) {
    const args = ['pub', url, 'hello'];
    const right = await runCommand(args, '', { environment: { PORTICO_PASSWORD: token } });
    assert.equal(right.code, 0, `${url} ${right.errors}`);
  }
  const wrong = await runCommand(['pub', place('mqtt', '/a'), 'hello'], '', {
    environment: { PORTICO_PASSWORD: 'wrong' },
  });
  assert.notEqual(wrong.code, 0);
});

test('lines: NAME with a password or a token; datagrams have no way to sign in', async () => {
  assert.match((await lines('PUB! a 1\n', 1))[0]!, /^-ERR UNKNOWN/);
  assert.deepEqual((await lines(`NAME! ann ${PASSWORD.replace(' ', '%20')}\nPUB! a 1\n`, 2)).map(firstWord), [
    '+OK',
    '+OK',
  ]);
  assert.deepEqual((await lines(`NAME! ann ${token}\nPUB! a 1\n`, 2)).map(firstWord), ['+OK', '+OK']);
  assert.deepEqual((await lines('NAME! ann wrong\nPUB! a 1\n', 2)).map(firstWord), ['-ERR', '-ERR']);
  const { port } = new URL(portico.urls.udp!.replace('udp:', 'http:'));
  const datagrams = createSocket('udp4');
  datagrams.send('SUB a', Number(port), '127.0.0.1');
  const [answer] = (await once(datagrams, 'message')) as [Buffer];
  datagrams.close();
  assert.match(String(answer), /^-ERR UNKNOWN SUB/);
});

const firstWord = (line: string) => line.split(' ')[0];

// ---- ending ------------------------------------------------------------------------------------------------------------

/** One connection on each protocol that was opened by a secret; `over` resolves when it has ended. */
interface Open {
  readonly name: string;
  readonly over: Promise<unknown>;
  isOver: boolean;
  end(): void;
}

async function openAll(secret: string): Promise<Open[]> {
  const all: Open[] = [];
  const add = (name: string, over: Promise<unknown>, end: () => void) => {
    const open: Open = { name, over, isOver: false, end };
    over.finally(() => {
      open.isOver = true;
    });
    all.push(open);
  };
  const client = await mqtt.connectAsync(portico.urls.mqtt!, {
    reconnectPeriod: 0,
    protocolVersion: 5,
    username: 'ann',
    password: secret,
  });
  client.on('error', () => {});
  add('mqtt', closed(client), () => client.end(true));
  const carried = await mqtt.connectAsync(portico.urls['mqtt-ws']!, {
    reconnectPeriod: 0,
    protocolVersion: 5,
    username: 'ann',
    password: secret,
  });
  carried.on('error', () => {});
  add('mqtt-ws', closed(carried), () => carried.end(true));
  const line = await named(secret);
  add('lines', once(line, 'close'), () => line.destroy());
  const controller = new AbortController();
  const events = await fetch(`${portico.urls.http}/topics/a`, {
    headers: { authorization: basic('ann', secret), accept: 'text/event-stream' },
    signal: controller.signal,
  });
  assert.equal(events.status, 200);
  add(
    'sse',
    events.text().catch(() => ''),
    () => controller.abort(),
  );
  if (!secret.startsWith('ptk_')) return all;
  const opened = new WebSocket(`${portico.urls.ws}/topics/a?access_token=${secret}`);
  await once(opened, 'open');
  add('websocket', once(opened, 'close'), () => opened.close());
  return all;
}

const closed = (client: MqttClient) => new Promise<void>((resolve) => client.once('close', resolve));

async function named(secret: string): Promise<Socket> {
  const { hostname, port } = new URL(portico.urls.lines!.replace('tcp:', 'http:'));
  const line = connect(Number(port), hostname);
  line.write(`NAME! ann ${secret.replace(' ', '%20')}\nSUB! a\n`);
  const [heard] = (await once(line, 'data')) as [Buffer];
  assert.match(String(heard), /^\+OK/);
  line.resume();
  return line;
}

test('a revoked token ends what came by it on all protocols, and nothing else', { timeout: 30_000 }, async () => {
  const made = await order('token.add', { account: 'ann', label: 'short-lived' });
  const byToken = await openAll(String(made.token));
  const byPassword = await openAll(PASSWORD);
  await order('token.revoke', { account: 'ann', label: 'short-lived' });
  await Promise.race([Promise.all(byToken.map(({ over }) => over)), pause(5_000)]);
  assert.deepEqual(
    byToken.filter(({ isOver }) => !isOver).map(({ name }) => name),
    [],
  );
  assert.deepEqual(
    byPassword.filter(({ isOver }) => isOver).map(({ name }) => name),
    [],
  );
  assert.equal(await http('/topics', `Bearer ${made.token}`), 401);
  // Then the account, and with it all the rest.
  await order('account.disable', { name: 'ann' });
  await Promise.race([Promise.all(byPassword.map(({ over }) => over)), pause(5_000)]);
  assert.deepEqual(
    byPassword.filter(({ isOver }) => !isOver).map(({ name }) => name),
    [],
  );
  await order('account.enable', { name: 'ann' });
});

test('the first account ends what was let in by open mode', { timeout: 30_000 }, async () => {
  await using open = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  assert.equal(open.isOpen, true);
  const client = await mqtt.connectAsync(open.urls.mqtt!, { reconnectPeriod: 0, username: 'ann', protocolVersion: 5 });
  client.on('error', () => {});
  const events = await fetch(`${open.urls.http}/topics/a`, { headers: { accept: 'text/event-stream' } });
  const over = Promise.all([closed(client), events.text().catch(() => '')]);
  const answer = await open.order({ do: 'account.add', name: 'ann', password: PASSWORD });
  assert.ok(answer.ok && answer.openModeEnded === true);
  assert.notEqual(await Promise.race([over, pause(5_000, 'still open')]), 'still open');
  assert.equal(open.isOpen, false);
  assert.equal((await fetch(`${open.urls.http}/topics`)).status, 401);
});
