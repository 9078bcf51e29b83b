// graphql-transport-ws in a simulated world: what is answered to what, and that nothing a client sends throws or lingers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ANYONE, type Caller } from '../../core/caller.ts';
import { bindLimits } from '../../core/limits.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import { NEVER } from '../../core/time.ts';
import type { Accounts } from '../../resources/accounts/contract.ts';
import { OPEN_ACCOUNTS } from '../../resources/accounts/open-accounts.ts';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { linkMessages } from '../../sim/messages.ts';
import { World } from '../../sim/world.ts';
import { limits } from './limits.ts';
import { SocketServer } from './server-socket.ts';
import { TransportSession } from './session.ts';
import { CALLER, Shelf } from './testing/shelf.ts';

class Client implements MessageSession {
  deadline = NEVER;
  readonly heard: Record<string, unknown>[] = [];
  closed = 0;
  readonly messages: Messages;

  constructor(messages: Messages) {
    this.messages = messages;
  }

  say(text: string | object): void {
    const bytes = Buffer.from(typeof text === 'string' ? text : JSON.stringify(text));
    this.messages.send(bytes, 0, bytes.length, true);
    this.messages.flush();
  }

  receive(input: Uint8Array, start: number, end: number): void {
    this.heard.push(JSON.parse(Buffer.from(input.subarray(start, end)).toString()) as Record<string, unknown>);
  }

  writable(): void {}
  tick(): void {}
  leave(): void {}

  lost(_cause: string, wire: number): void {
    this.closed = wire;
  }
}

class Stage {
  readonly world = new World(1);
  readonly shelf: Shelf;
  readonly accounts: Accounts;
  client!: Client;
  session!: TransportSession;

  constructor(overrides: Record<string, number> = {}, accounts: Accounts = OPEN_ACCOUNTS, caller: Caller = CALLER) {
    this.shelf = new Shelf(overrides);
    this.accounts = accounts;
    linkMessages(
      this.world,
      (messages) => {
        this.client = new Client(messages);
        return this.client;
      },
      (messages) => {
        const bound = bindLimits(limits, overrides);
        this.session = new TransportSession(
          messages,
          bound,
          this.world.turn.clock,
          (session) =>
            new SocketServer(session, this.shelf.engine, {
              clock: this.world.turn.clock,
              resources: { accounts: this.accounts },
            }),
        );
        return this.session;
      },
      { caller },
    );
  }

  open(): this {
    this.client.say({ type: 'connection_init' });
    this.world.pass(10);
    assert.deepEqual(this.client.heard.shift(), { type: 'connection_ack' });
    return this;
  }

  subscribe(id: string, query: string): void {
    this.client.say({ id, type: 'subscribe', payload: { query } });
    this.world.pass(10);
  }
}

test('an operation, its answers and its end', () => {
  const stage = new Stage().open();
  stage.subscribe('a', 'subscription { ordersCount(count: 2) { index } }');
  const [call] = stage.shelf.services.calls;
  call!.receiver.message({ index: 0, filler: '' });
  call!.answer({ index: 1, filler: '' });
  stage.world.pass(10);
  assert.deepEqual(stage.client.heard, [
    { id: 'a', type: 'next', payload: { data: { ordersCount: { index: 0 } } } },
    { id: 'a', type: 'next', payload: { data: { ordersCount: { index: 1 } } } },
    { id: 'a', type: 'complete' },
  ]);
  // The id is free again.
  stage.subscribe('a', '{ __typename }');
  assert.equal(stage.client.heard.length, 5);
});

test('complete ends the call, and nothing of it comes any more', () => {
  const stage = new Stage().open();
  stage.subscribe('a', 'subscription { ordersCount(count: 2) { index } }');
  stage.client.say({ id: 'a', type: 'complete' });
  stage.world.pass(10);
  assert.equal(stage.shelf.services.calls[0]!.cancelled, true);
  assert.deepEqual(stage.client.heard, []);
  // Of one that is over already it is no fault.
  stage.client.say({ id: 'a', type: 'complete' });
  stage.world.pass(10);
  assert.equal(stage.client.closed, 0);
});

test('a refused document is an error of its operation', () => {
  const stage = new Stage().open();
  stage.subscribe('a', '{ nothing }');
  stage.client.say({ id: 'b', type: 'subscribe', payload: { query: 7 } });
  stage.world.pass(10);
  assert.deepEqual(
    stage.client.heard.map(({ id, type }) => [id, type]),
    [
      ['a', 'error'],
      ['b', 'error'],
    ],
  );
});

test('a lost socket cancels all that runs', () => {
  const stage = new Stage().open();
  for (const id of ['a', 'b']) stage.subscribe(id, 'subscription { ordersCount(count: 2) { index } }');
  stage.client.messages.end(1000);
  stage.world.pass(100);
  assert.deepEqual(
    stage.shelf.services.calls.map(({ cancelled }) => cancelled),
    [true, true],
  );
});

test('when the server leaves, the socket closes with 1001; for who may no longer be here with 1008', () => {
  for (const [why, code] of [
    ['shutdown', 1001],
    ['revoked', 1008],
    ['overloaded', 1013],
  ] as const) {
    const stage = new Stage().open();
    stage.subscribe('a', 'subscription { ordersCount(count: 2) { index } }');
    stage.session.leave(why);
    stage.world.pass(100);
    assert.equal(stage.client.closed, code);
    assert.equal(stage.shelf.services.calls[0]!.cancelled, true);
  }
});

test('limits: operations of a socket, the length of a message and of an id', () => {
  const stage = new Stage({ socketOperationsMax: 2 }).open();
  for (const id of ['a', 'b']) stage.subscribe(id, 'subscription { ordersCount(count: 2) { index } }');
  assert.equal(stage.client.closed, 0);
  stage.subscribe('c', '{ __typename }');
  assert.equal(stage.client.closed, 4499);
  const short = new Stage({ messageBytesMax: 64 }).open();
  short.client.say(`{"type":"ping"}${' '.repeat(49)}`);
  short.world.pass(10);
  assert.equal(short.client.closed, 0);
  short.client.say(`{"type":"ping"}${' '.repeat(50)}`);
  short.world.pass(10);
  assert.equal(short.client.closed, 1009);
  const named = new Stage({ idCharactersMax: 3 }).open();
  named.subscribe('abc', '{ __typename }');
  assert.equal(named.client.closed, 0);
  named.subscribe('abcd', '{ __typename }');
  assert.equal(named.client.closed, 4400);
});

test('a socket is asked whether it is there, and closed when it does not say', () => {
  const stage = new Stage({ keepAliveMs: 1_000 }).open();
  stage.world.pass(1_100);
  assert.deepEqual(stage.client.heard, [{ type: 'ping' }]);
  stage.client.say({ type: 'pong' });
  stage.world.pass(1_000);
  assert.equal(stage.client.heard.length, 2);
  stage.world.pass(1_100);
  assert.equal(stage.client.closed, 4499);
  const silent = new Stage({ initMs: 500 });
  silent.world.pass(600);
  assert.equal(silent.client.closed, 4408);
});

test('property: whatever a client says, nothing throws and nothing lingers', () => {
  const id = fc.constantFrom('a', 'b', 'c');
  const query = fc.constantFrom(
    'subscription { ordersCount(count: 2) { index } }',
    '{ __typename }',
    '{',
    '{ nothing }',
  );
  const message = fc.oneof(
    fc.record({ id, type: fc.constant('subscribe'), payload: fc.record({ query }) }),
    fc.record({ id, type: fc.constant('complete') }),
    fc.record({ type: fc.constantFrom('ping', 'pong') }),
    fc.record({ type: fc.constantFrom('connection_init', 'start', 7, null), id: fc.jsonValue() }),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          message.map((value) => JSON.stringify(value)),
          fc.string(),
        ),
        { maxLength: 20 },
      ),
      fc.boolean(),
      (said, init) => {
        const stage = new Stage();
        if (init) stage.open();
        for (const each of said) stage.client.say(each);
        stage.world.pass(50);
        stage.client.messages.end(1000);
        stage.world.pass(50);
        for (const call of stage.shelf.services.calls) assert.ok(call.cancelled);
      },
    ),
    { numRuns: 300 },
  );
});

test('who says nothing in the request says it in connection_init, or is nobody where such are let in', () => {
  const nobody: Caller = { account: '', scopes: null, origin: 'local', epoch: 0, by: ANYONE };
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  const closed = (payload: unknown, accounts: Accounts, caller = nobody) => {
    const stage = new Stage({}, accounts, caller);
    stage.client.say({ type: 'connection_init', payload });
    stage.world.pass(10);
    if (accounts instanceof FewAccounts) accounts.tell();
    stage.world.pass(10);
    return stage.client.closed === 0 ? stage.client.heard[0]!.type : stage.client.closed;
  };
  for (const isSlow of [false, true]) {
    const accounts = new FewAccounts({ ann: 'secret', bot: 'ptk_1' });
    accounts.isSlow = isSlow;
    assert.equal(closed({ authorization: basic('ann:secret') }, accounts), 'connection_ack');
    assert.equal(closed({ headers: { Authorization: 'Bearer ptk_1' } }, accounts), 'connection_ack');
    assert.equal(closed({ Authorization: basic('ann:wrong') }, accounts), 4403);
    assert.equal(closed({ authorization: 'Digest x' }, accounts), 4403);
    assert.equal(closed(undefined, accounts), 4403);
    accounts.anonymous = true;
    assert.equal(closed(null, accounts), 'connection_ack');
    // Whoever is somebody already stays so.
    assert.equal(closed({ authorization: basic('ann:wrong') }, accounts, CALLER), 'connection_ack');
  }
});
