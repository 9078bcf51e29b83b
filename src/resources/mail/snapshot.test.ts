// A folder that was read from its snapshot is the folder that its records make, whatever happened to both.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Caller } from '../../core/caller.ts';
import { OK } from '../../core/outcome.ts';
import { Random } from '../../sim/random.ts';
import { Batch } from '../../storage/batch.ts';
import { SqliteEngine } from '../../storage/sqlite/engine.ts';
import { Rules } from '../accounts/rules/rules.ts';
import { DELETED, FLAGGED, SEEN } from './contract.ts';
import type { OpenFolder } from './folder.ts';
import { StoredMail } from './mail.ts';
import type { CallersMailbox } from './mailbox.ts';
import { type MessageRecord, messageKey, readMessage, snapshotPrefix } from './records.ts';

const ANN: Caller = { account: 'ann', scopes: null, origin: 'local', epoch: 1, id: 'ann' };

/** The INBOX of a house in which nobody opened it. */
const NONE = null as unknown as OpenFolder;

interface House {
  readonly engine: SqliteEngine;
  readonly mail: StoredMail;
  readonly mailbox: CallersMailbox;
  readonly inbox: OpenFolder;
}

async function house(folder: string, opens = true): Promise<House> {
  const permissions = new Rules([]);
  permissions.replace([], { groupsOf: () => [] });
  const engine = await SqliteEngine.open(folder);
  const mail = await StoredMail.open({
    engine,
    permissions,
    domains: ['example.org'],
    catching: false,
    aliases: {},
    catchAll: {},
    isAccount: () => true,
    told: () => {},
    publish: async () => OK,
    wall: () => 1_700_000_000_000,
  });
  const mailbox = (await mail.open(ANN, mail.own(ANN))) as CallersMailbox;
  return { engine, mail, mailbox, inbox: opens ? ((await mailbox.open('INBOX')) as OpenFolder) : NONE };
}

async function snapshotParts({ mail }: House, folder: number): Promise<number> {
  let parts = 0;
  await mail.store.space.scan(snapshotPrefix(folder), 0, () => ++parts > 0);
  return parts;
}

async function append({ mailbox }: House, count: number, random: Random): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const text = Buffer.from(`Subject: ${at}\r\n\r\n${'x'.repeat(random.below(50))}`);
      const keywords = random.below(20) === 0 ? [`word${random.below(5)}`] : [];
      const added = await mailbox.append('INBOX', text.length, { flags: 0, keywords, date: random.below(1e9) });
      assert.ok(typeof added !== 'number');
      added.write(text, 0, text.length);
      assert.ok(typeof (await added.commit()) !== 'number');
    }),
  );
}

function some({ inbox }: House, random: Random, most: number): number[] {
  if (inbox.count === 0) return [];
  const from = random.below(inbox.count);
  return [...inbox.uids.subarray(from, Math.min(inbox.count, from + 1 + random.below(most)))];
}

function text(uid: number, modseq: number, record: MessageRecord): string {
  const { blob, folder, uid: first, flags, keywords, date, size, headerSize } = record;
  return JSON.stringify([uid, modseq, blob, folder, first, flags, [...keywords].sort(), date, size, headerSize]);
}

/** As one comparison of thousands, which would print them all. */
function same(one: readonly string[], other: readonly string[]): void {
  const at = one.findIndex((each, index) => each !== other[index]);
  if (at >= 0 || one.length !== other.length) assert.deepEqual([one.length, one[at]], [other.length, other[at]]);
}

/** A folder as text, of what it has in memory. */
function known(folder: OpenFolder): string[] {
  return [...folder.uids.subarray(0, folder.count)].map((uid, at) =>
    text(uid, folder.modseqAt(at), folder.recordAt(at)),
  );
}

/** As `known`, of what is stored. */
async function stored({ mail, inbox }: House): Promise<string[]> {
  const found: { key: number; text: string }[] = [];
  const prefix = messageKey(inbox.record.id, 0).slice(0, -1);
  await mail.store.space.scan(prefix, 0, ({ key, sequence, bytes }) => {
    const uid = Number(key.slice(prefix.length));
    found.push({ key: uid, text: text(uid, sequence, readMessage(bytes)) });
    return true;
  });
  return found.sort((one, other) => one.key - other.key).map(({ text }) => text);
}

async function change(at: House, random: Random): Promise<void> {
  const { mailbox, inbox } = at;
  switch (random.below(5)) {
    case 0:
      return append(at, 1 + random.below(400), random);
    case 1:
    case 2: {
      const how = random.pick(['add', 'remove', 'set'] as const);
      const flags = random.pick([SEEN, FLAGGED, SEEN | DELETED]);
      const keywords = random.below(3) === 0 ? [`word${random.below(5)}`] : [];
      await mailbox.flag(inbox, some(at, random, 600), { how, flags, keywords });
      return;
    }
    case 3:
      await mailbox.expunge(inbox, some(at, random, 300), true);
      return;
    default:
      await mailbox.copy(inbox, some(at, random, 100), random.pick(['Archive', 'INBOX']), random.below(2) === 0);
  }
}

/** Takes a part of the snapshot away, or puts an older one in its place. */
async function damage({ mail, inbox }: House, random: Random): Promise<boolean> {
  const parts: string[] = [];
  const { space } = mail.store;
  await space.scan(snapshotPrefix(inbox.record.id), 0, ({ key }) => parts.push(key) > 0);
  if (parts.length === 0) return false;
  const batch = new Batch(1);
  if (random.below(2) === 0) batch.remove(random.pick(parts));
  else batch.put(random.pick(parts.filter((key) => !key.endsWith('/h'))), Buffer.alloc(40, 7), 0, 40);
  await new Promise<void>((resolve) => void space.commit(batch, { settled: () => resolve() }, 0));
  return true;
}

test('a folder from its snapshot is the same as from its records, over any changes, restarts and damage', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-snapshot-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const random = new Random(77);
  let now = await house(folder);
  t.after(() => now.engine.close());
  await append(now, 2_000, random);
  let highest = 0;
  let used = 0;
  for (let round = 0; round < 12; round++) {
    for (let changes = random.below(8); changes > 0; changes--) await change(now, random);
    same(known(now.inbox), await stored(now));
    assert.ok(now.inbox.modseq >= highest, 'a modification sequence went back');
    highest = now.inbox.modseq;
    const damaged = round % 4 === 3 && (await damage(now, random));
    const { unseen, bytes, uidNext, count } = now.inbox;
    // Without the first it is as after a crash: the last snapshot is as old as it happens to be.
    if (random.below(2) === 0 && !damaged) await now.mail.close();
    await now.engine.close();
    now = await house(folder);
    used += now.inbox.isFromSnapshot ? 1 : 0;
    if (damaged) assert.equal(now.inbox.isFromSnapshot, false, 'a damaged snapshot was used');
    same(known(now.inbox), await stored(now));
    assert.deepEqual(
      { unseen, bytes, uidNext, count },
      { unseen: now.inbox.unseen, bytes: now.inbox.bytes, uidNext: now.inbox.uidNext, count: now.inbox.count },
    );
  }
  assert.ok(used > 4, `a snapshot was used ${used} times only`);
  await now.mail.close();
});

test('what came while nobody had a folder open is in a snapshot of it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-snapshot-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const first = await house(folder);
  first.mailbox.close(first.inbox);
  await first.mail.close();
  await first.engine.close();
  const next = await house(folder, false);
  t.after(() => next.engine.close());
  const { mail } = next;
  const recipients = [{ address: 'ann@example.org', route: mail.route('ann@example.org', ANN) }];
  const text = Buffer.from('Subject: one\r\n\r\nbody\r\n');
  for (let sent = 0; sent < 9_000; sent += 1_000)
    await Promise.all(
      Array.from({ length: 1_000 }, () => {
        const incoming = mail.incoming({ from: 'b@example.net', caller: ANN, recipients, trace: '' });
        incoming.write(text, 0, text.length);
        return new Promise<void>((resolve) => incoming.commit({ settled: () => resolve() }, 0));
      }),
    );
  const { id } = mail.store.mailboxes.get('ann@example.org')!.folders.get('INBOX')!.record;
  while ((await snapshotParts(next, id)) === 0) await new Promise((resolve) => setImmediate(resolve));
  await mail.close();
});

test('the snapshot of a folder goes with it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-snapshot-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const at = await house(folder);
  t.after(() => at.engine.close());
  await append(at, 3_000, new Random(5));
  assert.equal(await at.mailbox.make('Old'), OK);
  await at.mailbox.copy(at.inbox, [...at.inbox.uids.subarray(0, at.inbox.count)], 'Old', false);
  const { id } = ((await at.mailbox.open('Old')) as OpenFolder).record;
  while ((await snapshotParts(at, id)) === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await at.mailbox.remove('Old'), OK);
  while ((await snapshotParts(at, id)) > 0) await new Promise((resolve) => setImmediate(resolve));
  await at.mail.close();
});
