// The client's half, against the server's and against one that says what a test wants.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { type Cause, type Pipe, SHUTDOWN } from '../../core/pipe.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import { linkPipes, type SimulatedPipe } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { answerText } from '../http/answers.ts';
import { type AnswerEvents, type ClientRequest, type SentRequest, UNKNOWN } from '../http/client.ts';
import { type ClientBounds, Http2Client } from './client.ts';
import { ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PUSH_PROMISE, RST_STREAM, SETTINGS } from './codec.ts';
import { Http2Session } from './session.ts';
import { ROUTES } from './testing/rules.ts';
import { frame, number32, Stage, settings } from './testing/stage.ts';

const BOUNDS: ClientBounds = { queueMax: 100, idleMs: 60_000, silenceMs: 30_000, continueMs: 1_000, interimsMax: 5 };

/** What is told of one request, as text. */
class Told implements AnswerEvents {
  readonly told: string[] = [];
  body = '';
  sent: SentRequest | null = null;
  onBegun: (sent: SentRequest) => void = () => {};

  begun(): void {
    this.onBegun(this.sent!);
  }

  inform(status: number): void {
    this.told.push(String(status));
  }

  answered(status: number, _reason: string, fields: Fields) {
    this.told.push(`${status} ${fields.get('content-type') ?? ''}`.trim());
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

interface Scene {
  readonly client: Http2Client;
  readonly server: SimulatedPipe;
  readonly told: string[];
  ask(request?: Partial<ClientRequest>, told?: Told): Told;
  pass(ms?: number): void;
}

function sceneWith(world: World, far: (pipe: Pipe) => never, cut = 0, bounds: Partial<ClientBounds> = {}): Scene {
  let client!: Http2Client;
  const told: string[] = [];
  const { far: server } = linkPipes(
    world,
    (pipe) =>
      (client = new Http2Client(
        pipe,
        world.turn,
        { ...BOUNDS, ...bounds },
        {
          idle: () => {},
          closed: (cause, fault) => void told.push(`closed ${cause}${fault === null ? '' : ` ${fault.id}`}`),
        },
      )),
    far,
    { cut },
  );
  return {
    client,
    server,
    told,
    ask(request = {}, of = new Told()) {
      const whole = { method: 'GET', target: '/', authority: 'a.test', fields: new Fields(), ...request };
      of.sent = client.send(whole, of, (sent) => (of.sent = sent));
      return of;
    },
    pass: (ms = 200) => world.pass(ms),
  };
}

function scene(routes: ExchangeHandler = ROUTES, options: { cut?: number; limits?: Record<string, number> } = {}) {
  const stage = new Stage(routes, options.limits === undefined ? {} : { limits: options.limits });
  return sceneWith(stage.world, ((pipe: Pipe) => new Http2Session(pipe, stage.host)) as never, options.cut);
}

/** A server that says what a test wants. */
function scripted(bounds: Partial<ClientBounds> = {}): Scene & { says(...parts: Uint8Array[]): void; block: Stage } {
  const world = new World(1);
  let peer!: Recorder;
  const made = sceneWith(world, ((pipe: Pipe) => (peer = new Recorder(pipe))) as never, 0, bounds);
  const says = (...parts: Uint8Array[]) => {
    for (const bytes of parts) peer.pipe.share(Buffer.from(bytes), 0, bytes.length);
    peer.pipe.flush();
    made.pass();
  };
  world.pass(10);
  says(settings(), frame(SETTINGS, ACK, 0));
  return { ...made, says, block: new Stage(() => {}) };
}

const headOf = (fields: Record<string, string>) => new Stage(() => {}).connect().block(fields);
const answers = (stream: number, fields: Record<string, string>, ends = false) =>
  frame(HEADERS, END_HEADERS | (ends ? END_STREAM : 0), stream, headOf(fields));

for (const cut of [0, 1, 50]) {
  test(`requests side by side, with bodies both ways, cut ${cut}`, () => {
    const { ask, pass } = scene(ROUTES, { cut });
    const get = ask();
    const post = ask({ method: 'POST', body: Buffer.from('text') });
    const pieces = new Told();
    pieces.onBegun = (sent) => {
      sent.write(Buffer.from('one '));
      sent.write(Buffer.from('two'));
      sent.end(Fields.of({ sum: '1' }));
    };
    ask({ method: 'POST', length: UNKNOWN }, pieces);
    const head = ask({ method: 'HEAD' });
    const large = ask({ target: '/large' });
    pass(5_000);
    assert.deepEqual(get.told, ['200 text/plain; charset=utf-8', 'whole', 'over ended begun']);
    assert.equal(get.body, 'GET /');
    assert.equal(post.body, 'text');
    assert.equal(pieces.body, 'one two sum=1');
    assert.deepEqual([head.told.at(-1), head.body], ['over ended begun', '']);
    assert.deepEqual([large.body.length, large.told.at(-1)], [200_000, 'over ended begun']);
  });
}

test('interim answers, 100 (Continue), trailers', () => {
  const { ask, pass } = scene((exchange) => {
    if (exchange.method === 'POST') {
      ROUTES(exchange);
      return;
    }
    exchange.inform(103, new Fields());
    exchange.respond(200, new Fields());
    exchange.out.ascii('x');
    exchange.end(Fields.of({ digest: 'y' }));
  });
  const get = ask();
  const post = ask({ method: 'POST', body: Buffer.from('text'), expectContinue: true });
  pass();
  assert.deepEqual(get.told, ['103', '200', 'trailers digest=y', 'whole', 'over ended begun']);
  assert.deepEqual([post.told[0], post.body], ['100', 'text']);
});

test('a large upload waits for its windows, and an answer that comes first ends it', () => {
  const { ask, pass } = scene((exchange) => {
    if (exchange.target === '/no') answerText(exchange, 413, 'no');
    else ROUTES(exchange);
  });
  const large = ask({ method: 'POST', body: Buffer.alloc(1_000_000, 'z') });
  const refused = ask({ method: 'POST', target: '/no', body: Buffer.alloc(1_000_000, 'z') });
  pass(5_000);
  assert.equal(large.body.length, 1_000_000);
  assert.deepEqual(refused.told.slice(-2), ['whole', 'over ended begun']);
});

test('what is given up is reset, and no other hears of it', () => {
  const { ask, pass, client } = scene();
  const slow = ask({ target: '/slow' });
  const other = ask();
  pass();
  slow.sent!.cancel();
  pass();
  assert.deepEqual(slow.told, ['over reset begun']);
  assert.equal(slow.sent!.isCancelled, true);
  assert.equal(other.told.at(-1), 'over ended begun');
  assert.equal(ask().told.length, 0);
  pass();
  assert.equal(client.open, 0);
});

test('GOAWAY: what the server did not look at may be sent again, what it did is answered (RFC 9113 §6.8)', () => {
  const { ask, pass, told, says, client } = scripted();
  const one = ask();
  const two = ask();
  pass();
  says(frame(GOAWAY, 0, 0, Buffer.concat([number32(1), number32(0)])));
  assert.deepEqual(
    two.told,
    ['over ended unsent'].map((line) => line.replace('ended', 'reset')),
  );
  assert.deepEqual([told, client.hasRoom], [['closed ended'], false]);
  says(answers(1, { ':status': '204' }, true));
  assert.deepEqual(one.told, ['204', 'whole', 'over ended begun']);
});

test('a server that stops answers what was asked; then the connection takes nothing more', () => {
  let finish: (() => void) | null = null;
  const { ask, pass, server, told, client } = scene((exchange) => {
    finish = () => answerText(exchange, 200, 'late');
  });
  const one = ask();
  pass();
  server.leave(SHUTDOWN, 5_000);
  pass();
  finish!();
  pass();
  assert.equal(one.body, 'late');
  assert.deepEqual([told[0], client.hasRoom], ['closed ended', false]);
});

test('REFUSED_STREAM may be sent again, another reset may not; a lost connection by what was heard', () => {
  const { ask, says, client } = scripted();
  const refused = ask();
  const broken = ask();
  says(frame(RST_STREAM, 0, 1, number32(7)), frame(RST_STREAM, 0, 3, number32(2)));
  assert.deepEqual(refused.told, ['over reset unsent']);
  assert.deepEqual(broken.told, ['over reset begun']);
  const answered = ask();
  says(answers(5, { ':status': '200' }, true));
  assert.equal(answered.told.at(-1), 'over ended begun');
  const unanswered = ask();
  const half = ask();
  says(answers(9, { ':status': '200' }));
  client.pipe.reset(0);
  assert.deepEqual(unanswered.told, ['over reset unanswered']);
  assert.deepEqual(half.told, ['200', 'lost reset', 'over reset begun']);
});

test('as many requests as the server allows', () => {
  const { ask, pass, client, says } = scripted();
  says(settings(3, 2));
  ask();
  ask();
  assert.equal(client.hasRoom, false);
  assert.equal(ask().sent, null);
  says(answers(1, { ':status': '204' }, true));
  pass();
  assert.equal(client.hasRoom, true);
});

test('silence ends a request and no other; a quiet connection ends itself', () => {
  const { ask, pass, told } = scripted({ silenceMs: 1_000, idleMs: 5_000 });
  const silent = ask();
  const patient = ask({ silenceMs: 10_000 });
  pass(2_000);
  assert.deepEqual(silent.told, ['over fault http2.silence begun']);
  assert.deepEqual(patient.told, []);
  patient.sent!.cancel();
  pass(7_000);
  assert.deepEqual(told, ['closed ended']);
});

test('answers that break the rules end their request; frames that do, the connection', () => {
  const rules: [string, Uint8Array, string][] = [
    ['no :status (§8.3.2)', answers(1, { 'x-a': 'b' }), 'http2.response'],
    ['a :status of letters (§8.3.2)', answers(1, { ':status': 'abc' }), 'http2.response'],
    ['101 (§8.6)', answers(1, { ':status': '101' }), 'http2.response'],
    ['an interim answer that ends (§8.1)', answers(1, { ':status': '103' }, true), 'http2.response'],
    ['an upper-case name (§8.2.1)', answers(1, { ':status': '200', Upper: 'a' }), 'http2.field'],
    [
      'a body longer than it said (§8.1.1)',
      Buffer.concat([answers(1, { ':status': '200', 'content-length': '1' }), frame(DATA, 0, 1, 'two')]),
      '',
    ],
  ];
  for (const [what, bytes, fault] of rules) {
    const { ask, says, client } = scripted();
    const one = ask();
    says(bytes);
    assert.match(one.told.at(-1)!, new RegExp(`^over fault ?${fault}`), what);
    assert.equal(client.hasRoom, true, what);
  }
  for (const [what, bytes] of [
    ['a push (§8.4)', frame(PUSH_PROMISE, END_HEADERS, 1, number32(2))],
    ['an answer to nothing (§5.1)', answers(7, { ':status': '200' })],
    ['a header block that is none (§4.3)', frame(HEADERS, END_HEADERS, 1, Buffer.from('80', 'hex'))],
  ] as const) {
    const { ask, says, client, told } = scripted();
    const one = ask();
    says(bytes);
    assert.match(one.told.at(-1)!, /^over fault/, what);
    assert.match(told[0]!, /^closed ended http2\./, what);
    assert.equal(client.hasRoom, false);
  }
});

test('what is no request is refused before anything is sent', () => {
  const { ask, client } = scripted();
  for (const wrong of [
    { method: 'GE T' },
    { target: '/a b' },
    { authority: 'a\r\n' },
    { upgrade: 'websocket' },
    { fields: Fields.of({ 'x-a': 'b\r\nc: d' }) },
  ])
    assert.throws(() => ask(wrong), RangeError);
  assert.equal(client.open, 0);
});
