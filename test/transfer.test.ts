// `portico get`, `put`, `ls`, `rm`, `mv` and `mirror` against Portico itself, by each protocol: the same tree up and down, nothing
// the second time, what a lost connection cut, and what a listing that lies cannot do.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Portico } from '../src/portico.ts';
import { type Cutter, commandIn, cutter, makeTree, treeOf } from './transfer-house.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-transfer-'));
const at = (...names: string[]) => join(folder, ...names);
const TIMEOUT = { timeout: 120_000 };
let portico: Portico;
let tree = '';
let command: ReturnType<typeof commandIn>;

const portOf = (name: string) => Number(portico.urls[name]!.split(':').at(-1));

/** Where a place of the tree is, by a protocol. */
const WAYS: Readonly<Record<string, (path: string, port?: number) => string>> = {
  http: (path, port = portOf('http')) => `http://127.0.0.1:${port}/files/${path}`,
  https: (path) => `https://localhost:${portOf('https')}/files/${path}`,
  dav: (path, port = portOf('http')) => `dav://127.0.0.1:${port}/dav/${path}`,
  ftp: (path, port = portOf('ftp')) => `ftp://127.0.0.1:${port}//${path}`,
  ftps: (path) => `ftps://localhost:${portOf('ftps')}//${path}`,
  sftp: (path, port = portOf('sftp')) => `sftp://127.0.0.1:${port}/${path}`,
};

before(async () => {
  const data = at('data');
  portico = await Portico.start({ data, ports: 'ephemeral', control: false });
  tree = join(data, 'files');
  command = commandIn(at('home'), { PORTICO_DATA: data });
  makeTree(at('source'));
});
after(async () => {
  await portico.close();
  rmSync(folder, { recursive: true });
});

for (const [way, urlOf] of Object.entries(WAYS))
  test(`${way}: a tree goes up and comes back, and nothing is done twice`, TIMEOUT, async () => {
    const url = urlOf(`shared/${way}`);
    const trust = way === 'sftp' ? ['--accept-new'] : [];
    const planned = await command('mirror', at('source'), url, '--dry-run', '--json', ...trust);
    assert.equal(planned.code, 0, planned.errors);
    assert.equal(existsSync(join(tree, 'shared', way)), false);
    assert.equal(planned.lines.filter(({ event }) => event === 'planned').length, 13);
    const up = await command('mirror', at('source'), url, '--json', ...trust);
    assert.equal(up.code, 0, up.errors + up.output);
    assert.deepEqual(treeOf(join(tree, 'shared', way)), treeOf(at('source')));
    const again = await command('mirror', at('source'), url, '--json', '--delete');
    assert.equal(again.output, '{"event":"end","copied":0,"bytes":0,"deleted":0,"failed":0}\n');
    const back = at(`back-${way}`);
    const down = await command('mirror', url, back, '--json', '--checksum', '--jobs', '8');
    assert.equal(down.lines.at(-1)?.copied, 13, down.errors + down.output);
    assert.deepEqual(treeOf(back), treeOf(at('source')));
    writeFileSync(join(back, 'extra'), 'x');
    utimesSync(join(back, 'a', 'file 3'), 1, 1);
    const mended = await command('mirror', url, back, '--json', '--delete');
    assert.deepEqual([mended.lines.at(-1)?.copied, mended.lines.at(-1)?.deleted], [1, 1]);
    assert.deepEqual(treeOf(back), treeOf(at('source')));
  });

for (const [way, urlOf] of Object.entries(WAYS))
  test(`${way}: lists, fetches, moves and removes`, TIMEOUT, async () => {
    const name = 'one ä %25.txt';
    writeFileSync(at('one'), 'one\n');
    const trust = way === 'sftp' ? ['--accept-new'] : [];
    const put = await command('put', at('one'), urlOf(`shared/${way}-verbs/${name}`), '--folders', ...trust);
    assert.deepEqual([put.code, put.output, put.errors.replace(/.*is remembered.*\n/, '')], [0, '', '']);
    const listed = await command('ls', urlOf(`shared/${way}-verbs`), '--json');
    assert.equal(listed.code, 0, listed.errors);
    assert.deepEqual(
      listed.lines.map(({ name: each, kind, size }) => [each, kind, size]),
      [['one ä %.txt', 'file', 4]],
    );
    if (!way.startsWith('http'))
      assert.equal((await command('get', urlOf(`shared/${way}-verbs/${name}`))).output, 'one\n');
    assert.equal((await command('get', urlOf(`shared/${way}-verbs/${name}`), at(`got-${way}`))).code, 0);
    assert.equal(readFileSync(at(`got-${way}`), 'utf8'), 'one\n');
    assert.equal((await command('mv', urlOf(`shared/${way}-verbs/${name}`), urlOf(`shared/${way}-verbs/two`))).code, 0);
    assert.deepEqual(readdirSync(join(tree, 'shared', `${way}-verbs`)), ['two']);
    assert.equal((await command('rm', urlOf(`shared/${way}-verbs`))).code, 77);
    assert.equal((await command('rm', '--recursive', urlOf(`shared/${way}-verbs`))).code, 0);
    assert.equal(existsSync(join(tree, 'shared', `${way}-verbs`)), false);
    assert.equal((await command('ls', urlOf(`shared/${way}-verbs`))).code, 1);
  });

const BIG = randomBytes(20_000_000);

for (const way of ['http', 'dav', 'ftp', 'sftp'])
  test(`${way}: goes on where the connection was cut, in another run and in the same`, TIMEOUT, async () => {
    writeFileSync(at('large'), BIG);
    await using proxy: Cutter = await cutter(portOf(way === 'dav' ? 'http' : way));
    const url = WAYS[way]!(`shared/cut-${way}`, proxy.port);
    const target = join(tree, 'shared', `cut-${way}`);
    const trust = way === 'sftp' ? ['--accept-new'] : [];
    proxy.cutAfter('up', 12_000_000);
    const lost = await command('put', at('large'), url, '--retries', '0', ...trust);
    assert.equal(lost.code, 69, lost.errors);
    assert.equal(existsSync(target), false);
    proxy.passed.up = 0;
    const put = await command('put', at('large'), url, '--continue');
    assert.equal(put.code, 0, put.errors);
    assert.ok(readFileSync(target).equals(BIG));
    // What the server had of it did not go again; WebDAV has no way to go on.
    if (way !== 'dav') assert.ok(proxy.passed.up < BIG.length - 1_000_000, `${proxy.passed.up} bytes`);
    const here = at(`large-${way}`);
    proxy.cutAfter('down', 12_000_000);
    assert.equal((await command('get', url, here, '--retries', '0')).code, 69);
    assert.equal(existsSync(here), false);
    proxy.passed.down = 0;
    const got = await command('get', url, here, '--continue');
    assert.equal(got.code, 0, got.errors);
    assert.ok(readFileSync(here).equals(BIG));
    assert.ok(proxy.passed.down < BIG.length - 1_000_000, `${proxy.passed.down} bytes`);
    rmSync(here);
    // A part of a file that has changed since is of no use.
    proxy.cutAfter('down', 12_000_000);
    assert.equal((await command('get', url, here, '--retries', '0')).code, 69);
    const other = randomBytes(BIG.length);
    writeFileSync(target, other);
    utimesSync(target, 1_000_000_000, 1_000_000_000);
    assert.equal((await command('get', url, here, '--continue')).code, 0);
    assert.ok(readFileSync(here).equals(other));
    rmSync(here);
    proxy.cutAfter('down', 12_000_000);
    const mended = await command('get', url, here);
    assert.equal(mended.code, 0, mended.errors);
    assert.match(mended.errors, /once more/);
    assert.ok(readFileSync(here).equals(other));
  });

test('a listing that lies writes nothing outside of the folder', TIMEOUT, async () => {
  const names = ['../evil', '..', '.', '', '/evil', 'a/../../evil', '..\\evil', 'nul\0', 'x'.repeat(300), 'good'];
  const href = (name: string) => `/t/${encodeURIComponent(name)}`;
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, 'http://x');
    if (request.method === 'PROPFIND') {
      const one = (path: string, type: string) =>
        `<response><href>${path}</href><propstat><prop><resourcetype>${type}</resourcetype><getcontentlength>4</getcontentlength></prop><status>HTTP/1.1 200 OK</status></propstat></response>`;
      const all = [one('/t/', '<collection/>')];
      if (request.headers.depth === '1')
        for (const path of [...names.map(href), '/t/../evil', '/evil', '/t/%2e%2e%2fevil']) all.push(one(path, ''));
      response.writeHead(207, { 'content-type': 'application/xml' });
      response.end(`<?xml version="1.0"?><multistatus xmlns="DAV:">${all.join('')}</multistatus>`);
    } else if (pathname === '/t') response.writeHead(308, { location: '/t/' }).end();
    else if (pathname === '/t/') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ entries: names.map((name) => ({ name, kind: 'file', size: 4 })), next: null }));
    } else response.end('evil');
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  server.unref();
  const { port } = server.address() as AddressInfo;
  for (const scheme of ['http', 'dav']) {
    const inner = at(`lied-${scheme}`, 'deep', 'inner');
    const { code, errors } = await command('mirror', `${scheme}://127.0.0.1:${port}/t`, inner);
    assert.equal(code, 0, errors);
    assert.deepEqual(treeOf(at(`lied-${scheme}`)), {
      '/deep': 'folder',
      '/deep/inner': 'folder',
      '/deep/inner/good': 'b653891162a040e1bfe6e436bdcd93827e0c56e5',
    });
  }
  server.closeAllConnections();
  server.close();
});

test('a server of SSH is believed once it is known, and never with another key', TIMEOUT, async () => {
  const run = commandIn(at('home-ssh'));
  const url = WAYS.sftp!('shared/');
  const unknown = await run('ls', url);
  assert.equal(unknown.code, 77);
  assert.match(unknown.errors, /is not known in .*SHA256:/);
  assert.equal((await run('ls', url, '--accept-new')).code, 0);
  assert.equal((await run('ls', url)).code, 0);
  const file = at('home-ssh', '.ssh', 'known_hosts');
  const [name, type] = readFileSync(file, 'utf8').split(' ');
  const key = readFileSync(at('data', 'ssh', 'ssh_host_ecdsa_key.pub'), 'utf8').split(' ')[1]!;
  writeFileSync(file, `${name} ${type} ${Buffer.from(key, 'base64').fill(1, 40).toString('base64')}\n`);
  const changed = await run('ls', url, '--accept-new');
  assert.equal(changed.code, 77, changed.errors);
  assert.match(changed.errors, /another key/);
});

test('what is wrong on the command line ends with 64, and nobody there with 69', TIMEOUT, async () => {
  assert.equal((await command('mirror', at('source'), at('other'))).code, 64);
  assert.equal((await command('put', WAYS.ftp!('x'))).code, 64);
  assert.equal((await command('ls', 'gopher://127.0.0.1/')).code, 64);
  assert.equal((await command('put', at('none'), WAYS.ftp!('shared/'))).code, 74);
  assert.equal((await command('ls', 'ftp://127.0.0.1:1/', '--retries', '0')).code, 64);
  assert.equal((await command('ls', 'ftp://127.0.0.1:1/')).code, 69);
});
