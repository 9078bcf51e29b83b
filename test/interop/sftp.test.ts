// Real clients of SSH and SFTP against a running server: OpenSSH's sftp, scp and ssh, rclone, lftp, paramiko, and ssh2 for Node.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import ssh2, { type SFTPWrapper } from 'ssh2';
import { Portico } from '../../src/portico.ts';
import { missing, run, until } from '../clients.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-sftp-'));
const data = join(folder, 'data');
const at = (...names: string[]) => join(folder, ...names);
const PASSWORD = 'correct horse';
let portico: Portico;
let port = '';

const order = async (what: string, fields: Readonly<Record<string, unknown>>) => {
  const answer = await portico.order({ do: what, ...fields });
  assert.ok(answer.ok, JSON.stringify(answer));
  return answer;
};

before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', data, hosts: ['127.0.0.1'] });
  port = new URL(portico.urls.sftp!.replace(/^sftp/, 'http')).port;
  await order('account.add', { name: 'ann', password: PASSWORD });
  await order('account.add', { name: 'bob', password: PASSWORD });
  await run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', at('id'));
  await order('account.key', { name: 'ann', add: readFileSync(at('id.pub'), 'utf8') });
  writeFileSync(at('ask'), `#!/bin/sh\necho '${PASSWORD}'\n`);
  chmodSync(at('ask'), 0o700);
});
after(async () => {
  await portico.close();
  rmSync(folder, { recursive: true });
});

const LOOSE = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'];
const byKey = () => [...LOOSE, '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes', '-i', at('id')];
const skip = missing('sftp', '-h');

/** Commands of sftp, as one of those accounts. */
async function sftp(commands: readonly string[], options = byKey(), account = 'ann') {
  writeFileSync(at('batch'), `${commands.join('\n')}\n`);
  return run('sftp', '-b', at('batch'), '-P', port, ...options, `${account}@127.0.0.1`);
}

describe('OpenSSH', { skip }, () => {
  test('files and folders by key: put, get, list, rename, remove, times, links', async () => {
    const bytes = randomBytes(3_000_000);
    writeFileSync(at('big'), bytes);
    const ran = await sftp([
      'mkdir /shared/d',
      `put -p ${at('big')} /shared/d/big`,
      'ls -l /shared/d',
      `get /shared/d/big ${at('back')}`,
      'rename /shared/d/big /shared/d/moved',
      'ln -s moved /shared/d/link',
      'chmod 600 /shared/d/moved',
      `get /shared/d/link ${at('linked')}`,
      'rm /shared/d/link',
      'df /shared',
      'pwd',
    ]);
    assert.equal(ran.code, 0, ran.error + ran.out);
    assert.match(ran.out, /^-rw-r--r-- .* 3000000 .* big$/m);
    assert.match(ran.out, /Remote working directory: \/home\/ann/);
    assert.ok(readFileSync(at('back')).equals(bytes) && readFileSync(at('linked')).equals(bytes));
    const moved = statSync(join(data, 'files/shared/d/moved'));
    assert.equal(moved.mode & 0o777, 0o600);
    assert.equal(Math.floor(moved.mtimeMs / 1_000), Math.floor(statSync(at('big')).mtimeMs / 1_000));
    assert.equal((await sftp(['rm /shared/d/moved', 'rmdir /shared/d'])).code, 0);
  });

  test('under each cipher, with new keys in between, up and down at once', { timeout: 120_000 }, async () => {
    const bytes = randomBytes(20_000_000);
    writeFileSync(at('large'), bytes);
    for (const cipher of [
      'aes128-gcm@openssh.com',
      'aes256-gcm@openssh.com',
      'chacha20-poly1305@openssh.com',
      'aes256-ctr',
    ]) {
      const options = [...byKey(), '-c', cipher, '-o', 'RekeyLimit=3M'];
      const one = (name: string) => {
        writeFileSync(at(`batch-${name}`), `put ${at('large')} /shared/${name}\nget /shared/${name} ${at(name)}\n`);
        return run('sftp', '-b', at(`batch-${name}`), '-P', port, ...options, 'ann@127.0.0.1');
      };
      const ran = await Promise.all(['c1', 'c2', 'c3'].map(one));
      for (const { code, error } of ran) assert.equal(code, 0, `${cipher}: ${error}`);
      for (const name of ['c1', 'c2', 'c3']) assert.ok(readFileSync(at(name)).equals(bytes), `${cipher} ${name}`);
    }
    assert.equal((await sftp(['rm /shared/c1', 'rm /shared/c2', 'rm /shared/c3'])).code, 0);
  });

  test('a packet that was changed on the way ends its connection, and no other', { timeout: 60_000 }, async () => {
    let left = 100_000;
    const proxy = createServer((near) => {
      const far = connect(Number(port), '127.0.0.1');
      far.pipe(near);
      near.on('data', (piece: Buffer) => {
        if (left > 0 && (left -= piece.length) <= 0) piece[piece.length - 20]! ^= 1;
        far.write(piece);
      });
      for (const [a, b] of [
        [near, far],
        [far, near],
      ] as const) {
        a.on('error', () => {});
        a.on('close', () => b.destroy());
      }
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port: changed } = proxy.address() as AddressInfo;
    writeFileSync(at('batch-changed'), `put ${at('large')} /shared/changed\n`);
    const options = [...byKey(), '-c', 'aes128-gcm@openssh.com'];
    const other = sftp([`put ${at('large')} /shared/fine`], options);
    const ran = await run('sftp', '-b', at('batch-changed'), '-P', String(changed), ...options, 'ann@127.0.0.1');
    assert.notEqual(ran.code, 0);
    assert.equal((await other).code, 0);
    assert.equal((await sftp([`get /shared/changed ${at('stolen')}`])).code, 1);
    assert.equal((await sftp(['rm /shared/fine'])).code, 0);
    proxy.close();
  });

  test('scp both ways, a folder too, and the first names again', async () => {
    mkdirSync(at('tree/in'), { recursive: true });
    for (let index = 0; index < 40; index++) writeFileSync(at(`tree/in/ü ${index}`), randomBytes(index * 1_000));
    const up = await run('scp', '-r', '-q', '-P', port, ...byKey(), at('tree'), 'ann@127.0.0.1:/shared/tree');
    assert.equal(up.code, 0, up.error);
    const down = await run('scp', '-r', '-q', '-P', port, ...byKey(), 'ann@127.0.0.1:/shared/tree', at('tree2'));
    assert.equal(down.code, 0, down.error);
    assert.equal((await run('diff', '-r', at('tree'), at('tree2'))).code, 0);
  });

  test('a password lets in; a wrong one and an unknown key do not; nobody gets a shell or a tunnel', async () => {
    const ask = `SSH_ASKPASS=${at('ask')}`;
    const withPassword = [...LOOSE, '-o', 'PreferredAuthentications=password', '-o', 'NumberOfPasswordPrompts=1'];
    writeFileSync(at('batch'), 'ls /\n');
    const command = ['-P', port, ...withPassword, '-oBatchMode=no', '-b', at('batch')];
    const env = ['SSH_ASKPASS_REQUIRE=force', 'DISPLAY=:0', ask];
    const let_ = await run('env', ...env, 'sftp', ...command, 'bob@127.0.0.1');
    assert.equal(let_.code, 0, let_.error);
    writeFileSync(at('wrong'), '#!/bin/sh\necho wrong horse\n', { mode: 0o700 });
    const refused = await run(
      'env',
      ...env.slice(0, 2),
      `SSH_ASKPASS=${at('wrong')}`,
      'sftp',
      ...command,
      'bob@127.0.0.1',
    );
    assert.notEqual(refused.code, 0);
    assert.match(refused.error, /Permission denied/);
    assert.notEqual((await sftp(['ls'], byKey(), 'bob')).code, 0);
    for (const [command, words] of [
      [['ls', '/etc'], /There is no shell here/],
      [[], /There is no shell here/],
    ] as const) {
      const shell = await run('ssh', '-T', '-p', port, ...byKey(), 'ann@127.0.0.1', ...command);
      assert.equal(shell.code, 1);
      assert.match(shell.error, words);
    }
    const tunnel = await run('ssh', '-p', port, ...byKey(), '-W', `127.0.0.1:${port}`, 'ann@127.0.0.1');
    assert.notEqual(tunnel.code, 0);
  });

  test('each has a home; another’s, what leads out and hostile names are refused', async () => {
    assert.equal((await sftp([`put ${at('id.pub')} mine`])).code, 0);
    assert.ok(readFileSync(join(data, 'files/home/ann/mine')).length > 0);
    await run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', at('bob'));
    await order('account.key', { name: 'bob', add: readFileSync(at('bob.pub'), 'utf8') });
    const asBob = byKey().map((each) => (each === at('id') ? at('bob') : each));
    for (const command of [
      `get /home/ann/mine ${at('stolen')}`,
      'ls /home/ann',
      `put ${at('id.pub')} /home/ann/x`,
      'rm /home/ann/mine',
    ])
      assert.notEqual((await sftp([command], asBob, 'bob')).code, 0, command);
    for (const command of ['ls /../../../etc', 'ln -s /etc/passwd /shared/p', `get /../etc/passwd ${at('stolen')}`]) {
      const ran = await sftp([command, `get /shared/p ${at('stolen')}`]);
      assert.notEqual(ran.code, 0, command);
    }
  });

  test('what is asked behind a change finds it done, though nobody waited for its answer', async () => {
    const client = await new Promise<ssh2.Client>((resolve, reject) => {
      const made = new ssh2.Client();
      made.on('ready', () => resolve(made)).on('error', reject);
      made.connect({ port: Number(port), host: '127.0.0.1', username: 'ann', privateKey: readFileSync(at('id')) });
    });
    const files = await new Promise<SFTPWrapper>((resolve, reject) =>
      client.sftp((error, made) => (error ? reject(error) : resolve(made))),
    );
    const ignored = () => {};
    for (let round = 0; round < 20; round++) {
      const name = `/shared/behind-${round}`;
      const handle = await new Promise<Buffer>((resolve, reject) =>
        files.open(name, 'w', (error, made) => (error ? reject(error) : resolve(made))),
      );
      files.write(handle, Buffer.from('all of it'), 0, 9, 0, ignored);
      files.close(handle, ignored);
      const size = new Promise<number>((resolve, reject) =>
        files.stat(name, (error, found) => (error ? reject(error) : resolve(found.size))),
      );
      files.rename(name, `${name}-moved`, ignored);
      const text = new Promise<string>((resolve, reject) =>
        files.readFile(`${name}-moved`, (error, bytes) => (error ? reject(error) : resolve(String(bytes)))),
      );
      const removed = size
        .then(() => text)
        .then(() => new Promise((resolve) => files.unlink(`${name}-moved`, resolve)));
      assert.deepEqual([await size, await text], [9, 'all of it']);
      assert.equal((await removed) ?? null, null);
    }
    client.end();
  });

  test('an upload that was cut off is not there for others, and goes on', async () => {
    const bytes = randomBytes(8_000_000);
    writeFileSync(at('long'), bytes);
    const client = await new Promise<ssh2.Client>((resolve, reject) => {
      const made = new ssh2.Client();
      made.on('ready', () => resolve(made)).on('error', reject);
      made.connect({ port: Number(port), host: '127.0.0.1', username: 'ann', privateKey: readFileSync(at('id')) });
    });
    const files = await new Promise<SFTPWrapper>((resolve, reject) =>
      client.sftp((error, made) => (error ? reject(error) : resolve(made))),
    );
    const handle = await new Promise<Buffer>((resolve, reject) =>
      files.open('/shared/long', 'w', (error, made) => (error ? reject(error) : resolve(made))),
    );
    for (let offset = 0; offset < 3_200_000; offset += 32_000)
      await new Promise<void>((resolve, reject) =>
        files.write(handle, bytes, offset, 32_000, offset, (error) => (error ? reject(error) : resolve())),
      );
    client.destroy();
    let seen = '';
    for (let round = 0; round < 100 && !seen.includes('3200000'); round++)
      seen = (await sftp(['ls -l /shared/long'])).out;
    assert.match(seen, /3200000/);
    assert.ok(!readdirSync(join(data, 'files/shared')).includes('long'));
    const ran = await sftp([`reput ${at('long')} /shared/long`]);
    assert.equal(ran.code, 0, ran.error);
    assert.ok(readFileSync(join(data, 'files/shared/long')).equals(bytes));
  });

  test('who is revoked is cut off', async () => {
    const client = new ssh2.Client();
    let closed = false;
    await new Promise<void>((resolve, reject) => {
      client.on('ready', () => resolve()).on('error', reject);
      client.on('close', () => {
        closed = true;
      });
      client.connect({ port: Number(port), host: '127.0.0.1', username: 'bob', privateKey: readFileSync(at('bob')) });
    });
    client.on('error', () => {});
    await order('account.disable', { name: 'bob' });
    await until(() => closed, 'the end of the connection');
  });
});

test('rclone copies a tree and finds no difference', { skip: missing('rclone') }, async () => {
  mkdirSync(at('many'));
  for (let index = 0; index < 100; index++) writeFileSync(at(`many/${index}`), randomBytes(index * 37));
  const remote = `:sftp,host=127.0.0.1,port=${port},user=ann,key_file=${at('id')},shell_type=none:/shared/many`;
  const own = ['--config', at('rclone.conf'), '-q'];
  const copied = await run('rclone', 'copy', ...own, at('many'), remote);
  assert.equal(copied.code, 0, copied.error);
  const checked = await run('rclone', 'check', '--download', '--config', at('rclone.conf'), at('many'), remote);
  assert.equal(checked.code, 0, checked.error);
  assert.match(checked.error, /0 differences found/);
});

test('lftp mirrors both ways', { skip: missing('lftp') }, async () => {
  const script = [
    'set net:max-retries 1; set sftp:auto-confirm yes',
    `set sftp:connect-program "ssh -a -x ${byKey().join(' ')}"`,
    `open sftp://ann:@127.0.0.1:${port}`,
    `mirror -R ${at('many')} /shared/mirrored`,
    `mirror /shared/mirrored ${at('mirrored')}`,
  ].join('; ');
  const ran = await run('lftp', '-c', script);
  assert.equal(ran.code, 0, ran.error);
  assert.equal((await run('diff', '-r', at('many'), at('mirrored'))).code, 0);
});

const PARAMIKO = `
import paramiko, sys
port, key = int(sys.argv[1]), sys.argv[2]
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect('127.0.0.1', port, 'ann', pkey=paramiko.Ed25519Key.from_private_key_file(key), allow_agent=False, look_for_keys=False)
sftp = client.open_sftp()
with sftp.open('/shared/py', 'w') as f:
    f.write(b'one' * 100000)
with sftp.open('/shared/py', 'r+') as f:
    f.seek(3)
    f.write(b'TWO')
with sftp.open('/shared/py', 'a') as f:
    f.write(b'end')
with sftp.open('/shared/py') as f:
    data = f.read()
assert data == b'oneTWO' + b'one' * 99998 + b'end', len(data)
sftp.truncate('/shared/py', 6)
assert sftp.stat('/shared/py').st_size == 6
sftp.utime('/shared/py', (1000000000, 1000000000))
assert sftp.stat('/shared/py').st_mtime == 1000000000
sftp.posix_rename('/shared/py', '/shared/py2')
assert 'py2' in sftp.listdir('/shared')
for bad in ('/shared/none', '/shared/none/x'):
    try:
        sftp.open(bad)
        raise SystemExit('opened')
    except FileNotFoundError:
        pass
sftp.remove('/shared/py2')
print('fine', sftp.normalize('.'))
`;

test('paramiko writes at offsets, appends, truncates, sets times', {
  skip: missing('/usr/bin/python3', '-c', 'import paramiko'),
}, async () => {
  const ran = await run('/usr/bin/python3', '-c', PARAMIKO, port, at('id'));
  assert.equal(ran.out.trim(), 'fine /home/ann', ran.error);
});

test('noise in place of SSH ends that connection and no other', async () => {
  for (const noise of [
    'GET / HTTP/1.1\r\n\r\n',
    randomBytes(5_000),
    'SSH-1.0-x\r\n',
    `SSH-2.0-x\r\n${'\0'.repeat(70_000)}`,
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(noise));
      socket.on('error', () => resolve()).on('close', () => resolve());
      socket.resume();
    });
  }
  if (skip === false) assert.equal((await sftp(['ls /'])).code, 0);
});
