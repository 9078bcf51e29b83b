// The queue in simulated time: what leaves, when it is tried again, what its sender is told, and what a crash leaves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Caller } from '../../core/caller.ts';
import { SILENT } from '../../core/log.ts';
import { DENIED, FULL, OK, type Outcome, UNKNOWN } from '../../core/outcome.ts';
import { World } from '../../sim/world.ts';
import { MemoryEngine } from '../../storage/memory/engine.ts';
import { Rules } from '../accounts/rules/rules.ts';
import type { Envelope } from './contract.ts';
import { StoredMail } from './mail.ts';
import { type Carriage, QUEUE_SETTINGS, type QueueEvent, type QueueSettings, type Result } from './queue-contract.ts';

const ANN: Caller = { account: 'ann', scopes: null, origin: 'local', epoch: 1, id: 'ann' };
const STRANGER: Caller = { account: '', scopes: null, origin: 'remote', epoch: 1 };
const SENT: Result = { state: 'sent', text: '250 2.0.0 taken', server: 'mx.there' };
const LATER: Result = { state: 'transient', text: '450 4.2.1 busy', server: 'mx.there' };
const NEVER: Result = { state: 'permanent', text: '550 5.1.1 no such user', server: 'mx.there' };
const HOUR = 3_600_000;

/** What another server says to a recipient, at its nth attempt. */
type Says = (address: string, tries: number) => Result | 'down' | 'silent';

class House {
  readonly world: World;
  readonly engine: MemoryEngine;
  mail!: StoredMail;
  says: Says;
  readonly events: QueueEvent[] = [];
  /** What another server took: address and text. */
  readonly taken: [to: string, text: string][] = [];
  readonly attempts: string[][] = [];
  readonly settings: QueueSettings;
  /** The worlds in which the store lives, one after the other. */
  steps: World[] = [];
  underWay = 0;
  most = 0;

  constructor(
    says: Says = () => SENT,
    settings: Partial<QueueSettings> = {},
    world = new World(1),
    engine?: MemoryEngine,
  ) {
    this.world = world;
    this.steps.push(world);
    this.says = says;
    this.settings = { ...QUEUE_SETTINGS, ...settings };
    this.engine = engine ?? new MemoryEngine({ later: (step) => this.steps.at(-1)!.soon(step) });
  }

  async open(begins = true): Promise<this> {
    const permissions = new Rules([]);
    permissions.replace([], { groupsOf: (account) => (account === '' ? null : []) });
    const { turn, random } = this.world;
    const opening = StoredMail.open({
      ...{ engine: this.engine, permissions, domains: ['here'], catching: false, catchAll: {} },
      aliases: { outside: ['bob@there', 'ann'], circle: ['x@there'] },
      isAccount: (name) => name === 'ann',
      told: () => {},
      publish: async () => OK,
      wall: () => turn.clock.wall,
      leaving: {
        ...{ turn, entropy: random, log: SILENT, settings: this.settings },
        told: (event) => this.events.push(event),
      },
    });
    this.mail = await this.settled(opening);
    if (begins) this.begin();
    return this;
  }

  begin(): void {
    this.mail.queue!.begin({
      destinationOf: (domain) => domain,
      carry: (_destination, carriage) => void this.world.after(50, () => this.carry(carriage)),
    });
  }

  private carry(carriage: Carriage): void {
    this.most = Math.max(this.most, ++this.underWay);
    this.attempts.push(carriage.recipients.map(({ address }) => address));
    const chunks: Buffer[] = [];
    carriage.read(0, carriage.mail.size, {
      room: 1e9,
      bytes: (data, start, end) => void chunks.push(Buffer.from(data.subarray(start, end))),
      end: () => {
        this.world.after(50, () => {
          this.underWay--;
          const text = Buffer.concat(chunks).toString();
          const said = carriage.recipients.map(({ address }) => {
            const tries = carriage.mail.recipients.find((each) => each.address === address)!.tries;
            return this.says(address, tries + 1);
          });
          if (said.includes('silent')) return;
          const isDown = said.includes('down');
          const results = said.map((each) => (typeof each === 'string' ? { ...LATER, text: 'down' } : each));
          for (const [at, { state }] of results.entries())
            if (state === 'sent') this.taken.push([carriage.recipients[at]!.address, text]);
          carriage.done(results, isDown);
        });
      },
    });
  }

  /** Lets promises and simulated time go on by turns. */
  async pass(ms: number, steps = 20): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.world.pass(ms / steps);
      for (let round = 0; round < 4; round++) {
        await new Promise((resolve) => setImmediate(resolve));
        this.world.pass(0);
      }
    }
    assert.deepEqual(this.world.bugs, []);
  }

  async settled<Value>(promise: Promise<Value>): Promise<Value> {
    let isOver = false;
    const over = promise.finally(() => (isOver = true));
    while (!isOver) await this.pass(1, 1);
    return over;
  }

  send(
    to: readonly string[],
    more: Partial<Envelope> & { readonly wishes?: object } = {},
    text = 'Subject: x\r\n\r\nHello\r\n',
  ) {
    const { caller = ANN, from = 'ann@here', wishes = {}, ...rest } = more;
    const recipients = to.map((address) => ({ address, route: this.mail.route(address, caller), ...wishes }));
    const trace = `Return-Path: <${from}>\r\nReceived: from x\r\n`;
    const incoming = this.mail.incoming({ from, caller, recipients, trace, ...rest });
    const bytes = Buffer.from(text);
    const sent = new Promise<Outcome>((resolve) => {
      let at = 0;
      const go = () => {
        at += incoming.write(bytes, at, bytes.length);
        incoming.onRoom = at < bytes.length ? go : null;
        if (at === bytes.length) incoming.commit({ settled: (_token, outcome) => resolve(outcome) }, 0);
      };
      go();
    });
    return this.settled(sent);
  }

  get states(): string[] {
    return this.mail
      .queue!.list(0, 100)
      .flatMap(({ recipients }) => recipients.map(({ address, state, tries }) => `${address} ${state} ${tries}`));
  }

  async inbox(account = 'ann'): Promise<string[]> {
    const caller = { ...ANN, account, id: account };
    const box = await this.settled(this.mail.open(caller, `${account}@here`));
    assert.ok(typeof box !== 'number');
    const folder = await this.settled(box.open('INBOX'));
    assert.ok(typeof folder !== 'number');
    const texts: string[] = [];
    for (let at = 0; at < folder.count; at++)
      texts.push((await this.settled(folder.whole(folder.uids[at]!)))!.toString());
    box.close(folder);
    return texts;
  }

  /** The same data in another process. */
  async crash(says: Says = this.says): Promise<House> {
    const next = new House(says, this.settings, new World(2), this.engine.restarted());
    this.steps.push(next.world);
    next.steps = this.steps;
    // Its time goes on from where this one's was.
    next.world.pass(this.world.turn.clock.now);
    return next.open();
  }
}

test('a mail to here and there: kept, sent without its Return-Path, and gone from the queue', async () => {
  const it = await new House().open();
  assert.equal(await it.send(['bob@there', 'ann@here', 'eve@else.where']), OK);
  await it.pass(1_000);
  assert.deepEqual(it.taken.sort(), [
    ['bob@there', 'Received: from x\r\nSubject: x\r\n\r\nHello\r\n'],
    ['eve@else.where', 'Received: from x\r\nSubject: x\r\n\r\nHello\r\n'],
  ]);
  assert.deepEqual(it.states, []);
  assert.equal((await it.inbox()).length, 1);
  assert.deepEqual(
    it.events.map(({ event, to }) => `${event} ${to.join(' ')}`),
    ['queued bob@there eve@else.where', 'sent bob@there', 'sent eve@else.where'],
  );
  // Nothing of it is left on the disk.
  const again = await it.crash();
  assert.deepEqual(again.states, []);
  await again.pass(1_000);
  assert.deepEqual(again.taken, []);
});

test('who may send to other domains: accounts, and nobody without one', async () => {
  const it = await new House().open();
  assert.deepEqual(it.mail.route('bob@there', STRANGER), { kind: 'refused', outcome: UNKNOWN });
  assert.deepEqual(it.mail.route('bob@there', { ...STRANGER, account: 'ann' }), { kind: 'refused', outcome: DENIED });
  assert.equal(it.mail.route('bob@there', ANN).kind, 'elsewhere');
  // What somebody here has sent on is sent on for everybody.
  assert.equal(await it.send(['outside@here'], { caller: STRANGER, from: 'x@y.z' }), OK);
  await it.pass(1_000);
  assert.deepEqual(
    it.taken.map(([to]) => to),
    ['bob@there'],
  );
  assert.equal((await it.inbox()).length, 1);
});

test('waits grow, a destination that is down holds its mails back, and is tried with one (RFC 5321 §4.5.4.1)', async () => {
  const it = await new House(() => 'down').open();
  for (let count = 0; count < 10; count++) await it.send([`u${count}@there`]);
  await it.pass(30_000);
  const first = it.attempts.length;
  assert.ok(first <= 5, `${first} attempts at a server that is down`);
  await it.pass(12 * HOUR, 2_000);
  const more = it.attempts.length - first;
  assert.ok(more >= 4 && more < 120, `${more} attempts in 12 hours`);
  it.says = () => SENT;
  await it.pass(5 * HOUR, 2_000);
  assert.deepEqual(it.states, []);
  assert.equal(it.taken.length, 10);
});

test('at most so many attempts at once, of all and of one destination', async () => {
  const it = await new House(() => SENT, { attemptsMax: 6, perDestinationMax: 2 }).open(false);
  for (let count = 0; count < 30; count++) await it.send([`u${count}@there`]);
  it.begin();
  await it.pass(10_000, 200);
  assert.equal(it.taken.length, 30);
  assert.equal(it.most, 2);
  const wide = await new House(() => SENT, { attemptsMax: 6, perDestinationMax: 2 }).open(false);
  for (let count = 0; count < 30; count++) await wide.send([`u@there${count}.test`]);
  wide.begin();
  await wide.pass(10_000, 200);
  assert.equal(wide.taken.length, 30);
  assert.equal(wide.most, 6);
});

test('a recipient that is refused is told to the sender, with the mail (RFC 3464 §2)', async () => {
  const it = await new House((address) => (address.startsWith('no') ? NEVER : SENT)).open();
  await it.send(['nobody@there', 'bob@there'], { envid: 'QQ+3D314' }, 'Subject: Grüße\r\n\r\nHello\r\n');
  await it.pass(2_000);
  assert.deepEqual(it.states, []);
  const [report = '', ...more] = await it.inbox();
  assert.deepEqual(more, []);
  for (const line of [
    /^Return-Path: <>\r\n/,
    /\r\nFrom: Mail Delivery System <MAILER-DAEMON@here>\r\n/,
    /\r\nTo: ann@here\r\n/,
    /\r\nAuto-Submitted: auto-replied\r\n/,
    /\r\nMIME-Version: 1\.0\r\nContent-Type: multipart\/report; report-type=delivery-status;/,
    /\r\nContent-Type: message\/delivery-status\r\n\r\nOriginal-Envelope-Id: QQ=314\r\nReporting-MTA: dns; here\r\n/,
    /\r\n\r\nFinal-Recipient: rfc822; nobody@there\r\nAction: failed\r\nStatus: 5\.1\.1\r\nRemote-MTA: dns; mx\.there\r\nDiagnostic-Code: smtp; 550 5\.1\.1 no such user\r\n/,
    /\r\nContent-Type: message\/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nReceived: from x\r\nSubject: Grüße\r\n\r\nHello\r\n/,
  ])
    assert.match(report, line);
  assert.doesNotMatch(report, /bob@there/);
});

test('addresses beyond ASCII are reported as such (RFC 6533 §3)', async () => {
  const it = await new House(() => NEVER).open();
  await it.send(['bücher@there'], { isUtf8: true, wishes: { orcpt: 'utf-8;bücher@there' } });
  await it.pass(2_000);
  const [report = ''] = await it.inbox();
  assert.match(report, /\r\nContent-Type: message\/global-delivery-status\r\n/);
  assert.match(report, /\r\nOriginal-Recipient: utf-8; bücher@there\r\nFinal-Recipient: utf-8; bücher@there\r\n/);
});

test('a report that cannot be delivered is not reported (RFC 5321 §6.1)', async () => {
  const it = await new House(() => NEVER).open();
  await it.send(['nobody@there'], { from: 'gone@there' });
  await it.pass(5_000);
  assert.deepEqual(it.attempts, [['nobody@there'], ['gone@there']]);
  assert.deepEqual(it.states, []);
  assert.deepEqual(await it.inbox(), []);
  await it.send(['nobody@there'], { from: '' });
  await it.pass(5_000);
  assert.equal(it.attempts.length, 3);
});

test('it takes long: the sender is told once, and after five days that it is over', async () => {
  const it = await new House(() => LATER).open();
  await it.send(['bob@there'], { ret: 'HDRS' });
  await it.pass(3 * HOUR, 500);
  assert.deepEqual(await it.inbox(), []);
  await it.pass(6 * HOUR, 500);
  const [delayed = ''] = await it.inbox();
  assert.match(delayed, /\r\nAction: delayed\r\nStatus: 4\.2\.1\r\n/);
  assert.match(delayed, /\r\nWill-Retry-Until: /);
  assert.match(delayed, /\r\nContent-Type: text\/rfc822-headers\r\n\r\nReceived: from x\r\nSubject: x\r\n\r\n\r\n/);
  await it.pass(4 * 24 * HOUR, 1_500);
  assert.equal((await it.inbox()).length, 1);
  await it.pass(24 * HOUR, 800);
  const [, failed = ''] = await it.inbox();
  assert.match(failed, /\r\nAction: failed\r\nStatus: 4\.4\.7\r\n/);
  assert.deepEqual(it.states, []);
});

test('what the sender wishes to be told of (RFC 3461 §4.1, §5.2)', async () => {
  const told = async (notify: string | undefined, result: Result) => {
    const it = await new House(() => result).open();
    await it.send(['bob@there'], { wishes: { notify, orcpt: 'rfc822;b+2Bob@there' } });
    await it.pass(5_000);
    const reports = await it.inbox();
    return reports.map(
      (report) => /\r\nOriginal-Recipient: rfc822; b\+ob@there\r\n.*\r\nAction: (\w+)/s.exec(report)?.[1],
    );
  };
  assert.deepEqual(await told('NEVER', NEVER), []);
  assert.deepEqual(await told('SUCCESS', NEVER), []);
  assert.deepEqual(await told('DELAY,FAILURE', NEVER), ['failed']);
  assert.deepEqual(await told(undefined, SENT), []);
  assert.deepEqual(await told('SUCCESS,FAILURE', SENT), ['relayed']);
  // The next server tells of it.
  assert.deepEqual(await told('SUCCESS', { ...SENT, tells: true }), []);
});

test('over a crash: nothing that was acknowledged is lost, nothing that was taken is sent again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 400 }), async (mails, after) => {
      const before = await new House((_address, tries) => (tries === 1 ? LATER : SENT), { retryMs: 100 }).open();
      for (let count = 0; count < mails; count++)
        assert.equal(await before.send([`u${count}@there`, `v${count}@else`]), OK);
      await before.pass(after, 10);
      // What was taken is committed before the crash, or would be in doubt.
      await before.pass(0, 3);
      const next = await before.crash(() => SENT);
      await next.pass(HOUR, 200);
      const all = [...before.taken, ...next.taken].map(([to]) => to).sort();
      const wanted = Array.from({ length: mails }, (_, count) => [`u${count}@there`, `v${count}@else`]).flat();
      assert.deepEqual(all, wanted.sort());
    }),
    { numRuns: 15 },
  );
});

test('what cannot be written is not sent again, and is written later', async () => {
  const it = await new House().open(false);
  await it.send(['bob@there']);
  it.engine.injected.refuse = FULL;
  it.begin();
  await it.pass(60_000, 50);
  assert.equal(it.taken.length, 1);
  assert.deepEqual(it.states, ['bob@there sent 1']);
  it.engine.injected.refuse = null;
  await it.pass(60_000, 50);
  assert.deepEqual(it.states, []);
  assert.equal(it.taken.length, 1);
});

test('who runs it holds, releases, tries and removes', async () => {
  const it = await new House(() => LATER).open();
  const queue = it.mail.queue!;
  await it.send(['bob@there']);
  await it.send(['eve@else']);
  await it.pass(1_000);
  const [first, second] = queue.list(0, 10);
  await it.settled(queue.hold(first!.id));
  it.says = () => SENT;
  await it.settled(queue.retry(null));
  await it.pass(1_000);
  assert.deepEqual(it.states, ['bob@there waiting 1']);
  assert.equal(queue.find(second!.id), null);
  const again = await it.crash(() => SENT);
  await again.pass(HOUR);
  assert.deepEqual(again.states, ['bob@there waiting 1']);
  await again.settled(again.mail.queue!.release(first!.id));
  await again.pass(HOUR);
  assert.deepEqual(
    again.taken.map(([to]) => to),
    ['bob@there'],
  );
  again.says = () => LATER;
  await again.send(['bob@there']);
  await again.pass(1_000);
  const [third] = again.mail.queue!.list(0, 10);
  assert.equal((await again.settled(again.mail.queue!.bytesOf(third!.id)))!.toString('latin1', 0, 9), 'Received:');
  assert.equal(await again.settled(again.mail.queue!.remove(third!.id, true)), OK);
  await again.pass(1_000);
  assert.deepEqual(again.states, []);
  assert.match((await again.inbox())[0]!, /It was removed from the queue/);
});

test('a long mail is a blob, shared with the mailboxes, and goes with the last who has it', async () => {
  const it = await new House().open();
  const text = `Subject: x\r\n\r\n${'line\r\n'.repeat(50_000)}`;
  assert.equal(await it.send(['bob@there', 'ann@here'], {}, text), OK);
  await it.pass(5_000, 50);
  assert.equal(it.taken[0]![1], `Received: from x\r\n${text}`);
  assert.ok((await it.inbox())[0]!.endsWith(text));
  assert.equal(await it.send(['bob@there'], {}, text), OK);
  await it.pass(5_000, 50);
  const again = await it.crash();
  assert.ok((await again.inbox())[0]!.endsWith(text));
});

test('a queue that is full takes no more', async () => {
  const it = await new House(() => LATER, { mailsMax: 2 }).open();
  assert.equal(await it.send(['bob@there']), OK);
  assert.equal(await it.send(['bob@there']), OK);
  assert.equal(await it.send(['bob@there']), FULL);
  assert.equal(await it.send(['ann@here']), OK);
});
