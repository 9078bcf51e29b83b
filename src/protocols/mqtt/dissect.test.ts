import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MASKED, type Piece } from '../../core/tap.ts';
import { mqttDissector } from './dissect.ts';
import * as P from './packets.ts';
import { bytesOf, connectSamples, type Sample, samples } from './samples.ts';

const bytes = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

/** The tree as indented lines, with offsets. */
function lines(pieces: readonly Piece[], depth = 0): string[] {
  return pieces.flatMap((piece) => [
    `${'  '.repeat(depth)}${piece.start}-${piece.end} ${piece.label}: ${piece.value}`,
    ...lines(piece.pieces ?? [], depth + 1),
  ]);
}

const CONNECT: Sample = {
  type: P.CONNECT,
  version: P.V5,
  clientId: 'c',
  cleanStart: true,
  keepAlive: 10,
  will: { topic: 'w', payload: Buffer.from('bye'), qos: 1, retain: true, properties: { willDelay: 3 } },
  username: 'u',
  password: Buffer.from('hunter2'),
  properties: { authMethod: 'M', authData: Buffer.from('hunter2'), user: ['k', 'v'] },
};

test('a CONNECT in pieces, its secrets masked', () => {
  const dissector = mqttDissector('in', false);
  const input = bytesOf(CONNECT, P.V5);
  const found = lines(dissector.push(input, 0, input.length));
  assert.deepEqual(found, [
    '0-63 CONNECT: CONNECT, 63 bytes, MQTT 5.0',
    '  0-1 packet type: 1 (CONNECT)',
    '  0-1 flags: 0000',
    '  1-2 remaining length: 61',
    '  2-8 protocol name: MQTT',
    '  8-9 protocol version: 5',
    '  9-10 connect flags: user name, password, will QoS 1 retain, clean start',
    '  10-12 keep alive: 10 s',
    '  12-34 properties: 21 bytes',
    '    13-17 Authentication Method: M',
    `    17-27 Authentication Data: ${MASKED}`,
    '    27-34 User Property: k: v',
    '  34-37 client identifier: c',
    '  37-43 will properties: 5 bytes',
    '    38-43 Will Delay Interval: 3',
    '  43-46 will topic: w',
    '  46-51 will payload: bye',
    '  51-54 user name: u',
    `  54-63 password: ${MASKED}`,
  ]);
});

test('what follows is read at the version of the CONNECT, and offsets go on', () => {
  const dissector = mqttDissector('in', false);
  const first = bytes('10 0d 0004 4d515454 04 02 0000 0001 63');
  dissector.push(first, 0, first.length);
  const next = bytes('82 08 000a 0003 612f62 01 32 06 0001 61 0007 78');
  const frames = dissector.push(next, 0, next.length);
  assert.deepEqual(lines(frames), [
    '15-25 SUBSCRIBE: SUBSCRIBE, 10 bytes, MQTT 3.1.1',
    '  15-16 packet type: 8 (SUBSCRIBE)',
    '  15-16 flags: 0010',
    '  16-17 remaining length: 8',
    '  17-19 packet identifier: 10',
    '  19-24 topic filter: a/b',
    '  24-25 options: QoS 1',
    '25-33 PUBLISH: PUBLISH, 8 bytes, MQTT 3.1.1',
    '  25-26 packet type: 3 (PUBLISH)',
    '  25-26 flags: 0010',
    '  26-27 remaining length: 6',
    '  27-30 topic name: a',
    '  30-32 packet identifier: 7',
    '  32-33 payload: x',
  ]);
});

test('one that joined late guesses the version from what it sees', () => {
  const dissector = mqttDissector('out', true);
  const five = bytes('90 05 000a 00 01 87');
  const [frame] = dissector.push(five, 0, five.length);
  assert.match(frame!.value, /MQTT 5\.0 \(guessed\)/);
  assert.ok(lines([frame!]).includes('  6-7 reason code: 0x87 not authorized'));
  const four = mqttDissector('out', true);
  const answer = bytes('90 03 000a 01');
  assert.match(four.push(answer, 0, answer.length)[0]!.value, /MQTT 3\.1\.1 \(guessed\)/);
});

test('the version of a server is known from its CONNACK', () => {
  for (const [hex, version] of [
    ['20 02 00 00', '3.1.1'],
    ['20 03 00 00 00', '5.0'],
  ] as const) {
    const dissector = mqttDissector('out', false);
    const input = bytes(`${hex} 40 02 0001`);
    const values = dissector.push(input, 0, input.length).map((frame) => frame.value);
    assert.match(values[1]!, new RegExp(`MQTT ${version.replaceAll('.', '\\.')}$`));
  }
});

test('a packet that is not lawful is shown with its fault', () => {
  const dissector = mqttDissector('in', true);
  const wrong = bytes('82 03 0001 00');
  const [frame] = dissector.push(wrong, 0, wrong.length);
  assert.match(frame!.value, /has no topic filter.*MQTT-3\.8\.3-2/);
  assert.equal(frame!.pieces!.at(-1)!.label, 'properties');
});

test('a CONNECT of a level that nobody knows keeps its secrets', () => {
  const input = bytesOf(CONNECT, P.V5);
  input[8] = 6;
  const found = lines(mqttDissector('in', false).push(input, 0, input.length));
  assert.deepEqual(found.slice(5), ['  8-9 protocol version: 6', `  9-63 rest: ${MASKED}`]);
  assert.match(found[0]!, /protocol version is not/);
});

test('what is no MQTT at all is said once', () => {
  const dissector = mqttDissector('in', true);
  const noise = bytes('00 01 02 03');
  assert.deepEqual(lines(dissector.push(noise, 0, 4)), ['0-4 bytes: 4 bytes that are not MQTT']);
  assert.deepEqual(dissector.push(noise, 0, 4), []);
});

test('however the bytes are cut, the tree is the same, covers all bytes and shows no password', () => {
  for (const version of [P.V31, P.V311, P.V5] as const) {
    fc.assert(
      fc.property(
        connectSamples(version),
        fc.array(samples(version, 'client'), { maxLength: 5 }),
        fc.integer({ min: 1, max: 30 }),
        (first, others, size) => {
          const secret = Buffer.from('hunter2hunter2');
          const signed = { ...(first as P.Connect & { type: typeof P.CONNECT }), username: 'me', password: secret };
          const input = Buffer.concat([signed, ...others].map((sample) => bytesOf(sample, version)));
          const whole = mqttDissector('in', false).push(input, 0, input.length);
          const cutter = mqttDissector('in', false);
          const cut: Piece[] = [];
          for (let at = 0; at < input.length; at += size)
            cut.push(...cutter.push(input, at, Math.min(input.length, at + size)));
          assert.deepEqual(cut, whole);
          let at = 0;
          for (const frame of whole) {
            assert.equal(frame.start, at);
            at = covered(frame);
          }
          assert.equal(at, input.length);
          assert.ok(!lines(whole).some((line) => line.includes('hunter2')));
        },
      ),
      { numRuns: 300 },
    );
  }
});

/** The end of a piece, whose parts must follow one another without a hole. */
function covered(piece: Piece): number {
  if (piece.pieces === undefined || piece.pieces.length === 0) return piece.end;
  let at: number | null = null;
  for (const part of piece.pieces) {
    // Type and flags share a byte, and the length of a property block comes before its first property.
    assert.ok(at === null || part.start === at || part.label === 'flags', `${part.label} at ${part.start}, not ${at}`);
    at = covered(part);
  }
  assert.equal(at, piece.end);
  return piece.end;
}
