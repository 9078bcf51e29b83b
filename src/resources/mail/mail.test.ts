// Mail on both stores: who takes a recipient, what a mailbox keeps, and what it keeps over a restart.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Caller } from '../../core/caller.ts';
import { DENIED, EXISTS, FULL, INVALID, MISSING, OK, type Outcome, UNKNOWN } from '../../core/outcome.ts';
import type { Sink } from '../../core/sink.ts';
import type { Engine } from '../../storage/engine.ts';
import { MemoryEngine } from '../../storage/memory/engine.ts';
import { SqliteEngine } from '../../storage/sqlite/engine.ts';
import { Rules } from '../accounts/rules/rules.ts';
import { DELETED, FLAGGED, type Folder, type Mailbox, type MailEvent, SEEN } from './contract.ts';
import type { OpenFolder } from './folder.ts';
import { type MailOptions, StoredMail } from './mail.ts';

const caller = (account: string, id = account): Caller => ({ account, scopes: null, origin: 'local', epoch: 1, id });
const ANN = caller('ann');
const BOB = caller('bob');
const STRANGER: Caller = { account: '', scopes: null, origin: 'remote', epoch: 1 };
const ACCOUNTS = ['ann', 'bob'];

interface Stage {
  readonly mail: StoredMail;
  readonly events: MailEvent[];
  readonly published: [topic: string, message: string][];
  deliver(message: string, ...to: string[]): Promise<Outcome>;
  box(who?: Caller, name?: string): Promise<Mailbox>;
}

async function stage(engine: Engine, more: Partial<MailOptions> = {}, rules: readonly string[] = []): Promise<Stage> {
  const permissions = new Rules(rules);
  permissions.replace([], { groupsOf: (account) => (account === '' ? null : []) });
  const events: MailEvent[] = [];
  const published: [string, string][] = [];
  let wall = 1_000_000_000;
  const mail = await StoredMail.open({
    engine,
    permissions,
    domains: ['example.org', 'example.net'],
    catching: false,
    aliases: {},
    catchAll: {},
    isAccount: (name) => ACCOUNTS.includes(name),
    told: (event) => events.push(event),
    publish: async (_caller, topic, message) => {
      published.push([topic, message.toString()]);
      return OK;
    },
    wall: () => ++wall,
    ...more,
  });
  return {
    mail,
    events,
    published,
    deliver: (message, ...to) => deliver(mail, message, to),
    box: async (who = ANN, name = mail.own(who)) => {
      const mailbox = await mail.open(who, name);
      if (typeof mailbox === 'number') throw new Error(`the mailbox ${name} could not be opened: ${mailbox}`);
      return mailbox;
    },
  };
}

function deliver(mail: StoredMail, message: string, to: readonly string[]): Promise<Outcome> {
  const recipients = to.map((address) => ({ address, route: mail.route(address, STRANGER) }));
  const incoming = mail.incoming({
    from: 'x@elsewhere.test',
    caller: STRANGER,
    recipients,
    trace: 'Return-Path: <x@elsewhere.test>\r\n',
  });
  const bytes = Buffer.from(message);
  return new Promise((resolve) => {
    let at = 0;
    const go = () => {
      at += incoming.write(bytes, at, bytes.length);
      incoming.onRoom = at < bytes.length ? go : null;
      if (at === bytes.length) incoming.commit({ settled: (_token, outcome) => resolve(outcome) }, 0);
    };
    go();
  });
}

async function opened(mailbox: Mailbox, name = 'INBOX'): Promise<Folder> {
  const folder = await mailbox.open(name);
  if (typeof folder === 'number') throw new Error(`the folder ${name} could not be opened: ${folder}`);
  return folder;
}

function uidsOf(folder: Folder): number[] {
  return [...folder.uids.subarray(0, folder.count)];
}

function flagsOf(folder: Folder, uid: number): number {
  return folder.flagsAt(folder.find(uid));
}

function read(folder: Folder, uid: number, start: number, end: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const sink: Sink = {
      room: 7,
      bytes: (data, from, to) => {
        text += Buffer.from(data.subarray(from, to)).toString();
        setImmediate(() => reading.more());
      },
      end: (outcome) => resolve(outcome === OK ? text : `outcome ${outcome}`),
    };
    const reading = folder.read(uid, start, end, sink);
  });
}

const MESSAGE =
  'From: X <x@elsewhere.test>\r\nTo: ann@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello.\r\n';

for (const kind of ['memory', 'sqlite'] as const) {
  const run = async (work: (engine: () => Promise<Engine>) => Promise<void>): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), 'portico-mail-'));
    const memory = new MemoryEngine();
    try {
      await work(async () => (kind === 'memory' ? memory : SqliteEngine.open(folder)));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test(`${kind}: a mail is delivered, told, read in parts, flagged and expunged`, () =>
    run(async (open) => {
      const engine = await open();
      const { mail, events, deliver, box } = await stage(engine);
      assert.equal(await deliver(MESSAGE, 'ann@example.org'), OK);
      assert.deepEqual(events, [
        {
          mailbox: 'ann@example.org',
          folder: 'INBOX',
          uid: 1,
          size: MESSAGE.length + 33,
          from: 'X <x@elsewhere.test>',
          to: ['ann@example.org'],
          subject: 'Grüße',
          messageId: '',
        },
      ]);
      const mailbox = await box();
      assert.deepEqual(
        mailbox.folders().map(({ name, use }) => [name, use]),
        [
          ['INBOX', 'inbox'],
          ['Archive', 'archive'],
          ['Drafts', 'drafts'],
          ['Junk', 'junk'],
          ['Sent', 'sent'],
          ['Trash', 'trash'],
        ],
      );
      const inbox = await opened(mailbox, 'inbox');
      const told: unknown[] = [];
      inbox.listen({
        added: (uid) => told.push(['added', uid]),
        flagged: (uid) => told.push(['flagged', uid]),
        expunged: (uids) => told.push(['expunged', ...uids]),
        removed: () => told.push('removed'),
      });
      assert.deepEqual(uidsOf(inbox), [1]);
      assert.equal(inbox.uidNext, 2);
      assert.equal(inbox.unseen, 1);
      const whole = `Return-Path: <x@elsewhere.test>\r\n${MESSAGE}`;
      assert.equal((await inbox.whole(1))!.toString(), whole);
      assert.equal(await read(inbox, 1, 5, 40), whole.slice(5, 40));
      assert.equal(await read(inbox, 1, 0, inbox.headerSizeAt(0)), whole.slice(0, whole.indexOf('\r\n\r\n') + 4));
      assert.equal(await read(inbox, 2, 0, 40), `outcome ${MISSING}`);
      const before = inbox.modseq;
      const change = { how: 'add', flags: SEEN | DELETED, keywords: ['$Work'] } as const;
      assert.deepEqual(await mailbox.flag(inbox, [1, 7], change), { modified: [] });
      assert.equal(flagsOf(inbox, 1), SEEN | DELETED | 32);
      assert.deepEqual(inbox.keywords, ['$Work']);
      assert.equal(inbox.unseen, 0);
      assert.ok(inbox.modseq > before);
      assert.deepEqual(await mailbox.flag(inbox, [1], { ...change, unchangedSince: before }), { modified: [1] });
      assert.deepEqual(await mailbox.flag(inbox, [1], { how: 'set', flags: FLAGGED, keywords: ['$work', 'b'] }), {
        modified: [],
      });
      assert.equal(flagsOf(inbox, 1), FLAGGED | 32 | 64);
      assert.equal(await mailbox.expunge(inbox, [1]), OK);
      assert.deepEqual(uidsOf(inbox), [1]);
      await mailbox.flag(inbox, [1], { how: 'add', flags: DELETED, keywords: [] });
      await deliver(MESSAGE, 'ann@example.org');
      const since = inbox.modseq;
      assert.equal(await mailbox.expunge(inbox, [1, 2]), OK);
      assert.deepEqual(uidsOf(inbox), [2]);
      assert.deepEqual(await inbox.expungedSince(since), [1]);
      assert.deepEqual(await inbox.expungedSince(inbox.modseq + 1), []);
      assert.deepEqual(told, [
        ['flagged', 1],
        ['flagged', 1],
        ['flagged', 1],
        ['added', 2],
        ['expunged', 1],
      ]);
      assert.equal(await inbox.whole(1), null);
      await mail.close();
      await engine.close();
    }));

  test(`${kind}: UIDs, flags, folders and bytes survive a restart; nothing is given twice`, () =>
    run(async (open) => {
      let engine = await open();
      let on = await stage(engine);
      const large = `${MESSAGE}${'A line of text in a mail that is long.\r\n'.repeat(10_000)}`;
      assert.equal(await on.deliver(large, 'ann@example.org', 'bob@example.net'), OK);
      for (let at = 0; at < 3; at++) await on.deliver(MESSAGE, 'ann@example.org');
      let mailbox = await on.box();
      let inbox = await opened(mailbox);
      assert.equal(await mailbox.make('Work/2026'), OK);
      await mailbox.flag(inbox, [2], { how: 'add', flags: SEEN, keywords: ['Done'] });
      assert.deepEqual(await mailbox.copy(inbox, [1, 2, 9], 'Work/2026', false), {
        from: [1, 2],
        to: [1, 2],
        uidValidity: (await opened(mailbox, 'Work/2026')).uidValidity,
      });
      await mailbox.expunge(inbox, [1, 4], true);
      const { uidValidity } = inbox;
      await on.mail.close();
      if (kind === 'sqlite') await engine.close();
      engine = engine instanceof MemoryEngine ? engine.restarted() : await open();
      on = await stage(engine);
      mailbox = await on.box();
      inbox = await opened(mailbox);
      assert.equal(inbox.uidValidity, uidValidity);
      assert.deepEqual(uidsOf(inbox), [2, 3]);
      assert.equal(inbox.uidNext, 5);
      assert.equal(flagsOf(inbox, 2), SEEN | 32);
      const work = await opened(mailbox, 'Work/2026');
      assert.equal(flagsOf(work, 2), SEEN | 32);
      assert.ok((await work.whole(1))!.toString().endsWith('mail that is long.\r\n'));
      assert.equal((await work.whole(1))!.length, large.length + 33);
      const bobs = await opened(await on.box(BOB));
      assert.equal((await bobs.whole(1))!.length, large.length + 33);
      // The last of three that have the bytes takes them along.
      await mailbox.expunge(work, [1, 2], true);
      assert.equal((await bobs.whole(1))!.length, large.length + 33);
      assert.equal((await inbox.whole(2))!.length, MESSAGE.length + 33);
      await (await on.box(BOB)).expunge(bobs, [1], true);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(await on.deliver(MESSAGE, 'ann@example.org'), OK);
      assert.deepEqual(uidsOf(inbox), [2, 3, 5]);
      await on.mail.close();
      await engine.close();
    }));

  test(`${kind}: two who change the same messages at once`, () =>
    run(async (open) => {
      const engine = await open();
      const on = await stage(engine);
      for (let at = 0; at < 30; at++) await on.deliver(MESSAGE, 'ann@example.org');
      const [one, other] = [await on.box(), await on.box()];
      const inbox = await opened(one);
      await opened(other);
      const all = uidsOf(inbox);
      await Promise.all([
        one.flag(inbox, all, { how: 'add', flags: SEEN, keywords: ['a'] }),
        other.flag(inbox, all, { how: 'add', flags: FLAGGED, keywords: ['b'] }),
      ]);
      for (const uid of all) assert.equal(flagsOf(inbox, uid), SEEN | FLAGGED | 32 | 64);
      const moved = await Promise.all([
        one.copy(inbox, all, 'Archive', true),
        other.copy(inbox, all, 'Trash', true),
        one.expunge(inbox, all.slice(10, 20), true),
      ]);
      const counts = moved.map((each) => (typeof each === 'number' ? 0 : each.to.length));
      const archive = await opened(one, 'Archive');
      const trash = await opened(one, 'Trash');
      assert.equal(inbox.count, 0);
      assert.deepEqual([archive.count, trash.count], [counts[0], counts[1]]);
      assert.ok(archive.count + trash.count <= 30);
      for (const folder of [archive, trash])
        for (const uid of uidsOf(folder)) assert.equal((await folder.whole(uid))?.length, MESSAGE.length + 33);
      await on.mail.close();
      await engine.close();
    }));

  test(`${kind}: many who change the same many messages at once all come to an end, and nothing of it is lost`, () =>
    run(async (open) => {
      const engine = await open();
      const { mail, box } = await stage(engine);
      const mailbox = await box();
      const folder = (await opened(mailbox)) as OpenFolder;
      await Promise.all(
        Array.from({ length: 500 }, async () => {
          const added = await mailbox.append('INBOX', 5, { flags: 0, keywords: [] });
          assert.ok(typeof added !== 'number');
          added.write(Buffer.from('\r\nabc'), 0, 5);
          assert.ok(typeof (await added.commit()) !== 'number');
        }),
      );
      const words = Array.from({ length: 26 }, (_, at) => `word${at}`);
      const some = uidsOf(folder).filter((uid) => uid % 7 === 0);
      const outcomes = await Promise.all([
        ...words.map(async (word) => {
          const done = await mailbox.flag(folder, uidsOf(folder), { how: 'add', flags: 0, keywords: [word] });
          return typeof done === 'number' ? done : OK;
        }),
        mailbox.expunge(folder, some, true),
      ]);
      assert.deepEqual([...new Set(outcomes)], [OK]);
      assert.equal(folder.count, 500 - some.length);
      for (const uid of uidsOf(folder))
        assert.deepEqual(folder.keywordsAt(folder.find(uid)).sort(), [...words].sort(), String(uid));
      await mail.close();
      await engine.close();
    }));

  test(`${kind}: folders are made, renamed and removed with what is in them`, () =>
    run(async (open) => {
      const engine = await open();
      const on = await stage(engine);
      await on.deliver(MESSAGE, 'ann@example.org');
      const mailbox = await on.box();
      assert.equal(await mailbox.make('A/B/C'), OK);
      assert.equal(await mailbox.make('A/B'), EXISTS);
      for (const name of ['', '/A', 'A//B', 'A\u0000', 'x'.repeat(300)])
        assert.equal(await mailbox.make(name), INVALID);
      assert.equal(await mailbox.subscribe('A/B/C', true), OK);
      assert.equal(await mailbox.rename('A/B', 'D/E'), OK);
      assert.equal(await mailbox.rename('D', 'D/F'), INVALID);
      assert.equal(await mailbox.rename('D/E', 'Sent'), EXISTS);
      assert.equal(await mailbox.rename('nowhere', 'X'), MISSING);
      const names = () => mailbox.folders().map(({ name }) => name);
      assert.deepEqual(
        names().filter((name) => /^[A-E](?:$|\/)/.test(name)),
        ['A', 'D', 'D/E', 'D/E/C'],
      );
      assert.ok(mailbox.subscriptions().includes('D/E/C'));
      assert.equal(await mailbox.remove('D/E/C'), OK);
      assert.ok(mailbox.subscriptions().includes('D/E/C'));
      assert.equal(await mailbox.subscribe('D/E/C', false), OK);
      assert.ok(!mailbox.subscriptions().includes('D/E/C'));
      assert.equal(await mailbox.remove('INBOX'), DENIED);
      assert.equal(await mailbox.remove('nowhere'), MISSING);
      const inbox = await opened(mailbox);
      assert.equal(await mailbox.rename('INBOX', 'Old'), OK);
      assert.equal(inbox.count, 0);
      const old = await opened(mailbox, 'Old');
      assert.equal(old.count, 1);
      let removed = 0;
      old.listen({ added: () => {}, flagged: () => {}, expunged: () => {}, removed: () => removed++ });
      const former = old.uidValidity;
      assert.equal(await mailbox.remove('Old'), OK);
      assert.equal(removed, 1);
      assert.equal(await mailbox.open('Old'), MISSING);
      await mailbox.make('Old');
      assert.ok((await opened(mailbox, 'Old')).uidValidity > former);
      await on.mail.close();
      await engine.close();
    }));
}

test('who takes a recipient: accounts, both domains, plus, aliases, catch-all, topics, strangers', async () => {
  const engine = new MemoryEngine();
  const on = await stage(engine, {
    aliases: {
      sales: ['ann', 'bob@example.org', 'out@elsewhere.test'],
      'info@example.net': ['sales'],
      loop: ['loop', 'ann'],
      'ann+list': ['bob'],
    },
    catchAll: { 'example.net': 'bob' },
  });
  const route = (address: string, who: Caller = STRANGER) => {
    const found = on.mail.route(address, who);
    if (found.kind === 'refused') return found.outcome;
    if (found.kind === 'elsewhere') return 'elsewhere';
    return [
      ...found.mailboxes,
      ...found.topics.map((topic) => `topic ${topic}`),
      ...found.onward.map((to) => `to ${to}`),
    ];
  };
  const [anns, bobs] = ['ann@example.org', 'bob@example.org'];
  for (const [address, expected] of [
    ['ann@example.org', [anns]],
    ['ANN@Example.NET', [anns]],
    ['ann+shop@example.org', [anns]],
    ['ann+list@example.org', [bobs]],
    ['"ann"@example.org', [anns]],
    ['nobody@example.org', MISSING],
    ['nobody@example.net', [bobs]],
    ['sales@example.org', [anns, bobs, 'to out@elsewhere.test']],
    ['info@example.net', [anns, bobs, 'to out@elsewhere.test']],
    ['loop@example.org', [anns]],
    ['topics+plant.temp%2E1@example.org', ['topic plant/temp.1']],
    ['topics+a..b@example.org', MISSING],
    ['ann@elsewhere.test', UNKNOWN],
    ['no address', INVALID],
    ['a@b@example.org', INVALID],
    ['@example.org', INVALID],
    ['ann@', INVALID],
    [`${'a'.repeat(65)}@example.org`, INVALID],
  ] as const)
    assert.deepEqual(route(address), expected, address);
  assert.equal(route('ann@elsewhere.test', ANN), DENIED);
  assert.equal(route('ann@elsewhere.test', caller('ann', '')), DENIED);
});

test('while catching, every recipient has a mailbox of its own, and its name opens it', async () => {
  const engine = new MemoryEngine();
  const on = await stage(engine, { catching: true, isAccount: () => false });
  assert.equal(await on.deliver(MESSAGE, 'Someone@Anywhere.test', 'other+tag@example.org'), OK);
  assert.deepEqual(
    on.events.map(({ mailbox }) => mailbox),
    ['someone@anywhere.test', 'other@example.org'],
  );
  const inbox = await opened(await on.box(caller('someone@anywhere.test', '')));
  assert.equal(inbox.count, 1);
  assert.deepEqual(on.mail.list(caller('someone@anywhere.test', ''), '', 10), ['someone@anywhere.test']);
});

test('plus-addressing names a folder where there is one; topics are published before the mail is acknowledged', async () => {
  const engine = new MemoryEngine();
  const on = await stage(engine);
  const mailbox = await on.box();
  await mailbox.make('Shop');
  await on.deliver(MESSAGE, 'ann+shop@example.org');
  await on.deliver(MESSAGE, 'ann+other@example.org', 'topics+a.b@example.org');
  assert.deepEqual(
    on.events.map(({ folder }) => folder),
    ['Shop', 'INBOX'],
  );
  assert.deepEqual(on.published, [['a/b', MESSAGE]]);
});

test('mailboxes of others: by rule, and only as far as it goes', async () => {
  const engine = new MemoryEngine();
  const on = await stage(engine, {}, ['allow bob read mail/ann@example.org']);
  await on.deliver(MESSAGE, 'ann@example.org');
  assert.equal(await on.mail.open(ANN, 'bob@example.org'), DENIED);
  assert.equal(await on.mail.open(STRANGER, 'ann@example.org'), UNKNOWN);
  const anns = await on.box(BOB, 'ann@example.org');
  assert.deepEqual([anns.writable, anns.removable], [false, false]);
  const inbox = await opened(anns);
  assert.equal(inbox.count, 1);
  const change = { how: 'add', flags: SEEN, keywords: [] } as const;
  assert.equal(await anns.flag(inbox, [1], change), DENIED);
  assert.equal(await anns.expunge(inbox, [1], true), DENIED);
  assert.equal(await anns.copy(inbox, [1], 'Trash', false), DENIED);
  assert.equal(await anns.make('X'), DENIED);
  assert.equal(await anns.remove('Trash'), DENIED);
  assert.equal(await anns.append('INBOX', 1, { flags: 0, keywords: [] }), DENIED);
  assert.deepEqual(on.mail.list(BOB, '', 10), ['ann@example.org']);
});

test('quotas, long messages and keywords end with FULL or INVALID, and nothing is kept', async () => {
  const engine = new MemoryEngine();
  const on = await stage(engine, { quotaOf: () => 350, messageBytesMax: 300 });
  assert.equal(await on.deliver(MESSAGE, 'ann@example.org'), OK);
  assert.equal(await on.deliver(MESSAGE, 'ann@example.org'), OK);
  assert.equal(await on.deliver(MESSAGE, 'ann@example.org'), FULL);
  assert.equal(await on.deliver('x'.repeat(301), 'bob@example.org'), FULL);
  const mailbox = await on.box();
  const inbox = await opened(mailbox);
  assert.equal(inbox.count, 2);
  assert.equal(await mailbox.copy(inbox, [1, 2], 'Archive', false), FULL);
  assert.equal(await mailbox.append('INBOX', 350, { flags: 0, keywords: [] }), FULL);
  const words = Array.from({ length: 28 }, (_, at) => `k${at}`);
  assert.equal(await mailbox.flag(inbox, [1], { how: 'add', flags: 0, keywords: words }), FULL);
  assert.equal(await mailbox.flag(inbox, [1], { how: 'add', flags: 0, keywords: ['a b'] }), INVALID);
  await mailbox.expunge(inbox, [1], true);
  const appended = await mailbox.append('INBOX', 20, { flags: SEEN, keywords: ['k'], date: 5 });
  assert.ok(typeof appended !== 'number');
  appended.write(Buffer.from('Subject: x\r\n\r\nbody\r\n'), 0, 20);
  assert.deepEqual(await appended.commit(), { uid: 3 });
  assert.equal(inbox.dateAt(1), 5);
  assert.equal(inbox.headerSizeAt(1), 14);
  assert.equal(mailbox.used, inbox.bytes);
});
