// What is spoken in WebTransport sessions, over simulated streams: messages whole, in order where there is one, bounded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callerOf } from '../../core/caller.ts';
import { Fields } from '../../core/fields.ts';
import { bindLimits } from '../../core/limits.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import { type Cause, type Pipe, SHUTDOWN } from '../../core/pipe.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import { NEVER } from '../../core/time.ts';
import { linkMux, type SimulatedMux } from '../../sim/mux.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { protocolsOf } from './handshake.ts';
import { limits } from './limits.ts';
import { Gathering, MessageSessionOfStreams, type TransportOpening } from './messages.ts';
import { StreamSession } from './streams.ts';
import { TextMessages } from './text-messages.ts';

class Spoken implements MessageSession {
  readonly messages: Messages;
  readonly told: string[] = [];
  deadline = NEVER;

  constructor(messages: Messages) {
    this.messages = messages;
  }

  receive(input: Uint8Array, start: number, end: number, text: boolean): void {
    const bytes = Buffer.from(input.subarray(start, end));
    this.told.push(text ? bytes.toString() : bytes.toString('hex'));
  }

  writable(): void {
    this.told.push('writable');
  }

  tick(): void {
    this.deadline = NEVER;
    this.told.push('tick');
  }

  leave(why: string): void {
    this.told.push(`leave ${why}`);
    this.messages.end(1001, 'bye');
  }

  lost(cause: Cause, wire: number): void {
    this.told.push(`lost ${cause} ${wire}`);
  }
}

class Peer implements MuxSession {
  readonly deadline = NEVER;
  readonly mux: Mux;
  readonly streams: Recorder[] = [];
  readonly datagrams: string[] = [];

  constructor(mux: Mux) {
    this.mux = mux;
  }

  opened(pipe: Pipe): Recorder {
    const recorder = new Recorder(pipe);
    this.streams.push(recorder);
    return recorder;
  }

  datagram(bytes: Uint8Array, start: number, end: number): void {
    this.datagrams.push(Buffer.from(bytes.subarray(start, end)).toString());
  }

  says(bytes: string | Uint8Array, oneWay = true, ends = true): Recorder {
    let recorder!: Recorder;
    this.mux.open(oneWay, (pipe) => (recorder = new Recorder(pipe)));
    const all = Buffer.from(bytes as string);
    recorder.pipe.share(all, 0, all.length);
    if (ends) recorder.pipe.end();
    recorder.pipe.flush();
    return recorder;
  }

  mayOpen(): void {}
  tick(): void {}
  leave(): void {}
  lost(): void {}
}

function openingOf(target: string, given: Readonly<Record<string, number>> = {}): TransportOpening {
  const bound = bindLimits(limits, given);
  const caller = callerOf(
    { carrier: 'simulated', remote: null, local: null, tls: null, below: null, stream: null },
    '',
    0,
  );
  return { target, caller, subprotocol: '', limits: bound, gathering: new Gathering(bound.gatheredBytesMax) };
}

function session(target = '/topics/a', given: Readonly<Record<string, number>> = {}, streamsMax = 100) {
  const world = new World(1);
  const opening = openingOf(target, given);
  let spoken!: Spoken;
  let peer!: Peer;
  const { near, far } = linkMux(
    world,
    (mux) => (peer = new Peer(mux)),
    (mux) => new MessageSessionOfStreams(mux, opening, (messages) => (spoken = new Spoken(messages))),
    { streamsMax },
  );
  world.pass(10);
  return { world, opening, spoken, peer, near, far: far as SimulatedMux };
}

const send = ({ messages }: Spoken, text: string) => {
  const bytes = Buffer.from(text);
  messages.send(bytes, 0, bytes.length, true);
  messages.flush();
};

test('each one-way stream and each datagram is a message, and goes out as one', () => {
  const { world, spoken, peer, opening } = session();
  peer.says('a stream');
  peer.says(Buffer.from([0xff, 0]));
  peer.says('');
  const datagram = Buffer.from('a datagram');
  peer.mux.datagram(datagram, 0, datagram.length);
  world.pass(50);
  assert.deepEqual(spoken.told.sort(), ['', 'a datagram', 'a stream', 'ff00']);
  assert.equal(opening.gathering.held, 0);
  send(spoken, 'there');
  send(spoken, '');
  world.pass(50);
  assert.deepEqual(
    peer.streams.map(({ received, told }) => [received.toString(), told.includes('finish')]),
    [
      ['there', true],
      ['', true],
    ],
  );
  assert.deepEqual(world.bugs, []);
});

test('two-way streams mean nothing to it', () => {
  const { world, peer, spoken } = session();
  const stream = peer.says('x', false);
  world.pass(50);
  assert.ok(stream.told.includes('lost reset 1003'), stream.told.join());
  assert.deepEqual(spoken.told, []);
});

test('messages as datagrams where the address says so and they are short', () => {
  for (const [target, rest, by] of [
    ['/topics/a?by=datagrams', '/topics/a', true],
    ['/topics/a?by=datagrams&echo=false', '/topics/a?echo=false', true],
    ['/topics/a?echo=false&by=datagrams', '/topics/a?echo=false', true],
    ['/topics/a?by=streams', '/topics/a', false],
    ['/topics/a?bye=datagrams', '/topics/a?bye=datagrams', false],
  ] as const) {
    const { world, spoken, peer } = session(target);
    assert.equal(spoken.messages.target, rest);
    send(spoken, 'short');
    send(spoken, 'l'.repeat(2_000));
    world.pass(50);
    assert.deepEqual(peer.datagrams, by ? ['short'] : [], target);
    assert.equal(peer.streams.length, by ? 1 : 2);
  }
});

test('who does not take what is sent has no room, and is told when there is', () => {
  const { world, spoken, peer } = session('/topics/a', { sentBytesMax: 10_000 }, 3);
  for (let count = 0; count < 9; count++) send(spoken, String(count).repeat(1_000));
  assert.ok(spoken.messages.room > 0);
  send(spoken, 'x'.repeat(2_000));
  assert.equal(spoken.messages.room, 0);
  world.pass(1);
  assert.equal(peer.streams.length, 3, 'as many streams as may be');
  world.pass(100);
  assert.equal(peer.streams.length, 10);
  assert.ok(spoken.told.includes('writable'));
  assert.deepEqual(
    peer.streams.map(({ received }) => received.toString()[0]),
    [...'012345678x'],
  );
  assert.equal(spoken.messages.queued, 0);
});

test('who pauses is given no message, and those that come as datagrams are lost', () => {
  const { world, spoken, peer } = session();
  spoken.messages.pause();
  peer.says('waits');
  peer.mux.datagram(Buffer.from('lost'), 0, 4);
  world.pass(50);
  assert.deepEqual(spoken.told, []);
  spoken.messages.resume();
  world.pass(50);
  assert.deepEqual(spoken.told, ['waits']);
});

test('a message that is too long, or too many at once, end their stream and nothing else', () => {
  const { world, spoken, peer, opening } = session('/topics/a', { messageBytesMax: 1_000, gatheredBytesMax: 1_500 });
  const long = peer.says('x'.repeat(1_001));
  const held = peer.says('y'.repeat(900), true, false);
  world.pass(50);
  const more = peer.says('z'.repeat(900));
  world.pass(50);
  assert.ok(long.isLost, long.told.join());
  assert.ok(more.isLost, more.told.join());
  assert.equal(opening.gathering.held, 900);
  held.pipe.reset(0);
  world.pass(50);
  assert.equal(opening.gathering.held, 0);
  peer.says('fine');
  world.pass(50);
  assert.deepEqual(spoken.told, ['fine']);
});

test('what is spoken ends the session with a code, and is told how it ended', () => {
  const { world, spoken, far } = session();
  far.leave(SHUTDOWN);
  world.pass(50);
  assert.deepEqual(spoken.told.slice(0, 1), ['leave shutdown']);
  assert.match(spoken.told[1]!, /^lost /);
  assert.equal(spoken.told.length, 2);
  const other = session();
  other.near.close({ id: 'x', wire: 0, spec: '', text: '', scope: 'connection' });
  other.world.pass(50);
  assert.deepEqual(other.spoken.told, ['lost ended 1005']);
});

function texts(given: Readonly<Record<string, number>> = {}, cut = 0) {
  const world = new World(2);
  const opening = openingOf('/ws', given);
  let spoken!: Spoken;
  let peer!: Recorder;
  linkPipes(
    world,
    (pipe) => (peer = new Recorder(pipe)),
    (pipe) => new TextMessages(pipe, opening, (messages) => (spoken = new Spoken(messages))),
    { cut },
  );
  const says = (text: string | Uint8Array) => {
    const bytes = Buffer.from(text as string);
    peer.pipe.share(bytes, 0, bytes.length);
    peer.pipe.flush();
  };
  return { world, opening, spoken, peer, says };
}

test('a line is a message, however it is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 8 }), fc.nat(7), (lines, cut) => {
      const clean = lines.map((line) => line.replace(/[\r\n]/g, ''));
      const { world, spoken, says, opening } = texts({}, cut);
      says(clean.map((line, at) => `${line}${at % 2 === 0 ? '\n' : '\r\n'}`).join(''));
      world.pass(500);
      assert.deepEqual(
        spoken.told,
        clean.filter((line) => line !== ''),
      );
      assert.equal(opening.gathering.held, 0);
      assert.deepEqual(world.bugs, []);
    }),
    { numRuns: 60 },
  );
});

test('messages go out a line each; the end follows what was sent', () => {
  const { world, spoken, peer, says } = texts();
  send(spoken, '{"a":1}');
  send(spoken, `"${'x'.repeat(10_000)}"`);
  world.pass(100);
  assert.equal(peer.received.toString(), `{"a":1}\n"${'x'.repeat(10_000)}"\n`);
  says('last');
  peer.pipe.end();
  world.pass(100);
  // A line that was not ended is none.
  assert.deepEqual(spoken.told, ['lost ended 1000']);
  assert.ok(peer.told.includes('finish'));
});

test('a line that is no text or too long ends the stream', () => {
  for (const [bytes, given] of [
    [Buffer.from([0xff, 0x0a]), {}],
    ['x'.repeat(300), { messageBytesMax: 200 }],
    [`${'x'.repeat(300)}\n`, { messageBytesMax: 200 }],
  ] as const) {
    const { world, spoken, peer, says, opening } = texts(given);
    says(bytes);
    world.pass(100);
    assert.deepEqual(
      spoken.told.filter((line) => !line.startsWith('lost')),
      [],
    );
    assert.ok(peer.told.includes('finish'), peer.told.join());
    assert.equal(opening.gathering.held, 0);
  }
});

test('who pauses in the middle of lines gets the rest when it goes on', () => {
  const { world, spoken, says } = texts();
  const receive = spoken.receive.bind(spoken);
  spoken.receive = (input, start, end, text) => {
    receive(input, start, end, text);
    spoken.messages.pause();
  };
  says('a\nb\nc\n');
  world.pass(50);
  assert.deepEqual(spoken.told, ['a']);
  spoken.messages.resume();
  world.pass(50);
  assert.deepEqual(spoken.told, ['a', 'b']);
});

test('a session of streams refuses those that go one way, and ends when it is asked to leave', () => {
  const world = new World(3);
  const made: Recorder[] = [];
  let peer!: Peer;
  const { far } = linkMux(
    world,
    (mux) => (peer = new Peer(mux)),
    (mux) =>
      new StreamSession(mux, (pipe) => {
        made.push(new Recorder(pipe));
        return made.at(-1)!;
      }),
    {},
  );
  peer.says('x', false);
  const wrong = peer.says('y');
  world.pass(50);
  assert.equal(made[0]!.received.toString(), 'x');
  assert.equal(made.length, 1);
  assert.ok(wrong.isLost, wrong.told.join());
  (far as SimulatedMux).leave(SHUTDOWN);
  world.pass(1_000);
  assert.ok(made[0]!.isLost);
});

test('the list of protocols is one of strings, or none (RFC 9651 §3.1)', () => {
  for (const [text, names] of [
    ['"mqtt"', ['mqtt']],
    ['"mqtt", "portico.json"', ['mqtt', 'portico.json']],
    ['"a\\"b\\\\c";q=1 , "d";x', ['a"b\\c', 'd']],
    ['mqtt', []],
    ['"mqtt", 5', []],
    ['"mqtt",', []],
    ['"mqtt" "b"', []],
    ['', []],
  ] as const)
    assert.deepEqual(protocolsOf(Fields.of({ 'wt-available-protocols': text })), names, text);
  assert.deepEqual(protocolsOf(new Fields()), []);
});
