// The rules of RFC 9113 for frames and streams, by clause.
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  HAS_PRIORITY,
  HEADERS,
  PADDED,
  PING,
  PRIORITY,
  PRIORITY_UPDATE,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './codec.ts';
import { checkRules, type Rule } from './testing/rules.ts';
import { type Client, frame, number32, settings } from './testing/stage.ts';

const goaway = (last: number, code: string) => `GOAWAY ${last} ${code}`;
const reset = (stream: number, code: string) => `RST_STREAM ${stream} ${code}`;
const PATH = { ':method': 'GET', ':scheme': 'http', ':authority': 'a.test', ':path': '/' };
const head = (client: Client, more: Record<string, string> = {}) => client.block({ ...PATH, ...more });
const posts = (client: Client, stream: number, more: Record<string, string> = {}) =>
  client.asks(stream, { ':method': 'POST', ...more }, false);
const ping = Buffer.from('12345678');

const FRAMES: Rule[] = [
  {
    what: 'a frame above SETTINGS_MAX_FRAME_SIZE is FRAME_SIZE_ERROR (RFC 9113 §4.2)',
    says: (client) => client.says(frame(HEADERS, END_HEADERS, 1, Buffer.alloc(16_385))),
    hears: goaway(0, 'FRAME_SIZE_ERROR'),
  },
  {
    what: 'DATA above SETTINGS_MAX_FRAME_SIZE is FRAME_SIZE_ERROR (§4.2)',
    says: (client) => {
      posts(client, 1);
      client.says(frame(DATA, 0, 1, Buffer.alloc(16_385)));
    },
    hears: goaway(1, 'FRAME_SIZE_ERROR'),
  },
  {
    what: 'DATA of SETTINGS_MAX_FRAME_SIZE is taken (§4.2)',
    says: (client) => {
      posts(client, 1);
      client.says(frame(DATA, END_STREAM, 1, Buffer.alloc(16_384, 'x')));
    },
    hears: 'DATA 1 16384 END_STREAM',
  },
  {
    what: 'a frame of an unknown type is ignored (§4.1, §5.5)',
    says: (client) => {
      client.says(frame(0x16, 0xff, 0, 'anything'), frame(0x17, 0, 77, 'else'));
      client.asks(1);
    },
    hears: 'DATA 1 GET / END_STREAM',
  },
  {
    what: 'undefined flags are ignored (§4.1)',
    says: (client) => {
      client.says(frame(PING, 0x16, 0, ping), frame(HEADERS, END_HEADERS | END_STREAM | 0x52, 1, head(client)));
    },
    hears: 'DATA 1 GET / END_STREAM',
  },
  {
    what: 'the reserved bit of a stream’s number is ignored (§4.1)',
    says: (client) => client.says(frame(HEADERS, END_HEADERS | END_STREAM, 0x8000_0001, head(client))),
    hears: 'DATA 1 GET / END_STREAM',
  },
  {
    what: 'a frame of an unknown type within a header block is PROTOCOL_ERROR (§5.5)',
    says: (client) => client.says(frame(HEADERS, END_STREAM, 1, head(client)), frame(0x16, 0, 0)),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  },
];

const PARTS: Rule[] = [
  {
    what: 'a header block over several frames is one (§4.3, §6.10)',
    says: (client) => {
      const block = head(client);
      client.says(
        frame(HEADERS, END_STREAM, 1, block.subarray(0, 2)),
        frame(CONTINUATION, 0, 1, block.subarray(2, 3)),
        frame(CONTINUATION, 0, 1),
        frame(CONTINUATION, END_HEADERS, 1, block.subarray(3)),
      );
    },
    hears: 'DATA 1 GET / END_STREAM',
  },
  {
    what: 'a broken header block is COMPRESSION_ERROR (§4.3)',
    says: (client) => client.says(frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.from('4000', 'hex'))),
    hears: goaway(0, 'COMPRESSION_ERROR'),
  },
  {
    what: 'another frame between parts of a header block is PROTOCOL_ERROR (§4.3, §6.2)',
    says: (client) => client.says(frame(HEADERS, END_STREAM, 1, head(client)), frame(PRIORITY, 0, 1, Buffer.alloc(5))),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  },
  {
    what: 'HEADERS of another stream between parts of a header block are PROTOCOL_ERROR (§4.3)',
    says: (client) =>
      client.says(frame(HEADERS, END_STREAM, 1, head(client)), frame(HEADERS, END_HEADERS, 3, head(client))),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  },
  {
    what: 'CONTINUATION of another stream is PROTOCOL_ERROR (§6.10)',
    says: (client) => client.says(frame(HEADERS, END_STREAM, 1, head(client)), frame(CONTINUATION, END_HEADERS, 3)),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  },
  {
    what: 'CONTINUATION on stream 0 is PROTOCOL_ERROR (§6.10)',
    says: (client) => client.says(frame(HEADERS, END_STREAM, 1, head(client)), frame(CONTINUATION, END_HEADERS, 0)),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  },
  {
    what: 'CONTINUATION behind END_HEADERS is PROTOCOL_ERROR (§6.10)',
    says: (client) =>
      client.says(
        frame(HEADERS, END_STREAM | END_HEADERS, 1, head(client, { ':path': '/slow' })),
        frame(CONTINUATION, END_HEADERS, 1, head(client)),
      ),
    hears: goaway(1, 'PROTOCOL_ERROR'),
  },
  {
    what: 'CONTINUATION behind DATA is PROTOCOL_ERROR (§6.10)',
    says: (client) => {
      posts(client, 1);
      client.says(frame(DATA, 0, 1, 'x'), frame(CONTINUATION, END_HEADERS, 1, head(client)));
    },
    hears: goaway(1, 'PROTOCOL_ERROR'),
  },
];

const idle = (name: string, type: number, payload: Uint8Array | string): Rule => ({
  what: `${name} on an idle stream is PROTOCOL_ERROR (§5.1)`,
  says: (client) => client.says(frame(type, 0, 1, payload)),
  hears: goaway(0, 'PROTOCOL_ERROR'),
});
const ended = (client: Client) => {
  client.asks(1);
  client.frames();
};

const STATES: Rule[] = [
  idle('DATA', DATA, 'x'),
  idle('RST_STREAM', RST_STREAM, number32(8)),
  idle('WINDOW_UPDATE', WINDOW_UPDATE, number32(8)),
  idle('CONTINUATION', CONTINUATION, 'x'),
  {
    what: 'PRIORITY on an idle stream is let pass (§5.1)',
    says: (client) => {
      client.says(frame(PRIORITY, 0, 9, Buffer.alloc(5)));
      client.asks(11);
    },
    hears: 'DATA 11 GET / END_STREAM',
  },
  {
    what: 'DATA on a half-closed stream is STREAM_CLOSED (§5.1)',
    says: (client) => {
      client.asks(1, { ':path': '/slow' });
      client.says(frame(DATA, END_STREAM, 1, 'x'));
    },
    hears: reset(1, 'STREAM_CLOSED'),
  },
  {
    what: 'HEADERS on a half-closed stream are STREAM_CLOSED (§5.1)',
    says: (client) => {
      client.asks(1, { ':path': '/slow' });
      client.says(frame(HEADERS, END_HEADERS | END_STREAM, 1, client.block({ a: 'b' })));
    },
    hears: reset(1, 'STREAM_CLOSED'),
  },
  {
    what: 'DATA behind the reset of its stream is STREAM_CLOSED (§5.1)',
    says: (client) => {
      posts(client, 1);
      client.says(frame(RST_STREAM, 0, 1, number32(8)), frame(DATA, END_STREAM, 1, 'x'));
    },
    hears: reset(1, 'STREAM_CLOSED'),
  },
  {
    what: 'HEADERS behind the reset of their stream are STREAM_CLOSED (§5.1)',
    says: (client) => {
      posts(client, 1);
      client.says(frame(RST_STREAM, 0, 1, number32(8)), frame(HEADERS, END_HEADERS, 1, head(client)));
    },
    hears: reset(1, 'STREAM_CLOSED'),
  },
  {
    what: 'DATA on a stream that both ended is STREAM_CLOSED of the connection (§5.1)',
    says: (client) => {
      ended(client);
      client.says(frame(DATA, END_STREAM, 1, 'x'));
    },
    hears: goaway(1, 'STREAM_CLOSED'),
  },
  {
    what: 'HEADERS on a stream that both ended are STREAM_CLOSED of the connection (§5.1)',
    says: (client) => {
      ended(client);
      client.says(frame(HEADERS, END_HEADERS | END_STREAM, 1, head(client)));
    },
    hears: goaway(1, 'STREAM_CLOSED'),
  },
  {
    what: 'what comes late for a stream that we reset is let pass (§5.1, §5.4.2)',
    says: (client) => {
      posts(client, 1, { 'content-length': '1' });
      client.says(frame(DATA, 0, 1, 'too much'));
      client.frames(500);
      client.says(frame(DATA, 0, 1, 'more'), frame(WINDOW_UPDATE, 0, 1, number32(5)));
      client.says(frame(HEADERS, END_HEADERS | END_STREAM, 1, client.block({ a: 'b' })));
      client.asks(3);
    },
    hears: 'DATA 3 GET / END_STREAM',
  },
  {
    what: 'WINDOW_UPDATE, RST_STREAM and PRIORITY on a stream that has ended are let pass (§5.1)',
    says: (client) => {
      ended(client);
      client.says(frame(WINDOW_UPDATE, 0, 1, number32(5)), frame(PRIORITY, 0, 1, Buffer.alloc(5)));
      client.says(frame(RST_STREAM, 0, 1, number32(8)));
      client.asks(3);
    },
    hears: 'DATA 3 GET / END_STREAM',
  },
  {
    what: 'a stream of even number is PROTOCOL_ERROR (§5.1.1)',
    says: (client) => client.says(frame(HEADERS, END_HEADERS | END_STREAM, 2, head(client))),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  },
  {
    what: 'a new stream below one before it is PROTOCOL_ERROR (§5.1.1)',
    says: (client) => {
      client.asks(5);
      client.frames();
      client.asks(3);
    },
    hears: goaway(5, 'PROTOCOL_ERROR'),
  },
  {
    what: 'streams beyond SETTINGS_MAX_CONCURRENT_STREAMS are REFUSED_STREAM (§5.1.2)',
    says: (client) => {
      for (const stream of [1, 3, 5]) client.asks(stream, { ':path': '/slow' });
      client.says(frame(RST_STREAM, 0, 1, number32(8)));
    },
    hears: reset(5, 'REFUSED_STREAM'),
    limits: { streamsMax: 2 },
  },
];

const SIZES: Rule[] = [
  ...(
    [
      ['PRIORITY', frame(PRIORITY, 0, 1, Buffer.alloc(4)), reset(1, 'FRAME_SIZE_ERROR'), '§6.3'],
      ['RST_STREAM', frame(RST_STREAM, 0, 1, Buffer.alloc(3)), goaway(0, 'FRAME_SIZE_ERROR'), '§6.4'],
      ['SETTINGS', frame(SETTINGS, 0, 0, Buffer.alloc(5)), goaway(0, 'FRAME_SIZE_ERROR'), '§6.5'],
      ['SETTINGS with ACK', frame(SETTINGS, ACK, 0, Buffer.alloc(6)), goaway(0, 'FRAME_SIZE_ERROR'), '§6.5'],
      ['PING', frame(PING, 0, 0, Buffer.alloc(6)), goaway(0, 'FRAME_SIZE_ERROR'), '§6.7'],
      ['GOAWAY', frame(GOAWAY, 0, 0, Buffer.alloc(7)), goaway(0, 'FRAME_SIZE_ERROR'), '§6.8'],
      ['WINDOW_UPDATE', frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(3)), goaway(0, 'FRAME_SIZE_ERROR'), '§6.9'],
      [
        'PRIORITY_UPDATE',
        frame(PRIORITY_UPDATE, 0, 0, Buffer.alloc(3)),
        goaway(0, 'FRAME_SIZE_ERROR'),
        'RFC 9218 §7.1',
      ],
      ['padded HEADERS', frame(HEADERS, PADDED, 1), goaway(0, 'FRAME_SIZE_ERROR'), '§6.2'],
      ['padded DATA', frame(DATA, PADDED, 1), goaway(0, 'FRAME_SIZE_ERROR'), '§6.1'],
      ['HEADERS with priority', frame(HEADERS, HAS_PRIORITY, 1, '1234'), goaway(0, 'FRAME_SIZE_ERROR'), '§6.2'],
    ] as const
  ).map(([name, bytes, hears, clause]) => ({
    what: `${name} of a wrong length is FRAME_SIZE_ERROR (${clause})`,
    says: (client: Client) => client.says(bytes),
    hears,
  })),
  ...(
    [
      ['DATA', frame(DATA, 0, 0, 'x'), '§6.1'],
      ['HEADERS', frame(HEADERS, END_HEADERS, 0, '\x82'), '§6.2'],
      ['PRIORITY', frame(PRIORITY, 0, 0, Buffer.alloc(5)), '§6.3'],
      ['RST_STREAM', frame(RST_STREAM, 0, 0, number32(8)), '§6.4'],
    ] as const
  ).map(([name, bytes, clause]) => ({
    what: `${name} on stream 0 is PROTOCOL_ERROR (${clause})`,
    says: (client: Client) => client.says(bytes),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  })),
  ...(
    [
      ['SETTINGS', frame(SETTINGS, 0, 1), '§6.5'],
      ['PING', frame(PING, 0, 1, ping), '§6.7'],
      ['GOAWAY', frame(GOAWAY, 0, 1, Buffer.alloc(8)), '§6.8'],
      ['PRIORITY_UPDATE', frame(PRIORITY_UPDATE, 0, 1, Buffer.alloc(8)), 'RFC 9218 §7.1'],
    ] as const
  ).map(([name, bytes, clause]) => ({
    what: `${name} on a stream is PROTOCOL_ERROR (${clause})`,
    says: (client: Client) => client.says(bytes),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  })),
  {
    what: 'PUSH_PROMISE is PROTOCOL_ERROR (§8.4)',
    says: (client) => client.says(frame(PUSH_PROMISE, END_HEADERS, 1, number32(2))),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  },
];

const PADDING: Rule[] = [
  {
    what: 'padding as long as DATA is PROTOCOL_ERROR (§6.1)',
    says: (client) => {
      posts(client, 1);
      client.says(frame(DATA, END_STREAM | PADDED, 1, '\x05Test'));
    },
    hears: goaway(1, 'PROTOCOL_ERROR'),
  },
  {
    what: 'padding as long as HEADERS is PROTOCOL_ERROR (§6.2)',
    says: (client) => {
      const block = head(client);
      client.says(
        frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, Buffer.concat([Buffer.from([block.length + 1]), block])),
      );
    },
    hears: goaway(0, 'PROTOCOL_ERROR'),
  },
  {
    what: 'padding is taken off DATA and HEADERS (§6.1, §6.2)',
    says: (client) => {
      const block = Buffer.concat([Buffer.from([3]), head(client, { ':method': 'POST' }), Buffer.alloc(3)]);
      client.says(frame(HEADERS, END_HEADERS | PADDED, 1, block));
      client.says(frame(DATA, PADDED, 1, '\x03one\0\0\0'), frame(DATA, PADDED, 1, '\x00'));
      client.says(frame(DATA, PADDED, 1, '\x02\0\0'), frame(DATA, PADDED | END_STREAM, 1, '\x01two\0'));
    },
    hears: 'DATA 1 onetwo END_STREAM',
  },
  {
    what: 'padding and priority stand together before a block (§6.2)',
    says: (client) => {
      const bytes = [Buffer.from([1, 0, 0, 0, 0, 9]), head(client), Buffer.alloc(1)];
      client.says(frame(HEADERS, END_HEADERS | END_STREAM | PADDED | HAS_PRIORITY, 1, Buffer.concat(bytes)));
    },
    hears: 'DATA 1 GET / END_STREAM',
  },
];

const PRIORITIES: Rule[] = [
  {
    what: 'HEADERS that depend on their own stream are PROTOCOL_ERROR (RFC 7540 §5.3.1)',
    says: (client) => {
      const block = Buffer.concat([number32(1), Buffer.from([9]), head(client, { ':path': '/slow' })]);
      client.says(frame(HEADERS, END_HEADERS | END_STREAM | HAS_PRIORITY, 1, block));
    },
    hears: reset(1, 'PROTOCOL_ERROR'),
  },
  {
    what: 'PRIORITY that depends on its own stream is PROTOCOL_ERROR (RFC 7540 §5.3.1)',
    says: (client) => client.says(frame(PRIORITY, 0, 1, Buffer.concat([number32(1), Buffer.from([9])]))),
    hears: reset(1, 'PROTOCOL_ERROR'),
  },
  {
    what: 'PRIORITY_UPDATE of stream 0 is PROTOCOL_ERROR (RFC 9218 §7.1)',
    says: (client) => client.says(frame(PRIORITY_UPDATE, 0, 0, Buffer.concat([number32(0), Buffer.from('u=1')]))),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  },
  {
    what: 'PRIORITY_UPDATE of an idle stream, of one that ended, and that cannot be read, are let pass (RFC 9218 §7.1)',
    says: (client) => {
      for (const [stream, text] of [
        [1, 'u=0'],
        [77, '???'],
        [1, 'u=9, i'],
      ] as const)
        client.says(frame(PRIORITY_UPDATE, 0, 0, Buffer.concat([number32(stream), Buffer.from(text)])));
      client.asks(1);
    },
    hears: 'DATA 1 GET / END_STREAM',
  },
];

const setting = (what: string, name: number, value: number, code: string): Rule => ({
  what,
  says: (client) => client.says(settings(name, value)),
  hears: goaway(0, code),
});

const SETTING: Rule[] = [
  setting('SETTINGS_ENABLE_PUSH of 2 is PROTOCOL_ERROR (§6.5.2)', 2, 2, 'PROTOCOL_ERROR'),
  setting('SETTINGS_INITIAL_WINDOW_SIZE of 2^31 is FLOW_CONTROL_ERROR (§6.5.2)', 4, 0x8000_0000, 'FLOW_CONTROL_ERROR'),
  setting('SETTINGS_MAX_FRAME_SIZE of 16383 is PROTOCOL_ERROR (§6.5.2)', 5, 16_383, 'PROTOCOL_ERROR'),
  setting('SETTINGS_MAX_FRAME_SIZE of 2^24 is PROTOCOL_ERROR (§6.5.2)', 5, 0x100_0000, 'PROTOCOL_ERROR'),
  setting('SETTINGS_ENABLE_CONNECT_PROTOCOL of 2 is PROTOCOL_ERROR (RFC 8441 §3)', 8, 2, 'PROTOCOL_ERROR'),
  setting('SETTINGS_NO_RFC7540_PRIORITIES of 2 is PROTOCOL_ERROR (RFC 9218 §2.1)', 9, 2, 'PROTOCOL_ERROR'),
  {
    what: 'an unknown setting is ignored (§6.5.2)',
    says: (client) => {
      client.says(settings(0xff, 0xffff_ffff, 3, 0));
      client.asks(1);
    },
    hears: 'DATA 1 GET / END_STREAM',
  },
  {
    what: 'of a setting that stands twice the last counts (§6.5.3)',
    says: (client) => {
      client.says(settings(4, 100, 4, 3));
      client.asks(1);
    },
    hears: 'DATA 1 GET',
  },
];

const WINDOWS: Rule[] = [
  {
    what: 'the window of a stream is kept (§6.9.1)',
    says: (client) => {
      client.says(settings(4, 1));
      client.asks(1);
    },
    hears: 'DATA 1 G',
  },
  {
    what: 'WINDOW_UPDATE of 0 on the connection is PROTOCOL_ERROR (§6.9)',
    says: (client) => client.says(frame(WINDOW_UPDATE, 0, 0, number32(0))),
    hears: goaway(0, 'PROTOCOL_ERROR'),
  },
  {
    what: 'WINDOW_UPDATE of 0 on a stream is PROTOCOL_ERROR (§6.9)',
    says: (client) => {
      client.asks(1, { ':path': '/slow' });
      client.says(frame(WINDOW_UPDATE, 0, 1, number32(0)));
    },
    hears: reset(1, 'PROTOCOL_ERROR'),
  },
  {
    what: 'a window of the connection beyond 2^31-1 is FLOW_CONTROL_ERROR (§6.9.1)',
    says: (client) => {
      const update = frame(WINDOW_UPDATE, 0, 0, number32(0x7fff_ffff));
      client.says(update, update);
    },
    hears: goaway(0, 'FLOW_CONTROL_ERROR'),
  },
  {
    what: 'a window of a stream beyond 2^31-1 is FLOW_CONTROL_ERROR (§6.9.1)',
    says: (client) => {
      client.asks(1, { ':path': '/slow' });
      const update = frame(WINDOW_UPDATE, 0, 1, number32(0x7fff_ffff));
      client.says(update, update);
    },
    hears: reset(1, 'FLOW_CONTROL_ERROR'),
  },
  {
    what: 'a window that settings take beyond 2^31-1 is FLOW_CONTROL_ERROR (§6.9.2)',
    says: (client) => {
      client.asks(1, { ':path': '/slow' });
      client.says(frame(WINDOW_UPDATE, 0, 1, number32(1_000)), settings(4, 0x7fff_ffff));
    },
    hears: goaway(1, 'FLOW_CONTROL_ERROR'),
  },
  {
    what: 'more DATA than the window of the stream has is FLOW_CONTROL_ERROR (§6.9.1)',
    says: (client) => {
      client.asks(1, { ':path': '/slow', ':method': 'PUT' }, false);
      for (let at = 0; at < 9; at++) client.says(frame(DATA, 0, 1, Buffer.alloc(16_000)));
    },
    hears: reset(1, 'FLOW_CONTROL_ERROR'),
    limits: { discardBytesMax: 0 },
  },
];

checkRules([...FRAMES, ...PARTS, ...STATES, ...SIZES, ...PADDING, ...PRIORITIES, ...SETTING, ...WINDOWS]);
