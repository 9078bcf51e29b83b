// Client certificates, SSH keys, SCRAM and the second step; old hashes; and all of it on a real disk.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, createHmac, pbkdf2Sync, scryptSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { SILENT } from '../../core/log.ts';
import { NODE_LOOP, TurnLoop } from '../../server/turn.ts';
import { SqliteEngine } from '../../storage/sqlite/engine.ts';
import { openAccounts } from './accounts.ts';
import { isSignInRefusal } from './contract.ts';
import { Desk } from './desk.ts';
import { Hashing } from './passwords.ts';
import { encoded } from './records.ts';
import { certificateNames } from './sign-in.ts';
import { AllRules, House, LOCAL, peerOf, STRANGER } from './testing/house.ts';
import { codeOf, stepOf } from './totp.ts';

const PASSWORD = 'correct horse';
const ann = { kind: 'password' as const, account: 'ann', password: PASSWORD };
const folder = mkdtempSync(join(tmpdir(), 'portico-accounts-'));
after(() => rmSync(folder, { recursive: true }));

async function withAnn(): Promise<House> {
  const house = await House.open();
  await house.do('account.add', { name: 'ann', password: PASSWORD });
  return house;
}

const noOpenssl =
  spawnSync('openssl', ['version']).error === undefined || process.env.CI === 'true'
    ? false
    : 'openssl is not installed';

/** A certificate with these alternative names, in DER. */
function certificateOf(name: string, alternatives: readonly string[]): Buffer {
  const made = join(folder, `${name}.pem`);
  const settings = join(folder, `${name}.cnf`);
  const listed = alternatives.map((each, at) => each.replace(':', `.${at} = `)).join('\n');
  writeFileSync(
    settings,
    `[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n[dn]\nCN = ${name}\n` +
      `[ext]\nsubjectAltName = @alt\n[alt]\n${listed}\n`,
  );
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '3650'];
  const files = ['-config', settings, '-keyout', join(folder, `${name}.key`), '-out', made];
  execFileSync('openssl', [...args, ...files], { stdio: 'ignore' });
  return new X509Certificate(readFileSync(made)).raw;
}

describe('client certificates', { skip: noOpenssl }, () => {
  test('open by fingerprint, by a name in them, by their common name; each once', async () => {
    const house = await withAnn();
    await house.do('account.add', { name: 'bob' });
    const der = certificateOf('device-7', ['email:ann@example.org', 'DNS:device7.example', 'URI:urn:device:7']);
    const fingerprint = createHash('sha256').update(der).digest('hex');
    const colons = fingerprint.toUpperCase().match(/../g)!.join(':');
    assert.equal(await house.refusal({ kind: 'certificate', certificate: der }), 'wrong');
    for (const named of [
      `sha256:${colons}`,
      'email:ann@example.org',
      'dns:device7.example',
      'uri:urn:device:7',
      'cn:device-7',
    ]) {
      await house.do('account.certificate', { name: 'ann', add: named });
      assert.equal((await house.order('account.certificate', { name: 'bob', add: named })).ok, false, named);
      const caller = await house.enter({ kind: 'certificate', certificate: der }, STRANGER);
      assert.equal(caller.account, 'ann');
      assert.ok(caller.until! <= new X509Certificate(der).validToDate.getTime());
      assert.equal(await house.refusal({ kind: 'certificate', certificate: der, account: 'bob' }), 'wrong');
      const gone = named.startsWith('sha256') ? `sha256:${fingerprint}` : named;
      assert.equal(house.accounts.stands(caller), caller.until! > house.world.wall());
      await house.do('account.certificate', { name: 'ann', remove: gone });
      assert.equal(house.accounts.stands(caller), false);
    }
  });

  test('a name with a comma is read as it is', () => {
    const der = certificateOf('tricky', ['URI:urn:a, DNS:evil.example', 'URI:urn:b, DNS:worse.example']);
    const { names } = certificateNames(der, 'x');
    assert.deepEqual(names, ['sha256:x', 'uri:urn:a, DNS:evil.example', 'uri:urn:b, DNS:worse.example', 'cn:tricky']);
  });

  test('bytes that are no certificate are nobody’s', async () => {
    const house = await withAnn();
    assert.equal(await house.refusal({ kind: 'certificate', certificate: Buffer.from('x') }), 'wrong');
  });

  test('what names no certificate is said', async () => {
    const house = await withAnn();
    for (const add of ['ann', 'sha256:1234', 'cn:', 'sha256:zz'])
      assert.equal((await house.order('account.certificate', { name: 'ann', add })).ok, false, add);
  });
});

describe('SSH keys', () => {
  const LINE = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDmPt7g7XbLLNtmvKtaBErEVNaDqGuE0YB5DW2qTXMt7 ann@laptop';
  const key = Buffer.from(LINE.split(' ')[1]!, 'base64');

  test('open the account that has them, until they are taken away', async () => {
    const house = await withAnn();
    await house.do('account.add', { name: 'bob' });
    const { fingerprint } = await house.do('account.key', { name: 'ann', add: LINE });
    const caller = await house.enter({ kind: 'key', account: 'ann', key }, peerOf('192.0.2.1'));
    assert.equal(caller.by, `key:${fingerprint}`);
    assert.equal(await house.refusal({ kind: 'key', account: 'bob', key }), 'wrong');
    assert.equal(await house.refusal({ kind: 'key', account: 'ann', key: key.subarray(1) }), 'wrong');
    await house.do('account.key', { name: 'ann', remove: fingerprint });
    assert.equal(house.accounts.stands(caller), false);
    assert.equal((await house.order('account.key', { name: 'ann', remove: fingerprint })).ok, false);
  });
});

describe('SCRAM', () => {
  test('what is kept is of the password, and goes with it', async () => {
    const house = await withAnn();
    const { salt, iterations, serverKey } = house.accounts.scramOf('Ann');
    const salted = pbkdf2Sync(PASSWORD, salt, iterations, 32, 'sha256');
    assert.deepEqual(Buffer.from(serverKey), createHmac('sha256', salted).update('Server Key').digest());
    const caller = await house.enter({ kind: 'scram', account: 'ann', proven: true }, peerOf('192.0.2.1'));
    assert.equal(caller.by, 'scram');
    await house.do('account.passwd', { name: 'ann', password: 'another horse' });
    assert.equal(house.accounts.stands(caller), false);
    assert.notDeepEqual(house.accounts.scramOf('ann').salt, salt);
  });

  test('a name without any has a decoy, the same after a restart, and proves nothing', async () => {
    const house = await withAnn();
    await house.do('account.add', { name: 'bob' });
    const decoys = ['zoe', 'bob'].map((name) => house.accounts.scramOf(name));
    await house.crash();
    assert.deepEqual(
      ['zoe', 'bob'].map((name) => house.accounts.scramOf(name)),
      decoys,
    );
    for (const account of ['zoe', 'bob'])
      assert.equal(await house.refusal({ kind: 'scram', account, proven: true }), 'wrong');
    await house.do('account.disable', { name: 'ann' });
    assert.equal(await house.refusal({ kind: 'scram', account: 'ann', proven: true }), 'wrong');
  });
});

describe('the second step', () => {
  async function withCodes(): Promise<{ house: House; code: (off?: number) => string; recovery: string[] }> {
    const house = await withAnn();
    const { uri, recoveryCodes } = await house.do('account.totp', { name: 'ann' });
    assert.match(String(uri), /^otpauth:\/\/totp\/Portico:ann\?secret=[A-Z2-7]{32}&/);
    const secret = Buffer.from(house.accounts.store.byName.get('ann')!.record.totp!.secret, 'base64');
    const code = (off = 0) => codeOf(secret, stepOf(house.world.wall()) + off);
    return { house, code, recovery: recoveryCodes as string[] };
  }

  test('the password alone opens nothing then, nor does SCRAM; a code does, once', async () => {
    const { house, code } = await withCodes();
    assert.equal(await house.refusal(ann), 'wrong');
    assert.equal(await house.refusal({ kind: 'scram', account: 'ann', proven: true }), 'wrong');
    assert.equal(await house.refusal({ ...ann, code: code() }), 'in');
    assert.equal(await house.refusal({ ...ann, code: code() }), 'wrong');
    assert.equal(await house.refusal({ ...ann, code: code(-1) }), 'wrong');
    assert.equal(await house.refusal(ann), 'wrong');
    await house.pass(30_000);
    assert.equal(await house.refusal({ ...ann, code: code() }), 'in');
  });

  test('a code of which the use was not stored may be used again; a stored one is refused after a crash', async () => {
    const { house, code } = await withCodes();
    const used = code();
    assert.equal(await house.refusal({ ...ann, code: used }), 'in');
    await house.crash();
    assert.equal(await house.refusal({ ...ann, code: used }), 'wrong');
  });

  test('of two with one code that come at once, one is let in', async () => {
    const { house, code } = await withCodes();
    const given = { ...ann, code: code() };
    const answers = await Promise.all([house.signIn(given), house.signIn(given, STRANGER)]);
    assert.equal(answers.filter((answer) => !isSignInRefusal(answer)).length, 1);
  });

  test('a wrong code counts as a guess', async () => {
    const { house } = await withCodes();
    const answers: string[] = [];
    for (let guess = 0; guess < 7; guess++) answers.push(await house.refusal({ ...ann, code: `00000${guess}` }));
    assert.equal(answers.at(-1), 'locked');
  });

  test('a recovery code opens once, and off is off', async () => {
    const { house, recovery } = await withCodes();
    assert.equal(recovery.length, 10);
    assert.equal(await house.refusal({ ...ann, code: recovery[3]!.toUpperCase() }), 'in');
    assert.equal(await house.refusal({ ...ann, code: recovery[3]! }), 'wrong');
    await house.crash();
    assert.equal(house.accounts.store.byName.get('ann')!.record.totp!.recovery.length, 9);
    await house.do('account.totp', { name: 'ann', off: true });
    assert.equal(await house.refusal(ann), 'in');
  });
});

test('an old hash by scrypt is verified, and made anew by argon2id without ending anybody', async () => {
  const house = await withAnn();
  const salt = Buffer.from('0123456789abcdef');
  const hash = scryptSync(PASSWORD, salt, 32, { N: 1_024, r: 8, p: 1 });
  const plain = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '');
  const account = house.accounts.store.byName.get('ann')!;
  const { store } = house.accounts;
  const password = `$scrypt$ln=10,r=8,p=1$${plain(salt)}$${plain(hash)}`;
  await house.settle(
    store.commit((batch) => {
      const bytes = encoded({ ...account.record, password });
      batch.put('k/a/ann', bytes, 0, bytes.length);
    }),
  );
  // The house's own hash is no scrypt.
  const derive = house.derive;
  const real = new Hashing((text, like, bytes, done) =>
    like.algorithm === 'scrypt'
      ? done(scryptSync(text, like.salt, bytes, { N: 2 ** like.cost.memory, r: like.cost.passes, p: like.cost.lanes }))
      : derive(text, like, bytes, done),
  );
  const turn = house.world.turn;
  await house.crash();
  const engine = house.engine.restarted();
  const options = { engine, turn, log: SILENT, rules: new AllRules(), exposed: false, hashing: real };
  const accounts = await house.settle(openAccounts({ ...options, entropy: house.world.random }));
  const answer = await house.settle(
    new Promise((resolve) => {
      accounts.signIn(ann, LOCAL, 'test', { signedIn: (_token, caller) => resolve(caller) }, 1);
    }),
  );
  const caller = answer as Parameters<typeof accounts.stands>[0];
  assert.equal(caller.account, 'ann');
  await house.pass(50);
  assert.match(accounts.store.byName.get('ann')!.record.password, /^\$argon2id\$/);
  assert.equal(accounts.stands(caller), true);
});

test('all of it is on the disk, with real hashes', { timeout: 60_000 }, async () => {
  const data = join(folder, 'data');
  const open = async () => {
    const turn = new TurnLoop(NODE_LOOP, (error) => assert.fail(String(error)));
    const engine = await SqliteEngine.open(data);
    const accounts = await openAccounts({ engine, turn, log: SILENT, rules: new AllRules(), exposed: false });
    const close = async () => {
      await accounts.close();
      await engine.close();
      turn.stop();
    };
    const signIn = (password: string) =>
      new Promise<string>((resolve) => {
        const tell = (answer: object) => resolve('refused' in answer ? String(answer.refused) : 'in');
        const answer = accounts.signIn({ ...ann, password }, LOCAL, 'test', { signedIn: (_, late) => tell(late) }, 1);
        if (answer !== null) tell(answer);
      });
    return { accounts, desk: new Desk(accounts), signIn, close };
  };
  const first = await open();
  assert.equal(first.accounts.open, true);
  assert.ok((await first.desk.order({ do: 'account.add', name: 'ann', password: PASSWORD }, 'command')).ok);
  const made = await first.desk.order({ do: 'token.add', account: 'ann', label: 'ci' }, 'command');
  assert.equal(await first.signIn(PASSWORD), 'in');
  await first.close();
  const second = await open();
  assert.equal(second.accounts.open, false);
  assert.equal(await second.signIn(PASSWORD), 'in');
  assert.equal(await second.signIn('wrong horse'), 'wrong');
  assert.ok(made.ok);
  assert.equal(await second.signIn(String(made.token)), 'in');
  const audit = await second.desk.order({ do: 'audit.list' }, 'command');
  assert.ok(audit.ok && (audit.entries as unknown[]).length >= 3);
  await second.close();
});
