// For tests: random and mutated input into the readers, the session and the dissector, for any number of runs. Throws when
// one of them throws, stands still, runs out of its input, or when cutting the input changes what is read.
import assert from 'node:assert/strict';
import { BAD, MORE } from '../../bytes/reader.ts';
import { isTopicName } from '../../resources/topics/names.ts';
import { Random } from '../../sim/random.ts';
import { beginsWithCommand, CommandReader, readNames } from './codec.ts';
import { linesDissector } from './dissect.ts';
import { isPlain, jsonFrame, textFrame } from './encode.ts';
import { MESSAGE, ReplyReader } from './replies.ts';
import { KnownWords, readToken, topicWord } from './token.ts';
import { NAME } from './words.ts';

const BOUNDS = { lineBytesMax: 200, payloadBytesMax: 100_000 };

const LAWFUL: readonly Buffer[] = [
  'PUB sensors/a 21.5\n',
  'PUB! sensors/a 21.5\r\n',
  'PUT a%20b c d \n',
  'PUTB! a 3\nabc\n',
  'PUBB a 0\n',
  'SUB sensors/# after=12 encoding=raw\n',
  'SUB! + lease=60 nonce=0123456789abcdef\n',
  'UNSUB a\n',
  'LAST! a encoding=base64\n',
  'DEL a\n',
  'NAME ann%20 secret\n',
  'JSON\n--json\nTEXT!\n',
  'PING\nHELP\nQUIT\n',
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'PUT / HTTP/1.1\r\n',
  'sensors/a 21.5\n',
  'B64 a AAEC\n',
  'MSGB a 3 17\n',
  'GAP sensors/# 12 40\n',
  '+OK 17\n+PONG\n+BYE\n+OK 60 a%20b\n',
  '-ERR DENIED PUB! no\n',
  'CHALLENGE 0123456789abcdef\n',
  'TOOBIG a 5000\n',
  '{"topic":"a","payload":"1"}\n',
  'PUB \u00e4\u{1f600} \u20ac\n',
].map((text) => Buffer.from(text));

const TASTY = [0, 0x0a, 0x0d, 0x20, 0x21, 0x25, 0x2b, 0x2d, 0x16, 0x7f, 0x80, 0xc2, 0xe2, 0xff];

function damage(random: Random, bytes: Buffer): Buffer {
  const damaged = Buffer.from(bytes);
  for (let blows = random.below(4); blows > 0; blows--) {
    const at = random.below(damaged.length);
    const way = random.below(4);
    if (way === 0) damaged[at] = random.below(256);
    else if (way === 1) damaged[at] = random.pick(TASTY);
    else if (way === 2) damaged[at] = damaged[at]! ^ (1 << random.below(8));
    else damaged.copyWithin(at, random.below(damaged.length));
  }
  return random.below(8) === 0 ? damaged.subarray(0, random.below(damaged.length) + 1) : damaged;
}

/** What a reader makes of input that comes in two parts: what it read, and how far. */
function commands(input: Uint8Array, cut: number, found: (number | string)[]): void {
  const reader = new CommandReader(BOUNDS);
  let at = 0;
  for (const end of [cut, input.length]) {
    while (at < end) {
      const next = reader.read(input, at, end);
      if (next === MORE) break;
      if (next === BAD) {
        assert.ok(reader.fault !== null);
        found.push(reader.fault.id);
        return;
      }
      assert.ok(next > at && next <= end, 'the reader stands still or runs out');
      at = next;
      const { topicStart, topicEnd, payloadStart, payloadEnd } = reader;
      found.push(reader.verb, reader.wrong, topicStart, topicEnd, payloadStart, payloadEnd, reader.length);
      if (reader.verb === NAME) readNames(input, reader);
    }
  }
}

function replies(input: Uint8Array, cut: number, found: (number | string)[]): void {
  const reader = new ReplyReader();
  let at = 0;
  for (const end of [cut, input.length]) {
    while (at < end) {
      const next = reader.read(input, at, end);
      if (next === MORE) break;
      if (next === BAD) {
        found.push('bad');
        return;
      }
      assert.ok(next > at && next <= end, 'the reader stands still or runs out');
      at = next;
      found.push(reader.kind, reader.value, reader.topic, reader.word);
    }
  }
}

/** A message, whatever its payload is, comes out of its line as it went in. */
function message(topic: string, payload: Buffer): void {
  const shown = { topic, payload, contentType: '', properties: [], publisher: '', time: 0, cursor: 3 };
  const frame = textFrame(shown);
  assert.equal(frame.indexOf(0x0a), frame.length - 1, 'more than one line');
  const reader = new ReplyReader();
  assert.equal(reader.read(frame, 0, frame.length), frame.length);
  assert.equal(reader.kind, MESSAGE);
  assert.equal(reader.topic, topic);
  assert.ok(reader.payload!.equals(payload));
  const line = jsonFrame(shown, false, 'auto');
  assert.equal(line.indexOf(0x0a), line.length - 1, 'more than one line');
  if (isPlain(payload)) assert.equal(JSON.parse(line.toString()).payload, payload.toString());
}

/** @param count how many inputs */
export function fuzzLines(count: number, seed: number): void {
  const random = new Random(seed);
  const words = new KnownWords();
  const noise = Buffer.alloc(32);
  for (let run = 0; run < count; run++) {
    let input: Buffer;
    if (random.below(8) === 0) {
      random.fill(noise);
      input = Buffer.from(noise.subarray(0, 1 + random.below(noise.length)));
    } else input = damage(random, random.pick(LAWFUL));
    if (random.below(4) === 0) input = Buffer.concat([input, random.pick(LAWFUL)]);
    try {
      one(random, words, input, run);
    } catch (error) {
      const stack = error instanceof Error ? error.stack : String(error);
      throw new Error(`seed ${seed}, run ${run}: ${input.toString('hex')}: ${stack}`);
    }
  }
}

function one(random: Random, words: KnownWords, input: Buffer, run: number): void {
  const cut = random.below(input.length + 1);
  const read = run % 2 === 0 ? commands : replies;
  const whole: (number | string)[] = [];
  const parts: (number | string)[] = [];
  read(input, input.length, whole);
  read(input, cut, parts);
  assert.ok(whole.length === parts.length && whole.every((value, at) => value === parts[at]), 'a cut changes it');
  new CommandReader(BOUNDS).readDatagram(input, 0, input.length);
  beginsWithCommand(input, 0, Math.min(24, input.length));
  assert.equal(words.read(input, 0, cut), readToken(input, 0, cut));
  const topic = input.subarray(0, cut).toString('utf8');
  if (run % 4 === 0 && isTopicName(topic)) message(topic, input.subarray(cut));
  if (run % 8 !== 0) return;
  const direction = run % 16 === 0 ? 'in' : 'out';
  const dissector = linesDissector(direction, random.below(2) === 0);
  dissector.push(input, 0, cut);
  dissector.push(input, cut, input.length);
  assert.equal(typeof topicWord('a'), 'string');
}
