// WebTransport sessions (draft-ietf-webtrans-http3): what a client says on its streams, and what it must hear.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import { type Cause, type Pipe, SHUTDOWN } from '../../core/pipe.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import { NEVER } from '../../core/time.ts';
import * as C from './codec.ts';
import { type Client, frame, GET, integers, Stage, section } from './testing/stage.ts';

const CONNECT = { ':method': 'CONNECT', ':protocol': 'webtransport' };
const REQUEST = frame(C.HEADERS, section({ ...GET, ...CONNECT }));
const CLOSE = (code: number, reason = '') => {
  const text = Buffer.concat([Buffer.from([0, 0, 0, code]), Buffer.from(reason)]);
  return frame(C.DATA, Buffer.concat([integers(0x2843, text.length), text]));
};

/** What a route has made of a request. */
class Heard implements MuxSession {
  readonly mux: Mux;
  readonly told: string[] = [];
  readonly streams: Recorder[] = [];
  deadline = NEVER;

  constructor(mux: Mux) {
    this.mux = mux;
  }

  opened(pipe: Pipe, oneWay: boolean): Recorder {
    this.told.push(oneWay ? 'one-way' : 'two-way');
    const recorder = new Recorder(pipe);
    this.streams.push(recorder);
    return recorder;
  }

  mayOpen(): void {
    this.told.push('may open');
  }

  datagram(bytes: Uint8Array, start: number, end: number): void {
    this.told.push(`datagram ${Buffer.from(bytes.subarray(start, end)).toString()}`);
  }

  tick(): void {
    this.deadline = NEVER;
    this.told.push('tick');
  }

  leave(why: string): void {
    this.told.push(`leave ${why}`);
  }

  lost(cause: Cause, wire: number): void {
    this.told.push(`lost ${cause} ${wire}, ${this.streams.filter(({ isLost }) => !isLost).length} streams left`);
  }
}

function staged(limits: Readonly<Record<string, number>> = {}) {
  const sessions: Heard[] = [];
  const stage = new Stage(
    (exchange) => {
      if (exchange.takeMux === undefined) {
        exchange.respond(404, new Fields(), 0);
        exchange.end();
      } else
        exchange.takeMux(200, new Fields(), (mux) => {
          const heard = new Heard(mux);
          sessions.push(heard);
          return heard;
        });
    },
    { limits },
  );
  const client = stage.open(C.H3_DATAGRAM, 1);
  return { stage, client, sessions };
}

const capsulesOf = (client: Client, stream: Recorder) => client.hears(stream).slice(1);

function opened(limits: Readonly<Record<string, number>> = {}) {
  const all = staged(limits);
  const connect = all.client.request(REQUEST);
  all.client.pass();
  assert.deepEqual(all.client.hears(connect), ['HEADERS :status=200']);
  const session = all.sessions[0]!;
  const id = connect.pipe.peer.stream!;
  return { ...all, connect, session, id };
}

test('errors of applications skip those of grease (§4.4)', () => {
  assert.equal(C.wireOfTransport(0), 0x52e4a40fa8db);
  assert.equal(C.wireOfTransport(0xffff_ffff), 0x52e5ac983162);
  for (const code of [0, 1, 29, 30, 31, 59, 60, 1_000_000, 0xffff_ffff]) {
    const wire = C.wireOfTransport(code);
    assert.notEqual((wire - 0x21) % 0x1f, 0);
    assert.equal(C.transportOfWire(wire), code);
  }
  assert.equal(C.transportOfWire(0x10c), 0);
  // One between 29 and 30 is grease.
  assert.equal(C.transportOfWire(C.wireOfTransport(29) + 1), 0);
});

test('a server says that it takes sessions, and datagrams', () => {
  const { client } = staged();
  const control = client.theirs.find(({ received }) => received[0] === C.CONTROL_STREAM)!;
  const hex = control.received.toString('hex');
  for (const pair of [
    [C.H3_DATAGRAM, 1],
    [C.ENABLE_CONNECT_PROTOCOL, 1],
    [C.ENABLE_WEBTRANSPORT, 1],
    [C.WEBTRANSPORT_MAX_SESSIONS, 16],
  ])
    assert.ok(hex.includes(integers(...pair).toString('hex')), `${pair}`);
});

test('streams both ways, of either side, and their ends', () => {
  const { client, session, id } = opened();
  const two = client.request(integers(0x41, id), Buffer.from('hello'));
  const one = client.oneWay(integers(0x54, id), Buffer.from('one'));
  one.pipe.end();
  client.pass();
  assert.deepEqual(session.told, ['two-way', 'one-way']);
  assert.equal(session.streams[0]!.received.toString(), 'hello');
  assert.equal(session.streams[1]!.received.toString(), 'one');
  assert.ok(session.streams[1]!.told.includes('finish'));
  session.streams[0]!.pipe.share(Buffer.from('answer'), 0, 6);
  session.streams[0]!.pipe.end();
  client.pass();
  assert.equal(two.received.toString(), 'answer');
  assert.ok(two.told.includes('finish'));
  let ours!: Recorder;
  for (const oneWay of [false, true]) {
    session.mux.open(oneWay, (pipe) => (ours = new Recorder(pipe)));
    ours.pipe.share(Buffer.from('ours'), 0, 4);
    ours.pipe.flush();
    client.pass();
    const theirs = client.theirs.at(-1)!;
    assert.deepEqual(theirs.received, Buffer.concat([integers(oneWay ? 0x54 : 0x41, id), Buffer.from('ours')]));
  }
});

test('resets have the code of the application, both ways', () => {
  const { client, session, id } = opened();
  const stream = client.request(integers(0x41, id), Buffer.from('x'));
  client.pass();
  stream.pipe.reset(C.wireOfTransport(77));
  client.pass();
  assert.ok(session.streams[0]!.told.includes('lost reset 77'), session.streams[0]!.told.join());
  const other = client.request(integers(0x41, id), Buffer.from('x'));
  client.pass();
  session.streams[1]!.pipe.reset(30);
  client.pass();
  assert.ok(other.told.includes(`lost reset ${C.wireOfTransport(30)}`), other.told.join());
  // A code of HTTP/3 itself is none of the application's.
  const third = client.request(integers(0x41, id), Buffer.from('x'));
  client.pass();
  third.pipe.reset(C.H3_REQUEST_CANCELLED);
  client.pass();
  assert.ok(session.streams[2]!.told.includes('lost reset'), session.streams[2]!.told.join());
});

test('datagrams both ways, in frames of their own and as capsules', () => {
  const { client, session, connect, id, stage } = opened();
  const quarter = integers(id / 4);
  client.datagrams.length = 0;
  client.sendDatagram(Buffer.concat([quarter, Buffer.from('ping')]));
  client.says(connect, frame(C.DATA, Buffer.concat([integers(0, 4), Buffer.from('more')])));
  client.pass();
  assert.deepEqual(session.told, ['datagram ping', 'datagram more']);
  assert.ok(session.mux.datagram(Buffer.from('pong'), 0, 4));
  client.pass();
  assert.deepEqual(client.datagrams, [`${quarter.toString('latin1')}pong`]);
  assert.equal(session.mux.datagram(Buffer.alloc(session.mux.datagramMax + 1), 0, session.mux.datagramMax + 1), false);
  assert.deepEqual(stage.logged, []);
});

test('without H3_DATAGRAM nothing is sent so (RFC 9297 §2.1.1)', () => {
  const { stage, sessions } = staged();
  const client = stage.open();
  client.request(REQUEST);
  client.pass();
  assert.equal(sessions[0]!.mux.datagramMax, 0);
  assert.equal(sessions[0]!.mux.datagram(Buffer.from('x'), 0, 1), false);
});

test('streams and datagrams that overtake the request are its own when it comes (§4.6)', () => {
  const { client, sessions } = staged();
  const connect = client.request();
  const id = connect.pipe.peer.stream!;
  const two = client.request(integers(0x41, id), Buffer.from('early'));
  two.pipe.end();
  client.oneWay(integers(0x54, id), Buffer.from('bird'));
  client.sendDatagram(Buffer.concat([integers(id / 4), Buffer.from('d')]));
  client.pass();
  assert.equal(sessions.length, 0);
  client.says(connect, REQUEST);
  client.pass();
  const { told, streams } = sessions[0]!;
  assert.deepEqual(told, ['two-way', 'one-way', 'datagram d']);
  assert.deepEqual(
    streams.map(({ received }) => received.toString()),
    ['early', 'bird'],
  );
  assert.ok(streams[0]!.told.includes('finish'));
});

test('what waits for a session is bounded, and refused when none comes', () => {
  const { client, stage } = staged({ transportStreamsWaiting: 2, headMs: 1_000 });
  const streams = [0, 1, 2].map(() => client.request(integers(0x41, 400), Buffer.from('x')));
  for (let count = 0; count < 100; count++) client.sendDatagram(integers(100, 1));
  client.pass();
  const refused = `lost reset ${C.WT_BUFFERED_STREAM_REJECTED}`;
  assert.deepEqual(
    streams.map(({ told }) => told.includes(refused)),
    [false, false, true],
  );
  client.pass(2_000);
  for (const { told } of streams) assert.ok(told.includes(refused), told.join());
  assert.deepEqual(stage.logged, []);
  assert.equal(client.ended, null);
});

test('the session ends with its request: by a capsule, by the end of the stream, by a reset (§6)', () => {
  for (const [how, ended] of [
    ['capsule', 'lost ended 42, 0 streams left'],
    ['capsule in two', 'lost ended 42, 0 streams left'],
    ['end', 'lost ended 0, 0 streams left'],
    ['reset', 'lost reset 0, 0 streams left'],
  ] as const) {
    const { client, session, connect, id, stage } = opened();
    const stream = client.request(integers(0x41, id), Buffer.from('x'));
    client.pass();
    if (how === 'capsule') client.says(connect, CLOSE(42, 'enough'));
    else if (how === 'capsule in two') {
      const bytes = CLOSE(42, 'enough').subarray(2);
      client.says(connect, frame(C.DATA, bytes.subarray(0, 3)), frame(C.DATA, bytes.subarray(3)));
    } else if (how === 'end') connect.pipe.end();
    else connect.pipe.reset(C.H3_REQUEST_CANCELLED);
    client.pass();
    assert.deepEqual(session.told.slice(1), [ended], how);
    assert.ok(stream.told.includes(`lost reset ${C.WT_SESSION_GONE}`), stream.told.join());
    assert.equal(
      session.mux.open(false, () => assert.fail()),
      null,
    );
    const late = client.request(integers(0x41, id), Buffer.from('x'));
    client.pass();
    assert.ok(late.told.includes(`lost reset ${C.WT_SESSION_GONE}`), late.told.join());
    assert.deepEqual([client.ended, stage.logged], [null, []]);
  }
});

test('the server closes with a code and a reason', () => {
  const { client, session, connect } = opened();
  session.mux.close({ id: 't', wire: 7, spec: '', text: 'too slow', scope: 'connection' } satisfies Fault);
  client.pass();
  const text = CLOSE(7, 'too slow').subarray(2).toString('latin1');
  assert.deepEqual(capsulesOf(client, connect), [`DATA ${text}`, 'finish']);
  assert.deepEqual(session.told, ['lost ended 7, 0 streams left']);
});

test('a server that goes says so, and ends what stays (§4.7)', () => {
  const { client, session, connect, stage } = opened();
  client.server.leave(SHUTDOWN);
  client.pass();
  assert.deepEqual(session.told, ['leave shutdown']);
  assert.deepEqual(capsulesOf(client, connect), [`DATA ${integers(0x78ae, 0).toString('latin1')}`]);
  client.pass(10_000);
  assert.equal(session.told.at(-1), 'lost ended 0, 0 streams left');
  assert.deepEqual(stage.logged, []);
});

test('sessions are bounded, others are refused (§5.2)', () => {
  const { client, sessions } = staged({ transportsMax: 2 });
  const all = [0, 1, 2].map(() => client.request(REQUEST));
  client.pass();
  assert.equal(sessions.length, 2);
  assert.deepEqual(client.hears(all[2]!), [`lost reset ${C.H3_REQUEST_REJECTED}`]);
  all[0]!.pipe.end();
  client.pass();
  client.request(REQUEST);
  client.pass();
  assert.equal(sessions.length, 3);
});

test('what breaks the rules ends the connection, or the session', () => {
  const rows: [string, (client: Client, connect: Recorder, id: number) => void, string][] = [
    ['a session that is no request', (client) => client.request(integers(0x41, 1)), 'H3_ID_ERROR'],
    ['one of a one-way stream', (client) => client.oneWay(integers(0x54, 3)), 'H3_ID_ERROR'],
    ['0x41 behind a frame', (client, _, id) => client.request(frame(0x21, 'x'), integers(0x41, id)), 'H3_FRAME_ERROR'],
    ['0x41 in a request', (client, connect) => client.says(connect, integers(0x41, 0)), 'H3_FRAME_ERROR'],
    ['a datagram that names nothing', (client) => client.sendDatagram(Buffer.alloc(0)), 'H3_DATAGRAM_ERROR'],
  ];
  for (const [what, does, ends] of rows) {
    const { client, connect, id, stage } = opened();
    does(client, connect, id);
    client.pass();
    const wire = (C as unknown as Record<string, number>)[ends]!;
    assert.equal(client.ended, `ended 0x${wire.toString(16)}`, what);
    assert.deepEqual(stage.logged, []);
  }
  for (const bytes of [integers(0x2843, 1, 1), integers(0x2843, 2_000), integers(0x78ae, 3)]) {
    const { client, connect, session } = opened();
    client.says(connect, frame(C.DATA, bytes));
    client.pass();
    assert.deepEqual(capsulesOf(client, connect), [`lost reset ${C.H3_MESSAGE_ERROR}`]);
    assert.equal(session.told.at(-1), 'lost reset 0, 0 streams left');
    assert.equal(client.ended, null);
  }
});

test('capsules of other kinds are let pass, however long', () => {
  const { client, connect, session } = opened();
  client.says(connect, frame(C.DATA, Buffer.concat([integers(0x3333, 100_000), Buffer.alloc(60_000)])));
  client.says(
    connect,
    frame(C.DATA, Buffer.alloc(40_000)),
    frame(C.DATA, integers(0x190b4d3d, 4, 0x4000_0000).subarray(0, 5)),
  );
  client.pass();
  client.says(connect, frame(C.DATA, Buffer.concat([Buffer.alloc(4), integers(0, 1), Buffer.from('d')])));
  client.pass();
  assert.deepEqual(session.told, ['datagram d']);
});

test('where sessions are turned off, none is spoken of and streams of theirs are broken frames', () => {
  const { client, stage } = staged({ transportsMax: 0 });
  const stream = client.request(REQUEST);
  client.pass();
  assert.deepEqual(client.hears(stream), [`lost reset ${C.H3_REQUEST_REJECTED}`]);
  client.oneWay(integers(0x54, 0), Buffer.from('x'));
  client.pass();
  assert.equal(client.ended, null);
  client.request(integers(0x41, 0));
  client.pass();
  assert.equal(client.ended, `ended 0x${C.H3_FRAME_ERROR.toString(16)}`);
  assert.deepEqual(stage.logged, []);
});
