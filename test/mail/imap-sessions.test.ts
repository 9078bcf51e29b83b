// Many sessions on one mailbox at once, over TCP, with commands by chance: each keeps the numbers that it was told and finds them
// true at every answer, with EXPUNGE and with VANISHED; at the end all have the same mailbox. IMAP_OPERATIONS for more of them.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { Random, seedOf } from '../../src/sim/random.ts';

const OPERATIONS = Number(process.env.IMAP_OPERATIONS ?? 150);
const SESSIONS = 8;

const folder = mkdtempSync(join(tmpdir(), 'portico-sessions-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A client that knows the UID at each number, or 0 where it was not told yet. */
class Client {
  uids: number[] = [];
  private readonly socket: Socket;
  private readonly name: string;
  private heard = '';
  private wake = () => {};
  private over = false;
  private tags = 0;

  constructor(port: number, name: string) {
    this.name = name;
    this.socket = connect(port, '127.0.0.1').setEncoding('latin1');
    this.socket.on('data', (text) => {
      this.heard += text;
      this.wake();
    });
    this.socket.on('close', () => {
      this.over = true;
      this.wake();
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private async until(end: RegExp): Promise<string> {
    for (;;) {
      const found = end.exec(this.heard);
      if (found !== null) {
        const text = this.heard.slice(0, found.index + found[0].length);
        this.heard = this.heard.slice(text.length);
        return text;
      }
      assert.ok(!this.over, `${this.name} was left: ${this.heard}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  greeted(): Promise<string> {
    return this.until(/\r\n/);
  }

  /** A command with what it has as a literal behind it. */
  async says(command: string, literal = ''): Promise<string> {
    const tag = `t${++this.tags}`;
    this.socket.write(`${tag} ${command}\r\n${literal === '' ? '' : `${literal}\r\n`}`);
    const text = await this.until(new RegExp(`(?:^|\\r\\n)${tag} [^\\r\\n]*\\r\\n`));
    assert.match(text, new RegExp(`(?:^|\\r\\n)${tag} (?:OK|NO \\[EXPUNGEISSUED\\])`), `${this.name}: ${command}`);
    if (/^(?:FETCH|STORE|SEARCH) /.test(command))
      assert.doesNotMatch(text, /^\* (?:\d+ EXPUNGE|VANISHED \d)/m, `${this.name}: numbers changed during ${command}`);
    for (const line of text.split('\r\n')) this.take(line, command);
    return text;
  }

  async select(): Promise<void> {
    this.uids = [];
    await this.says('SELECT INBOX');
    if (this.uids.length > 0) await this.says('UID FETCH 1:* UID');
  }

  private take(line: string, command: string): void {
    const why = () => `${this.name}: ${line} behind ${command}, of ${this.uids.length}`;
    const [, number = '', word = ''] = /^\* (\d+) (EXPUNGE|EXISTS|FETCH)/.exec(line) ?? [];
    const at = Number(number) - 1;
    if (word === 'EXISTS') {
      assert.ok(at + 1 >= this.uids.length, why());
      while (this.uids.length <= at) this.uids.push(0);
    } else if (word === 'EXPUNGE') {
      assert.ok(at >= 0 && at < this.uids.length, why());
      this.uids.splice(at, 1);
    } else if (word === 'FETCH') {
      assert.ok(at < this.uids.length, why());
      const uid = Number(/UID (\d+)/.exec(line)?.[1] ?? 0);
      if (uid === 0) return;
      assert.ok(this.uids[at] === 0 || this.uids[at] === uid, `${why()}: it was ${this.uids[at]}`);
      this.uids[at] = uid;
    }
    const vanished = /^\* VANISHED ([\d:,]+)/.exec(line)?.[1];
    for (const range of vanished?.split(',') ?? []) {
      const [first = 0, last = first] = range.split(':').map(Number);
      for (let uid = first; uid <= last; uid++) this.uids.splice(this.placeOf(uid, why), 1);
    }
  }

  /** Where a UID stands, or a message between its neighbours of which it is not known. */
  private placeOf(uid: number, why: () => string): number {
    let unknown = -1;
    for (let at = 0; at < this.uids.length; at++) {
      const here = this.uids[at]!;
      if (here === uid) return at;
      if (here > uid) break;
      if (here > 0) unknown = -1;
      else if (unknown < 0) unknown = at;
    }
    assert.ok(unknown >= 0, `${why()}: ${uid} was never told`);
    return unknown;
  }
}

function command(random: Random, { uids: { length } }: Client): readonly [command: string, literal?: string] {
  const any = () => 1 + random.below(Math.max(1, length));
  const letter = `Subject: s${random.below(100)}\r\n\r\nbody\r\n`;
  const kind = length < 5 ? 0 : random.below(11);
  switch (kind) {
    case 0:
    case 1:
      return [`APPEND INBOX ${random.chance(0.5) ? '(\\Seen)' : '()'} {${letter.length}+}`, letter];
    case 2:
      return [`STORE ${any()} +FLAGS (\\Deleted)`];
    case 3:
      return [length > 40 ? 'EXPUNGE' : 'NOOP'];
    case 4:
      return [`FETCH ${any()}:* (UID FLAGS)`];
    case 5:
      return [random.pick(['SEARCH SEEN', 'SEARCH SUBJECT s1', 'SEARCH BODY body', 'SORT (SUBJECT) UTF-8 ALL'])];
    case 6:
      return ['NOOP'];
    case 7:
      return [`UID STORE 1:* ${random.pick(['+', '-'])}FLAGS (kw${random.below(3)})`];
    case 8:
      return [`COPY ${any()} INBOX`];
    case 9:
      return [length > 40 ? `MOVE ${any()} Trash` : 'CHECK'];
    default:
      return [`FETCH ${any()}${random.pick(['', ':*'])} (UID ${random.pick(['BODY.PEEK[TEXT]', 'ENVELOPE'])})`];
  }
}

test('eight sessions on one mailbox find the numbers true that they were told', { timeout: 90_000 }, async () => {
  const seed = seedOf(process.env.PORTICO_SEED);
  const what = `with PORTICO_SEED=${seed}`;
  await using portico = await Portico.start({ data: join(folder, 'data'), ports: 'ephemeral', control: false });
  const port = Number(portico.urls.imap!.split(':').at(-1));
  const clients = await Promise.all(
    Array.from({ length: SESSIONS }, async (_, index) => {
      const client = new Client(port, `session ${index} ${what}`);
      await client.greeted();
      await client.says('LOGIN ann@example.org any');
      // Every third is told of UIDs, not of numbers (RFC 7162 §3.2.10).
      if (index % 3 === 2) await client.says('ENABLE QRESYNC');
      await client.select();
      return client;
    }),
  );
  after(() => {
    for (const client of clients) client.close();
  });
  await Promise.all(
    clients.map(async (client, index) => {
      const random = new Random(seed + index);
      for (let at = 0; at < OPERATIONS; at++)
        if (random.chance(0.02)) await client.select();
        else await client.says(...command(random, client));
    }),
  );
  for (const client of clients) {
    await client.says('NOOP');
    await client.says('UID FETCH 1:* UID');
  }
  const [first, ...others] = clients.map(({ uids }) => uids);
  assert.ok(!first!.includes(0));
  for (const other of others) assert.deepEqual(other, first, what);
});
