// Two servers on machines of their own, with nothing but DNS and port 25 between them: mail by MX, within TLS that is held to its name,
// signed and checked; and each mail once, with the receiver down for a while, and killed in the middle of a message.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MailStore } from '../../src/resources/mail/store.ts';
import { SqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { PASSWORD, until } from '../mail/house.ts';
import { runCommand } from '../server-process.ts';
import { type Machine, noNamespaces, twoMachines } from './house.ts';

const skip = noNamespaces();
if (skip !== false) process.stdout.write(`test/namespaces: skipped: ${skip}\n`);

interface Side {
  readonly machine: Machine;
  readonly domain: string;
  readonly account: string;
  readonly place: readonly string[];
  readonly data: string;
}

/** A data folder with an account and a configuration. */
async function side(folder: string, machine: Machine, domain: string, account: string, other: Machine, others: string) {
  const own = join(folder, domain);
  mkdirSync(own);
  const data = join(own, 'data');
  const config = join(own, 'portico.config.json');
  const off = (...names: string[]) => Object.fromEntries(names.map((name) => [name, { enabled: false }]));
  writeFileSync(
    config,
    JSON.stringify({
      data,
      hosts: [machine.address, '127.0.0.1'],
      ports: 'standard',
      certificates: { names: [domain] },
      protocols: off('http1', 'http2', 'mqtt', 'lines', 'ftp', 'ssh', 'pop3', 'imap'),
      mail: {
        mode: 'deliver',
        domains: [domain],
        checks: 'honour',
        relay: {
          tls: 'verified',
          authorities: join(folder, others, 'data', 'certificates', 'root.crt'),
          ...{ retryMs: 200, retryMostMs: 1_000 },
        },
      },
      dns: {
        zone: domain,
        resolver: { forward: [{ zone: others, to: [other.address] }], validate: false, special: false },
      },
      outbound: { allow: ['10.213.77.0/24'] },
    }),
  );
  const place = ['--config', config];
  const made = await runCommand(['account', 'add', account, '--password-stdin', ...place], `${PASSWORD}\n`);
  assert.equal(made.code, 0, made.errors);
  return { machine, domain, account, place, data } satisfies Side;
}

/** Submits a mail for each subject, within TLS. */
function send(from: Side, to: Side, folder: string, subjects: readonly string[], text: string): void {
  const table = join(folder, 'subjects.json');
  writeFileSync(table, JSON.stringify(subjects.map((subject) => ({ subject }))));
  const body = join(folder, 'body.txt');
  writeFileSync(body, text);
  from.machine.portico(
    ...['send', `smtps://${from.account}:${encodeURIComponent(PASSWORD)}@127.0.0.1:465`, '--insecure'],
    ...['--from', `${from.account}@${from.domain}`, '--to', `${to.account}@${to.domain}`],
    ...['--each', table, '--subject', '{{subject}}', '--text', `@${body}`],
  );
}

function waiting({ machine, place }: Side): number {
  const { mails } = JSON.parse(machine.portico('queue', 'list', '--json', ...place)) as { mails: unknown[] };
  return mails.length;
}

/** The mails of an account, from the folder of a server that has stopped. */
async function mailsIn({ data, account, domain }: Side): Promise<string[]> {
  const engine = await SqliteEngine.open(data);
  try {
    const store = await MailStore.open(engine, Date.now);
    const folder = store.mailboxes.get(`${account}@${domain}`)?.folders.get('INBOX');
    assert.ok(folder, `${account} has no mailbox`);
    const open = await store.hold(folder);
    const texts: string[] = [];
    for (const uid of open.uids.subarray(0, open.count)) texts.push((await open.whole(uid))!.toString('latin1'));
    store.close();
    return texts;
  } finally {
    await engine.close();
  }
}

const subjectOf = (mail: string) => /^Subject: (.*)\r$/m.exec(mail)?.[1];

test('mail between two machines, and each once over a receiver that goes away', {
  skip,
  timeout: 300_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-machines-'));
  try {
    using wire = twoMachines('60mbit');
    const { one, two } = wire;
    const here = await side(folder, one, 'here.test', 'ann', two, 'there.test');
    const there = await side(folder, two, 'there.test', 'bob', one, 'here.test');
    // The first start makes the root that the other trusts: nothing leaves in it.
    const first = await there.machine.serve(there.place, { PORTICO_MAIL_MODE: 'catch' });
    await first.stop();
    await using sender = await here.machine.serve(here.place);
    let server = await there.machine.serve(there.place);

    send(here, there, folder, ['first'], 'Hello over there.');
    send(there, here, folder, ['answer'], 'Hello back.');
    for (const each of [here, there]) await until('an empty queue', () => waiting(each) === 0, 60_000);

    // Nobody is there for a while.
    await server.kill();
    const away = Array.from({ length: 15 }, (_, at) => `while away ${at}`);
    send(here, there, folder, away, 'Wait for me.');
    await until(
      'attempts that fail',
      () => sender.complaints.some((line) => line.includes('tried again later')),
      60_000,
    );
    assert.equal(waiting(here), away.length);
    server = await there.machine.serve(there.place);
    await until('an empty queue', () => waiting(here) === 0, 90_000);

    // Killed in the middle of a long message, three times.
    const line = `${'A line of a long message. '.repeat(3)}\n`;
    const long = ['long 1', 'long 2', 'long 3'];
    for (const subject of long) {
      const before = there.machine.received;
      const size = 8_000_000;
      send(here, there, folder, [subject], line.repeat(Math.ceil(size / line.length)));
      await until('the middle of a message', () => there.machine.received > before + 1_000_000, 60_000);
      assert.ok(there.machine.received < before + size, 'all of it was there already');
      await server.kill();
      server = await there.machine.serve(there.place);
      await until('an empty queue', () => waiting(here) === 0, 90_000);
    }
    await server.stop();
    await sender.stop();

    const got = await mailsIn(there);
    assert.deepEqual(got.map(subjectOf).sort(), ['first', ...away, ...long].sort());
    for (const mail of got) {
      assert.match(
        mail,
        /^Authentication-Results: there\.test;\r\n\tspf=pass .*;\r\n\tdkim=pass .*;\r\n\tdkim=pass .*;\r\n\tdmarc=pass /m,
      );
      assert.match(mail, /^Received: from here\.test \(10\.213\.77\.1:\d+\)\r\n\tby there\.test with ESMTPS /m);
      if (subjectOf(mail)!.startsWith('long')) assert.ok(mail.length > 8_000_000);
    }
    const [answer, ...more] = await mailsIn(here);
    assert.deepEqual([subjectOf(answer!), more], ['answer', []]);
    assert.match(answer!, /dmarc=pass header\.from=there\.test/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
