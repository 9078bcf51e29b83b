// Which ports have TLS, who is spoken to on them, and on which terms: a configuration's listeners with TLS, as the server
// takes them.
import { appendFileSync, chmodSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Config } from '../../config.ts';
import type { Log } from '../../core/log.ts';
import type { Listens, Protocol } from '../../core/protocol.ts';
import type { ClientCertificates, Identities, TlsPolicy } from '../../core/tls.ts';
import { PROTOCOLS } from '../../protocols.ts';
import type { Resources } from '../../resources/resources.ts';
import { Certificates } from '../../security/certificates.ts';
import { TrustedProxies } from '../../server/proxy-header.ts';
import type { ListenerPlan, SharedPlan, TlsPlan } from '../../server/server.ts';

/** The certificates of a configuration, made where there are none yet. */
export function openCertificates(config: Config, log: Log): Certificates {
  const { names, ranges, files, clients } = config.certificates;
  return new Certificates({
    data: config.storage === 'memory' ? null : config.data,
    hostname: hostname(),
    names,
    hosts: config.http.hosts,
    url: plainUrlOf(config),
    ranges,
    files,
    clientAuthorities: clients.authorities,
    revocationLists: clients.revoked,
    log,
  });
}

/** Where revocation lists and the responder are reached without TLS, if that is known and always the same. */
function plainUrlOf(config: Config): string {
  const { enabled, port } = config.protocols.http1 ?? {};
  const listens = PROTOCOLS.find(({ name }) => name === 'http1')!.listens.find(({ on }) => on === 'tcp');
  if (enabled === false || listens === undefined || !('port' in listens)) return '';
  const standing = config.ports === 'standard' ? listens.standardPort : config.ports === 'ephemeral' ? 0 : listens.port;
  const known = port ?? standing;
  return known === 0 ? '' : `http://localhost${known === 80 ? '' : `:${known}`}`;
}

/** Whose certificates are shown, and who judges those of clients. */
export interface Credentials {
  readonly identities: Identities;
  readonly clientCertificates?: ClientCertificates;
  readonly keyLog?: KeyLog;
}

type KeyLog = NonNullable<TlsPolicy['keyLog']>;

export function credentialsOf(certificates: Certificates | null): Credentials | null {
  return certificates === null
    ? null
    : { identities: certificates, clientCertificates: certificates.clientCertificates };
}

/**
 * Adds the secrets of all connections to a file that only this user may read, for tools that decrypt what they captured.
 * Throws what the system says when it cannot be written.
 */
export function openKeyLog(path: string, log: Log): KeyLog {
  // Whoever may read the file may read all connections: one that others may read is not taken as it is.
  appendFileSync(path, '', { mode: 0o600 });
  chmodSync(path, 0o600);
  log.warn('the secrets of all connections with TLS are written to a file', { file: path });
  return (line) => appendFileSync(path, line);
}

type TlsSettings = NonNullable<NonNullable<Config['protocols'][string]>['tls']>;

interface Entry {
  readonly plan: ListenerPlan<Resources>;
  readonly settings: TlsSettings;
  readonly alpn: string | null;
}

/** The ports with TLS: those of one number are one, on which HTTP/2 stands before HTTP/1.1, since it is the better. */
export function tlsPlansOf(config: Config, credentials: Credentials): TlsPlan<Resources>[] {
  const ports = new Map<string, Entry[]>();
  for (const protocol of PROTOCOLS) {
    const given = config.protocols[protocol.name] ?? {};
    const settings = given.tls ?? {};
    if (given.enabled === false || settings.enabled === false) continue;
    for (const listens of protocol.listens) {
      if (listens.on !== 'tls') continue;
      const port = portOf(config, protocol, listens);
      const hosts = given.hosts ?? config.hosts;
      // Free ports are not one because both are 0, but because the standard ones are.
      const key = `${port === 0 ? `free ${listens.port}` : port} ${hosts.join(' ')}`;
      const limits = given.limits ?? {};
      const entry = { plan: { protocol, listens, hosts, port, limits }, settings, alpn: listens.alpn ?? null };
      ports.set(key, [...(ports.get(key) ?? []), entry]);
    }
  }
  return [...ports.values()].map((entries) => {
    const { hosts, port } = entries[0]!.plan;
    const plans = entries.map(({ plan }) => plan);
    const named = plans.flatMap(({ protocol }) => config.protocols[protocol.name]?.proxyProtocol ?? []);
    const proxies = named.length === 0 ? undefined : new TrustedProxies(named);
    return { hosts, port, plans, policy: policyOf(entries, credentials), proxies };
  });
}

/** What is spoken behind a handshake on a port that several protocols share. */
export function securedOf(
  config: Config,
  names: readonly string[],
  credentials: Credentials,
): NonNullable<SharedPlan<Resources>['secured']> {
  const entries = PROTOCOLS.flatMap((protocol) => {
    const given = config.protocols[protocol.name] ?? {};
    // HTTP/2 comes with HTTP/1.1, as it does without TLS.
    const named = names.includes(protocol.name) || (protocol.name === 'http2' && names.includes('http1'));
    if (!named || given.enabled === false) return [];
    return protocol.listens.flatMap((listens): Entry[] => {
      if (listens.on !== 'tls') return [];
      const plan = { protocol, listens, hosts: [], port: 0, limits: given.limits ?? {} };
      return [{ plan, settings: given.tls ?? {}, alpn: listens.alpn ?? null }];
    });
  });
  return { plans: entries.map(({ plan }) => plan), policy: policyOf(entries, credentials) };
}

/** On which terms a protocol's sessions turn to TLS in the middle of a connection, or its connections begin with it. */
export function startTlsOf(config: Config, name: string, credentials: Credentials): TlsPolicy | null {
  const given = config.protocols[name] ?? {};
  const protocol = PROTOCOLS.find((each) => each.name === name);
  if (protocol?.listens.some((each) => each.on === 'udp' && each.carries !== undefined) === true)
    return policyOf(muxEntries(config), credentials);
  const listens = protocol?.listens.find(({ on }) => on === 'tcp');
  if (protocol === undefined || listens === undefined || given.tls?.enabled === false) return null;
  const plan = { protocol, listens, hosts: [], port: 0 };
  return policyOf([{ plan, settings: given.tls ?? {}, alpn: null }], credentials);
}

/** What is spoken on connections of many streams. */
function muxEntries(config: Config): Entry[] {
  return PROTOCOLS.flatMap((protocol) => {
    const given = config.protocols[protocol.name] ?? {};
    return protocol.listens.flatMap((listens): Entry[] => {
      if (listens.on !== 'quic') return [];
      const plan = { protocol, listens, hosts: [], port: 0 };
      return [{ plan, settings: given.tls ?? {}, alpn: listens.alpn }];
    });
  });
}

function policyOf(entries: readonly Entry[], { identities, clientCertificates, keyLog }: Credentials): TlsPolicy {
  const names = entries.flatMap(({ alpn }) => (alpn === null ? [] : [alpn]));
  // Who has the choice takes HTTP/2.
  const alpn = [...names.filter((name) => name === 'h2'), ...names.filter((name) => name !== 'h2')];
  const wanted = entries.map(({ settings }) => settings.clientCertificate ?? 'optional');
  const asks = wanted.includes('required') ? 'required' : wanted.every((each) => each === 'none') ? 'none' : 'optional';
  const strict = entries.some(({ settings }) => settings.least === 'TLSv1.3');
  return {
    role: 'server',
    identities,
    alpn,
    ...(keyLog === undefined ? {} : { keyLog }),
    ...(strict ? { least: 'TLSv1.3' as const } : {}),
    // Nobody can be believed where there is no authority of clients.
    ...(clientCertificates === undefined ? {} : { clientCertificates, clientCertificate: asks }),
  };
}

function portOf(config: Config, { name }: Protocol<Resources>, listens: Listens<Resources>): number {
  if (listens.on !== 'tls') return 0;
  const given = config.protocols[name]?.tls?.port ?? (name === 'http2' ? config.protocols.http1?.tls?.port : undefined);
  if (given !== undefined) return given;
  if (config.ports === 'ephemeral') return 0;
  return config.ports === 'standard' ? listens.standardPort : listens.port;
}
