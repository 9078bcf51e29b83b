// Builds a running server from a configuration: the public API. `await using portico = await Portico.start({ ... })`.

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import packageJson from '../package.json' with { type: 'json' };
import { type Config, ConfigError, checkConfig, isStream, type PorticoConfig } from './config.ts';
import type { Control } from './control/control.ts';
import type { Caller } from './core/caller.ts';
import type { ExchangeHandler } from './core/exchange.ts';
import { Fields } from './core/fields.ts';
import { type Log, SILENT } from './core/log.ts';
import type { Listens, Protocol } from './core/protocol.ts';
import { loadNative, nativeState } from './native/native.ts';
import { Bridge } from './protocols/mqtt/bridge.ts';
import { wire, wireListens } from './protocols/wire/index.ts';
import { PROTOCOLS } from './protocols.ts';
import type { StoredAccounts } from './resources/accounts/accounts.ts';
import { Desk } from './resources/accounts/desk.ts';
import type { Answer, Order } from './resources/accounts/orders.ts';
import type { Mail } from './resources/mail/contract.ts';
import { queueOrders } from './resources/mail/queue-orders.ts';
import type { Names } from './resources/names/contract.ts';
import { zoneOrders } from './resources/names/zone-orders.ts';
import type { Resources } from './resources/resources.ts';
import type { ClientOf } from './resources/services/client.ts';
import type { Services } from './resources/services/contract.ts';
import type { ServiceDefinition } from './resources/services/define.ts';
import type { Topics } from './resources/topics/contract.ts';
import { SysTopics } from './resources/topics/sys.ts';
import type { OpenTopics } from './resources/topics/topics.ts';
import { policyHosts, policyRoutes } from './running/mail/mta-sts.ts';
import { metricsHandler } from './running/metrics.ts';
import type { Naming } from './running/names/naming.ts';
import { type Opened, openEngine, openResources } from './running/opening.ts';
import type { ProgramCallSettings, Serving } from './running/services/serving.ts';
import { Certified, certifiedNames } from './running/trust/certified.ts';
import {
  type Credentials,
  credentialsOf,
  openKeyLog,
  securedOf,
  startTlsOf,
  tlsPlansOf,
} from './running/trust/secured.ts';
import { urlsOf } from './running/urls.ts';
import { openWatching } from './running/watching.ts';
import { webRoutes } from './running/web.ts';
import { ServerAccessLog } from './server/access-log.ts';
import { ConnectionTopics } from './server/connection-topics.ts';
import { TrustedProxies } from './server/proxy-header.ts';
import type { ConnectionFigures, ConnectionInfo, Registry } from './server/registry.ts';
import {
  ENTROPY,
  type ListenerPlan,
  Server,
  type ServerOptions,
  type SharedPlan,
  type Standing,
  serverTurn,
} from './server/server.ts';
import { hstsFields, sentToHttps } from './sites/https-only.ts';
import { Sites } from './sites/sites.ts';
import type { Engine } from './storage/engine.ts';

export { z } from 'zod';
export { ConfigError, defineConfig, type PorticoConfig } from './config.ts';
export type { CallSettings, ClientOf } from './resources/services/client.ts';
export type { HttpBinding, Metadata } from './resources/services/contract.ts';
export { defineService, type ServiceDefinition } from './resources/services/define.ts';
export type {
  BothHandler,
  ClientHandler,
  HandlerCall,
  ServerHandler,
  UnaryHandler,
} from './resources/services/handler.ts';
export { type ProtoDefinition, protoService } from './resources/services/proto-service.ts';
export { type Detail, ServiceError } from './resources/services/status.ts';
export { bytes, duration, empty, oneof } from './resources/services/zod-types.ts';
export { RefusedError } from './running/opening.ts';
export { urlOf } from './running/urls.ts';
export { ListenError } from './server/doors.ts';

export const VERSION: string = packageJson.version;
export const SOFTWARE = `Portico/${VERSION}`;

/** Connections to the upstreams of all sites together. */
const UPSTREAMS_MAX = 4_096;
/** Connections that bring mail to other servers. */
const RELAYED_MAX = 2_048;

export interface StartOptions extends PorticoConfig {
  /** Where it logs; nowhere when absent. */
  readonly logger?: Log;
  /** Whose certificates are shown in place of the configuration's; null: there are no listeners with TLS. */
  readonly credentials?: Credentials | null;
  /** Services are loaded again when a file of theirs changes. */
  readonly watch?: boolean;
  /** Called when the store is damaged and nothing that it says can be believed any more. */
  readonly onFatal?: (error: Error) => void;
}

/** A running Portico. */
export class Portico implements AsyncDisposable {
  readonly topics: Topics;
  readonly mail: Mail;
  /** What listens, in the order in which it was opened. */
  readonly listening: readonly Standing[];
  /**
   * Of the first listener of each kind: `http`, with `ws`, `sse` and `mqtt-ws` upon it, `mqtt`, `lines` (`tcp://…`), `udp`,
   * `dns`, `dns-udp`, `ftp`, `shared`; with TLS `ftps`, `https`, with `wss`, `sses` and `mqtt-wss` upon it, `mqtts`, `tls` for lines, `dot`; `mqtt-unix` for Unix
   * sockets.
   */
  readonly urls: Readonly<Record<string, string>>;
  readonly config: Config;
  private readonly server: Server<Resources>;
  private readonly opened: Opened;
  private readonly desk: Desk;
  private readonly sys: SysTopics;
  private readonly engine: Engine;
  private readonly bridges: readonly Bridge[];
  private readonly openControl: Control | null;
  private readonly sites: Sites;
  private readonly certified: Certified | null;
  private closing: Promise<void> | null = null;

  private constructor(
    config: Config,
    server: Server<Resources>,
    opened: Opened,
    engine: Engine,
    log: Log,
    control: Control | null,
    desk: Desk,
    sites: Sites,
    certified: Certified | null,
  ) {
    const { topics } = opened;
    this.opened = opened;
    this.config = config;
    this.certified = certified;
    this.sites = sites;
    this.openControl = control;
    this.server = server;
    this.topics = topics;
    this.mail = opened.resources.mail!;
    this.desk = desk;
    this.sys = new SysTopics(topics, server.turn, SOFTWARE);
    this.engine = engine;
    this.bridges = bridgesOf(config, server, topics, log);
    this.listening = server.standing;
    this.urls = urlsOf(server.standing, config);
  }

  /**
   * Starts a server. Throws `ConfigError`, `RefusedError`, `ListenError`, or what the store says of its folder; nothing
   * is left running then.
   */
  static async start(options: StartOptions = {}): Promise<Portico> {
    const { logger, onFatal, credentials: givenCredentials, watch = false, ...given } = options;
    const config = checkConfig(given);
    const log = logger ?? SILENT;
    let onBug = (error: unknown, where: string) => log.error(String(error), { where });
    const native = loadNative(config.native);
    const known = nativeState();
    const turn = serverTurn((error, where) => onBug(error, where));
    const engine = await openEngine(config, log, onFatal);
    let opened: Opened | null = null;
    let server: Server<Resources> | null = null;
    let sites: Sites | null = null;
    let certified: Certified | null = null;
    try {
      if (givenCredentials === undefined)
        certified = new Certified({ config, log, turn, wayOut: (...given) => server!.wayOut(...given) });
      const shown = givenCredentials ?? credentialsOf(certified?.certificates ?? null);
      const keyLog = config.tlsKeyLog === undefined ? {} : { keyLog: openKeyLog(config.tlsKeyLog, log) };
      const credentials = shown === null ? null : { ...shown, ...keyLog };
      const reach = () => server!.wayOut();
      opened = await openResources(config, { engine, turn, log, certified, reach, watch });
      const { accounts, topics, serving, naming, resources } = opened;
      let routes: ExchangeHandler = (exchange) => exchange.reset(0);
      const startTls = (name: string) => (credentials === null ? null : startTlsOf(config, name, credentials));
      const routed: ExchangeHandler = (exchange) => routes(exchange);
      server = serverOf(config, turn, log, native, { resources, startTls, routes: routed, naming });
      const { registry } = server;
      registry.connectionEvents = new ConnectionTopics(topics);
      onBug = (error, where) => registry.bug(error, where);
      endRevoked(accounts, registry, topics);
      sites = new Sites(config.http.sites, { turn, entropy: ENTROPY, reach: server.wayOut(UPSTREAMS_MAX), log });
      const httpsPort = () =>
        server!.standing.find(({ protocol, on }) => protocol === 'http1' && on === 'tls')?.address?.port ?? null;
      routes = routesOf(config, server, topics, sites, httpsPort, accounts, certified, serving, opened.mail);
      const secured = credentials === null ? [] : tlsPlansOf(config, credentials);
      const muxes = credentials === null ? [] : muxPlansOf(config);
      await server.listen([...plansOf(config), ...muxes], sharedPlansOf(config, credentials), secured);
      certified?.begin(naming.proofs);
      await naming.publish(server.standing, credentials?.identities ?? null);
      serving.reach(config, { reach: server.wayOut(UPSTREAMS_MAX), turn, log });
      await opened.relay(config, server.wayOut(RELAYED_MAX));
      const desk = new Desk(accounts, { ...queueOrders(opened.mail.queue), ...zoneOrders(naming.names) });
      const control = await openWatching(config, VERSION, { server, topics, desk, log, native: known });
      return new Portico(config, server, opened, engine, log, control, desk, sites, certified);
    } catch (error) {
      certified?.close();
      sites?.close();
      await server?.close();
      await opened?.close();
      await engine.close();
      turn.stop();
      throw error;
    }
  }

  get figures(): Readonly<ConnectionFigures> & { readonly connections: number } {
    return { ...this.server.registry.figures, connections: this.server.registry.size };
  }

  /** The Unix socket of `portico watch`; null where there is none. */
  get control(): string | null {
    return this.openControl?.path ?? null;
  }

  /** There was no account yet, and local programs are let in with any name. */
  get isOpen(): boolean {
    return this.opened.accounts.open;
  }

  /**
   * Administers accounts, tokens and rules, as the commands do: `{ do: 'account.add', name: 'ann', password: '…' }`. Answers
   * once what it changed is durable; `ok` is false, with a sentence in `error`, for what is not carried out.
   */
  order(order: Order): Promise<Answer> {
    return this.desk.order(order, 'program');
  }

  /** Its zones: what they hold, and changes to them that last. */
  get names(): Names {
    return this.opened.naming.names;
  }

  /** The services that this server has, by name. */
  get services(): Services {
    return this.opened.serving.services;
  }

  /**
   * Calls a method of a service in this process: a promise of its output, or an async iterable of many. Where the method
   * takes many inputs, `input` is an iterable of them. Throws a `ServiceError`.
   */
  call(service: string, method: string, input: unknown, settings?: ProgramCallSettings) {
    return this.opened.serving.call(service, method, input, settings);
  }

  /** The client of a service in this process, by its definition or its name: `portico.client(orders).GetOrder({ id: '7' })`. */
  client<Definition extends ServiceDefinition>(
    service: Definition | Definition['name'],
    caller?: Caller,
  ): ClientOf<Definition> {
    return this.opened.serving.client<Definition>(service, caller);
  }

  /** The connections that stand now. */
  connections(): ConnectionInfo[] {
    return [...this.server.registry.list()];
  }

  /** Takes nothing new, lets all that is connected leave, commits what was acknowledged, and lets go. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async shutDown(): Promise<void> {
    await this.server.registry.giveNotice();
    this.sys.stop();
    this.sites.leave();
    this.opened.serving.leave();
    this.opened.mail.queue?.rest();
    for (const bridge of this.bridges) bridge.close();
    await this.server.close();
    this.sites.close();
    this.certified?.close();
    // Those who watch see the others leave.
    await this.openControl?.close();
    await this.opened.close();
    await this.engine.close();
    this.server.turn.stop();
  }
}

function serverOf(
  config: Config,
  turn: ReturnType<typeof serverTurn>,
  log: Log,
  native: ReturnType<typeof loadNative>,
  {
    naming,
    ...serves
  }: Pick<ServerOptions<Resources>, 'resources' | 'startTls' | 'routes'> & { readonly naming: Naming },
): Server<Resources> {
  return new Server<Resources>(turn, {
    ...serves,
    settings: (name) => {
      if (name === 'dns') return naming.settings;
      return name === 'ftp' || name === 'graphql' || name === 'files' ? config[name] : undefined;
    },
    log,
    software: SOFTWARE,
    outbound: config.outbound,
    kernel: native === null ? undefined : (fd) => native.tcpInfo(fd),
    handles: native?.handles() ?? undefined,
    batches: native === null ? undefined : (...given) => native.datagrams(...given) ?? -1,
    ciphers: native?.ciphers() ?? undefined,
    sendFile: native === null ? undefined : (...given) => native.sendfile(...given),
    access: (config.log.access ?? config.log.level === 'debug') ? new ServerAccessLog(log) : null,
    limits: config.limits as never,
  });
}

/** Whoever no longer stands is asked to leave, on all protocols, and cut when he does not. */
function endRevoked(accounts: StoredAccounts, registry: Registry, topics: OpenTopics): void {
  accounts.onRevoked(() => {
    registry.revoke((caller) => accounts.stands(caller));
    if (!accounts.open) topics.endNameless();
  });
}

function plansOf(config: Config): ListenerPlan<Resources>[] {
  const plans: ListenerPlan<Resources>[] = [];
  for (const protocol of PROTOCOLS) {
    const given = config.protocols[protocol.name] ?? {};
    if (given.enabled === false) continue;
    const limits = limitsOf(config, protocol.name);
    for (const listens of protocol.listens) {
      if (listens.on !== 'tcp' && listens.on !== 'udp') continue;
      if ('beside' in listens || (listens.on === 'udp' && listens.carries !== undefined)) continue;
      const hosts = given.hosts ?? config.hosts;
      const beside = listens.on === 'tcp' ? besidesOf(config, protocol.name) : [];
      const proxies = proxiesOf(given.proxyProtocol);
      plans.push({ protocol, listens, hosts, limits, beside, proxies, port: portOf(config, protocol, listens) });
      if (listens.on === 'tcp' && given.path !== undefined)
        plans.push({ protocol, listens, hosts: [], limits, beside, proxies, port: 0, path: given.path });
    }
  }
  return [...plans, ...wirePlansOf(config)];
}

/** Ports for connections of many streams: one for all protocols that are spoken on them, and those that some have besides. */
function muxPlansOf(config: Config): ListenerPlan<Resources>[] {
  const inside = PROTOCOLS.flatMap((protocol) => {
    const given = config.protocols[protocol.name] ?? {};
    if (given.enabled === false || given.tls?.enabled === false) return [];
    const limits = limitsOf(config, protocol.name);
    return protocol.listens.flatMap((listens) =>
      listens.on === 'quic' ? [{ protocol, listens, hosts: given.hosts ?? config.hosts, port: 0, limits }] : [],
    );
  });
  if (inside.length === 0) return [];
  return PROTOCOLS.flatMap((protocol) => {
    const given = config.protocols[protocol.name] ?? {};
    if (given.enabled === false) return [];
    return protocol.listens.flatMap((listens): ListenerPlan<Resources>[] => {
      if (listens.on !== 'udp' || listens.carries === undefined) return [];
      const plan = { protocol, listens, hosts: given.hosts ?? config.hosts, limits: limitsOf(config, protocol.name) };
      const own = inside.filter((each) => each.listens.port !== undefined);
      return [
        { ...plan, port: portOf(config, protocol, listens), beside: inside },
        ...own.map((each) => ({
          ...plan,
          hosts: each.hosts,
          port: portOf(config, each.protocol, each.listens),
          beside: [each],
        })),
      ];
    });
  });
}

function proxiesOf(entries: readonly string[] | undefined): TrustedProxies | undefined {
  return entries === undefined ? undefined : new TrustedProxies(entries);
}

/** Those that have no port of their own and are spoken on this one's. */
function besidesOf(config: Config, name: string): ListenerPlan<Resources>[] {
  return PROTOCOLS.flatMap((protocol) => {
    if (config.protocols[protocol.name]?.enabled === false) return [];
    const limits = limitsOf(config, protocol.name);
    return protocol.listens.flatMap((listens) =>
      'beside' in listens && listens.beside === name ? [{ protocol, listens, hosts: [], port: 0, limits }] : [],
    );
  });
}

/** Paths that a user's route cannot have. */
const OWN_PATHS = [
  '/metrics',
  ...PROTOCOLS.flatMap(({ listens }) =>
    listens.flatMap((each) => (each.on === 'http' && each.only === undefined ? [each.path] : [])),
  ),
];

/** A port that a configuration asks for; 0 for any free one. */
export interface PlannedPort {
  readonly name: string;
  readonly on: 'tcp' | 'udp';
  readonly hosts: readonly string[];
  readonly port: number;
}

/** All ports that a configuration asks for. */
export function plannedPorts(config: Config): PlannedPort[] {
  const own = [...plansOf(config), ...muxPlansOf(config)].filter(({ path }) => path === undefined);
  const ports = own.map(({ protocol, listens, hosts, port }): PlannedPort => {
    return { name: protocol.name, on: listens.on === 'udp' ? 'udp' : 'tcp', hosts, port };
  });
  return [
    ...ports,
    ...sharedPlansOf(config).map(({ hosts, port }) => ({ name: 'shared', on: 'tcp' as const, hosts, port })),
  ];
}

/** What is served over HTTP, by the protocols that are not turned off. */
function routesOf(
  config: Config,
  server: Server<Resources>,
  topics: Topics,
  sites: Sites,
  httpsPort: () => number | null,
  accounts: StoredAccounts,
  certified: Certified | null,
  { services }: Serving,
  { queue }: Pick<Mail, 'queue'>,
): ExchangeHandler {
  const { hosts: known, origins, routes, redirectToHttps, hsts } = config.http;
  const named = config.http.sites.flatMap((site) => site.hosts ?? []);
  const hosts = [...known, ...certifiedNames(config), ...named, ...policyHosts(config)];
  const taken = Object.keys(routes).find((path) => OWN_PATHS.includes(path));
  if (taken !== undefined)
    throw new ConfigError([`http.routes has ${taken}, which is the server's own; there are ${OWN_PATHS.join(', ')}`]);
  return webRoutes({
    protocols: PROTOCOLS.filter(({ name }) => config.protocols[name]?.enabled !== false),
    hostOf: (protocol) => server.hostOf(protocol, limitsOf(config, protocol.name)),
    carry: (messages, name, make) => server.carry(messages, name, make),
    guard: { accounts, hosts, origins },
    routes,
    overTls: overTlsOf(hsts === undefined ? null : hstsFields(hsts), server),
    first: (exchange) => {
      const port = redirectToHttps ? httpsPort() : null;
      return port === null || !sentToHttps(exchange, port);
    },
    own: [
      ...sites.routes,
      ...(certified?.routes ?? []),
      ...policyRoutes(config),
      {
        path: '/metrics',
        handler: metricsHandler({
          version: VERSION,
          registry: server.registry,
          handshakes: () => server.handshakes,
          topics: () => topics.figures,
          certificates: () => certified?.certificates.figures() ?? [],
          calls: services,
          queue: queue === null ? undefined : () => queue.figures,
          mayRead: (caller) => accounts.permissions.may(caller, 'read', 'server', 'metrics'),
        }),
      },
    ],
    failed: (error, route, fields) => server.registry.handlerFailed(error, route, fields),
  });
}

/** What answers over TLS say beside their own: HSTS, and where HTTP/3 is spoken (RFC 7838 §3). */
function overTlsOf(hsts: Fields | null, { standing }: Server<Resources>): () => Fields | null {
  let known: Fields | null = null;
  // Ports open one after the other, and the first are asked before the last.
  let stood = -1;
  return () => {
    if (stood === standing.length) return known;
    stood = standing.length;
    const port = standing.find(({ protocol, on }) => protocol === 'http3' && on === 'quic')?.address?.port;
    const fields = new Fields();
    for (const [name, value] of hsts ?? []) fields.append(name, value);
    if (port !== undefined) fields.append('alt-svc', `h3=":${port}"; ma=${ALT_SVC_SECONDS}`);
    known = hsts === null && port === undefined ? null : fields;
    return known;
  };
}

/** How long clients may remember where HTTP/3 is spoken. */
const ALT_SVC_SECONDS = 86_400;

/** The listeners for tests that the configuration names, each called after what it does. */
function wirePlansOf(config: Config): ListenerPlan<Resources>[] {
  const hosts = config.protocols.wire?.hosts ?? config.hosts;
  const limits = limitsOf(config, wire.name);
  return config.wire.flatMap((service) =>
    wireListens(service).map((listens) => {
      return { protocol: { ...wire, name: `wire-${service.kind}` }, listens, hosts, limits, port: service.port };
    }),
  );
}

/** Begins the bridges that the configuration names. */
function bridgesOf(config: Config, server: Server<Resources>, topics: Topics, log: Log): Bridge[] {
  const { turn } = server;
  return config.mqtt.bridges.map((plan) => {
    const clientId = `${hostname()}.${plan.name}`;
    const authorities =
      plan.authorities === undefined ? {} : { authorities: authoritiesIn(plan.authorities, plan.name) };
    return new Bridge({ plan, clientId, ...authorities, turn, reach: server.wayOut(), topics, log, entropy: ENTROPY });
  });
}

function authoritiesIn(path: string, bridge: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError([`mqtt.bridges ${bridge}: authorities: ${(error as Error).message}`]);
  }
}

function sharedPlansOf(config: Config, credentials: Credentials | null = null): SharedPlan<Resources>[] {
  return config.shared.map(({ port, hosts = config.hosts, protocols, fallback, tls, proxyProtocol }) => {
    const planOf = (name: string): ListenerPlan<Resources> => {
      const protocol = PROTOCOLS.find((candidate) => candidate.name === name)!;
      const listens = protocol.listens.find(isStream)!;
      return { protocol, listens, hosts, port, limits: limitsOf(config, name), beside: besidesOf(config, name) };
    };
    const plans = protocols.map(planOf);
    const named = plans.find(({ protocol }) => protocol.name === fallback);
    const otherwise = named ?? (fallback === undefined ? null : planOf(fallback));
    return {
      hosts,
      port,
      plans: named === undefined && otherwise !== null ? [...plans, otherwise] : plans,
      fallback: otherwise,
      proxies: proxiesOf(proxyProtocol),
      ...(tls && credentials !== null ? { secured: securedOf(config, protocols, credentials) } : {}),
    };
  });
}

function limitsOf(config: Config, name: string): Readonly<Record<string, number>> {
  return config.protocols[name]?.limits ?? {};
}

function portOf(config: Config, { name }: Protocol<Resources>, listens: Listens<Resources>): number {
  const given = config.protocols[name] ?? {};
  if (listens.on === 'quic') {
    if (given.tls?.port !== undefined) return given.tls.port;
    const standing = config.ports === 'standard' ? listens.standardPort : listens.port;
    return config.ports === 'ephemeral' ? 0 : (standing ?? 0);
  }
  if (listens.on !== 'tcp' && listens.on !== 'udp') return 0;
  const named = listens.on === 'udp' ? (given.udpPort ?? given.port) : given.port;
  if (named !== undefined) return named;
  if (config.ports === 'ephemeral') return 0;
  return config.ports === 'standard' ? listens.standardPort : listens.port;
}
