// Two sessions say commands by chance over one mailbox, beside a model of it. What each is told must follow RFC 9051 §7: numbers
// that it can have, nothing lost, nothing twice; and once both have heard all, both have what the model has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Stage, type Talk } from './testing/stage.ts';

/** Flags by UID. */
type Model = Map<number, Set<string>>;

const FLAGS = ['\\Seen', '\\Flagged', '\\Deleted', 'word'];

/** What one client believes. */
class Client {
  readonly talk: Talk;
  /** By number: UIDs, 0 where it was not told. */
  uids: number[];
  /** The last UID that was given when it was told how many there are. */
  top: number;
  private readonly given: { readonly next: number };

  constructor(talk: Talk, uids: readonly number[], given: { readonly next: number }) {
    this.given = given;
    this.top = given.next - 1;
    this.talk = talk;
    this.uids = [...uids];
  }

  async says(command: string): Promise<string> {
    const heard = await this.talk.hears(`t ${command}\r\n`);
    const isQuiet = /^(FETCH|STORE|SEARCH)/.test(command);
    for (const line of heard.split('\r\n')) {
      const [, number = '0', what = ''] = /^\* (\d+) (EXISTS|EXPUNGE|FETCH)/.exec(line) ?? [];
      const count = Number(number);
      if (what === 'EXISTS') {
        assert.ok(count >= this.uids.length, `EXISTS ${count} after ${this.uids.length}`);
        while (this.uids.length < count) this.uids.push(0);
        this.top = this.given.next - 1;
      } else if (what === 'EXPUNGE') {
        assert.ok(!isQuiet, `EXPUNGE within ${command}`);
        assert.ok(count >= 1 && count <= this.uids.length, `EXPUNGE ${count} of ${this.uids.length}`);
        this.uids.splice(count - 1, 1);
      } else if (what === 'FETCH') {
        assert.ok(count >= 1 && count <= this.uids.length, `FETCH ${count} of ${this.uids.length}`);
        const uid = Number(/UID (\d+)/.exec(line)?.[1] ?? '0');
        const known = this.uids[count - 1]!;
        if (uid > 0 && known > 0) assert.equal(uid, known, line);
        if (uid > 0) this.uids[count - 1] = uid;
      }
    }
    assert.match(heard, /(^|\n)t (OK|NO)[^\n]*\n$/, command);
    return heard;
  }
}

type Act =
  | { readonly kind: 'store'; readonly how: '+' | '-'; readonly flag: string; readonly at: number }
  | { readonly kind: 'expunge' | 'append' | 'copy' | 'move' | 'noop' | 'search'; readonly at: number };

const act: fc.Arbitrary<readonly [who: number, act: Act]> = fc.tuple(
  fc.nat(1),
  fc.oneof(
    fc.record({
      kind: fc.constant('store' as const),
      how: fc.constantFrom('+' as const, '+' as const, '-' as const),
      flag: fc.constantFrom(...FLAGS),
      at: fc.nat(30),
    }),
    fc.record({
      kind: fc.constantFrom('expunge' as const, 'append', 'append', 'copy', 'move', 'noop', 'search'),
      at: fc.nat(30),
    }),
  ),
);

const letter = 'Subject: x\r\n\r\nbody\r\n';

async function perform(client: Client, what: Act, model: Model, given: { next: number }): Promise<void> {
  const number = client.uids.length === 0 ? 0 : (what.at % client.uids.length) + 1;
  const uid = number === 0 ? 0 : client.uids[number - 1]!;
  if (what.kind === 'noop') await client.says('NOOP');
  else if (what.kind === 'append') {
    model.set(given.next++, new Set(['\\Seen']));
    await client.says(`APPEND INBOX (\\Seen) {${letter.length}+}\r\n${letter}`);
  } else if (what.kind === 'expunge') {
    const { top } = client;
    await client.says('EXPUNGE');
    // Also those of which it was not told that they are marked; none of which it was not told.
    for (const [each, flags] of model) if (flags.has('\\Deleted') && each <= top) model.delete(each);
  } else if (number > 0 && uid > 0) await performOn(client, what, number, uid, model, given);
}

async function performOn(
  client: Client,
  what: Act,
  number: number,
  uid: number,
  model: Model,
  given: { next: number },
) {
  const flags = model.get(uid);
  if (what.kind === 'store') {
    await client.says(`STORE ${number} ${what.how}FLAGS (${what.flag})`);
    if (what.how === '+') flags?.add(what.flag);
    else flags?.delete(what.flag);
  } else if (what.kind === 'copy') {
    if (flags !== undefined) model.set(given.next++, new Set(flags));
    await client.says(`UID COPY ${uid} INBOX`);
  } else if (what.kind === 'move') {
    await client.says(`MOVE ${number} Archive`);
    model.delete(uid);
  } else if (what.kind === 'search') await client.says('SEARCH FLAGGED');
}

test('two sessions against a model, by chance', { timeout: 90_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 40 }), async (acts) => {
      const stage = await Stage.open();
      const model: Model = new Map();
      const given = { next: 1 };
      for (; given.next <= 5; given.next++) {
        await stage.deliver(letter);
        model.set(given.next, new Set());
      }
      const clients = [
        new Client(await stage.selected(), [1, 2, 3, 4, 5], given),
        new Client(await stage.selected(), [1, 2, 3, 4, 5], given),
      ];
      for (const [who, what] of acts) await perform(clients[who]!, what, model, given);
      for (const client of clients) {
        await client.says('NOOP');
        const all = await client.says('UID FETCH 1:* (FLAGS)');
        const told = [...all.matchAll(/UID (\d+) FLAGS \(([^)]*)\)/g)].map(([, uid, flags]) => [
          Number(uid),
          flags!
            .split(' ')
            .filter((flag) => flag !== '' && flag !== '\\Recent')
            .sort(),
        ]);
        assert.deepEqual(
          told,
          [...model].sort(([one], [other]) => one - other).map(([uid, flags]) => [uid, [...flags].sort()]),
        );
        assert.deepEqual(
          client.uids,
          [...model.keys()].sort((one, other) => one - other),
        );
      }
      assert.deepEqual(stage.world.bugs, []);
    }),
    { numRuns: 40 },
  );
});
