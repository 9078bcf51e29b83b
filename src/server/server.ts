// Brings protocols up on their listeners and down again. It knows what a protocol is, not which there are.
import { randomFillSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import { bindLimits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Address } from '../core/peer.ts';
import { isLoopback } from '../core/peer.ts';
import { SHUTDOWN } from '../core/pipe.ts';
import type { Host, Listens, Protocol } from '../core/protocol.ts';
import { PIPE_BOUNDS } from '../core/stream-pipe.ts';
import type { Entropy } from '../core/time.ts';
import type { OutboundPolicy } from '../transports/addresses.ts';
import { type Listening, listenStream } from '../transports/tcp.ts';
import { openUdp, type UdpPort } from '../transports/udp.ts';
import { ownerOf } from './port-owner.ts';
import { ServerReach } from './reach.ts';
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
}

/** A listener that stands. */
export interface Standing {
  readonly protocol: string;
  readonly on: 'tcp' | 'udp' | 'unix';
  readonly address: Address | null;
  readonly path: string | null;
}

export interface ServerOptions<Resources> {
  readonly resources: Resources;
  readonly log: Log;
  readonly software: string;
  readonly open: boolean;
  readonly outbound: OutboundPolicy;
  readonly limits?: Partial<RegistryLimits>;
}

/** A listener that could not be opened. The message says why and what to do. */
export class ListenError extends Error {
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.name = 'ListenError';
    this.code = code;
  }
}

const ENTROPY: Entropy = { fill: (into) => void randomFillSync(into) };

export class Server<Resources> {
  readonly turn: TurnLoop;
  readonly registry: Registry;
  readonly reach: ServerReach;
  readonly standing: Standing[] = [];
  private readonly options: ServerOptions<Resources>;
  private readonly listeners: Listening[] = [];
  private readonly ports: UdpPort[] = [];

  constructor(turn: TurnLoop, options: ServerOptions<Resources>) {
    this.options = options;
    this.turn = turn;
    this.registry = new Registry(turn, options.log, { ...REGISTRY_LIMITS, ...options.limits });
    this.reach = new ServerReach({ turn, bounds: PIPE_BOUNDS, events: this.registry }, options.outbound);
  }

  /** Opens all listeners, or none: rejects with a `ListenError` when one cannot be opened. */
  async listen(plans: readonly ListenerPlan<Resources>[]): Promise<void> {
    try {
      for (const plan of plans) {
        if (plan.path !== undefined) await this.listenOn(plan, plan.path, 0);
        else await this.listenOnHosts(plan);
      }
    } catch (error) {
      await this.stopListening();
      throw error;
    }
  }

  /** Takes nothing new, asks all to leave, and waits until they have. */
  async close(): Promise<void> {
    await this.stopListening();
    for (const port of this.ports) port.leave(SHUTDOWN);
    await this.registry.leaveAll(SHUTDOWN);
    for (const port of this.ports) port.close();
    this.registry.stop();
  }

  private async stopListening(): Promise<void> {
    for (const listener of this.listeners.splice(0)) {
      await listener.close();
      if (listener.path !== null) rmSync(listener.path, { force: true });
    }
  }

  /** The same port on all hosts; a family that this machine does not have is left out. */
  private async listenOnHosts(plan: ListenerPlan<Resources>): Promise<void> {
    let { port } = plan;
    let standing = 0;
    let absent: ListenError | null = null;
    for (const host of plan.hosts) {
      try {
        port = await this.listenOn(plan, host, port);
        standing++;
      } catch (error) {
        if (!(error instanceof ListenError) || !/^EADDRNOTAVAIL$|^EAFNOSUPPORT$/.test(error.code)) throw error;
        absent = error;
      }
    }
    if (standing === 0 && absent !== null) throw absent;
  }

  private async listenOn(plan: ListenerPlan<Resources>, where: string, port: number): Promise<number> {
    const { protocol, listens } = plan;
    try {
      if (listens.on === 'udp') return await this.listenDatagrams(plan, where, port);
      return await this.listenStreams(plan, where, port);
    } catch (error) {
      throw explained(error, protocol.name, where, port, listens.on === 'udp' ? 'udp' : 'tcp');
    }
  }

  private async listenStreams(plan: ListenerPlan<Resources>, where: string, port: number): Promise<number> {
    const { protocol, listens, path } = plan;
    if (listens.on !== 'tcp') throw new Error(`${protocol.name} cannot listen on ${listens.on} here`);
    const host = this.hostOf(plan);
    const listening = await listenStream({
      turn: this.turn,
      bounds: { ...PIPE_BOUNDS, inputMax: listens.inputMax?.(host.limits) ?? PIPE_BOUNDS.inputMax },
      events: this.registry,
      ...(path === undefined ? { host: where, port } : { path }),
      admit: (remote) => this.registry.admit(remote),
      opened: (pipe) => this.registry.opened(pipe, protocol.name),
      accept: (pipe) => listens.pipe(pipe, host),
    });
    this.listeners.push(listening);
    const { address } = listening;
    this.standing.push({
      protocol: protocol.name,
      on: path === undefined ? 'tcp' : 'unix',
      address,
      path: path ?? null,
    });
    return address?.port ?? 0;
  }

  private async listenDatagrams(plan: ListenerPlan<Resources>, where: string, port: number): Promise<number> {
    const { protocol, listens } = plan;
    if (listens.on !== 'udp') throw new Error(`${protocol.name} has no datagrams`);
    const host = this.hostOf(plan);
    const udp = await openUdp({ turn: this.turn, host: where, port, session: (made) => listens.datagrams(made, host) });
    this.ports.push(udp);
    this.standing.push({ protocol: protocol.name, on: 'udp', address: udp.local, path: null });
    return udp.local.port;
  }

  private hostOf(plan: ListenerPlan<Resources>): Host<Resources> {
    const { turn, options } = this;
    return {
      resources: options.resources,
      limits: bindLimits(plan.protocol.limits, plan.limits),
      get clock() {
        return turn.clock;
      },
      entropy: ENTROPY,
      reach: this.reach,
      log: options.log,
      software: options.software,
      open: options.open,
    };
  }
}

/** A turn loop on Node's event loop that logs what our own code did wrong. */
export function serverTurn(log: Log, count: () => void): TurnLoop {
  return new TurnLoop(NODE_LOOP, (error, where) => {
    count();
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error('a bug of Portico’s own; please report it', { where, stack });
  });
}

/** Whether a host name or address is loopback's, for the rule that nobody from beyond comes in without an account. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || isLoopback(host);
}

function explained(error: unknown, name: string, where: string, port: number, kind: 'tcp' | 'udp'): Error {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const at = where.includes(':') ? `[${where}]:${port}` : `${where}:${port}`;
  const change = `choose another with --port ${name}=<port>`;
  if (code === 'EADDRINUSE') {
    const owner = ownerOf(port, kind);
    const who =
      owner === null
        ? 'by another process'
        : `by process ${owner.pid}${owner.command === '' ? '' : ` (${owner.command})`}`;
    return new ListenError(
      `${name} cannot listen on ${at} (${kind}): the port is in use ${who}; stop that, or ${change}`,
      code,
    );
  }
  if (code === 'EACCES')
    return new ListenError(`${name} may not listen on ${at}: ports below 1024 need privileges; ${change}`, code);
  if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT')
    return new ListenError(`${name} cannot listen on ${at}: this machine has no such address`, code);
  return error instanceof Error ? error : new Error(String(error));
}
