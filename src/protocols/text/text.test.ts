import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BAD, MORE } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { type Fault, faultTable } from '../../core/fault.ts';
import type { Cause, Pipe, Why } from '../../core/pipe.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import { NO_EVENTS } from '../../core/stream-pipe.ts';
import type { Clock } from '../../core/time.ts';
import { linkPipes, type SimulatedPipe } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { LINE, LineReader, LONG } from './line-reader.ts';
import { writeReply, writeReplyBlock, writeReplyLines } from './replies.ts';
import { ReplyReader } from './reply-reader.ts';
import { DONE, type RawBytes, type Step, TextSession, UNHEARD, WAIT } from './session.ts';

// ---- lines -----------------------------------------------------------------------------------------------------------

/** What a reader makes of input that comes in pieces. */
function linesOf(input: Buffer, cuts: readonly number[], most: number): string[] {
  const reader = new LineReader(most);
  const found: string[] = [];
  let kept = Buffer.alloc(0);
  let from = 0;
  for (const to of [...cuts, input.length]) {
    kept = Buffer.concat([kept, input.subarray(from, to)]);
    from = Math.max(from, to);
    let at = 0;
    while (at < kept.length) {
      const next = reader.read(kept, at, kept.length);
      if (next === MORE) break;
      assert.ok(next > at && next <= kept.length);
      if (reader.kind === LINE)
        found.push(`${kept.toString('latin1', reader.start, reader.stop)}${reader.isBare ? '\n' : ''}`);
      else if (reader.kind === LONG) found.push('LONG');
      at = next;
    }
    kept = kept.subarray(at);
    assert.ok(kept.length <= most + 1, 'no more is kept than a line may have');
  }
  return found;
}

test('lines end with CR LF or LF, and are skipped when they are too long', () => {
  assert.deepEqual(linesOf(Buffer.from('a\r\n\r\nb\n\nc\rd\r\n12345\r\n123456\r\n1234567\ne\r\nrest'), [], 5), [
    ...['a', '', 'b\n', '\n', 'c\rd', '12345', 'LONG', 'LONG', 'e'],
  ]);
});

test('however lines are cut, they are the same', () => {
  const letter = fc.constantFrom('a', 'b', '\r', '\n', '\r\n', 'c'.repeat(9));
  fc.assert(
    fc.property(fc.array(letter, { maxLength: 60 }), fc.array(fc.nat(200), { maxLength: 20 }), (letters, cuts) => {
      const input = Buffer.from(letters.join(''));
      const places = cuts.map((cut) => Math.min(cut, input.length)).sort((one, two) => one - two);
      assert.deepEqual(linesOf(input, places, 12), linesOf(input, [], 12));
    }),
    { numRuns: 500 },
  );
});

// ---- replies ---------------------------------------------------------------------------------------------------------

test('replies of one line and of several, read back (RFC 959 §4.2)', () => {
  const out = new ByteWriter(10_000);
  writeReply(out, 226, 'Done.\r\n221 Not a line of ours');
  writeReplyLines(out, 250, ['one', 'two', 'three']);
  writeReplyBlock(out, 211, 'Features:', ['MLST', '211 is no end'], 'End');
  const text = out.bytes.toString('utf8', 0, out.length);
  assert.equal(
    text,
    '226 Done.??221 Not a line of ours\r\n250-one\r\n250-two\r\n250 three\r\n211-Features:\r\n MLST\r\n 211 is no end\r\n211 End\r\n',
  );
  const reader = new ReplyReader(1_000, 10_000);
  const found: [number, string[]][] = [];
  let at = 0;
  while (at < out.length) {
    at = reader.read(out.bytes, at, out.length);
    if (reader.isWhole) found.push([reader.code, [...reader.lines]]);
  }
  assert.deepEqual(found, [
    [226, ['Done.??221 Not a line of ours']],
    [250, ['one', 'two', 'three']],
    [211, ['Features:', ' MLST', ' 211 is no end', 'End']],
  ]);
});

test('what is no reply, or does not end', () => {
  for (const text of ['hello\r\n', '22 x\r\n', '999 x\r\n', '226x\r\n', `220 ${'x'.repeat(2_000)}\r\n`]) {
    const bytes = Buffer.from(text);
    assert.equal(new ReplyReader(1_000, 10_000).read(bytes, 0, bytes.length), BAD, text.slice(0, 10));
  }
  const reader = new ReplyReader(1_000, 5_000);
  const line = Buffer.from(`211-${'x'.repeat(900)}\r\n`);
  let answer = 0;
  for (let round = 0; round < 7 && answer !== BAD; round++) answer = reader.read(line, 0, line.length);
  assert.equal(answer, BAD);
});

// ---- the session -----------------------------------------------------------------------------------------------------

const faults = faultTable('text', {
  http: { wire: 1, spec: 'here', text: 'http' },
  tls: { wire: 2, spec: 'here', text: 'tls' },
  firstUnknown: { wire: 3, spec: 'here', text: 'first' },
  unknownTooMany: { wire: 4, spec: 'here', text: 'unknown' },
  idle: { wire: 5, spec: 'here', text: 'idle' },
  bareLf: { wire: 6, spec: 'RFC 5321 §2.3.8', text: 'bare' },
});

/** Echoes; `wait` waits, `raw <n>` takes that many bytes, `end` ends. */
class Echo extends TextSession implements RawBytes {
  readonly told: string[] = [];
  private left = 0;
  private raw_ = '';
  private readonly clock: Clock;

  constructor(pipe: Pipe, strict: boolean, clock: Clock) {
    const { bareLf, ...rest } = faults;
    super(pipe, { lineBytesMax: 50, unknownMax: 3, idleMs: 1_000, faults: strict ? { ...rest, bareLf } : rest }, clock);
    this.clock = clock;
  }

  private say(text: string): void {
    this.pipe.out.utf8(`${text}\n`);
    this.pipe.flush();
  }

  protected command(input: Uint8Array, start: number, stop: number): Step {
    const line = Buffer.from(input.subarray(start, stop)).toString();
    const [verb = '', rest = ''] = line.split(' ');
    if (verb === 'what') {
      this.say('what?');
      return UNHEARD;
    }
    this.acquainted = true;
    if (verb === 'wait') return WAIT;
    if (verb === 'soon') {
      this.done_();
      return WAIT;
    }
    if (verb === 'raw') {
      this.left = Number(rest);
      this.raw_ = '';
      this.beginRaw(this);
      return DONE;
    }
    this.say(line);
    if (verb === 'end') this.end();
    return DONE;
  }

  take(input: Uint8Array, start: number, end: number): number {
    const to = Math.min(end, start + this.left);
    this.raw_ += Buffer.from(input.subarray(start, to)).toString();
    this.left -= to - start;
    if (this.left === 0) {
      this.endRaw();
      this.say(`raw ${this.raw_}`);
    }
    return to;
  }

  done_(clock = this.clock): void {
    this.say('waited');
    this.proceed(clock);
  }

  protected override interrupt(input: Uint8Array, start: number, stop: number): boolean {
    if (Buffer.from(input.subarray(start, stop)).toString() !== 'abort') return false;
    this.say('aborted');
    return true;
  }

  protected tooLong(): void {
    this.say('too long');
  }

  protected refuse(fault: Fault): void {
    this.say(`no: ${fault.text}`);
  }

  protected goodbye(why: Why): void {
    this.say(`bye: ${why}`);
  }

  protected gone(cause: Cause): void {
    this.told.push(cause);
  }
}

interface Stage {
  readonly world: World;
  readonly peer: Recorder;
  readonly echo: Echo;
  readonly pipe: SimulatedPipe;
  readonly faulted: string[];
}

function stage(cut = 0, strict = false, seed = 1): Stage {
  const world = new World(seed);
  const faulted: string[] = [];
  let peer!: Recorder;
  let echo!: Echo;
  const link = linkPipes(
    world,
    (pipe) => (peer = new Recorder(pipe)),
    (pipe) => (echo = new Echo(pipe, strict, world.turn.clock)),
    { cut, events: { ...NO_EVENTS, faulted: (_pipe, fault) => void faulted.push(fault.id) } },
  );
  return { world, peer, echo, pipe: link.far, faulted };
}

const hears = ({ world, peer }: Stage, text: string, ms = 100): string => {
  const before = peer.text.length;
  peer.say(text);
  world.pass(ms);
  return peer.text.slice(before);
};

test('one command at a time: what is pipelined waits, but for what may interrupt', () => {
  const it = stage();
  assert.equal(hears(it, 'a\r\nwait\r\nabort\r\nb\r\nabort\r\nc\r\n'), 'a\naborted\n');
  it.echo.done_(it.world.turn.clock);
  it.world.pass(100);
  assert.equal(it.peer.text, 'a\naborted\nwaited\nb\nabort\nc\n');
  assert.equal(hears(it, 'soon\r\nsoon\r\nd\r\n'), 'waited\nwaited\nd\n');
  assert.deepEqual(it.world.bugs, []);
});

test('raw bytes between lines', () => {
  for (const cut of [0, 1, 2, 5]) {
    const it = stage(cut);
    assert.equal(hears(it, 'a\r\nraw 6\r\nb\r\nc\r\nd\r\nraw 0\r\ne\r\n', 500), 'a\nraw b\r\nc\r\n\nd\nraw \ne\n');
  }
});

test('lines that are too long are answered in their turn', () => {
  const it = stage(7);
  const long = `${'x'.repeat(500)}\r\n`;
  assert.equal(hears(it, `a\r\n${long}b\r\nwait\r\n${long}`, 500), 'a\ntoo long\nb\n');
  it.echo.done_(it.world.turn.clock);
  it.world.pass(500);
  assert.equal(hears(it, 'c\r\n'), 'c\n');
  assert.equal(it.peer.text, 'a\ntoo long\nb\nwaited\ntoo long\nc\n');
});

test('a line feed alone, where it may not end a line (RFC 5321 §2.3.8)', () => {
  const it = stage(0, true);
  assert.equal(hears(it, 'a\r\nb\nc\r\n'), 'a\nno: bare\n');
  assert.deepEqual(it.faulted, ['text.bareLf']);
});

test('first lines that end a conversation, and unknown commands later', () => {
  for (const [text, says] of [
    ['GET / HTTP/1.1\r\na\r\n', 'no: http\n'],
    ['\x16\x03\x01', 'no: tls\n'],
    ['what\r\na\r\n', 'what?\nno: first\n'],
    [`${'x'.repeat(60)}\r\n`, 'no: first\n'],
    ['a\r\nwhat\r\nwhat\r\nwhat\r\nb\r\nwhat\r\nc\r\n', 'a\nwhat?\nwhat?\nwhat?\nb\nwhat?\nno: unknown\n'],
    ['a\r\nGET / HTTP/1.1\r\n', 'a\nGET / HTTP/1.1\n'],
  ] as const)
    assert.equal(hears(stage(), text), says, JSON.stringify(text));
});

test('a peer that says nothing is told and ended, but not while it is waited for', () => {
  const it = stage();
  assert.equal(hears(it, 'wait\r\n', 5_000), '');
  it.echo.done_(it.world.turn.clock);
  it.world.pass(500);
  assert.equal(it.peer.text, 'waited\n');
});

test('leaving: at once, or behind the command that is under way', () => {
  const idle = stage();
  idle.pipe.leave('shutdown', 1_000);
  idle.world.pass(100);
  assert.equal(idle.peer.text, 'bye: shutdown\n');
  const busy = stage();
  hears(busy, 'wait\r\n');
  busy.pipe.leave('shutdown', 1_000);
  busy.world.pass(100);
  assert.equal(busy.peer.text, '');
  busy.echo.done_(busy.world.turn.clock);
  busy.world.pass(100);
  assert.equal(busy.peer.text, 'waited\nbye: shutdown\n');
  const revoked = stage();
  hears(revoked, 'wait\r\n');
  revoked.pipe.leave('revoked', 1_000);
  revoked.world.pass(100);
  assert.equal(revoked.peer.text, 'bye: revoked\n');
});

test('a peer that ends is answered first', () => {
  const it = stage();
  it.peer.say('a\r\nwait\r\n');
  it.peer.pipe.end();
  it.world.pass(100);
  assert.equal(it.peer.text, 'a\n');
  it.echo.done_(it.world.turn.clock);
  it.world.pass(100);
  assert.equal(it.peer.text, 'a\nwaited\n');
  assert.ok(it.peer.isLost);
  assert.deepEqual(it.echo.told, ['ended']);
});

test('however a conversation is cut, it is the same', () => {
  const said = 'a\r\nraw 5\r\nx\ry\nzb\r\nwhat\r\nsoon\r\n\r\nraw 0\r\nc\r\nend\r\nd\r\n';
  const whole = hears(stage(), said, 1_000);
  assert.match(whole, /end\n$/);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(1_000), (cut, seed) => {
      assert.equal(hears(stage(cut, false, seed), said, 2_000), whole);
    }),
    { numRuns: 100 },
  );
});
