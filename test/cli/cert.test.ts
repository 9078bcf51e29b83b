// `portico cert` and `portico trust` as people use them, beside a server that runs on the same folder.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { Portico } from '../../src/portico.ts';
import { missing, type Ran, run } from '../clients.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'portico-cert-'));
const data = join(folder, 'data');
const at = (name: string) => join(folder, name);
let portico: Portico;
let port = 0;

before(async () => {
  portico = await Portico.start({ data, ports: 'ephemeral' });
  port = Number(new URL(portico.urls.https!).port);
});
after(async () => {
  await portico.close();
  rmSync(folder, { recursive: true, force: true });
});

const cert = (...args: string[]): Promise<Ran> =>
  run('env', `HOME=${folder}`, process.execPath, MAIN, ...args, '--data', data);

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const ran = await cert(...args, '--json');
  assert.equal(ran.code, 0, ran.error);
  return JSON.parse(ran.out) as Record<string, unknown>;
}

/** The serial number that the server shows for a name, when it is trusted by the root. */
async function served(name: string): Promise<string> {
  const ca = readFileSync(join(data, 'certificates/root.crt'));
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: name, ca, ALPNProtocols: ['http/1.1'] });
    socket.on('error', reject);
    socket.on('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber.toLowerCase());
      socket.destroy();
    });
  });
}

test('root prints the root in PEM, the one that the server has', async () => {
  const { out } = await cert('cert', 'root');
  const root = new X509Certificate(out);
  assert.equal(root.ca, true);
  assert.match(root.subject, /Portico Local Root/);
  const { fingerprint } = await json('cert', 'root');
  assert.equal(root.fingerprint256.replaceAll(':', '').toLowerCase(), fingerprint);
});

test('issue writes a chain and a key of its own; names beyond the constraints are refused', async () => {
  const { serial } = await json('cert', 'issue', 'app.localhost', '::1', '--out', at('app'), '--days', '7');
  const made = new X509Certificate(readFileSync(at('app.crt')));
  assert.equal(made.serialNumber.toLowerCase(), serial);
  assert.equal(made.subjectAltName, 'DNS:app.localhost, IP Address:0:0:0:0:0:0:0:1');
  assert.ok(made.validToDate.getTime() < Date.now() + 8 * 86_400_000);
  assert.ok(made.checkPrivateKey(createPrivateKey(readFileSync(at('app.key')))));
  assert.equal(statSync(at('app.key')).mode & 0o777, 0o600);
  assert.equal((await cert('cert', 'issue', 'app.localhost', '--out', at('app'))).code, 74);
  const beyond = await cert('cert', 'issue', 'example.com');
  assert.deepEqual([beyond.code, beyond.out], [77, '']);
  assert.match(beyond.error, /example\.com is beyond what this authority may speak for: localhost portico\.test/);
  assert.equal((await cert('cert', 'issue', 'not a name')).code, 64);
});

test('show says what stands in a file and what a server shows; list has it all', async () => {
  await cert('cert', 'issue', 'shown.localhost', '--out', at('shown'));
  const file = (await json('cert', 'show', at('shown.crt'))) as { certificates: Record<string, unknown>[] };
  assert.deepEqual([file.certificates[0]!.names, file.certificates[0]!.issuedHere], [['shown.localhost'], true]);
  assert.equal(file.certificates.length, 2);
  const server = await cert('cert', 'show', `localhost:${port}`);
  assert.match(server.out, /names\s+localhost portico\.test/);
  assert.match(server.out, /Handshake\n\s+TLSv1\.3/);
  const { issued } = (await json('cert', 'list')) as { issued: { names: string[] }[] };
  assert.ok(issued.some(({ names }) => names[0] === 'shown.localhost'));
  assert.equal((await cert('cert', 'show', 'localhost:1')).code, 69);
  assert.equal((await cert('cert', 'show', 'nowhere')).code, 64);
});

test('show names the policy of public authorities: DV, OV, EV', { skip: missing('openssl', 'version') }, async () => {
  for (const [oid, validation] of [
    ['2.23.140.1.2.1', 'DV'],
    ['2.23.140.1.2.2', 'OV'],
    ['2.23.140.1.1', 'EV'],
  ] as const) {
    const given = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=a.example',
    ];
    const out = ['-keyout', at('p.key'), '-out', at('p.crt')];
    execFileSync('openssl', [...given, ...out, '-addext', `certificatePolicies=${oid}`], { stdio: 'pipe' });
    const { certificates } = (await json('cert', 'show', at('p.crt'))) as { certificates: { validation: string }[] };
    assert.equal(certificates[0]?.validation, validation);
  }
});

test('renew, import and revoke count at once for the server that runs', async () => {
  const before = await served('localhost');
  const { serial } = await json('cert', 'renew');
  assert.notEqual(serial, before);
  for (let shown = before; shown === before; ) shown = await served('localhost');
  assert.equal(await served('localhost'), serial);
  const own = (await json('cert', 'issue', 'own.localhost', '--out', at('own'))) as { serial: string };
  await cert('cert', 'import', at('own.crt'), at('own.key'));
  for (let shown = ''; shown !== own.serial; ) shown = await served('own.localhost');
  const wrong = await cert('cert', 'import', at('own.crt'), at('app.key'));
  assert.equal(wrong.code, 1);
  assert.match(wrong.error, /the key is not that of its first certificate/);
  assert.equal((await cert('cert', 'revoke', '77')).code, 1);
  await cert('cert', 'revoke', own.serial);
  const { lists } = (await json('cert', 'crl')) as { lists: string[] };
  assert.ok(
    Buffer.from(lists.join('').replace(/-----[^-]+-----|\s/g, ''), 'base64').includes(Buffer.from(own.serial, 'hex')),
  );
});

test('trust says what it would do, and with --dry-run does nothing', {
  skip: missing('certutil', '-H'),
}, async () => {
  const store = at('.pki/nssdb');
  mkdirSync(store, { recursive: true });
  execFileSync('certutil', ['-N', '-d', `sql:${store}`, '--empty-password']);
  const { steps, dryRun } = (await json('trust', '--dry-run')) as { steps: { store: string }[]; dryRun: boolean };
  assert.equal(dryRun, true);
  assert.ok(steps.some((step) => step.store.endsWith(store)));
  const has = () =>
    execFileSync('certutil', ['-L', '-d', `sql:${store}`])
      .toString()
      .includes('Portico Local Root');
  assert.equal(has(), false);
});

test('in memory there is nothing for a command to open, and it says where the root is', async () => {
  const ran = await run('env', 'PORTICO_STORAGE=memory', process.execPath, MAIN, 'cert', 'root', '--data', at('none'));
  assert.equal(ran.code, 78);
  assert.match(ran.error, /GET \/certificates\/root\.pem/);
  assert.equal(existsSync(at('none')), false);
});

test('with it an account signs in, until it is revoked', { skip: missing('curl') }, async () => {
  const own = at('accounts');
  await using server = await Portico.start({ data: own, ports: 'ephemeral' });
  const added = await server.order({ do: 'account.add', name: 'ann' });
  assert.equal(added.ok, true, JSON.stringify(added));
  const made = await run(process.execPath, MAIN, 'cert', 'client', 'ann', '--out', at('in'), '--json', '--data', own);
  const { serial } = JSON.parse(made.out) as { serial: string };
  const shown = new X509Certificate(readFileSync(at('in.crt')));
  assert.match(shown.subject, /CN=ann/);
  assert.equal(shown.subjectAltName, 'URI:urn:portico:account:ann');
  const put = async (...more: string[]) => {
    const url = `https://localhost:${new URL(server.urls.https!).port}/topics/a`;
    const given = ['-sS', '-o', at('out'), '-w', '%{http_code}', '--cacert', join(own, 'certificates/root.crt')];
    return (await run('curl', ...given, ...more, '-X', 'PUT', '-d', '1', url)).out;
  };
  const mine = ['--cert', at('in.crt'), '--key', at('in.key')];
  assert.equal(await put(), '401');
  assert.equal(await put(...mine), '201');
  await run(process.execPath, MAIN, 'cert', 'revoke', serial, '--data', own);
  // The server takes it over within a moment.
  for (let answer = '200'; answer !== '401'; ) answer = await put(...mine);
});
