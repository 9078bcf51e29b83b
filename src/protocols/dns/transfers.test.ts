import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../bytes/writer.ts';
import { nameFrom } from '../../formats/dns/name.ts';
import { CLASS, readRdata, TYPE, typeFrom, Words } from '../../formats/dns/records.ts';
import type { OtherServer } from '../../resources/names/contract.ts';
import type { StoredZone } from '../../resources/names/zone.ts';
import { Message } from './codec.ts';
import { MessageWriter } from './codec-write.ts';
import { dnsDissector } from './dissect.ts';
import { type Carriers, Followers } from './server-followers.ts';
import { TransferIn } from './server-transfer-in.ts';
import { Bench, framed, query, seen, update } from './testing/bench.ts';
import { SignedMessages, Signing, tsigKey } from './tsig.ts';
import * as W from './wire.ts';

const ORIGIN = nameFrom('example.')!;

/** A message with these records in its answer section. */
function answerOf(...records: readonly (readonly [string, string, string])[]): Message {
  const out = new MessageWriter();
  const bytes = Buffer.alloc(65_535);
  out.begin(bytes, 0, bytes.length);
  for (const [name, type, text] of records) {
    const data = new ByteWriter(70_000);
    assert.equal(readRdata(typeFrom(type), Words.of(text)!, data, ORIGIN), null, text);
    out.record(6, nameFrom(name, ORIGIN)!, 0, typeFrom(type), CLASS.IN, 60, data.bytes, 0, data.length);
  }
  out.header(1, W.QR | W.AA);
  const message = new Message();
  assert.ok(message.read(bytes, 0, out.length) > 0);
  return message;
}

const soa = (serial: number) => ['@', 'SOA', `ns h ${serial} 3600 600 86400 60`] as const;
const a = (name: string, last: number) => [name, 'A', `192.0.2.${last}`] as const;

test('a whole zone is taken, in one message or many (RFC 5936 §2.2)', () => {
  const records = [soa(7), ['@', 'NS', 'ns'] as const, a('ns', 1), a('www', 2), soa(7)];
  for (let cut = 1; cut < records.length; cut++) {
    const coming = new TransferIn(ORIGIN, -1);
    assert.equal(coming.take(answerOf(...records.slice(0, cut))), 'more');
    assert.equal(coming.take(answerOf(...records.slice(cut))), 'whole');
    assert.equal(coming.contents!.records, 4);
  }
});

test('changes are taken step by step (RFC 1995 §4)', () => {
  const coming = new TransferIn(ORIGIN, 1);
  const records = [soa(3), soa(1), a('x', 1), soa(2), a('y', 2), soa(2), soa(3), a('z', 3), soa(3)];
  assert.equal(coming.take(answerOf(...records.slice(0, 4))), 'more');
  assert.equal(coming.take(answerOf(...records.slice(4))), 'steps');
  assert.deepEqual(
    coming.steps.map(({ changes }) => [changes.removed, changes.added]),
    [
      [1, 1],
      [0, 1],
    ],
  );
});

test('one SOA that is no newer says that nothing has changed', () => {
  assert.equal(new TransferIn(ORIGIN, 7).take(answerOf(soa(7))), 'same');
  assert.equal(new TransferIn(ORIGIN, 7).take(answerOf(soa(6))), 'same');
  assert.equal(new TransferIn(ORIGIN, 7).take(answerOf(soa(8))), 'more');
});

test('what does not join on, lies outside or goes on behind the end is no transfer', () => {
  const broken: readonly (readonly [number, readonly (readonly [string, string, string])[]])[] = [
    [-1, [a('x', 1)]],
    [-1, [soa(1), a('x.other.', 1)]],
    [-1, [soa(1), a('x', 1), soa(2)]],
    [-1, [soa(1), a('x', 1), soa(1), a('y', 1)]],
    [1, [soa(3), soa(1), a('x', 1), soa(2), a('y', 1), soa(5), soa(3)]],
    [-1, [soa(1), ['x', 'SOA', 'a b 1 1 1 1 1']]],
    [-1, []],
  ];
  for (const [serial, records] of broken)
    assert.equal(new TransferIn(ORIGIN, serial).take(answerOf(...records)), 'broken', JSON.stringify(records));
});

test('any row of records is a transfer or is not, and neither throws nor hangs', () => {
  const record = fc.constantFrom(soa(1), soa(2), soa(3), a('x', 1), a('y', 2), a('z.other.', 3));
  fc.assert(
    fc.property(fc.array(record, { maxLength: 12 }), fc.constantFrom(-1, 1, 2, 3), (records, serial) => {
      const coming = new TransferIn(ORIGIN, serial);
      coming.take(answerOf(...records));
    }),
  );
});

// ---- signatures ------------------------------------------------------------------------------------------------------

const KEY = tsigKey('Key.Example', 'hmac-sha256', Buffer.from('a secret of some octets'))!;
const WALL = 1_700_000_000_000;

function signedQuery(
  key = KEY,
  wall = WALL,
  change: (bytes: Buffer) => void = () => {},
): { bytes: Buffer; signing: Signing } {
  const out = new MessageWriter();
  const bytes = Buffer.alloc(1_024);
  out.begin(bytes, 0, bytes.length);
  out.question(ORIGIN, 0, TYPE.SOA, 1);
  out.header(77, 0);
  const signing = Signing.query(key);
  signing.sign(out, wall);
  const whole = bytes.subarray(0, out.length);
  change(whole);
  return { bytes: whole, signing };
}

function verified(bytes: Buffer): SignedMessages {
  const message = new Message();
  assert.equal(message.read(bytes, 0, bytes.length), bytes.length, message.fault.id);
  const signed = new SignedMessages([KEY]);
  signed.verify(message, WALL);
  return signed;
}

test('what is signed is known by its key, and what answers it too, in a chain (RFC 8945 §5.3)', () => {
  const { bytes, signing } = signedQuery();
  const signed = verified(bytes);
  assert.equal(signed.keyName, 'key.example');
  const out = new MessageWriter();
  for (let round = 0; round < 3; round++) {
    const answer = Buffer.alloc(1_024);
    out.begin(answer, 0, answer.length);
    out.question(ORIGIN, 0, TYPE.SOA, 1);
    out.header(77, W.QR);
    signed.sign(out, WALL);
    const message = new Message();
    assert.equal(message.read(answer, 0, out.length), out.length);
    assert.ok(signing.checkAnswer(message, WALL), `message ${round}`);
    // The same again is not the next.
    if (round > 0) assert.ok(!signing.checkAnswer(message, WALL));
    if (round > 0) break;
  }
});

test('what does not hold is said in the answer (RFC 8945 §5.2)', () => {
  const errorOf = (bytes: Buffer) => verified(bytes).signing!.error;
  const other = tsigKey('key.example', 'hmac-sha256', Buffer.from('another secret'))!;
  const unknown = tsigKey('who.example', 'hmac-sha256', Buffer.from('x'))!;
  assert.equal(errorOf(signedQuery(other).bytes), W.BADSIG);
  assert.equal(errorOf(signedQuery(unknown).bytes), W.RCODE.BADKEY);
  assert.equal(
    errorOf(signedQuery({ ...KEY, algorithm: 'hmac-sha1', algorithmWire: nameFrom('hmac-sha1.')! }).bytes),
    W.RCODE.BADKEY,
  );
  assert.equal(errorOf(signedQuery(KEY, WALL - 301_000).bytes), W.RCODE.BADTIME);
  assert.equal(errorOf(signedQuery(KEY, WALL + 301_000).bytes), W.RCODE.BADTIME);
  assert.equal(errorOf(signedQuery(KEY, WALL - 299_000).bytes), 0);
  assert.equal(errorOf(signedQuery(KEY, WALL, (bytes) => (bytes[13]! ^= 1)).bytes), W.BADSIG);
});

test('a signed query gets a signed answer over UDP, and one that does not hold NOTAUTH', async () => {
  const secret = Buffer.from('a secret of some octets').toString('base64');
  const bench = await Bench.open({ keys: [{ name: 'key.example', secret }] });
  const wall = bench.host.clock.wall;
  const { bytes, signing } = signedQuery(KEY, wall);
  const [answer] = bench.ask(bytes);
  const message = new Message();
  assert.equal(message.read(answer!, 0, answer!.length), answer!.length);
  assert.ok(signing.checkAnswer(message, wall));
  const wrong = bench.answer(signedQuery(KEY, wall - 1_000_000).bytes);
  assert.equal(wrong.rcode, 'NOTAUTH');
  assert.match(wrong.additional[0]!, /TSIG .* 18 6 /);
});

test('a key acts for its account, as far as rules let it', async () => {
  const secret = Buffer.from('a secret of some octets').toString('base64');
  const bench = await Bench.open({ keys: [{ name: 'key.example', secret, account: 'ann' }] });
  const ask = bench.names.may.bind(bench.names);
  const asked: string[] = [];
  bench.names.may = (caller, verb, zone, host, key) => {
    asked.push(`${caller?.account} ${verb} ${zone.name} ${key}`);
    return ask(caller, verb, zone, host, key);
  };
  const bytes = Buffer.alloc(1_024);
  const out = new MessageWriter();
  out.begin(bytes, 0, bytes.length);
  out.question(ORIGIN, 0, TYPE.SOA, 1);
  out.header(5, 5 << 11);
  Signing.query(KEY).sign(out, bench.host.clock.wall);
  await bench.answered(bytes.subarray(0, out.length));
  assert.deepEqual(asked, ['ann write example key.example']);
});

// ---- secondaries -----------------------------------------------------------------------------------------------------

const PRIMARY: OtherServer = { host: '192.0.2.53', port: 53, key: null };

/** A secondary in a simulated world, and a primary that is a function. */
async function secondary() {
  const bench = await Bench.open({
    plan: { kind: 'secondary', primaries: [PRIMARY], notify: [{ ...PRIMARY, port: 5_353 }] },
  });
  const zone = bench.names.zones()[0]! as StoredZone;
  const asked: string[] = [];
  let answer: (question: string, bytes: Uint8Array) => Uint8Array[] | null = () => null;
  const carriers: Carriers = {
    ask(_server, carrier, bytes, heard, failed) {
      const { question, opcode } = seen(Uint8Array.from(bytes));
      asked.push(`${carrier} ${opcode} ${question}`);
      const messages = answer(question, bytes);
      setImmediate(() => {
        if (messages === null) failed('refused');
        else for (const message of messages) if (!heard(message, 0, message.length)) break;
      });
      return () => {};
    },
  };
  const followers = new Followers({
    names: bench.names,
    carriers,
    keys: [],
    clock: () => bench.world.turn.clock,
    refreshedAt: () => 0,
    setUsable: (each, usable) => bench.names.setUsable(each as StoredZone, usable),
    log: () => {},
    touch: () => {},
  });
  const settle = async () => {
    for (let round = 0; round < 20; round++) await new Promise((resolve) => setImmediate(resolve));
  };
  const pass = async (ms: number) => {
    bench.world.pass(ms);
    if (followers.due <= bench.world.turn.clock.now) followers.tick(bench.world.turn.clock);
    await settle();
  };
  return { bench, zone, asked, followers, pass, answers: (given: typeof answer) => (answer = given) };
}

test('a secondary asks by its refresh and retry times, and ends answering when its primary is gone for too long', async () => {
  const { bench, zone, asked, followers, pass, answers } = await secondary();
  followers.begin();
  await pass(1);
  // Nobody answers: retry after 600 s, not before.
  assert.deepEqual(asked, ['tcp QUERY example. IN IXFR']);
  await pass(599_000);
  assert.equal(asked.length, 1);
  await pass(2_000);
  assert.equal(asked.length, 2);
  assert.equal(bench.answer(query('www.example.', 'A')).rcode, 'NOERROR');
  for (let round = 0; round < 145; round++) await pass(600_500);
  assert.equal(zone.usable, false);
  assert.equal(bench.answer(query('www.example.', 'A')).rcode, 'SERVFAIL');
  // It comes back.
  answers(() => [Uint8Array.from(answerBytes(soa(1)))]);
  await pass(601_000);
  assert.equal(zone.usable, true);
  assert.equal(bench.answer(query('www.example.', 'A')).rcode, 'NOERROR');
});

function answerBytes(...records: readonly (readonly [string, string, string])[]): Uint8Array {
  const message = answerOf(...records);
  return message.bytes.slice(message.start, message.end);
}

test('a NOTIFY from a primary refreshes at once, one from anybody else does not; who follows is told', async () => {
  const { bench, zone, asked, followers, pass, answers } = await secondary();
  answers((question) => (question.endsWith('IXFR') ? [Uint8Array.from(answerBytes(soa(1)))] : null));
  followers.begin();
  await pass(1);
  assert.equal(followers.notified(zone, '192.0.2.99', ''), false);
  answers((question) =>
    question.endsWith('IXFR') ? [Uint8Array.from(answerBytes(soa(2), soa(1), soa(2), a('new', 9), soa(2)))] : null,
  );
  assert.equal(followers.notified(zone, '192.0.2.53', ''), true);
  await pass(1);
  assert.equal(zone.serial, 2);
  assert.deepEqual(bench.answer(query('new.example.', 'A')).answer, ['new.example. A 192.0.2.9']);
  await pass(1);
  assert.equal(asked.at(-1), 'udp NOTIFY example. IN SOA');
  // Five tries, each after twice the time (RFC 1996 §3.6).
  for (let round = 0; round < 80; round++) await pass(1_000);
  assert.equal(asked.filter((line) => line.includes('NOTIFY')).length, 5);
});

test('a primary that does not know IXFR is asked for everything (RFC 1995 §4)', async () => {
  const { zone, asked, followers, pass, answers } = await secondary();
  const refusal = Buffer.from(answerBytes());
  refusal[3] = W.RCODE.NOTIMP;
  answers((question) =>
    question.endsWith('IXFR') ? [refusal] : [answerBytes(soa(9), ['@', 'NS', 'ns'], a('ns', 3), soa(9))],
  );
  followers.begin();
  await pass(1);
  await pass(1);
  assert.deepEqual(asked.slice(0, 2), ['tcp QUERY example. IN IXFR', 'tcp QUERY example. IN AXFR']);
  assert.equal(zone.serial, 9);
  assert.equal(zone.contents.records, 3);
  // What came whole is told to others as what has changed.
  assert.equal(zone.since(1)!.length, 1);
});

test('updates of a secondary are refused: they are its primary’s', async () => {
  const { bench } = await secondary();
  const answer = await bench.answered(
    update('example.', [], [{ name: 'x.example.', type: 'A', data: '192.0.2.1', ttl: 1 }]),
  );
  assert.equal(answer.rcode, 'NOTIMP');
});

// ---- the inspector ---------------------------------------------------------------------------------------------------

test('the inspector shows messages in words, however they are cut, and no signature', async () => {
  const bench = await Bench.open();
  const bytes = Buffer.concat([framed(query('www.example.', 'A', { udp: 1_232 })), framed(signedQuery().bytes)]);
  for (let cut = 1; cut < bytes.length; cut += 7) {
    const dissector = dnsDissector('in', false);
    const pieces = [...dissector.push(bytes, 0, cut), ...dissector.push(bytes, cut, bytes.length)];
    assert.deepEqual(
      pieces.map(({ label, value }) => `${label} ${value}`),
      ['QUERY #16962 www.example.', 'QUERY #77 example.'],
    );
    assert.deepEqual(
      pieces[0]!.pieces!.map(({ label, value }) => `${label} ${value}`),
      ['question www.example. IN A', 'OPT udp 1232'],
    );
    assert.equal(pieces[1]!.pieces!.at(-1)!.value, '•••');
    assert.equal(pieces[1]!.end, bytes.length);
  }
  const out = dnsDissector('out', false);
  const [answer] = bench.ask(query('www.example.', 'A'));
  const [piece] = out.push(framed(answer!), 0, answer!.length + 2);
  assert.equal(piece!.pieces!.at(-1)!.value, 'www.example. 300 A 192.0.2.1');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (noise) => {
      dnsDissector('in', true).push(noise, 0, noise.length);
    }),
  );
});
