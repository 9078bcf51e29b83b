// Brings protocols up on their listeners and down again. It knows what a protocol is, not which there are.

import { randomFillSync } from 'node:crypto';
import type { AccessLog } from '../core/access.ts';
import type { Ciphers } from '../core/ciphers.ts';
import type { Connections } from '../core/connection.ts';
import type { ExchangeHandler } from '../core/exchange.ts';
import { type Bound, bindLimits, type Limits } from '../core/limits.ts';
import type { Log, LogFields } from '../core/log.ts';
import { carryPipe } from '../core/message-pipe.ts';
import type { MessageSession, Messages } from '../core/messages.ts';
import type { Mux } from '../core/mux.ts';
import type { Address, Peer } from '../core/peer.ts';
import { isLoopback } from '../core/peer.ts';
import { type Cause, ENDED, type Pipe, type Session, SHUTDOWN } from '../core/pipe.ts';
import type { Alternative, Host, Listens, MuxChoice, Protocol } from '../core/protocol.ts';
import type { Reach } from '../core/reach.ts';
import { PIPE_BOUNDS, type StreamPipe } from '../core/stream-pipe.ts';
import type { Clock, Entropy } from '../core/time.ts';
import type { TlsPolicy } from '../core/tls.ts';
import { AddressPolicy, type OutboundPolicy } from '../transports/addresses.ts';
import type { AskKernel, PipeMaking, SendFile } from '../transports/socket-pipe.ts';
import type { Listening } from '../transports/tcp.ts';
import type { OpenPort } from '../transports/udp.ts';
import type { OpenBatchSocket } from '../transports/udp-batches.ts';
import type { ServerAccessLog } from './access-log.ts';
import type { Memory } from './budget.ts';
import { openTcp, openUdpPorts, openUnix, type StreamDoor } from './doors.ts';
import { beginsTls, type HandshakeFigures, HelloSession } from './hello.ts';
import { PROXY_HEADER, ProxyHeaderSession, TrustedProxies } from './proxy-header.ts';
import { OPEN_MAX, OPEN_MAX_OF_PORTS, SessionReach } from './reach.ts';
import { type Choice, RecognisingSession } from './recognise.ts';
import { REGISTRY_LIMITS, Registry, type RegistryLimits } from './registry.ts';
import { NODE_LOOP, TurnLoop } from './turn.ts';

/** Where one protocol is to listen. */
export interface ListenerPlan<Resources> {
  readonly protocol: Protocol<Resources>;
  readonly listens: Listens<Resources>;
  readonly hosts: readonly string[];
  /** 0 for any free one, the same on all hosts. */
  readonly port: number;
  /** A Unix socket instead. */
  readonly path?: string;
  /** Of the protocol's limits, those that are not the default. */
  readonly limits?: Readonly<Record<string, number>>;
  /** Those who begin with a header of the PROXY protocol; nobody does when absent. */
  readonly proxies?: TrustedProxies | undefined;
  /** Who else is spoken to there, when first bytes say so, or ALPN on connections of many streams. */
  readonly beside?: readonly ListenerPlan<Resources>[];
}

/** One port for several protocols in which the client speaks first: its first bytes choose. */
export interface SharedPlan<Resources> {
  readonly hosts: readonly string[];
  readonly port: number;
  readonly plans: readonly ListenerPlan<Resources>[];
  /** Who gets those that are silent for 300 ms or that nobody recognises; null resets them. */
  readonly fallback: ListenerPlan<Resources> | null;
  readonly proxies?: TrustedProxies | undefined;
  /** Who shakes hands there is spoken to by these. */
  readonly secured?: Pick<TlsPlan<Resources>, 'plans' | 'policy'>;
}

/** One port with TLS: ALPN chooses, else first bytes, else the first of them. */
export interface TlsPlan<Resources> {
  readonly hosts: readonly string[];
  readonly port: number;
  readonly plans: readonly ListenerPlan<Resources>[];
  readonly policy: TlsPolicy;
  /** Their header comes before the handshake. */
  readonly proxies?: TrustedProxies | undefined;
}

/** A listener that stands. */
export interface Standing {
  /** The protocol; `shared` for a port on which the first bytes choose. With TLS, or over QUIC, the first of those that ALPN chooses. */
  readonly protocol: string;
  readonly on: 'tcp' | 'tls' | 'udp' | 'quic' | 'unix';
  readonly address: Address | null;
  readonly path: string | null;
}

export interface ServerOptions<Resources> {
  readonly resources: Resources;
  readonly log: Log;
  readonly software: string;
  /** On which terms the sessions of a protocol may turn to TLS in the middle. */
  readonly startTls?: (protocol: string) => TlsPolicy | null;
  /** What the configuration says of a protocol beside its limits. */
  readonly settings?: (protocol: string) => unknown;
  /** What answers HTTP requests; none are served when absent. */
  readonly routes?: ExchangeHandler;
  readonly outbound: OutboundPolicy;
  readonly limits?: Partial<RegistryLimits>;
  /** Asks the kernel about a connection; nobody is asked when absent. */
  readonly kernel?: AskKernel | undefined;
  readonly handles?: PipeMaking['handles'];
  readonly sendFile?: SendFile | undefined;
  /** Opens sockets for datagrams that work in batches, where there are such. */
  readonly batches?: OpenBatchSocket | undefined;
  readonly ciphers?: Ciphers | undefined;
  /** Told of connections and requests; usually nobody. */
  readonly access?: ServerAccessLog | null;
  /** That of the process when absent. */
  readonly memory?: Memory;
}

/** Chance that was drawn ahead: a call for a few bytes costs more than they do. Each byte is given once. */
const DRAWN = Buffer.allocUnsafeSlow(4_096);
let drawnAt = DRAWN.length;

export const ENTROPY: Entropy = {
  fill(into) {
    if (into.length > 256) {
      randomFillSync(into);
      return;
    }
    if (drawnAt + into.length > DRAWN.length) {
      randomFillSync(DRAWN);
      drawnAt = 0;
    }
    const end = drawnAt + into.length;
    into.set(DRAWN.subarray(drawnAt, end));
    DRAWN.fill(0, drawnAt, end);
    drawnAt = end;
  },
};

type StreamListens<Resources> = Extract<Listens<Resources>, { pipe(pipe: Pipe, host: Host<Resources>): Session }>;

/** What all sessions of one listener are given alike. */
type SharedHost<Resources> = Omit<Host<Resources>, 'clock' | 'reach' | 'leaving' | 'bug' | 'connections'>;

export class Server<Resources> {
  readonly turn: TurnLoop;
  readonly registry: Registry;
  readonly standing: Standing[] = [];
  /** What handshakes came to. */
  readonly handshakes: HandshakeFigures = { done: 0, resumed: 0, failed: 0, plain: 0 };
  private readonly options: ServerOptions<Resources>;
  private readonly policy: AddressPolicy;
  private readonly listeners: Listening[] = [];
  private readonly ports: OpenPort[] = [];
  /** The ways out of the sessions that asked for one, by their pipes, and of those without: datagram ports, bridges. */
  private readonly reaches = new Map<number, SessionReach>();
  private readonly portReaches: SessionReach[] = [];

  constructor(turn: TurnLoop, options: ServerOptions<Resources>) {
    this.options = options;
    this.turn = turn;
    this.registry = new Registry(turn, options.log, { ...REGISTRY_LIMITS, ...options.limits }, options.memory);
    this.registry.connectionLog = options.access ?? null;
    this.policy = new AddressPolicy(options.outbound);
  }

  /** Opens all listeners, or none: rejects with a `ListenError` when one cannot be opened. */
  async listen(
    plans: readonly ListenerPlan<Resources>[],
    shared: readonly SharedPlan<Resources>[] = [],
    secured: readonly TlsPlan<Resources>[] = [],
  ): Promise<void> {
    try {
      for (const plan of plans) {
        if (plan.listens.on === 'udp') await this.listenDatagrams(plan);
        else await this.listenStreams(plan);
      }
      for (const plan of shared) await this.listenShared(plan);
      for (const plan of secured) await this.listenTls(plan);
    } catch (error) {
      await this.stopListening();
      this.closePorts();
      throw error;
    }
  }

  /** Takes nothing new, asks all to leave, and waits until they have. */
  async close(): Promise<void> {
    await this.stopListening();
    for (const port of this.ports) port.leave(SHUTDOWN);
    await this.registry.leaveAll(SHUTDOWN);
    this.closePorts();
    this.registry.stop();
  }

  /** A way out, within the outbound rules or others, for what runs as long as the server does. */
  wayOut(openMax = OPEN_MAX, policy = this.policy): Reach {
    return this.reachOf(null, openMax, (reach) => this.portReaches.push(reach), policy);
  }

  /** What routes are given that serve as long as the server does. */
  hostOf(protocol: Protocol<Resources>, limits: Readonly<Record<string, number>> = {}): Host<Resources> {
    return new SessionHost(this.sharedHost({ protocol, limits }), this.turn, this.registry, () => this.wayOut());
  }

  /** A session whose bytes travel in messages; bounded and counted as others. */
  carry(messages: Messages, protocol: string, make: (pipe: Pipe) => Session): MessageSession {
    const { session, pipe } = carryPipe(this.turn, messages, PIPE_BOUNDS, this.registry, make);
    this.registry.carried(pipe, protocol);
    return session;
  }

  private async stopListening(): Promise<void> {
    for (const listener of this.listeners.splice(0)) await listener.close();
  }

  private closePorts(): void {
    for (const port of this.ports.splice(0)) port.close();
    for (const reach of this.portReaches.splice(0)) reach.lost(ENDED);
  }

  // ---- listeners ---------------------------------------------------------------------------------------------------

  private async listenStreams(plan: ListenerPlan<Resources>): Promise<void> {
    const { protocol, hosts, port, path } = plan;
    const { name } = protocol;
    const listens = streamListens(plan);
    const shared = this.sharedHost(plan);
    const inputMax = this.inputMaxOfAll([plan, ...(plan.beside ?? [])]);
    const door = this.door(name, inputMax, (pipe) => listens.pipe(pipe, this.host(shared, pipe)), plan.proxies);
    this.stand(
      name,
      path === undefined ? await openTcp({ name, hosts, port }, door) : [await openUnix(name, path, door)],
    );
  }

  private async listenShared({ hosts, port, plans, fallback, secured, proxies }: SharedPlan<Resources>): Promise<void> {
    const makes: Choice[] = plans.map((plan) => this.alternative(plan));
    const at = fallback === null ? -1 : plans.indexOf(fallback);
    const otherwise = makes[at] ?? null;
    if (secured !== undefined) makes.push(this.tlsChoice(secured));
    const inputMax = this.inputMaxOfAll([...plans, ...(secured?.plans ?? [])]);
    const door = this.door(
      'shared',
      inputMax,
      (pipe) => {
        return new RecognisingSession(pipe, this.turn.clock, makes, otherwise);
      },
      proxies,
    );
    this.stand('shared', await openTcp({ name: 'shared', hosts, port }, door));
  }

  private async listenTls(plan: TlsPlan<Resources>): Promise<void> {
    const first = plan.plans[0]!;
    const { name } = first.protocol;
    const shakes = plan.plans.length === 1 && shakesItself(first);
    const { make } = shakes ? this.alternative(first) : this.tlsChoice(plan);
    const door = this.door('tls', this.inputMaxOfAll(plan.plans), make, plan.proxies);
    const opened = await openTcp({ name, hosts: plan.hosts, port: plan.port }, door);
    this.listeners.push(...opened);
    for (const { address } of opened) this.standing.push({ protocol: name, on: 'tls', address, path: null });
  }

  private tlsChoice({ plans, policy }: Pick<TlsPlan<Resources>, 'plans' | 'policy'>): Choice {
    const choices = plans.map((plan) => ({ ...this.alternative(plan), alpn: streamListens(plan).alpn ?? null }));
    const door = { policy, choices, figures: this.handshakes };
    // Every pipe of a listener is one of streams.
    const make = (pipe: Pipe) => new HelloSession(pipe as StreamPipe, this.turn.clock, door);
    return { name: 'tls', recognises: beginsTls, make };
  }

  private inputMaxOfAll(plans: readonly ListenerPlan<Resources>[]): number {
    const own = plans.map((plan) => inputMaxOf(streamListens(plan), bindLimits(plan.protocol.limits, plan.limits)));
    return Math.max(PIPE_BOUNDS.inputMax, ...own);
  }

  private async listenDatagrams(plan: ListenerPlan<Resources>): Promise<void> {
    const { protocol, listens, hosts, port } = plan;
    if (listens.on !== 'udp') return;
    const { name } = protocol;
    const shared = this.sharedHost(plan);
    const opened = await openUdpPorts(
      { name, hosts, port },
      this.turn,
      (made) => {
        const reach = () => this.reachOf(made.local, OPEN_MAX_OF_PORTS, (own) => this.portReaches.push(own));
        return listens.datagrams(made, new SessionHost(shared, this.turn, this.registry, reach));
      },
      this.options.batches,
      listens.carries !== undefined,
    );
    this.ports.push(...opened);
    const inside = plan.beside?.find((each) => each.listens.on === 'quic')?.protocol.name;
    const [protocolName, on] = inside === undefined ? [name, 'udp' as const] : [inside, 'quic' as const];
    for (const { local } of opened) this.standing.push({ protocol: protocolName, on, address: local, path: null });
  }

  private stand(protocol: string, opened: readonly Listening[]): void {
    this.listeners.push(...opened);
    for (const { address, path } of opened)
      this.standing.push({ protocol, on: path === null ? 'tcp' : 'unix', address, path });
  }

  /** What is done with the connections of one listener. */
  private door(protocol: string, inputMax: number, make: (pipe: Pipe) => Session, proxies = NO_PROXIES): StreamDoor {
    const { registry, turn } = this;
    // A proxy comes for many: it is the clients that it names who are counted.
    const from = (remote: Address | null) => (proxies.has(remote) ? null : remote);
    const came = (pipe: Pipe, peer: Peer) => registry.comesFrom(pipe, peer);
    return {
      ...this.making(inputMax),
      admit: (remote) => registry.admit(from(remote)),
      opened: (pipe) => {
        const { remote } = pipe.peer;
        if (proxies.has(remote)) pipe.protocol = PROXY_HEADER;
        registry.opened(pipe, protocol, (cause) => this.ended(pipe.id, cause), from(remote));
      },
      accept: (pipe) => {
        if (!proxies.has(pipe.peer.remote)) return make(pipe);
        return new ProxyHeaderSession(pipe, turn.clock, { protocol, came, make });
      },
    };
  }

  private making(inputMax: number): PipeMaking {
    return {
      turn: this.turn,
      bounds: { ...PIPE_BOUNDS, inputMax },
      events: this.registry,
      kernel: this.options.kernel,
      handles: this.options.handles,
      sendFile: this.options.sendFile,
    };
  }

  // ---- what sessions are given -------------------------------------------------------------------------------------

  private sharedHost({
    protocol,
    limits,
    beside = [],
  }: Pick<ListenerPlan<Resources>, 'protocol' | 'limits' | 'beside'>): SharedHost<Resources> {
    const { resources, log, software, routes = NO_ROUTES, access = null, ciphers } = this.options;
    const startTls = this.options.startTls?.(protocol.name) ?? null;
    const settings = this.options.settings?.(protocol.name);
    const bound = bindLimits(protocol.limits, limits);
    const alternatives = beside.flatMap((plan) => (plan.listens.on === 'quic' ? [] : [this.alternative(plan)]));
    const muxes = beside.flatMap((plan) => this.muxChoices(plan));
    const given = { resources, log, software, routes, access, ciphers };
    return { ...given, limits: bound, entropy: ENTROPY, alternatives, muxes, startTls, settings };
  }

  private muxChoices(plan: ListenerPlan<Resources>): MuxChoice[] {
    const { listens, protocol } = plan;
    if (listens.on !== 'quic') return [];
    const shared = this.sharedHost(plan);
    const make = (mux: Mux) => {
      const { local, remote } = mux.peer;
      const reach = () => this.reachOf(local, OPEN_MAX, (own) => this.reaches.set(mux.id, own), this.policy, remote);
      return listens.mux(mux, new SessionHost(shared, this.turn, this.registry, reach));
    };
    return [{ name: protocol.name, alpn: listens.alpn, make }];
  }

  private alternative(plan: ListenerPlan<Resources>): Alternative {
    const listens = streamListens(plan);
    const shared = this.sharedHost(plan);
    const make = (pipe: Pipe) => listens.pipe(pipe, this.host(shared, pipe));
    const inputMax = inputMaxOf(listens, shared.limits);
    return { name: plan.protocol.name, recognises: listens.recognises ?? (() => false), inputMax, make };
  }

  private host(shared: SharedHost<Resources>, pipe: Pipe): Host<Resources> {
    return new SessionHost(shared, this.turn, this.registry, () => {
      const { local, remote } = pipe.peer;
      return this.reachOf(local, OPEN_MAX, (reach) => this.reaches.set(pipe.id, reach), this.policy, remote);
    });
  }

  private reachOf(
    local: Address | null,
    openMax: number,
    made: (reach: SessionReach) => void,
    policy = this.policy,
    remote: Address | null = null,
  ): SessionReach {
    const opened = (pipe: StreamPipe) => this.registry.reached(pipe);
    const reach = new SessionReach({
      ...this.making(PIPE_BOUNDS.inputMax),
      policy,
      local,
      remote,
      openMax,
      opened,
    });
    made(reach);
    return reach;
  }

  private ended(pipe: number, cause: Cause): void {
    this.reaches.get(pipe)?.lost(cause);
    this.reaches.delete(pipe);
  }
}

const NO_PROXIES = new TrustedProxies([]);

const NO_ROUTES: ExchangeHandler = (exchange) => exchange.reset(0);

/** What one session is given; its way out is made when it asks for it, since most never do. */
class SessionHost<Resources> implements Host<Resources> {
  readonly resources: Resources;
  readonly limits: Bound<Limits>;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly software: string;
  readonly alternatives: readonly Alternative[];
  readonly muxes: readonly MuxChoice[];
  readonly connections: Connections;
  readonly startTls: TlsPolicy | null;
  readonly ciphers: Ciphers | undefined;
  readonly settings: unknown;
  readonly routes: ExchangeHandler;
  readonly access: AccessLog | null;
  private readonly registry: Registry;
  private readonly turn: TurnLoop;
  private readonly makeReach: () => Reach;
  private ownReach: Reach | null = null;

  constructor(shared: SharedHost<Resources>, turn: TurnLoop, registry: Registry, makeReach: () => Reach) {
    this.resources = shared.resources;
    this.limits = shared.limits;
    this.entropy = shared.entropy;
    this.log = shared.log;
    this.software = shared.software;
    this.alternatives = shared.alternatives ?? [];
    this.muxes = shared.muxes ?? [];
    this.connections = registry;
    this.startTls = shared.startTls ?? null;
    this.ciphers = shared.ciphers;
    this.settings = shared.settings;
    this.routes = shared.routes;
    this.access = shared.access ?? null;
    this.registry = registry;
    this.turn = turn;
    this.makeReach = makeReach;
  }

  get clock(): Clock {
    return this.turn.clock;
  }

  get leaving(): boolean {
    return this.registry.leaving;
  }

  bug(error: unknown, where: string, fields: LogFields): void {
    this.registry.bug(error, where, fields);
  }

  get reach(): Reach {
    this.ownReach ??= this.makeReach();
    return this.ownReach;
  }
}

/** Whether its sessions begin with TLS by themselves. */
function shakesItself<Resources>({ listens }: ListenerPlan<Resources>): boolean {
  return listens.on === 'tls' && listens.shakes === true;
}

function streamListens<Resources>({ protocol, listens }: ListenerPlan<Resources>): StreamListens<Resources> {
  if (listens.on !== 'tcp' && listens.on !== 'tls' && listens.on !== 'ssh-subsystem')
    throw new Error(`${protocol.name} cannot listen on ${listens.on} here`);
  return listens as StreamListens<Resources>;
}

function inputMaxOf<Resources>(listens: StreamListens<Resources>, limits: Bound): number {
  return listens.inputMax?.(limits) ?? PIPE_BOUNDS.inputMax;
}

/** A turn loop on Node's event loop; `onBug` is told what our own code did wrong. */
export function serverTurn(onBug: (error: unknown, where: string) => void): TurnLoop {
  return new TurnLoop(NODE_LOOP, onBug);
}

/** Whether a host name or address is loopback's, for the rule that nobody from beyond comes in without an account. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || isLoopback(host);
}
