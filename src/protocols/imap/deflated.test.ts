// COMPRESS=DEFLATE (RFC 4978): the same conversation as without it, however it is cut; what is no DEFLATE stream; and a small
// packet that holds very much.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { Stage, type Talk } from './testing/stage.ts';

const SYNC = { finishFlush: constants.Z_SYNC_FLUSH };
const packed = (text: string | Buffer): Buffer => deflateRawSync(Buffer.from(text), SYNC);
const letter = (subject: string) => `From: ann@example.org\r\nSubject: ${subject}\r\n\r\nHello, ${subject}.\r\n`;

/** One side of a compressed conversation: both streams go on over all that is said. */
class Packed {
  private readonly talk: Talk;
  private heard = Buffer.alloc(0);
  private told = 0;

  constructor(talk: Talk) {
    this.talk = talk;
  }

  async hears(text: string | Buffer): Promise<string> {
    // Each piece is coded without what was before it: a decoder takes that as part of one stream.
    const answer = await this.talk.hears(packed(text));
    this.heard = Buffer.concat([this.heard, Buffer.from(answer, 'latin1')]);
    const all = inflateRawSync(this.heard, SYNC).toString('latin1');
    const fresh = all.slice(this.told);
    this.told = all.length;
    return fresh;
  }
}

async function stageWith(count: number, options: { cut?: number; highMark?: number } = {}): Promise<Stage> {
  const stage = await Stage.open(options);
  for (let at = 0; at < count; at++) await stage.deliver(letter(`number ${at}`));
  return stage;
}

async function compressed(stage: Stage): Promise<Packed> {
  const talk = await stage.signedIn();
  const answer = await talk.hears('c COMPRESS DEFLATE\r\n');
  assert.equal(answer, 'c OK What follows is compressed.\r\n');
  return new Packed(talk);
}

test('it is offered to who has signed in, once, and knows one mechanism (RFC 4978 §3)', async () => {
  const stage = await stageWith(1);
  const talk = await stage.signedIn();
  assert.match(await talk.does('CAPABILITY'), / COMPRESS=DEFLATE/);
  assert.equal(await talk.hears('a COMPRESS LZW\r\n'), 'a NO [CANNOT] There is no such mechanism here.\r\n');
  const stranger = stage.connect();
  assert.match(await stranger.hears(), /^\* OK/);
  assert.equal(await stranger.hears('a COMPRESS DEFLATE\r\n'), 'a BAD Sign in first.\r\n');
  const it = await compressed(stage);
  assert.match(await it.hears('d COMPRESS DEFLATE\r\n'), /^d NO \[COMPRESSIONACTIVE\]/);
});

test('FETCH, APPEND, IDLE and LOGOUT are as they are without it', async () => {
  const stage = await stageWith(3);
  const it = await compressed(stage);
  assert.match(await it.hears('e SELECT INBOX\r\n'), /\* 3 EXISTS/);
  const text = letter('two');
  assert.match(await it.hears(`f APPEND INBOX {${text.length}}\r\n`), /^\+ /);
  assert.match(await it.hears(`${text}\r\n`), /\* 4 EXISTS[\s\S]*f OK \[APPENDUID/);
  assert.match(await it.hears('g FETCH 4 BODY.PEEK[]\r\n'), /Hello, two\./);
  assert.match(await it.hears('h IDLE\r\n'), /^\+ /);
  await stage.deliver(letter('three'));
  assert.match(await it.hears(''), /\* 5 EXISTS/);
  assert.match(await it.hears('DONE\r\n'), /^h OK/);
  assert.match(await it.hears('i LOGOUT\r\n'), /\* BYE[\s\S]*i OK/);
  assert.deepEqual(stage.faulted, []);
});

test('however it is cut, and with little room, it is the same', async () => {
  const said = ['e SELECT INBOX\r\n', 'f FETCH 1:* (UID ENVELOPE BODY.PEEK[])\r\ng NOOP\r\nh SEARCH SUBJECT 1\r\n'];
  const run = async (cut: number, highMark?: number) => {
    const it = await compressed(await stageWith(30, { cut, ...(highMark === undefined ? {} : { highMark }) }));
    let all = '';
    for (const text of said) all += await it.hears(text);
    return all;
  };
  const whole = await run(0);
  assert.match(whole, /g OK[\s\S]*h OK/);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.constantFrom(undefined, 1_024, 8_192), async (cut, mark) => {
      assert.equal(await run(cut, mark), whole);
    }),
    { numRuns: 8 },
  );
});

test('what is no DEFLATE stream, or ends, ends the connection', async () => {
  for (const bytes of [Buffer.from([0xff, 0xff, 0xff, 0xff]), deflateRawSync(Buffer.from('x NOOP\r\n'))]) {
    const stage = await stageWith(1);
    const talk = await stage.signedIn();
    await talk.hears('c COMPRESS DEFLATE\r\n');
    // Something behind the end of a stream is none of it.
    await talk.hears(Buffer.concat([bytes, Buffer.from('more')]));
    assert.deepEqual(stage.faulted, ['imap.compressionBroken']);
  }
});

test('a packet of some kilobytes that holds fifty megabytes is answered like any line that is too long', async () => {
  const stage = await stageWith(1);
  const it = await compressed(stage);
  const bomb = Buffer.alloc(50_000_000, 'a');
  assert.match(
    await it.hears(Buffer.concat([bomb, Buffer.from('\r\nx NOOP\r\n')])),
    /^\* BAD The line is too long\.\r\nx OK/,
  );
});
