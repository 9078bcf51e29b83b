// GraphQL over HTTP in a simulated world: however a body is cut the answer is the same, and no bytes throw or hang.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fields } from '../../core/fields.ts';
import { bindLimits } from '../../core/limits.ts';
import { SILENT } from '../../core/log.ts';
import { OPEN_ACCOUNTS } from '../../resources/accounts/open-accounts.ts';
import { simulateRequest } from '../../sim/exchange.ts';
import { World } from '../../sim/world.ts';
import { limits } from './limits.ts';
import { GraphqlServer } from './server.ts';
import { GRAPHQL_DEFAULTS } from './settings.ts';
import { HeldServices } from './testing/shelf.ts';

class Stage {
  readonly world = new World(1);
  readonly services = new HeldServices();
  readonly server: GraphqlServer;

  constructor() {
    const { world, services } = this;
    const host = {
      resources: { accounts: OPEN_ACCOUNTS, topics: null as never, services },
      limits: bindLimits(limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      software: 'Portico/test',
      routes: () => {},
    };
    this.server = new GraphqlServer(host, GRAPHQL_DEFAULTS);
  }

  ask(fields: Readonly<Record<string, string>>, body: Buffer, cut = 0, method = 'POST') {
    const request = { method, target: '/graphql', fields: Fields.of(fields) };
    const client = simulateRequest(this.world, this.server.handle, request, { cut });
    client.send(body);
    client.end();
    this.world.pass(200);
    return client;
  }
}

const JSON_FIELDS = { 'content-type': 'application/json' };
const BODY = Buffer.from('{"query":"{ __typename b: __typename }","variables":{"text":"ä"}}');
const ANSWER = '{"data":{"__typename":"Query","b":"Query"}}';

test('property: however the bytes are cut, the answer is the same', () => {
  const stage = new Stage();
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 80 }), (cut) => {
      const { status, body, ended } = stage.ask(JSON_FIELDS, BODY, cut);
      assert.deepEqual([status, body.toString(), ended], [200, ANSWER, true]);
    }),
    { numRuns: 40 },
  );
});

test('property: any body, of any type, is answered', () => {
  const stage = new Stage();
  const type = fc.constantFrom(
    'application/json',
    'application/json; charset=utf-8',
    'multipart/form-data; boundary=x',
    'multipart/form-data',
    'text/plain',
    '',
    ';',
  );
  const accept = fc.constantFrom('*/*', 'application/graphql-response+json', 'text/event-stream', 'image/png', 'q=1;;');
  const piece = fc.constantFrom(
    '{',
    '"query"',
    ':',
    '"{ __typename }"',
    '}',
    '--x',
    '\r\n',
    'Content-Disposition: form-data; name="map"',
    '\0',
  );
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.array(piece, { maxLength: 20 }).map((pieces) => Buffer.from(pieces.join(''))),
  );
  fc.assert(
    fc.property(type, accept, body, (given, wanted, bytes) => {
      const client = stage.ask({ 'content-type': given, accept: wanted }, bytes);
      assert.ok(client.status >= 200 && client.ended, `${client.status} ${client.failed}`);
    }),
    { numRuns: 400 },
  );
});

test('a client that is lost before its answer cancels the call', () => {
  const stage = new Stage();
  const client = simulateRequest(stage.world, stage.server.handle, {
    method: 'POST',
    target: '/graphql',
    fields: Fields.of(JSON_FIELDS),
  });
  client.send(Buffer.from('{"query":"{ ordersWhoAmI { account } }"}'));
  client.end();
  stage.world.pass(50);
  assert.equal(stage.services.calls.length, 1);
  client.abort(8);
  stage.world.pass(50);
  assert.equal(stage.services.calls[0]!.cancelled, true);
});
