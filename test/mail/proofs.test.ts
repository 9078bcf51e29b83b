// What mail proves between servers: signed in the name of its domain, checked where it comes, refused where its domain says so, and
// sealed where it is sent on.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectSmtp } from '../../src/exports/smtp.ts';
import type { Portico, PorticoConfig } from '../../src/portico.ts';
import { domainServer, lateDns, latePort, mailsOf, portOf, submitted, until } from './house.ts';

type Checks = NonNullable<PorticoConfig['mail']>['checks'];

/** Two servers that find each other. */
async function pair(
  checks: Checks,
  run: (here: Portico, there: Portico) => Promise<void>,
  aliases = {},
): Promise<void> {
  const dns = await lateDns();
  const zones = await lateDns();
  const back = await latePort();
  try {
    const resolver = (port: number, zone: string) => {
      return { resolver: { forward: [{ zone, to: [`127.0.0.1:${port}`] }], validate: false, special: false } };
    };
    await using there = await domainServer('there.test', ['bob'], {
      dns: resolver(dns.port, 'here.test'),
      mail: { checks, aliases, relay: { port: back.port } },
    });
    await using here = await domainServer('here.test', ['ann', 'cid'], {
      dns: resolver(zones.port, 'there.test'),
      mail: { relay: { port: portOf(there, 'smtp') } },
    });
    dns.to(here);
    zones.to(there);
    back.to(portOf(here, 'smtp'));
    await run(here, there);
  } finally {
    dns.close();
    zones.close();
    back.close();
  }
}

const resultsOf = (mail: string) =>
  /^Authentication-Results: (.*\r\n(?:[ \t].*\r\n)*)/m.exec(mail)?.[1]?.replace(/\r\n\s*/g, ' ');

test('a mail is signed with both keys, which its domain’s zone has, and all of it is found true', async () => {
  await pair('honour', async (here, there) => {
    await submitted(here, { user: 'ann', from: 'ann@here.test', to: ['bob@there.test'] });
    const long = 'A line of a long mail.\n'.repeat(10_000);
    await submitted(here, { user: 'ann', from: 'ann@here.test', to: ['bob@there.test'], text: long, subject: 'Long' });
    for (const mail of await mailsOf(there, 'bob', 2)) {
      assert.match(
        resultsOf(mail)!,
        /^there\.test; spf=pass \(mx of here\.test\) smtp\.mailfrom=here\.test; dkim=pass header\.d=here\.test header\.s=portico-rsa header\.a=rsa-sha256 header\.b=\S+; dkim=pass header\.d=here\.test header\.s=portico-ed25519 header\.a=ed25519-sha256 header\.b=\S+; dmarc=pass header\.from=here\.test $/,
      );
      assert.match(mail, /^Return-Path: <ann@here\.test>\r\nAuthentication-Results: there\.test;/);
      if (mail.includes('Subject: Long')) assert.ok(mail.endsWith(`${long.replaceAll('\n', '\r\n')}\r\n`));
    }
  });
});

test('mail in the name of a domain that wants it refused: refused, or marked; and no results but our own', async () => {
  const forged = Buffer.from(
    'Authentication-Results: there.test; dmarc=pass header.from=here.test\r\nAuthentication-Results: elsewhere; spf=pass\r\nFrom: <ann@here.test>\r\nSubject: Pay me\r\n\r\nNow.\r\n',
  );
  const send = async (there: Portico) => {
    using connection = await connectSmtp(`smtp://127.0.0.1:${portOf(there, 'smtp')}`, {
      name: 'evil.test',
      startTls: 'never',
    });
    const [outcome] = await connection.send({ from: 'x@evil.test', to: ['bob@there.test'], message: forged });
    return outcome!.text;
  };
  await pair('honour', async (_here, there) => {
    assert.match(await send(there), /^550 5\.7\.1 /);
    assert.deepEqual(await mailsOf(there, 'bob', 0), []);
  });
  await pair('mark', async (_here, there) => {
    assert.match(await send(there), /^250 /);
    const [mail = ''] = await mailsOf(there, 'bob', 1);
    assert.match(
      resultsOf(mail)!,
      /^there\.test; spf=\w+ .*; dkim=none; dmarc=fail \(p=reject\) header\.from=here\.test $/,
    );
    assert.equal(mail.match(/^Authentication-Results: there\.test/gm)!.length, 1);
    assert.match(mail, /^Authentication-Results: elsewhere; spf=pass\r$/m);
  });
  await pair(false, async (_here, there) => {
    assert.match(await send(there), /^250 /);
    const [mail = ''] = await mailsOf(there, 'bob', 1);
    assert.match(mail, /^Received: .*\r\n(?:[ \t].*\r\n)+Authentication-Results: there\.test; dmarc=pass/m);
  });
});

test('what a domain wants held apart goes to Junk, in every mailbox that it comes to', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-dmarc-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'zone');
  const lines = ['$ORIGIN apart.test.', '$TTL 60', '@ SOA ns h 1 60 60 60 60', '@ NS ns', 'ns A 127.0.0.1'];
  writeFileSync(file, [...lines, '_dmarc TXT "v=DMARC1; p=quarantine"', '@ TXT "v=spf1 -all"', ''].join('\n'));
  await using there = await domainServer('there.test', ['bob'], {
    mail: { checks: 'honour' },
    dns: { zones: [{ name: 'apart.test', file }] },
  });
  const message = Buffer.from('From: <x@apart.test>\r\nSubject: Win\r\n\r\nNow.\r\n');
  using connection = await connectSmtp(`smtp://127.0.0.1:${portOf(there, 'smtp')}`, { startTls: 'never' });
  const [outcome] = await connection.send({ from: 'x@apart.test', to: ['bob@there.test'], message });
  assert.equal(outcome!.state, 'sent');
  assert.deepEqual(await mailsOf(there, 'bob', 0), []);
  const caller = { account: 'bob', scopes: null, origin: 'local', epoch: 0, id: 'bob' } as const;
  const box = await there.mail.open(caller, 'bob@there.test');
  assert.ok(typeof box !== 'number');
  const junk = await box.open('Junk');
  assert.ok(typeof junk !== 'number');
  assert.match(
    (await junk.whole(junk.uids[0]!))!.toString(),
    /spf=fail .*\r\n.*\r\n.*dmarc=fail \(p=quarantine\) header\.from=apart\.test\r\n/,
  );
  box.close(junk);
});

test('what an alias sends on is sealed with what was found when it came', async () => {
  await pair(
    'mark',
    async (here, there) => {
      await submitted(here, { user: 'ann', from: 'ann@here.test', to: ['list@there.test'] });
      const [sentOn = ''] = await mailsOf(here, 'cid', 1);
      assert.match(sentOn, /^ARC-Seal: i=1; a=rsa-sha256; t=\d+; cv=none;\r\n\td=there\.test; s=portico-rsa;\r$/m);
      assert.match(sentOn, /^ARC-Authentication-Results: i=1; there\.test;\r\n\tspf=pass .*\r\n\tdkim=pass /m);
      // Its sender is not of the server that brings it; its signatures still hold.
      assert.match(
        resultsOf(sentOn)!,
        /^here\.test; spf=pass .*; dkim=pass .*; dmarc=pass header\.from=here\.test; arc=pass $/,
      );
      const [mail = ''] = await mailsOf(there, 'bob', 1);
      assert.doesNotMatch(mail, /^ARC-/m);
      await until('an empty queue', () => there.mail.queue!.figures.mails === 0);
    },
    { list: ['bob', 'cid@here.test'] },
  );
});

test('keys are made once, for this user alone, with the records for who runs the zone', async (context) => {
  const data = mkdtempSync(join(tmpdir(), 'portico-dkim-'));
  context.after(() => rmSync(data, { recursive: true, force: true }));
  const file = (name: string) => join(data, 'dkim', name);
  const start = () => domainServer('here.test', [], { storage: 'sqlite', data });
  await (await start()).close();
  assert.equal(statSync(file('here.test.rsa.pem')).mode & 0o777, 0o600);
  const first = readFileSync(file('here.test.zone'), 'utf8');
  assert.match(
    first,
    /^portico-rsa\._domainkey\.here\.test\. TXT "v=DKIM1; k=rsa; p=[^"]{1,255}" "[^"]+"\nportico-ed25519\._domainkey/,
  );
  await (await start()).close();
  assert.equal(readFileSync(file('here.test.zone'), 'utf8'), first);
  assert.ok(existsSync(file('here.test.ed25519.pem')));
});
