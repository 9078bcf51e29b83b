// Peers of TLS that mean harm, over real sockets: handshakes that are begun and left, cut or damaged hurt nobody else.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { besiege, type Siege, sleep } from './siege.ts';

const OPTIONS = { skip: process.platform !== 'linux' && 'the memory of a process is read from /proc' };

let siege: Siege;
let at = 0;
let hello: Buffer;
before(async () => {
  if (OPTIONS.skip !== false) return;
  siege = await besiege();
  at = siege.server.port('https');
  hello = await clientHello();
});
after(() => siege?.[Symbol.asyncDispose]());

/** What a client of Node's begins with. */
async function clientHello(): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const bytes = new Promise<Buffer>((resolve) =>
    server.once('connection', (socket) => socket.once('data', (data: Buffer) => resolve(data))),
  );
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ALPNProtocols: ['h2', 'http/1.1'] });
  socket.on('error', () => {});
  const taken = await bytes;
  socket.destroy();
  server.close();
  return taken;
}

/** Somebody who means well is served over TLS. */
async function served(): Promise<void> {
  const response = await new Promise<string>((resolve, reject) => {
    const socket = connect({ port: at, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false }, () =>
      socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
    );
    let text = '';
    socket.on('data', (chunk) => (text += chunk));
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
  assert.match(response, /^HTTP\/1\.1 200 /);
}

test('a thousand handshakes that are begun and left', OPTIONS, async () => {
  await siege.attack(async () => {
    await siege.crowd(1_000, hello, { deaf: true, at });
    await served();
    await sleep(300);
  });
  await served();
});

test('hellos that are cut anywhere, and left or ended', OPTIONS, async () => {
  await siege.attack(async () => {
    for (let cut = 1; cut < hello.length; cut += 7) {
      const { socket } = await siege.open(hello.subarray(0, cut), { at });
      if (cut % 2 === 0) socket.end();
    }
    await served();
  });
});

test(
  'hellos with a damaged byte, oversized records and plain noise are answered by an alert or the end',
  OPTIONS,
  async () => {
    const noise = [
      Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
      Buffer.from([0x16, 3, 1, 0xff, 0xff, ...Buffer.alloc(400, 1)]),
      Buffer.from([0x16, 3, 3, 0, 0]),
      Buffer.from([0x15, 3, 3, 0, 2, 2, 40]),
      Buffer.alloc(20_000, 0x16),
      Buffer.concat([hello, Buffer.alloc(70_000, 0x41)]),
    ];
    await siege.attack(async () => {
      for (const bytes of noise) {
        const besieger = await siege.open(bytes, { at });
        await besieger.hears(undefined, 12_000);
        assert.ok(besieger.over, `left open after ${bytes.subarray(0, 8).toString('hex')}`);
      }
      for (let place = 5; place < 120; place++) {
        const damaged = Buffer.from(hello);
        damaged[place]! ^= 0xff;
        const { socket } = await siege.open(damaged, { at });
        socket.end();
      }
      await served();
    });
  },
);

test('clients that leave in the middle of a request, with and without a word', OPTIONS, async () => {
  await siege.attack(async () => {
    for (let count = 0; count < 50; count++) {
      const socket = connect({ port: at, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
      socket.on('error', () => {});
      await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
      socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n', () => {
        if (count % 2 === 0) socket.destroy();
        else socket.end();
      });
    }
    await served();
  });
});
