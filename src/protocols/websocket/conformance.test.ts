// RFC 6455 by section, with the cases of the Autobahn test suite (their numbers in brackets): what a peer may do, and what
// it is told when it may not. Each is run as server and as client, whole and cut into pieces.
// Longer than most files: the standard's sections are best read in one place.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faults } from './faults.ts';
import { type BenchOptions, closing, type FrameOptions, frame, SocketBench } from './testing/bench.ts';

const TEXT = 1;
const BINARY = 2;
const MORE = 0;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const RANDOM = 'ab'.repeat(40);

type Said = readonly (readonly [opcode: number, payload?: string | Uint8Array, options?: FrameOptions])[];

const EACH: readonly BenchOptions[] = [
  { role: 'server' },
  { role: 'server', cut: 1 },
  { role: 'server', cut: 7 },
  { role: 'client' },
  { role: 'client', cut: 3 },
];

/** What is said is answered so, whoever we are and however it is cut. `heard` may end with how it ended. */
function on(what: string, said: Said, heard: readonly string[], fault: keyof typeof faults | null = null): void {
  test(`${what}`, () => {
    const large = said.some(([, payload = '']) => payload.length > 10_000);
    for (const options of EACH) {
      const bench = new SocketBench(large && options.cut !== undefined ? { ...options, cut: 997 } : options);
      bench.says(Buffer.concat(said.map(([opcode, payload, more]) => bench.frame(opcode, payload, more))));
      assert.deepEqual(bench.hears(5_000), heard, JSON.stringify(options));
      assert.deepEqual(bench.faulted, fault === null ? [] : [faults[fault].id]);
      const lost = bench.echo.told.at(-1) ?? '';
      if (fault !== null) assert.equal(lost, 'lost fault 1006');
    }
  });
}

const fails = (what: string, fault: keyof typeof faults, said: Said, before: readonly string[] = []): void =>
  on(what, said, [...before, `close ${faults[fault].wire}`], fault);

// §5.2, §5.6: data

for (const [opcode, name] of [
  [TEXT, 'text'],
  [BINARY, 'binary'],
] as const) {
  for (const size of [0, 1, 125, 126, 127, 128, 65_535, 65_536, 70_000])
    on(
      `§5.2 ${name} of ${size} bytes [1.1, 1.2]`,
      [[opcode, '*'.repeat(size)]],
      [size === 0 ? name : `${name} ${'*'.repeat(size)}`],
    );
}

test('§5.7 the examples', () => {
  const server = new SocketBench();
  // A masked "Hello", a masked pong; "Hello" in two; a ping with "Hello".
  server.says(Buffer.from('818537fa213d7f9f4d5158', 'hex'));
  server.says(Buffer.from('8a8537fa213d7f9f4d5158', 'hex'));
  assert.deepEqual(server.hears(), ['text Hello']);
  const client = new SocketBench({ role: 'client' });
  client.says(Buffer.from('810548656c6c6f', 'hex'), Buffer.from('010348656c80026c6f', 'hex'));
  client.says(Buffer.from('890548656c6c6f', 'hex'));
  assert.deepEqual(client.hears(), ['text Hello', 'text Hello', 'pong Hello']);
  for (const [head, size] of [
    ['827e0100', 256],
    ['827f0000000000010000', 65_536],
  ] as const) {
    client.says(Buffer.from(head, 'hex'), Buffer.alloc(size, 'x'));
    assert.deepEqual(client.hears(), [`binary ${'x'.repeat(size)}`]);
    const { messages } = server.echo;
    messages.send(Buffer.alloc(size, 'x'), 0, size, false);
    const from = server.peer.received.length;
    server.hears();
    assert.equal(server.peer.received.subarray(from).toString('hex', 0, head.length / 2), head);
  }
});

fails('§5.2 the length must be as short as can be (16 bits)', 'lengthNotMinimal', [[TEXT, 'a', { lengthBytes: 2 }]]);
fails('§5.2 the length must be as short as can be (64 bits)', 'lengthNotMinimal', [
  [BINARY, 'a'.repeat(300), { lengthBytes: 8 }],
]);

test('§5.2 the highest bit of a length is 0; a length beyond all bounds is not waited for', () => {
  for (const [length, fault] of [
    ['8000000000000000', faults.lengthTooLarge],
    ['ffffffffffffffff', faults.lengthTooLarge],
    ['7fffffffffffffff', faults.messageTooBig],
    ['0000000001000001', faults.messageTooBig],
  ] as const) {
    const bench = new SocketBench();
    bench.says(Buffer.from(`82ff${length}01020304`, 'hex'));
    assert.deepEqual(bench.hears(), [`close ${fault.wire}`]);
    assert.deepEqual(bench.faulted, [fault.id]);
  }
});

// §5.2: reserved bits and opcodes

for (let rsv = 1; rsv < 8; rsv++) {
  fails(`§5.2 reserved bits ${rsv} mean nothing here [3]`, 'reservedBits', [[TEXT, 'x', { rsv }]]);
  fails(
    `§5.2 reserved bits ${rsv} in between [3.4]`,
    'reservedBits',
    [[TEXT, 'x'], [BINARY, 'y', { rsv }], [PING]],
    ['text x'],
  );
  for (const opcode of [PING, PONG, CLOSE])
    fails(`§5.2 reserved bits ${rsv} on ${opcode}`, 'reservedBits', [[opcode, '', { rsv }]]);
}
for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
  fails(`§5.2 opcode ${opcode} is reserved [4]`, 'reservedOpcode', [[opcode]]);
  fails(
    `§5.2 opcode ${opcode} is reserved, with a payload [4]`,
    'reservedOpcode',
    [
      [TEXT, 'a'],
      [opcode, RANDOM],
    ],
    ['text a'],
  );
}

// §5.1: the mask

test('§5.1 a server takes only masked frames, a client only unmasked ones', () => {
  for (const [role, masked, fault] of [
    ['server', false, faults.notMasked],
    ['client', true, faults.masked],
  ] as const)
    for (const opcode of [TEXT, BINARY, PING, CLOSE, MORE]) {
      const bench = new SocketBench({ role });
      bench.says(frame(opcode, '', { masked }));
      assert.deepEqual(bench.hears(), ['close 1002']);
      assert.deepEqual(bench.faulted, [fault.id]);
    }
});

test('§5.3 any key, also none to speak of', () => {
  const bench = new SocketBench();
  for (const key of [
    [0, 0, 0, 0],
    [255, 255, 255, 255],
    [0, 0, 0, 1],
    [128, 0, 0, 0],
  ])
    bench.says(bench.frame(TEXT, 'x'.repeat(1_001), { key }));
  assert.deepEqual(bench.hears(), new Array(4).fill(`text ${'x'.repeat(1_001)}`));
});

test('§5.3 the keys of a client are new ones each time', () => {
  const bench = new SocketBench({ role: 'client' });
  for (let count = 0; count < 200; count++) bench.says(bench.frame(PING, 'x'));
  bench.hears();
  const keys = new Set<string>();
  for (let at = 0; at < bench.peer.received.length; at += 7)
    keys.add(bench.peer.received.toString('hex', at + 2, at + 6));
  assert.ok(keys.size >= 199, String(keys.size));
});

// §5.5: control frames

on(
  '§5.5.2 pings [2.1-2.4, 2.6, 2.10]',
  [[PING], [PING, 'Hello'], [PING, Buffer.of(0, 255, 254)], [PING, 'x'.repeat(125)]],
  ['pong', 'pong Hello', 'pong \x00\xff\xfe', `pong ${'x'.repeat(125)}`],
);
fails('§5.5 a ping of 126 bytes [2.5]', 'controlTooLong', [[PING, 'x'.repeat(126)]]);
fails('§5.5 a pong of 70,000 bytes', 'controlTooLong', [[PONG, 'x'.repeat(70_000)]]);
fails('§5.5 a close frame of 126 bytes [7.3.6]', 'controlTooLong', [[CLOSE, closing(1000, 'x'.repeat(124))]]);
on('§5.5.3 pongs that nothing asked for [2.7-2.9]', [[PONG], [PONG, 'unasked'], [PING, 'p']], ['pong p']);
fails('§5.5 a fragmented ping [5.1]', 'controlFragmented', [
  [PING, 'a', { fin: false }],
  [MORE, 'b'],
]);
fails('§5.5 a fragmented pong [5.2]', 'controlFragmented', [
  [PONG, 'a', { fin: false }],
  [MORE, 'b'],
]);
fails('§5.5 a fragmented close', 'controlFragmented', [[CLOSE, '', { fin: false }]]);

// §5.4: fragments

const part: FrameOptions = { fin: false };
on(
  '§5.4 a text in two [5.3-5.5]',
  [
    [TEXT, 'frag', part],
    [MORE, 'ment'],
  ],
  ['text fragment'],
);
on(
  '§5.4 with a ping between [5.6-5.8]',
  [
    [TEXT, 'frag', part],
    [PING, 'p'],
    [MORE, 'ment'],
  ],
  ['pong p', 'text fragment'],
);
on(
  '§5.4 several pings between [5.19, 5.20]',
  [
    [TEXT, 'f1', part],
    [MORE, 'f2', part],
    [PING, 'p1'],
    [MORE, 'f3', part],
    [MORE, 'f4', part],
    [PING, 'p2'],
    [MORE, 'f5'],
  ],
  ['pong p1', 'pong p2', 'text f1f2f3f4f5'],
);
on(
  '§5.4 empty fragments [6.1.2, 6.1.3]',
  [
    [TEXT, '', part],
    [MORE, '', part],
    [MORE, ''],
  ],
  ['text'],
);
on(
  '§5.4 empty around full ones',
  [
    [BINARY, '', part],
    [MORE, 'mid', part],
    [MORE, ''],
  ],
  ['binary mid'],
);
on(
  '§5.4 many small fragments',
  [[TEXT, 'a', part], ...new Array(300).fill([MORE, 'b', part]), [MORE, 'c']],
  [`text a${'b'.repeat(300)}c`],
);
fails('§5.4 nothing to continue [5.9]', 'nothingToContinue', [
  [MORE, 'x'],
  [TEXT, 'y'],
]);
fails('§5.4 nothing to continue, not the last [5.12]', 'nothingToContinue', [
  [MORE, 'x', part],
  [TEXT, 'y'],
]);
fails(
  '§5.4 nothing to continue behind a whole one [5.15]',
  'nothingToContinue',
  [
    [TEXT, 'a', part],
    [MORE, 'b'],
    [MORE, 'c', part],
  ],
  ['text ab'],
);
fails('§5.4 a message within a message [5.18]', 'messageWithin', [
  [TEXT, 'a', part],
  [TEXT, 'b'],
]);
fails('§5.4 binary within text', 'messageWithin', [
  [TEXT, 'a', part],
  [BINARY, 'b', part],
]);

// §8.1: UTF-8

for (const [text, name] of [
  ['Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!', '6.2'],
  ['\u03ba\u1f79\u03c3\u03bc\u03b5', '6.3'],
  ['\u0000\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}', '6.6-6.9'],
  ['\ud7ff\ue000\ufffd\ufffe\uffff\u{1fffe}\u{1ffff}', '6.11-6.13, 6.22'],
] as const) {
  const bytes = Buffer.from(text);
  const heard = `text ${bytes.toString('latin1')}`;
  on(`§8.1 text that is UTF-8 [${name}]`, [[TEXT, bytes]], [heard]);
  for (let at = 1; at < bytes.length; at += 3)
    on(
      `§8.1 cut at ${at} [${name}]`,
      [
        [TEXT, bytes.subarray(0, at), part],
        [MORE, bytes.subarray(at)],
      ],
      [heard],
    );
  on(
    `§8.1 byte by byte [${name}]`,
    [[TEXT, '', part], ...[...bytes].map((byte) => [MORE, Buffer.of(byte), part] as const), [MORE, '']],
    [heard],
  );
}

const NOT_UTF8: readonly [hex: string, name: string][] = [
  ['cebae1bdb9cf83cebcceb5eda080656469746564', '6.3.1: a surrogate'],
  ['f4908080', '6.4: beyond U+10FFFF'],
  ['f8888080', '6.6.3: five bytes'],
  ['fc84808080', '6.6.4: six bytes'],
  ['80', '6.14: a lone continuation'],
  ['bf', '6.14'],
  ['8080808080', '6.14'],
  ['c020c120', '6.15: leads without continuation'],
  ['e020', '6.15'],
  ['f020', '6.15'],
  ['c0', '6.16: the last byte is missing'],
  ['e080', '6.16'],
  ['f08080', '6.16'],
  ['dfc0', '6.16'],
  ['e0bf', '6.16'],
  ['fe', '6.18: impossible'],
  ['ff', '6.18'],
  ['c0af', '6.19: overlong'],
  ['e080af', '6.19'],
  ['f08080af', '6.19'],
  ['c1bf', '6.20: overlong'],
  ['e09fbf', '6.20'],
  ['f08fbfbf', '6.20'],
  ['c080', '6.21: an overlong NUL'],
  ['eda080', '6.22: surrogates'],
  ['edbfbf', '6.22'],
  ['eda080edb080', '6.22'],
];
for (const [hex, name] of NOT_UTF8) {
  const bytes = Buffer.from(hex, 'hex');
  fails(`§8.1 ${hex} is no UTF-8 [${name}]`, 'notUtf8', [
    [TEXT, bytes],
    [TEXT, 'not this'],
  ]);
  const long = Buffer.concat([Buffer.alloc(501, 'a\u00e9'), bytes]);
  fails(`§8.1 ${hex} behind more of it is no UTF-8 [${name}]`, 'notUtf8', [[TEXT, long]]);
  fails(`§8.1 ${hex} in fragments is no UTF-8 [${name}]`, 'notUtf8', [
    [TEXT, bytes.subarray(0, 1), part],
    [MORE, bytes.subarray(1)],
  ]);
  on(`§8.1 ${hex} is binary`, [[BINARY, bytes]], [`binary ${bytes.toString('latin1')}`]);
}

test('§8.1 told at the first byte that cannot be right [6.4.1-6.4.4]', () => {
  const right = Buffer.from('\u03ba\u1f79\u03c3\u03bc\u03b5');
  for (const role of ['server', 'client'] as const) {
    // The message goes on, the frame goes on: the last byte has not come.
    const fragments = new SocketBench({ role });
    fragments.says(fragments.frame(TEXT, right, part), fragments.frame(MORE, Buffer.from('f490', 'hex'), part));
    assert.deepEqual(fragments.hears(), ['close 1007']);
    const pieces = new SocketBench({ role });
    const whole = pieces.frame(TEXT, Buffer.concat([right, Buffer.from('f4908080656469746564', 'hex')]));
    const head = whole.length - 10;
    pieces.says(whole.subarray(0, head));
    assert.deepEqual(pieces.hears(), []);
    pieces.says(whole.subarray(head, head + 1));
    assert.deepEqual(pieces.hears(), []);
    pieces.says(whole.subarray(head + 1, head + 2));
    assert.deepEqual(pieces.hears(), ['close 1007']);
  }
});

// §5.5.1, §7: closing

const VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
const INVALID = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];

for (const code of VALID)
  on(`§7.4 ${code} is answered with itself [7.7]`, [[CLOSE, closing(code, 'reason')]], [`close ${code}`]);
for (const code of INVALID) fails(`§7.4 ${code} is no code to send [7.9, 7.13]`, 'closeCode', [[CLOSE, closing(code)]]);
on('§5.5.1 a close frame without a code [7.3.1]', [[CLOSE]], ['close']);
on('§5.5.1 a reason of 123 bytes [7.3.5]', [[CLOSE, closing(1000, 'x'.repeat(123))]], ['close 1000']);
fails('§5.5.1 a close frame of one byte [7.3.2]', 'closeTooShort', [[CLOSE, 'x']]);
fails('§5.5.1 a reason that is no UTF-8 [7.5.1]', 'notUtf8', [[CLOSE, closing(1000, Buffer.from('ceba80ff', 'hex'))]]);
fails('§5.5.1 a reason whose last character is cut', 'notUtf8', [[CLOSE, closing(1000, Buffer.of(0xe2, 0x82))]]);
on(
  '§5.5.1 a ping behind it is not answered [7.1.3]',
  [
    [CLOSE, closing(1000)],
    [PING, 'late'],
  ],
  ['close 1000'],
);
on(
  '§5.5.1 a message behind it is not read [7.1.2, 7.1.4, 7.1.5]',
  [
    [TEXT, 'a', part],
    [CLOSE, closing(1000)],
    [MORE, 'b'],
    [TEXT, 'c'],
  ],
  ['close 1000'],
);
on(
  '§5.5.1 two close frames [7.1.2]',
  [
    [CLOSE, closing(1000)],
    [CLOSE, closing(1001)],
  ],
  ['close 1000'],
);
on(
  '§7 a message, and the end [7.1.1]',
  [
    [TEXT, 'Hello'],
    [CLOSE, closing(1000)],
  ],
  ['text Hello', 'close 1000'],
);

test('§7.1.1 the server closes the connection first, and the client waits for that', () => {
  const server = new SocketBench();
  server.says(server.frame(CLOSE, closing(1000)));
  assert.deepEqual(server.hears(), ['close 1000']);
  assert.ok(server.peer.told.includes('finish'));
  server.peer.pipe.end();
  server.world.pass(10);
  assert.deepEqual(server.echo.told, ['lost ended 1000']);

  const client = new SocketBench({ role: 'client' });
  client.says(client.frame(CLOSE, closing(4_001)));
  assert.deepEqual(client.hears(), ['close 4001']);
  assert.ok(!client.peer.told.includes('finish'), 'the client was first');
  client.peer.pipe.end();
  client.world.pass(10);
  assert.deepEqual(client.echo.told, ['lost ended 4001']);
});

test('§7.1.1 a server that does not close is not waited for forever', () => {
  const client = new SocketBench({ role: 'client', limits: { closeMs: 1_000 } });
  client.says(client.frame(CLOSE, closing(1000)));
  client.hears(990);
  assert.ok(!client.peer.told.includes('finish'));
  client.hears(20);
  assert.ok(client.peer.told.includes('finish'));
  client.hears(5_000);
  assert.deepEqual(client.echo.told, ['lost timeout 1000']);
});

test('§7.1.2 our close frame is answered or its time runs out; messages meanwhile are not heard', () => {
  for (const role of ['server', 'client'] as const) {
    const answered = new SocketBench({ role });
    answered.echo.messages.end(4_000, 'bye');
    answered.echo.messages.send(Buffer.from('too late'), 0, 8, true);
    answered.echo.messages.end(4_001);
    assert.deepEqual(answered.hears(), ['close 4000']);
    answered.says(answered.frame(TEXT, 'on its way'), answered.frame(BINARY, 'x'.repeat(500_000), part));
    answered.says(answered.frame(PING, 'p'), answered.frame(MORE, 'y'), answered.frame(CLOSE, closing(4_000)));
    assert.deepEqual(answered.hears(), []);
    answered.peer.pipe.end();
    answered.hears();
    assert.deepEqual(answered.echo.told, ['lost ended 4000']);

    const silent = new SocketBench({ role, limits: { closeMs: 1_000 } });
    silent.echo.messages.end(1000);
    silent.hears(950);
    assert.ok(!silent.peer.told.includes('finish'));
    silent.hears(5_000);
    assert.ok(silent.peer.told.includes('finish'));
    assert.deepEqual(silent.echo.told, ['lost timeout 1006']);
  }
});

test('§7.1.2 what the peer breaks behind our close frame is not answered with another', () => {
  const bench = new SocketBench();
  bench.echo.messages.end(4_000);
  bench.says(bench.frame(5));
  assert.deepEqual(bench.hears(5_000), ['close 4000']);
  assert.deepEqual(bench.faulted, [faults.reservedOpcode.id]);
});

test('§7.1.2 who holds its reader back and then ends hears the answer; it is not asked to leave again', () => {
  const bench = new SocketBench();
  bench.echo.messages.pause();
  bench.says(bench.frame(TEXT, 'unread'));
  bench.hears();
  bench.echo.messages.end(4_000, 'bye');
  bench.link.far.leave('shutdown', 10_000);
  bench.says(bench.frame(CLOSE, closing(4_000)));
  bench.peer.pipe.end();
  assert.deepEqual(bench.hears(1_000), ['close 4000']);
  assert.deepEqual(bench.echo.told, ['lost ended 4000']);
});

test('§7.1.2 who has ended and then holds its reader back still hears the answer', () => {
  const bench = new SocketBench();
  bench.echo.messages.end(4_000, 'bye');
  assert.equal(bench.echo.messages.room, 0);
  bench.echo.messages.pause();
  bench.says(bench.frame(CLOSE, closing(4_000)));
  bench.peer.pipe.end();
  bench.hears(100);
  assert.deepEqual(bench.echo.told, ['lost ended 4000']);
});

test('§7.1.5 without a close frame the code is 1006, without a code in it 1005', () => {
  const cut = new SocketBench();
  cut.says(cut.frame(TEXT, 'half', part));
  cut.peer.pipe.end();
  cut.hears();
  assert.deepEqual(cut.echo.told, ['lost ended 1006']);
  const empty = new SocketBench();
  empty.says(empty.frame(CLOSE));
  empty.peer.pipe.end();
  assert.deepEqual(empty.hears(), ['close']);
  assert.deepEqual(empty.echo.told, ['lost ended 1005']);
});

test('§5.5 our reason is cut between characters at 123 bytes; a code that may not be sent is a mistake of ours', () => {
  const bench = new SocketBench();
  assert.throws(() => bench.echo.messages.end(1005), RangeError);
  assert.throws(() => bench.echo.messages.end(2_000), RangeError);
  bench.echo.messages.end(1011, '\u20ac'.repeat(100));
  bench.hears();
  assert.equal(bench.peer.received.toString('utf8', 4), '\u20ac'.repeat(41));
});

test('§7.1.7 what follows a mistake is not read, and the rest of the peer is taken without a reset', () => {
  const bench = new SocketBench();
  bench.says(bench.frame(TEXT, 'a'), bench.frame(5), bench.frame(TEXT, 'b'));
  assert.deepEqual(bench.hears(10), ['text a', 'close 1002']);
  bench.says(bench.frame(TEXT, 'c'), Buffer.alloc(100_000, 'noise'));
  assert.deepEqual(bench.hears(500), []);
  assert.ok(bench.peer.told.includes('finish') && !bench.peer.isLost, bench.peer.told.join());
  assert.deepEqual(bench.echo.told, ['text a']);
});
