import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fields } from '../../core/fields.ts';
import { bindLimits } from '../../core/limits.ts';
import { type SimulatedClient, type SimulatedRequest, simulateRequest } from '../../sim/exchange.ts';
import { World } from '../../sim/world.ts';
import type { Channel } from '../http/channels.ts';
import { webSocketUpgrade } from './handshake.ts';
import { limits } from './limits.ts';
import { acceptOf, isKey } from './proof.ts';
import { closing, Echo, frame, readFrames, shown } from './testing/bench.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

interface Opened {
  readonly world: World;
  readonly client: SimulatedClient;
  /** The channel that was opened, and as what. */
  readonly opened: string[];
  readonly echoes: Echo[];
}

/** Asks for a WebSocket; `fields` are put over those of a right handshake, '' leaves one out. */
function ask(
  fields: Readonly<Record<string, string>> = {},
  request: SimulatedRequest = {},
  bounds: Record<string, number> = {},
): Opened {
  const world = new World(1);
  const opened: string[] = [];
  const echoes: Echo[] = [];
  const channel = (subprotocol: string, ...paths: string[]): Channel => ({
    subprotocol,
    paths,
    messages(messages) {
      opened.push(`${paths[0]} ${messages.subprotocol} ${messages.target} ${messages.caller.account}`);
      const echo = new Echo(messages);
      echoes.push(echo);
      return echo;
    },
  });
  const upgrade = webSocketUpgrade(
    [
      channel('', '/topics/'),
      channel('portico.json', '/ws', '/topics/'),
      channel('mqtt', '/mqtt'),
      channel('mqtt', '/topics/deep/'),
      channel('deep', '/d/', '/d/e/f/'),
      channel('deep', '/d/e/'),
      channel('graphql', '/graphql'),
    ],
    { limits: bindLimits(limits, bounds), entropy: world.random },
  );
  const sent = new Fields();
  const all = { 'sec-websocket-version': '13', 'sec-websocket-key': KEY, ...fields };
  for (const [name, value] of Object.entries(all)) if (value !== '') sent.append(name, value);
  const caller = { account: 'ann', scopes: null, origin: 'local', epoch: 0 } as const;
  const client = simulateRequest(world, upgrade, {
    target: '/topics/a?after=1',
    upgrade: 'websocket',
    fields: sent,
    caller,
    ...request,
  });
  world.pass(10);
  assert.deepEqual(world.bugs, []);
  return { world, client, opened, echoes };
}

const list = ({ client }: Opened) => Object.fromEntries(client.fields);

test('§1.3 the example: the key is answered with its proof', () => {
  assert.equal(acceptOf(KEY), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  const made = ask();
  assert.equal(made.client.status, 101);
  assert.deepEqual(list(made), { 'sec-websocket-accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' });
  assert.deepEqual(made.opened, ['/topics/  /topics/a?after=1 ann']);
});

test('the socket speaks', () => {
  const { client, world, echoes } = ask();
  client.send(Buffer.concat([frame(1, 'hello'), frame(8, closing(1000))]));
  world.pass(100);
  assert.deepEqual(readFrames(client.body).map(shown), ['text hello', 'close 1000']);
  client.end();
  world.pass(100);
  assert.deepEqual(echoes[0]!.told, ['text hello', 'lost ended 1000']);
  assert.deepEqual(world.bugs, []);
});

test('§4.2.1 what is no handshake', () => {
  for (const [status, fields, request] of [
    [426, {}, { upgrade: '' }],
    [426, {}, { upgrade: 'h2c' }],
    [400, {}, { method: 'POST' }],
    [400, {}, { method: 'HEAD' }],
    [400, { 'sec-websocket-key': '' }, {}],
    [400, { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ' }, {}],
    [400, { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25j' }, {}],
    [400, { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZTE2' }, {}],
    [400, { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZR==' }, {}],
    [426, { 'sec-websocket-version': '' }, {}],
    [426, { 'sec-websocket-version': '8' }, {}],
    [426, { 'sec-websocket-version': '13, 8' }, {}],
    [400, { 'sec-websocket-protocol': 'a b' }, {}],
    [400, { 'sec-websocket-protocol': ',' }, {}],
    [400, { 'sec-websocket-protocol': 'portico.json, portico.json' }, {}],
    [400, { 'sec-websocket-extensions': 'permessage-deflate; =' }, {}],
    [400, { 'sec-websocket-extensions': 'permessage-deflate x' }, {}],
    [404, {}, { target: '/nowhere' }],
    [404, {}, { target: '/wsx' }],
    [404, {}, { target: '/topics' }],
  ] as const) {
    const made = ask(fields, request);
    const told = JSON.stringify([fields, request]);
    assert.equal(made.client.status, status, told);
    assert.equal(made.client.fields.get('content-type'), 'application/problem+json');
    assert.deepEqual(made.opened, []);
    if (status === 426) {
      assert.equal(made.client.fields.get('upgrade'), 'websocket');
      if ('sec-websocket-version' in fields) assert.equal(made.client.fields.get('sec-websocket-version'), '13');
    }
  }
  for (let byte = 0; byte < 256; byte++) assert.ok(isKey(Buffer.alloc(16, byte).toString('base64')));
});

test('§4.2.2 two keys are one too many', () => {
  const world = new World(1);
  const fields = Fields.of({ 'sec-websocket-version': '13', 'sec-websocket-key': KEY });
  fields.append('sec-websocket-key', KEY);
  const upgrade = webSocketUpgrade([], { limits: bindLimits(limits), entropy: world.random });
  const client = simulateRequest(world, upgrade, { upgrade: 'websocket', fields });
  world.pass(10);
  assert.equal(client.status, 400);
});

test('§4.2.2 the first subprotocol of the client’s that is served at the path', () => {
  const chosen = (target: string, protocols: string): string => {
    const made = ask({ 'sec-websocket-protocol': protocols }, { target });
    const named = made.client.fields.get('sec-websocket-protocol') ?? '';
    assert.equal(made.opened.length, made.client.status === 101 ? 1 : 0);
    return `${made.client.status} ${named} ${made.opened[0]?.split(' ')[0] ?? ''}`.trim();
  };
  assert.equal(chosen('/topics/x', 'other, portico.json'), '101 portico.json /ws');
  assert.equal(chosen('/topics/deep/x', 'mqtt,portico.json'), '101 mqtt /topics/deep/');
  assert.equal(chosen('/topics/deep/x', 'portico.json,mqtt'), '101 portico.json /ws');
  assert.equal(chosen('/topics/x', 'mqtt,portico.json'), '101 portico.json /ws');
  assert.equal(chosen('/ws?x=1', 'portico.json'), '101 portico.json /ws');
  assert.equal(chosen('/mqtt', 'mqtt'), '101 mqtt /mqtt');
  assert.equal(chosen('/mqtt', 'MQTT'), '400');
  assert.equal(chosen('/d/x', 'deep'), '101 deep /d/');
  assert.equal(chosen('/d/e/x', 'deep'), '101 deep /d/e/');
  assert.equal(chosen('/d/e/f/x', 'deep'), '101 deep /d/');
  assert.equal(chosen('/topics/x', 'other'), '400');
  assert.equal(chosen('/mqtt', ''), '400');
  const { client } = ask({ 'sec-websocket-protocol': 'other' });
  const problem = JSON.parse(client.body.toString()) as Record<string, unknown>;
  assert.deepEqual(problem.served, ['portico.json']);
  assert.equal(problem.detail, 'WebSockets at /topics/a are spoken as: portico.json, or without a subprotocol.');
});

test('RFC 7692 §5: what is agreed on, and what is not', () => {
  const agreed = (offer: string, bounds = {}) => {
    const made = ask({ 'sec-websocket-extensions': offer }, {}, bounds);
    assert.equal(made.client.status, 101);
    return made.client.fields.get('sec-websocket-extensions');
  };
  assert.equal(agreed('permessage-deflate; client_max_window_bits'), 'permessage-deflate; server_no_context_takeover');
  assert.equal(agreed('x-webkit-deflate-frame'), null);
  const none = { inflateContextsMax: 0 };
  assert.equal(
    agreed('permessage-deflate', none),
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
  );
});

test('RFC 8441 §5: extended CONNECT is answered with 200 and without a proof', () => {
  const made = ask({ 'sec-websocket-key': '', 'sec-websocket-protocol': 'portico.json' }, { method: 'CONNECT' });
  assert.equal(made.client.status, 200);
  assert.deepEqual(list(made), { 'sec-websocket-protocol': 'portico.json' });
  made.client.send(frame(1, 'h2'));
  made.world.pass(100);
  assert.deepEqual(readFrames(made.client.body).map(shown), ['text h2']);
});

test('the server shuts down: the session says 1001', () => {
  const { client, world, echoes } = ask();
  client.link.far.leave('shutdown', 1_000);
  world.pass(100);
  assert.deepEqual(readFrames(client.body).map(shown), ['close 1001']);
  assert.deepEqual(echoes[0]!.told, ['leave shutdown']);
});
