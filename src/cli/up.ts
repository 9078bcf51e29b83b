// `portico up`: runs the server until it is told to stop.
import { relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { type Config, ConfigError, put } from '../config.ts';
import { ListenError, Portico, RefusedError, urlOf, VERSION } from '../portico.ts';
import { isOfServices, unmarked } from '../resources/services/modules.ts';
import { CERTIFICATE_FOLDER } from '../security/certificates.ts';
import type { Standing } from '../server/server.ts';
import { addPlaceFlags, configured, type PlaceFlags, putPorts } from './configured.ts';
import { bold, complain, dim, EXIT, fail, logTo } from './output.ts';

interface UpFlags extends PlaceFlags {
  readonly storage?: string;
  readonly host?: string[];
  readonly port?: string[];
  readonly standardPorts?: boolean;
  readonly logLevel?: string;
  readonly json?: boolean;
  readonly service?: string[];
  readonly watch?: boolean;
}

export function addUp(program: Command): void {
  addPlaceFlags(program.command('up').description('run the server'))
    .option('--storage <kind>', 'sqlite, which lasts, or memory')
    .option('--host <address...>', 'addresses to listen on (default: 127.0.0.1 ::1)')
    .option('--port <protocol=port...>', 'another port for a protocol; 0 for any free one')
    .option('--standard-ports', 'the well-known ports; below 1024 they need privileges')
    .option('--service <path...>', 'modules of services, as defineService makes them')
    .option('--watch', 'load services again when a file of theirs changes; connections stay')
    .option('--log-level <level>', 'debug, info, warn, error or silent')
    .option('--json', 'say what listens as one JSON line, and log as JSON')
    .action((flags: UpFlags) => up(flags));
}

async function up(flags: UpFlags): Promise<void> {
  let portico: Portico;
  try {
    const config = await configFrom(flags);
    const log = logTo(config.log.level, config.log.format);
    // The guards catch what is thrown in a connection; what is thrown beside them leaves nothing to go on with, but for what
    // a service of somebody's left behind in a timer or a promise.
    process.on('uncaughtException', (error) => {
      if (isOfServices(error)) {
        log.error('a bug in a service, outside of its calls', { stack: unmarked(error.stack ?? '') });
        return;
      }
      log.error('a bug of Portico’s own; please report it', { stack: error.stack ?? String(error) });
      process.exit(EXIT.software);
    });
    portico = await Portico.start({
      ...config,
      logger: log,
      watch: flags.watch === true,
      onFatal: () => process.exit(EXIT.io),
    });
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error), codeOf(error));
  }
  stopOnSignals(portico);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(machineLine(portico))}\n`);
  else process.stdout.write(greeting(portico));
}

/** What the flags say, in the words of the configuration. */
function configFrom(flags: UpFlags): Promise<Config> {
  const given: Record<string, unknown> = {};
  if (flags.storage !== undefined) given.storage = flags.storage;
  if (flags.host !== undefined) given.hosts = flags.host;
  if (flags.standardPorts === true) given.ports = 'standard';
  if (flags.service !== undefined) given.services = flags.service.map((path) => resolve(path));
  if (flags.logLevel !== undefined) put(given, ['log', 'level'], flags.logLevel);
  if (flags.json === true) put(given, ['log', 'format'], 'json');
  putPorts(given, flags.port ?? []);
  return configured(flags, given);
}

function codeOf(error: unknown): number {
  if (error instanceof ConfigError) return EXIT.config;
  if (error instanceof RefusedError) return EXIT.refused;
  if (error instanceof ListenError) return EXIT.unavailable;
  return EXIT.io;
}

/** Two signals within this time are one. */
const TWICE_MS = 250;

function stopOnSignals(portico: Portico): void {
  let since = 0;
  const stop = (signal: NodeJS.Signals) => {
    // Who signals a process and its group does it twice: that is one wish, not impatience.
    if (since > 0 && performance.now() - since < TWICE_MS) return;
    if (since > 0) {
      complain('stopped at once; what was acknowledged is safe');
      process.exit(EXIT.failed);
    }
    since = performance.now();
    if (signal === 'SIGINT') complain('stopping; press Ctrl-C again to stop at once');
    portico.close().then(
      () => process.exit(EXIT.ok),
      (error: unknown) => fail(String(error), EXIT.software),
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

function machineLine(portico: Portico): unknown {
  return {
    portico: VERSION,
    pid: process.pid,
    data: portico.config.storage === 'sqlite' ? portico.config.data : null,
    control: portico.control,
    urls: portico.urls,
    listening: portico.listening,
    services: [...portico.services.all.keys()],
  };
}

/** What to paste to try a listener. */
const TRIES: Readonly<Record<string, (host: string, port: string, root: string) => string>> = {
  'http1/tcp': (host, port) => `curl -N http://${host}:${port}/topics/sensors/%23 -H 'Accept: text/event-stream'`,
  'http1/tls': (_host, port, root) => `curl --cacert ${root} https://localhost:${port}/healthz`,
  'mqtt/tls': (_host, port, root) => `mosquitto_sub --cafile ${root} -h localhost -p ${port} -t 'sensors/#' -v`,
  'lines/tls': (_host, port, root) =>
    `echo 'SUB sensors/#' | openssl s_client -quiet -CAfile ${root} -connect localhost:${port}`,
  'mqtt/tcp': (host, port) => `mosquitto_sub -h ${host} -p ${port} -t 'sensors/#' -v`,
  'mqtt/unix': (path) => `mosquitto_sub --unix ${path} -t 'sensors/#' -v`,
  'lines/tcp': (host, port) => `echo 'SUB sensors/#' | nc ${host} ${port}`,
  'lines/unix': (path) => `echo 'SUB sensors/#' | nc -U ${path}`,
  'ssh/tcp': (host, port) => `sftp -P ${port} ${host}`,
  'ftp/tcp': (host, port) => `curl ftp://${host}:${port}/shared/`,
  'imap/tcp': (host, port) => `curl imap://${host}:${port}/INBOX -u you@localhost:any -X 'FETCH 1:* ENVELOPE'`,
  'pop3/tcp': (host, port) => `curl pop3://${host}:${port} -u you@localhost:any`,
  'smtp/tcp': (host, port) =>
    `printf 'Subject: Hello\\r\\n\\r\\nA line.\\r\\n' | curl smtp://${host}:${port} --mail-rcpt you@localhost -T -`,
  'dns/udp': (host, port) => `dig @${host} -p ${port} portico.test HTTPS`,
  'dns/tcp': (host, port) => `dig @${host} -p ${port} +tcp portico.test AXFR`,
  'dns/tls': (host, port, root) => `kdig @${host} -p ${port} +tls-ca=${root} +tls-hostname=localhost portico.test`,
  'lines/udp': (host, port) => `echo 'PUB sensors/a 21.5' | nc -u -w1 ${host} ${port}`,
};

/** The local root in PEM, as a path to paste: whichever way to write it is the shorter. */
function rootOf({ config }: Portico): string {
  const path = resolve(config.data, CERTIFICATE_FOLDER, 'root.crt');
  const fromHere = relative('.', path);
  return fromHere.length < path.length ? fromHere : path;
}

function tryLine({ protocol, on, address, path }: Standing, portico: Portico): string | undefined {
  const shared = portico.config.shared.find(({ port }) => port === address?.port) ?? portico.config.shared[0];
  const name = protocol === 'shared' ? shared?.protocols[0] : protocol;
  return TRIES[`${name}/${on}`]?.(address?.host ?? path ?? '', String(address?.port ?? ''), rootOf(portico));
}

const OPEN_MODE = [
  'Open mode: there are no accounts, so programs on this machine are let in with any name, or none. A raw TCP forward',
  'to these ports cannot be told from a local program: do not make one. portico account add <name> ends it.',
];

const LOCKED_MODE = ['Nobody enters without an account, also from this machine: portico account list shows them.'];

function greeting(portico: Portico): string {
  const { config, listening } = portico;
  const where = config.storage === 'memory' ? 'in memory, gone when it stops' : `in ${config.data}`;
  const lines = [`${bold(`Portico ${VERSION}`)} is up; its data is ${where}.`, ''];
  for (const row of rows(listening, portico)) lines.push(row);
  lines.push(...serviceRows(portico));
  lines.push('', ...(portico.isOpen ? OPEN_MODE : LOCKED_MODE), dim('Ctrl-C stops it.'), '');
  return `${lines.join('\n')}\n`;
}

/** As wide as the longest name of a listener. */
const LABEL = 'submission/tcp'.length;

/** What a program brought, and what it was made of. */
function serviceRows({ services }: Portico): string[] {
  const own = [...services.all.values()].filter(({ origin }) => origin !== 'resource');
  return own.map(
    ({ name, methods }) => `  ${bold('service'.padEnd(LABEL))} ${name}: ${[...methods.keys()].join(', ')}`,
  );
}

/** One row a protocol and kind of listener, all its addresses in it. */
function rows(listening: readonly Standing[], portico: Portico): string[] {
  const kinds = new Map<string, Standing[]>();
  for (const standing of listening) {
    const key = `${standing.protocol}/${standing.on}`;
    kinds.set(key, [...(kinds.get(key) ?? []), standing]);
  }
  return [...kinds].map(([key, all]) => {
    const urls = all.map(({ protocol, on, address, path }) =>
      address === null ? `unix:${path}` : urlOf(protocol, on, address),
    );
    const attempt = tryLine(all[0]!, portico);
    const row = `  ${bold(key.padEnd(LABEL))} ${urls.join('  ')}`;
    return attempt === undefined ? row : `${row}\n${' '.repeat(LABEL + 3)}try: ${attempt}`;
  });
}
