import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DOORKEEPER_BOUNDS,
  Doorkeeper,
  LOCKED_OUT,
  SHEDDING,
  TOO_FAST,
  TOO_MANY,
  TOO_MANY_HERE,
} from './doorkeeper.ts';

const at = (host: string) => ({ host, port: 1 });
const of = (bounds: Partial<typeof DOORKEEPER_BOUNDS>) => new Doorkeeper({ ...DOORKEEPER_BOUNDS, ...bounds });

test('connections at once are bounded, in all and for one address, and free again when they end', () => {
  const door = of({ connectionsMax: 3, connectionsPerAddressMax: 2 });
  assert.equal(door.admit(at('192.0.2.1'), 0), null);
  assert.equal(door.admit(at('192.0.2.1'), 0), null);
  assert.equal(door.admit(at('192.0.2.1'), 0), TOO_MANY_HERE);
  assert.equal(door.admit(at('192.0.2.2'), 0), null);
  assert.equal(door.admit(at('192.0.2.3'), 0), TOO_MANY);
  door.left(at('192.0.2.1'));
  assert.equal(door.admit(at('192.0.2.1'), 0), null);
  assert.equal(door.open, 3);
});

test('one address comes only so fast, after a burst; a Unix socket has no address', () => {
  const door = of({ connectionsPerSecondMax: 10 });
  for (let count = 0; count < 40; count++) assert.equal(door.admit(at('192.0.2.1'), 0), null);
  assert.equal(door.admit(at('192.0.2.1'), 0), TOO_FAST);
  assert.equal(door.admit(at('192.0.2.2'), 0), null);
  assert.equal(door.admit(at('192.0.2.1'), 99), TOO_FAST);
  assert.equal(door.admit(at('192.0.2.1'), 200), null);
  for (let count = 0; count < 100; count++) assert.equal(door.admit(null, 0), null);
});

test('an address that breaks protocols too often is refused for a minute; loopback is everybody and exempt', () => {
  const door = of({ faultsPerMinuteMax: 3 });
  for (const host of ['192.0.2.1', '127.0.0.1', '::1']) {
    for (let count = 0; count < 3; count++) door.failed(at(host), 1_000);
    assert.equal(door.admit(at(host), 1_000), host === '192.0.2.1' ? LOCKED_OUT : null);
  }
  assert.equal(door.admit(at('192.0.2.1'), 60_999), LOCKED_OUT);
  assert.equal(door.admit(at('192.0.2.1'), 61_001), null);
  // Few enough in each minute: nothing happens.
  for (let minute = 2; minute < 5; minute++) {
    for (let count = 0; count < 2; count++) door.failed(at('192.0.2.9'), minute * 60_000);
    assert.equal(door.admit(at('192.0.2.9'), minute * 60_000), null);
  }
});

test('one IPv6 network of 64 bits counts as one address, an IPv4 address in IPv6 as itself', () => {
  const door = of({ connectionsPerAddressMax: 1 });
  assert.equal(door.admit(at('2001:db8::1'), 0), null);
  assert.equal(door.admit(at('2001:db8:0:0:ffff::2'), 0), TOO_MANY_HERE);
  assert.equal(door.admit(at('2001:db8:0:1::1'), 0), null);
  assert.equal(door.admit(at('::ffff:192.0.2.1'), 0), null);
  assert.equal(door.admit(at('192.0.2.1'), 0), TOO_MANY_HERE);
  assert.equal(door.admit(at('::ffff:192.0.2.2'), 0), null);
});

test('while memory is short nobody comes in', () => {
  const door = of({});
  door.closed = true;
  assert.equal(door.admit(null, 0), SHEDDING);
  door.closed = false;
  assert.equal(door.admit(null, 0), null);
});

test('addresses that were seen once are forgotten, those that are here or locked out are not', () => {
  const door = of({ connectionsPerAddressMax: 1, faultsPerMinuteMax: 1 });
  assert.equal(door.admit(at('192.0.2.1'), 0), null);
  door.failed(at('192.0.2.2'), 5_000);
  for (let count = 0; count < 70_000; count++) {
    const host = `10.${count >>> 16}.${(count >>> 8) & 255}.${count & 255}`;
    assert.equal(door.admit(at(host), count / 10), null);
    door.left(at(host));
  }
  assert.equal(door.admit(at('192.0.2.1'), 7_000), TOO_MANY_HERE);
  assert.equal(door.admit(at('192.0.2.2'), 7_000), LOCKED_OUT);
});
