// `portico queue` on a server that runs, and where none does.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { EXIT } from '../../src/cli/output.ts';
import { connectSmtp } from '../../src/exports/smtp.ts';
import { runCommand, startServer } from '../server-process.ts';
import { PASSWORD, until } from './house.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-queue-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const data = join(folder, 'data');

interface Listed {
  readonly mails: readonly {
    id: number;
    held: boolean;
    recipients: { address: string; tries: number; said: string }[];
  }[];
}

test('list, show, hold, retry, release, remove; nothing is lost over a restart', { timeout: 90_000 }, async () => {
  const config = join(folder, 'portico.config.json');
  writeFileSync(
    config,
    JSON.stringify({
      mail: { mode: 'deliver', domains: ['here.test'], relay: { smartHost: 'smtp://127.0.0.1:1', tls: 'offered' } },
      outbound: { allow: ['127.0.0.1'] },
    }),
  );
  const place = ['--data', data, '--config', config];
  const run = async (...args: string[]) => {
    const { code, output, errors } = await runCommand(['queue', ...args, ...place]);
    return { code, output, errors };
  };
  assert.equal((await run('list')).code, EXIT.unavailable);
  const made = await runCommand(['account', 'add', 'ann', '--password-stdin', ...place], `${PASSWORD}\n`);
  assert.equal(made.code, EXIT.ok, made.errors);
  const listed = async () => JSON.parse((await run('list', '--json')).output) as Listed;
  {
    await using server = await startServer(place);
    using connection = await connectSmtp(
      `smtp://ann:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port('submission')}`,
      {
        startTls: 'never',
      },
    );
    const message = Buffer.from('Subject: Held up\r\n\r\nx\r\n');
    for (const to of ['bob@there.test', 'eve@there.test']) {
      const [sent] = await connection.send({ from: 'ann@here.test', to: [to], message });
      assert.equal(sent!.state, 'sent', sent!.text);
    }
    await until('a failed attempt', async () =>
      (await listed()).mails.some(({ recipients }) => recipients[0]!.tries > 0),
    );
  }
  await using server = await startServer(place);
  assert.ok(server.port('smtp') > 0);
  const [first, second, ...more] = (await listed()).mails;
  assert.deepEqual(
    [first!.recipients[0]!.address, second!.recipients[0]!.address],
    ['bob@there.test', 'eve@there.test'],
  );
  assert.deepEqual(more, []);
  const text = await run('list');
  assert.match(
    text.output,
    /^1 +ann@here\.test \d+ bytes, since \d{4}-.*\n +bob@there\.test tried \d+ times, next \d{4}-/,
  );
  assert.match((await run('show', '1')).output, /\n\nReceived: from localhost .*\nSubject: Held up\n\n$/s);
  assert.equal((await run('show', '99')).code, EXIT.failed);
  assert.equal((await run('show', 'x')).code, EXIT.usage);
  assert.equal((await run('hold')).code, EXIT.usage);
  assert.equal((await run('hold', '1')).code, EXIT.ok);
  assert.equal((await listed()).mails[0]!.held, true);
  assert.equal((await run('retry', '--all')).code, EXIT.ok);
  assert.equal((await run('release', '1')).code, EXIT.ok);
  assert.equal((await listed()).mails[0]!.held, false);
  await until('its removal', async () => (await run('remove', '2', '--tell')).code === EXIT.failed);
  assert.deepEqual(
    (await listed()).mails.map(({ id }) => id),
    [1],
  );
});
