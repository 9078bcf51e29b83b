// Mail that leaves, to servers that are not ours: aiosmtpd, whose mail dkimpy verifies, and Postfix's smtp-sink.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkConfig } from '../../src/config.ts';
import { SILENT } from '../../src/core/log.ts';
import { MailProofs } from '../../src/running/mail/mail-proofs.ts';
import { missing, Program } from '../clients.ts';
import { domainServer, mailsOf, submitted, until } from '../mail/house.ts';

const PYTHON = '/usr/bin/python3';
const SERVER = fileURLToPath(new URL('relay_server.py', import.meta.url));
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'portico-relay-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Taken {
  readonly from: string;
  readonly to: string[];
  readonly tls: boolean;
  readonly dkim: boolean[];
  readonly arc: string | null;
  readonly text: string;
}

const linesOf = (program: Program) =>
  program.out.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as unknown] : []));

const withoutPython = () => {
  const why = missing(PYTHON, '-c', 'import aiosmtpd, dkim, nacl');
  if (why !== false || process.env.CI === 'true') return why;
  const { status } = spawnSync(PYTHON, ['-c', 'import aiosmtpd, dkim, nacl']);
  return status === 0 ? false : 'python3-aiosmtpd and python3-dkim are not installed';
};

test('aiosmtpd takes it within TLS, and dkimpy verifies both signatures, and the seal of what was sent on', {
  skip: withoutPython(),
  timeout: 90_000,
}, async () => {
  const data = join(folder, 'data');
  const mail = { mode: 'deliver' as const, domains: ['here.test'] };
  // The keys are made before, so that both know them.
  const proofs = await MailProofs.open(checkConfig({ data, mail }), Date.now, SILENT);
  const keys = JSON.stringify(Object.fromEntries(proofs!.records.map(({ name, text }) => [name, text])));
  const server = new Program(PYTHON, [SERVER, keys, fixture('localhost.pem'), fixture('localhost.key')]);
  try {
    await until('a server', () => linesOf(server).length > 0 || server.error !== '');
    assert.equal(server.error, '');
    const { port } = linesOf(server)[0] as { port: number };
    await using here = await domainServer('here.test', ['ann'], {
      ...{ storage: 'sqlite', data },
      mail: {
        relay: { smartHost: `smtp://localhost:${port}`, tls: 'required', retryMs: 100 },
        aliases: { list: ['on@there.test'] },
      },
    });
    const taken = () => linesOf(server).slice(1) as Taken[];
    const to = ['bob@there.test', 'nobody@there.test', 'later@there.test', 'list@here.test'];
    await submitted(here, {
      user: 'ann',
      from: 'ann@here.test',
      to,
      subject: 'Grüße',
      text: '.dots\n..\nand ümlauts  \n\n\n',
    });
    await until('an empty queue', () => here.mail.queue!.figures.mails === 0);
    const byRecipient = (address: string) => taken().find((each) => each.to.includes(address))!;
    assert.deepEqual(
      taken().map((each) => each.to.length),
      [1, 1, 1],
    );
    for (const address of ['bob@there.test', 'later@there.test']) {
      const { from, tls, dkim, text } = byRecipient(address);
      assert.deepEqual([from, tls, dkim], ['ann@here.test', true, [true, true]]);
      assert.match(text, /\r\n\r\n\.dots\r\n\.\.\r\nand ümlauts {2}\r\n/);
    }
    assert.equal(byRecipient('on@there.test').arc, 'pass');
    const [report = ''] = await mailsOf(here, 'ann', 1);
    assert.match(report, /\r\nFinal-Recipient: rfc822; nobody@there\.test\r\nAction: failed\r\nStatus: 5\.1\.1\r\n/);
  } finally {
    server.kill();
    await server.done;
  }
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function isThere(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** It takes no port of its own choice: another is tried when somebody was faster. */
async function openSink(flags: readonly string[]): Promise<{ readonly sink: Program; readonly port: number }> {
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    const sink = new Program('smtp-sink', [...flags, `127.0.0.1:${port}`, '64']);
    let isOver = false;
    void sink.done.then(() => (isOver = true));
    await until('a server', async () => isOver || (await isThere(port)));
    if (!isOver) return { sink, port };
    assert.ok(tries < 5, sink.error);
  }
}

for (const [what, flags] of [
  ['as it is', []],
  ['without ESMTP', ['-e']],
  ['without pipelining', ['-p']],
] as const)
  test(`smtp-sink of Postfix, ${what}`, { skip: missing('smtp-sink'), timeout: 60_000 }, async () => {
    const dump = join(folder, `mails-${what.replaceAll(' ', '-')}`);
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
    const { sink, port } = await openSink([...user, ...flags, '-D', dump]);
    try {
      const relay = { smartHost: `smtp://127.0.0.1:${port}`, tls: 'offered', retryMs: 100 } as const;
      await using here = await domainServer('here.test', ['ann'], { mail: { relay } });
      const count = 60;
      await Promise.all(
        Array.from({ length: count }, (_, at) =>
          submitted(here, {
            user: 'ann',
            from: 'ann@here.test',
            to: [`u${at}@there.test`],
            subject: `number ${at}`,
            text: `.${at}\n.`,
          }),
        ),
      );
      await until('an empty queue', () => here.mail.queue!.figures.mails === 0);
      assert.equal(here.mail.queue!.figures.sent, count);
      const got = readFileSync(dump, 'latin1').match(/^Subject: number \d+$/gm);
      assert.equal(new Set(got).size, count);
    } finally {
      sink.kill();
      await sink.done;
    }
  });
