// Trash and versions as a configuration makes them: what any protocol deletes or overwrites is kept, and HTTP and the service
// list it and give it back; also after the server was started again.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { addAccount, BASIC, type FileWay, openWays } from './ways.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-former-'));
let portico: Portico;
let ways: FileWay[] = [];

async function open(): Promise<void> {
  portico = await Portico.start({
    ports: 'ephemeral',
    data: join(folder, 'data'),
    control: false,
    files: { keep: [{ path: 'shared', trash: { days: 30 }, versions: { count: 10, days: 30 } }] },
  });
}

async function close(): Promise<void> {
  for (const way of ways) way.close();
  await portico.close();
}

before(async () => {
  await open();
  await addAccount(portico);
  for (const rule of ['allow ann call services/#', 'allow ann read,write,delete,list files/shared/#']) {
    const added = await portico.order({ do: 'rule.add', rule });
    assert.ok(added.ok, JSON.stringify(added));
  }
  ways = await openWays(portico);
});
after(async () => {
  await close();
  rmSync(folder, { recursive: true });
});

async function ask(method: string, target: string) {
  const response = await fetch(portico.urls.http! + target, { method, headers: { authorization: BASIC } });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

async function call<T>(method: string, input: object): Promise<T> {
  const response = await fetch(`${portico.urls.http}/services/portico.v1.Files/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: BASIC },
    body: JSON.stringify(input),
  });
  return (await response.json()) as T;
}

interface Listed {
  readonly entries: { readonly id: string; readonly path: string; readonly by: string }[];
}
interface Versions {
  readonly versions: { readonly id: string; readonly size: number | string }[];
}

test('what any protocol deletes lies in the trash, and what it overwrites is a version', async () => {
  for (const [index, way] of ways.entries()) {
    const path = `shared/by-${index}`;
    await way.put(path, Buffer.from('first'));
    await way.put(path, Buffer.from('second!'));
    const { versions } = JSON.parse((await ask('GET', `/files/${path}?versions`)).text) as Versions;
    assert.deepEqual(
      versions.map(({ size }) => size),
      [5],
      way.name,
    );
    assert.equal((await ask('GET', `/files/${path}?version=${versions[0]!.id}`)).text, 'first', way.name);
    await way.remove(path);
    await assert.rejects(way.get(path), way.name);
    const listed = JSON.parse((await ask('GET', '/files/shared/?trash')).text) as Listed;
    const entry = listed.entries.find((each) => each.path === path);
    assert.equal(entry?.by, 'ann', way.name);
    const back = await ask('POST', `/files/${path}?restore=${entry!.id}`);
    assert.deepEqual([back.status, back.headers.get('location')], [201, `/files/${path}`], way.name);
    assert.equal((await way.get(path)).toString(), 'second!', way.name);
  }
});

test('an editor that writes beside a file and renames over it leaves a version', async () => {
  for (const way of ways.filter(({ name }) => !name.startsWith('FTP'))) {
    await way.put('shared/doc', Buffer.from('before'));
    const { versions: old } = await call<Versions>('Versions', { path: 'shared/doc' });
    await way.put('shared/doc.tmp', Buffer.from('after'));
    await way.rename('shared/doc.tmp', 'shared/doc');
    const { versions } = await call<Versions>('Versions', { path: 'shared/doc' });
    assert.equal(versions.length, old.length + 1, way.name);
    const id = versions.at(-1)!.id;
    const part = await call<{ data: string }>('ReadPart', { path: 'shared/doc', former: id });
    assert.equal(Buffer.from(part.data, 'base64').toString(), 'before', way.name);
  }
});

test('the service gives back and purges, as HTTP does; all of it is there after a restart', async () => {
  const [way] = ways;
  await way!.put('shared/s', Buffer.from('one'));
  await way!.put('shared/s', Buffer.from('two'));
  await call('Delete', { path: 'shared/s' });
  await close();
  await open();
  ways = await openWays(portico);
  const { entries } = await call<Listed>('Trash', { path: 'shared' });
  const { id } = entries.find(({ path }) => path === 'shared/s')!;
  assert.equal((await call<{ path: string }>('Restore', { id, to: 'shared/t' })).path, 'shared/t');
  assert.equal((await call<{ code: string }>('Restore', { id })).code, 'NOT_FOUND');
  assert.equal((await ways[0]!.get('shared/t')).toString(), 'two');
  // The versions are those of the path where it was.
  const { versions } = await call<Versions>('Versions', { path: 'shared/s' });
  assert.equal(versions.length, 1);
  assert.equal((await ask('POST', `/files/shared/s?version=${versions[0]!.id}`)).status, 201);
  assert.equal((await ways[0]!.get('shared/s')).toString(), 'one');
  assert.equal((await ask('DELETE', '/files/shared/s?forever')).status, 204);
  const left = await call<Listed>('Trash', { path: 'shared' });
  assert.ok(!left.entries.some(({ path }) => path === 'shared/s'));
  for (const entry of left.entries) assert.equal((await ask('DELETE', `/files/?trash=${entry.id}`)).status, 204);
  assert.deepEqual((await call<Listed>('Trash', { path: 'shared' })).entries, []);
  assert.equal((await ask('DELETE', '/files/?trash=none')).status, 404);
  assert.equal((await ask('PUT', '/files/shared/s?version=1')).status, 405);
});

test('who has a link to a file has nothing of what it was', async () => {
  const [way] = ways;
  await way!.put('shared/l', Buffer.from('secret'));
  await way!.put('shared/l', Buffer.from('public'));
  const { versions } = await call<Versions>('Versions', { path: 'shared/l' });
  const { url } = await call<{ url: string }>('Share', { path: 'shared/l' });
  for (const query of ['versions', `version=${versions[0]!.id}`, 'trash']) {
    const response = await fetch(`${portico.urls.http}${url}?${query}`);
    assert.equal(await response.text(), 'public', query);
  }
});
