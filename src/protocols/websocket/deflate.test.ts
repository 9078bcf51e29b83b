import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { KeptBytes } from '../../bytes/kept.ts';
import type { Fault } from '../../core/fault.ts';
import { Random } from '../../sim/random.ts';
import { acceptOffer, clientDeflate, type DeflateTerms, OFFER, readAnswer, ServerDeflate } from './deflate.ts';
import { type Extension, readExtensions } from './extensions.ts';
import { faults } from './faults.ts';
import type { Compression } from './session.ts';
import { SocketBench } from './testing/bench.ts';

const read = (text: string): Extension[] => readExtensions(text)!;

test('RFC 6455 §9.1: lists of extensions', () => {
  assert.deepEqual(readExtensions(''), []);
  assert.deepEqual(readExtensions(' , a ; b;c = 1 ; d="2" ,, e'), [
    {
      name: 'a',
      parameters: [
        ['b', null],
        ['c', '1'],
        ['d', '2'],
      ],
    },
    { name: 'e', parameters: [] },
  ]);
  assert.deepEqual(readExtensions('a; b="\\1\\0"'), [{ name: 'a', parameters: [['b', '10']] }]);
  for (const wrong of ['a b', 'a;', 'a; =', 'a; b=', 'a; b=""', 'a; b="x y"', 'a; b="x', 'a; b=c d', ';', '"a"', 'a/b'])
    assert.equal(readExtensions(wrong), null, wrong);
  assert.equal(readExtensions('a, '.repeat(40)), null);
});

test('RFC 7692 §7.1: offers, and what is answered', () => {
  const answer = (offer: string, mayTakeOver = true) => {
    const agreed = acceptOffer(read(offer), mayTakeOver);
    return agreed === null ? null : agreed.answer.replace('permessage-deflate; server_no_context_takeover', '*');
  };
  assert.equal(answer('permessage-deflate'), '*');
  assert.equal(answer('permessage-deflate', false), '*; client_no_context_takeover');
  assert.equal(answer('permessage-deflate; server_no_context_takeover'), '*');
  assert.equal(answer('permessage-deflate; client_no_context_takeover'), '*; client_no_context_takeover');
  assert.equal(answer('permessage-deflate; client_max_window_bits'), '*');
  assert.equal(answer('permessage-deflate; client_max_window_bits=8'), '*');
  assert.equal(answer('permessage-deflate; client_max_window_bits="15"'), '*');
  for (let bits = 9; bits <= 15; bits++)
    assert.equal(answer(`permessage-deflate; server_max_window_bits=${bits}`), `*; server_max_window_bits=${bits}`);
  // The first that can be kept; zlib cannot make the smallest window.
  assert.equal(answer('permessage-deflate; server_max_window_bits=8, permessage-deflate'), '*');
  assert.equal(
    answer('permessage-deflate; server_no_context_takeover; server_max_window_bits=10, permessage-deflate'),
    '*; server_max_window_bits=10',
  );
  for (const declined of [
    'x-deflate',
    'permessage-deflate; server_max_window_bits=8',
    'permessage-deflate; server_max_window_bits',
    'permessage-deflate; server_max_window_bits=7',
    'permessage-deflate; server_max_window_bits=16',
    'permessage-deflate; server_max_window_bits=09',
    'permessage-deflate; client_max_window_bits=16',
    'permessage-deflate; client_max_window_bits=x',
    'permessage-deflate; server_no_context_takeover=1',
    'permessage-deflate; client_no_context_takeover=true',
    'permessage-deflate; client_no_context_takeover; client_no_context_takeover',
    'permessage-deflate; unknown',
  ])
    assert.equal(answer(declined), null, declined);
});

test('RFC 7692 §7.1: answers that a client takes, and those that it fails on', () => {
  assert.deepEqual(readAnswer(read('permessage-deflate')), {
    serverTakesOver: true,
    clientTakesOver: true,
    serverBits: null,
    clientBits: null,
  });
  assert.deepEqual(
    readAnswer(
      read(
        'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10',
      ),
    ),
    { serverTakesOver: false, clientTakesOver: false, serverBits: 9, clientBits: 10 },
  );
  for (const wrong of [
    'x',
    'permessage-deflate, permessage-deflate',
    'permessage-deflate; client_max_window_bits',
    'permessage-deflate; server_max_window_bits=16',
    'permessage-deflate; other',
  ])
    assert.equal(readAnswer(read(wrong)), null, wrong);
});

const BOTH: DeflateTerms = { serverTakesOver: true, clientTakesOver: true, serverBits: null, clientBits: null };

function inflate(compression: Compression, hex: string, bytesMax = 1_000_000): string | Fault {
  const into = new KeptBytes();
  const bytes = Buffer.from(hex, 'hex');
  const fault = compression.inflate(bytes, 0, bytes.length, bytesMax, into);
  const text = into.bytes.toString('latin1', into.start, into.end);
  into.clear();
  return fault ?? text;
}

function deflate(compression: Compression, text: string): Uint8Array | null {
  const bytes = Buffer.from(text);
  return compression.deflate(bytes, 0, bytes.length);
}

const hex = (bytes: Uint8Array | null): string => Buffer.from(bytes!).toString('hex');

test('RFC 7692 §7.2.3: the examples', () => {
  const client = clientDeflate(BOTH);
  // §7.2.3.1: one block with fixed codes; §7.2.3.2: the window is shared with the message before.
  assert.equal(inflate(client, 'f248cdc9c90700'), 'Hello');
  assert.equal(inflate(client, 'f200110000'), 'Hello');
  // §7.2.3.3: a block without compression.
  assert.equal(inflate(client, '000500faff48656c6c6f00'), 'Hello');
  // §7.2.3.4: a block that says it is the last.
  assert.equal(inflate(client, 'f348cdc9c9070000'), 'Hello');
  assert.equal(inflate(client, 'f248cdc9c90700'), 'Hello');
  // §7.2.3.5: two blocks in one message.
  assert.equal(inflate(client, 'f248050000 00ffffcac9c90700'.replace(' ', '')), 'Hello');
  // §7.2.3.6: an empty message.
  assert.equal(inflate(client, '00'), '');
  assert.equal(inflate(client, 'f248cdc9c90700'), 'Hello');
  client.close();

  const sender = clientDeflate(BOTH);
  assert.equal(hex(deflate(sender, 'Hello')), 'f248cdc9c90700');
  // The window is used: the same again is shorter, and needs the first.
  const again = hex(deflate(sender, 'Hello'));
  assert.ok(again.length < 14);
  assert.equal(hex(deflate(sender, '')), '00');
  sender.close();
  const receiver = clientDeflate(BOTH);
  assert.equal(inflate(receiver, again), faults.badDeflate);
  receiver.close();
  const forgetful = clientDeflate({ ...BOTH, clientTakesOver: false });
  const long = 'Hello'.repeat(100);
  assert.equal(hex(deflate(forgetful, long)), hex(deflate(forgetful, long)));
  assert.equal(deflate(forgetful, 'Hello'), null, 'it would have grown');
  forgetful.close();
});

test('§7.2.3.1 on the wire, whole and in two fragments; pings between', () => {
  for (const role of ['server', 'client'] as const) {
    const bench = new SocketBench({ role, compression: clientDeflate(BOTH), limits: { compressBytesLeast: 1 } });
    bench.says(bench.frame(1, Buffer.from('f248cdc9c90700', 'hex'), { rsv: 4 }));
    bench.says(bench.frame(1, Buffer.from('f200', 'hex'), { rsv: 4, fin: false }));
    bench.says(bench.frame(9, 'p'), bench.frame(0, Buffer.from('110000', 'hex')));
    bench.says(bench.frame(1, 'plain'));
    assert.deepEqual(bench.hears().slice(0, 3), [
      'text rsv4 \xf2H\xcd\xc9\xc9\x07\x00',
      'pong p',
      'text rsv4 \xf2\x00\x11\x00\x00',
    ]);
    assert.deepEqual(bench.echo.told, ['text Hello', 'text Hello', 'text plain']);
  }
});

test('§6: the bit is on the first frame of a message only', () => {
  for (const [frames, fault] of [
    [[[9, 'p', 4]], faults.reservedBits],
    [[[10, '', 4]], faults.reservedBits],
    [[[8, '', 4]], faults.reservedBits],
    [[[1, 'a', 2]], faults.reservedBits],
    [[[1, 'a', 5]], faults.reservedBits],
    [
      [
        [1, '\xf2', 4, false],
        [0, '\x48', 4],
      ],
      faults.reservedBits,
    ],
  ] as const) {
    const bench = new SocketBench({ compression: clientDeflate(BOTH) });
    for (const [opcode, payload, rsv, fin = true] of frames)
      bench.says(bench.frame(opcode, Buffer.from(payload, 'latin1'), { rsv, fin }));
    assert.deepEqual(bench.hears(), ['close 1002']);
    assert.deepEqual(bench.faulted, [fault.id]);
  }
});

test('what cannot be decompressed, is no text, or grows past the bound', () => {
  const bomb = deflateRawSync(Buffer.alloc(50_000_000), { level: 9 });
  for (const [payload, fault] of [
    ['ffffff', faults.badDeflate],
    ['0605', faults.badDeflate],
    [deflateRawSync(Buffer.from('c328', 'hex')).toString('hex'), faults.notUtf8],
    [bomb.toString('hex'), faults.messageTooBig],
  ] as const)
    for (const cut of [0, 1]) {
      const bench = new SocketBench({ compression: clientDeflate(BOTH), cut, limits: { messageBytesMax: 100_000 } });
      bench.says(bench.frame(1, Buffer.from(payload, 'hex'), { rsv: 4 }));
      assert.deepEqual(bench.hears(60_000), [`close ${fault.wire}`]);
      assert.deepEqual(bench.faulted, [fault.id]);
      assert.deepEqual(
        bench.echo.told.filter((line) => !line.startsWith('lost')),
        [],
      );
    }
});

test('a message that is as long as may be, compressed, and one byte longer', () => {
  for (const size of [0, 1, 16_383, 16_384, 16_385, 100_000]) {
    const client = clientDeflate(BOTH);
    const at = deflateRawSync(Buffer.alloc(size, 'ab')).toString('hex');
    assert.equal((inflate(client, at, size) as string).length, size);
    const past = deflateRawSync(Buffer.alloc(size + 1, 'ab')).toString('hex');
    assert.equal(inflate(client, past, size), faults.messageTooBig);
    client.close();
  }
});

test('without a context each message stands for itself, and one that is wrong harms none behind it', () => {
  const client = clientDeflate({ ...BOTH, serverTakesOver: false });
  for (let round = 0; round < 2; round++) {
    assert.equal(inflate(client, 'f248cdc9c90700'), 'Hello');
    assert.equal(inflate(client, 'f200110000'), faults.badDeflate, 'it needs the one before');
  }
  client.close();
});

test('a message to many is compressed once; a window has its own', () => {
  const server = new ServerDeflate(1);
  const terms = { ...BOTH, serverTakesOver: false };
  const bytes = Buffer.from('the same for all of them '.repeat(100));
  const sockets = new Array(5).fill(0).map(() => server.open({ ...terms, clientTakesOver: false }));
  const small = sockets.map((socket) => socket.deflate(bytes, 0, bytes.length)!);
  for (const one of small) assert.equal(one, small[0]);
  assert.notEqual(sockets[0]!.deflate(bytes, 0, 2_000), small[0]);
  const narrow = server.open({ ...terms, serverBits: 9 });
  const distant = Buffer.concat([Buffer.from('x'.repeat(10)), noise(1_000), noise(1_000)]);
  assert.equal(narrow.deflate(distant, 0, distant.length), null, 'what repeats is out of its window');
  assert.ok(sockets[0]!.deflate(distant, 0, distant.length)!.length < 1_200);
  // And for those that compare by what is in it: other bytes of the same length.
  const other = Buffer.from(bytes).fill('z');
  assert.notDeepEqual(sockets[1]!.deflate(other, 0, other.length), small[0]);
});

test('what is kept compressed is bounded, by count and by bytes, and the last is always kept', () => {
  const socket = new ServerDeflate(0).open({ ...BOTH, serverTakesOver: false, clientTakesOver: false });
  const deflated = (bytes: Buffer) => socket.deflate(bytes, 0, bytes.length);
  const many = new Array(9).fill(0).map((_, at) => Buffer.alloc(2_000, String(at)));
  const first = many.map(deflated);
  assert.equal(deflated(many[8]!), first[8]);
  assert.equal(deflated(many[1]!), first[1]);
  assert.notEqual(deflated(many[0]!), first[0]);
  const large = Buffer.alloc(2_000_000, 'x');
  const small = deflated(large);
  assert.equal(deflated(large), small);
  assert.notEqual(deflated(many[8]!), first[8], 'it went for the large one');
  assert.notEqual(deflated(large), small, 'and the large one for what came then');
});

function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  new Random(7).fill(bytes);
  return bytes;
}

test('as many clients may keep their context as the limit says; one that goes makes room', () => {
  const server = new ServerDeflate(2);
  const terms = { ...BOTH, serverTakesOver: false };
  const first = server.open(terms);
  assert.ok(server.mayTakeOver);
  server.open(terms);
  assert.ok(!server.mayTakeOver);
  first.close();
  first.close();
  assert.ok(server.mayTakeOver);
  server.open({ ...terms, clientTakesOver: false }).close();
  server.open(terms);
  assert.ok(!server.mayTakeOver);
});

test('both halves understand each other on all terms', () => {
  const random = new Random(3);
  const offers = [
    OFFER,
    'permessage-deflate; server_max_window_bits=9',
    'permessage-deflate; client_no_context_takeover',
  ];
  for (const offer of offers)
    for (const mayTakeOver of [true, false]) {
      const agreed = acceptOffer(read(offer), mayTakeOver)!;
      const server = new ServerDeflate(5).open(agreed.terms);
      const client = clientDeflate(readAnswer(read(agreed.answer))!);
      for (let count = 0; count < 50; count++) {
        const text = `${'lorem ipsum '.repeat(random.below(300))}${random.bits()}`;
        for (const [from, to] of [
          [server, client],
          [client, server],
        ] as const) {
          const small = deflate(from, text);
          if (small !== null) assert.equal(inflate(to, hex(small)), text);
        }
      }
    }
});

test('a client whose window may be 256 bytes sends what it has as it is', () => {
  const client = clientDeflate({ ...BOTH, clientBits: 8 });
  assert.equal(deflate(client, 'a'.repeat(1_000)), null);
  assert.equal(inflate(client, 'f248cdc9c90700'), 'Hello');
});
