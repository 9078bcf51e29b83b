// `portico dig` beside dig: the same words give the same answers, over every carrier.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { missing, run } from '../clients.ts';
import { runCommand } from '../server-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-dig-'));
const TIMEOUT = { timeout: 60_000 };
let portico: Portico;
let root = '';
const port = (name: string) => new URL(portico.urls[name]!.replace(/^[\w-]+:/, 'http:')).port;

const ZONE = `$ORIGIN zone.test.
$TTL 300
@ SOA ns host 1 7200 600 86400 300
@ NS ns
@ MX 10 mail
ns A 127.0.0.1
mail AAAA 2001:db8::25
a-name-that-is-longer-than-its-column TXT "two words" "semi;colon \\"quoted\\""
svc HTTPS 1 . alpn=h2,h3 port=8443
alias CNAME mail
big TXT ${Array.from({ length: 12 }, (_, index) => `"${String(index).repeat(100)}"`).join('\nbig TXT ')}
`;

before(async () => {
  writeFileSync(join(folder, 'zone.test.zone'), ZONE);
  portico = await Portico.start({
    ports: 'ephemeral',
    hosts: ['127.0.0.1'],
    data: join(folder, 'data'),
    dns: { zones: [{ name: 'zone.test', file: join(folder, 'zone.test.zone'), transfer: ['127.0.0.0/8'] }] },
  });
  root = join(folder, 'data', 'certificates', 'root.crt');
});
after(async () => {
  await portico.close();
  rmSync(folder, { recursive: true });
});

const own = (...args: string[]) => runCommand(['dig', ...args]);
const at = (name = 'dns-udp') => ['@127.0.0.1', '-p', port(name)];

/** Without what differs each time: numbers by chance, times, who prints it. */
function steady(text: string): string {
  return text
    .replace(/<<>> .* <<>>.*/, '<<>>')
    .replace(/id: \d+/, 'id: N')
    .replace(/COOKIE: \w+(?: \(good\))?/, 'COOKIE')
    .replace(/Query time: \d+/, 'Query time: N')
    .replace(/WHEN: .*/, 'WHEN')
    .trim();
}

test('the same words are answered in the same form as dig’s', { ...TIMEOUT, skip: missing('dig', '-v') }, async () => {
  const questions: readonly string[][] = [
    ['zone.test', 'SOA'],
    ['zone.test', 'MX', '+dnssec'],
    ['mail.zone.test', 'AAAA', '+nocookie', '+norecurse'],
    ['nothing.zone.test', '+noedns'],
    ['alias.zone.test', 'AAAA', '+noall', '+answer'],
    ['a-name-that-is-longer-than-its-column.zone.test', 'TXT', '+nostats'],
    ['svc.zone.test', 'HTTPS', '+nocomments'],
    ['zone.test', 'NS', '+short'],
    ['-x', '192.0.2.7', '+noquestion'],
    ['-t', 'MX', '-q', 'zone.test', '+noadditional', '+nottlid'],
    ['zone.test', 'A', '+edns=1', '+noednsnegotiation'],
    ['big.zone.test', 'TXT', '+ignore'],
    ['big.zone.test', 'TXT', '+bufsize=512', '+ignore'],
    ['version.bind', 'CH', 'TXT', '+noclass'],
    ['zone.test', '+subnet=192.0.2.0/24', '+cd'],
    ['zone.test', 'TYPE65280', '+nsid'],
  ];
  for (const question of questions) {
    const theirs = await run('dig', ...at(), ...question);
    const { code, output, errors } = await own(...at(), ...question.filter((word) => word !== '+noednsnegotiation'));
    assert.equal(code, 0, errors);
    assert.equal(steady(output), steady(theirs.out), question.join(' '));
  }
});

describe('carriers', () => {
  test('long answers come whole over TCP', TIMEOUT, async () => {
    const { output } = await own(...at('dns'), 'big.zone.test', 'TXT', '+tcp');
    assert.match(output, /ANSWER: 12,[\s\S]*\(TCP\)/);
  });

  test('TLS and HTTPS are checked against the authority', TIMEOUT, async () => {
    const trusted = ['--cacert', root];
    const tls = await own('@localhost', '-p', port('dot'), '+tls', 'mail.zone.test', 'AAAA', '+short', ...trusted);
    assert.deepEqual([tls.code, tls.output], [0, '2001:db8::25\n'], tls.errors);
    const https = await own(`@https://localhost:${port('https')}/dns-query`, 'mail.zone.test', 'AAAA', ...trusted);
    assert.match(https.output, /2001:db8::25[\s\S]*\(HTTPS\)/, https.errors);
    const stranger = await own('@localhost', '-p', port('dot'), '+tls', 'zone.test', '+tries=1');
    assert.equal(stranger.code, 69);
  });

  test('a transfer is printed record by record', TIMEOUT, async () => {
    const { output } = await own(...at('dns'), 'zone.test', 'AXFR');
    assert.equal(output.match(/IN\tSOA/g)?.length, 2);
    assert.match(output, /;; XFR size: 21 records \(messages 1, bytes \d+\)/);
  });
});

test('JSON has the members of RFC 8427', TIMEOUT, async () => {
  const { output } = await own(...at(), 'zone.test', 'MX', '+json');
  const { QNAME, RCODE, AA, answerRRs } = JSON.parse(output);
  assert.deepEqual([QNAME, RCODE, AA], ['zone.test.', 0, 1]);
  assert.equal(answerRRs[0].rdataMX, '10 mail.zone.test.');
  assert.equal(
    answerRRs[0].RDATAHEX,
    Buffer.from('\0\n\x04mail\x04zone\x04test\0', 'latin1').toString('hex').toUpperCase(),
  );
});

test('what is wrong on the command line is said, and nobody there is another exit code', TIMEOUT, async () => {
  for (const words of [['+nosuch'], ['a', 'b', 'c'], ['-t', 'NOSUCH', 'a'], ['-x', 'nowhere'], ['+time=soon', 'a']]) {
    const { code, errors } = await own('@127.0.0.1', ...words);
    assert.equal(code, 64, errors);
    assert.match(errors, /^portico: /);
  }
  const nobody = await own('@127.0.0.1', '-p', '1', '+tcp', '+tries=1', 'zone.test');
  assert.equal(nobody.code, 69);
});
