// The authority with OpenSSL as judge: chains, constraints, revocation lists, OCSP; and what crashes and races leave.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { SILENT } from '../core/log.ts';
import { Authority, type AuthorityOptions, IssueError, renewalOf } from './authority.ts';
import { DAY, pem, pemBlocks } from './certificate.ts';
import { FolderKeeping, MemoryKeeping } from './keeping.ts';
import { Constraints, rangeOf } from './names.ts';
import { ocspAnswer } from './ocsp.ts';
import { readCertificate } from './reading.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-authority-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version']);
    return true;
  } catch {
    if (process.env.CI === 'true') throw new Error('openssl is not here');
    return false;
  }
})();
const withOpenssl = { skip: hasOpenssl ? false : 'openssl is not here' };

const NOW = Date.now();
const CONSTRAINTS = new Constraints(['localhost', 'portico.test'], [rangeOf('127.0.0.0/8')!, rangeOf('::1')!]);

function authorityOf(given: Partial<AuthorityOptions> = {}, wall = NOW): Authority {
  const keeping = given.keeping ?? new MemoryKeeping();
  return new Authority({ keeping, constraints: CONSTRAINTS, machine: 'box-1', url: '', log: SILENT, ...given }, wall);
}

let files = 0;
function put(text: string | Uint8Array): string {
  const path = join(folder, `file-${files++}`);
  writeFileSync(path, text);
  return path;
}

function openssl(...args: readonly string[]): Promise<{ code: number; text: string }> {
  return new Promise((resolve) => {
    execFile('openssl', args, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : 1, text: stdout + stderr });
    });
  });
}

async function verified(
  authority: Authority,
  chain: string,
  ...more: string[]
): Promise<{ code: number; text: string }> {
  const root = put(authority.root.pem);
  const [leaf, ...rest] = pemBlocks(chain, 'CERTIFICATE');
  const untrusted = put(rest.map((block) => pem('CERTIFICATE', block)).join(''));
  return openssl(
    'verify',
    '-x509_strict',
    '-CAfile',
    root,
    '-untrusted',
    untrusted,
    ...more,
    put(pem('CERTIFICATE', leaf!)),
  );
}

test('what is issued verifies by the strict rules of OpenSSL, for its names alone', withOpenssl, async () => {
  const authority = authorityOf({ url: 'http://portico.test:8080' });
  const names = ['localhost', '*.portico.test', '127.0.0.1', '::1'];
  const { chain } = authority.issue({ names, purpose: 'server', by: 'command' }, NOW);
  const check = async (...more: string[]) => (await verified(authority, chain, '-purpose', 'sslserver', ...more)).code;
  assert.equal(await check('-verify_hostname', 'localhost'), 0);
  assert.equal(await check('-verify_hostname', 'a.portico.test'), 0);
  assert.equal(await check('-verify_ip', '127.0.0.1'), 0);
  assert.equal(await check('-verify_ip', '::1'), 0);
  assert.equal(await check('-verify_hostname', 'portico.test'), 1);
  assert.equal((await verified(authority, chain, '-purpose', 'sslclient')).code, 1);
});

test('a key of the one who asks: RSA, P-384 and Ed25519', withOpenssl, async () => {
  const authority = authorityOf();
  for (const { publicKey } of [
    generateKeyPairSync('rsa', { modulusLength: 2_048 }),
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    generateKeyPairSync('ed25519'),
  ]) {
    const { chain, key } = authority.issue({ names: ['localhost'], purpose: 'server', by: 'acme', publicKey }, NOW);
    assert.equal(key, '');
    assert.match((await verified(authority, chain)).text, /: OK\n$/);
  }
});

test(
  'the root carries its constraints as critical, and OpenSSL holds the intermediate to them',
  withOpenssl,
  async () => {
    const narrow = authorityOf();
    const text = (await openssl('x509', '-noout', '-text', '-in', put(narrow.root.pem))).text;
    assert.match(
      text,
      /X509v3 Name Constraints: critical\s+Permitted:\s+DNS:localhost\s+DNS:portico\.test\s+IP:127\.0\.0\.0\/255\.0\.0\.0/,
    );
    assert.match(text, /CA:TRUE/);
    // One that would issue beyond them: its own check is left out, as a thief of its key would.
    Object.defineProperty(narrow, 'refusal', { value: () => null });
    for (const name of ['example.com', '10.0.0.1', 'notlocalhost']) {
      const { chain } = narrow.issue({ names: [name], purpose: 'server', by: 'command' }, NOW);
      assert.match((await verified(narrow, chain)).text, /permitted subtree violation/, name);
    }
  },
);

test('it refuses names beyond its constraints, with what it may speak for', () => {
  const authority = authorityOf();
  for (const name of ['example.com', 'localhost.example.com', '10.0.0.1', '::2', 'evil-portico.test', '*.test'])
    assert.throws(
      () => authority.issue({ names: ['localhost', name], purpose: 'server', by: 'command' }, NOW),
      (error) => error instanceof IssueError && error.message.startsWith(`${name} is beyond`),
    );
  assert.throws(() => authority.issue({ names: [], purpose: 'server', by: 'command' }, NOW), IssueError);
});

test('key files are for their owner alone', { skip: process.platform === 'win32' }, () => {
  const data = mkdtempSync(join(folder, 'data-'));
  const keeping = new FolderKeeping(join(data, 'certificates'));
  authorityOf({ keeping });
  assert.equal(statSync(keeping.folder).mode & 0o777, 0o700);
  for (const name of readdirSync(keeping.folder)) {
    const mode = statSync(join(keeping.folder, name)).mode & 0o777;
    const hasKey = readFileSync(join(keeping.folder, name), 'utf8').includes('PRIVATE KEY');
    assert.equal(mode, hasKey ? 0o600 : 0o644, name);
  }
});

test('two that begin at once have one root and one intermediate', () => {
  const keeping = new MemoryKeeping();
  const first = authorityOf({ keeping });
  // The second looked before the first had written.
  const looked = keeping.read.bind(keeping);
  let isEarly = true;
  keeping.read = (name) => {
    const early = isEarly && name === 'root.pem';
    if (early) isEarly = false;
    return early ? null : looked(name);
  };
  const second = authorityOf({ keeping });
  assert.equal(second.root.pem, first.root.pem);
  assert.equal(second.intermediate.pem, first.intermediate.pem);
});

test('eight processes at once on one folder agree on one authority', async () => {
  const data = mkdtempSync(join(folder, 'race-'));
  const script = `
    import { Authority } from ${JSON.stringify(new URL('./authority.ts', import.meta.url).href)};
    import { FolderKeeping } from ${JSON.stringify(new URL('./keeping.ts', import.meta.url).href)};
    import { Constraints } from ${JSON.stringify(new URL('./names.ts', import.meta.url).href)};
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const options = { keeping: new FolderKeeping(process.argv[1]), constraints: new Constraints(['localhost'], []), machine: 'x', url: '', log };
    const authority = new Authority(options, Date.now());
    const { serial } = authority.issue({ names: ['localhost'], purpose: 'server', by: 'command' }, Date.now());
    console.log(JSON.stringify([authority.root.id, authority.intermediate.id, serial]));`;
  const runs = await Promise.all(
    Array.from(
      { length: 8 },
      () =>
        new Promise<string[]>((resolve, reject) => {
          execFile(process.execPath, ['--input-type=module', '-e', script, data], (error, stdout, stderr) => {
            if (error !== null) reject(new Error(stderr));
            else resolve(JSON.parse(stdout) as string[]);
          });
        }),
    ),
  );
  assert.equal(new Set(runs.map(([root]) => root)).size, 1);
  assert.equal(new Set(runs.map(([, intermediate]) => intermediate)).size, 1);
  const after = authorityOf({ keeping: new FolderKeeping(data) }, Date.now());
  assert.deepEqual(
    new Set(after.issued.all().map(({ serial }) => serial)),
    new Set(runs.map(([, , serial]) => serial)),
  );
});

test('what a crash left half is passed over, and what follows it is read', () => {
  const keeping = new MemoryKeeping();
  const authority = authorityOf({ keeping });
  const one = authority.issue({ names: ['localhost'], purpose: 'server', by: 'command' }, NOW);
  const [log] = keeping.list().filter((name) => name.startsWith('issued-'));
  keeping.write(log!, `${keeping.read(log!)}{"serial":"77","na`);
  const folderOf = new FolderKeeping(mkdtempSync(join(folder, 'torn-')));
  for (const name of keeping.list()) folderOf.write(name, keeping.read(name)!);
  const again = authorityOf({ keeping: folderOf });
  const two = again.issue({ names: ['localhost'], purpose: 'server', by: 'command' }, NOW);
  const third = authorityOf({ keeping: folderOf });
  assert.deepEqual(
    third.issued.all().map(({ serial }) => serial),
    [one.serial, two.serial],
  );
});

test('a damaged root is said to be one, and never replaced in silence', () => {
  const keeping = new MemoryKeeping();
  authorityOf({ keeping });
  keeping.write('root.pem', keeping.read('root.pem')!.slice(0, 300));
  assert.throws(() => authorityOf({ keeping }), /certificates\/root\.pem cannot be read; restore it/);
});

test('the intermediate is renewed by itself, and the former one still answers for what it issued', () => {
  const authority = authorityOf();
  const first = authority.intermediate;
  const { serial } = authority.issue({ names: ['localhost'], purpose: 'client', by: 'command', account: 'ann' }, NOW);
  authority.refresh(renewalOf(first.facts.from, first.facts.to) - 1_000);
  assert.equal(authority.intermediate.id, first.id);
  const later = NOW + 40 * DAY;
  authority.issued.revoke(serial, later);
  authority.refresh(renewalOf(first.facts.from, first.facts.to));
  assert.notEqual(authority.intermediate.id, first.id);
  assert.equal(authority.intermediates.length, 2);
  assert.ok(authority.revocationList(first.id, NOW) !== null);
  authority.refresh(first.facts.to + DAY);
  assert.equal(
    authority.intermediates.some(({ id }) => id === first.id),
    false,
  );
});

test('a certificate never outlasts its issuer', () => {
  const authority = authorityOf();
  const { to } = authority.issue({ names: ['localhost'], purpose: 'server', by: 'command', days: 4_000 }, NOW);
  assert.equal(to, authority.intermediate.facts.to);
});

test('the revocation list, as OpenSSL checks it', withOpenssl, async () => {
  const authority = authorityOf();
  const plan = { names: [], purpose: 'client', by: 'command', account: 'ann' } as const;
  const [gone, good] = [authority.issue(plan, NOW), authority.issue(plan, NOW)];
  const listOf = () => pem('X509 CRL', authority.revocationList(authority.intermediate.id, NOW)!);
  assert.match((await openssl('crl', '-noout', '-text', '-in', put(listOf()))).text, /No Revoked Certificates/);
  authority.issued.revoke(gone.serial, NOW);
  const issuer = put(authority.intermediate.pem);
  const list = put(listOf());
  assert.match((await openssl('crl', '-noout', '-CAfile', issuer, '-in', list)).text, /verify OK/);
  const check = async (chain: string) =>
    verified(authority, chain, '-crl_check', '-CRLfile', list, '-purpose', 'sslclient');
  assert.match((await check(gone.chain)).text, /certificate revoked/);
  assert.equal((await check(good.chain)).code, 0);
});

test(
  'the responder, as OpenSSL asks it: good, revoked, unknown, and nothing of others (RFC 6960)',
  withOpenssl,
  async () => {
    const authority = authorityOf();
    const plan = { names: [], purpose: 'client', by: 'command', account: 'ann' } as const;
    const [gone, good] = [authority.issue(plan, NOW), authority.issue(plan, NOW)];
    authority.issued.revoke(gone.serial, NOW);
    const issuer = put(authority.intermediate.pem);
    const ask = async (...args: readonly string[]) => {
      const request = put('');
      await openssl('ocsp', '-no_nonce', '-issuer', issuer, ...args, '-reqout', request);
      const answer = put(ocspAnswer(authority, readFileSync(request), NOW));
      const trust = ['-CAfile', put(authority.root.pem), '-verify_other', issuer, '-partial_chain'];
      return (
        await openssl('ocsp', '-no_nonce', '-issuer', issuer, ...args, '-reqin', request, '-respin', answer, ...trust)
      ).text;
    };
    const all = await ask('-cert', put(gone.chain), '-cert', put(good.chain), '-serial', '0x1234');
    assert.match(all, /Response verify OK/);
    assert.match(all, /: revoked\n[\s\S]*: good\n[\s\S]*0x1234: unknown/);
    const modern = await ask('-sha256', '-cert', put(good.chain));
    assert.match(modern, /: good[\s\S]*Response verify OK/);
    const other = authorityOf();
    const request = put('');
    await openssl('ocsp', '-issuer', put(other.intermediate.pem), '-serial', '1', '-reqout', request);
    // unauthorized (6)
    assert.equal(ocspAnswer(authority, readFileSync(request), NOW).toString('hex'), '30030a0106');
    // malformedRequest (1)
    for (const wrong of ['', '00', '3000', '30023000', '30820000'])
      assert.equal(ocspAnswer(authority, Buffer.from(wrong, 'hex'), NOW).toString('hex'), '30030a0101', wrong);
  },
);

test('what is read of a certificate is what X509Certificate of Node says', () => {
  const authority = authorityOf();
  const { chain, serial } = authority.issue(
    { names: ['localhost', '::1', '127.0.0.2'], purpose: 'server', by: 'command' },
    NOW,
  );
  const [der] = pemBlocks(chain, 'CERTIFICATE');
  const ours = readCertificate(der!)!;
  const theirs = new X509Certificate(der!);
  assert.equal(ours.serial, serial);
  assert.equal(theirs.serialNumber.toLowerCase(), serial);
  assert.equal(ours.to, theirs.validToDate.getTime());
  assert.deepEqual(ours.names, ['localhost', '::1', '127.0.0.2']);
  assert.equal(ours.authorityKey, authority.intermediate.facts.subjectKey);
  assert.equal(ours.fingerprint, theirs.fingerprint256.replaceAll(':', '').toLowerCase());
});
