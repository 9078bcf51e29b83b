// What HTTP/3 is for, on the path on which HTTP/2 was measured.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fields } from '../core/fields.ts';
import { DatagramNetwork } from '../sim/datagrams.ts';
import { World } from '../sim/world.ts';
import type { Requests } from './contender.ts';
import { answersInARow, firstByte, median, moving, oneLarge } from './experiments.ts';
import { http2 } from './http2.ts';
import { http3 } from './http3.ts';

const PATH = { latencyMs: 50 };

test('HTTP/3: a first byte takes two round trips, and one to a server that is known', () => {
  const fresh = firstByte(http3, 1, PATH, false);
  assert.ok(fresh >= 200 && fresh <= 210, String(fresh));
  const known = firstByte(http3, 1, PATH, true);
  assert.ok(known >= 100 && known <= 110, String(known));
});

test('HTTP/3: what is lost of one answer holds up that one alone', () => {
  const path = { ...PATH, loss: 0.03 };
  const slowOf = (all: readonly number[]) => all.filter((ms) => ms > 150).length;
  const [two, three] = [http2, http3].map((each) =>
    [1, 2, 3].flatMap((seed) => answersInARow(each, seed, path, 100, 80)),
  );
  assert.equal(three!.length, 300);
  assert.ok(slowOf(three!) * 2 < slowOf(two!), `${slowOf(three!)} of HTTP/3, ${slowOf(two!)} of HTTP/2`);
  assert.ok(median(three!) <= 102, String(median(three!)));
});

test('HTTP/3: a large answer comes whole over a path that loses', () => {
  const lossy = oneLarge(http3, 1, { ...PATH, loss: 0.02 }, 1_000_000);
  assert.ok(lossy < 120_000, String(lossy));
});

test('HTTP/3: a client that moves goes on', () => {
  const { silence, again } = moving(http3, 1, PATH, 1_000_000);
  assert.equal(again, false);
  assert.ok(silence < 250, String(silence));
});

test('HTTP/3: what is not safe and came as early data is answered with 425 (RFC 8470 §5.2)', () => {
  const world = new World(1);
  const scene = { world, network: new DatagramNetwork(world, PATH), client: { host: '10.0.0.2', port: 20_000 } };
  http3.serve(scene);
  const statuses: number[] = [];
  const ask = (connection: Requests, method: string) =>
    connection.send(
      { method, target: '/bytes/10', authority: 'portico.test', fields: new Fields() },
      {
        answered(status) {
          statuses.push(status);
          return null;
        },
        over() {},
      },
      () => {},
    );
  const before = http3.dial(scene, { resumed: false, ready: (made) => void ask(made, 'GET'), gone() {} });
  world.pass(1_000);
  before.close();
  scene.client = { ...scene.client, port: 20_001 };
  let later: Requests | null = null;
  http3.dial(scene, {
    resumed: true,
    ready(made) {
      later = made;
      ask(made, 'GET');
      ask(made, 'POST');
    },
    gone() {},
  });
  world.pass(1_000);
  ask(later!, 'POST');
  world.pass(1_000);
  assert.deepEqual([...statuses].sort(), [200, 200, 200, 425]);
  assert.deepEqual(world.bugs, []);
});
