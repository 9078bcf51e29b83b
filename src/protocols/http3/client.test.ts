// The client's half, against the server's and against one that says what a test wants.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fields } from '../../core/fields.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import { type Cause, SHUTDOWN } from '../../core/pipe.ts';
import { linkMux, type MuxOptions, type SimulatedMux } from '../../sim/mux.ts';
import { World } from '../../sim/world.ts';
import { answerText } from '../http/answers.ts';
import { type AnswerEvents, type ClientRequest, type SentRequest, UNKNOWN } from '../http/client.ts';
import { type ClientBounds, Http3Client } from './client.ts';
import * as C from './codec.ts';
import { Client, frame, integers, Stage, section, settings } from './testing/stage.ts';

const BOUNDS: ClientBounds = { queueMax: 100, idleMs: 60_000, silenceMs: 30_000, continueMs: 1_000, interimsMax: 5 };

/** What is told of one request, as text. */
class Told implements AnswerEvents {
  readonly told: string[] = [];
  body = '';
  onBegun: (sent: SentRequest) => void = () => {};
  sent: SentRequest | null = null;

  begun(): void {
    if (this.sent !== null) this.onBegun(this.sent);
  }

  inform(status: number): void {
    this.told.push(String(status));
  }

  answered(status: number) {
    this.told.push(String(status));
    return {
      receive: (input: Uint8Array, start: number, end: number) => {
        this.body += Buffer.from(input.subarray(start, end)).toString('latin1');
        return end;
      },
      trailers: (fields: Fields) => void this.told.push(`trailers ${fields.list.join('=')}`),
      finish: () => void this.told.push('whole'),
      lost: (cause: Cause) => void this.told.push(`lost ${cause}`),
    };
  }

  over(cause: Cause, fault: { id: string } | null, progress: string): void {
    this.told.push(`over ${cause}${fault === null ? '' : ` ${fault.id}`} ${progress}`);
  }
}

interface Scene<Far> {
  readonly client: Http3Client;
  readonly far: Far;
  readonly server: SimulatedMux;
  readonly told: string[];
  ask(request?: Partial<ClientRequest>, told?: Told): Told;
}

function scene<Far extends MuxSession>(world: World, make: (mux: Mux) => Far, options: MuxOptions = {}): Scene<Far> {
  const told: string[] = [];
  const events = {
    idle() {},
    closed: (cause: Cause, fault: { id: string } | null) => void told.push(`closed ${fault?.id ?? cause}`),
  };
  let client!: Http3Client;
  let far!: Far;
  const link = linkMux(
    world,
    (mux) => (client = new Http3Client(mux, world.turn, world.random, BOUNDS, events)),
    (mux) => (far = make(mux)),
    options,
  );
  return {
    client,
    far,
    server: link.far,
    told,
    ask(request = {}, asked = new Told()) {
      const whole = { method: 'GET', target: '/', authority: 'a.test', fields: new Fields(), ...request };
      client.send(whole, asked, (sent) => (asked.sent = sent));
      return asked;
    },
  };
}

/** Requests that the stage's server echoes. */
function echoing(options: MuxOptions = {}) {
  const stage: Stage = new Stage((exchange) => {
    let text = `${exchange.method} ${exchange.target} ${exchange.authority} `;
    if (exchange.target === '/slow') return;
    exchange.body({
      receive(input, start, end) {
        text += Buffer.from(input.subarray(start, end)).toString('latin1');
        return end;
      },
      trailers: (fields) => void (text += fields.list.join('=')),
      finish: () => answerText(exchange, 200, text),
      lost() {},
    });
  });
  return { world: stage.world, ...scene(stage.world, (mux) => stage.serve(mux), options) };
}

test('requests side by side, bodies with their lengths, in pieces, with trailers', () => {
  for (const cut of [0, 1, 100]) {
    const { world, ask, client } = echoing({ cut });
    const one = ask({ target: '/one' });
    const two = ask({ method: 'POST', target: '/two', body: Buffer.from('a body') });
    const three = new Told();
    three.onBegun = (sent) => {
      sent.write(Buffer.from('in '));
      sent.write(Buffer.from('pieces '));
      sent.end(Fields.of({ sum: '1' }));
    };
    ask({ method: 'PUT', target: '/three', length: UNKNOWN }, three);
    assert.equal(client.open, 3);
    world.pass(300);
    assert.equal(one.body, 'GET /one a.test ');
    assert.equal(two.body, 'POST /two a.test a body');
    assert.equal(three.body, 'PUT /three a.test in pieces sum=1');
    for (const { told } of [one, two, three]) assert.deepEqual(told, ['200', 'whole', 'over ended begun']);
    assert.equal(client.isIdle, true);
    assert.deepEqual(world.bugs, []);
  }
});

test('the same request a hundred times is a few bytes, by the tables of both (RFC 9204 §2)', () => {
  const { world, ask, client } = echoing();
  const fields = Fields.of({ 'user-agent': 'a client with a name of some length', accept: '*/*' });
  for (let round = 0; round < 100; round++) {
    const told = ask({ fields });
    world.pass(20);
    assert.deepEqual(told.told, ['200', 'whole', 'over ended begun']);
  }
  assert.ok(client.writer.table.added > 0 && client.writer.received === client.writer.table.added);
  assert.ok(client.reader.table.added > 0);
});

test('a request that is cancelled, and one that is answered by silence', () => {
  const { world, ask } = echoing();
  const one = ask({ target: '/slow' });
  const two = ask({ target: '/slow', silenceMs: 500 });
  world.pass(100);
  one.sent!.cancel();
  world.pass(1_000);
  assert.deepEqual(one.told, ['over reset begun']);
  assert.deepEqual(two.told, ['over fault http3.silence begun']);
});

test('a server that goes away: what it took is answered, no more is asked (RFC 9114 §5.2)', () => {
  const { world, ask, client, server, told } = echoing();
  const slow = ask({ target: '/slow' });
  world.pass(50);
  server.leave(SHUTDOWN);
  world.pass(50);
  assert.deepEqual(told, ['closed ended']);
  assert.equal(client.send({ method: 'GET', target: '/', authority: 'a', fields: new Fields() }, new Told()), null);
  slow.sent!.cancel();
  world.pass(1_000);
  assert.equal(client.isOver, true);
  assert.deepEqual(world.bugs, []);
});

/** A server that says what a test wants: bytes on its control stream, and on the request. */
function against(says: (far: Client, far2: { answer(...parts: Buffer[]): void }) => void) {
  const world = new World(1);
  const made = scene(world, (mux) => new Client(mux, world));
  const asked = made.ask();
  world.pass(20);
  const request = made.far.theirs.find(({ pipe }) => (pipe.peer.stream ?? 0) % 4 === 0)!;
  says(made.far, { answer: (...parts) => made.far.says(request, ...parts) });
  world.pass(200);
  assert.deepEqual(world.bugs, []);
  return { ...made, asked, request, world };
}

const OK = frame(C.HEADERS, section({ ':status': '200' }));

test('a server that breaks rules of the connection is told so (RFC 9114 §6, §7)', () => {
  const rows: [string, (far: Client, answer: (...parts: Buffer[]) => void) => void, number][] = [
    ['pushes a promise', (_far, answer) => answer(OK, frame(C.PUSH_PROMISE, integers(0))), C.H3_FRAME_UNEXPECTED],
    ['opens a push stream', (far) => void far.oneWay(integers(C.PUSH_STREAM, 0)), C.H3_ID_ERROR],
    ['opens a two-way stream', (far) => void far.request(OK), C.H3_STREAM_CREATION_ERROR],
    [
      'sends MAX_PUSH_ID',
      (far) => void far.oneWay(integers(0), settings(), frame(C.MAX_PUSH_ID, integers(1))),
      C.H3_FRAME_UNEXPECTED,
    ],
    [
      'names what is no request',
      (far) => void far.oneWay(integers(0), settings(), frame(C.GOAWAY, integers(2))),
      C.H3_ID_ERROR,
    ],
    ['sends DATA first', (_far, answer) => answer(frame(C.DATA, 'x')), C.H3_FRAME_UNEXPECTED],
  ];
  for (const [what, says, wire] of rows) {
    const { far } = against((server, { answer }) => says(server, answer));
    assert.equal(far.ended, `ended 0x${wire.toString(16)}`, what);
  }
});

test('answers that are none fail their request alone (RFC 9114 §4.1.2)', () => {
  const rows: [string, Buffer[], string][] = [
    ['no status', [frame(C.HEADERS, section({ a: 'b' }))], 'over fault http3.response begun'],
    ['101', [frame(C.HEADERS, section({ ':status': '101' }))], 'over fault http3.response begun'],
    ['an upper-case name', [frame(C.HEADERS, section({ ':status': '200', A: 'b' }))], 'over fault http3.field begun'],
    [
      'too long a body',
      [frame(C.HEADERS, section({ ':status': '200', 'content-length': '1' })), integers(C.DATA, 2)],
      'over fault http3.contentLength begun',
    ],
  ];
  for (const [what, parts, told] of rows) {
    const { asked, far } = against((_far, { answer }) => answer(...parts));
    assert.equal(asked.told.at(-1), told, what);
    assert.equal(far.ended, null, what);
  }
});

test('a request that the server did not look at can be sent again (RFC 9114 §4.1.1, §5.2)', () => {
  const rejected = against((far) => far.theirs[0]!.pipe.reset(0));
  assert.ok(rejected.client.isOver, 'a control stream that is reset ends the connection');
  const world = new World(1);
  const { far, ask } = scene(world, (mux) => new Client(mux, world));
  const one = ask();
  const two = ask();
  world.pass(20);
  const [, second] = far.theirs.filter(({ pipe }) => (pipe.peer.stream ?? 0) % 4 === 0);
  second!.pipe.reset(C.H3_REQUEST_REJECTED);
  far.oneWay(integers(C.CONTROL_STREAM), settings(), frame(C.GOAWAY, integers(0)));
  world.pass(100);
  assert.deepEqual(two.told, ['over reset unsent']);
  assert.deepEqual(one.told, ['over reset unsent']);
});
