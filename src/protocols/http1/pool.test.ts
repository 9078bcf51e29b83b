// The pool of connections on simulated links: its bounds, its queue, and what it does again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fields } from '../../core/fields.ts';
import { bindLimits } from '../../core/limits.ts';
import { UNREACHABLE } from '../../core/pipe.ts';
import type { Reach } from '../../core/reach.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { clientLimits } from './client-limits.ts';
import { HttpPool, type PooledRequest } from './pool.ts';
import { Peer } from './testing/scripted.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

/** A pool whose servers answer what `answer` says; and how requests ended, in order. */
function bench(
  limits: Record<string, number>,
  answer: (server: Peer, dialled: number) => void = (one) => one.says(OK),
) {
  const world = new World(3);
  const ended: string[] = [];
  const figures = { dialled: 0, open: 0, most: 0, refuse: false };
  const dial: Reach['dial'] = (_target, _tls, connected, refused) => {
    const number = ++figures.dialled;
    world.after(5, () => {
      if (figures.refuse) {
        refused(UNREACHABLE, 'nobody is there');
        return;
      }
      figures.most = Math.max(figures.most, ++figures.open);
      linkPipes(world, connected, (pipe) => {
        const server = new Peer(pipe);
        server.hears = () => answer(server, number);
        const lost = server.lost.bind(server);
        server.lost = (cause) => {
          figures.open--;
          lost(cause);
        };
        return server;
      });
    });
    return () => {};
  };
  const pool = new HttpPool(dial, world.turn, bindLimits(clientLimits, limits));
  const ask = (name: string, host = 'a.test', method = 'GET'): PooledRequest =>
    pool.request(
      { host, port: 80, tls: null },
      { method, target: `/${name}`, authority: host, fields: new Fields() },
      {
        answered: () => null,
        over: (cause, fault, why) => void ended.push(`${name} ${cause === 'ended' && fault === null ? 'ok' : why}`),
      },
    );
  return { world, pool, ask, ended, figures };
}

test('no more connections than there may be, to an origin and in all; the idle one makes room', () => {
  const { world, pool, ask, ended, figures } = bench({ originConnectionsMax: 2, connectionsMax: 3 });
  for (const host of ['a.test', 'b.test', 'c.test']) for (const name of ['1', '2', '3', '4']) ask(name + host[0], host);
  world.pass(2_000);
  assert.equal(ended.length, 12);
  assert.ok(ended.every((text) => text.endsWith(' ok')));
  assert.ok(figures.most <= 4, 'one may be closing while the next is made');
  assert.ok(pool.figures.connections <= 3 && pool.figures.waiting === 0);
  world.pass(20_000);
  assert.deepEqual(pool.figures, { connections: 0, waiting: 0 });
  assert.equal(figures.open, 0);
  assert.deepEqual(world.bugs, []);
});

test('who waits too many is refused at once, and who gives up leaves the queue', () => {
  const { world, pool, ask, ended } = bench({ originConnectionsMax: 1, waitingMax: 2 });
  ask('1');
  const second = ask('2');
  ask('3');
  assert.deepEqual(ended, ['3 2 requests wait already']);
  second.cancel();
  assert.deepEqual(ended.slice(1), ['2 given up']);
  assert.equal(pool.figures.waiting, 1);
  world.pass(200);
  assert.deepEqual(ended.slice(2), ['1 ok']);
});

test('nobody there: each request is told, and none hangs', () => {
  const { world, pool, ask, ended, figures } = bench({ originConnectionsMax: 1 });
  figures.refuse = true;
  for (const name of ['1', '2', '3']) ask(name);
  world.pass(200);
  assert.deepEqual(ended, ['1 nobody is there', '2 nobody is there', '3 nobody is there']);
  assert.deepEqual(pool.figures, { connections: 0, waiting: 0 });
  figures.refuse = false;
  ask('4');
  world.pass(200);
  assert.equal(ended.at(-1), '4 ok');
});

test('a request that met a closing connection goes out once more, if it may, and only once', () => {
  const asked = new Map<number, number>();
  const { world, ask, ended, figures } = bench({ originConnectionsMax: 1 }, (server, dialled) => {
    const count = (asked.get(dialled) ?? 0) + 1;
    asked.set(dialled, count);
    if (count === 2) server.pipe.end();
    else server.says(OK);
  });
  for (const [name, method] of [
    ['1', 'GET'],
    ['2', 'GET'],
    ['3', 'POST'],
    ['4', 'DELETE'],
  ] as const) {
    ask(name, 'a.test', method);
    world.pass(500);
  }
  // The second request of a connection is met by its end: GET is sent again on the next, POST is not.
  assert.deepEqual(ended, ['1 ok', '2 ok', '3 The connection ended before the answer.', '4 ok']);
  assert.equal(figures.dialled, 3);
  const stubborn = bench({ originConnectionsMax: 1 }, (server) => {
    if (server.got.split('GET').length > 2) server.pipe.end();
    else server.says(OK);
  });
  stubborn.ask('1');
  stubborn.world.pass(500);
  stubborn.ask('2');
  stubborn.world.pass(500);
  assert.deepEqual(stubborn.ended, ['1 ok', '2 ok']);
});

test('closing ends what is idle, answers what was asked, and refuses the rest', () => {
  const { world, pool, ask, ended, figures } = bench({ originConnectionsMax: 1 });
  ask('1');
  ask('2');
  world.pass(6);
  pool.close();
  ask('3');
  world.pass(500);
  assert.deepEqual(ended, ['2 the client is closed', '3 the client is closed', '1 ok']);
  assert.equal(figures.open, 0);
});
