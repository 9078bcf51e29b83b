// Names as a service: zones listed, records read, put and removed by those who may, told to those who watch, and looked up.
import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { test } from 'node:test';
import { Portico } from '../../src/portico.ts';

interface Record {
  readonly name: string;
  readonly ttl: number;
  readonly type: string;
  readonly data: string;
}

async function house() {
  const portico = await Portico.start({
    storage: 'memory',
    ports: 'ephemeral',
    hosts: ['127.0.0.1'],
    control: false,
    dns: {
      zone: 'own.test',
      zones: [
        { name: 'made.test', dnssec: true },
        { name: 'theirs.test', primaries: ['127.0.0.1:9'] },
      ],
    },
  });
  const call = async (method: string, body: unknown): Promise<{ status: number; body: never }> => {
    const answer = await fetch(`${portico.urls.http}/services/portico.v1.Names/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as never };
  };
  const dns = new Resolver();
  dns.setServers([`127.0.0.1:${new URL(portico.urls['dns-udp']!.replace(/^[\w-]+:/, 'http:')).port}`]);
  return { portico, call, dns, [Symbol.asyncDispose]: () => portico.close() };
}

test('zones and records are listed, added, put and removed over REST, and DNS answers with them', async () => {
  await using served = await house();
  const { call, dns } = served;
  const { zones } = (await call('ListZones', {})).body as { zones: { name: string; signed: boolean }[] };
  assert.deepEqual(
    zones.map(({ name, signed }) => [name, signed]),
    [
      ['made.test', true],
      ['own.test', false],
      ['theirs.test', false],
    ],
  );
  const add = (records: readonly Partial<Record>[]) => call('AddRecords', { zone: 'made.test', records });
  const added = await add([
    { name: 'www', ttl: 60, type: 'A', data: '192.0.2.1' },
    { name: 'www', ttl: 60, type: 'A', data: '192.0.2.2' },
    { name: '@', type: 'TXT', data: '"a; b" "c"' },
  ]);
  assert.equal(added.status, 200, JSON.stringify(added.body));
  assert.deepEqual((await dns.resolve4('www.made.test')).sort(), ['192.0.2.1', '192.0.2.2']);
  assert.deepEqual(await dns.resolveTxt('made.test'), [['a; b', 'c']]);
  const put = await call('PutRecords', {
    zone: 'made.test',
    records: [{ name: 'WWW.made.test.', ttl: 30, type: 'a', data: '192.0.2.3' }],
  });
  assert.equal(put.status, 200, JSON.stringify(put.body));
  assert.equal((put.body as { serial: number }).serial, (added.body as { serial: number }).serial + 1);
  assert.deepEqual(
    await dns.resolve4('www.made.test', { ttl: true }).then((all) => all.map(({ address, ttl }) => [address, ttl])),
    [['192.0.2.3', 30]],
  );
  const listed = (await call('ListRecords', { zone: 'made.test', name: 'www' })).body as { records: Record[] };
  assert.deepEqual(
    listed.records.filter(({ type }) => type === 'A'),
    [{ name: 'www.made.test.', ttl: 30, type: 'A', data: '192.0.2.3' }],
  );
  assert.ok(listed.records.some(({ type }) => type === 'RRSIG'));
  const pages: Record[] = [];
  for (let after = ''; ; ) {
    const { records, next } = (await call('ListRecords', { zone: 'made.test', after, most: 1 })).body as {
      records: Record[];
      next: string;
    };
    pages.push(...records);
    if (next === '') break;
    after = next;
  }
  assert.equal(pages[0]!.type, 'SOA');
  assert.equal(new Set(pages.map(({ name }) => name)).size, 2);
  assert.equal((await call('RemoveRecords', { zone: 'made.test', records: [{ name: 'www' }] })).status, 200);
  await assert.rejects(dns.resolve4('www.made.test'), { code: 'ENOTFOUND' });
  for (const [method, body, status] of [
    ['RemoveRecords', { zone: 'made.test', records: [{ name: 'www' }] }, 400],
    ['AddRecords', { zone: 'made.test', records: [{ name: 'x', type: 'A', data: '1.2.3' }] }, 400],
    [
      'AddRecords',
      { zone: 'made.test', records: [{ name: 'x', type: 'A', data: '192.0.2.1\ny 60 A 192.0.2.2' }] },
      400,
    ],
    ['AddRecords', { zone: 'made.test', records: [{ name: '$INCLUDE', type: 'A', data: '192.0.2.1' }] }, 400],
    ['AddRecords', { zone: 'theirs.test', records: [{ name: 'x', type: 'A', data: '192.0.2.1' }] }, 501],
    ['ListRecords', { zone: 'none.test' }, 404],
  ] as const)
    assert.equal((await call(method, body)).status, status, `${method} ${JSON.stringify(body)}`);
});

test('what is looked up comes from the own zones first', async () => {
  await using served = await house();
  const { call } = served;
  await call('AddRecords', { zone: 'made.test', records: [{ name: '@', type: 'MX', data: '10 mail' }] });
  assert.deepEqual((await call('Lookup', { name: 'made.test', type: 'MX' })).body, {
    ...{ found: true, values: ['10 mail.made.test'], secure: true },
  });
  const missing = (await call('Lookup', { name: 'no.own.test' })).body as { found: boolean };
  assert.equal(missing.found, false);
});

test('whoever watches is told of each change, the last of several', async () => {
  await using served = await house();
  const { portico, call } = served;
  const client = portico.client('portico.v1.Names') as unknown as {
    Watch(input: object): AsyncIterable<{ zone: string; serial: number }>;
  };
  const watching = client.Watch({ zone: 'made.test' })[Symbol.asyncIterator]();
  const first = watching.next();
  // It may begin to listen after the first changes.
  let told = false;
  void first.then(() => {
    told = true;
  });
  let serial = 0;
  for (let round = 0; !told && round < 200; round++) {
    const { body } = await call('AddRecords', {
      zone: 'made.test',
      records: [{ name: `h${round}`, type: 'A', data: '192.0.2.1' }],
    });
    ({ serial } = body as { serial: number });
  }
  assert.equal((await first).value!.zone, 'made.test');
  let last = (await first).value!.serial;
  while (last < serial) last = (await watching.next()).value!.serial;
  assert.equal(last, serial);
  await watching.return?.();
});

test('who has no right to a zone is told of none', async () => {
  await using portico = await Portico.start({
    storage: 'memory',
    ports: 'ephemeral',
    hosts: ['127.0.0.1'],
    control: false,
    rules: ['allow * call services/#', 'allow reader list names/made.test'],
    dns: { zone: 'own.test', zones: [{ name: 'made.test' }] },
  });
  for (const name of ['first', 'reader', 'other']) {
    // The first is an administrator.
    const made = await portico.order({ do: 'account.add', name, password: 'correct horse battery 9' });
    assert.ok(made.ok, JSON.stringify(made));
  }
  const call = async (name: string, method: string, body: unknown) => {
    const authorization = `Basic ${Buffer.from(`${name}:correct horse battery 9`).toString('base64')}`;
    const answer = await fetch(`${portico.urls.http}/services/portico.v1.Names/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as { zones?: { name: string }[] } };
  };
  assert.deepEqual(
    (await call('reader', 'ListZones', {})).body.zones!.map(({ name }) => name),
    ['made.test'],
  );
  assert.deepEqual((await call('other', 'ListZones', {})).body.zones, []);
  assert.equal((await call('other', 'ListRecords', { zone: 'made.test' })).status, 404);
  assert.equal((await call('reader', 'ListRecords', { zone: 'made.test' })).status, 200);
  const records = [{ name: 'x', type: 'A', data: '192.0.2.1' }];
  assert.equal((await call('reader', 'AddRecords', { zone: 'made.test', records })).status, 403);
  assert.equal((await call('other', 'AddRecords', { zone: 'made.test', records })).status, 404);
});
