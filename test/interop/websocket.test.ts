// WebSocket with npm ws and with Python's websockets (Debian: python3-websockets), each as client of our server and as
// server of our client, with and without permessage-deflate.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { Random } from '../../src/sim/random.ts';
import { Caller, type House, openHouse } from './websocket-house.ts';

const PYTHON = '/usr/bin/python3';
const present = spawnSync(PYTHON, ['-c', 'import websockets']).status === 0;
const skip = present || process.env.CI === 'true' ? false : 'python3-websockets is not installed';

let house: House;
const running: ChildProcess[] = [];
const servers: WebSocketServer[] = [];

before(async () => {
  house = await openHouse({ messageBytesMax: 32_000_000 });
});

after(async () => {
  for (const child of running) child.kill();
  for (const server of servers) {
    for (const socket of server.clients) socket.terminate();
    server.close();
  }
  await house.close();
  assert.deepEqual(house.bugs, []);
});

async function until(done: () => boolean, what: string): Promise<void> {
  for (let round = 0; !done(); round++) {
    assert.ok(round < 2_000, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Messages of all lengths that are written differently, compressible and not. */
function messages(): { bytes: Buffer; text: boolean }[] {
  const random = new Random(5);
  const sizes = [0, 1, 125, 126, 1_023, 1_024, 65_535, 65_536, 300_000, 3_000_000];
  return sizes.flatMap((size) => {
    const noise = Buffer.alloc(size);
    random.fill(noise);
    return [
      { bytes: noise, text: false },
      { bytes: Buffer.from('\u20ac lorem ipsum '.repeat(Math.ceil(size / 16))), text: true },
    ];
  });
}

function compare(
  heard: readonly { bytes: Buffer; text: boolean }[],
  said: readonly { bytes: Buffer; text: boolean }[],
): void {
  assert.equal(heard.length, said.length);
  for (const [index, { bytes, text }] of said.entries()) {
    assert.equal(heard[index]!.text, text);
    assert.ok(heard[index]!.bytes.equals(bytes), `message ${index} of ${bytes.length} bytes`);
  }
}

for (const perMessageDeflate of [
  false,
  true,
  { serverNoContextTakeover: true, clientNoContextTakeover: true },
  { serverMaxWindowBits: 10, clientMaxWindowBits: 9, threshold: 0 },
]) {
  test(`ws as client: ${JSON.stringify(perMessageDeflate)}`, { timeout: 30_000 }, async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${house.port}/echo?x`, ['c', 'b'], { perMessageDeflate });
    const heard: { bytes: Buffer; text: boolean }[] = [];
    const pongs: string[] = [];
    socket.on('message', (data, isBinary) => void heard.push({ bytes: data as Buffer, text: !isBinary }));
    socket.on('pong', (data) => void pongs.push(data.toString()));
    await once(socket, 'open');
    assert.equal(socket.protocol, 'b');
    assert.equal(socket.extensions.includes('permessage-deflate'), perMessageDeflate !== false);
    const said = messages();
    for (const { bytes, text } of said) socket.send(text ? bytes.toString() : bytes);
    // And one in fragments, with a ping between.
    socket.send('frag', { fin: false });
    socket.ping('between');
    socket.send('ment', { fin: true });
    said.push({ bytes: Buffer.from('fragment'), text: true });
    await until(() => heard.length >= said.length, `${heard.length} of ${said.length}`);
    compare(heard, said);
    assert.deepEqual(pongs, ['between']);
    socket.close(4_002, 'done');
    const [code] = (await once(socket, 'close')) as [number];
    assert.equal(code, 4_002);
  });

  test(`ws as server: ${JSON.stringify(perMessageDeflate)}`, { timeout: 30_000 }, async () => {
    const server = new WebSocketServer({
      port: 0,
      host: '127.0.0.1',
      perMessageDeflate,
      handleProtocols: (names) => [...names].at(-1)!,
    });
    servers.push(server);
    await once(server, 'listening');
    const closes: number[] = [];
    server.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
      socket.on('close', (code) => void closes.push(code));
      socket.ping('still there?');
    });
    const { port } = server.address() as AddressInfo;
    const caller = Caller.call(port, '/x', ['a', 'b']);
    await until(() => caller.messages !== null, caller.refused);
    assert.equal(caller.messages!.subprotocol, 'b');
    const said = messages();
    for (const { bytes, text } of said) {
      caller.say(bytes, text);
      if (caller.messages!.room === 0) await until(() => caller.messages!.room > 0, 'there is no room');
    }
    await until(() => caller.heard.length >= said.length, `${caller.heard.length} of ${said.length}`);
    compare(caller.heard, said);
    caller.messages!.end(4_003, 'done');
    await until(() => caller.closed !== 0, 'it does not close');
    assert.equal(caller.closed, 4_003);
    await until(() => closes.length > 0, 'the server does not close');
    assert.deepEqual(closes, [4_003]);
  });
}

test('ws: the server closes, and says why', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${house.port}/echo`);
  await once(socket, 'open');
  socket.send('close, please');
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  assert.deepEqual([code, reason.toString()], [4_001, 'as you wish']);
});

test('ws: one to many', async () => {
  const sockets = new Array(20).fill(0).map(() => new WebSocket(`ws://127.0.0.1:${house.port}/all`));
  const heard = new Array<string>(20).fill('');
  for (const [index, socket] of sockets.entries())
    socket.on('message', (data) => {
      heard[index] += data.toString().slice(0, 3);
    });
  await Promise.all(sockets.map((socket) => once(socket, 'open')));
  sockets[0]!.send(`1st${'x'.repeat(5_000)}`);
  sockets[0]!.send('2nd');
  await until(() => heard.every((text) => text === '1st2nd'), heard.join());
  for (const socket of sockets) socket.terminate();
});

test('ws: what a server refuses, its client is told', async () => {
  for (const [path, protocols, status] of [
    ['/nowhere', [], 404],
    ['/echo', ['x'], 400],
  ] as const) {
    const socket = new WebSocket(`ws://127.0.0.1:${house.port}${path}`, [...protocols]);
    const [error] = (await once(socket, 'error')) as [Error];
    assert.match(error.message, new RegExp(`${status}`));
    const caller = Caller.call(house.port, path, protocols);
    await until(() => caller.refused !== '', 'it is not refused');
    assert.equal(caller.refused, `websocket.refused ${status}`);
  }
});

test('both halves of ours, over TCP', async () => {
  for (const compress of [true, false]) {
    const caller = Caller.call(house.port, '/echo/some', ['a'], compress);
    await until(() => caller.messages !== null, caller.refused);
    const said = messages();
    for (const { bytes, text } of said) {
      caller.say(bytes, text);
      if (caller.messages!.room === 0) await until(() => caller.messages!.room > 0, 'there is no room');
    }
    await until(() => caller.heard.length >= said.length, `${caller.heard.length} of ${said.length}`);
    compare(caller.heard, said);
    caller.messages!.end(1000);
    await until(() => caller.closed === 1000, String(caller.closed));
  }
});

test('a request that is no handshake', async () => {
  const asked = request({ port: house.port, host: '127.0.0.1', path: '/echo' }).end();
  const [answer] = await once(asked, 'response');
  answer.resume();
  assert.equal(answer.statusCode, 426);
  assert.equal(answer.headers.upgrade, 'websocket');
  assert.match(answer.headers.connection, /upgrade/i);
});

test('frames in one piece with the request, behind a pipelined one', async () => {
  const handshake = [
    'GET /echo HTTP/1.1',
    'Host: 127.0.0.1',
    'Connection: keep-alive, Upgrade',
    'Upgrade: WebSocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '\r\n',
  ].join('\r\n');
  const socket = connect(house.port, '127.0.0.1');
  let heard = '';
  socket.on('data', (bytes) => {
    heard += bytes.toString('latin1');
  });
  // "Hello", masked (RFC 6455 §5.7), and the end.
  const frames = Buffer.from('818537fa213d7f9f4d5158888000000000', 'hex');
  socket.write(Buffer.concat([Buffer.from(`GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n${handshake}`), frames]));
  await once(socket, 'end');
  assert.match(heard, /^HTTP\/1\.1 4\d\d .*\}\nHTTP\/1\.1 101 .*s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/s);
  assert.equal(Buffer.from(heard.slice(heard.lastIndexOf('\r\n') + 2), 'latin1').toString('hex'), '810548656c6c6f8800');
  socket.destroy();
});

/** Runs Python with a script, and what it prints. */
function python(
  script: string,
  ...parameters: string[]
): { child: ChildProcess; output: () => string; done: Promise<number> } {
  const child = spawn(PYTHON, ['-c', script, ...parameters]);
  running.push(child);
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  return { child, output: () => output, done: once(child, 'close').then(([code]) => code as number) };
}

const CLIENT = `
import asyncio, sys, websockets
async def main():
    compression = sys.argv[2] if sys.argv[2] != 'none' else None
    async with websockets.connect(sys.argv[1], compression=compression, subprotocols=['c', 'a'], max_size=None) as socket:
        assert socket.subprotocol == 'a'
        assert (len(socket.extensions) == 1) == (compression is not None)
        said = []
        for size in [0, 1, 125, 126, 1024, 65535, 65536, 300000]:
            said += ['\\u20ac' * size, bytes(range(256)) * (size // 256 + 1)]
        for one in said:
            await socket.send(one)
            assert await socket.recv() == one, len(one)
        await socket.send(['frag', 'ment', '', 's'])
        assert await socket.recv() == 'fragments'
        await asyncio.wait_for(await socket.ping(b'p'), 5)
        await socket.send('close, please')
        try:
            await socket.recv()
            assert False
        except websockets.ConnectionClosed as closed:
            print(closed.rcvd.code, closed.rcvd.reason)
asyncio.run(main())
`;

const SERVER = `
import asyncio, sys, websockets
async def echo(socket, path):
    async for message in socket:
        if message == 'close, please':
            await socket.close(4004, 'as you wish')
        elif message == 'fragments':
            await socket.send(['frag', 'ments'])
        else:
            await socket.send(message)
async def main():
    compression = sys.argv[1] if sys.argv[1] != 'none' else None
    async with websockets.serve(echo, '127.0.0.1', 0, compression=compression, subprotocols=['b'], max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
`;

for (const compression of ['deflate', 'none']) {
  test(`python3-websockets as client, ${compression}`, { skip, timeout: 30_000 }, async () => {
    const { done, output } = python(CLIENT, `ws://127.0.0.1:${house.port}/echo`, compression);
    assert.equal(await done, 0, output());
    assert.match(output(), /4001 .*as you wish/);
  });

  test(`python3-websockets as server, ${compression}`, { skip, timeout: 30_000 }, async () => {
    const { child, output } = python(SERVER, compression);
    await until(() => output().includes('\n'), output());
    const caller = Caller.call(Number(output()), '/', ['a', 'b']);
    await until(() => caller.messages !== null || caller.refused !== '', 'no answer');
    assert.equal(caller.messages?.subprotocol, 'b', caller.refused);
    const said = messages().slice(0, -2);
    for (const { bytes, text } of said) {
      caller.say(bytes, text);
      await until(() => caller.heard.length > 0 && caller.heard.at(-1)!.bytes.equals(bytes), `${bytes.length} bytes`);
    }
    compare(caller.heard, said);
    caller.say(Buffer.from('fragments'), true);
    await until(() => caller.heard.at(-1)!.bytes.toString() === 'fragments', 'no fragments');
    caller.say(Buffer.from('close, please'), true);
    await until(() => caller.closed !== 0, 'it does not close');
    assert.equal(caller.closed, 4_004);
    child.kill();
  });
}
