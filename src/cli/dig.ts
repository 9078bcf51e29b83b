// `portico dig`: asks name servers, over UDP, TCP, TLS and HTTPS, with dig's words and dig's answers.

import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { TlsOptions } from '../exports/loop.ts';
import { TYPE } from '../formats/dns/records.ts';
import { Message } from '../protocols/dns/codec.ts';
import type { ServerPoint } from '../protocols/dns/resolver-servers.ts';
import { addressOctets } from '../resources/names/networks.ts';
import { Asking, type Heard, NoAnswerError, PORTS, writeQuestion } from './dig-ask.ts';
import { type DigFlags, type DigPlan, DigUsageError, OPTION_NAMES, planOf } from './dig-options.ts';
import { messageJson, messageText, recordOf, recordText, shortText, statsText } from './dig-text.ts';
import { Trace } from './dig-trace.ts';
import { EXIT, fail } from './output.ts';
import { addTls, type TlsFlags, tlsFor } from './tls-flags.ts';

type Flags = DigFlags & TlsFlags;

export function addDig(program: Command): void {
  const command = program
    .command('dig')
    .description('ask a name server: portico dig @127.0.0.1 -p 5300 portico.test ANY +tcp')
    .usage('[options] [@server] [name] [type] [class] [+option...]')
    .argument('[words...]', `@server, name, type, class, and ${OPTION_NAMES.map((name) => `+${name}`).join(' ')}`)
    .option('-p, --port <port>', 'the port; 53, for TLS 853, for HTTPS 443 unless said')
    .option('-t, --type <type>', 'the type of records')
    .option('-c, --class <class>', 'the class: IN, CH or HS')
    .option('-q, --query <name>', 'the name, where it looks like a type')
    .option('-x, --reverse <address>', 'the name of an address')
    .option('-4', 'over IPv4 alone')
    .option('-6', 'over IPv6 alone');
  addTls(command).action((words: string[], flags: Flags) => dig(words, flags, program.version() ?? ''));
}

async function dig(words: readonly string[], flags: Flags, version: string): Promise<void> {
  const plan = planned(words, flags);
  const scheme = plan.carrier === 'https' ? 'https' : ['tls', 'quic'].includes(plan.carrier) ? 'tls' : 'tcp';
  const tls: TlsOptions = tlsFor(scheme, plan.tlsName ?? plan.server, flags) ?? {};
  const asking = new Asking(tls, plan.tlsName);
  try {
    const points = await pointsOf(plan);
    const named = plan.server === '' ? points[0]!.host : plan.server;
    if (plan.shown.command && !plan.short && !plan.json) print(greeting(words, flags, version, points.length));
    if (plan.trace) await new Trace(asking, plan, points, print).run();
    else await once(asking, plan, points, named);
  } catch (error) {
    asking.close();
    if (!(error instanceof NoAnswerError)) throw error;
    process.stdout.write(plan.json ? '' : `${error.message}\n`);
    fail(
      `${plan.server === '' ? 'no name server of this system' : plan.server} answers`.replace(/^(?!no )/, 'nobody at '),
      EXIT.unavailable,
    );
  }
  asking.close();
  process.exit(EXIT.ok);
}

function planned(words: readonly string[], flags: Flags): DigPlan {
  try {
    return planOf(words, flags);
  } catch (error) {
    if (error instanceof DigUsageError) return fail(error.message, EXIT.usage);
    throw error;
  }
}

function print(text: string): void {
  process.stdout.write(text);
}

function greeting(words: readonly string[], flags: Flags, version: string, servers: number): string {
  const given = Object.entries(flags).flatMap(([name, value]) =>
    name === 'port' ? ['-p', value] : name === 'reverse' ? ['-x', value] : name === 'type' ? ['-t', value] : [],
  );
  const line = [...given, ...words].join(' ');
  return `\n; <<>> portico dig ${version} <<>> ${line}\n; (${servers} server${servers === 1 ? '' : 's'} found)\n;; global options: +cmd\n`;
}

async function once(asking: Asking, plan: DigPlan, points: readonly ServerPoint[], named: string): Promise<void> {
  const query = writeQuestion(plan);
  const message = new Message();
  if (plan.shown.query && !plan.short && !plan.json) {
    message.read(query, 0, query.length);
    print(`;; Sending:\n${messageText(message, plan.shown)}\n`);
  }
  const heard = await asking.ask(points, query, plan);
  if (!plan.short && !plan.json && plan.shown.comments) for (const remark of heard.remarks) print(`${remark}\n`);
  const isTransfer = (plan.type === TYPE.AXFR || plan.type === TYPE.IXFR) && heard.messages.length > 0;
  if (isTransfer && !plan.json) transfer(plan, heard, named, message);
  else single(plan, heard, named, message);
}

function single(plan: DigPlan, heard: Heard, named: string, message: Message): void {
  const [bytes] = heard.messages;
  const whole = message.read(bytes!, 0, bytes!.length) >= 0;
  if (plan.json) print(`${messageJson(message, heard)}\n`);
  else if (plan.short) print(shortText(message));
  else {
    if (!whole) print(`;; Warning: the message cannot be right: ${message.fault.text}\n`);
    if (plan.shown.comments) print(';; Got answer:\n');
    print(messageText(message, plan.shown));
    if (plan.shown.stats) print(statsText(heard, named, -1));
  }
}

/** The records of a transfer, as they came. */
function transfer(plan: DigPlan, heard: Heard, named: string, message: Message): void {
  let records = 0;
  for (const bytes of heard.messages) {
    message.read(bytes, 0, bytes.length);
    for (let index = 0; index < message.answers; index++) {
      const record = recordOf(message, index);
      if (plan.shown.answer) print(`${plan.short ? record.data : recordText(record, plan.shown)}\n`);
      records++;
    }
  }
  if (records === 0) print('; Transfer failed.\n');
  if (plan.shown.stats && !plan.short) print(statsText(heard, named, records));
}

/** Where to ask: the server that is named, or those that this system asks. */
async function pointsOf(plan: DigPlan): Promise<ServerPoint[]> {
  const port = plan.port ?? PORTS[plan.carrier];
  const extra = {
    port,
    carrier: plan.carrier,
    path: plan.path,
    ...(plan.tlsName === null ? {} : { tlsName: plan.tlsName }),
  };
  const fits = (host: string) => plan.family === null || (addressOctets(host)?.length === 4) === (plan.family === 4);
  if (plan.server === '') {
    const hosts = systemServers().filter(fits);
    if (hosts.length === 0) throw new NoAnswerError(';; /etc/resolv.conf names no server; say which: @127.0.0.1');
    return hosts.map((host) => ({ host, ...extra }));
  }
  if (addressOctets(plan.server) !== null) return [{ host: plan.server, ...extra }];
  try {
    const found = await lookup(plan.server, { all: true, ...(plan.family === null ? {} : { family: plan.family }) });
    return found.map(({ address }) => ({ host: address, tlsName: plan.server, ...extra }));
  } catch {
    return fail(`${plan.server} is not known, so that it cannot be asked`, EXIT.unavailable);
  }
}

function systemServers(): string[] {
  try {
    return [...readFileSync('/etc/resolv.conf', 'utf8').matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, host]) => host!);
  } catch {
    return [];
  }
}
