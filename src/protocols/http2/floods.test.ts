// Floods: each ends with GOAWAY, within a bounded number of frames and of bytes that are held, while another connection
// goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  HEADERS,
  PADDED,
  PING,
  PRIORITY,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './codec.ts';
import { ROUTES } from './testing/rules.ts';
import { type Client, frame, number32, Stage } from './testing/stage.ts';

const CALM = /^GOAWAY \d+ ENHANCE_YOUR_CALM$/;
/** More than any of the bounds allows at once. */
const ROUNDS = 5_000;

interface Flood {
  readonly what: string;
  /** Says something for the n-th time. */
  readonly says: (client: Client, n: number) => Uint8Array;
  readonly fault: string;
  readonly first?: (client: Client) => void;
}

const PATH = { ':method': 'GET', ':scheme': 'http', ':authority': 'a.test', ':path': '/slow' };
const stream = (n: number) => n * 2 + 1;
const opens = (client: Client, n: number, path = '/slow') =>
  frame(HEADERS, END_HEADERS | END_STREAM, stream(n), client.block({ ...PATH, ':path': path }));
const posts = (client: Client) => client.asks(1, { ':method': 'POST' }, false);

const FLOODS: Flood[] = [
  {
    what: 'rapid reset: requests that are reset at once (CVE-2023-44487)',
    says: (client, n) => Buffer.concat([opens(client, n), frame(RST_STREAM, 0, stream(n), number32(8))]),
    fault: 'http2.resets',
  },
  {
    what: 'rapid reset of requests that were answered at once',
    says: (client, n) => Buffer.concat([opens(client, n, '/'), frame(RST_STREAM, 0, stream(n), number32(8))]),
    fault: 'http2.resets',
  },
  {
    what: 'requests that the server resets for a WINDOW_UPDATE of 0 (CVE-2025-8671)',
    says: (client, n) => Buffer.concat([opens(client, n), frame(WINDOW_UPDATE, 0, stream(n), number32(0))]),
    fault: 'http2.resets',
  },
  {
    what: 'requests that the server resets for a window that overflows (CVE-2025-8671)',
    says: (client, n) => Buffer.concat([opens(client, n), frame(WINDOW_UPDATE, 0, stream(n), number32(0x7fff_ffff))]),
    fault: 'http2.resets',
  },
  {
    what: 'requests that the server resets for DATA behind their end (CVE-2025-8671)',
    says: (client, n) => Buffer.concat([opens(client, n), frame(DATA, 0, stream(n), 'x')]),
    fault: 'http2.resets',
  },
  {
    what: 'requests that the server resets for a PRIORITY that depends on itself (CVE-2025-8671)',
    says: (client, n) =>
      Buffer.concat([
        opens(client, n),
        frame(PRIORITY, 0, stream(n), Buffer.concat([number32(stream(n)), Buffer.alloc(1)])),
      ]),
    fault: 'http2.resets',
  },
  {
    what: 'requests that are malformed',
    says: (client, n) =>
      frame(HEADERS, END_HEADERS | END_STREAM, stream(n), client.block({ ...PATH, connection: 'close' })),
    fault: 'http2.resets',
  },
  {
    what: 'requests beyond those that are answered at once',
    says: (client, n) => opens(client, n),
    fault: 'http2.resets',
  },
  { what: 'PING', says: () => frame(PING, 0, 0, '12345678'), fault: 'http2.pings' },
  { what: 'SETTINGS', says: () => frame(SETTINGS, 0, 0), fault: 'http2.pings' },
  { what: 'PRIORITY', says: () => frame(PRIORITY, 0, 1, Buffer.alloc(5)), fault: 'http2.pings' },
  { what: 'frames of unknown types', says: () => frame(0x77, 0, 0), fault: 'http2.pings' },
  {
    what: 'DATA without a byte',
    first: posts,
    says: () => frame(DATA, 0, 1),
    fault: 'http2.emptyFrames',
  },
  {
    what: 'DATA of padding alone',
    first: posts,
    says: () => frame(DATA, PADDED, 1, '\x01\0'),
    fault: 'http2.emptyFrames',
  },
  {
    what: 'WINDOW_UPDATE of a byte',
    says: () => frame(WINDOW_UPDATE, 0, 0, number32(1)),
    fault: 'http2.windowUpdates',
  },
  {
    what: 'CONTINUATION without a byte',
    first: (client) => client.says(frame(HEADERS, END_STREAM, 1, client.block(PATH))),
    says: () => frame(CONTINUATION, 0, 1),
    fault: 'http2.continuations',
  },
  {
    what: 'a header block without end (CONTINUATION flood, CVE-2024-27316)',
    first: (client) => client.says(frame(HEADERS, END_STREAM, 1, client.block(PATH))),
    says: () => frame(CONTINUATION, 0, 1, Buffer.alloc(16_000, 0x82)),
    fault: 'http2.headerBlockTooLong',
  },
];

for (const { what, says, fault, first } of FLOODS) {
  test(`a flood ends, and no other connection feels it: ${what}`, () => {
    const stage = new Stage(ROUTES);
    const other = stage.open();
    const client = stage.open();
    first?.(client);
    let told = '';
    let most = 0;
    for (let n = 0; n < ROUNDS && told === ''; n++) {
      client.says(says(client, n));
      if (n % 50 !== 0) continue;
      told = client.hears(1).find((line) => line.startsWith('GOAWAY')) ?? '';
      most = Math.max(most, client.server.heldBytes);
    }
    assert.match(told, CALM);
    assert.deepEqual(stage.faults, [fault]);
    assert.ok(most < 300_000, `${most} bytes were held`);
    other.asks(1);
    assert.ok(other.hears().includes('DATA 1 GET / END_STREAM'));
    assert.deepEqual(stage.world.bugs, []);
  });
}

test('a header bomb: a small block that refers to a large entry again and again is answered with 431', () => {
  const stage = new Stage(ROUTES);
  const client = stage.open();
  client.asks(1, { 'user-agent': 'y'.repeat(500) });
  client.frames();
  // 0xbe is the newest entry.
  const bomb = Buffer.concat([client.block({ ...PATH, ':path': '/' }), Buffer.alloc(15_000, 0xbe)]);
  const before = process.memoryUsage().heapUsed;
  for (let n = 1; n < 100; n++) client.says(frame(HEADERS, END_HEADERS | END_STREAM, n * 2 + 1, bomb));
  const heard = client.hears(1_000);
  assert.equal(heard.filter((line) => line.includes(':status=431')).length, 99);
  assert.ok(process.memoryUsage().heapUsed - before < 100_000_000);
});

test('who does not read what is answered to pings is not read from', () => {
  const stage = new Stage(ROUTES, { limits: { pingsAtOnce: 1_000_000 }, window: 1_000 });
  const client = stage.open();
  client.peer.pipe.pause();
  const pings = Buffer.concat(Array.from({ length: 1_000 }, () => frame(PING, 0, 0, '12345678')));
  for (let round = 0; round < 200; round++) {
    client.says(pings);
    client.frames(5);
  }
  assert.ok(client.server.heldBytes < 1_300_000, `${client.server.heldBytes} bytes are held`);
});

test('honest clients are no flood: pings now and then, small bodies, many windows, resets of some', () => {
  const stage = new Stage(ROUTES);
  const client = stage.open();
  let at = 1;
  for (let second = 0; second < 120; second++) {
    for (let n = 0; n < 30; n++, at += 2) client.asks(at, { ':path': n % 10 === 0 ? '/slow' : '/' });
    client.says(frame(PING, 0, 0, '12345678'));
    for (let n = 0; n < 60; n++) client.says(frame(WINDOW_UPDATE, 0, 0, number32(10)));
    for (let n = 0; n < 3; n++) client.says(frame(RST_STREAM, 0, at - 60 + n * 20, number32(8)));
    client.frames(1_000);
  }
  assert.deepEqual(stage.faults, []);
});

test('zero windows: what waits for them is bounded over all streams', () => {
  const waiting: Exchange[] = [];
  const stage = new Stage((exchange) => void waiting.push(exchange), { limits: { connectionQueueBytes: 1_000_000 } });
  const client = stage.open(4, 0);
  for (let n = 0; n < 100; n++) client.says(opens(client, n));
  client.frames();
  let written = 0;
  for (const exchange of waiting) {
    exchange.respond(200, new Fields());
    const piece = Buffer.alloc(10_000);
    for (; exchange.room > 0; written += piece.length) exchange.share(piece, 0, piece.length);
    exchange.flush();
  }
  assert.ok(written < 1_300_000, String(written));
  client.says(frame(RST_STREAM, 0, 1, number32(8)));
  client.frames();
  assert.deepEqual(stage.faults, []);
});
