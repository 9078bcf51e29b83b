import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Pipe, Session } from '../core/pipe.ts';
import { type PipesUnderTest, pipeSuite, Recorder, SUITE_BOUNDS } from '../core/pipe-suite.ts';
import { NO_EVENTS, type StreamPipe } from '../core/stream-pipe.ts';
import { loadNative } from '../native/native.ts';
import { NODE_LOOP, TurnLoop } from '../server/turn.ts';
import { HandlePipe } from './handle-pipe.ts';
import { dial, type PipeMaking } from './socket-pipe.ts';
import { listenStream } from './tcp.ts';

const fixture = (name: string) => readFileSync(new URL(`../../test/fixtures/${name}`, import.meta.url), 'utf8');
const certificate = fixture('localhost.pem');
const TLS = {
  server: { role: 'server' as const, certificate, key: fixture('localhost.key'), alpn: ['suite'] },
  client: { role: 'client' as const, authorities: certificate, serverName: 'localhost', alpn: ['suite'] },
};

async function until(done: () => boolean): Promise<void> {
  for (let round = 0; round === 0 || !done(); round++) {
    assert.ok(round < 20_000, 'nothing more happens');
    await new Promise((resolve) => setTimeout(resolve, round < 50 ? 0 : 1));
  }
}

/** How this Node's handles are used; absent where it is not known. */
const HANDLES = loadNative('auto')?.handles() ?? undefined;

async function open(
  where: { host: string } | { path: string },
  handles: PipeMaking['handles'] = undefined,
): Promise<PipesUnderTest> {
  const bugs: unknown[] = [];
  const turn = new TurnLoop(NODE_LOOP, (error) => void bugs.push(error));
  const making: PipeMaking = { turn, bounds: SUITE_BOUNDS, events: NO_EVENTS, handles };
  const pipes: StreamPipe[] = [];
  const clients: StreamPipe[] = [];
  let accept!: (pipe: Pipe) => Session;
  const listening = await listenStream({
    ...making,
    ...where,
    port: 0,
    admit: () => true,
    accept: (pipe) => accept(pipe),
    opened: (pipe) => void pipes.push(pipe),
  });
  return {
    async join(near, far) {
      accept = far;
      const before = pipes.length;
      const client = await new Promise<StreamPipe>((resolve, reject) => {
        const target =
          'path' in where
            ? { host: '', port: 0, path: where.path }
            : { host: where.host, port: listening.address!.port };
        dial(
          target,
          null,
          making,
          (pipe) => {
            resolve(pipe as StreamPipe);
            return near(pipe);
          },
          (_cause, why) => reject(new Error(why)),
        );
      });
      clients.push(client);
      await until(() => pipes.length > before);
      assert.equal(pipes.at(-1) instanceof HandlePipe, handles !== undefined);
      return { near: client, far: pipes.at(-1)! };
    },
    until,
    bugs,
    tls: TLS,
    resets: 'host' in where,
    async dispose() {
      for (const pipe of [...pipes, ...clients]) pipe.reset(0);
      await listening.close();
    },
  };
}

pipeSuite('tcp', () => open({ host: '127.0.0.1' }));
pipeSuite('tcp over IPv6', () => open({ host: '::1' }));
async function openUnix(handles?: PipeMaking['handles']): Promise<PipesUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'portico-'));
  const pipes = await open({ path: join(folder, 's') }, handles);
  return {
    ...pipes,
    async dispose() {
      await pipes.dispose();
      rmSync(folder, { recursive: true });
    },
  };
}

pipeSuite('unix socket', () => openUnix());
if (HANDLES !== undefined) {
  pipeSuite('tcp, without Node’s streams', () => open({ host: '127.0.0.1' }, HANDLES));
  pipeSuite('unix socket, without Node’s streams', () => openUnix(HANDLES));
}

test('dialling: TLS from the first byte, a wrong name, a refused port, giving up', async () => {
  const turn = new TurnLoop(NODE_LOOP, (error) => assert.fail(String(error)));
  const making: PipeMaking = { turn, bounds: SUITE_BOUNDS, events: NO_EVENTS };
  let served: Recorder | undefined;
  const listening = await listenStream({
    ...making,
    host: '127.0.0.1',
    port: 0,
    tls: TLS.server,
    admit: () => true,
    accept: (pipe) => (served = new Recorder(pipe)),
    opened: () => {},
  });
  const { port } = listening.address!;
  const attempt = (client: typeof TLS.client, to = port) =>
    new Promise<Recorder | string>((resolve) => {
      dial(
        { host: '127.0.0.1', port: to },
        client,
        making,
        (pipe) => {
          const session = new Recorder(pipe);
          resolve(session);
          return session;
        },
        (cause) => resolve(cause),
      );
    });
  const good = await attempt(TLS.client);
  assert.ok(typeof good === 'object');
  assert.equal(good.pipe.peer.tls?.alpn, 'suite');
  good.say('hello');
  await until(() => served?.text === 'hello');
  good.pipe.reset(0);
  assert.equal(await attempt({ ...TLS.client, serverName: 'elsewhere.example' }), 'handshake');
  assert.equal(await attempt({ ...TLS.client, authorities: undefined as never }), 'handshake');
  assert.equal(await attempt({ ...TLS.client, alpn: ['other'] }), 'handshake');
  await listening.close();
  assert.equal(await attempt(TLS.client), 'unreachable');
});
