// A server without protocols of its own: the turn, the doors, who is connected, what memory there is, and how all of it
// ends. What is spoken at a door is handed in.
import { randomFillSync } from 'node:crypto';
import type { DatagramPort, DatagramSession } from '../core/datagram.ts';
import type { Fault } from '../core/fault.ts';
import type { Bound, Limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import { type Address, addressText } from '../core/peer.ts';
import { type Cause, ENDED, type Pipe, type Session, SHUTDOWN } from '../core/pipe.ts';
import type { Host } from '../core/protocol.ts';
import type { Reach } from '../core/reach.ts';
import { PIPE_BOUNDS, type PipeBounds, type PipeEvents, type StreamPipe } from '../core/stream-pipe.ts';
import type { Clock, Entropy } from '../core/time.ts';
import type { SocketPipe } from '../transports/socket-pipe.ts';
import type { Listening } from '../transports/tcp.ts';
import type { UdpPort } from '../transports/udp.ts';
import type { OutboundRules } from './address-policy.ts';
import { MemoryBudget } from './budget.ts';
import { Connections } from './connections.ts';
import { DOORKEEPER_BOUNDS, Doorkeeper, type DoorkeeperBounds } from './doorkeeper.ts';
import { type DoorPlace, openTcp, openUdpDoor, openUnix, type StreamDoor } from './doors.ts';
import { RateLimited } from './log.ts';
import { SessionReach } from './reach.ts';
import { NODE_LOOP, TurnLoop } from './turn.ts';

export interface ServerOptions {
  readonly log: Log;
  /** Bytes that the process may use before load is shed. */
  readonly memoryBytes: number;
  /** Bytes in use; the process's own reckoning when absent. */
  readonly measure?: () => number;
  readonly doorkeeper?: Partial<DoorkeeperBounds>;
  readonly pipes?: Partial<PipeBounds>;
  readonly outbound?: OutboundRules;
}

/** What all sessions of a protocol are given alike; the reach is each one's own. */
export type SharedHost<Resources> = Omit<Host<Resources>, 'reach' | 'clock'>;

export interface ServerFigures {
  accepted: number;
  refused: number;
  faults: number;
  bugs: number;
}

export const ENTROPY: Entropy = { fill: (into) => void randomFillSync(into) };

export class Server {
  readonly turn: TurnLoop;
  readonly log: Log;
  readonly connections = new Connections();
  readonly doorkeeper: Doorkeeper;
  readonly budget: MemoryBudget;
  readonly figures: ServerFigures = { accepted: 0, refused: 0, faults: 0, bugs: 0 };
  private readonly bounds: PipeBounds;
  private readonly outbound: OutboundRules;
  private readonly listening: Listening[] = [];
  private readonly ports: UdpPort[] = [];
  private readonly portHosts: { lost(cause: Cause): void }[] = [];
  private readonly rated = new RateLimited();
  private closing: Promise<void> | null = null;
  private readonly events: PipeEvents = {
    faulted: (pipe, fault) => this.faulted(pipe, fault),
    closed: (pipe, cause, wire) => this.closed(pipe, cause, wire),
  };

  constructor(options: ServerOptions) {
    this.log = options.log;
    this.turn = new TurnLoop(NODE_LOOP, (error, where) => this.bug(error, where));
    this.bounds = { ...PIPE_BOUNDS, ...options.pipes };
    this.outbound = options.outbound ?? { allowed: [], configured: [] };
    this.doorkeeper = new Doorkeeper({ ...DOORKEEPER_BOUNDS, ...options.doorkeeper });
    this.budget = new MemoryBudget({
      turn: this.turn,
      log: options.log,
      bytesMax: options.memoryBytes,
      measure: options.measure ?? memoryInUse,
      connections: this.connections,
      doorkeeper: this.doorkeeper,
    });
  }

  // ---- doors -------------------------------------------------------------------------------------------------------

  /** Listens for byte streams. Rejects with a `DoorError`. */
  async listen<Resources>(
    place: DoorPlace,
    shared: SharedHost<Resources>,
    make: (pipe: Pipe, host: Host<Resources>) => Session,
  ): Promise<readonly Listening[]> {
    const opened = await openTcp(place, this.door(place.name, shared, make));
    this.listening.push(...opened);
    return opened;
  }

  /** Listens on a Unix socket. Rejects with a `DoorError`. */
  async listenUnix<Resources>(
    name: string,
    path: string,
    shared: SharedHost<Resources>,
    make: (pipe: Pipe, host: Host<Resources>) => Session,
  ): Promise<Listening> {
    const opened = await openUnix(name, path, this.door(name, shared, make));
    this.listening.push(opened);
    return opened;
  }

  /** Listens for datagrams. Rejects with a `DoorError`. */
  async listenDatagrams<Resources>(
    place: DoorPlace,
    shared: SharedHost<Resources>,
    make: (port: DatagramPort, host: Host<Resources>) => DatagramSession,
  ): Promise<readonly UdpPort[]> {
    const opened = await openUdpDoor(place, this.turn, (port) => {
      const host = this.hostOf(shared, port.local);
      this.portHosts.push(host);
      return make(port, host);
    });
    this.ports.push(...opened);
    return opened;
  }

  private door<Resources>(
    name: string,
    shared: SharedHost<Resources>,
    make: (pipe: Pipe, host: Host<Resources>) => Session,
  ): StreamDoor {
    const hosts = new Map<number, ConnectionHost<Resources>>();
    return {
      turn: this.turn,
      bounds: this.bounds,
      events: this.events,
      admit: (remote) => this.admit(name, remote),
      opened: (pipe) => {
        const host = this.hostOf(shared, pipe.peer.local);
        hosts.set(pipe.id, host);
        this.opened(pipe, name, (cause) => {
          hosts.delete(pipe.id);
          host.lost(cause);
        });
      },
      accept: (pipe) => make(pipe, hosts.get(pipe.id) ?? this.hostOf(shared, pipe.peer.local)),
    };
  }

  private hostOf<Resources>(shared: SharedHost<Resources>, local: Address | null): ConnectionHost<Resources> {
    return new ConnectionHost(shared, this.turn, () => {
      const { turn, bounds, events, outbound: rules } = this;
      const opened = (pipe: StreamPipe) => this.add(pipe, 'reach', undefined, () => {});
      return new SessionReach({ turn, bounds, events, rules, local, opened });
    });
  }

  private admit(name: string, remote: Address | null): boolean {
    const { now } = this.turn.clock;
    const why = this.closing === null ? this.doorkeeper.admit(remote, now) : 'the server is shutting down';
    if (why === null) return true;
    this.figures.refused++;
    const before = this.rated.pass(`refused ${why}`, now);
    if (before >= 0) this.log.warn('a connection was refused', { door: name, why, from: addressText(remote), before });
    return false;
  }

  private opened(pipe: SocketPipe, door: string, ended: (cause: Cause) => void): void {
    this.figures.accepted++;
    this.add(pipe, door, pipe.peer.remote, ended);
    this.log.debug('connected', { door, connection: pipe.id, from: addressText(pipe.peer.remote) });
  }

  private add(
    pipe: StreamPipe,
    door: string,
    admitted: Address | null | undefined,
    ended: (cause: Cause) => void,
  ): void {
    this.connections.add({ pipe, door, admitted, ended, received: 0, sent: 0 });
  }

  // ---- what happens ------------------------------------------------------------------------------------------------

  private closed(pipe: StreamPipe, cause: Cause, wire: number): void {
    const connection = this.connections.remove(pipe.id);
    if (connection === undefined) return;
    if (connection.admitted !== undefined) this.doorkeeper.left(connection.admitted);
    this.log.debug('disconnected', { door: connection.door, connection: pipe.id, cause, wire });
    connection.ended(cause);
  }

  private faulted(pipe: StreamPipe, fault: Fault): void {
    this.figures.faults++;
    const { now } = this.turn.clock;
    const { remote } = pipe.peer;
    this.doorkeeper.failed(remote, now);
    const before = this.rated.pass(fault.id, now);
    if (before < 0) return;
    const door = this.connections.get(pipe.id)?.door ?? '';
    const fields = { fault: fault.id, spec: fault.spec, door, connection: pipe.id, from: addressText(remote) };
    this.log.warn(fault.text, before === 0 ? fields : { ...fields, before });
  }

  private bug(error: unknown, where: string): void {
    this.figures.bugs++;
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const before = this.rated.pass(`bug ${where.replace(/\d+/g, '')} ${stack.slice(0, 400)}`, this.turn.clock.now);
    if (before < 0) return;
    this.log.error('a bug of Portico was caught; please report it', {
      where,
      bugs: this.figures.bugs,
      ...(before === 0 ? {} : { before }),
      stack,
    });
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  /** Lets nobody new in, asks all to leave, and waits until they have, at most `graceMs`. */
  close(graceMs: number): Promise<void> {
    this.closing ??= this.finish(graceMs);
    return this.closing;
  }

  private async finish(graceMs: number): Promise<void> {
    await Promise.all(this.listening.map((listening) => listening.close()));
    for (const port of this.ports) port.leave(SHUTDOWN);
    this.connections.leave(SHUTDOWN, graceMs);
    if (this.connections.size > 0) await this.connections.empty();
    for (const port of this.ports) port.close();
    for (const host of this.portHosts) host.lost(ENDED);
    this.budget.stop();
  }

  /** Nothing runs any more. */
  stop(): void {
    this.turn.stop();
  }
}

/** What one session is given. */
class ConnectionHost<Resources> implements Host<Resources> {
  private readonly shared: SharedHost<Resources>;
  private readonly turn: TurnLoop;
  private readonly makeReach: () => SessionReach;
  private ownReach: SessionReach | null = null;

  constructor(shared: SharedHost<Resources>, turn: TurnLoop, makeReach: () => SessionReach) {
    this.shared = shared;
    this.turn = turn;
    this.makeReach = makeReach;
  }

  get resources(): Resources {
    return this.shared.resources;
  }

  get limits(): Bound<Limits> {
    return this.shared.limits;
  }

  get clock(): Clock {
    return this.turn.clock;
  }

  get entropy(): Entropy {
    return this.shared.entropy;
  }

  get log(): Log {
    return this.shared.log;
  }

  get software(): string {
    return this.shared.software;
  }

  get open(): boolean {
    return this.shared.open;
  }

  /** Made when it is asked for: most sessions never reach out. */
  get reach(): Reach {
    this.ownReach ??= this.makeReach();
    return this.ownReach;
  }

  lost(cause: Cause): void {
    this.ownReach?.lost(cause);
  }
}

/** Heap and what lies beside it, garbage that was not collected yet included. */
function memoryInUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
