// portico.json over real sockets: our client with a server on disk, over lost connections and a restart; and the `ws`
// package with compression.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { bindLimits } from '../../src/core/limits.ts';
import type { Pipe } from '../../src/core/pipe.ts';
import { NO_EVENTS, PIPE_BOUNDS } from '../../src/core/stream-pipe.ts';
import { Portico } from '../../src/portico.ts';
import { PorticoJsonClient, type PorticoJsonEvents } from '../../src/protocols/messages/client.ts';
import type { Positions } from '../../src/protocols/messages/positions.ts';
import { WebSocketClient } from '../../src/protocols/websocket/client.ts';
import { limits } from '../../src/protocols/websocket/limits.ts';
import { NODE_LOOP, TurnLoop } from '../../src/server/turn.ts';
import { Random } from '../../src/sim/random.ts';
import { dial } from '../../src/transports/socket-pipe.ts';

const CALLER = { account: '', scopes: null, origin: 'local', epoch: 0 } as const;

async function until(done: () => boolean, what: string): Promise<void> {
  for (let round = 0; !done(); round++) {
    assert.ok(round < 2_000, `${what} does not happen`);
    await sleep(5);
  }
}

const turn = new TurnLoop(NODE_LOOP, (error) => {
  throw error;
});

const NOTHING: PorticoJsonEvents = {
  answered() {},
  message() {},
  live() {},
  gap() {},
  refused() {},
  roomy() {},
  closed() {},
};

/** Our client on our WebSocket on a socket of ours. */
async function connect(
  address: string,
  events: Partial<PorticoJsonEvents>,
  positions?: Positions,
): Promise<{ client: PorticoJsonClient; pipe: Pipe; isOver: () => boolean }> {
  const { hostname, port, host } = new URL(address);
  let client: PorticoJsonClient | null = null;
  let pipe: Pipe | null = null;
  let over = false;
  const told: PorticoJsonEvents = {
    ...NOTHING,
    ...events,
    closed: () => {
      over = true;
    },
  };
  dial(
    { host: hostname, port: Number(port) },
    null,
    { turn, bounds: PIPE_BOUNDS, events: NO_EVENTS },
    (made) => {
      pipe = made;
      return new WebSocketClient(made, {
        authority: host,
        target: '/ws',
        subprotocols: ['portico.json'],
        compress: true,
        limits: bindLimits(limits),
        entropy: new Random(1),
        open: (messages) =>
          (client = new PorticoJsonClient(messages, told, positions === undefined ? {} : { positions })),
        refused: (fault, cause) => assert.fail(`refused: ${fault?.id ?? cause}`),
      });
    },
    (_cause, why) => assert.fail(why),
  );
  await until(() => client !== null, 'the handshake');
  return { client: client!, pipe: pipe!, isOver: () => over };
}

test('no gap and no repeat over lost connections and a restart of the server', async (context) => {
  const data = mkdtempSync(join(tmpdir(), 'portico-'));
  const options = { ports: 'ephemeral', data } as const;
  let portico = await Portico.start(options);
  context.after(async () => {
    await portico.close();
    rmSync(data, { recursive: true, force: true });
  });
  let published = 0;
  const publish = async (count: number) => {
    for (let index = 0; index < count; index++) {
      const number = published++;
      const topic = number % 3 === 0 ? 'r/b' : 'r/a';
      const payload = Buffer.from(`${number} ${'x'.repeat(number % 7 === 0 ? 5_000 : 10)}`);
      portico.topics.publish(CALLER, { topic, payload, assurance: 0 }, { settled() {} }, 1);
      if (number % 16 === 0) await sleep(0);
    }
  };
  const got: number[] = [];
  const gaps: string[] = [];
  const events = {
    message: ({ payload }: { payload: Buffer }) => void got.push(Number.parseInt(payload.toString(), 10)),
    gap: (filter: string) => void gaps.push(filter),
  };
  let connection = await connect(portico.urls.ws!, events);
  const { positions } = connection.client;
  for (const filter of ['r/a', 'r/#']) connection.client.subscribe(filter);
  await until(() => connection.client.open === 0, 'the answers');
  const random = new Random(7);
  for (let round = 0; round < 12; round++) {
    if (round === 6) {
      await portico.close();
      await until(() => connection.isOver(), 'the end by the server');
      portico = await Portico.start(options);
    } else {
      const publishing = publish(60);
      await sleep(random.below(8));
      connection.pipe.reset(0);
      await publishing;
    }
    await until(() => connection.isOver(), 'the end');
    connection = await connect(portico.urls.ws!, events, positions);
    connection.client.resume();
    // Some come back to a cut in the middle of their history.
    if (round % 3 !== 0) await until(() => connection.client.open === 0, 'the answers');
  }
  await until(() => new Set(got).size === published, 'all that was published');
  await sleep(50);
  assert.equal(got.length, published, 'some came twice');
  assert.deepEqual(gaps, []);
  connection.client.end();
  await until(() => connection.isOver(), 'the close');
});

test('the ws package: compressed text both ways, and errors as they are documented', async (context) => {
  const portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  context.after(() => portico.close());
  const socket = new WebSocket(`${portico.urls.ws}/`, 'portico.json');
  const heard: Record<string, unknown>[] = [];
  socket.on('message', (data: Buffer, isBinary) => {
    assert.equal(isBinary, false);
    heard.push(JSON.parse(data.toString()) as Record<string, unknown>);
  });
  await once(socket, 'open');
  assert.equal(socket.protocol, 'portico.json');
  assert.match(socket.extensions, /permessage-deflate/);
  const payload = 'lorem ipsum '.repeat(2_000);
  socket.send('{"subscribe":"x","id":"s"}');
  socket.send(JSON.stringify({ publish: 'x', payload, id: 'p' }));
  await until(() => heard.length === 4, 'the message');
  assert.equal(heard.find(({ topic }) => topic === 'x')!.payload, payload);
  socket.send('{"publish":"x"}');
  await until(() => heard.length === 5, 'the error');
  assert.deepEqual(heard[4], { error: { outcome: 'INVALID', detail: 'one of payload, base64 and json is needed' } });
  socket.send('not JSON');
  const [code, reason] = await once(socket, 'close');
  assert.deepEqual([code, String(reason)], [1007, 'this is not JSON']);
});
