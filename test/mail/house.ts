// Porticos that send mail to each other on this machine: for tests.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connectSmtp, type OutgoingRecipient, type RecipientOutcome } from '../../src/exports/smtp.ts';
import { Portico, type PorticoConfig, type StartOptions } from '../../src/portico.ts';

export const PASSWORD = 'correct horse battery staple';

/** A Portico of a domain, with accounts. Its own zone says where its mail goes. */
export async function domainServer(
  domain: string,
  accounts: readonly string[],
  more: PorticoConfig & Pick<StartOptions, 'logger'> = {},
): Promise<Portico> {
  const { mail = {}, dns = {}, ...rest } = more;
  const portico = await Portico.start({
    ...{ storage: 'memory', ports: 'ephemeral', hosts: ['127.0.0.1'] },
    ...rest,
    certificates: { names: [domain], ...rest.certificates },
    mail: { mode: 'deliver', domains: [domain], ...mail },
    dns: { zone: domain, ...dns },
    outbound: { allow: ['127.0.0.0/8', '::1', 'localhost'] },
  });
  for (const name of accounts) {
    const answer = await portico.order({ do: 'account.add', name, password: PASSWORD });
    assert.ok(answer.ok, JSON.stringify(answer));
  }
  return portico;
}

export function portOf(portico: Portico, protocol: string, on = 'tcp'): number {
  const found = portico.listening.find((each) => each.protocol === protocol && each.on === on);
  assert.ok(found?.address, `${protocol} does not listen on ${on}`);
  return found.address.port;
}

/** What a server's resolver is told, so that it finds the zones of others of this machine. */
export function knowing(others: readonly Portico[], more: readonly string[] = []): PorticoConfig['dns'] {
  const forward = others.flatMap((other) =>
    [other.config.mail.domains[0]!, ...more].map((zone) => {
      return { zone, to: [`127.0.0.1:${portOf(other, 'dns', 'udp')}`] };
    }),
  );
  return { resolver: { forward, validate: false, special: false } };
}

export interface Submission {
  readonly from: string;
  readonly to: readonly (string | OutgoingRecipient)[];
  readonly user?: string;
  readonly port?: number;
  readonly subject?: string;
  readonly text?: string;
  readonly envid?: string;
  readonly ret?: 'FULL' | 'HDRS';
}

/** Submits a mail as a program does. */
export async function submit(portico: Portico, submission: Submission): Promise<readonly RecipientOutcome[]> {
  const { user = '', port = portOf(portico, 'submission'), subject = 'x', text = 'Hello', ...rest } = submission;
  const options = { user, password: PASSWORD, startTls: 'never' } as const;
  using connection = await connectSmtp(`smtp://127.0.0.1:${port}`, options);
  const { from, to } = submission;
  const head = `From: <${from}>\r\nTo: ${to.map((each) => `<${typeof each === 'string' ? each : each.address}>`).join(', ')}\r\n`;
  const message = Buffer.from(`${head}Subject: ${subject}\r\n\r\n${text.replaceAll('\n', '\r\n')}\r\n`);
  return await connection.send({ ...rest, message });
}

/** Submits a mail that is taken for all. */
export async function submitted(portico: Portico, submission: Submission): Promise<void> {
  const outcomes = await submit(portico, submission);
  assert.deepEqual([...new Set(outcomes.map(({ state }) => state))], ['sent'], JSON.stringify(outcomes));
}

/** Mails of an account, once there are so many; whole texts. */
export async function mailsOf(portico: Portico, account: string, least: number, withinMs = 20_000): Promise<string[]> {
  const caller = { account, scopes: null, origin: 'local', epoch: 0, id: account } as const;
  const until = Date.now() + withinMs;
  for (;;) {
    const box = await portico.mail.open(caller, portico.mail.own(caller));
    assert.ok(typeof box !== 'number', `the mailbox of ${account} cannot be opened: ${String(box)}`);
    const folder = await box.open('INBOX');
    assert.ok(typeof folder !== 'number');
    const { count } = folder;
    if (count >= least || Date.now() > until) {
      const texts: string[] = [];
      for (let at = 0; at < count; at++) texts.push((await folder.whole(folder.uids[at]!))!.toString());
      box.close(folder);
      assert.ok(count >= least, `${account} has ${count} mails of ${least}`);
      return texts;
    }
    box.close(folder);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits for something to be so. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await isSo())) {
    assert.ok(Date.now() < end, `it did not come to ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A place to ask a server's DNS at that is known before that server is. */
export async function lateDns(): Promise<{ readonly port: number; to(portico: Portico): void; close(): void }> {
  const socket = createSocket('udp4');
  const askers = new Map<string, number>();
  let target = 0;
  socket.on('message', (message, { port }) => {
    const id = message.toString('hex', 0, 2);
    if (port === target) {
      socket.send(message, askers.get(id) ?? 9, '127.0.0.1');
      return;
    }
    askers.set(id, port);
    if (target > 0) socket.send(message, target, '127.0.0.1');
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    port: socket.address().port,
    to: (portico) => {
      target = portOf(portico, 'dns', 'udp');
    },
    close: () => socket.close(),
  };
}

/** A port that leads to a server's that is not there yet. */
export async function latePort(): Promise<{ readonly port: number; to(port: number): void; close(): void }> {
  let target = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const other = connect(target, '127.0.0.1');
    for (const [one, two] of [
      [socket, other],
      [other, socket],
    ] as const) {
      sockets.add(one);
      one.on('error', () => two.destroy());
      one.on('close', () => sockets.delete(one));
      one.pipe(two);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    to: (port) => {
      target = port;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
