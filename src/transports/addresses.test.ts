import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressPolicy, allowEntryProblem } from './addresses.ts';

test('only public addresses may be reached, whichever way they are written', () => {
  const policy = new AddressPolicy({ allow: [] });
  for (const address of ['8.8.8.8', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])
    assert.equal(policy.allows(address), true, address);
  const refused = [
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.8.9.1',
    '169.254.169.254',
    '172.31.255.255',
    '192.168.1.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::7f00:1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::FFFF:10.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'fd00::1',
    'fe80::1',
    'fe80::1%lo',
    'ff02::1',
    'localhost',
    '127.1',
    '0x7f.0.0.1',
    '',
  ];
  for (const address of refused) assert.equal(policy.allows(address), false, address);
});

test('what is allowed by name is reached wherever it is', () => {
  const policy = new AddressPolicy({
    allow: ['10.0.0.0/8', 'fd00::/8', '192.168.1.7', 'Build.Example', '/run/app.sock'],
  });
  for (const address of ['10.255.0.1', '::ffff:10.0.0.1', 'fd12::1', '192.168.1.7'])
    assert.equal(policy.allows(address), true, address);
  assert.equal(policy.allows('192.168.1.8'), false);
  assert.equal(policy.allowsName('build.example'), true);
  assert.equal(policy.allowsName('example'), false);
  assert.equal(policy.allowsName('/run/app.sock'), true);
  assert.equal(policy.allowsName('/RUN/app.sock'), false);
});

test('an entry of the list that is nothing is said to be', () => {
  for (const entry of ['10.0.0.0/8', '::1', 'fd00::/128', 'name', 'a.b', '/run/x/y.sock'])
    assert.equal(allowEntryProblem(entry), null, entry);
  for (const entry of ['10.0.0.0/33', 'fd00::/129', 'name/8', '10.0.0.0/8/8', '10.0.0.0/x'])
    assert.notEqual(allowEntryProblem(entry), null, entry);
});
