import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Fields } from '../../core/fields.ts';
import { bindLimits } from '../../core/limits.ts';
import { simulateRequest } from '../../sim/exchange.ts';
import { World } from '../../sim/world.ts';
import { faults, handshakeFaults } from './faults.ts';
import { webSocketUpgrade } from './handshake.ts';
import { limits } from './limits.ts';
import { closing, Echo, frame, readFrames } from './testing/bench.ts';

function house(overrides: Record<string, number>) {
  const world = new World(1);
  const upgrade = webSocketUpgrade([{ subprotocol: '', paths: ['/'], messages: (messages) => new Echo(messages) }], {
    limits: bindLimits(limits, overrides),
    entropy: world.random,
  });
  return {
    world,
    open() {
      const fields = Fields.of({
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-extensions': 'permessage-deflate',
      });
      const client = simulateRequest(world, upgrade, { upgrade: 'websocket', fields });
      world.pass(10);
      return client;
    },
  };
}

test('inflateContextsMax: as many, one more, and again when one has gone', () => {
  const { world, open } = house({ inflateContextsMax: 2 });
  const told = (client: ReturnType<typeof open>) =>
    client.fields.get('sec-websocket-extensions')!.includes('client_no_context_takeover');
  const first = open();
  assert.deepEqual([told(first), told(open()), told(open()), told(open())], [false, false, true, true]);
  first.send(frame(8, closing(1000)));
  world.pass(10);
  first.end();
  world.pass(10);
  assert.deepEqual([told(open()), told(open())], [false, true]);
  assert.deepEqual(world.bugs, []);
});

test('gatheredBytesMax: of all sockets together, and free again when a message is whole, or its socket gone', () => {
  const { world, open } = house({ gatheredBytesMax: 1_000 });
  const part = (size: number) => frame(2, Buffer.alloc(size), { fin: false });
  const codes = (client: ReturnType<typeof open>) =>
    readFrames(client.body).flatMap(({ opcode, payload }) => (opcode === 8 ? [payload.readUInt16BE()] : []));
  const [a, b, c] = [open(), open(), open()];
  a.send(part(600));
  b.send(part(400));
  world.pass(10);
  // One that comes whole is not held.
  c.send(Buffer.concat([frame(1, 'x'.repeat(800)), part(1)]));
  world.pass(10);
  assert.deepEqual([codes(a), codes(b), codes(c)], [[], [], [faults.tooMuchHeld.wire]]);
  a.send(frame(0));
  b.abort(0);
  world.pass(10);
  const d = open();
  d.send(part(1_000));
  world.pass(10);
  assert.deepEqual(codes(d), []);
  d.send(frame(0, 'x'));
  world.pass(10);
  assert.deepEqual(codes(d), [1013]);
  const e = open();
  e.send(part(1_000));
  world.pass(10);
  assert.deepEqual(codes(e), []);
  assert.deepEqual(world.bugs, []);
});

test('compressBytesLeast: at the bound and one below it', () => {
  const { world, open } = house({ compressBytesLeast: 100 });
  const client = open();
  client.send(Buffer.concat([frame(1, 'x'.repeat(99)), frame(1, 'x'.repeat(100))]));
  world.pass(10);
  const [below, at] = readFrames(client.body);
  assert.deepEqual([below!.rsv, below!.payload.length], [0, 99]);
  assert.equal(at!.rsv, 4);
  assert.ok(at!.payload.length < 20);
});

test('every limit can be set to its ends', () => {
  for (const [name, { least, most }] of Object.entries(limits))
    for (const value of [least, most]) assert.equal(house({ [name]: value }).open().status, 101);
});

test('docs/websocket.md says what the limits are, and how each fault is told', () => {
  const page = readFileSync(new URL('../../../docs/websocket.md', import.meta.url), 'utf8');
  for (const [name, row] of Object.entries(limits))
    assert.ok(page.includes(`| \`${name}\` | ${row.default} | ${row.unit} |`), name);
  for (const { wire, text } of Object.values(faults))
    assert.ok(
      page.split('\n').some((line) => line.startsWith(`| ${wire} `) && line.includes(`\`${text}\``)),
      text,
    );
  for (const { wire } of Object.values(handshakeFaults)) assert.equal(wire, 0);
});
