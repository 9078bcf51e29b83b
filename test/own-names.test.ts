// What a server says of itself in its own zone, as others look for it before they send mail or connect: over DNS, and by HTTPS.
import assert from 'node:assert/strict';
import { createHash, type X509Certificate } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { get } from 'node:https';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { Portico, type StartOptions } from '../src/portico.ts';
import { recordsAt } from '../src/resources/names/editing.ts';
import type { Naming } from '../src/running/names/naming.ts';

const portOf = (portico: Portico, name: string) =>
  Number(new URL(portico.urls[name]!.replace(/^[\w-]+:/, 'http:')).port);

function start(more: StartOptions = {}): Promise<Portico> {
  return Portico.start({
    ports: 'ephemeral',
    hosts: ['127.0.0.1'],
    storage: 'memory',
    control: false,
    dns: { zone: 'home.test' },
    certificates: { names: ['home.test', 'mta-sts.home.test', 'mta-sts.lists.home.test'] },
    mail: { domains: ['home.test', 'lists.home.test'], mtaSts: 'enforce', reports: 'reports@home.test' },
    ...more,
  });
}

function asking(portico: Portico): Resolver {
  const resolver = new Resolver({ timeout: 2_000, tries: 5 });
  resolver.setServers([`127.0.0.1:${portOf(portico, 'dns-udp')}`]);
  return resolver;
}

function fetched(portico: Portico, host: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const request = get(
      {
        ...{ host: '127.0.0.1', port: portOf(portico, 'https'), path: '/.well-known/mta-sts.txt', agent: false },
        ...{ servername: host, headers: { host }, rejectUnauthorized: false },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode!, text }));
      },
    );
    request.on('error', reject);
  });
}

/** The certificate that is shown, in DER. */
function shownCertificate(portico: Portico): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: '127.0.0.1', port: portOf(portico, 'https'), servername: 'home.test', rejectUnauthorized: false },
      () => {
        resolve(socket.getPeerX509Certificate()!);
        socket.destroy();
      },
    );
    socket.on('error', reject);
  });
}

const shownKey = async (portico: Portico) =>
  (await shownCertificate(portico)).publicKey.export({ type: 'spki', format: 'der' });

const namingOf = (portico: Portico) =>
  (portico as unknown as { readonly opened: { readonly naming: Naming } }).opened.naming;

test('MX, SPF, DMARC, MTA-STS, TLSRPT, TLSA, CAA and HTTPS stand in the own zone, for its domains too', async () => {
  await using portico = await start();
  const dns = asking(portico);
  const text = async (name: string) => (await dns.resolveTxt(name)).map((parts) => parts.join(''));
  const mx = async (name: string) => (await dns.resolveMx(name)).map(({ priority, exchange }) => [priority, exchange]);
  for (const domain of ['home.test', 'lists.home.test']) {
    assert.deepEqual(await mx(domain), [[10, 'home.test']]);
    assert.deepEqual(await text(domain), ['v=spf1 mx -all']);
    assert.deepEqual(await text(`_dmarc.${domain}`), ['v=DMARC1; p=reject; rua=mailto:reports@home.test']);
    assert.deepEqual(await text(`_smtp._tls.${domain}`), ['v=TLSRPTv1; rua=mailto:reports@home.test']);
    assert.match((await text(`_mta-sts.${domain}`))[0]!, /^v=STSv1; id=[a-z\d]{1,32}$/);
    assert.deepEqual(await dns.resolve4(`mta-sts.${domain}`), ['127.0.0.1']);
    const { status, text: policy } = await fetched(portico, `mta-sts.${domain}`);
    assert.equal(status, 200);
    assert.equal(policy, 'version: STSv1\r\nmode: enforce\r\nmx: home.test\r\nmax_age: 604800\r\n');
  }
  assert.equal((await fetched(portico, 'home.test')).status, 404);
  assert.deepEqual(
    (await dns.resolveCaa('home.test')).map(({ critical, issue }) => [critical, issue]),
    [[0, 'home.test']],
  );
});

test('TLSA has the digest of the key that is shown on each port with TLS, of mail too (RFC 7671 §5.1)', async () => {
  await using portico = await start();
  const dns = asking(portico);
  for (const name of ['https', 'smtp']) {
    const port = portico.listening.find(({ protocol, on }) =>
      name === 'smtp' ? protocol === 'smtp' && on === 'tcp' : protocol === 'http1' && on === 'tls',
    )!.address!.port;
    const [record] = await dns.resolveTlsa(`_${port}._tcp.home.test`);
    const { certUsage, selector, match, data } = record as unknown as {
      readonly certUsage: number;
      readonly selector: number;
      readonly match: number;
      readonly data: ArrayBuffer;
    };
    assert.deepEqual([certUsage, selector, match], [3, 1, 1]);
    const shown = await shownKey(portico);
    assert.equal(Buffer.from(data).toString('hex'), createHash('sha256').update(shown).digest('hex'), name);
  }
});

test('where the name server is asked within TLS and HTTPS stands below _dns (RFC 9461)', async () => {
  await using portico = await start();
  const { names } = namingOf(portico);
  const zone = names.zoneNamed('home.test.')!;
  const name = Buffer.from('\x04_dns\x04home\x04test\0', 'latin1');
  const records = recordsAt(zone.contents, zone.contents.find(name, 0)).map(({ type, data }) => `${type} ${data}`);
  const tls = portOf(portico, 'dot');
  assert.ok(
    records.some((record) => /^SVCB \d home\.test\. alpn="dot" /.test(record) && record.endsWith(` port=${tls}`)),
    records.join('\n'),
  );
  const https = new RegExp(`^SVCB \\d home\\.test\\. alpn="[\\w,./-]*h2,http/1\\.1" port=${portOf(portico, 'https')} `);
  assert.ok(
    records.some((record) => https.test(record) && record.includes('dohpath="/dns-query{?dns}"')),
    records.join('\n'),
  );
});

test('when another key is shown, TLSA says so', async () => {
  await using portico = await start();
  const dns = asking(portico);
  const naming = namingOf(portico);
  const port = portico.listening.find(({ protocol, on }) => protocol === 'http1' && on === 'tls')!.address!.port;
  const digest = async () => Buffer.from((await dns.resolveTlsa(`_${port}._tcp.home.test`))[0]!.data).toString('hex');
  const before = await digest();
  await naming.refresh();
  assert.equal(await digest(), before);
  await using other = await start();
  const certificate = (await shownCertificate(other)).raw;
  const identities = { pick: () => ({ certificate }) };
  const fresh = createHash('sha256')
    .update(await shownKey(other))
    .digest('hex');
  assert.notEqual(fresh, before);
  (naming as unknown as { published: unknown[] }).published = [portico.listening, identities];
  await naming.refresh();
  assert.equal(await digest(), fresh);
});

test('where no mail is taken, nobody can send in its name, and there is no policy', async () => {
  await using portico = await start({ protocols: { smtp: { enabled: false } } });
  const dns = asking(portico);
  assert.deepEqual(
    (await dns.resolveMx('home.test')).map(({ priority, exchange }) => [priority, exchange]),
    [[0, '']],
  );
  assert.deepEqual(await dns.resolveTxt('home.test'), [['v=spf1 -all']]);
  await assert.rejects(dns.resolveTxt('_mta-sts.home.test'), { code: 'ENOTFOUND' });
  assert.equal((await fetched(portico, 'mta-sts.home.test')).status, 404);
});

test('the server asks its own zones before any resolver', async () => {
  await using portico = await start();
  const { lookup } = namingOf(portico);
  assert.deepEqual(await lookup.find('home.test', 'MX'), {
    ...{ kind: 'data', values: ['10 home.test'], isSecure: false },
  });
  assert.deepEqual(await lookup.find('home.test.', 'TXT'), {
    ...{ kind: 'data', values: ['v=spf1 mx -all'], isSecure: false },
  });
  assert.equal((await lookup.find('home.test', 'TLSA')).kind, 'nothing');
  assert.equal((await lookup.find('nowhere.home.test', 'A')).kind, 'missing');
});

test('a zone of this server that is below another learns what that one has for its keys (RFC 7344 §4)', async () => {
  await using portico = await start({
    dns: {
      zone: false,
      zones: [
        { name: 'above.test', dnssec: true },
        { name: 'below.above.test', dnssec: true },
      ],
    },
  });
  const order = async (what: string, fields: object) => {
    const answer = await portico.order({ do: what, ...fields });
    assert.ok(answer.ok, JSON.stringify(answer));
    return answer as unknown as {
      readonly keys: { readonly role: string; readonly seen: number | null; readonly ds: string }[];
    };
  };
  const ksk = async () =>
    (await order('zone.keys', { zone: 'below.above.test' })).keys.find(({ role }) => role === 'ksk')!;
  const naming = namingOf(portico);
  await naming.lookAbove();
  assert.equal((await ksk()).seen, null);
  const records = `below NS ns.below\nns.below A 192.0.2.1\nbelow DS ${(await ksk()).ds}`;
  await order('zone.add', { zone: 'above.test', records });
  await naming.lookAbove();
  assert.ok((await ksk()).seen! > 0);
});
