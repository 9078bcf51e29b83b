// `portico cert`: the certificates of a data folder. A server that runs on it takes over what is done here.
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type Config, ConfigError } from '../config.ts';

import type { Log } from '../core/log.ts';
import { openCertificates } from '../running/trust/secured.ts';
import { type Issued, IssueError } from '../security/authority.ts';
import { DAY, pem } from '../security/certificate.ts';
import type { Certificates } from '../security/certificates.ts';
import { nameOf } from '../security/names.ts';
import { showCertificates } from './cert-show.ts';
import { addPlaceFlags, configured, type PlaceFlags } from './configured.ts';
import { orders } from './order.ts';
import { bold, complain, dim, EXIT, fail, red, yellow } from './output.ts';

export interface CertFlags extends PlaceFlags {
  readonly json?: boolean;
}

interface IssueFlags extends CertFlags {
  readonly out?: string;
  readonly days?: string;
}

/** What went wrong is said; what went well is the command's own to say. */
const COMPLAINING: Log = {
  debug() {},
  info() {},
  warn: (text, fields) => complain(`${text} ${JSON.stringify(fields)}`),
  error: (text, fields) => complain(`${text} ${JSON.stringify(fields)}`),
};

export function addCert(program: Command): void {
  const cert = program.command('cert').description('certificates: the local authority, what it issued, what is shown');
  const add = (name: string, description: string) =>
    addPlaceFlags(cert.command(name).description(description)).option('--json', 'print it as JSON');
  add('list', 'what is shown to clients, and what was issued').action((flags: CertFlags) => list(flags));
  add('show', 'what stands in a certificate')
    .argument('<what>', 'a file, or a server as host:port')
    .action((what: string, flags: CertFlags) =>
      within(flags, (certificates) => showCertificates(what, flags, certificates)),
    );
  add('root', 'print the root in PEM').action((flags: CertFlags) => root(flags));
  const issuing = (command: Command) =>
    command
      .option('--out <path>', 'write <path>.crt and <path>.key instead of printing both')
      .option('--days <count>', 'how long it is valid (default: 90)');
  issuing(add('issue', 'a certificate and its key for a server'))
    .argument('<names...>', 'names and addresses')
    .action((names: string[], flags: IssueFlags) => issue(names, flags));
  issuing(add('client', 'a certificate and its key with which an account signs in'))
    .argument('<account>', 'the name of the account')
    .action((account: string, flags: IssueFlags) => client(account, flags));
  add('renew', 'make the server’s certificate, or the intermediate, anew')
    .argument('[what]', '`server` or `intermediate`', 'server')
    .action((what: string, flags: CertFlags) => renew(what, flags));
  add('revoke', 'declare a certificate that was issued here void')
    .argument('<serial>', 'its serial number')
    .action((serial: string, flags: CertFlags) => revoke(serial, flags));
  add('crl', 'print the list of what was revoked, in PEM').action((flags: CertFlags) => revocations(flags));
  add('import', 'show a certificate of another authority')
    .argument('<certificate>', 'a file in PEM: its own certificate first, then its issuers’')
    .argument('<key>', 'a file in PEM')
    .action((certificate: string, key: string, flags: CertFlags) => take(certificate, key, flags));
}

/** Opens the certificates of the configuration, does something with them, and closes them. Ends the command where it fails. */
export async function within(
  flags: PlaceFlags,
  work: (certificates: Certificates) => void | Promise<void>,
): Promise<void> {
  let certificates: Certificates | null = null;
  try {
    certificates = openOf(await configured(flags));
    await work(certificates);
  } catch (error) {
    const code = error instanceof ConfigError ? EXIT.config : error instanceof IssueError ? EXIT.refused : EXIT.io;
    fail(error instanceof Error ? error.message : String(error), code);
  } finally {
    certificates?.close();
  }
}

function openOf(config: Config): Certificates {
  if (config.storage === 'memory')
    throw new ConfigError([
      'storage is `memory`: its certificates are gone with the server, and only it has them; GET /certificates/root.pem ' +
        'of it gives the root',
    ]);
  return openCertificates(config, COMPLAINING);
}

function print(json: boolean | undefined, value: object, text: string): void {
  process.stdout.write(json === true ? `${JSON.stringify(value)}\n` : text);
}

const day = (wall: number) => new Date(wall).toISOString().slice(0, 10);

/** A date, coloured by how near it is. */
function until(wall: number, isRevoked = false): string {
  if (isRevoked) return red('revoked');
  const left = wall - Date.now();
  const text = `until ${day(wall)}`;
  return left < 0 ? red(text) : left < 15 * DAY ? yellow(text) : text;
}

function list(flags: CertFlags): Promise<void> {
  return within(flags, (certificates) => {
    const { authority } = certificates;
    const shown = [...certificates.shown()].map(({ names, facts, from }) => {
      const { serial, issuer, to } = facts;
      return { names, from, serial, issuer, until: new Date(to).toISOString() };
    });
    const issued = authority.issued.all().map(({ from: _, to, ...record }) => ({
      ...record,
      until: new Date(to).toISOString(),
      revoked: authority.issued.revoked(record.serial) !== null,
    }));
    const signers = [authority.root, ...authority.intermediates].map(({ facts }) => {
      return { subject: facts.subject, serial: facts.serial, until: new Date(facts.to).toISOString() };
    });
    const row = (serial: string, end: string, text: string) => `  ${dim(serial)}  ${end}  ${text}\n`;
    print(
      flags.json,
      { shown, issued, authorities: signers, speaksFor: authority.constraints.text.split(' ') },
      [
        `${bold('Shown to clients')}\n`,
        ...shown.map((each) =>
          row(each.serial, until(Date.parse(each.until)), `${each.names.join(' ')} ${dim(`by ${each.issuer}`)}`),
        ),
        `${bold('Issued here')}\n`,
        ...issued.map(({ serial, names, account, purpose, by, until: end, revoked }) =>
          row(serial, until(Date.parse(end), revoked), `${account ?? names.join(' ')} ${dim(`${purpose}, by ${by}`)}`),
        ),
        `${bold('Authorities')}\n`,
        ...signers.map(({ serial, subject, until: end }) => row(serial, until(Date.parse(end)), subject)),
        `The root speaks for ${authority.constraints.text}, and for nothing else.\n`,
      ].join(''),
    );
  });
}

function root(flags: CertFlags): Promise<void> {
  return within(flags, ({ authority }) => {
    const { pem: certificate, facts } = authority.root;
    const { subject, fingerprint, to } = facts;
    const value = { subject, fingerprint, until: new Date(to).toISOString(), certificate };
    print(flags.json, value, certificate);
  });
}

function daysOf({ days }: IssueFlags): { days?: number } {
  if (days === undefined) return {};
  const count = Number(days);
  if (Number.isInteger(count) && count >= 1) return { days: count };
  return fail(`--days is ${days}; it is a whole number of days`, EXIT.usage);
}

function issue(given: readonly string[], flags: IssueFlags): Promise<void> {
  const names = given.map((name) => nameOf(name) ?? fail(`${name} is neither a DNS name nor an address`, EXIT.usage));
  return within(flags, (certificates) => {
    give(certificates.issue({ names, purpose: 'server', by: 'command', ...daysOf(flags) }), { names }, flags);
  });
}

/** The account is opened by this one certificate, not by whatever names it: so a later account of that name is not. */
function client(given: string, flags: IssueFlags): Promise<void> {
  return orders(flags, async (order) => {
    const { name: account } = (await order('account.show', { name: given })).account as { readonly name: string };
    await within(flags, async (certificates) => {
      const issued = certificates.issue({ names: [], purpose: 'client', by: 'command', account, ...daysOf(flags) });
      await order('account.certificate', { name: account, add: `sha256:${issued.fingerprint}` });
      give(issued, { account }, flags);
    });
  });
}

/** Prints what was issued, or writes it to files; the key is for its owner alone. */
function give({ serial, chain, key, to }: Issued, what: object, { out, json }: IssueFlags): void {
  const value = { serial, ...what, until: new Date(to).toISOString() };
  if (out === undefined) {
    print(json, { ...value, certificate: chain, key }, chain + key);
    return;
  }
  for (const path of [`${out}.crt`, `${out}.key`])
    if (existsSync(path)) fail(`${path} is there already; choose another --out`, EXIT.io);
  writeFileSync(`${out}.key`, key, { mode: 0o600, flag: 'wx' });
  chmodSync(`${out}.key`, 0o600);
  writeFileSync(`${out}.crt`, chain, { flag: 'wx' });
  const files = { certificate: `${out}.crt`, key: `${out}.key` };
  print(json, { ...value, ...files }, `${files.certificate} and ${files.key}: serial ${serial}, until ${day(to)}\n`);
}

function renew(what: string, flags: CertFlags): Promise<void> {
  if (what !== 'server' && what !== 'intermediate')
    fail(`${what} is not renewed here; there are server and intermediate`, EXIT.usage);
  return within(flags, (certificates) => {
    if (what === 'intermediate') certificates.authority.renewIntermediate(Date.now());
    certificates.renew();
    const [own] = certificates.shown();
    const { serial, to } = own!.facts;
    print(
      flags.json,
      { renewed: what, serial, until: new Date(to).toISOString() },
      `renewed: ${serial}, until ${day(to)}\n`,
    );
  });
}

/** What a certificate had opened ends at once; where there is no such account any more, it opens none. */
function closeTo(account: string, named: string, flags: CertFlags): Promise<void> {
  return orders(flags, async (order) => {
    const { accounts } = await order('account.list', { opened: named });
    const [found] = accounts as readonly { readonly name: string }[];
    if (found?.name === account) await order('account.certificate', { name: account, remove: named });
  });
}

function revoke(given: string, flags: CertFlags): Promise<void> {
  const serial = given.replaceAll(':', '').toLowerCase();
  return within(flags, async ({ authority }) => {
    if (!authority.issued.revoke(serial, Date.now()))
      fail(`no certificate with serial number ${given} was issued here; portico cert list has all`, EXIT.failed);
    const { account, fingerprint } = authority.issued.get(serial)!;
    if (account !== undefined && fingerprint !== undefined) await closeTo(account, `sha256:${fingerprint}`, flags);
    print(flags.json, { revoked: serial }, `${serial} is revoked\n`);
  });
}

function revocations(flags: CertFlags): Promise<void> {
  return within(flags, ({ authority }) => {
    const lists = authority.intermediates.map(({ id }) => pem('X509 CRL', authority.revocationList(id, Date.now())!));
    print(flags.json, { lists, revoked: authority.issued.allRevoked() }, lists.join(''));
  });
}

function take(certificate: string, key: string, flags: CertFlags): Promise<void> {
  return within(flags, (certificates) => {
    const known = certificates.import(readFileSync(certificate, 'utf8'), readFileSync(key, 'utf8'));
    if (typeof known === 'string') fail(`${certificate} was not taken: ${known}`, EXIT.failed);
    const { names, facts } = known;
    const value = { names, serial: facts.serial, until: new Date(facts.to).toISOString() };
    print(flags.json, value, `${names.join(' ')}: shown from now on, until ${day(facts.to)}\n`);
  });
}
