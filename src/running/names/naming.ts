// The names of a running server: its zones as configured, its own zone kept true to what listens, and their events as topics.
import { createHash, X509Certificate } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { type Config, ConfigError } from '../../config.ts';
import type { Log } from '../../core/log.ts';
import { OK } from '../../core/outcome.ts';
import { isLoopback } from '../../core/peer.ts';
import type { Identities } from '../../core/tls.ts';
import type { Turn } from '../../core/turn.ts';
import { nameFrom, within } from '../../formats/dns/name.ts';
import type { RunningSettings } from '../../protocols/dns/server.ts';
import { type DnsSettings, keysOf as tsigKeysOf } from '../../protocols/dns/settings.ts';
import type { StoredAccounts } from '../../resources/accounts/accounts.ts';
import type { Grants, OtherServer } from '../../resources/names/contract.ts';
import { type ZoneNames, zoneName } from '../../resources/names/names.ts';
import { type Network, networkFrom } from '../../resources/names/networks.ts';
import { type OpenNames, openNames, ZoneFileError, type ZonePlan } from '../../resources/names/open.ts';
import { type OwnListener, type OwnMail, ownRecords } from '../../resources/names/own-records.ts';
import type { SigningSettings } from '../../resources/names/signed-zone.ts';
import { type Announcer, announceEvent } from '../../resources/topics/events.ts';
import type { Standing } from '../../server/server.ts';
import type { Engine } from '../../storage/engine.ts';
import { mailDomains, policyId, policyOf } from '../mail/mta-sts.ts';
import { DnsProofs } from './dns-proofs.ts';
import { Following } from './following.ts';
import { type Lookup, SystemLookup } from './looking-up.ts';
import { Resolving } from './resolving.ts';
import { ZoneLookup } from './zone-lookup.ts';

export interface NamingOptions {
  readonly engine: Engine;
  readonly turn: Turn;
  readonly accounts: StoredAccounts;
  readonly topics: Announcer;
  readonly log: Log;
  /** Of keys that mail is signed with: names without the last dot, and texts. */
  readonly mailKeys: readonly { readonly name: string; readonly text: string }[];
}

/** As long as their records live. */
const KEYS_EVERY_MS = 60_000;
const PARENTS_EVERY_MS = 600_000;

/** What SRV calls a listener (RFC 6335's registry), by protocol and carrier. */
const SERVICES: Readonly<Record<string, string>> = {
  'http1/tcp': 'http',
  'http1/tls': 'https',
  'mqtt/tcp': 'mqtt',
  'mqtt/tls': 'secure-mqtt',
  'ssh/tcp': 'sftp-ssh',
  'ftp/tcp': 'ftp',
  'ftp/tls': 'ftps',
  'smtp/tcp': 'smtp',
  'submission/tcp': 'submission',
  'submission/tls': 'submissions',
  'pop3/tcp': 'pop3',
  'pop3/tls': 'pop3s',
  'imap/tcp': 'imap',
  'imap/tls': 'imaps',
  'dns/udp': 'domain',
  'dns/tcp': 'domain',
  'dns/tls': 'domain-s',
  'dns/quic': 'domain-s',
};

export class Naming {
  readonly names: ZoneNames;
  /** Finds the names of others; null where the configuration does not want it. */
  readonly resolving: Resolving | null;
  /** Zones that others have as well. */
  readonly following: Following;
  /** Shows that names are ours, for who certifies them. */
  readonly proofs: DnsProofs;
  /** For what this server itself wants to know. */
  readonly lookup: Lookup;
  private readonly config: Config;
  private readonly opened: OpenNames;
  private readonly options: NamingOptions;
  /** The keys of TLSA, as they were published. */
  private keys = '';
  private looking: NodeJS.Timeout | undefined;
  private parents: NodeJS.Timeout | undefined;
  private published: readonly [readonly Standing[], Identities | null] | null = null;

  constructor(config: Config, opened: OpenNames, options: NamingOptions) {
    this.resolving = Resolving.open(config, options);
    this.names = opened.names;
    this.lookup = new ZoneLookup(opened.names, this.resolving?.lookup ?? new SystemLookup());
    this.proofs = new DnsProofs({ names: opened.names, keys: tsigKeysOf(config.dns), turn: options.turn });
    this.following = new Following(config, opened.names, options);
    this.config = config;
    this.opened = opened;
    this.options = options;
  }

  /** What DNS is given beside its limits: the configuration, and what stands behind the zones by it. */
  get settings(): RunningSettings {
    const notified: RunningSettings['notified'] = (...given) => this.following.notified(...given);
    return { ...this.config.dns, recursion: this.resolving?.recursion ?? null, notified };
  }

  close(): void {
    clearInterval(this.looking);
    clearInterval(this.parents);
    this.resolving?.close();
    this.following.close();
    this.opened.close();
  }

  /** Publishes what listens in the server's own zone. */
  async publish(standing: readonly Standing[], identities: Identities | null): Promise<void> {
    this.following.begin();
    this.published = [standing, identities];
    await this.republish();
    this.looking ??= setInterval(() => void this.refresh(), KEYS_EVERY_MS);
    this.looking.unref();
    this.parents ??= setInterval(() => void this.lookAbove(), PARENTS_EVERY_MS);
    this.parents.unref();
  }

  /** Certificates are renewed while the server runs: their keys are published by the time that is noticed. */
  async refresh(): Promise<void> {
    const zone = this.names.zones().find(({ kind }) => kind === 'own');
    if (zone !== undefined && this.keysShown(zone.name) !== this.keys) await this.republish();
  }

  /** Asks the zones above whether they have what CDS asks them for: keys of zones roll over by it (RFC 7344 §4, RFC 7583 §3.3). */
  async lookAbove(): Promise<void> {
    for (const zone of this.names.zones()) {
      if (zone.signing?.waitsForParent !== true) continue;
      const { kind, values, isSecure } = await this.lookup.find(`${zone.name}.`, 'DS');
      // What anybody could have said ends no key.
      if (!isSecure || kind === 'failed') continue;
      await zone.signing.parentHas(new Set(values.map((text) => Number(text.split(' ')[0]))));
      await zone.resign();
    }
  }

  private keysShown(zone: string): string {
    const [standing, identities] = this.published ?? [[], null];
    return JSON.stringify(identities === null ? [] : keysOf(standing, identities, zone));
  }

  /** Publishes anew what listens, with what has changed of it since. */
  async republish(): Promise<void> {
    const zone = this.names.zones().find(({ kind }) => kind === 'own');
    if (zone === undefined || this.published === null) return;
    const [standing, identities] = this.published;
    this.keys = this.keysShown(zone.name);
    const wanted = ownRecords({
      zone: zone.name,
      addresses: addressesOf(standing),
      names: this.namesWithin(zone.origin),
      listeners: listenersOf(standing),
      https: httpsOf(standing),
      keys: identities === null ? [] : keysOf(standing, identities, zone.name),
      issuers: [zone.name],
      mail: standing.some(({ protocol }) => protocol === 'smtp') ? this.ownMail(zone.name, identities) : null,
      mailKeys: this.options.mailKeys.filter(({ name }) => within(nameFrom(`${name}.`)!, 0, zone.origin) > 0),
      serial: Math.floor(this.options.turn.clock.wall / 1_000),
    });
    const outcome = await this.opened.own(zone).publish(wanted);
    if (outcome !== OK) this.options.log.error('its own records could not be published', { zone: zone.name, outcome });
  }

  private ownMail(zone: string, identities: Identities | null): OwnMail {
    const domains = mailDomains(this.config).filter((domain) => domain.endsWith(`.${zone}`));
    const policy = identities === null ? null : policyOf(this.config, zone);
    return {
      reports: this.config.mail.reports ?? null,
      ...{ host: '@', domains: domains.map((domain) => `${domain}.`) },
      policy: policy === null ? null : policyId(policy),
    };
  }

  /** Names of this server, as certificates and HTTP have them, that lie in its own zone. */
  private namesWithin(origin: Uint8Array): string[] {
    const { certificates, http } = this.config;
    const given = [...certificates.names, ...http.hosts, ...http.sites.flatMap(({ hosts = [] }) => hosts)];
    const found = new Set<string>();
    for (const name of given) {
      const wire = nameFrom(`${name.toLowerCase()}.`);
      if (wire !== null && within(wire, 0, origin) > 0) found.add(`${name.toLowerCase()}.`);
    }
    return [...found];
  }
}

/** Throws a `ConfigError` for a zone that cannot be served. */
export async function openServerNames(config: Config, options: NamingOptions): Promise<Naming> {
  const { engine, turn, accounts, topics, log } = options;
  try {
    const opened = await openNames({
      engine,
      permissions: accounts.permissions,
      zones: plansOf(config.dns),
      told: (event) => announceEvent(topics, `names/${event.zone === '' ? '.' : event.zone}`, event),
      warn: (text) => log.warn(text),
      wall: () => turn.clock.wall,
    });
    return new Naming(config, opened, options);
  } catch (error) {
    if (error instanceof ZoneFileError) throw new ConfigError([`dns.zones: ${error.message}`]);
    throw error;
  }
}

function plansOf(settings: DnsSettings): ZonePlan[] {
  const plans: ZonePlan[] = [];
  const nobody: Grants = { networks: [], keys: [] };
  const views = new Map<string, number>();
  for (const zone of settings.zones) {
    const origin = originOf(zone.name);
    const name = zoneName(origin);
    const view = views.get(name) ?? 0;
    views.set(name, view + 1);
    if (zone.file !== undefined && zone.primaries !== undefined)
      throw new ConfigError([
        `dns.zones ${name} has a file and primaries: a secondary's records come from its primaries`,
      ]);
    if (zone.dnssec !== false && zone.primaries !== undefined)
      throw new ConfigError([`dns.zones ${name} has dnssec and primaries: a secondary is signed by its primary`]);
    plans.push({
      name,
      origin,
      kind: zone.primaries !== undefined ? 'secondary' : zone.file !== undefined ? 'file' : 'kept',
      clients: zone.clients?.map(networkOf) ?? null,
      transfer: grantsOf(zone.transfer, settings),
      update: grantsOf(zone.update, settings),
      notify: zone.notify.map((text) => serverOf(text, settings)),
      primaries: zone.primaries?.map((text) => serverOf(text, settings)) ?? [],
      ...(zone.file === undefined ? {} : { file: resolve(zone.file) }),
      ...(zone.dnssec === false ? {} : { signing: signingOf(zone.dnssec) }),
      ...(view === 0 ? {} : { view }),
    });
  }
  if (settings.zone === false) return plans;
  const origin = originOf(settings.zone);
  const own: ZonePlan = {
    name: zoneName(origin),
    origin,
    kind: 'own',
    clients: null,
    transfer: nobody,
    update: nobody,
    notify: [],
    primaries: [],
    ...(settings.dnssec === false ? {} : { signing: signingOf(settings.dnssec) }),
  };
  if (!views.has(own.name)) plans.push(own);
  return plans;
}

const ALGORITHMS = { ecdsap256sha256: 13, ecdsap384sha384: 14, ed25519: 15 } as const;

function signingOf({ algorithm, nsec3 }: Exclude<DnsSettings['dnssec'], false>): SigningSettings {
  return { algorithm: ALGORITHMS[algorithm], nsec3 };
}

function originOf(name: string): Uint8Array {
  const origin = nameFrom(name.endsWith('.') ? name : `${name}.`);
  if (origin === null) throw new ConfigError([`dns.zones has ${name}, which is no name`]);
  return origin;
}

function networkOf(text: string): Network {
  const network = networkFrom(text);
  if (network === null) throw new ConfigError([`dns.zones has ${text}, which is no network`]);
  return network;
}

function keyOf(text: string, settings: DnsSettings): string {
  const name = text.toLowerCase().replace(/\.$/, '');
  if (!settings.keys.some((key) => key.name.toLowerCase().replace(/\.$/, '') === name))
    throw new ConfigError([`dns.zones names the key ${text}, and dns.keys has none of that name`]);
  return name;
}

function grantsOf(entries: readonly string[], settings: DnsSettings): Grants {
  const keys = entries.filter((entry) => entry.startsWith('key:')).map((entry) => keyOf(entry.slice(4), settings));
  return { keys, networks: entries.filter((entry) => !entry.startsWith('key:')).map(networkOf) };
}

function serverOf(text: string, settings: DnsSettings): OtherServer {
  const [address, key] = text.split(' key:') as [string, string?];
  const parts = /^\[([^\]]+)\](?::(\d+))?$/.exec(address) ?? /^([\d.]+)(?::(\d+))?$/.exec(address);
  const [, host = address, port = '53'] = parts ?? [];
  return { host, port: Number(port), key: key === undefined ? null : keyOf(key, settings) };
}

/** Where the server is reached: as it listens, or by all addresses that the machine has. */
function addressesOf(standing: readonly Standing[]): string[] {
  const found = new Set<string>();
  for (const { address } of standing) {
    if (address === null) continue;
    if (address.host === '0.0.0.0' || address.host === '::') {
      for (const each of Object.values(networkInterfaces()).flat())
        if (each !== undefined && !each.internal && !each.address.startsWith('fe80:')) found.add(each.address);
    } else found.add(address.host);
  }
  const all = [...found].filter((host) => networkFrom(host) !== null);
  const beyond = all.filter((host) => !isLoopback(host));
  // Where it listens beyond this machine, what is good here only is of no use.
  return beyond.length > 0 ? beyond : all;
}

function listenersOf(standing: readonly Standing[]): OwnListener[] {
  const found = new Map<string, OwnListener>();
  for (const { protocol, on, address } of standing) {
    const service = SERVICES[`${protocol}/${on}`];
    if (service === undefined || address === null) continue;
    const transport = on === 'udp' || on === 'quic' ? 'udp' : 'tcp';
    found.set(`${service}/${transport}/${address.port}`, { service, transport, port: address.port });
  }
  return [...found.values()];
}

function httpsOf(standing: readonly Standing[]) {
  const own = standing.filter(({ protocol, on }) => on === 'tls' && (protocol === 'http1' || protocol === 'http2'));
  const port = own[0]?.address?.port;
  const h3 = standing.some(
    ({ protocol, on, address }) => protocol === 'http3' && on === 'quic' && address?.port === port,
  );
  return port === undefined ? null : { port, alpn: [...(h3 ? ['h3'] : []), 'h2', 'http/1.1'] };
}

/** SHA-256 of the public keys of what listens with TLS, for TLSA 3 1 1 (RFC 6698, RFC 7671 §5.1). */
function keysOf(standing: readonly Standing[], identities: Identities, name: string) {
  const identity = identities.pick(name, null, []);
  if (identity === null) return [];
  const key = new X509Certificate(identity.certificate).publicKey.export({ type: 'spki', format: 'der' });
  const digest = createHash('sha256').update(key).digest('hex');
  const ports = new Set(
    standing.flatMap(({ protocol, on, address }) => {
      // Mail begins in the clear, and shows the same key once it turns to TLS (RFC 7672 §3.1.3).
      const shows = on === 'tls' || (on === 'tcp' && protocol === 'smtp');
      return shows && address !== null ? [address.port] : [];
    }),
  );
  return [...ports].map((port) => ({ port, digest }));
}
