// What a server tells a client that breaks a rule, by the code that the client reads: packets, frames, transport parameters and
// messages of TLS, each at the level where it comes.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Cause } from '../../core/pipe.ts';
import { fillLength, writeLongHeader, writeNumber, writeShortHeader } from './codec/packets.ts';
import { Agreement } from './connection/agreement.ts';
import { type QuicConnection, spaceOf } from './connection/connection.ts';
import { APPLICATION, EARLY, HANDSHAKE, INITIAL, type Level, type Ticket } from './crypto.ts';
import * as F from './faults.ts';
import { bytes, forge } from './testing/forged.ts';
import { Pair } from './testing/pair.ts';

const TLS_UNEXPECTED_MESSAGE = 0x10a;
const TLS_MISSING_EXTENSION = 0x16d;
const TLS_NO_APPLICATION_PROTOCOL = 0x178;
const ZEROES = (count: number) => Buffer.alloc(count);

interface Told {
  wire: number;
}

/** Notes with which code the client hears that the connection is over. */
function listening(t: TestContext, line: QuicConnection): Told {
  const told: Told = { wire: -1 };
  t.mock.method(line, 'drain', (_cause: Cause, wire: number) => {
    if (told.wire < 0) told.wire = wire;
  });
  return told;
}

/** One packet of a level, sealed with the client's keys; `low` are bits for its first byte. */
function packet(pair: Pair, line: QuicConnection, level: Level, frames: Uint8Array, low = 0): void {
  const protection = line.protections[level];
  assert.ok(protection?.canSeal, 'there are no keys of this level');
  const number = line.recovery.spaces[spaceOf(level)]!.next++;
  const made = Buffer.alloc(Math.max(1_200, frames.length + 100));
  const plan = { version: 1, destination: line.peersIds.id, source: line.firstId, token: ZEROES(0) } as const;
  const isShort = level === APPLICATION;
  const numberAt = isShort
    ? writeShortHeader(made, 0, line.peersIds.id, 4, protection.phase, 0)
    : writeLongHeader(made, 0, level, 4, plan);
  made[0]! |= low;
  const payloadAt = writeNumber(made, numberAt, number, 4);
  made.set(frames, payloadAt);
  const sealedTo = payloadAt + frames.length;
  if (!isShort) fillLength(made, numberAt, sealedTo + 16);
  const end = protection.seal(made, 0, numberAt, 4, sealedTo, number);
  protection.mask();
  const datagram = Buffer.alloc(level === INITIAL ? Math.max(1_200, end) : end);
  made.copy(datagram, 0, 0, end);
  pair.network.carry(pair.clientPort.local, pair.serverAddress, datagram);
}

function rule(name: string, wire: number, say: (pair: Pair, line: QuicConnection) => void): void {
  test(name, (t) => {
    const pair = new Pair();
    const line = pair.dial();
    assert.ok(pair.until(() => line.confirmed, 5_000));
    const told = listening(t, line);
    say(pair, line);
    pair.until(() => told.wire >= 0, 2_000);
    assert.equal(told.wire.toString(16), wire.toString(16));
    assert.deepEqual(pair.world.bugs, []);
  });
}

const frame =
  (...parts: readonly (number | Uint8Array)[]) =>
  (pair: Pair, line: QuicConnection) =>
    forge(pair, line, Buffer.concat([bytes(...parts), ZEROES(4)]));

// ---- packets and frames of 1-RTT -----------------------------------------------------------------------------------------

rule('a packet without frames (RFC 9000 §12.4)', F.PROTOCOL_VIOLATION, (pair, line) => forge(pair, line, ZEROES(0)));
rule('reserved bits of a short header (RFC 9000 §17.3.1)', F.PROTOCOL_VIOLATION, (pair, line) =>
  packet(pair, line, APPLICATION, bytes(0x01, ZEROES(4)), 0x18),
);
rule('RESET_STREAM for a stream that only sends (RFC 9000 §19.4)', F.STREAM_STATE_ERROR, frame(0x04, 3, 0, 0));
rule(
  'STOP_SENDING for a stream of the server’s that is not there (RFC 9000 §19.5)',
  F.STREAM_STATE_ERROR,
  frame(0x05, 101, 0),
);
rule('STOP_SENDING for a stream that only receives (RFC 9000 §19.5)', F.STREAM_STATE_ERROR, frame(0x05, 2, 0));
rule(
  'MAX_STREAM_DATA for a stream of the server’s that is not there (RFC 9000 §19.10)',
  F.STREAM_STATE_ERROR,
  frame(0x11, 101, 500),
);
rule('MAX_STREAM_DATA for a stream that only receives (RFC 9000 §19.10)', F.STREAM_STATE_ERROR, frame(0x11, 2, 500));
rule('STREAM_DATA_BLOCKED for a stream that only sends (RFC 9000 §19.13)', F.STREAM_STATE_ERROR, frame(0x15, 3, 500));
for (const [what, type] of [
  ['MAX_STREAMS of two ways', 0x12],
  ['MAX_STREAMS of one way', 0x13],
  ['STREAMS_BLOCKED of two ways', 0x16],
  ['STREAMS_BLOCKED of one way', 0x17],
] as const)
  rule(
    `${what} beyond 2^60 (RFC 9000 §19.11, §19.14)`,
    F.FRAME_ENCODING_ERROR,
    frame(type, Buffer.from('d000000000000001', 'hex')),
  );
rule(
  'NEW_CONNECTION_ID that retires beyond its own (RFC 9000 §19.15)',
  F.FRAME_ENCODING_ERROR,
  frame(0x18, 20, 21, 8, ZEROES(24)),
);
rule('NEW_CONNECTION_ID without an id (RFC 9000 §19.15)', F.FRAME_ENCODING_ERROR, frame(0x18, 20, 0, 0, ZEROES(16)));
rule('NEW_CONNECTION_ID of 21 bytes (RFC 9000 §19.15)', F.FRAME_ENCODING_ERROR, frame(0x18, 20, 0, 21, ZEROES(37)));
rule('NEW_TOKEN of a client (RFC 9000 §19.7)', F.PROTOCOL_VIOLATION, frame(0x07, 4, ZEROES(4)));
rule('HANDSHAKE_DONE of a client (RFC 9000 §19.20)', F.PROTOCOL_VIOLATION, frame(0x1e));
rule('a frame that is not known (RFC 9000 §12.4)', F.FRAME_ENCODING_ERROR, frame(0x3f));
rule('STREAM that ends beyond 2^62 (RFC 9000 §19.8)', F.FRAME_ENCODING_ERROR, (pair, line) =>
  forge(pair, line, Buffer.concat([bytes(0x0e, 0), Buffer.from('ffffffffffffffff', 'hex'), bytes(2), ZEROES(2)])),
);
rule('a KeyUpdate of TLS (RFC 9001 §6)', TLS_UNEXPECTED_MESSAGE, frame(0x06, 0, 5, Buffer.from('1800000100', 'hex')));
rule('a ClientHello after the handshake', TLS_UNEXPECTED_MESSAGE, frame(0x06, 0, 4, Buffer.from('01000000', 'hex')));

// ---- while the handshake runs --------------------------------------------------------------------------------------------

function during(name: string, wire: number, level: Level, frames: Uint8Array, low = 0): void {
  test(name, (t) => {
    // What the client says itself after its first flight is lost: its last is not to be there before what it should not say.
    let isMute = false;
    const drops = (_datagram: Buffer, from: { readonly port: number }) => isMute && from.port !== 443;
    const network = { latencyMs: 20, drops };
    const pair = new Pair({ network });
    const line = pair.dial();
    if (level === HANDSHAKE) {
      pair.world.pass(5);
      isMute = true;
      assert.ok(pair.until(() => line.protections[HANDSHAKE]?.canSeal === true, 5_000));
      isMute = false;
    } else pair.world.pass(1);
    const told = listening(t, line);
    packet(pair, line, level, frames, low);
    pair.until(() => told.wire >= 0, 2_000);
    assert.equal(told.wire.toString(16), wire.toString(16));
    assert.deepEqual(pair.world.bugs, []);
  });
}

const PING = bytes(0x01, ZEROES(4));
during('reserved bits of a Handshake packet (RFC 9000 §17.2)', F.PROTOCOL_VIOLATION, HANDSHAKE, PING, 0x0c);
during('PATH_CHALLENGE in Handshake (RFC 9000 §12.5)', F.PROTOCOL_VIOLATION, HANDSHAKE, bytes(0x1a, ZEROES(8)));
during('STREAM in Handshake (RFC 9000 §12.5)', F.PROTOCOL_VIOLATION, HANDSHAKE, bytes(0x0a, 0, 1, ZEROES(4)));
during('a Handshake packet without frames (RFC 9000 §12.4)', F.PROTOCOL_VIOLATION, HANDSHAKE, ZEROES(0));
during(
  'a frame that is not known in Handshake (RFC 9000 §12.4)',
  F.FRAME_ENCODING_ERROR,
  HANDSHAKE,
  bytes(0x3f, ZEROES(4)),
);
during(
  'a KeyUpdate of TLS in Handshake (RFC 9001 §6)',
  TLS_UNEXPECTED_MESSAGE,
  HANDSHAKE,
  bytes(0x06, 0, 5, Buffer.from('1800000100', 'hex')),
);
during(
  'EndOfEarlyData (RFC 9001 §8.3)',
  TLS_UNEXPECTED_MESSAGE,
  HANDSHAKE,
  bytes(0x06, 0, 4, Buffer.from('05000000', 'hex')),
);
during('STREAM in Initial (RFC 9000 §12.5)', F.PROTOCOL_VIOLATION, INITIAL, bytes(0x0a, 0, 1, ZEROES(4)));
during('reserved bits of an Initial packet (RFC 9000 §17.2)', F.PROTOCOL_VIOLATION, INITIAL, PING, 0x0c);

// ---- what a ClientHello says ---------------------------------------------------------------------------------------------

const ALPN = 16;
const PARAMETERS = 0x39;

/** A ClientHello with the content of one extension replaced; null takes the extension away. */
function withExtension(hello: Buffer, type: number, content: (before: Buffer) => Buffer | null): Buffer {
  let at = 4 + 2 + 32;
  at += 1 + hello[at]!;
  at += 2 + hello.readUInt16BE(at);
  at += 1 + hello[at]!;
  const head = Buffer.from(hello.subarray(0, at));
  const kept: Buffer[] = [];
  for (let next = at + 2; next < hello.length; ) {
    const size = hello.readUInt16BE(next + 2);
    const is = hello.readUInt16BE(next) === type;
    const value = is ? content(hello.subarray(next + 4, next + 4 + size)) : hello.subarray(next + 4, next + 4 + size);
    if (value !== null) {
      const start = Buffer.from(hello.subarray(next, next + 4));
      start.writeUInt16BE(value.length, 2);
      kept.push(start, Buffer.from(value));
    }
    next += 4 + size;
  }
  const extensions = Buffer.concat(kept);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(extensions.length);
  head.writeUIntBE(head.length - 4 + 2 + extensions.length, 1, 3);
  return Buffer.concat([head, size, extensions]);
}

function hello(name: string, wire: number, type: number, content: (before: Buffer) => Buffer | null): void {
  test(name, (t) => {
    const { send } = Agreement.prototype;
    let isFirst = true;
    t.mock.method(
      Agreement.prototype,
      'send',
      function (this: Agreement, level: Level, input: Uint8Array, start: number, end: number) {
        const made = isFirst
          ? withExtension(Buffer.from(input.subarray(start, end)), type, content)
          : Buffer.from(input.subarray(start, end));
        isFirst = false;
        send.call(this, level, made, 0, made.length);
      },
    );
    const pair = new Pair();
    const line = pair.dial();
    const told = listening(t, line);
    pair.until(() => told.wire >= 0, 2_000);
    assert.equal(told.wire.toString(16), wire.toString(16));
    assert.deepEqual(pair.world.bugs, []);
    assert.equal(pair.serverSides.length, 0);
  });
}

/** With one parameter more, or another value for one that is there. */
function parameter(name: string, id: number, value: Uint8Array): void {
  hello(name, F.TRANSPORT_PARAMETER_ERROR, PARAMETERS, (before) =>
    Buffer.concat([without(before, id), bytes(id, value.length, value)]),
  );
}

/** Each id and length of these parameters is an integer of one byte, or greased with more. */
function without(parameters: Buffer, id: number): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at < parameters.length; ) {
    const start = at;
    const [is, sizeAt] = integer(parameters, at);
    const [size, valueAt] = integer(parameters, sizeAt);
    at = valueAt + size;
    if (is !== id) kept.push(parameters.subarray(start, at));
  }
  return Buffer.concat(kept);
}

function integer(input: Buffer, at: number): [value: number, next: number] {
  const size = 1 << (input[at]! >>> 6);
  let value = input[at]! & 0x3f;
  for (let index = 1; index < size; index++) value = value * 256 + input[at + index]!;
  return [value, at + size];
}

hello('no initial_source_connection_id (RFC 9000 §7.3)', F.TRANSPORT_PARAMETER_ERROR, PARAMETERS, (before) =>
  without(before, 0x0f),
);
parameter('another initial_source_connection_id (RFC 9000 §7.3)', 0x0f, ZEROES(8));
parameter('original_destination_connection_id of a client (RFC 9000 §18.2)', 0x00, ZEROES(8));
parameter('stateless_reset_token of a client (RFC 9000 §18.2)', 0x02, ZEROES(16));
parameter('preferred_address of a client (RFC 9000 §18.2)', 0x0d, ZEROES(49));
parameter('retry_source_connection_id of a client (RFC 9000 §18.2)', 0x10, ZEROES(8));
parameter('max_udp_payload_size below 1,200 (RFC 9000 §18.2)', 0x03, Buffer.from('44af', 'hex'));
parameter('ack_delay_exponent above 20 (RFC 9000 §18.2)', 0x0a, bytes(21));
parameter('max_ack_delay of 2^14 (RFC 9000 §18.2)', 0x0b, Buffer.from('80004000', 'hex'));
parameter('active_connection_id_limit below 2 (RFC 9000 §18.2)', 0x0e, bytes(1));
parameter('initial_max_streams_bidi beyond 2^60 (RFC 9000 §4.6)', 0x08, Buffer.from('d000000000000001', 'hex'));
hello('a parameter twice (RFC 9000 §7.4)', F.TRANSPORT_PARAMETER_ERROR, PARAMETERS, (before) =>
  Buffer.concat([before, bytes(0x01, 1, 5), bytes(0x01, 1, 5)]),
);
hello('no transport parameters (RFC 9001 §8.2)', TLS_MISSING_EXTENSION, PARAMETERS, () => null);
hello('no application protocol (RFC 9001 §8.1)', TLS_NO_APPLICATION_PROTOCOL, ALPN, () => null);
hello('an application protocol that nobody speaks (RFC 9001 §8.1)', TLS_NO_APPLICATION_PROTOCOL, ALPN, () =>
  Buffer.from('\0\u0004\u0003abc', 'latin1'),
);

// ---- 0-RTT ---------------------------------------------------------------------------------------------------------------

test('CRYPTO in 0-RTT (RFC 9001 §8.3)', (t) => {
  const tickets: Ticket[] = [];
  const pair = new Pair({ network: { latencyMs: 20 } });
  const first = pair.dial({ onTicket: (ticket) => void tickets.push(ticket) });
  assert.ok(pair.until(() => tickets.length > 0, 5_000));
  first.close({ id: 'test.done', wire: 0, spec: '', text: 'done', scope: 'connection' });
  // Whoever has just begun takes no 0-RTT: it cannot know what was sent to it before.
  pair.world.pass(20_000);
  const line = pair.dial({ ticket: tickets[0]!, early: true });
  pair.world.pass(1);
  const told = listening(t, line);
  packet(pair, line, EARLY, bytes(0x06, 0, 4, ZEROES(4)));
  pair.until(() => told.wire >= 0, 2_000);
  assert.equal(told.wire.toString(16), F.PROTOCOL_VIOLATION.toString(16));
});
