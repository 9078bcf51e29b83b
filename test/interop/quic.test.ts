// QUIC over real sockets: ours against ours, and against ngtcp2's client and server of Debian, both ways. Of HTTP/3 there is only
// what they need to be content: SETTINGS, one request, one answer, written by hand.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bindLimits } from '../../src/core/limits.ts';
import type { Mux, MuxSession } from '../../src/core/mux.ts';
import type { Cause, Pipe, Session } from '../../src/core/pipe.ts';
import type { Host } from '../../src/core/protocol.ts';
import { NEVER } from '../../src/core/time.ts';
import { ENTROPY } from '../../src/exports/loop.ts';
import type { QuicConnection } from '../../src/protocols/quic/connection/connection.ts';
import type { DialOptions } from '../../src/protocols/quic/connection/options.ts';
import type { Ticket } from '../../src/protocols/quic/crypto.ts';
import type { QuicEndpoint } from '../../src/protocols/quic/endpoint.ts';
import { limits } from '../../src/protocols/quic/limits.ts';
import { dialQuic, type ServerTerms, serveQuic } from '../../src/protocols/quic/serve.ts';
import { identityOf, made, serverExtensions } from '../../src/protocols/quic/tls/testing/certificates.ts';
import { DAY, newKey } from '../../src/security/certificate.ts';
import { NODE_LOOP, TurnLoop } from '../../src/server/turn.ts';
import { type OpenPort, openUdp } from '../../src/transports/udp.ts';
import { missing } from '../clients.ts';

const bugs: string[] = [];
const turn = new TurnLoop(NODE_LOOP, (error, where) => {
  bugs.push(`${where}: ${error instanceof Error ? error.stack : String(error)}`);
});
const folder = mkdtempSync(join(tmpdir(), 'portico-quic-'));
const IDENTITY = identityOf(
  made({
    name: 'localhost',
    issuer: undefined,
    key: newKey(),
    from: Date.now() - DAY,
    to: Date.now() + DAY,
    extensions: serverExtensions(['localhost', '127.0.0.1']),
  }),
);
const open: { close(): void }[] = [];
const children: ChildProcess[] = [];

after(() => {
  for (const port of open) port.close();
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
  turn.stop();
});

async function until(done: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 15_000;
  while (!done()) {
    if (Date.now() > end) throw new Error(`never: ${what} ${bugs}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A control stream with empty SETTINGS (RFC 9114 §6.2.1, §7.2.4). */
const SETTINGS = Buffer.from('000400', 'hex');
/** `:status` 200, by the static table (RFC 9204 §A), and a body. */
const answer = (body: Buffer) =>
  Buffer.concat([Buffer.from('01030000d900', 'hex').subarray(0, 5), Buffer.from([0x00]), size(body.length), body]);
const size = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((0x8000_0000 | value) >>> 0);
  return bytes;
};
const BODY = Buffer.alloc(300_000, 'portico over quic ');

class Stream implements Session {
  readonly pipe: Pipe;
  readonly deadline = NEVER;
  readonly pieces: Buffer[] = [];
  total = 0;
  finished = false;
  lostBy: Cause | null = null;
  private readonly answers: boolean;
  constructor(pipe: Pipe, answers: boolean) {
    this.pipe = pipe;
    this.answers = answers;
  }
  receive(input: Uint8Array, start: number, end: number): number {
    this.pieces.push(Buffer.from(input.subarray(start, end)));
    this.total += end - start;
    return end;
  }
  say(bytes: Buffer, end = false): void {
    this.pipe.share(bytes, 0, bytes.length);
    if (end) this.pipe.end();
    this.pipe.flush();
  }
  overlong(): void {}
  writable(): void {}
  tick(): void {}
  finish(): void {
    this.finished = true;
    if (this.answers) this.say(answer(BODY), true);
  }
  leave(): void {}
  lost(cause: Cause): void {
    this.lostBy = cause;
  }
}

class Speaker implements MuxSession {
  readonly mux: Mux;
  readonly deadline = NEVER;
  readonly streams: Stream[] = [];
  /** Of each request, whether it came as early data. */
  readonly early: boolean[] = [];
  lostBy: [Cause, number] | null = null;
  constructor(mux: Mux) {
    this.mux = mux;
    this.open(true).say(SETTINGS);
  }
  open(oneWay: boolean): Stream {
    let stream!: Stream;
    this.mux.open(oneWay, (pipe) => (stream = new Stream(pipe, false)));
    return stream;
  }
  opened(pipe: Pipe, oneWay: boolean): Session {
    if (!oneWay) this.early.push(this.mux.early === true);
    const stream = new Stream(pipe, !oneWay);
    this.streams.push(stream);
    return stream;
  }
  mayOpen(): void {}
  datagram(): void {}
  tick(): void {}
  leave(): void {}
  lost(cause: Cause, wire: number): void {
    this.lostBy = [cause, wire];
  }
}

/** A server of ours; answers its port and who came. */
async function serve(
  settings = {},
  address = '127.0.0.1',
): Promise<{ port: number; endpoint: QuicEndpoint; came: Speaker[] }> {
  const came: Speaker[] = [];
  const host = {
    limits: bindLimits(limits),
    entropy: ENTROPY,
    get clock() {
      return turn.clock;
    },
    startTls: { role: 'server', ...IDENTITY },
    muxes: [
      {
        name: 'http3',
        alpn: 'h3',
        make: (mux: Mux) => {
          const speaker = new Speaker(mux);
          came.push(speaker);
          return speaker;
        },
      },
    ],
    settings,
    bug: (error: unknown, where: string) => turn.bug(error, where),
  } as unknown as Host;
  let endpoint!: QuicEndpoint;
  const port: OpenPort = await openUdp({
    turn,
    host: address,
    port: 0,
    session: (made) => (endpoint = serveQuic(made, host as unknown as ServerTerms)),
  });
  open.push(port);
  return { port: port.local.port, endpoint, came };
}

async function dial(
  port: number,
  how: DialOptions = {},
  address = '127.0.0.1',
): Promise<{ line: QuicConnection; made: Speaker[] }> {
  const made: Speaker[] = [];
  let endpoint!: QuicEndpoint;
  const opened = await openUdp({
    turn,
    host: address,
    port: 0,
    session: (own) =>
      (endpoint = dialQuic(own, {
        policy: { role: 'client', serverName: 'localhost', alpn: ['h3'], verify: false },
        entropy: ENTROPY,
        time: turn,
        bug: (error, where) => turn.bug(error, where),
        make: (mux) => {
          const speaker = new Speaker(mux);
          made.push(speaker);
          return speaker;
        },
      })),
  });
  open.push(opened);
  return { line: endpoint.dial({ host: address, port }, how), made };
}

/** GET / by the static table, with `:authority` localhost. */
function request(speaker: Speaker): Stream {
  const stream = speaker.open(false);
  const fields = Buffer.concat([Buffer.from('0000d1d7c15009', 'hex'), Buffer.from('localhost')]);
  stream.say(Buffer.concat([Buffer.from([0x01, fields.length]), fields]), true);
  return stream;
}

test('ours against ours over UDP', async () => {
  const { port, came } = await serve();
  const { line, made } = await dial(port);
  await until(() => line.complete, 'a handshake');
  const stream = request(made[0]!);
  await until(() => stream.finished, 'an answer');
  assert.equal(stream.total, answer(BODY).length);
  line.close({ id: 'test.done', wire: 0x100, spec: '', text: 'done', scope: 'connection' });
  await until(() => came[0]!.lostBy !== null, 'the end');
  assert.deepEqual(came[0]!.lostBy, ['ended', 0x100]);
  assert.deepEqual(bugs, []);
});

for (const [name, more] of [
  ['version 1', []],
  ['ChaCha20', ['--ciphers=NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305']],
  ['P-256 after HelloRetryRequest or at once', ['--groups=-GROUP-ALL:+GROUP-SECP256R1']],
  ['a key update', ['--key-update=20ms', '--delay-stream=100ms']],
  ['another port in the middle', ['--change-local-addr=20ms', '--delay-stream=100ms']],
  ['a NAT that forgets', ['--change-local-addr=20ms', '--nat-rebinding', '--delay-stream=100ms']],
  ['losses', ['--tx-loss=0.05', '--rx-loss=0.05']],
] as const)
  test(`ngtcp2's client asks ours: ${name}`, { skip: missing('gtlsclient') }, async () => {
    const { port, came } = await serve();
    const said = await gtlsclient(port, more);
    assert.equal(came.length, 1);
    assert.match(said, /negotiated cipher suite|Negotiated/i);
    const file = execFileSync('wc', ['-c', join(folder, 'file')], { encoding: 'utf8' });
    assert.equal(Number(file.trim().split(' ')[0]), BODY.length);
    rmSync(join(folder, 'file'));
    assert.deepEqual(bugs, []);
  });

/** Runs ngtcp2's client to its good end; answers what it said. */
async function gtlsclient(port: number, more: readonly string[], address = '127.0.0.1'): Promise<string> {
  const always = [
    '--exit-on-all-streams-close',
    `--download=${folder}`,
    address,
    String(port),
    'https://localhost/file',
  ];
  const child = spawn('gtlsclient', [...more, ...always], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let said = '';
  child.stdout.on('data', (piece: Buffer) => (said += piece));
  child.stderr.on('data', (piece: Buffer) => (said += piece));
  let code: number | null | undefined;
  child.on('exit', (status) => (code = status));
  await until(() => code !== undefined, `the end of gtlsclient ${said.slice(-2_000)}`);
  assert.equal(code, 0, said.slice(-3_000));
  return said;
}

const noClient = { skip: missing('gtlsclient') };

test("ngtcp2's client asks ours: retry", noClient, async () => {
  const { port, came } = await serve({ retry: 'always' });
  const said = await gtlsclient(port, []);
  assert.match(said, /type=Retry|Retry\(0x/);
  assert.equal(came.length, 1);
  rmSync(join(folder, 'file'));
  assert.deepEqual(bugs, []);
});

test("ngtcp2's client asks ours: resumption, then zerortt", noClient, async () => {
  const { port, came } = await serve();
  const kept = [`--session-file=${join(folder, 'session')}`, `--tp-file=${join(folder, 'parameters')}`];
  await gtlsclient(port, [...kept, '--delay-stream=50ms']);
  await gtlsclient(port, [...kept, '--disable-early-data']);
  await gtlsclient(port, kept);
  assert.deepEqual(
    came.map(({ mux }) => mux.peer.tls?.resumed ?? false),
    [false, true, true],
  );
  assert.deepEqual(
    came.map(({ early }) => early),
    [[false], [false], [true]],
  );
  rmSync(join(folder, 'file'));
  assert.deepEqual(bugs, []);
});

test("ngtcp2's client asks ours: multiplexing", noClient, async () => {
  const { port, came } = await serve();
  await gtlsclient(port, ['-n', '40', '--no-http-dump', '--no-quic-dump']);
  assert.equal(came.length, 1);
  assert.equal(came[0]!.streams.filter(({ finished }) => finished).length, 40);
  rmSync(join(folder, 'file'));
  assert.deepEqual(bugs, []);
});

test("ngtcp2's client asks ours: ipv6", noClient, async () => {
  const { port, came } = await serve({}, '::1');
  await gtlsclient(port, [], '::1');
  assert.equal(came.length, 1);
  assert.match(came[0]!.mux.peer.remote!.host, /^::1/);
  rmSync(join(folder, 'file'));
  assert.deepEqual(bugs, []);
});

/** A port that was free a moment ago: ngtcp2's server cannot be given 0. */
function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}

/** Starts ngtcp2's server with a page. */
async function gtlsserver(
  more: readonly string[],
  address = '127.0.0.1',
): Promise<{ port: number; said: () => string }> {
  writeFileSync(join(folder, 'key.pem'), IDENTITY.key);
  writeFileSync(join(folder, 'cert.pem'), IDENTITY.certificate);
  writeFileSync(join(folder, 'index.html'), BODY);
  const port = await freePort();
  const child = spawn(
    'gtlsserver',
    [...more, '-d', folder, address, String(port), join(folder, 'key.pem'), join(folder, 'cert.pem')],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  children.push(child);
  let said = '';
  child.stdout.on('data', (piece: Buffer) => (said = (said + piece).slice(-4_000)));
  child.stderr.on('data', (piece: Buffer) => (said = (said + piece).slice(-4_000)));
  return { port, said: () => said };
}

/** Asks for the page, once the handshake is done. */
async function asks({ line, made }: Awaited<ReturnType<typeof dial>>, said: () => string): Promise<Stream> {
  await until(() => line.complete || !line.isAlive, `a handshake ${said()}`);
  assert.ok(line.complete, `${line.state} ${line.closeFault?.text} ${said()}`);
  return request(made[0]!);
}

async function gets(stream: Stream, said: () => string): Promise<void> {
  await until(() => stream.finished || stream.lostBy !== null, `an answer ${said()}`);
  assert.ok(stream.finished && stream.total > BODY.length, said());
}

const done = { id: 'test.done', wire: 0x100, spec: '', text: 'done', scope: 'connection' } as const;

for (const [name, more, during] of [
  ['plainly', [], null],
  ['after a Retry', ['--validate-addr'], null],
  ['under losses', ['--tx-loss=0.05', '--rx-loss=0.05'], null],
  ['under ChaCha20', ['--ciphers=NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305'], null],
  ['with new keys in between', [], (line: QuicConnection) => line.protections[3]!.update()],
  ['and moves to another path', [], (line: QuicConnection) => line.migrate()],
] as const)
  test(`ours asks ngtcp2's server ${name}`, { skip: missing('gtlsserver') }, async () => {
    const { port, said } = await gtlsserver(more);
    const dialled = await dial(port);
    const { line } = dialled;
    const stream = await asks(dialled, said);
    if (during !== null) {
      await until(() => line.confirmed, `the handshake confirmed ${said()}`);
      during(line);
    }
    await gets(stream, said);
    if (during !== null) await gets(request(dialled.made[0]!), said);
    if (name === 'under ChaCha20') assert.match(line.peer.tls?.cipher ?? '', /CHACHA20/i);
    assert.ok(line.isAlive);
    line.close(done);
    assert.deepEqual(bugs, []);
  });

test("ours asks ngtcp2's server over IPv6", { skip: missing('gtlsserver') }, async () => {
  const { port, said } = await gtlsserver([], '::1');
  const dialled = await dial(port, {}, '::1');
  await gets(await asks(dialled, said), said);
  dialled.line.close(done);
  assert.deepEqual(bugs, []);
});

test("ours asks ngtcp2's server again: resumption, then zerortt", { skip: missing('gtlsserver') }, async () => {
  const { port, said } = await gtlsserver([]);
  const tickets: Ticket[] = [];
  const onTicket = (ticket: Ticket) => void tickets.push(ticket);
  const first = await dial(port, { onTicket });
  await gets(await asks(first, said), said);
  await until(() => tickets.length > 0, `a ticket ${said()}`);
  first.line.close(done);
  const second = await dial(port, { ticket: tickets[0]!, onTicket });
  await gets(await asks(second, said), said);
  assert.ok(second.line.handshake.resumed);
  second.line.close(done);
  const third = await dial(port, { ticket: tickets.at(-1)!, early: true });
  await until(() => third.made.length > 0, `who speaks ${said()}`);
  const stream = request(third.made[0]!);
  await gets(stream, said);
  assert.ok(third.line.handshake.resumed);
  assert.equal(third.line.handshake.early, tickets.at(-1)!.early);
  third.line.close(done);
  assert.deepEqual(bugs, []);
});
