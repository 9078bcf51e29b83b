// What a page can make a browser send to a port that does not speak HTTP: a request whose body is written in the
// protocol's own words. The first line gives it away, and nothing behind it is done.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Heard, SECRET, SECRET_TOPIC, say, startVictim, type Victim } from './victim.ts';

let victim: Victim;

before(async () => {
  victim = await startVictim({ protocols: { mqtt: {}, lines: {} } });
});
after(() => victim.portico.close());

const COMMANDS = `\nPUB stolen/a 1\nPUT stolen/b 2\nLAST ${SECRET_TOPIC}\nSUB #\nPING\n`;

function posted(method: string, target: string, body: string, newline = '\r\n', version = 'HTTP/1.1'): string {
  const fields = ['Host: localhost', 'Origin: http://evil.example', 'Content-Type: text/plain'];
  const head = [`${method} ${target} ${version}`, ...fields, `Content-Length: ${body.length}`, '', ''];
  return head.join(newline) + body;
}

async function refuses(heard: Promise<Heard>): Promise<void> {
  const { text, ended } = await heard;
  assert.ok(ended, `the connection stays open after ${JSON.stringify(text)}`);
  assert.ok(!text.includes(SECRET), text);
  await victim.untouched();
}

for (const [what, bytes] of [
  ['a form that posts text/plain', posted('POST', '/', COMMANDS)],
  ['a GET whose target is a command', posted('GET', '/%0APUB%20stolen/c%201%0A', '')],
  ['a method that is a command of its own', posted('PUB', 'stolen/d', COMMANDS)],
  ['a method that is a command, in small letters', posted('pub', 'stolen/d', COMMANDS)],
  ['a method that takes raw bytes', posted('PUBB', 'stolen/d', COMMANDS)],
  ['PUT, which is a command too', posted('PUT', 'stolen/e', COMMANDS)],
  ['a preflight', posted('OPTIONS', '/', COMMANDS)],
  ['HTTP/1.0 with bare line feeds', posted('POST', '/', COMMANDS, '\n', 'HTTP/1.0')],
  ['the preface of HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${COMMANDS}`],
  ['a WebSocket', `GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n${COMMANDS}`],
  ['empty lines before the request', `\r\n\r\n${posted('POST', '/', COMMANDS)}`],
  ['a very long target', posted('POST', `/${'a'.repeat(70_000)}`, COMMANDS)],
  // A page at https://localhost:<port of lines> has the browser send TLS, with bytes of the page's choice in a ticket.
  ['a TLS hello with commands in it', Buffer.concat([Buffer.from('160301010001000100', 'hex'), Buffer.from(COMMANDS)])],
] as const)
  test(`lines: ${what} ends the connection, and nothing of it is done`, () =>
    refuses(say(victim.port('lines'), bytes)));

test('lines: however the request is cut, nothing of it is done', async () => {
  const bytes = posted('POST', '/', COMMANDS);
  for (const at of [1, 5, 6, 15, 16, 17, 18, bytes.indexOf(COMMANDS), bytes.indexOf('stolen')]) {
    const { connect } = await import('node:net');
    const socket = connect(victim.port('lines'), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.setNoDelay(true);
    socket.write(bytes.slice(0, at));
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.write(bytes.slice(at));
    await closed;
    assert.ok(!text.includes(SECRET), `cut at ${at}: ${text}`);
  }
  await victim.untouched();
});

test('lines: what a person types first is still taken', async () => {
  const { text } = await say(victim.port('lines'), `LAST ${SECRET_TOPIC}\n`);
  assert.ok(text.includes(SECRET), text);
});

// CONNECT of a client `a`, then PUBLISH of `stolen/m`: the bytes that a page would hide in a body.
const CONNECT = Buffer.from('101000044d5154540402003c00046261643a', 'hex');
const PUBLISH = Buffer.concat([Buffer.from([0x30, 0x0b, 0x00, 0x08]), Buffer.from('stolen/mx')]);

for (const [what, head] of [
  ['POST', posted('POST', '/', '\0')],
  ['GET', posted('GET', '/', '')],
  ['PUT', posted('PUT', '/', '')],
  ['OPTIONS', posted('OPTIONS', '/', '')],
] as const)
  test(`MQTT: packets behind an HTTP request (${what}) are not read`, () =>
    refuses(say(victim.port('mqtt'), Buffer.concat([Buffer.from(head, 'latin1'), CONNECT, PUBLISH]))));

test('MQTT: those packets by themselves are taken, so that the tests above show something', async () => {
  await using other = await startVictim();
  const { text } = await say(other.port('mqtt'), Buffer.concat([CONNECT, PUBLISH]));
  assert.equal(text.slice(0, 4), '\x20\x02\x00\x00');
  assert.deepEqual(other.published, ['stolen/m=x']);
});

test('lines over UDP: a datagram that is no command publishes nothing', async () => {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket('udp4');
  // A STUN request with a name of the page's choice, which WebRTC would send; and a TLS hello of DTLS.
  const stun = Buffer.concat([Buffer.from('000100142112a442', 'hex'), Buffer.alloc(12), Buffer.from('00060010')]);
  for (const bytes of [Buffer.concat([stun, Buffer.from(COMMANDS)]), Buffer.from(`\x16${COMMANDS}`)])
    await new Promise((resolve) => socket.send(bytes, victim.port('udp'), '127.0.0.1', resolve));
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.close();
  await victim.untouched();
});

test('a shared port: an HTTP request is nobody’s where HTTP is not spoken, also not the fallback’s', async () => {
  const shared = [{ port: 0, protocols: ['mqtt', 'lines'], fallback: 'lines' }];
  await using other = await startVictim({ shared });
  for (const method of ['POST', 'PUT', 'PUB', 'OPTIONS']) {
    const { text, ended } = await say(other.port('shared'), posted(method, '/', COMMANDS));
    assert.ok(ended, text);
    assert.ok(!text.includes(SECRET), text);
  }
  await other.untouched();
  const { text } = await say(other.port('shared'), `LAST ${SECRET_TOPIC}\n`);
  assert.ok(text.includes(SECRET), text);
});

test('a shared port where HTTP is spoken has the guard before it', async () => {
  await using other = await startVictim({ shared: [{ port: 0, protocols: ['http1', 'mqtt', 'lines'] }] });
  const { text } = await say(other.port('shared'), posted('POST', '/topics/stolen/a', 'x'));
  assert.match(text, /^HTTP\/1\.1 403 /);
  await other.untouched();
});
