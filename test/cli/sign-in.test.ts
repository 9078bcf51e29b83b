// `portico pub`, `sub` and `get` on a server with accounts: as whom they come, by flags, URL and environment, over each protocol.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { runCommand } from '../server-process.ts';

const TIMEOUT = { timeout: 60_000 };
const PASSWORD = 'correct horse';
let portico: Portico;
let token = '';

before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  for (const order of [
    { do: 'account.add', name: 'ann', password: PASSWORD },
    { do: 'token.add', account: 'ann', label: 'cli' },
  ]) {
    const answer = await portico.order(order);
    assert.ok(answer.ok);
    if ('token' in answer) token = String(answer.token);
  }
});
after(() => portico.close());

/** A topic as each protocol has it; with somebody in the URL. */
function at(name: string, who = ''): string {
  const url = portico.urls[name]!.replace('://', `://${who}`);
  return `${url}${name === 'http' ? '/topics' : ''}/cli/${name}`;
}

const NOBODY = { PORTICO_USER: undefined, PORTICO_PASSWORD: undefined, PORTICO_TOKEN: undefined };
const run = (args: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
  runCommand(args, '', { environment: { ...NOBODY, ...environment } });

for (const name of ['mqtt', 'lines', 'http', 'ws'])
  test(`${name}: a password of the environment or the URL, a token of a flag or the environment`, TIMEOUT, async () => {
    for (const [args, environment] of [
      [[at(name), '1', '--retain', '--user', 'ann'], { PORTICO_PASSWORD: PASSWORD }],
      [[at(name, `ann:${encodeURIComponent(PASSWORD)}@`), '2', '--retain'], {}],
      [[at(name), '3', '--retain', '--user', 'ann', '--token', token], {}],
      [[at(name), '4', '--retain'], { PORTICO_TOKEN: token, PORTICO_USER: 'ann' }],
    ] as const) {
      const { code, errors } = await run(['pub', ...args], environment);
      assert.equal(code, 0, `${args.slice(1).join(' ')}: ${errors}`);
    }
    const { output, errors } = await run(['get', at(name)], { PORTICO_TOKEN: token, PORTICO_USER: 'ann' });
    assert.equal(output, '4', errors);
  });

test('a token needs no name but over tcp:', TIMEOUT, async () => {
  for (const name of ['mqtt', 'http', 'ws']) {
    const { code, errors } = await run(['pub', at(name), '5'], { PORTICO_TOKEN: token });
    assert.equal(code, 0, `${name}: ${errors}`);
  }
  const lines = await run(['pub', at('lines'), '5', '--token', token]);
  assert.equal(lines.code, 64);
  assert.match(lines.errors, /--user/);
  const udp = await run(['pub', at('udp'), '5', '--token', token]);
  assert.equal(udp.code, 64);
});

test('sub hears with a token; nobody and what is wrong are refused', TIMEOUT, async () => {
  const sse = at('sse').replace('/cli/sse', '/cli/mqtt');
  const heard = await run(['sub', sse, '--count', '1', '--token', token]);
  assert.equal(heard.code, 0, heard.errors);
  for (const environment of [
    {},
    { PORTICO_TOKEN: `${token}x` },
    { PORTICO_USER: 'ann', PORTICO_PASSWORD: 'wrong horse' },
  ])
    for (const name of ['mqtt', 'http', 'ws']) {
      const { code, output } = await run(['get', at(name)], environment);
      assert.equal(code, 77, name);
      assert.equal(output, '');
    }
});

test('get of another resource; a flag wins over the environment, and a URL with a password too', TIMEOUT, async () => {
  const url = `${portico.urls.http}/metrics`;
  assert.match((await run(['get', url], { PORTICO_TOKEN: token })).output, /^portico_/m);
  assert.notEqual((await run(['get', url])).code, 0);
  assert.match((await run(['get', url, '--token', token], { PORTICO_TOKEN: 'wrong' })).output, /^portico_/m);
  const own = url.replace('://', `://ann:${encodeURIComponent(PASSWORD)}@`);
  assert.match((await run(['get', own], { PORTICO_TOKEN: 'wrong' })).output, /^portico_/m);
});
