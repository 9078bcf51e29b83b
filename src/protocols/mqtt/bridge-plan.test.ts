// What crosses a bridge, under which name, how often; and where a URL leads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crossedName, crossedProperties, HOPS_MAX, remoteOf, ruleProblem } from './bridge-plan.ts';

test('the first rule that matches names what crosses', () => {
  const rules = [
    { filter: 'a/+/c', strip: 'a/', prefix: 'x/' },
    { filter: 'a/#', prefix: 'y/' },
    { filter: 'b/#', strip: 'b/' },
  ];
  const names = ['a/b/c', 'a/b', 'b/c', 'b/', 'b', 'c', '$SYS/a'].map((name) => crossedName(rules, name));
  assert.deepEqual(names, ['x/b/c', 'y/a/b', 'c', null, null, null, null]);
  assert.equal(crossedName([{ filter: '#', prefix: 'x'.repeat(65_530) }], 'too/long'), null);
});

test('a message crosses a bridge once, and eight bridges at most', () => {
  let properties: readonly string[] | null = ['unit', 'C', 'unit', 'F'];
  for (let bridge = 1; bridge <= HOPS_MAX; bridge++) {
    properties = crossedProperties(properties, `b${bridge}`);
    assert.deepEqual(properties?.slice(0, 4), ['unit', 'C', 'unit', 'F']);
    assert.equal(properties[properties.indexOf('portico-hops') + 1], `${bridge}`);
    assert.equal(crossedProperties(properties, 'b1'), null);
  }
  assert.equal(crossedProperties(properties!, 'another'), null);
  for (const strange of ['-1', '', 'x', '1e9', '9999'])
    assert.equal(crossedProperties(['portico-hops', strange], 'b'), null);
});

test('a URL names the broker and the user, and nothing else', () => {
  const { target, tls, username, password } = remoteOf('mqtt://me%40here:p%3Ass@[::1]');
  assert.deepEqual([target, tls, username, String(password)], [{ host: '::1', port: 1883 }, null, 'me@here', 'p:ss']);
  assert.deepEqual(remoteOf('mqtts://broker.example').tls, { role: 'client', serverName: 'broker.example' });
  assert.equal(remoteOf('mqtts://broker.example').target.port, 8883);
  for (const wrong of [
    '',
    'broker',
    'tcp://broker',
    'mqtt://',
    'mqtt://:word@broker',
    'mqtt://broker/topic',
    'mqtt://b?c',
  ])
    assert.throws(() => remoteOf(wrong), RangeError, wrong);
});

test('a rule that can name nothing is refused', () => {
  const filters = ['a/#/b', '', '$share/g/a'].map((filter) => ruleProblem({ filter }) !== null);
  assert.deepEqual(filters, [true, true, true]);
  assert.notEqual(ruleProblem({ filter: '+/a', strip: '+/' }), null);
  assert.notEqual(ruleProblem({ filter: 'a/#', prefix: '#/' }), null);
  assert.equal(ruleProblem({ filter: 'a/#', strip: 'a/', prefix: 'b/' }), null);
});
