import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultTable } from './fault.ts';
import { Fields } from './fields.ts';
import { bindLimits } from './limits.ts';
import { addressText, isLoopback } from './peer.ts';
import { Tokens } from './tokens.ts';

test('a token is taken once, and one of a former life of its slot is dropped', () => {
  const tokens = new Tokens<string>(2);
  const a = tokens.open('a');
  const b = tokens.open('b');
  assert.ok(a > 0 && b > 0 && a !== b);
  assert.equal(tokens.open('c'), 0);
  assert.equal(tokens.take(a), 'a');
  assert.equal(tokens.take(a), undefined);
  const c = tokens.open('c');
  assert.notEqual(c, a);
  assert.equal(tokens.take(a), undefined);
  tokens.clear();
  assert.equal(tokens.take(b), undefined);
  assert.equal(tokens.take(c), undefined);
  assert.equal(tokens.size, 0);
  for (let index = 0; index < 10_000; index++) assert.equal(tokens.take(tokens.open(String(index))), String(index));
});

test('limits have defaults, ranges and names', () => {
  const rows = {
    sizeMax: { what: 'a size', default: 10, least: 1, most: 20, unit: 'bytes' as const, fault: null, spec: '' },
  };
  assert.deepEqual(bindLimits(rows), { sizeMax: 10 });
  assert.deepEqual(bindLimits(rows, { sizeMax: 20 }), { sizeMax: 20 });
  assert.throws(() => bindLimits(rows, { sizeMax: 21 }), /sizeMax is 21, but must be from 1 to 20 bytes/);
  assert.throws(() => bindLimits(rows, { size: 1 }), /there is no limit size; there are sizeMax/);
});

test('faults are frozen, named, and the connection’s unless said', () => {
  const faults = faultTable('test', {
    one: { wire: 1, spec: 'x', text: 'One.' },
    two: { wire: 2, spec: 'y', text: 'Two.', scope: 'stream' },
  });
  assert.deepEqual([faults.one.id, faults.one.scope, faults.two.scope], ['test.one', 'connection', 'stream']);
  assert.throws(() => Object.assign(faults.one, { wire: 3 }), TypeError);
});

test('fields are found without regard to case, in order, and joined', () => {
  const fields = Fields.of({ 'Content-Type': 'a', Accept: 'b' }).append('accept', 'c');
  assert.deepEqual([fields.get('content-type'), fields.joined('accept'), fields.get('none')], ['a', 'b, c', null]);
  fields.set('ACCEPT', 'd');
  assert.deepEqual(
    [...fields],
    [
      ['content-type', 'a'],
      ['accept', 'd'],
    ],
  );
});

test('addresses are written as people do, and loopback is known', () => {
  assert.equal(addressText({ host: '::1', port: 80 }), '[::1]:80');
  assert.equal(addressText({ host: '127.0.0.1', port: 80 }), '127.0.0.1:80');
  for (const host of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1']) assert.ok(isLoopback(host), host);
  for (const host of ['128.0.0.1', '10.0.0.1', '::2', '127.0.0.1.example', '::ffff:10.0.0.1'])
    assert.ok(!isLoopback(host), host);
});
