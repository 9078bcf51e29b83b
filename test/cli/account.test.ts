// `portico account`, `token` and `audit`: on the data folder, and of the server that runs there, at once.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../../src/cli/output.ts';
import { missing } from '../clients.ts';
import { runCommand, startServer } from '../server-process.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const TIMEOUT = { timeout: 90_000 };
const PORTS = ['--port', 'http1=0', 'mqtt=0', 'lines=0'];
const PASSWORD = 'correct horse';
const folder = mkdtempSync(join(tmpdir(), 'portico-account-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command on a data folder; what comes of it as JSON. */
async function run(data: string, args: readonly string[], input = ''): Promise<Readonly<Record<string, unknown>>> {
  const { code, output, errors } = await runCommand([...args, '--data', join(folder, data), '--json'], input);
  assert.equal(code, EXIT.ok, errors);
  return JSON.parse(output) as Readonly<Record<string, unknown>>;
}

async function failure(data: string, args: readonly string[], input = ''): Promise<readonly [number | null, string]> {
  const { code, errors } = await runCommand([...args, '--data', join(folder, data)], input);
  return [code, errors];
}

test('an account that is made on the folder opens the server that is started on it', TIMEOUT, async () => {
  const made = await run('one', ['account', 'add', 'ann', '--password-stdin'], `${PASSWORD}\nmore`);
  assert.equal(made.openModeEnded, true);
  const { token } = await run('one', ['token', 'add', 'ann', 'ci', '--expires', '1d']);
  await using server = await startServer(['--data', join(folder, 'one'), ...PORTS]);
  const ask = async (authorization: string) => {
    const answer = await fetch(`${server.urls.http}/topics`, { headers: { authorization } });
    await answer.body?.cancel();
    return answer.status;
  };
  const basic = (name: string, password: string) => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
  assert.equal(await ask(basic('ann', PASSWORD)), 200);
  assert.equal(await ask(`Bearer ${String(token)}`), 200);
  assert.equal(await ask(basic('ann', 'wrong horse')), 401);
  // Of the running server, and at once.
  await run('one', ['token', 'revoke', 'ann', 'ci']);
  assert.equal(await ask(`Bearer ${String(token)}`), 401);
  await run('one', ['account', 'add', 'bob', '--password-stdin', '--admin'], `${PASSWORD}\n`);
  assert.equal(await ask(basic('bob', PASSWORD)), 200);
  await run('one', ['account', 'remove', 'bob']);
  assert.equal(await ask(basic('bob', PASSWORD)), 401);
  const listed = (await run('one', ['account', 'list'])) as unknown as { name: string; groups: string[] }[];
  assert.deepEqual(
    listed.map(({ name, groups }) => [name, groups]),
    [['ann', ['admins']]],
  );
  const { code, output } = await runCommand(['audit', '--data', join(folder, 'one')]);
  assert.equal(code, EXIT.ok);
  assert.match(output, /account\.add +ann by command from this machine: ok/);
  assert.match(output, /sign-in +ann by password from 127\.0\.0\.1, http: wrong/);
  // Neither in the audit nor on the disk.
  for (const secret of [PASSWORD, String(token).slice(12)]) assert.ok(!output.includes(secret));
});

test('no secret stands on the disk, and nobody else may read it', TIMEOUT, async () => {
  const files = readdirSync(join(folder, 'one')).filter((name) => name.startsWith('portico.db'));
  assert.ok(files.length > 0);
  for (const name of files) {
    assert.equal(statSync(join(folder, 'one', name)).mode & 0o077, 0, name);
    assert.ok(!readFileSync(join(folder, 'one', name)).includes(PASSWORD), name);
  }
});

test('what is wrong is said, and by the exit code', TIMEOUT, async () => {
  const add = ['account', 'add'];
  assert.equal((await failure('two', [...add, 'ann', '--password-stdin'], 'short\n'))[0], EXIT.usage);
  assert.equal((await failure('two', [...add, 'a/b', '--no-password']))[0], EXIT.usage);
  assert.equal((await failure('two', [...add, 'ann', '--no-password', '--expires', 'soon']))[0], EXIT.usage);
  const [code, errors] = await failure('two', [...add, 'ann']);
  assert.equal(code, EXIT.usage);
  assert.match(errors, /--password-stdin/);
  await run('two', [...add, 'ann', '--no-password']);
  assert.equal((await failure('two', [...add, 'Ann', '--no-password']))[0], EXIT.failed);
  assert.equal((await failure('two', ['account', 'show', 'zoe']))[0], EXIT.failed);
  assert.equal((await failure('two', ['token', 'revoke', 'ann', 'ci']))[0], EXIT.failed);
});

test('a listener beyond loopback is refused before the first account, and allowed after it', TIMEOUT, async () => {
  const args = ['--data', join(folder, 'three'), ...PORTS, '--host', '0.0.0.0'];
  const [code, errors] = await failure('three', ['up', ...PORTS, '--host', '0.0.0.0']);
  assert.equal(code, EXIT.refused);
  assert.match(errors, /portico account add/);
  await run('three', ['account', 'add', 'ann', '--password-stdin'], `${PASSWORD}\n`);
  await using server = await startServer(args);
  assert.equal((await fetch(`http://127.0.0.1:${server.port('http')}/topics`)).status, 401);
});

test('a terminal is asked for the password twice, and shows none of it', {
  ...TIMEOUT,
  skip: missing('script'),
}, async () => {
  const ask = (typed: string) =>
    new Promise<readonly [number | null, string]>((resolve) => {
      const command = `${process.execPath} ${MAIN} account add ann --data ${join(folder, 'four')}`;
      const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
      let shown = '';
      let answered = 0;
      child.stdout.on('data', (data) => {
        shown += data;
        const asked = shown.match(/password for ann: |the same again: /g)?.length ?? 0;
        for (; answered < asked; answered++) child.stdin.write(answered === 0 ? `${PASSWORD}x\u007f\r` : typed);
      });
      child.on('close', (code) => resolve([code, shown]));
    });
  const [mistyped, said] = await ask('correct house\r');
  assert.equal(mistyped, EXIT.usage);
  assert.match(said, /they are not the same/);
  const [code, shown] = await ask(`${PASSWORD}\r`);
  assert.equal(code, EXIT.ok, shown);
  assert.ok(!shown.includes('horse') && !shown.includes('house'), shown);
  assert.match(shown, /ann.* is an account, in admins/);
});
