// HTTP/3 over real sockets, both halves against those of others: ngtcp2's client and server of Debian, whose HTTP/3 is nghttp3.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Fields } from '../../src/core/fields.ts';
import { bindLimits } from '../../src/core/limits.ts';
import { SILENT } from '../../src/core/log.ts';
import type { Mux } from '../../src/core/mux.ts';
import type { Host } from '../../src/core/protocol.ts';
import { ENTROPY } from '../../src/exports/loop.ts';
import { answerBytes } from '../../src/protocols/http/answers.ts';
import { Http3Client } from '../../src/protocols/http3/client.ts';
import { limits as http3Limits } from '../../src/protocols/http3/limits.ts';
import { Http3Session } from '../../src/protocols/http3/session.ts';
import { limits } from '../../src/protocols/quic/limits.ts';
import { dialQuic, serveQuic } from '../../src/protocols/quic/serve.ts';
import { identityOf, made, serverExtensions } from '../../src/protocols/quic/tls/testing/certificates.ts';
import { DAY, newKey } from '../../src/security/certificate.ts';
import { NODE_LOOP, TurnLoop } from '../../src/server/turn.ts';
import { openUdp } from '../../src/transports/udp.ts';
import { missing } from '../clients.ts';

const bugs: string[] = [];
const turn = new TurnLoop(NODE_LOOP, (error, where) => {
  bugs.push(`${where}: ${error instanceof Error ? error.stack : String(error)}`);
});
const folder = mkdtempSync(join(tmpdir(), 'portico-http3-'));
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
const BODY = Buffer.alloc(300_000, 'portico over http/3 ');

after(() => {
  for (const port of open) port.close();
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
  turn.stop();
});

async function until(done: () => boolean, what: () => string): Promise<void> {
  const end = Date.now() + 15_000;
  while (!done()) {
    if (Date.now() > end) throw new Error(`never: ${what()} ${bugs}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A server of ours; `asked` is told each request. */
async function serve(asked: string[]): Promise<number> {
  const shared = {
    entropy: ENTROPY,
    get clock() {
      return turn.clock;
    },
    log: { ...SILENT, error: (text: string, more: unknown) => void bugs.push(`${text} ${JSON.stringify(more)}`) },
    bug: (error: unknown, where: string) => turn.bug(error, where),
  };
  const http3 = Object.create(shared, {
    limits: { value: bindLimits(http3Limits) },
    routes: {
      value: (exchange: Parameters<Host['routes']>[0]) => {
        asked.push(`${exchange.method} ${exchange.target}`);
        answerBytes(exchange, 200, Fields.of({ 'content-type': 'text/plain', etag: '"the same"' }), BODY);
      },
    },
  });
  const host = Object.create(shared, {
    limits: { value: bindLimits(limits) },
    startTls: { value: { role: 'server', ...IDENTITY } },
    muxes: { value: [{ name: 'http3', alpn: 'h3', make: (mux: Mux) => new Http3Session(mux, http3) }] },
  });
  const port = await openUdp({ turn, host: '127.0.0.1', port: 0, session: (own) => serveQuic(own, host) });
  open.push(port);
  return port.local.port;
}

test('ngtcp2’s client asks ours, twenty times on one connection', { skip: missing('gtlsclient') }, async () => {
  const asked: string[] = [];
  const port = await serve(asked);
  const urls = Array.from({ length: 20 }, (_, at) => `https://localhost/file-${at}`);
  const options = [
    '--quiet',
    '--no-quic-dump',
    '--no-http-dump',
    '--exit-on-all-streams-close',
    `--download=${folder}`,
    '127.0.0.1',
    String(port),
  ];
  const child = spawn('gtlsclient', [...options, ...urls], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let said = '';
  const hear = (piece: Buffer) => void (said = (said + piece).slice(-4_000));
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  let code: number | null | undefined;
  child.on('exit', (status) => (code = status));
  await until(
    () => code !== undefined,
    () => `the end of gtlsclient ${said}`,
  );
  assert.equal(code, 0, said);
  assert.equal(asked.length, 20);
  for (const at of urls.keys()) assert.deepEqual(readFileSync(join(folder, `file-${at}`)), BODY);
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

test('ours asks ngtcp2’s server', { skip: missing('gtlsserver') }, async () => {
  writeFileSync(join(folder, 'key.pem'), IDENTITY.key);
  writeFileSync(join(folder, 'cert.pem'), IDENTITY.certificate);
  writeFileSync(join(folder, 'index.html'), BODY);
  const port = await freePort();
  const files = ['-d', folder, '127.0.0.1', String(port), join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const child = spawn('gtlsserver', files, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let said = '';
  const hear = (piece: Buffer) => void (said = (said + piece).slice(-4_000));
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  let client: Http3Client | undefined;
  let dial = (): unknown => null;
  const bounds = { queueMax: 100, idleMs: 60_000, silenceMs: 10_000, continueMs: 1_000, interimsMax: 5 };
  const own = await openUdp({
    turn,
    host: '127.0.0.1',
    port: 0,
    session: (made) => {
      const endpoint = dialQuic(made, {
        policy: { role: 'client', serverName: 'localhost', alpn: ['h3'], verify: false },
        entropy: ENTROPY,
        time: turn,
        bug: (error, where) => turn.bug(error, where),
        make: (mux) => (client = new Http3Client(mux, turn, ENTROPY, bounds, { idle() {}, closed() {} })),
      });
      dial = () => endpoint.dial({ host: '127.0.0.1', port });
      return endpoint;
    },
  });
  open.push(own);
  dial();
  await until(
    () => client?.hasRoom === true,
    () => `a handshake ${said}`,
  );
  const told: string[] = [];
  const parts: Buffer[] = [];
  for (let round = 0; round < 3; round++) {
    const head = { method: 'GET', target: '/index.html', authority: 'localhost', fields: Fields.of({ accept: '*/*' }) };
    client!.send(head, {
      answered(status) {
        told.push(String(status));
        return {
          receive(input, start, end) {
            parts.push(Buffer.from(input.subarray(start, end)));
            return end;
          },
          trailers() {},
          finish() {},
          lost() {},
        };
      },
      over: (cause) => void told.push(cause),
    });
    await until(
      () => told.length === round * 2 + 2,
      () => `an answer: ${told} ${said}`,
    );
  }
  assert.deepEqual(told, ['200', 'ended', '200', 'ended', '200', 'ended']);
  assert.equal(Buffer.concat(parts).length, BODY.length * 3);
  client!.close();
  child.kill();
  assert.deepEqual(bugs, []);
});
