import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Recorder } from '../../core/pipe-suite.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { SftpClient } from './client.ts';
import * as C from './codec.ts';

/** A server that says these bytes, cut in pieces. */
function hears(pieces: readonly Uint8Array[], asks: (client: SftpClient) => void = () => {}): string[] {
  const world = new World(1);
  const told: string[] = [];
  let client!: SftpClient;
  let server!: Recorder;
  linkPipes(
    world,
    (pipe) =>
      (client = new SftpClient(pipe, {
        begun: (extensions) => {
          told.push(`begun ${[...extensions.keys()].join(' ')}`);
          asks(client);
        },
        roomy: () => {},
        closed: (_cause, fault) => told.push(`closed ${fault?.id ?? ''}`),
      })),
    (pipe) => (server = new Recorder(pipe)),
  );
  world.pass(50);
  for (const piece of pieces) {
    server.pipe.out.copy(piece, 0, piece.length);
    server.pipe.flush();
    world.pass(50);
  }
  // What ends lingers for a while.
  world.pass(10_000);
  assert.deepEqual(world.bugs, []);
  return told;
}

const VERSION = Buffer.from([0, 0, 0, 5, C.VERSION, 0, 0, 0, 3]);

function packet(type: number, id: number, ...rest: Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from([type, 0, 0, 0, id]), ...rest]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

const text = (value: string) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(value));
  return Buffer.concat([length, Buffer.from(value)]);
};

test('answers find their requests in any order, however the bytes are cut', () => {
  const told: string[] = [];
  const bytes = Buffer.concat([
    VERSION,
    packet(C.STATUS, 1, Buffer.from([0, 0, 0, C.SSH_FX.NO_SUCH_FILE]), text('no such file'), text('')),
    packet(C.HANDLE, 0, text('handle')),
    packet(C.NAME, 2, Buffer.from([0, 0, 0, 1]), text('/home'), text('long'), Buffer.alloc(4)),
  ]);
  for (const size of [1, 3, 1_000]) {
    told.length = 0;
    const pieces: Buffer[] = [];
    for (let from = 0; from < bytes.length; from += size) pieces.push(bytes.subarray(from, from + size));
    hears(pieces, (client) => {
      client.open('a', C.FOR_READ, (answer) => told.push(`open ${answer.bytes}`));
      client.ofPath(C.STAT, 'b', ({ code, text: why }) => told.push(`stat ${code} ${why}`));
      client.ofPath(C.REALPATH, '.', ({ entries }) => told.push(`path ${entries[0]?.name}`));
    });
    assert.deepEqual(told, ['stat 2 no such file', 'open handle', 'path /home'], String(size));
  }
});

test('an answer to nothing, a packet too long and no VERSION end it with the fault', () => {
  assert.deepEqual(hears([VERSION, packet(C.STATUS, 7, Buffer.alloc(4))]), ['begun ', 'closed sftp.badAnswer']);
  assert.deepEqual(hears([Buffer.from([255, 0, 0, 0, 1])]), ['closed sftp.packetTooLong']);
  assert.deepEqual(hears([packet(C.STATUS, 0, Buffer.alloc(4))]), ['closed sftp.notFirst']);
});

test('no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isBegun) => {
      hears(isBegun ? [VERSION, bytes] : [bytes], (client) => client.ofPath(C.STAT, 'a', () => {}));
    }),
    { numRuns: 300 },
  );
});
