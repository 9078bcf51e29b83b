// portico.v1.Files through real clients of each protocol, over one server: what one wrote the others read, with the same
// errors; and what the service itself promises of conditions, hashes, uploads that break off, links and changes.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import mqtt from 'mqtt';
import { createClientAsync } from 'soap';
import { WebSocket } from 'ws';
import { ANNOTATIONS, googleFile, protoFiles } from '../../src/formats/schema/proto-files.ts';
import { protoText } from '../../src/formats/schema/proto-text.ts';
import { Portico } from '../../src/portico.ts';

const SERVICE = 'portico.v1.Files';
let portico: Portico;
let http = '';
before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  http = portico.urls.http!;
});
after(() => portico.close());

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

interface Problem {
  readonly code: string;
}

async function rest(method: string, input: object): Promise<{ status: number; value: Record<string, unknown> }> {
  const response = await fetch(`${http}/services/${SERVICE}/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(input),
  });
  return { status: response.status, value: (await response.json()) as Record<string, unknown> };
}

/** What a stream of lines ends with, or all of it. */
async function lines(method: string, body: string, type: string): Promise<Plain[]> {
  const response = await fetch(`${http}/services/${SERVICE}/${method}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body,
  });
  const text = await response.text();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const put = (path: string, bytes: string | Uint8Array) =>
  fetch(`${http}/files/${path}`, { method: 'PUT', body: Buffer.from(bytes) });
const get = (path: string) => fetch(`${http}/files/${path}`).then((response) => response.text());

type Plain = Record<string, unknown>;
interface GrpcFiles extends grpc.Client {
  stat(input: Plain, done: (error: grpc.ServiceError | null, output: Plain) => void): void;
  read(input: Plain): grpc.ClientReadableStream<Plain>;
  watch(input: Plain): grpc.ClientReadableStream<Plain>;
  write(done: (error: grpc.ServiceError | null, output: Plain) => void): grpc.ClientWritableStream<Plain>;
}

function grpcClient(): GrpcFiles {
  const folder = mkdtempSync(join(tmpdir(), 'portico-files-proto-'));
  const files = protoFiles([portico.services.all.get(SERVICE)!]);
  for (const file of [...files, googleFile(ANNOTATIONS)!, googleFile('google/api/http.proto')!]) {
    mkdirSync(dirname(join(folder, file.name)), { recursive: true });
    writeFileSync(join(folder, file.name), protoText(file));
  }
  const loaded = loadSync('portico/v1.proto', { includeDirs: [folder], longs: String, enums: String, defaults: true });
  rmSync(folder, { recursive: true });
  const all = grpc.loadPackageDefinition(loaded) as unknown as {
    portico: { v1: { Files: grpc.ServiceClientConstructor } };
  };
  const client = new all.portico.v1.Files(new URL(http).host, grpc.credentials.createInsecure());
  return client as unknown as GrpcFiles;
}

test('gRPC, grpc-js: a stream in, a stream out, a range, and the codes of what is refused', async () => {
  const client = grpcClient();
  const bytes = randomBytes(700_000);
  const write = (begin: Plain, parts: readonly Uint8Array[]) =>
    new Promise<Plain>((resolve, reject) => {
      const call = client.write((error, output) => (error === null ? resolve(output) : reject(error)));
      call.write({ begin });
      for (const data of parts) call.write({ data });
      call.end();
    });
  const parts = [bytes.subarray(0, 300_000), bytes.subarray(300_000)];
  const hash = { algorithm: 'SHA_256', hex: sha256(bytes) };
  const written = await write({ path: 'shared/grpc/a.bin', makeFolders: true, length: '700000', hash }, parts);
  assert.equal(written.size, '700000');
  const back = Buffer.from(await (await fetch(`${http}/files/shared/grpc/a.bin`)).arrayBuffer());
  assert.ok(back.equals(bytes));

  const read = async (input: Plain) => {
    const got: Plain[] = [];
    for await (const part of client.read(input)) got.push(part as Plain);
    return got;
  };
  const all = await read({ path: 'shared/grpc/a.bin' });
  assert.ok(Buffer.concat(all.map(({ data }) => data as Buffer)).equals(bytes));
  assert.equal((all[0]!.file as Plain).size, '700000');
  const range = await read({ path: 'shared/grpc/a.bin', start: '299990', end: '300010' });
  assert.ok(Buffer.concat(range.map(({ data }) => data as Buffer)).equals(bytes.subarray(299_990, 300_010)));
  assert.equal(range[0]!.offset, '299990');

  const { code: wrongHash } = (await write({ path: 'shared/grpc/b', hash }, [Buffer.from('other')]).catch(
    (error: unknown) => error,
  )) as grpc.ServiceError;
  assert.equal(wrongHash, grpc.status.INVALID_ARGUMENT);
  assert.equal((await fetch(`${http}/files/shared/grpc/b`)).status, 404, 'it does not appear');
  const { code: there } = (await write({ path: 'shared/grpc/a.bin', mode: 'FRESH' }, []).catch(
    (error: unknown) => error,
  )) as grpc.ServiceError;
  assert.equal(there, grpc.status.ALREADY_EXISTS);
  const { code: stale } = (await write({ path: 'shared/grpc/a.bin', ifVersion: 'other' }, []).catch(
    (error: unknown) => error,
  )) as grpc.ServiceError;
  assert.equal(stale, grpc.status.ABORTED);
  const missing = await new Promise<grpc.ServiceError>((resolve) =>
    client.stat({ path: 'shared/none' }, (error) => resolve(error!)),
  );
  assert.equal(missing.code, grpc.status.NOT_FOUND);
  client.close();
});

test('gRPC, grpc-js: an upload that breaks off is gone on with where it ended', async () => {
  const client = grpcClient();
  const call = client.write(() => {});
  call.on('error', () => {});
  call.write({ begin: { path: 'shared/cut', upload: 'mine' } });
  call.write({ data: Buffer.from('first ') });
  const pending = async () => (await rest('Pending', { path: 'shared/cut', upload: 'mine' })).value;
  while ((await pending()).size !== '6') await new Promise((resolve) => setImmediate(resolve));
  call.cancel();
  assert.equal((await fetch(`${http}/files/shared/cut`)).status, 404);
  const hash = { algorithm: 'MD5', hex: createHash('md5').update('first second').digest('hex') };
  const goOn = () =>
    new Promise<Plain>((resolve, reject) => {
      const rest = client.write((error, output) => (error === null ? resolve(output) : reject(error)));
      rest.on('error', reject);
      rest.write({ begin: { path: 'shared/cut', upload: 'mine', mode: 'RESUME', offset: '6', hash } });
      rest.write({ data: Buffer.from('second') });
      rest.end();
    });
  let written: Plain | null = null;
  // Until the server has heard that the first call is gone, its file is still being written.
  while (written === null)
    written = await goOn().catch((error: unknown) => {
      assert.equal((error as grpc.ServiceError).code, grpc.status.ABORTED);
      return null;
    });
  assert.equal(written.size, '12');
  assert.equal(await get('shared/cut'), 'first second');
  client.close();
});

test('gRPC, grpc-js: changes by other protocols are heard', async () => {
  const client = grpcClient();
  await rest('MakeDirectory', { path: 'shared/watched' });
  const call = client.watch({ path: 'shared/watched' });
  call.on('error', () => {});
  const heard: Plain[] = [];
  let wake = () => {};
  call.on('data', (change: Plain) => {
    heard.push(change);
    wake();
  });
  const until = async (count: number) => {
    while (heard.length < count)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  await until(1);
  await put('shared/watched/a', 'by HTTP');
  await rest('Move', { from: 'shared/watched/a', to: 'shared/watched/b' });
  await rest('Delete', { path: 'shared/watched/b' });
  await put('shared/elsewhere', 'not heard');
  await rest('MakeDirectory', { path: 'shared/watched/c' });
  await rest('Move', { from: 'shared/elsewhere', to: 'shared/watched/d' });
  await rest('Move', { from: 'shared/watched/d', to: 'shared/elsewhere' });
  await until(8);
  assert.deepEqual(
    heard.map(({ kind, path, from, size }) => [kind, path, from, size]),
    [
      ['BEGUN', 'shared/watched', '', '0'],
      ['COMPLETE', 'shared/watched/a', '', '7'],
      ['GONE', 'shared/watched/a', '', '0'],
      ['MOVED', 'shared/watched/b', 'shared/watched/a', '0'],
      ['GONE', 'shared/watched/b', '', '0'],
      ['FOLDER', 'shared/watched/c', '', '0'],
      ['MOVED', 'shared/watched/d', 'shared/elsewhere', '0'],
      ['GONE', 'shared/watched/d', '', '0'],
    ],
  );
  call.cancel();
  client.close();
});

test('REST, fetch: pages, parts, copies, attributes, a search, and problems', async () => {
  await rest('MakeDirectory', { path: 'shared/rest' });
  for (const name of ['a', 'b', 'c']) await put(`shared/rest/${name}`, name.repeat(3));
  const first = await rest('List', { path: 'shared/rest', most: 2 });
  const names = (value: Record<string, unknown>) => (value.entries as { name: string }[]).map(({ name }) => name);
  assert.deepEqual([names(first.value), first.value.next], [['a', 'b'], 'b']);
  const second = await rest('List', { path: 'shared/rest', after: 'b' });
  assert.deepEqual([names(second.value), second.value.next], [['c'], '']);
  const safe = await fetch(`${http}/services/${SERVICE}/Stat?path=shared/rest/a`);
  assert.equal(((await safe.json()) as { size: string }).size, '3');

  const part = await rest('ReadPart', { path: 'shared/rest/a', start: '1', length: 1 });
  assert.deepEqual([part.value.data, part.value.offset], [Buffer.from('a').toString('base64'), '1']);
  const text = (value: string) => Buffer.from(value).toString('base64');
  const begin = { path: 'shared/rest/parts', upload: 'p' };
  assert.deepEqual((await rest('WritePart', { begin, data: text('one '), more: true })).value, { size: '4' });
  const wrong = await rest('WritePart', { begin: { ...begin, mode: 'RESUME', offset: '3' }, data: text('x') });
  assert.equal((wrong.value as unknown as Problem).code, 'ABORTED', 'not where it ended');
  await rest('WritePart', { begin: { ...begin, mode: 'RESUME', offset: '4' }, data: text('two') });
  assert.equal(await get('shared/rest/parts'), 'one two');
  const body = [{ begin: { path: 'shared/rest/lines' } }, { data: text('by ') }, { data: text('lines') }];
  const [done] = await lines('Write', body.map((line) => JSON.stringify(line)).join('\n'), 'application/x-ndjson');
  assert.equal(done!.size, '8');
  const [read] = await lines('Read', JSON.stringify({ path: 'shared/rest/lines', start: '3' }), 'application/json');
  assert.equal(Buffer.from(String(read!.data), 'base64').toString(), 'lines');

  assert.equal((await rest('Copy', { from: 'shared/rest', to: 'shared/rest2', deep: true })).status, 200);
  const taken = await rest('Copy', { from: 'shared/rest', to: 'shared/rest2', deep: true });
  assert.deepEqual([taken.status, taken.value.code], [409, 'ALREADY_EXISTS']);
  await rest('SetAttributes', { path: 'shared/rest2/a', modified: '2001-02-03T04:05:06Z', size: '1' });
  const { value: stat } = await rest('Stat', { path: 'shared/rest2/a' });
  assert.deepEqual([stat.size, stat.folder], ['1', false]);
  const found = await rest('Search', { path: 'shared', text: 'LINES', most: 1 });
  assert.deepEqual([names(found.value), found.value.more], [['lines'], true]);
  const { value: hash } = await rest('Hash', { path: 'shared/rest/a', start: '1' });
  assert.equal(hash.hex, sha256(Buffer.from('aa')));
  const { value: space } = await rest('Space', { path: 'shared' });
  assert.ok(BigInt(space.free as string) > 0n);
  assert.deepEqual((await rest('Delete', { path: 'shared/rest2' })).value.code, 'ALREADY_EXISTS', 'it is not empty');
  assert.equal((await rest('Delete', { path: 'shared/rest2', deep: true })).status, 200);
  for (const path of ['../etc', 'a//b', 'a/./b', '/etc', `a\u0000b`, 'x'.repeat(300)]) {
    const { status, value } = await rest('ReadPart', { path });
    assert.deepEqual([status, value.code], [400, 'INVALID_ARGUMENT'], path);
  }
});

test('REST, fetch: a link is made, opens, is listed, and ends', async () => {
  await put('shared/link.txt', 'for whoever has it');
  const { value: made } = await rest('Share', { path: 'shared/link.txt', password: 'open', seconds: 60 });
  const url = `${http}${made.url as string}`;
  assert.equal((await fetch(url)).status, 401);
  const opened = await fetch(url, { headers: { 'x-share-password': 'open' } });
  assert.equal(await opened.text(), 'for whoever has it');
  const { value: listed } = await rest('ListShares', { path: 'shared/link.txt' });
  assert.deepEqual(listed.links, [{ id: made.id, until: made.until, hasPassword: true, url: '' }]);
  assert.equal((await rest('Unshare', { path: 'shared/link.txt', id: made.id })).status, 200);
  assert.equal((await fetch(url, { headers: { 'x-share-password': 'open' } })).status, 404);
  assert.equal((await rest('Unshare', { path: 'shared/link.txt', id: made.id })).status, 404);
});

test('GraphQL: queries, mutations, and an error with its code', async () => {
  const ask = async (query: string, variables: object = {}) => {
    const response = await fetch(`${http}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as { data: Plain; errors?: { extensions: { status?: string; code: string } }[] };
  };
  const data = Buffer.from('by GraphQL').toString('base64');
  const written = await ask(
    'mutation($inputs: [FilesWriteRequestInput!]!) { filesWrite(inputs: $inputs) { size file { path } } }',
    { inputs: [{ begin: { path: 'shared/graphql' } }, { data }] },
  );
  assert.deepEqual(written.data, { filesWrite: { size: '10', file: { path: 'shared/graphql' } } });
  const read = await ask(
    '{ filesStat(path: "shared/graphql") { name size } filesReadPart(path: "shared/graphql") { data } }',
  );
  assert.deepEqual(read.data, { filesStat: { name: 'graphql', size: '10' }, filesReadPart: { data } });
  const none = await ask('{ filesStat(path: "shared/none") { name } }');
  assert.equal(none.errors![0]!.extensions.code, 'NOT_FOUND');
});

test('SOAP, npm soap: written and read in parts, listed, and a fault', async () => {
  const client = await createClientAsync(`${http}/soap/${SERVICE}?wsdl`);
  const call = async (method: string, input: object) => {
    const [output] = (await (client as unknown as Record<string, (input: object) => Promise<[Plain]>>)[
      `${method}Async`
    ]!(input)) as [Plain];
    return output;
  };
  const data = Buffer.from('by SOAP').toString('base64');
  await call('WritePart', { begin: { path: 'shared/soap/a', makeFolders: true }, data });
  assert.equal(await get('shared/soap/a'), 'by SOAP');
  const part = await call('ReadPart', { path: 'shared/soap/a', start: 3 });
  assert.equal(Buffer.from(String(part.data), 'base64').toString(), 'SOAP');
  const page = await call('List', { path: 'shared/soap' });
  assert.equal([page.entries].flat().length, 1);
  const fault = (await call('Stat', { path: 'shared/none' }).catch((error: unknown) => error)) as Error;
  assert.match(String((fault as unknown as { body: string }).body), /<code>NOT_FOUND<\/code>/);
});

test('JSON-RPC, ws, and MQTT 5.0, MQTT.js: the same calls', async () => {
  await put('shared/rpc', 'six by');
  const socket = new WebSocket(`${portico.urls.ws!}/ws`, 'portico.json');
  await once(socket, 'open');
  const answer = once(socket, 'message');
  socket.send(JSON.stringify({ jsonrpc: '2.0', method: `${SERVICE}.Stat`, params: { path: 'shared/rpc' }, id: 1 }));
  const [message] = (await answer) as [Buffer];
  assert.equal((JSON.parse(String(message)) as { result: { size: string } }).result.size, '6');
  socket.close();

  const client = await mqtt.connectAsync(portico.urls.mqtt!, { protocolVersion: 5 });
  await client.subscribeAsync('replies/files', { qos: 1 });
  const replied = new Promise<Buffer>((resolve) => client.on('message', (_topic, payload) => resolve(payload)));
  await client.publishAsync(`services/${SERVICE}/ReadPart`, JSON.stringify({ path: 'shared/rpc' }), {
    qos: 1,
    properties: { responseTopic: 'replies/files', correlationData: Buffer.from('1') },
  });
  const { data } = JSON.parse(String(await replied)) as { data: string };
  assert.equal(Buffer.from(data, 'base64').toString(), 'six by');
  await client.endAsync();
});
