// POP3 with clients that are not ours: curl and Python's poplib, in the clear, with STLS and within TLS.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { missing, run } from '../clients.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-pop3-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const letter = join(folder, 'letter.eml');

async function house(data: string): Promise<{ portico: Portico; port: (name: string) => string; root: string }> {
  const portico = await Portico.start({ data: join(folder, data), ports: 'ephemeral', control: false });
  const port = (name: string) => portico.urls[name]!.split(':').at(-1)!;
  for (let at = 1; at <= 3; at++) {
    writeFileSync(
      letter,
      `Subject: ${at}\r\n\r\nMail ${at}.\r\n.A dot.\r\n${'A line.\r\n'.repeat(at === 3 ? 20_000 : 1)}`,
    );
    const sent = ['--mail-from', 'x@example.org', '--mail-rcpt', 'ann@example.org', '-T', letter];
    const { code, error } = await run('curl', '-sS', `smtp://127.0.0.1:${port('smtp')}`, ...sent);
    assert.equal(code, 0, error);
  }
  return { portico, port, root: join(folder, data, 'certificates', 'root.pem') };
}

test('curl lists and reads what curl has sent', { skip: missing('curl') }, async () => {
  const { portico, port, root } = await house('curl');
  await using _ = portico;
  const user = ['-u', 'ann@example.org:any'];
  const list = await run('curl', '-sS', `pop3://127.0.0.1:${port('pop3')}`, ...user);
  assert.match(list.out, /^1 \d+\r\n2 \d+\r\n3 \d+\r\n$/);
  const one = await run('curl', '-sS', `pop3s://localhost:${port('pop3s')}/1`, '--cacert', root, ...user);
  assert.match(one.out, /^Return-Path: .*Subject: 1\r\n\r\nMail 1\.\r\n\.A dot\.\r\nA line\.\r\n$/s);
  const tls = await run('curl', '-sS', '--ssl-reqd', '--cacert', root, `pop3://localhost:${port('pop3')}/3`, ...user);
  assert.equal(tls.out.match(/^A line\.\r$/gm)?.length, 20_000, tls.error);
});

test('poplib: two at once, deleted at QUIT and not before', { skip: missing('python3') }, async () => {
  const { portico, port, root } = await house('python');
  await using _ = portico;
  const script = `
import poplib, ssl
def enter():
    p = poplib.POP3('localhost', ${port('pop3')}); p.stls(ssl.create_default_context(cafile='${root}'))
    p.user('ann@example.org'); p.pass_('any'); return p
p = enter(); print(p.stat()[0], len(p.uidl()[1]), p.top(1, 1)[1][-1].decode(), len(p.capa()) > 5)
try: enter()
except poplib.error_proto as e: print(b'IN-USE' in e.args[0])
first = p.uidl()[1]; p.dele(2); p.close()
p = enter(); print(p.uidl()[1] == first); p.dele(2); print(p.stat()[0]); p.quit()
p = enter(); print(p.stat()[0], p.uidl()[1][0] == first[0], p.uidl()[1][1].split()[1] == first[2].split()[1]); p.quit()
`;
  const { out, error } = await run('python3', '-c', script);
  assert.equal(out, '3 3 Mail 1. True\nTrue\nTrue\n2\n2 True True\n', error);
});
