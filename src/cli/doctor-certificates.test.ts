// What the doctor says of certificates that are about to end, have ended, or can be read by others.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkConfig } from '../config.ts';
import { SILENT } from '../core/log.ts';
import { DAY } from '../security/certificate.ts';
import { Certificates } from '../security/certificates.ts';
import { checkCertificates } from './doctor-certificates.ts';

const data = mkdtempSync(join(tmpdir(), 'portico-doctor-'));
after(() => rmSync(data, { recursive: true, force: true }));

test('fresh ones are well; then they near their end, end, and keys lie open', () => {
  const config = checkConfig({ data });
  assert.deepEqual(
    checkCertificates(config, Date.now()).map(({ result }) => result),
    ['ok'],
  );
  const certificates = new Certificates({ data, hostname: 'box-1', log: SILENT });
  const { chain, key } = certificates.issue({ names: ['localhost'], purpose: 'server', by: 'command' });
  certificates.close();
  assert.equal(checkCertificates(config, Date.now())[0]?.result, 'ok');
  assert.match(checkCertificates(config, Date.now() + 80 * DAY)[0]!.text, /server\.pem expires on/);
  assert.equal(checkCertificates(config, Date.now() + 91 * DAY)[0]?.result, 'fail');
  chmodSync(join(data, 'certificates/root.pem'), 0o644);
  assert.match(checkCertificates(config, Date.now())[0]!.text, /others may read the key in .*root\.pem/);
  chmodSync(join(data, 'certificates/root.pem'), 0o600);
  const pair = { certificate: join(data, 'a.crt'), key: join(data, 'a.key') };
  writeFileSync(pair.certificate, chain);
  const own = checkConfig({ data, certificates: { files: [pair] } });
  assert.match(checkCertificates(own, Date.now())[0]!.text, /ENOENT/);
  writeFileSync(pair.key, key);
  assert.equal(checkCertificates(own, Date.now())[0]?.result, 'ok');
  assert.match(checkCertificates(own, Date.now() + 80 * DAY)[0]!.text, /a\.crt expires on/);
});
