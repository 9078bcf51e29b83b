import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls, TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { BAD, MORE } from '../bytes/reader.ts';
import type { Pipe, Session } from '../core/pipe.ts';
import { type PipesUnderTest, pipeSuite, Recorder, SUITE_BOUNDS } from '../core/pipe-suite.ts';
import { NO_EVENTS, type StreamPipe } from '../core/stream-pipe.ts';
import { type ClientHello, readClientHello } from '../transports/client-hello.ts';
import { helloDissector } from '../transports/hello-dissect.ts';
import { dial, type PipeMaking } from '../transports/socket-pipe.ts';
import { listenStream } from '../transports/tcp.ts';
import { HelloSession } from './hello.ts';
import { NODE_LOOP, TurnLoop } from './turn.ts';

const fixture = (name: string) => readFileSync(new URL(`../../test/fixtures/${name}`, import.meta.url), 'utf8');
const certificate = fixture('localhost.pem');
const identity = { certificate, key: fixture('localhost.key') };
const CLIENT = { role: 'client' as const, authorities: certificate, serverName: 'localhost', alpn: ['suite'] };

async function until(done: () => boolean): Promise<void> {
  for (let round = 0; round === 0 || !done(); round++) {
    assert.ok(round < 20_000, 'nothing more happens');
    await new Promise((resolve) => setTimeout(resolve, round < 50 ? 0 : 1));
  }
}

async function open() {
  const bugs: unknown[] = [];
  const turn = new TurnLoop(NODE_LOOP, (error) => void bugs.push(error));
  const making: PipeMaking = { turn, bounds: { ...SUITE_BOUNDS, inputMax: 40_000 }, events: NO_EVENTS };
  const pipes: StreamPipe[] = [];
  const figures = { done: 0, resumed: 0, failed: 0, plain: 0 };
  let make!: (pipe: Pipe) => Session;
  const choice = (alpn: string | null) => ({
    name: 'suite',
    alpn,
    recognises: () => true,
    make: (pipe: Pipe) => make(pipe),
  });
  const policy = { role: 'server' as const, identities: { pick: () => identity }, alpn: ['suite'] };
  const door = { policy, choices: [choice('suite')], figures };
  const listening = await listenStream({
    ...making,
    bounds: { ...SUITE_BOUNDS, inputMax: 40_000 },
    host: '127.0.0.1',
    port: 0,
    admit: () => true,
    accept: (pipe) => new HelloSession(pipe as StreamPipe, turn.clock, door),
    opened: (pipe) => void pipes.push(pipe),
  });
  const { port } = listening.address!;
  return {
    bugs,
    making,
    pipes,
    figures,
    port,
    accept: (far: (pipe: Pipe) => Session) => void (make = far),
    close: async () => {
      for (const pipe of pipes) pipe.reset(0);
      await listening.close();
    },
  };
}

pipeSuite('TLS listener', async (): Promise<PipesUnderTest> => {
  const opened = await open();
  // As the suite wants it: its own bounds on both sides.
  const making = { ...opened.making, bounds: SUITE_BOUNDS };
  const clients: StreamPipe[] = [];
  return {
    async join(near, far) {
      const before = opened.figures.done;
      let shaken!: StreamPipe;
      opened.accept((pipe) => {
        shaken = pipe as StreamPipe;
        Object.assign(shaken, { bounds: SUITE_BOUNDS });
        return far(pipe);
      });
      const client = await new Promise<StreamPipe>((resolve, reject) => {
        dial(
          { host: '127.0.0.1', port: opened.port },
          CLIENT,
          making,
          (pipe) => {
            resolve(pipe as StreamPipe);
            return near(pipe);
          },
          (_cause, why) => reject(new Error(why)),
        );
      });
      clients.push(client);
      await until(() => opened.figures.done > before);
      return { near: client, far: shaken };
    },
    until,
    bugs: opened.bugs,
    tls: null,
    resets: false,
    async dispose() {
      for (const pipe of clients) pipe.reset(0);
      await opened.close();
    },
  };
});

/** What a client of Node begins with. */
function helloOf(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.once('data', (bytes) => {
        resolve(bytes as Buffer);
        socket.destroy();
        server.close();
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }).on('error', () => {});
    });
  });
}

/** Cuts the handshake into records of so many bytes (RFC 8446 §5.1). */
function recut(hello: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 5; at < hello.length; at += size) {
    const part = hello.subarray(at, Math.min(hello.length, at + size));
    parts.push(Buffer.from([22, 3, 1, part.length >>> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(parts);
}

test('a hello says its name, its protocols and its versions, however it is cut (RFC 8446 §4.1.2, §5.1)', async () => {
  const hello = await helloOf({ servername: 'A.Test', ALPNProtocols: ['h2', 'http/1.1'] });
  const whole = readClientHello(hello, 0, hello.length) as ClientHello;
  assert.deepEqual([whole.serverName, whole.alpn, whole.resumes], ['a.test', ['h2', 'http/1.1'], false]);
  assert.ok(whole.versions.includes(0x0304) && whole.versions.includes(0x0303));
  for (let end = 0; end < hello.length; end++) assert.equal(readClientHello(hello, 0, end), MORE);
  for (const size of [1, 3, 4, 100, 1_000]) {
    const cut = recut(hello, size);
    assert.deepEqual(readClientHello(cut, 0, cut.length), whole);
  }
  const bare = await helloOf({});
  const said = readClientHello(bare, 0, bare.length) as ClientHello;
  assert.deepEqual([said.serverName, said.alpn], [null, []]);
});

test('any bytes are a hello, none, or not whole', async () => {
  const hello = await helloOf({ servername: 'a.test', ALPNProtocols: ['h2'] });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
      const bytes = Buffer.from(hello);
      for (const [at, byte] of changes) bytes[at] = byte;
      readClientHello(bytes, 0, bytes.length);
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      readClientHello(bytes, 0, bytes.length);
    }),
  );
  assert.equal(readClientHello(Buffer.from('GET / HTTP/1.1\r\n'), 0, 16), BAD);
});

function speak(port: number, bytes: Uint8Array | null): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const socket: Socket = connect(port, '127.0.0.1', () => {
      if (bytes === null) socket.end();
      else socket.write(bytes);
    });
    socket.on('data', (data) => (said += data.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => resolve(said));
  });
}

test('what is no TLS is told so, what is garbage hurts nobody, and both are counted', async () => {
  const { port, figures, bugs, accept, close } = await open();
  accept((pipe) => new Recorder(pipe));
  const told = await speak(port, Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
  assert.match(told, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(told, new RegExp(`https://127\\.0\\.0\\.1:${port}/`));
  assert.equal(await speak(port, Buffer.from('EHLO somebody\r\n')), '');
  assert.deepEqual(figures, { done: 0, resumed: 0, failed: 0, plain: 2 });
  // An alert, and the end.
  const garbage = Buffer.concat([Buffer.from([22, 3, 1, 0, 5]), Buffer.from('hello')]);
  assert.equal((await speak(port, garbage)).charCodeAt(0), 21);
  assert.equal(await speak(port, null), '');
  await until(() => figures.failed === 1);
  const hello = await helloOf({ servername: 'localhost' });
  const half = connect(port, '127.0.0.1', () => half.end(hello.subarray(0, 100)));
  half.on('error', () => {});
  await new Promise((resolve) => half.on('close', resolve));
  const good = connectTls({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: certificate,
    ALPNProtocols: ['suite'],
  });
  await new Promise<void>((resolve, reject) => good.on('secureConnect', resolve).on('error', reject));
  assert.ok(good instanceof TLSSocket && good.authorized);
  await until(() => figures.done === 1);
  good.destroy();
  assert.deepEqual(bugs, []);
  await close();
});

test('for those who watch, a hello says what it says, and its bytes are not shown', async () => {
  const hello = await helloOf({ servername: 'a.test', ALPNProtocols: ['h2'] });
  for (const size of [1, 7, hello.length]) {
    const dissector = helloDissector('in', false);
    const found = [];
    for (let at = 0; at < hello.length; at += size)
      found.push(...dissector.push(hello, at, Math.min(hello.length, at + size)));
    assert.equal(found.length, 1);
    const { label, value, hidden, start, end, pieces } = found[0]!;
    assert.deepEqual([label, value, hidden, start, end], ['ClientHello', 'a.test h2', true, 0, hello.length]);
    assert.deepEqual(
      pieces!.map((piece) => `${piece.label}: ${piece.value}`),
      ['server name: a.test', 'ALPN: h2', 'versions: TLS 1.3, TLS 1.2'],
    );
  }
  const late = helloDissector('in', true).push(hello, 0, hello.length);
  assert.deepEqual(
    late.map(({ label, hidden }) => [label, hidden]),
    [['bytes', true]],
  );
});
