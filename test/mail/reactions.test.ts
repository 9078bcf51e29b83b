// What follows from mail and leads to it: webhooks, and topics that are mailed.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OPERATOR } from '../../src/core/caller.ts';
import { connectSmtp } from '../../src/exports/smtp.ts';
import { Portico, type PorticoConfig } from '../../src/portico.ts';
import { HOPS_MAX } from '../../src/running/mail/mail-reactions.ts';
import { mailsOf, portOf, until } from './house.ts';

const SECRET = 'a secret that both have';

interface Told {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function receiver(statuses: number[]): Promise<{ readonly url: string; readonly told: Told[]; close(): void }> {
  const told: Told[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      told.push({ headers: request.headers, body });
      response.writeHead(statuses.shift() ?? 204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    told,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const start = (more: PorticoConfig) =>
  Portico.start({
    storage: 'memory',
    ports: 'ephemeral',
    hosts: ['127.0.0.1'],
    outbound: { allow: ['127.0.0.1'] },
    ...more,
  });

async function deliver(portico: Portico, to: string, subject: string): Promise<void> {
  using connection = await connectSmtp(`smtp://127.0.0.1:${portOf(portico, 'smtp')}`, { startTls: 'never' });
  const message = Buffer.from(`Subject: ${subject}\r\nMessage-ID: <1@x>\r\n\r\nHello\r\n`);
  const [outcome] = await connection.send({ from: 'x@y.test', to: [to], message });
  assert.equal(outcome!.state, 'sent');
}

test('a webhook is told of each new mail, signed, and again until it has taken it', async () => {
  const hook = await receiver([503]);
  try {
    await using portico = await start({
      mail: { webhooks: [{ name: 'one', url: hook.url, secret: SECRET, mailbox: 'ann@here.test' }] },
    });
    await deliver(portico, 'bob@here.test', 'not for it');
    await deliver(portico, 'ann@here.test', 'for it');
    await until('a second try', () => hook.told.length === 2);
    const [first, second] = hook.told;
    assert.equal(first!.body, second!.body);
    const { mailbox, folder, uid, subject } = JSON.parse(first!.body) as Record<string, unknown>;
    assert.deepEqual([mailbox, folder, uid, subject], ['ann@here.test', 'INBOX', 1, 'for it']);
    for (const { headers, body } of hook.told) {
      const id = headers['webhook-id'];
      assert.equal(id, first!.headers['webhook-id']);
      const signed = createHmac('sha256', SECRET).update(
        `${String(id)}.${String(headers['webhook-timestamp'])}.${body}`,
      );
      assert.equal(headers['webhook-signature'], `v1,${signed.digest('base64')}`);
    }
  } finally {
    hook.close();
  }
});

test('a webhook hears of mail that came while nobody listened there, also over a restart; and reaches nothing private', async (context) => {
  const data = mkdtempSync(join(tmpdir(), 'portico-webhook-'));
  context.after(() => rmSync(data, { recursive: true, force: true }));
  const hook = await receiver([]);
  try {
    const webhooks = [{ name: 'one', url: hook.url, secret: SECRET }];
    const kept = { storage: 'sqlite', data, mail: { webhooks } } as const;
    {
      await using portico = await start({ ...kept, outbound: { allow: [] } });
      await deliver(portico, 'ann@here.test', 'kept');
      await mailsOf(portico, 'ann@here.test', 1);
    }
    assert.equal(hook.told.length, 0);
    await using portico = await start(kept);
    assert.ok(portico.listening.length > 0);
    await until('the mail of before', () => hook.told.length === 1);
    assert.equal((JSON.parse(hook.told[0]!.body) as { subject: string }).subject, 'kept');
  } finally {
    hook.close();
  }
});

test('a topic is mailed; and what goes round between the two ends', async () => {
  await using portico = await start({
    mail: {
      domains: ['here.test'],
      rules: [
        { name: 'alarms', topic: 'alarms/#', to: ['ann@here.test'], subject: 'Alarm: {topic}' },
        { name: 'round', topic: 'round/one', to: ['topics+round.one@here.test', 'bob@here.test'] },
      ],
    },
  });
  const publish = (topic: string, payload: string, contentType = '') =>
    new Promise((resolve) =>
      portico.topics.publish(
        OPERATOR,
        { topic, payload: Buffer.from(payload), contentType, assurance: 1 },
        { settled: (_token, outcome) => resolve(outcome) },
        0,
      ),
    );
  await publish('alarms/door', 'It is open.', 'text/plain');
  await publish('alarms/camera', '\xff\xd8', 'image/jpeg');
  const mails = await mailsOf(portico, 'ann@here.test', 2);
  const door = mails.find((mail) => mail.includes('Subject: Alarm: alarms/door\r\n'))!;
  assert.match(door, /\r\nFrom: topics@here\.test\r\nTo: ann@here\.test\r\n/);
  assert.match(door, /\r\nX-Portico-Topic: alarms\/door\r\nX-Portico-Hops: 1\r\nAuto-Submitted: auto-generated\r\n/);
  assert.match(door, /\r\n\r\nIt is open\.$/);
  const camera = mails.find((mail) => mail.includes('alarms/camera'))!;
  assert.match(camera, /\r\nContent-Type: image\/jpeg\r\nContent-Disposition: attachment; filename="camera"\r\n/);

  await publish('round/one', 'and on');
  const round = await mailsOf(portico, 'bob@here.test', HOPS_MAX);
  assert.deepEqual(
    round.map((mail) => Number(/\r\nX-Portico-Hops: (\d+)\r\n/.exec(mail)![1])),
    Array.from({ length: HOPS_MAX }, (_, at) => at + 1),
  );
  // The last message was published, and is not mailed.
  await publish('alarms/last', 'x');
  await mailsOf(portico, 'ann@here.test', 3);
  assert.equal((await mailsOf(portico, 'bob@here.test', HOPS_MAX)).length, HOPS_MAX);
});
