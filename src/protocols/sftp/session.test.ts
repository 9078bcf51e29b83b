import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../bytes/writer.ts';
import { bindLimits } from '../../core/limits.ts';
import type { Session } from '../../core/pipe.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import * as C from './codec.ts';
import { sftpDissector } from './dissect.ts';
import { limits } from './limits.ts';
import { SftpSession, type Upper } from './session.ts';

/** Writes requests as a client does. */
class Requests {
  private readonly parts: Buffer[] = [];

  add(type: number, id: number | null, ...fields: (string | Buffer | number | bigint)[]): this {
    const out = new ByteWriter(1_000_000);
    if (id !== null) out.u32(id);
    for (const field of fields) {
      if (typeof field === 'number') out.u32(field);
      else if (typeof field === 'bigint') out.u64(Number(field));
      else {
        const bytes = Buffer.from(field as string);
        out.u32(bytes.length);
        out.copy(bytes, 0, bytes.length);
      }
    }
    const head = Buffer.alloc(5);
    head.writeUInt32BE(out.length + 1);
    head[4] = type;
    this.parts.push(head, Buffer.from(out.bytes.subarray(0, out.length)));
    return this;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts);
  }
}

/** Answers all at once, and writes down what it was asked. */
class Asked implements Upper {
  readonly asked: string[] = [];
  private readonly session: SftpSession;
  over = 0;

  constructor(session: SftpSession) {
    this.session = session;
  }

  private ok(id: number, text: string): void {
    this.asked.push(text);
    this.session.status(id, C.SSH_FX.OK);
  }

  open(id: number, path: string, flags: number): void {
    this.asked.push(`open ${path} ${flags}`);
    this.session.handle(id, 7);
  }
  close(id: number, handle: number): void {
    this.ok(id, `close ${handle}`);
  }
  read(id: number, handle: number, offset: number, length: number): void {
    this.asked.push(`read ${handle} ${offset} ${length}`);
    this.session.data(id, Buffer.alloc(Math.min(length, 4), 'x'), 0, Math.min(length, 4));
  }
  write(id: number, handle: number, offset: number, input: Uint8Array, start: number, end: number): boolean {
    this.ok(id, `write ${handle} ${offset} ${Buffer.from(input.subarray(start, end)).toString('hex')}`);
    return true;
  }
  stat(id: number, path: string, follows: boolean): void {
    this.asked.push(`stat ${path} ${follows}`);
    this.session.attributes(id, { size: 3, mode: C.S_IFREG | 0o644, accessed: 1, modified: 2 });
  }
  statHandle(id: number, handle: number): void {
    this.ok(id, `fstat ${handle}`);
  }
  set(id: number, path: string, attributes: C.Attributes): void {
    this.ok(id, `set ${path} ${JSON.stringify(attributes)}`);
  }
  setHandle(id: number, handle: number, attributes: C.Attributes): void {
    this.ok(id, `fset ${handle} ${JSON.stringify(attributes)}`);
  }
  openFolder(id: number, path: string): void {
    this.ok(id, `opendir ${path}`);
  }
  readFolder(id: number, handle: number): void {
    this.asked.push(`readdir ${handle}`);
    this.session.names(id, [{ name: 'ü', long: '- ü', attributes: {} }]);
  }
  remove(id: number, path: string, folder: boolean): void {
    this.ok(id, `remove ${path} ${folder}`);
  }
  makeFolder(id: number, path: string): void {
    this.ok(id, `mkdir ${path}`);
  }
  realPath(id: number, path: string): void {
    this.ok(id, `realpath ${path}`);
  }
  rename(id: number, from: string, to: string, replaces: boolean): void {
    this.ok(id, `rename ${from} ${to} ${replaces}`);
  }
  readLink(id: number, path: string): void {
    this.ok(id, `readlink ${path}`);
  }
  link(id: number, target: string, path: string): void {
    this.ok(id, `link ${target} ${path}`);
  }
  space(id: number, path: string): void {
    this.asked.push(`space ${path}`);
    this.session.numbers(id, [1, 2]);
  }
  spaceOfHandle(id: number, handle: number): void {
    this.ok(id, `fspace ${handle}`);
  }
  sync(id: number, handle: number): void {
    this.ok(id, `sync ${handle}`);
  }
  copy(id: number, ...given: number[]): void {
    this.ok(id, `copy ${given.join(' ')}`);
  }
  leaving(): void {}
  gone(): void {
    this.over++;
  }
}

class Client implements Session {
  readonly deadline = Number.POSITIVE_INFINITY;
  readonly parts: Buffer[] = [];
  ended = false;

  receive(input: Uint8Array, start: number, end: number): number {
    this.parts.push(Buffer.from(input.subarray(start, end)));
    return end;
  }
  overlong(): void {}
  writable(): void {}
  tick(): void {}
  finish(): void {
    this.ended = true;
  }
  leave(): void {}
  lost(): void {
    this.ended = true;
  }
}

function converse(bytes: Buffer, cut: number) {
  const world = new World(1);
  const client = new Client();
  let upper!: Asked;
  const { near } = linkPipes(
    world,
    () => client,
    (pipe) =>
      new SftpSession(pipe, bindLimits(limits), (session) => {
        upper = new Asked(session);
        return upper;
      }),
    { cut },
  );
  near.share(bytes, 0, bytes.length);
  near.flush();
  world.pass(1_000);
  return { asked: upper.asked, answer: Buffer.concat(client.parts), ended: client.ended, bugs: world.bugs, upper };
}

const HANDLE = Buffer.from([0, 0, 0, 7]);
const ALL = new Requests()
  .add(C.INIT, null, 3)
  .add(C.REALPATH, 1, '.')
  .add(C.OPEN, 2, '/a ü', C.FOR_READ, 0)
  .add(C.READ, 3, HANDLE, 5n, 100)
  .add(C.WRITE, 4, HANDLE, 6n, 'data')
  .add(C.CLOSE, 5, HANDLE)
  .add(C.STAT, 6, '/a')
  .add(C.LSTAT, 7, '/a')
  .add(C.SETSTAT, 8, '/a', 0xd, 1n, 0o600, 10, 20)
  .add(C.OPENDIR, 9, '/')
  .add(C.READDIR, 10, HANDLE)
  .add(C.REMOVE, 11, '/a')
  .add(C.RMDIR, 12, '/d')
  .add(C.MKDIR, 13, '/d', 0)
  .add(C.RENAME, 14, '/a', '/b')
  .add(C.SYMLINK, 15, 'target', '/link')
  .add(C.READLINK, 16, '/link')
  .add(C.EXTENDED, 17, 'posix-rename@openssh.com', '/a', '/b')
  .add(C.EXTENDED, 18, 'statvfs@openssh.com', '/')
  .add(C.EXTENDED, 19, 'fsync@openssh.com', HANDLE)
  .add(C.EXTENDED, 20, 'limits@openssh.com')
  .add(C.EXTENDED, 21, 'copy-data', HANDLE, 1n, 2n, HANDLE, 3n)
  .add(C.EXTENDED, 22, 'nobody@knows')
  .add(99, 23, 'x')
  .add(C.STAT, 24, Buffer.from([0xff]))
  .add(C.EXTENDED, 25, 'expand-path@openssh.com', '~/x').bytes;

const EXPECTED = [
  'realpath .',
  'open /a ü 1',
  'read 7 5 100',
  'write 7 6 64617461',
  'close 7',
  'stat /a true',
  'stat /a false',
  'set /a {"size":1,"mode":384,"accessed":10,"modified":20}',
  'opendir /',
  'readdir 7',
  'remove /a false',
  'remove /d true',
  'mkdir /d',
  'rename /a /b false',
  'link target /link',
  'readlink /link',
  'rename /a /b true',
  'space /',
  'sync 7',
  'copy 7 1 2 7 3',
  'realpath x',
];

test('every request is read and answered, however the bytes are cut', () => {
  const whole = converse(ALL, 0);
  assert.deepEqual(whole.asked, EXPECTED);
  assert.deepEqual(whole.bugs, []);
  for (const cut of [1, 2, 3, 7, 100]) {
    const { asked, answer } = converse(ALL, cut);
    assert.deepEqual(asked, EXPECTED, String(cut));
    assert.deepEqual(answer, whole.answer, String(cut));
  }
  // One answer each, with its number.
  const ids: number[] = [];
  for (let at = 0; at < whole.answer.length; at += 4 + whole.answer.readUInt32BE(at))
    if (whole.answer[at + 4] !== C.VERSION) ids.push(whole.answer.readUInt32BE(at + 5));
  assert.deepEqual(
    ids,
    Array.from({ length: 25 }, (_, index) => index + 1),
  );
});

test('what breaks the protocol ends the channel, and nothing is asked of the files', () => {
  for (const bytes of [
    new Requests().add(C.STAT, 1, '/a').bytes,
    new Requests().add(C.INIT, null, 3).add(C.INIT, null, 3).bytes,
    Buffer.from([0xff, 0xff, 0xff, 0xff, 1]),
    Buffer.from([0, 0, 0, 1, 1]),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ]) {
    const { asked, ended, upper, bugs } = converse(bytes, 0);
    assert.deepEqual([asked, ended, upper.over, bugs], [[], true, 1, []], bytes.toString('hex'));
  }
});

test('no bytes throw, in the session or in the dissector', () => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.tuple(fc.nat(ALL.length - 1), fc.nat(255)).map(([at, byte]) => {
      const damaged = Buffer.from(ALL);
      damaged[at] = byte;
      return damaged;
    }),
  );
  fc.assert(
    fc.property(noise, fc.integer({ min: 0, max: 9 }), (bytes, cut) => {
      assert.deepEqual(converse(Buffer.from(bytes), cut).bugs, []);
      const dissector = sftpDissector('in', false);
      for (let at = 0; at < bytes.length; at += cut + 1)
        dissector.push(bytes, at, Math.min(bytes.length, at + cut + 1));
    }),
    { numRuns: 500 },
  );
});

test('the dissector names requests with their paths, and shows no data', () => {
  const pieces = sftpDissector('in', false).push(ALL, 0, ALL.length);
  assert.deepEqual(
    pieces.slice(0, 6).map(({ label, value }) => `${label} ${value}`),
    ['INIT ', 'REALPATH #1 .', 'OPEN #2 /a ü', 'READ #3', 'WRITE #4 33 bytes', 'CLOSE #5'],
  );
});
