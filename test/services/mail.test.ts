// Mail as a service, by programs that test what mails: sent by one protocol, waited for by another, read by a third.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Portico } from '../../src/portico.ts';

const SERVICE = 'services/portico.v1.Mail';

test('a mail is sent, waited for, listed, read, flagged and deleted, over REST and GraphQL', async () => {
  await using portico = await Portico.start({ storage: 'memory', ports: 'ephemeral' });
  const ask = async (url: string, body: unknown): Promise<{ status: number; body: Record<string, never> }> => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${portico.urls.http}/${url}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.status, body: (await answer.json()) as Record<string, never> };
  };
  const call = (method: string, body: unknown) => ask(`${SERVICE}/${method}`, body);
  const nobody = await call('Wait', { mailbox: 'bob@example.net', seconds: 0 });
  assert.equal(nobody.status, 504, JSON.stringify(nobody.body));
  assert.equal((await call('Wait', { mailbox: 'no address', seconds: 0 })).status, 404);
  const auth = `Basic ${Buffer.from('bob@example.net:any').toString('base64')}`;
  const as = async (method: string, body: unknown) => {
    const headers = { 'content-type': 'application/json', authorization: auth };
    const answer = await fetch(`${portico.urls.http}/${SERVICE}/${method}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, never> };
  };
  const late = await as('Wait', { seconds: 0 });
  assert.equal(late.status, 504, JSON.stringify(late.body));
  const waiting = as('Wait', { subject: 'invoice', seconds: 20 });
  const sent = await call('Send', {
    from: 'Shop <shop@example.org>',
    to: ['Bob <bob@example.net>'],
    subject: 'Your Invoice',
    text: 'Pay.',
    html: '<p>Pay.</p>',
    attachments: [{ name: 'ü.pdf', type: 'application/pdf', content: Buffer.from('%PDF').toString('base64') }],
  });
  assert.equal(sent.status, 200, JSON.stringify(sent.body));
  const { summary, text, html, attachments } = (await waiting).body as unknown as {
    summary: { uid: number; subject: string; from: unknown; messageId: string };
    text: string;
    html: string;
    attachments: { section: string; name: string; type: string }[];
  };
  assert.deepEqual(
    [summary.uid, summary.subject, summary.from, summary.messageId],
    [
      1,
      'Your Invoice',
      [{ name: 'Shop', address: 'shop@example.org' }],
      (sent.body as { messageId?: string }).messageId,
    ],
  );
  assert.deepEqual([text, html], ['Pay.', '<p>Pay.</p>']);
  assert.deepEqual(
    attachments.map(({ section, name, type }) => [section, name, type]),
    [['2', 'ü.pdf', 'application/pdf']],
  );
  const part = await as('ReadAttachment', { uid: 1, section: '2' });
  assert.equal(Buffer.from((part.body as { content?: string }).content!, 'base64').toString(), '%PDF');
  await as('Flag', { uids: [1], add: ['SEEN', 'FLAGGED'] });
  const listed = await as('List', {});
  const [first] = (listed.body as unknown as { messages: { flags: string[] }[] }).messages;
  assert.deepEqual(first?.flags, ['SEEN', 'FLAGGED']);
  assert.deepEqual(((await as('Search', { unseen: true })).body as { messages?: unknown[] }).messages ?? [], []);
  assert.equal(
    ((await as('Search', { text: 'PAY', from: 'shop@' })).body as { messages?: unknown[] }).messages?.length,
    1,
  );
  const graph = await fetch(`${portico.urls.http}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: auth },
    body: JSON.stringify({ query: '{ __type(name: "MailSummary") { fields { name } } }' }),
  });
  assert.match(await graph.text(), /"messageId"/);
  assert.equal((await as('Delete', {})).status, 200);
  assert.equal((await as('Read', { uid: 1 })).status, 404);
  assert.equal((await call('Send', { from: 'x@y', to: ['no address'] })).status, 400);
});

test('a watch tells mails as they come by SMTP', async () => {
  await using portico = await Portico.start({ storage: 'memory', ports: 'ephemeral' });
  const caller = { account: 'bob@example.net', scopes: null, origin: 'local', epoch: 0 } as const;
  const client = portico.client<never>('portico.v1.Mail' as never, caller) as unknown as {
    Watch(input: object): AsyncIterable<{ subject: string; mailbox: string }>;
    Send(input: object): Promise<unknown>;
  };
  const watch = client.Watch({ mailbox: 'bob@example.net' })[Symbol.asyncIterator]();
  const next = watch.next();
  // The watch begins in a later step: it is told of mails from then on.
  for (let subject = 0; ; subject++) {
    await client.Send({ from: 'a@example.org', to: ['bob@example.net'], subject: `mail ${subject}` });
    const told = await Promise.race([next, new Promise<null>((resolve) => setTimeout(resolve, 200, null))]);
    if (told === null) continue;
    assert.match(told.value!.subject, /^mail \d+$/);
    assert.equal(told.value!.mailbox, 'bob@example.net');
    break;
  }
  await watch.return?.();
});
