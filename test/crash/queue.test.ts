// The queue over the end of its server: an orderly one hears what was said of the mails that are out, and sends none twice; one by
// kill -9 loses none, and repeats at most those that were out in that moment.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectSmtp } from '../../src/exports/smtp.ts';
import { receiver } from '../mail/fake-receiver.ts';
import { PASSWORD, until } from '../mail/house.ts';
import { type Running, runCommand, startServer } from '../server-process.ts';

const TIMEOUT = { timeout: 200_000 };
const AT_ONCE = 4;

async function place(folder: string, port: number): Promise<string[]> {
  const config = join(folder, 'portico.config.json');
  const relay = {
    smartHost: `smtp://127.0.0.1:${port}`,
    tls: 'offered',
    retryMs: 100,
    retryMostMs: 500,
    perDestinationMax: AT_ONCE,
  };
  const mail = { mode: 'deliver', domains: ['here.test'], relay };
  writeFileSync(config, JSON.stringify({ data: join(folder, 'data'), mail, outbound: { allow: ['127.0.0.1'] } }));
  const made = await runCommand(['account', 'add', 'ann', '--password-stdin', '--config', config], `${PASSWORD}\n`);
  assert.equal(made.code, 0, made.errors);
  return ['--config', config];
}

/** Submits mails until it is told to stop or the server is gone; tells of each that was acknowledged. */
async function submitAll(
  server: Running,
  subjects: readonly string[],
  acknowledged: (subject: string) => void,
): Promise<void> {
  const url = `smtp://ann:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port('submission')}`;
  using connection = await connectSmtp(url, { startTls: 'never' });
  for (const subject of subjects) {
    const message = Buffer.from(`From: <ann@here.test>\r\nSubject: ${subject}\r\n\r\nx\r\n`);
    const [outcome] = await connection.send({ from: 'ann@here.test', to: ['bob@there.test'], message });
    if (outcome!.state !== 'sent') return;
    acknowledged(subject);
  }
}

const subjectOf = (text: string) => /^Subject: (.*)\r?$/m.exec(text)?.[1] ?? '';

test('an orderly end waits for the last word about the mails that are out', TIMEOUT, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-queue-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const other = await receiver(() => 700);
  try {
    const where = await place(folder, other.port);
    {
      await using server = await startServer(where);
      await submitAll(server, ['a', 'b', 'c'], () => {});
      await until('the end of a message', () => other.ended >= 1);
      assert.equal(await server.stop(), 0);
    }
    await using server = await startServer(where);
    await until('all of them', () => new Set(other.taken.map(subjectOf)).size === 3, 30_000);
    await until('an empty queue', async () => {
      const { output } = await runCommand(['queue', 'list', '--json', ...where]);
      return (JSON.parse(output) as { mails: unknown[] }).mails.length === 0;
    });
    assert.ok(server.port('smtp') > 0);
    assert.deepEqual(other.taken.map(subjectOf).sort(), ['a', 'b', 'c']);
  } finally {
    other.close();
  }
});

test('kill -9 while mail leaves: all that was acknowledged arrives, and few twice', TIMEOUT, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-queue-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const other = await receiver(() => 5);
  const acknowledged = new Set<string>();
  const rounds = 5;
  try {
    const where = await place(folder, other.port);
    for (let round = 0; round < rounds; round++) {
      await using server = await startServer(where);
      const before = other.taken.length;
      const subjects = Array.from({ length: 500 }, (_, at) => `r${round}-${at}`);
      const submitting = submitAll(server, subjects, (subject) => acknowledged.add(subject));
      await until('some mails that have left', () => other.taken.length > before + 20, 30_000);
      await server.kill();
      await submitting;
    }
    await using server = await startServer(where);
    assert.ok(server.port('smtp') > 0);
    const missing = () =>
      [...acknowledged].filter((subject) => !other.taken.some((text) => subjectOf(text) === subject));
    await until('all that was acknowledged', () => missing().length === 0, 60_000);
    await until('an empty queue', async () => {
      const { output } = await runCommand(['queue', 'list', '--json', ...where]);
      return (JSON.parse(output) as { mails: unknown[] }).mails.length === 0;
    });
    assert.ok(acknowledged.size > rounds * 20);
    // Those that were out when it was killed: their server had taken them, and nobody was there to hear it.
    const twice = other.taken.length - new Set(other.taken.map(subjectOf)).size;
    assert.ok(twice <= rounds * AT_ONCE, `${twice} mails arrived twice`);
  } finally {
    other.close();
  }
});
