// The TLS that other domains want: kept policies of MTA-STS, and certificates that DNS names.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { SILENT } from '../../src/core/log.ts';
import { OK } from '../../src/core/outcome.ts';
import type { Portico } from '../../src/portico.ts';
import { UnansweredError } from '../../src/running/asking.ts';
import { StsPolicies } from '../../src/running/mail/relaying-policies.ts';
import type { Found } from '../../src/running/names/looking-up.ts';
import { domainServer, mailsOf, portOf, submitted, until } from './house.ts';

test('policies are fetched once, kept as long as they say, and stand when DNS or their server is silenced (RFC 8461 §3.1, §3.3)', async () => {
  let wall = 1_000_000;
  let id = '1';
  let answers = true;
  const fetched: string[] = [];
  const kept = new Map<string, unknown>();
  const open = () =>
    new StsPolicies({
      shelf: {
        async read(visit) {
          for (const [key, value] of kept) visit(key, value);
        },
        async put(key, value) {
          kept.set(key, value);
          return OK;
        },
        async remove(key) {
          kept.delete(key);
          return OK;
        },
      },
      lookup: {
        find: async (name): Promise<Found> => {
          assert.equal(name, '_mta-sts.there.test');
          return {
            kind: id === '' ? 'nothing' : 'data',
            values: id === '' ? [] : [`v=STSv1; id=${id}`],
            isSecure: false,
          };
        },
      },
      fetch: async (url) => {
        fetched.push(url);
        if (!answers) throw new UnansweredError('nobody answers');
        return `version: STSv1\nmode: enforce\nmx: mx${id}.there.test\nmax_age: 3600\n`;
      },
      wall: () => wall,
      log: SILENT,
    });
  let policies = open();
  const host = async () => (await policies.of('there.test'))?.hosts[0];
  assert.deepEqual(await Promise.all([host(), host()]), ['mx1.there.test', 'mx1.there.test']);
  assert.deepEqual(fetched, ['https://mta-sts.there.test/.well-known/mta-sts.txt']);
  id = '';
  assert.equal(await host(), 'mx1.there.test');
  // Another process: it knows what was kept.
  policies = open();
  assert.equal(await host(), 'mx1.there.test');
  assert.equal(fetched.length, 1);
  id = '2';
  answers = false;
  assert.equal(await host(), 'mx1.there.test');
  assert.equal(await host(), 'mx1.there.test');
  assert.equal(fetched.length, 2);
  wall += 400_000;
  answers = true;
  assert.equal(await host(), 'mx2.there.test');
  id = '';
  wall += 3_600_001;
  assert.equal(await host(), undefined);
  policies = open();
  assert.equal(await host(), undefined);
  assert.equal(kept.size, 0);
});

/** The digest of the key that a server shows. */
function keyOf(portico: Portico): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: '127.0.0.1', port: portOf(portico, 'submission', 'tls'), rejectUnauthorized: false },
      () => {
        const key = socket.getPeerX509Certificate()!.publicKey.export({ type: 'spki', format: 'der' });
        socket.destroy();
        resolve(createHash('sha256').update(key).digest('hex'));
      },
    );
    socket.on('error', reject);
  });
}

test('a signed zone names the certificate: mail goes to who has it, and to nobody else (RFC 7672)', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-dane-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  await using there = await domainServer('there.test', ['bob'], {
    mail: { domains: ['there.test', 'right.test', 'wrong.test'] },
  });
  const port = portOf(there, 'smtp');
  const digest = await keyOf(there);
  const zone = (name: string, tlsa: string) => {
    const file = join(folder, name);
    const lines = ['$TTL 60', `$ORIGIN ${name}.`, '@ SOA ns hostmaster 1 60 60 60 60', '@ NS ns', 'ns A 127.0.0.1'];
    writeFileSync(
      file,
      [...lines, '@ MX 10 mx', 'mx A 127.0.0.1', `_${port}._tcp.mx TLSA 3 1 1 ${tlsa}`, ''].join('\n'),
    );
    return { name, file, dnssec: true };
  };
  await using here = await domainServer('here.test', ['ann'], {
    dns: { zones: [zone('right.test', digest), zone('wrong.test', '00'.repeat(32))] },
    mail: { relay: { port } },
  });
  await submitted(here, { user: 'ann', from: 'ann@here.test', to: ['bob@right.test'] });
  const [mail = ''] = await mailsOf(there, 'bob', 1);
  assert.match(mail, /with ESMTPS /);
  await submitted(here, { user: 'ann', from: 'ann@here.test', to: ['bob@wrong.test'] });
  await until('an attempt that fails', () =>
    here.mail.queue!.list(0, 9).some(({ recipients }) => recipients[0]!.tries > 0),
  );
  assert.match(here.mail.queue!.list(0, 9)[0]!.recipients[0]!.said, /handshake failed/);
  assert.equal((await mailsOf(there, 'bob', 1)).length, 1);
});
