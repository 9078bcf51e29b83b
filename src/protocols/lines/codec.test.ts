import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MORE } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { DENIED, MISSING } from '../../core/outcome.ts';
import { isTopicName } from '../../resources/topics/names.ts';
import { seedOf } from '../../sim/random.ts';
import { Answers } from './answers.ts';
import { beginsWithCommand, CommandReader, readNames } from './codec.ts';
import * as E from './encode.ts';
import { fuzzLines } from './fuzz.ts';
import * as R from './replies.ts';
import { KnownWords, readToken, topicWord, word } from './token.ts';
import * as W from './words.ts';

const BOUNDS = { lineBytesMax: 70_000, payloadBytesMax: 1_000_000 };

/** Characters that somebody takes for the end of a line, as Python's splitlines does. */
const ENDS = [0x0a, 0x0b, 0x0c, 0x0d, 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029];

function endsOf(text: string): number {
  return [...text].filter((character) => ENDS.includes(character.codePointAt(0)!)).length;
}

function isAscii(text: string): boolean {
  return [...text].every((character) => character >= ' ' && character <= '~');
}

/** Topics as other protocols may have them: any text, mostly short. */
const topic = fc
  .oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
    fc.constantFrom(
      ...W.VERBS.slice(2),
      'GAP',
      'B64',
      'MSGB',
      'CHALLENGE',
      'TOOBIG',
      'gap',
      'Pub!',
      '-',
      '-ERR',
      '%',
      '%20',
    ),
    fc.string({
      unit: fc.constantFrom(' ', '%', '\n', '\u2028', '\u0085', '/', 'a', '\u00e4', '\u{1f600}'),
      minLength: 1,
    }),
  )
  .filter((name) => isTopicName(name) && name.isWellFormed());

const shown = fc.record({
  topic,
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
    fc
      .string({ unit: fc.constantFrom('a', ' ', '\t', '\n', '\r', '\u2029', '\u009b', '\u001b') })
      .map((text) => Buffer.from(text)),
  ),
  contentType: fc.constantFrom('', 'text/plain'),
  properties: fc.constantFrom([], ['a', 'b', 'a', 'c']),
  publisher: fc.constantFrom('', 'ann'),
  time: fc.nat(),
  cursor: fc.maxSafeNat(),
});

test('a message is one line, and comes out of it as it went in', () => {
  fc.assert(
    fc.property(shown, (message) => {
      for (const make of [E.textFrame, E.base64Frame]) {
        const frame = make(message);
        assert.equal(frame.indexOf(0x0a), frame.length - 1);
        const reader = new R.ReplyReader();
        assert.equal(reader.read(frame, 0, frame.length), frame.length);
        assert.equal(reader.kind, R.MESSAGE);
        assert.equal(reader.topic, message.topic);
        assert.deepEqual(reader.payload, message.payload);
      }
      // Nothing that any reader of lines takes for the end of one.
      assert.equal(endsOf(E.textFrame(message).toString()), 1);
    }),
    { numRuns: 3_000 },
  );
});

test('a message of raw bytes', () => {
  fc.assert(
    fc.property(shown, (message) => {
      const frame = E.rawFrame(message);
      const reader = new R.ReplyReader();
      const at = reader.read(frame, 0, frame.length);
      assert.deepEqual([reader.kind, reader.topic, reader.value], [R.MESSAGE_HEAD, message.topic, message.cursor]);
      assert.deepEqual(frame.subarray(at, at + reader.length), message.payload);
      assert.equal(frame.length, at + reader.length + 1);
    }),
  );
});

test('a message as JSON says all that is known of it', () => {
  fc.assert(
    fc.property(shown, fc.boolean(), fc.constantFrom('auto', 'base64'), (message, retained, encoding) => {
      const line = E.jsonFrame(message, retained, encoding as W.Encoding).toString();
      assert.equal(endsOf(line), 1);
      const read = JSON.parse(line);
      const payload = read.base64 === undefined ? Buffer.from(read.payload) : Buffer.from(read.base64, 'base64');
      assert.deepEqual(payload, message.payload);
      assert.equal(read.topic, message.topic);
      assert.equal(read.cursor, message.cursor === 0 ? undefined : String(message.cursor));
      assert.deepEqual((read.properties ?? []).flat(), message.properties);
      assert.equal(read.retained ?? false, retained);
      assert.ok(encoding !== 'base64' || read.payload === undefined);
    }),
  );
});

test('commands are read as they were written', () => {
  fc.assert(
    fc.property(
      topic,
      fc.uint8Array().filter((bytes) => !bytes.includes(10) && bytes.at(-1) !== 13),
      fc.boolean(),
      fc.constantFrom('\n', '\r\n'),
      fc.nat(1_000_000),
      (name, payload, loud, ending, length) => {
        const bang = loud ? '!' : '';
        const pub = Buffer.concat([Buffer.from(`PUB${bang} ${word(name)} `), payload, Buffer.from(ending)]);
        const reader = new CommandReader(BOUNDS);
        assert.equal(reader.read(pub, 0, pub.length), pub.length);
        assert.deepEqual([reader.verb, reader.loud], [W.PUB, loud]);
        assert.equal(readToken(pub, reader.topicStart, reader.topicEnd), name);
        assert.deepEqual(Buffer.from(pub.subarray(reader.payloadStart, reader.payloadEnd)), Buffer.from(payload));
        const line = Buffer.from(
          `putb${bang} ${word(name)} ${length}${ending}SUB! ${word(name)} after=${length}${ending}`,
        );
        const next = reader.read(line, 0, line.length);
        assert.deepEqual([reader.verb, reader.length, reader.loud], [W.PUTB, length, loud]);
        assert.equal(reader.read(line, next, line.length), line.length);
        assert.deepEqual([reader.verb, reader.after, reader.wrong], [W.SUB, length, '']);
      },
    ),
  );
});

test('words: escaped and back, and a line never begins with what is reserved', () => {
  const words = new KnownWords();
  fc.assert(
    fc.property(topic, (name) => {
      for (const text of [word(name), topicWord(name)]) {
        const bytes = Buffer.from(text);
        assert.equal(words.read(bytes, 0, bytes.length), name);
        assert.equal(words.read(bytes, 0, bytes.length), name);
        assert.ok(!/\s/.test(text) && endsOf(text) === 0);
      }
      assert.ok(
        !/^(?:[-+]|(?:PUBB?|PUTB?|DEL|SUB|UNSUB|LAST|GAP|B64|MSGB|CHALLENGE|TOOBIG)!?$)/i.test(topicWord(name)),
      );
    }),
    { numRuns: 2_000 },
  );
});

test('a name and a password are words', () => {
  const line = Buffer.from('NAME ann%20lee p%25ss  \n');
  const reader = new CommandReader(BOUNDS);
  reader.read(line, 0, line.length);
  assert.deepEqual(readNames(line, reader), ['ann lee', 'p%ss']);
});

test('answers come in the order of the commands, whatever the order in which these end', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(60), { minLength: 1, maxLength: 60 }), (order) => {
      const answers = new Answers(64);
      const numbers = order.map((value, index) => answers.open(index % 17, value % 2 === 0));
      const found: number[] = [];
      const take = () => {
        while (answers.next()) {
          assert.equal(answers.verb, found.length % 17);
          assert.equal(answers.text, answers.value % 3 === 0 ? `text ${answers.value}` : '');
          found.push(answers.value);
        }
      };
      const ending = numbers.map((number, index) => ({ number, at: order[index]! })).sort((a, b) => a.at - b.at);
      for (const { number } of ending) {
        answers.settle(number, 0, number, number % 3 === 0 ? `text ${number}` : '', null);
        take();
      }
      assert.deepEqual(found, numbers);
      assert.equal(answers.size, 0);
      // Late and repeated settlements reach nobody.
      answers.settle(numbers[0]!, 0, 5, '', null);
      answers.settle(1_000, 0, 5, '', null);
      assert.equal(answers.next(), false);
    }),
  );
});

test('answers, errors and gaps as text and as JSON', () => {
  const out = new ByteWriter(10_000);
  const said = (write: (asJson: boolean) => void) =>
    [false, true].map((asJson) => {
      out.clear();
      write(asJson);
      return out.bytes.toString('utf8', 0, out.length);
    });
  assert.deepEqual(
    said((asJson) => E.writeOk(out, asJson, 0)),
    ['+OK\n', '{"ok":true}\n'],
  );
  assert.deepEqual(
    said((asJson) => E.writeOk(out, asJson, 7)),
    ['+OK 7\n', '{"ok":true,"cursor":"7"}\n'],
  );
  assert.deepEqual(
    said((asJson) => E.writeError(out, asJson, DENIED, E.commandName(W.PUB, true), 'no')),
    ['-ERR DENIED PUB! no\n', '{"error":"DENIED","command":"PUB!","text":"no"}\n'],
  );
  assert.deepEqual(
    said((asJson) => E.writeError(out, asJson, MISSING, '-', 'no')),
    ['-ERR MISSING - no\n', '{"error":"MISSING","text":"no"}\n'],
  );
  assert.deepEqual(
    said((asJson) => E.writeGap(out, asJson, 'a b/#', 3, 9)),
    ['GAP a%20b/# 3 9\n', '{"gap":{"filter":"a b/#","after":"3","from":"9"}}\n'],
  );
  for (const outcome of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] as const) {
    assert.equal(W.outcomeOf(W.OUTCOME_WORDS[outcome]), outcome);
    assert.ok(isAscii(W.OUTCOME_TEXTS[outcome]), 'texts are ASCII');
  }
  assert.ok(W.HELP_LINES.every(isAscii));
});

test('first bytes: which are of Lines', () => {
  const is = (text: string) => {
    const bytes = Buffer.from(text, 'latin1');
    return beginsWithCommand(bytes, 0, bytes.length);
  };
  for (const text of ['PUB a', 'pub! a', 'SUB a', 'PING\n', 'HELP\r', 'PUT a', 'PUT! /', 'UNSUB a', 'JSON\n'])
    assert.equal(is(text), true, text);
  for (const text of [
    'GET / ',
    'PUT /',
    'POST /',
    '\x16\x03\x01',
    'PRI * ',
    'PUBX a',
    'PUBLISH',
    'HEAD /',
    '{',
    'PUB\t',
  ])
    assert.equal(is(text), false, text);
  for (const text of ['', 'P', 'PUB', 'UNSUB', 'PUT ', 'ZZZ']) assert.equal(is(text), null, text);
});

test('an unfinished line is looked at once, however it comes', () => {
  const reader = new CommandReader(BOUNDS);
  const line = Buffer.from(`PUB a ${'x'.repeat(60_000)}\n`);
  for (let end = 1; end < line.length; end++) assert.equal(reader.read(line, 0, end), MORE);
  assert.equal(reader.read(line, 0, line.length), line.length);
});

test('100,000 random and damaged inputs', { timeout: 20_000 }, () => {
  const seed = seedOf(process.env.PORTICO_SEED);
  const began = performance.now();
  fuzzLines(100_000, seed);
  const took = performance.now() - began;
  assert.ok(took < 4_000 || process.env.CI === 'true', `took ${took} ms`);
});

test('a word that is known stays what it was when its bytes are overwritten by others', () => {
  const words = new KnownWords();
  const input = Buffer.alloc(16);
  for (let round = 0; round < 2; round++)
    for (let number = 0; number < 2_000; number++) {
      const word = `t/${String(number).padStart(6, '0')}`;
      input.write(word, 4);
      assert.equal(words.read(input, 4, 4 + word.length), word);
    }
});
