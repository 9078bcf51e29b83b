// `portico mirror` and its kin with servers that are not ours: vsftpd, OpenSSH's sshd, nginx, and rclone for SFTP and WebDAV.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { missing, Program, run } from '../clients.ts';
import { commandIn, makeTree, treeOf } from '../transfer-house.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-transfer-'));
const at = (...names: string[]) => join(folder, ...names);
const TIMEOUT = { timeout: 120_000 };
const command = commandIn(at('home'), { PORTICO_PASSWORD: 'secret' });

before(() => {
  chmodSync(folder, 0o755);
  makeTree(at('source'));
});
after(() => rmSync(folder, { recursive: true }));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listens(port: number, program: Program): Promise<void> {
  for (let round = 0; ; round++) {
    const found = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (found) return;
    assert.ok(round < 500, `nothing listens: ${program.error}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A tree goes to a server and comes back; the second time nothing does. */
async function throughAndBack(name: string, url: string, flags: readonly string[] = []): Promise<void> {
  const up = await command('mirror', at('source'), url, '--json', ...flags);
  assert.equal(up.code, 0, up.errors + up.output);
  assert.equal(up.lines.at(-1)?.copied, 13);
  const again = await command('mirror', at('source'), url, '--json', '--delete', ...flags);
  assert.deepEqual([again.lines.at(-1)?.copied, again.lines.at(-1)?.deleted, again.code], [0, 0, 0], again.output);
  const down = await command('mirror', url, at(`back-${name}`), '--json', '--checksum', '--jobs', '6', ...flags);
  assert.equal(down.code, 0, down.errors + down.output);
  assert.deepEqual(treeOf(at(`back-${name}`)), treeOf(at('source')));
  const second = await command('mirror', url, at(`back-${name}`), '--json', '--delete', ...flags);
  assert.deepEqual([second.lines.at(-1)?.copied, second.lines.at(-1)?.deleted], [0, 0], second.output);
  // Over what is there, moved, and removed with all below.
  writeFileSync(at('short'), name);
  assert.equal((await command('put', at('short'), `${url}/big`, ...flags)).code, 0);
  assert.equal((await command('mv', `${url}/big`, `${url}/moved`, ...flags)).code, 0);
  assert.equal((await command('get', `${url}/moved`, ...flags)).output, name);
  assert.equal((await command('rm', '--recursive', url, ...flags)).code, 0);
  assert.equal((await command('ls', url, ...flags)).code, 1);
}

test('vsftpd: in the clear, and within TLS with sessions that must go on', {
  ...TIMEOUT,
  skip: missing('vsftpd', '-v'),
}, async () => {
  const isRoot = process.getuid?.() === 0;
  const made = await run(
    ...(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'] as const),
    ...['-keyout', at('tls.key'), '-out', at('tls.pem'), '-subj', '/CN=localhost', '-days', '2'],
    ...['-addext', 'subjectAltName=DNS:localhost'],
  );
  assert.equal(made.code, 0, made.error);
  for (const secure of [false, true]) {
    const port = await freePort();
    const root = at(`vsftpd-${secure}`);
    mkdirSync(join(root, 'in'), { recursive: true });
    mkdirSync(at('empty'), { recursive: true });
    if (isRoot) chownSync(join(root, 'in'), Number(spawnSync('id', ['-u', 'ftp'], { encoding: 'utf8' }).stdout), 0);
    const rules: Record<string, string | number> = {
      listen: 'YES',
      listen_address: '127.0.0.1',
      listen_port: port,
      background: 'NO',
      run_as_launching_user: isRoot ? 'NO' : 'YES',
      anonymous_enable: 'YES',
      no_anon_password: 'YES',
      anon_root: root,
      anon_umask: '022',
      write_enable: 'YES',
      anon_upload_enable: 'YES',
      anon_mkdir_write_enable: 'YES',
      anon_other_write_enable: 'YES',
      seccomp_sandbox: 'NO',
      xferlog_enable: 'NO',
      secure_chroot_dir: at('empty'),
      ...(secure
        ? {
            ssl_enable: 'YES',
            allow_anon_ssl: 'YES',
            force_anon_data_ssl: 'YES',
            force_anon_logins_ssl: 'YES',
            require_ssl_reuse: 'YES',
            rsa_cert_file: at('tls.pem'),
            rsa_private_key_file: at('tls.key'),
          }
        : {}),
    };
    writeFileSync(
      at('vsftpd.conf'),
      Object.entries(rules)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    );
    const daemon = new Program('vsftpd', [at('vsftpd.conf')]);
    await listens(port, daemon);
    try {
      const flags = secure ? ['--auth-tls', '--cacert', at('tls.pem')] : [];
      await throughAndBack(`vsftpd-${secure}`, `ftp://anonymous:x@localhost:${port}//in/t`, flags);
    } finally {
      daemon.kill();
    }
  }
});

test('OpenSSH’s sshd: by key, with a host that is known by a hashed name', {
  ...TIMEOUT,
  skip: missing('sshd', '-V'),
}, async () => {
  const port = await freePort();
  for (const name of ['host', 'id']) await run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', at(name));
  chmodSync(at('id.pub'), 0o644);
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${at('host')}`,
    `AuthorizedKeysFile ${at('id.pub')}`,
    `PidFile ${at('sshd.pid')}`,
    'StrictModes no',
    'UsePAM no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'Subsystem sftp internal-sftp',
  ];
  writeFileSync(at('sshd.conf'), `${lines.join('\n')}\n`);
  mkdirSync('/run/sshd', { recursive: true });
  const [type, key] = readFileSync(at('host.pub'), 'utf8').split(' ');
  writeFileSync(at('known'), `[127.0.0.1]:${port} ${type} ${key}\n`);
  assert.equal((await run('ssh-keygen', '-H', '-f', at('known'))).code, 0);
  assert.match(readFileSync(at('known'), 'utf8'), /^\|1\|/);
  const daemon = new Program('/usr/sbin/sshd', ['-D', '-e', '-f', at('sshd.conf')]);
  await listens(port, daemon);
  try {
    const url = `sftp://${userInfo().username}@127.0.0.1:${port}${at('by-ssh')}`;
    await throughAndBack('sshd', url, ['--identity', at('id'), '--known-hosts', at('known')]);
  } finally {
    daemon.kill();
  }
});

for (const kind of ['webdav', 'sftp'])
  test(`rclone serve ${kind}`, { ...TIMEOUT, skip: missing('rclone', 'version') }, async () => {
    const port = await freePort();
    mkdirSync(at(`rclone-${kind}`));
    const common = ['--config', '/dev/null', '--addr', `127.0.0.1:${port}`, '--user', 'ann', '--pass', 'secret'];
    // Its cache would show sizes of before for a while.
    const daemon = new Program('rclone', [
      'serve',
      kind,
      at(`rclone-${kind}`),
      ...common,
      '--vfs-cache-mode',
      'writes',
      '--dir-cache-time',
      '0s',
      '--cache-dir',
      at('cache'),
    ]);
    await listens(port, daemon);
    try {
      const scheme = kind === 'webdav' ? 'dav' : kind;
      await throughAndBack(
        `rclone-${kind}`,
        `${scheme}://127.0.0.1:${port}/t`,
        kind === 'sftp' ? ['--accept-new'] : [],
      );
    } finally {
      daemon.kill();
    }
  });

test('nginx: a tree comes by its listing as JSON', { ...TIMEOUT, skip: missing('nginx', '-v') }, async () => {
  const port = await freePort();
  mkdirSync(at('nginx'));
  const config = `daemon off; error_log stderr; pid ${at('nginx', 'pid')}; ${process.getuid?.() === 0 ? 'user root;' : ''} events {}
http { access_log off; client_body_temp_path ${at('nginx')}; proxy_temp_path ${at('nginx')}; fastcgi_temp_path ${at('nginx')};
uwsgi_temp_path ${at('nginx')}; scgi_temp_path ${at('nginx')};
server { listen 127.0.0.1:${port}; root ${folder}; location / { autoindex on; autoindex_format json; } } }`;
  writeFileSync(at('nginx.conf'), config);
  const daemon = new Program('nginx', ['-e', 'stderr', '-c', at('nginx.conf')]);
  await listens(port, daemon);
  try {
    const url = `http://127.0.0.1:${port}/source`;
    const down = await command('mirror', url, at('back-nginx'), '--json');
    assert.equal(down.code, 0, down.errors + down.output);
    assert.deepEqual(treeOf(at('back-nginx')), treeOf(at('source')));
    const again = await command('mirror', url, at('back-nginx'), '--json', '--delete');
    assert.deepEqual([again.lines.at(-1)?.copied, again.lines.at(-1)?.deleted], [0, 0], again.output);
    assert.equal((await command('put', at('short'), `${url}/x`)).code, 77);
  } finally {
    daemon.kill('SIGTERM');
  }
});
