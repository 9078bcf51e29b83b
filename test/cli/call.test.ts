// `portico call` against a server, over each protocol that it speaks.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Running, runCommand, startServer } from '../server-process.ts';

const TIMEOUT = { timeout: 60_000 };
const SERVICE = fileURLToPath(new URL('../../examples/orders/orders.ts', import.meta.url));
const ORDER = JSON.stringify({ customer: 'ann', items: [{ sku: 'a', quantity: 2 }] });

let server: Running;
before(async () => {
  server = await startServer(['--storage', 'memory', '--service', SERVICE], { PORTICO_PORTS: 'ephemeral' });
});
after(() => server.kill());

/** gRPC and Connect are spoken on the port of HTTP. */
const at = (protocol: string) => server.urls[protocol] ?? server.urls.http!.replace(/^http/, protocol);

const call = (protocol: string, method: string, ...args: string[]) =>
  runCommand(['call', at(protocol), `example.v1.Orders.${method}`, ...args]);

for (const protocol of ['http', 'ws', 'mqtt', 'grpc', 'connect', 'soap'])
  test(`a call and its errors over ${protocol}`, TIMEOUT, async () => {
    const placed = await call(protocol, 'Place', ORDER);
    assert.equal(placed.code, 0, placed.errors);
    const { id, customer } = JSON.parse(placed.output) as { id: string; customer: string };
    assert.equal(customer, 'ann');
    const found = await call(protocol, 'Get', JSON.stringify({ id }));
    assert.equal(found.output, placed.output);
    const missing = await call(protocol, 'Get', '{"id":"none"}');
    assert.deepEqual([missing.code, missing.output], [1, '']);
    assert.match(missing.errors, /NOT_FOUND: there is no order none/);
    const invalid = await call(protocol, 'Place', '{"customer":"","items":[{"sku":"a","quantity":0}]}');
    assert.equal(invalid.code, 1);
    assert.match(invalid.errors, /INVALID_ARGUMENT: customer: .*\n {2}customer: .*\n {2}items\[0\]\.quantity: /);
    const nothing = await call(protocol, 'Nothing');
    assert.equal(nothing.code, 1);
    assert.match(nothing.errors, /UNIMPLEMENTED/);
  });

for (const protocol of ['http', 'ws', 'mqtt', 'grpc', 'connect'])
  test(`a stream that goes on is printed as it comes, over ${protocol}`, TIMEOUT, async () => {
    await call(protocol, 'Place', ORDER);
    const watched = await call(protocol, 'Watch', '--timeout', '1500', '--json');
    assert.equal(watched.code, 1);
    assert.equal((JSON.parse(watched.errors) as { code: string }).code, 'DEADLINE_EXCEEDED');
    const [first] = watched.output.split('\n');
    assert.equal((JSON.parse(first!) as { customer: string }).customer, 'ann');
  });

test('SOAP by the URL of a description, with who calls in the message', TIMEOUT, async () => {
  const url = `soap:${server.urls.http}/soap/example.v1.Orders?wsdl`;
  for (const way of ['text', 'digest']) {
    const args = ['call', url.replace('://', '://ann:secret@'), 'any.v1.Name.Place', ORDER, '--username-token', way];
    const placed = await runCommand(args);
    assert.equal(placed.code, 0, placed.errors);
    assert.equal((JSON.parse(placed.output) as { customer: string }).customer, 'ann');
  }
});

test('many inputs, as lines and as arguments; the service for topics', TIMEOUT, async () => {
  const topics = 'portico.v1.Topics.PublishMany';
  const message = (topic: string) => JSON.stringify({ topic, payload: 'MQ==' });
  for (const protocol of ['http', 'ws', 'mqtt', 'grpc']) {
    const lines = `${message('a')}\n${message('b')}\n`;
    const piped = await runCommand(['call', at(protocol), topics, '--lines'], lines);
    assert.equal(piped.code, 0, piped.errors);
    assert.equal(piped.output.trim().split('\n').length, 1);
    const given = await runCommand(['call', at(protocol), topics, message('a'), message('b')]);
    assert.equal(given.code, 0, given.errors);
    const one = await runCommand(['call', at(protocol), topics, message('a')]);
    assert.equal(one.code, 0, one.errors);
  }
});

test('what cannot be a call is a mistake of the command line', TIMEOUT, async () => {
  for (const args of [
    ['gopher://localhost', 'a.b.C'],
    ['nowhere', 'a.b.C'],
    [server.urls.http!, 'nothing'],
    [server.urls.http!, 'a.b.C', '{'],
    [server.urls.http!, 'a.b.C', '--metadata', 'x'],
    [at('soap'), 'a.b.C', '--username-token', 'x'],
    [server.urls.http!, 'a.b.C', '--username-token', 'text'],
  ])
    assert.equal((await runCommand(['call', ...args])).code, 64, args.join(' '));
  assert.equal((await runCommand(['call', 'ws://127.0.0.1:9', 'a.b.C'])).code, 69);
  assert.equal((await runCommand(['call', 'http://127.0.0.1:9', 'a.b.C'])).code, 69);
});
