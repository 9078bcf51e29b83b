// What `portico trust` would do on machines that are not this one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Machine, trustPlan } from './trust-plan.ts';

const ROOT = { pem: 'PEM\n', der: new Uint8Array([1, 2, 3]), id: 'abcdef0123', serial: '77' };

function machine(platform: NodeJS.Platform, commands: readonly string[], paths: readonly string[]): Machine {
  return {
    platform,
    home: '/h',
    isRoot: false,
    which: (command) => (commands.includes(command) ? command : null),
    has: (path) => paths.includes(path),
    list: (folder) =>
      paths.filter((path) => path.startsWith(`${folder}/`)).map((path) => path.slice(folder.length + 1).split('/')[0]!),
  };
}

const commandsOf = (given: Machine, removes = false) =>
  trustPlan(ROOT, '/d/root.crt', removes, given).steps.map(({ command }) => command.join(' '));

test('each system has its own store and command', () => {
  const debian = machine('linux', ['update-ca-certificates'], ['/usr/local/share/ca-certificates']);
  const [step] = trustPlan(ROOT, '/d/root.crt', false, debian).steps;
  assert.deepEqual(step?.put, { path: '/usr/local/share/ca-certificates/portico-abcdef.crt', text: 'PEM\n' });
  assert.deepEqual(commandsOf(debian), ['update-ca-certificates']);
  assert.equal(trustPlan(ROOT, '/d/root.crt', true, debian).steps[0]?.drop, step?.put?.path);
  const fedora = machine('linux', ['update-ca-trust'], ['/etc/pki/ca-trust/source/anchors']);
  assert.deepEqual(commandsOf(fedora), ['update-ca-trust extract']);
  assert.match(commandsOf(machine('darwin', [], []))[0]!, /^security add-trusted-cert -d -r trustRoot -k .*root\.crt$/);
  assert.match(
    commandsOf(machine('darwin', [], []), true)[0]!,
    /delete-certificate -t -Z 7037807198C22A7D2B0807371D763779A84FDFCF /,
  );
  assert.deepEqual(commandsOf(machine('win32', [], [])), ['certutil -user -addstore -f Root /d/root.crt']);
  assert.deepEqual(commandsOf(machine('win32', [], []), true), ['certutil -user -delstore Root 77']);
});

test('the databases of Chromium and of each profile of Firefox are told where they are', () => {
  const paths = [
    '/h/.pki/nssdb/cert9.db',
    '/h/.mozilla/firefox/one.default/cert9.db',
    '/h/.mozilla/firefox/profiles.ini',
  ];
  const told = commandsOf(machine('linux', ['certutil'], paths));
  assert.deepEqual(told, [
    'certutil -A -d sql:/h/.pki/nssdb -t C,, -n Portico Local Root abcdef -i /d/root.crt',
    'certutil -A -d sql:/h/.mozilla/firefox/one.default -t C,, -n Portico Local Root abcdef -i /d/root.crt',
  ]);
  const { steps, hints } = trustPlan(ROOT, '/d/root.crt', false, machine('linux', [], paths));
  assert.equal(steps.length, 0);
  assert.equal(hints.length, 2);
});
