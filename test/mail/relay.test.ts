// Mail between servers: by MX and by way of a smart host, with what the sender is told where it does not arrive.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { receiver } from './fake-receiver.ts';
import { domainServer, knowing, mailsOf, PASSWORD, portOf, submitted, until } from './house.ts';

test('from one domain to another by MX, within TLS, and what is refused there comes back', async () => {
  await using there = await domainServer('there.test', ['bob']);
  await using here = await domainServer('here.test', ['ann'], {
    dns: knowing([there]),
    mail: { relay: { port: portOf(there, 'smtp') } },
  });
  await submitted(here, {
    user: 'ann',
    from: 'ann@here.test',
    to: ['bob@there.test', 'nobody@there.test', 'ann@here.test'],
  });
  const [mail = ''] = await mailsOf(there, 'bob', 1);
  assert.match(mail, /^Return-Path: <ann@here\.test>\r\n/);
  assert.match(mail, /\r\nReceived: from here\.test \(127\.0\.0\.1:\d+\)\r\n\tby there\.test with ESMTPS id /);
  // One return path only, of who delivers (RFC 5321 §4.4).
  assert.equal(mail.match(/^Return-Path:/gim)!.length, 1);
  const mails = await mailsOf(here, 'ann', 2);
  const report = mails.find((text) => text.includes('report-type=delivery-status'))!;
  assert.match(
    report,
    /\r\nFinal-Recipient: rfc822; nobody@there\.test\r\nAction: failed\r\nStatus: 5\.1\.1\r\nRemote-MTA: dns; there\.test\r\n/,
  );
  await until('an empty queue', () => here.mail.queue!.figures.mails === 0);
  assert.equal((await mailsOf(there, 'bob', 1)).length, 1);
});

test('many at once arrive each once, over few connections', async () => {
  await using there = await domainServer('there.test', ['bob']);
  await using here = await domainServer('here.test', ['ann'], {
    dns: knowing([there]),
    mail: { relay: { port: portOf(there, 'smtp'), perDestinationMax: 2 } },
  });
  const subjects = Array.from({ length: 40 }, (_, at) => `number ${at}`);
  await Promise.all(
    subjects.map((subject) => submitted(here, { user: 'ann', from: 'ann@here.test', to: ['bob@there.test'], subject })),
  );
  const mails = await mailsOf(there, 'bob', subjects.length);
  await until('an empty queue', () => here.mail.queue!.figures.mails === 0);
  const got = mails.map((text) => /^Subject: (.*)\r$/m.exec(text)![1]!);
  assert.deepEqual(got.sort(), subjects.sort());
});

test('by way of a smart host, which is signed in to and held to its certificate', async () => {
  await using there = await domainServer('there.test', ['bob']);
  await using smart = await domainServer('smart.test', ['relay'], {
    dns: knowing([there]),
    mail: { relay: { port: portOf(there, 'smtp') } },
  });
  const port = portOf(smart, 'submission');
  const smartHost = `submission://relay:${encodeURIComponent(PASSWORD)}@localhost:${port}`;
  await using here = await domainServer('here.test', ['ann'], { mail: { relay: { smartHost, tls: 'required' } } });
  await submitted(here, { user: 'ann', from: 'ann@here.test', to: ['bob@there.test'] });
  const [mail = ''] = await mailsOf(there, 'bob', 1);
  assert.match(mail, /by there\.test with ESMTPS/);
  assert.match(mail, /by smart\.test with ESMTPSA/);
  // Nobody has vouched for its certificate here: nothing is sent.
  await using strict = await domainServer('strict.test', ['ann'], { mail: { relay: { smartHost } } });
  await submitted(strict, { user: 'ann', from: 'ann@strict.test', to: ['bob@there.test'] });
  await until('a failed attempt', () =>
    strict.mail.queue!.list(0, 1).some(({ recipients }) => recipients[0]!.tries > 0),
  );
  assert.match(strict.mail.queue!.list(0, 1)[0]!.recipients[0]!.said, /handshake/);
  assert.equal((await mailsOf(there, 'bob', 1)).length, 1);
});

test('domains that are not, take no mail, or lead back here (RFC 5321 §5.1, RFC 7505)', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-zone-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'zone');
  const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
  await using there = await domainServer('there.test', ['bob'], { hosts: ['127.0.0.1', '::1'] });
  writeFileSync(
    file,
    [
      '$ORIGIN zone.test.',
      '$TTL 60',
      '@ SOA ns hostmaster 1 60 60 60 60',
      '@ NS ns',
      'ns A 127.0.0.1',
      'none MX 0 .',
      'back MX 10 here.test.',
      'back MX 20 dead',
      'bare A 127.0.0.1',
      'dead A 127.0.0.2',
      'two MX 10 dead',
      'two MX 20 here.test.',
      'nobody MX 10 nothing',
      'nothing TXT "no address"',
      'text TXT "no mail either"',
      'alias CNAME bare',
      'six MX 10 only6',
      'only6 AAAA ::1',
      '',
    ].join('\n'),
  );
  await using names = await domainServer('names.test', [], { dns: { zones: [{ name: 'zone.test', file }] } });
  await using here = await domainServer('here.test', ['ann'], {
    dns: knowing([names], ['zone.test']),
    mail: { relay: { port: portOf(there, 'smtp'), tls: 'offered' } },
  });
  const cases: readonly (readonly [domain: string, said: RegExp])[] = [
    ['nowhere.zone.test', /^5\.1\.2 There is no domain nowhere\.zone\.test\.$/],
    ['none.zone.test', /^5\.1\.10 none\.zone\.test takes no mail\.$/],
    ['back.zone.test', /^5\.4\.6 Mail for back\.zone\.test would come back to this server/],
    ['nobody.zone.test', /^5\.4\.4 No host for mail of nobody\.zone\.test has an address\.$/],
    ['text.zone.test', /^5\.4\.4 /],
    // Reached without an MX record, by its own address; its server takes no mail for it.
    ['bare.zone.test', /^550 5\.7\.1 /],
    ['alias.zone.test', /^550 5\.7\.1 /],
    ['[127.0.0.1]', /^550 5\.7\.1 /],
    ...(hasIpv6
      ? ([
          ['six.zone.test', /^550 5\.7\.1 /],
          ['[IPv6:::1]', /^550 5\.7\.1 /],
        ] as const)
      : []),
  ];
  await submitted(here, { user: 'ann', from: 'ann@here.test', to: cases.map(([domain]) => `x@${domain}`) });
  await until('an empty queue', () => here.mail.queue!.figures.mails === 0);
  const reports = (await mailsOf(here, 'ann', 1)).join('').replaceAll('\r\n ', ' ');
  for (const [domain, said] of cases) {
    const found = new RegExp(
      `Final-Recipient: rfc822; x@${domain.replace(/[[\]]/g, '\\$&')}\r\n(?:.*\r\n)*?Diagnostic-Code: smtp; (.*)\r\n`,
    );
    assert.match(found.exec(reports)?.[1] ?? `nothing about ${domain}`, said);
  }
  // The first is nearer than this server, and is tried: nobody is there.
  await submitted(here, { user: 'ann', from: 'ann@here.test', to: ['x@two.zone.test'] });
  await until('a failed attempt', () => here.mail.queue!.list(0, 9).some(({ recipients }) => recipients[0]!.tries > 0));
  assert.match(here.mail.queue!.list(0, 1)[0]!.recipients[0]!.said, /dead\.zone\.test cannot be reached/);
});

test('a server that vanishes in the middle of a mail: it is sent again, and no half of it is anywhere', async () => {
  let count = 0;
  const heard: string[] = [];
  const server = createServer((socket) => {
    const isFirst = count++ === 0;
    let text = '';
    let within = false;
    socket.on('error', () => {});
    socket.write('220 fake\r\n');
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (within) {
        if (isFirst) {
          socket.destroy();
          return;
        }
        if (!text.endsWith('\r\n.\r\n')) return;
        heard.push(text);
        within = false;
        text = '';
        socket.write('250 taken\r\n');
        return;
      }
      for (let end = text.indexOf('\r\n'); end >= 0 && !within; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        within = line === 'DATA';
        socket.write(within ? '354 go\r\n' : line === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as { port: number };
    const relay = { smartHost: `smtp://127.0.0.1:${port}`, tls: 'offered', retryMs: 50 } as const;
    await using here = await domainServer('here.test', ['ann'], { mail: { relay } });
    await submitted(here, {
      user: 'ann',
      from: 'ann@here.test',
      to: ['x@a.test', 'y@b.test'],
      text: 'All of it.\n.\n..',
    });
    await until('a mail that was taken', () => heard.length > 0);
    await until('an empty queue', () => here.mail.queue!.figures.mails === 0);
    assert.equal(count, 2);
    assert.equal(heard.length, 1);
    assert.match(heard[0]!, /\r\n\r\nAll of it\.\r\n\.\.\r\n\.\.\.\r\n\.\r\n$/);
  } finally {
    server.close();
  }
});

test('TLS that is offered and fails: in the clear where it is only wished for, and not at all where it is required', async () => {
  const other = await receiver(() => 0, true);
  try {
    const relay = { smartHost: `smtp://127.0.0.1:${other.port}` };
    await using wishes = await domainServer('here.test', ['ann'], { mail: { relay: { ...relay, tls: 'offered' } } });
    await submitted(wishes, { user: 'ann', from: 'ann@here.test', to: ['x@there.test'] });
    await until('an empty queue', () => wishes.mail.queue!.figures.mails === 0);
    assert.equal(other.taken.length, 1);
    await using insists = await domainServer('here.test', ['ann'], { mail: { relay: { ...relay, tls: 'required' } } });
    await submitted(insists, { user: 'ann', from: 'ann@here.test', to: ['x@there.test'] });
    await until('a failed attempt', () => insists.mail.queue!.list(0, 1)[0]!.recipients[0]!.tries > 0);
    assert.equal(other.taken.length, 1);
  } finally {
    other.close();
  }
});

test('a program sends by the service, as an account; nobody without one', async () => {
  const other = await receiver(() => 0);
  try {
    const relay = { smartHost: `smtp://127.0.0.1:${other.port}`, tls: 'offered' } as const;
    await using here = await domainServer('here.test', ['ann'], { mail: { relay } });
    const send = async (headers: Readonly<Record<string, string>>) => {
      const letter = {
        from: 'ann@here.test',
        to: ['x@there.test', 'ann@here.test'],
        subject: 'By service',
        text: 'Hello',
      };
      const answer = await fetch(`${here.urls.http}/services/portico.v1.Mail/Send`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
        body: JSON.stringify(letter),
      });
      await answer.body?.cancel();
      return answer.status;
    };
    assert.ok([401, 403].includes(await send({})));
    assert.equal(await send({ authorization: `Basic ${Buffer.from(`ann:${PASSWORD}`).toString('base64')}` }), 200);
    await until('a mail that was taken', () => other.taken.length === 1);
    assert.match(other.taken[0]!, /^DKIM-Signature: v=1; a=rsa-sha256; .*d=here\.test;\r\n/);
    assert.equal((await mailsOf(here, 'ann', 1)).length, 1);
    await until('an empty queue', () => here.mail.queue!.figures.mails === 0);
  } finally {
    other.close();
  }
});
