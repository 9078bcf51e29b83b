// `portico send` to a server that catches what comes.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { EXIT } from '../../src/cli/output.ts';
import { csvRecords, filled } from '../../src/cli/send-letters.ts';
import { parseMessage } from '../../src/formats/mime/parsed.ts';
import { Portico } from '../../src/portico.ts';
import { mailsOf, portOf } from '../mail/house.ts';
import { runCommand } from '../server-process.ts';

const TIMEOUT = { timeout: 90_000 };
const folder = mkdtempSync(join(tmpdir(), 'portico-send-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test('tables and what is filled in', () => {
  assert.deepEqual(csvRecords('a,b\r\n"x, ""y""\nz",2\n,\n'), [
    ['a', 'b'],
    ['x, "y"\nz', '2'],
    ['', ''],
  ]);
  assert.deepEqual(csvRecords('a,b\n1,2'), [
    ['a', 'b'],
    ['1', '2'],
  ]);
  const row = { name: '<Bob>', age: '7' };
  assert.equal(filled('{{name}} is {{ age }}', row, ''), '<Bob> is 7');
  assert.equal(filled('{{name}} {{{name}}}', row, '', true), '&#60;Bob&#62; <Bob>');
});

test('a mail with all there is, and one for each row', TIMEOUT, async () => {
  await using portico = await Portico.start({ storage: 'memory', ports: 'ephemeral', hosts: ['127.0.0.1'] });
  const url = `smtp://127.0.0.1:${portOf(portico, 'smtp')}`;
  const run = (...args: string[]) => runCommand(['send', url, '--from', 'Me <me@example.org>', '--insecure', ...args]);
  const html = file('letter.html', '<p>Grüße</p>');
  const sent = await run(
    ...['--to', 'Bob <bob@a.test>, eve@a.test', '--cc', 'cid@a.test', '--bcc', 'dan@a.test', '--subject', 'Grüße'],
    ...[
      '--text',
      'Hallo',
      '--html',
      `@${html}`,
      '--attach',
      file('data.csv', 'a,b\n'),
      '--header',
      'X-Campaign: spring',
    ],
    '--json',
  );
  assert.equal(sent.code, EXIT.ok, sent.errors);
  const { recipients, messageId } = JSON.parse(sent.output) as {
    recipients: { to: string; state: string }[];
    messageId: string;
  };
  assert.deepEqual(
    recipients.map(({ to, state }) => `${to} ${state}`),
    ['bob@a.test sent', 'eve@a.test sent', 'cid@a.test sent', 'dan@a.test sent'],
  );
  const [mail = ''] = await mailsOf(portico, 'dan@a.test', 1);
  const parsed = parseMessage(Buffer.from(mail));
  assert.deepEqual([parsed.subject, parsed.messageId], ['Grüße', messageId]);
  assert.match(mail, /^X-Campaign: spring\r$/m);
  assert.doesNotMatch(mail, /dan@a\.test/);
  assert.match(mail, /Content-Type: text\/csv\r\nContent-Disposition: attachment; filename="data\.csv"/);

  const people = file(
    'people.json',
    JSON.stringify([
      { email: 'r1@a.test', name: 'Ann' },
      { email: 'r2@a.test', name: 'Bo' },
    ]),
  );
  const many = await run('--each', people, '--to', '{{email}}', '--subject', 'For {{name}}', '--text', 'Dear {{name}}');
  assert.equal(many.code, EXIT.ok, many.errors);
  assert.match(many.output, /^r1@a\.test: sent 250 .*\nr2@a\.test: sent 250 /);
  assert.match((await mailsOf(portico, 'r2@a.test', 1))[0]!, /^Subject: For Bo\r\n(?:.*\r\n)*\r\nDear Bo/m);
  const wrong = await run('--each', people, '--to', '{{email}}', '--text', '{{nick}}');
  assert.equal(wrong.code, EXIT.usage);
  assert.match(wrong.errors, /row 1: there is no nick; there is email, name/);
  const dry = await run('--to', 'x@a.test', '--text', 'nothing', '--dry');
  assert.match(dry.output, /\r\nTo: x@a\.test\r\n(?:.*\r\n)*\r\nnothing$/);
  const eml = await run('--to', 'raw@a.test', '--eml', file('raw.eml', 'Subject: As it is\n\n.dot\n'));
  assert.equal(eml.code, EXIT.ok, eml.errors);
  assert.ok((await mailsOf(portico, 'raw@a.test', 1))[0]!.endsWith('Subject: As it is\r\n\r\n.dot\r\n'));
});

test('exit codes: refused, nobody there, wrong use', TIMEOUT, async () => {
  await using portico = await Portico.start({
    ...{ storage: 'memory', ports: 'ephemeral', hosts: ['127.0.0.1'] },
    mail: { mode: 'deliver', domains: ['here.test'], relay: false },
  });
  const url = `smtp://127.0.0.1:${portOf(portico, 'smtp')}`;
  const common = ['--from', 'me@here.test', '--text', 'x', '--starttls', 'never'];
  const refused = await runCommand(['send', url, '--to', 'nobody@here.test', ...common]);
  assert.equal(refused.code, EXIT.refused);
  assert.match(refused.errors, /nobody@here\.test: refused: 550 5\.1\.1/);
  const gone = await runCommand(['send', 'smtp://127.0.0.1:1', '--to', 'a@here.test', ...common]);
  assert.equal(gone.code, EXIT.unavailable);
  for (const args of [['http://127.0.0.1', '--to', 'a@b.c'], [url], [url, '--to', 'no address']])
    assert.equal((await runCommand(['send', ...args, ...common])).code, EXIT.usage, args.join(' '));
});
