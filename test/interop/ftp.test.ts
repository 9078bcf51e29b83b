// FTP and FTPS with clients that are not ours: curl, lftp, Python's ftplib, basic-ftp, rclone; passive and active, IPv4 and
// IPv6, in the clear and within TLS against the server's own root; and what nobody may do.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Client } from 'basic-ftp';
import { Portico, type StartOptions } from '../../src/portico.ts';
import { missing, type Program, run, Program as Started, until } from '../clients.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-ftp-'));
const source = join(folder, 'source');
const BIG = randomBytes(3_000_000);

interface House {
  readonly portico: Portico;
  readonly plain: number;
  readonly implicit: number;
  readonly root: string;
  /** Where the files are on the disk. */
  readonly tree: string;
}

let count = 0;

async function open(options: StartOptions = {}): Promise<House> {
  const data = join(folder, `data-${++count}`);
  const portico = await Portico.start({ data, ports: 'ephemeral', control: false, ...options });
  const port = (name: string) => Number(portico.urls[name]!.split(':').at(-1));
  const tree = join(data, 'files');
  return { portico, plain: port('ftp'), implicit: port('ftps'), root: join(data, 'certificates', 'root.pem'), tree };
}

/** What came of uploads that are not whole. */
function pendingBytes(tree: string): number {
  const place = join(tree, '.portico', 'pending');
  const names = readdirSync(place, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return names.reduce(
    (sum, { parentPath, name }) => sum + (statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

let house: House;
/** Data connections must go on with the session of the control connection. */
let strict: House;

before(async () => {
  mkdirSync(join(source, 'a', 'b \u00e4'), { recursive: true });
  for (let number = 0; number < 12; number++)
    writeFileSync(join(source, 'a', `file ${number}`), BIG.subarray(0, number * 3_000));
  writeFileSync(join(source, 'a', 'b \u00e4', '\u{1f600}'), 'smile');
  writeFileSync(join(folder, 'big'), BIG);
  house = await open();
  strict = await open({ ftp: { requireTls: true, protectData: true, resumeData: true } });
  for (const { tree } of [house, strict]) {
    writeFileSync(join(tree, 'hello'), 'hello\n');
    writeFileSync(join(tree, 'big'), BIG);
  }
});

after(async () => {
  await house.portico.close();
  await strict.portico.close();
  rmSync(folder, { recursive: true });
});

// ---- curl ------------------------------------------------------------------------------------------------------------

const NAME = ['-sS', '--max-time', '30', '-u', 'ann:secret'];

async function curl(...args: string[]): Promise<string> {
  const { code, out, error } = await run('curl', ...NAME, ...args);
  assert.equal(code, 0, `${args.join(' ')}: ${error}`);
  return out;
}

test('curl: passive and active, with the extended commands and the old ones', { skip: missing('curl') }, async () => {
  const url = `ftp://127.0.0.1:${house.plain}//hello`;
  const sixth = `ftp://[::1]:${house.plain}//hello`;
  for (const args of [
    [url],
    [sixth],
    ['--disable-epsv', url],
    ['-P', '-', url],
    ['-P', '-', sixth],
    ['--disable-eprt', '-P', '-', url],
  ])
    assert.equal(await curl(...args), 'hello\n', args.join(' '));
});

test('curl: within TLS, explicit and implicit, against our root', { skip: missing('curl') }, async () => {
  for (const { plain, implicit, root, tree } of [house, strict]) {
    const ways = [['--ssl-reqd', `ftp://localhost:${plain}`], [`ftps://localhost:${implicit}`]];
    for (const [index, way] of ways.entries()) {
      const args = ['--cacert', root, ...way.slice(0, -1)];
      const url = way.at(-1)!;
      assert.equal(await curl(...args, `${url}//hello`), 'hello\n');
      await curl(...args, '-T', join(folder, 'big'), `${url}//shared/tls-${index}`);
      assert.ok(readFileSync(join(tree, 'shared', `tls-${index}`)).equals(BIG));
    }
  }
  const { code } = await run('curl', ...NAME, `ftp://localhost:${strict.plain}//hello`);
  assert.equal(code, 67, 'nobody signs in without TLS there');
});

test('curl: resumes both ways, and nothing is seen of half an upload', { skip: missing('curl') }, async () => {
  const url = `ftp://127.0.0.1:${house.plain}//shared/resumed`;
  const slow = new Started('curl', [...NAME, '--limit-rate', '200K', '-T', join(folder, 'big'), url]);
  await until(() => pendingBytes(house.tree) > 300_000, 'an upload');
  slow.kill();
  await slow.done;
  const target = join(house.tree, 'shared', 'resumed');
  assert.equal(existsSync(target), false);
  const head = await curl('-I', url);
  const size = Number(/Content-Length: (\d+)/.exec(head)?.[1]);
  assert.ok(size > 0 && size < BIG.length, head);
  await curl('-C', '-', '-T', join(folder, 'big'), url);
  assert.ok(readFileSync(target).equals(BIG));
  const part = join(folder, 'part');
  writeFileSync(part, BIG.subarray(0, 1_000_000));
  await curl('-C', '-', '-o', part, url);
  assert.ok(readFileSync(part).equals(BIG));
});

// ---- lftp ------------------------------------------------------------------------------------------------------------

/** All files below a folder, with what is in them. */
function treeOf(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found[path.slice(root.length)] = createHash('sha1').update(readFileSync(path)).digest('hex');
  }
  return found;
}

async function lftp(at: House, url: string, passive: boolean, commands: string): Promise<void> {
  const settings = [
    `set ssl:ca-file ${at.root}`,
    'set ssl:verify-certificate yes',
    'set ftp:ssl-force yes',
    'set ftp:ssl-protect-data yes',
    `set ftp:passive-mode ${passive ? 'on' : 'off'}`,
    'set net:max-retries 2',
    'set net:timeout 20',
    'set cmd:fail-exit yes',
  ];
  const { code, error } = await run('lftp', '-u', 'ann,secret', '-e', `${settings.join('; ')}; ${commands}; bye`, url);
  assert.equal(code, 0, `${url} ${commands}: ${error}`);
}

test('lftp: mirrors both ways within TLS, passive and active', { skip: missing('lftp') }, async () => {
  for (const at of [house, strict]) {
    for (const [url, passive] of [
      [`ftp://localhost:${at.plain}`, true],
      [`ftps://localhost:${at.implicit}`, true],
      [`ftp://127.0.0.1:${at.plain}`, false],
      [`ftp://[::1]:${at.plain}`, false],
    ] as const) {
      const back = mkdtempSync(join(folder, 'back-'));
      await lftp(at, url, passive, `mirror -R ${source} /shared/m; mirror /shared/m ${back}; rm -r /shared/m`);
      assert.deepEqual(treeOf(back), treeOf(source));
      assert.equal(existsSync(join(at.tree, 'shared', 'm')), false);
    }
  }
});

test('lftp: goes on with what is there, and keeps times', { skip: missing('lftp') }, async () => {
  const place = join(house.tree, 'shared', 'go-on');
  writeFileSync(place, BIG.subarray(0, 1_234_567));
  const url = `ftp://localhost:${house.plain}`;
  await lftp(house, url, true, `put -c ${join(folder, 'big')} -o /shared/go-on`);
  assert.ok(readFileSync(place).equals(BIG));
  const times = Math.floor(statSync(join(folder, 'big')).mtimeMs / 1_000);
  await lftp(house, url, true, `mirror -R --include-glob=big --no-recursion ${folder} /shared/timed`);
  assert.equal(Math.floor(statSync(join(house.tree, 'shared', 'timed', 'big')).mtimeMs / 1_000), times);
});

// ---- ftplib, basic-ftp, rclone ---------------------------------------------------------------------------------------

const SCRIPT = `
import ftplib, io, ssl, sys
port, root = int(sys.argv[1]), sys.argv[2]
for secure in (False, True):
    for passive in (True, False):
        for host in ('127.0.0.1', '::1'):
            f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=root)) if secure else ftplib.FTP()
            f.connect(host, port, timeout=20)
            f.login('ann', 'secret')
            if secure: f.prot_p()
            f.set_pasv(passive)
            f.cwd('/shared')
            f.storbinary('STOR py', io.BytesIO(b'x' * 100000))
            assert f.size('py') == 100000
            f.storlines('STOR lines', io.BytesIO(b'one\\ntwo\\n'))
            got = []
            f.retrlines('RETR lines', got.append)
            assert got == ['one', 'two'], got
            out = io.BytesIO()
            f.retrbinary('RETR py', out.write, rest=99990)
            assert out.getvalue() == b'x' * 10
            assert 'py' in f.nlst() and 'py' in dict(f.mlsd())
            lines = []
            f.dir(lines.append)
            assert any(line.endswith(' py') for line in lines), lines
            f.mkd('pydir'); f.rename('py', 'pydir/moved'); f.delete('pydir/moved'); f.rmd('pydir'); f.delete('lines')
            conn = f.transfercmd('RETR /big')
            conn.recv(10)
            assert f.abort()[:3] in ('426', '225', '226')
            conn.close()
            while True:
                try:
                    if f.voidcmd('NOOP').startswith('200'): break
                except ftplib.Error: pass
            f.quit()
print('done')
`;

test('ftplib: in the clear and within TLS, passive and active, IPv4 and IPv6', {
  skip: missing('python3'),
}, async () => {
  const { out, error } = await run('python3', '-c', SCRIPT, String(house.plain), house.root);
  assert.equal(out, 'done\n', error);
});

test('basic-ftp: explicit and implicit TLS, with sessions that must go on', async () => {
  for (const at of [house, strict])
    for (const secure of [true, 'implicit'] as const) {
      const client = new Client(20_000);
      const port = secure === 'implicit' ? at.implicit : at.plain;
      const secureOptions = { ca: readFileSync(at.root), servername: 'localhost' };
      await client.access({ host: 'localhost', port, user: 'ann', password: 'x', secure, secureOptions });
      await client.ensureDir('/shared/basic/deep');
      await client.uploadFrom(join(folder, 'big'), 'big');
      assert.equal(await client.size('big'), BIG.length);
      await client.downloadTo(join(folder, 'basic'), 'big');
      assert.ok(readFileSync(join(folder, 'basic')).equals(BIG));
      await client.cd('/');
      assert.ok((await client.list('/shared')).some(({ name, isDirectory }) => name === 'basic' && isDirectory));
      await client.removeDir('/shared/basic');
      client.close();
    }
});

test('rclone: copies and checks', { skip: missing('rclone', 'version') }, async () => {
  const { out: hidden } = await run('rclone', 'obscure', 'secret');
  const remote = `:ftp,host=127.0.0.1,port=${house.plain},user=ann,pass=${hidden.trim()}:/shared/rclone`;
  const copied = await run('rclone', '--config', '/dev/null', 'copy', source, remote);
  assert.equal(copied.code, 0, copied.error);
  const checked = await run('rclone', '--config', '/dev/null', 'check', '--download', source, remote);
  assert.equal(checked.code, 0, checked.error);
  assert.match(checked.error, /0 differences found/);
});

// ---- what nobody may do ----------------------------------------------------------------------------------------------

class Line {
  text = '';
  isOver = false;
  readonly socket: Socket | TLSSocket;

  constructor(socket: Socket | TLSSocket) {
    this.socket = socket;
    socket.on('data', (data) => (this.text += data));
    socket.on('error', () => {});
    socket.on('close', () => (this.isOver = true));
  }

  async says(text: string, pattern: RegExp): Promise<RegExpExecArray> {
    this.text = '';
    this.socket.write(text);
    return this.hears(pattern);
  }

  async hears(pattern: RegExp): Promise<RegExpExecArray> {
    await until(() => pattern.test(this.text) || this.isOver, `${pattern} in ${JSON.stringify(this.text)}`);
    const found = pattern.exec(this.text);
    assert.ok(found !== null, `${pattern} in ${this.text}`);
    return found;
  }

  async over(): Promise<void> {
    await until(() => this.isOver, 'the end of a connection');
  }
}

async function signedIn(): Promise<Line> {
  const line = new Line(connect(house.plain, '127.0.0.1'));
  await line.hears(/^220 /);
  await line.says('USER ann\r\n', /331/);
  await line.says('PASS x\r\nTYPE I\r\n', /200/);
  return line;
}

test('nobody else takes a data connection that is awaited', async () => {
  const line = await signedIn();
  const told = await line.says('EPSV\r\n', /\|(\d+)\|/);
  const port = Number(told[1]);
  const thief = new Line(connect({ host: '127.0.0.1', port, localAddress: '127.0.0.2' }));
  await thief.over();
  const data = new Line(connect({ host: '127.0.0.1', port }));
  await line.says('RETR /hello\r\n', /226/);
  await data.over();
  assert.equal(data.text, 'hello\n');
  assert.equal(thief.text, '');
  line.socket.destroy();
});

test('nobody is connected to for somebody else, and no path leads out of the tree', async () => {
  const visited: Socket[] = [];
  const victim = createServer((socket) => void visited.push(socket)).listen(0, '127.0.0.2');
  await new Promise((resolve) => victim.once('listening', resolve));
  const { port } = victim.address() as { port: number };
  const line = await signedIn();
  await line.says(`PORT 127,0,0,2,${port >>> 8},${port & 255}\r\n`, /^504 /);
  await line.says(`EPRT |1|127.0.0.2|${port}|\r\n`, /^504 /);
  await line.says('PORT 127,0,0,1,0,22\r\n', /^504 /);
  await line.says('RETR /hello\r\n', /^425 /);
  assert.equal(visited.length, 0);
  victim.close();
  const link = join(house.tree, 'shared', 'out');
  await run('ln', '-s', '/etc', link);
  for (const path of [
    '../../../../etc/passwd',
    '/../etc/passwd',
    'shared/../../etc/passwd',
    '/shared/out/passwd',
    '/.portico/pending',
  ]) {
    await line.says('EPSV\r\n', /229/);
    await line.says(`RETR ${path}\r\n`, /^5\d\d /);
    await line.says(`SIZE ${path}\r\n`, /^550 /);
  }
  line.socket.destroy();
});

test('a file that the kernel cannot send at once arrives whole, by whichever way it is sent', async () => {
  const large = randomBytes(24_000_000);
  const digest = createHash('sha1').update(large).digest('hex');
  const plain = await open({ native: 'off' });
  for (const { plain: port, tree } of [house, plain]) {
    writeFileSync(join(tree, 'large'), large);
    const line = new Line(connect(port, '127.0.0.1'));
    await line.hears(/^220 /);
    await line.says('USER ann\r\n', /331/);
    await line.says('PASS x\r\nTYPE I\r\n', /200/);
    for (const start of [0, 1_234_567]) {
      const told = await line.says('EPSV\r\n', /\|(\d+)\|/);
      const data = connect({ host: '127.0.0.1', port: Number(told[1]) });
      const hash = createHash('sha1').update(large.subarray(0, start));
      // Slower than it is sent, in steps.
      data.on('data', (piece) => {
        hash.update(piece);
        data.pause();
        setImmediate(() => data.resume());
      });
      await line.says(`REST ${start}\r\nRETR /large\r\n`, /226/);
      await until(() => data.closed || data.readableEnded, 'the end of the data');
      assert.equal(hash.digest('hex'), digest);
    }
    line.socket.destroy();
  }
  await plain.portico.close();
});

test('commands that are sent behind AUTH TLS in the clear are not done', async () => {
  const line = new Line(connect(house.plain, '127.0.0.1'));
  await line.hears(/^220 /);
  await line.says('AUTH TLS\r\nUSER ann\r\nPASS x\r\nDELE /hello\r\n', /234/);
  await line.over();
  assert.doesNotMatch(line.text, /331|230/);
  assert.ok(existsSync(join(house.tree, 'hello')));
});

test('within TLS, a stranger’s session does not open a data connection', async () => {
  const ca = readFileSync(strict.root);
  const talk = async (): Promise<{ line: Line; session: Buffer }> => {
    const socket = connectTls({ port: strict.implicit, host: '127.0.0.1', servername: 'localhost', ca });
    let session: Buffer | null = null;
    socket.on('session', (given) => (session = given));
    const line = new Line(socket);
    await line.hears(/^220 /);
    await line.says('USER ann\r\n', /331/);
    await line.says('PASS x\r\nTYPE I\r\n', /200/);
    await until(() => session !== null, 'a session');
    return { line, session: session! };
  };
  const one = await talk();
  const other = await talk();
  for (const [session, code] of [
    [other.session, 522],
    [one.session, 226],
  ] as const) {
    const told = await one.line.says('EPSV\r\n', /\|(\d+)\|/);
    const port = Number(told[1]);
    one.line.socket.write('RETR /hello\r\n');
    const data = new Line(connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca, session }));
    await one.line.hears(new RegExp(`${code} `));
    await data.over();
    assert.equal(data.text, code === 226 ? 'hello\n' : '');
  }
  one.line.socket.destroy();
  other.line.socket.destroy();
});

test('a client that is killed leaves what can be resumed, and no file', { skip: missing('lftp') }, async () => {
  const put = `set ftp:ssl-allow no; set net:limit-rate 0:300000; put ${join(folder, 'big')} -o /shared/killed`;
  const client: Program = new Started('lftp', ['-u', 'ann,secret', '-e', put, `ftp://127.0.0.1:${house.plain}`]);
  await until(() => pendingBytes(house.tree) > 200_000, 'an upload');
  client.kill('SIGKILL');
  await client.done;
  const line = await signedIn();
  let size = 0;
  for (let round = 0; round < 200 && size === 0; round++) {
    const told = await line.says('SIZE /shared/killed\r\n', /^(?:213 (\d+)|550 .*)\r\n/);
    size = Number(told[1] ?? 0);
  }
  assert.ok(size > 0 && size < BIG.length, `${size}`);
  assert.equal(existsSync(join(house.tree, 'shared', 'killed')), false);
  line.socket.destroy();
});

test('files of two protocols are the same', async () => {
  const line = await signedIn();
  const told = await line.says('EPSV\r\n', /\|(\d+)\|/);
  const data = connect({ host: '127.0.0.1', port: Number(told[1]) });
  data.end('by FTP');
  await line.says('STOR /shared/both\r\n', /226/);
  assert.equal(readFileSync(join(house.tree, 'shared', 'both'), 'utf8'), 'by FTP');
  line.socket.destroy();
});
