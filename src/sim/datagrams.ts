// A simulated datagram network: ports at addresses, with latency, loss, duplication and reordering from the world's seed.
import type { DatagramPort, DatagramSession } from '../core/datagram.ts';
import { type Address, addressText } from '../core/peer.ts';
import { ENDED } from '../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';
import { Turned } from '../core/turn.ts';
import type { World } from './world.ts';

export interface NetworkOptions {
  readonly latencyMs?: number;
  /** Probabilities from 0 to 1. */
  readonly loss?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  /** One bit of the datagram is turned over. */
  readonly corrupt?: number;
  /** Larger datagrams are lost. */
  readonly mtu?: number;
  /** Bytes a millisecond that pass each way; what comes faster waits, up to `waitMs`, and is lost beyond. */
  readonly rate?: number;
  readonly waitMs?: number;
  /** Marks are carried; those of this part of the datagrams are turned into CE. */
  readonly ecn?: boolean;
  readonly congested?: number;
  /** What is lost whatever chance says. */
  readonly drops?: (datagram: Buffer, from: Address, to: Address) => boolean;
  /** Bytes that a port may send in one turn. */
  readonly perTurn?: number;
}

export class DatagramNetwork {
  options: NetworkOptions;
  readonly world: World;
  private readonly ports = new Map<string, SimulatedPort>();
  /** By sender: until when the way from there is taken. */
  private readonly busyUntil = new Map<string, number>();

  constructor(world: World, options: NetworkOptions = {}) {
    this.world = world;
    this.options = options;
  }

  /** Opens a port. Throws when the address is taken. */
  open(local: Address, session: (port: DatagramPort) => DatagramSession): SimulatedPort {
    const name = addressText(local);
    if (this.ports.has(name)) throw new Error(`${name} is in use`);
    const port = new SimulatedPort(this, local, session);
    this.ports.set(name, port);
    return port;
  }

  /** The port's address changes under it, as behind a NAT that forgets, or on another network. */
  move(port: SimulatedPort, local: Address): void {
    this.ports.delete(addressText(port.local));
    this.ports.set(addressText(local), port);
    port.local = local;
  }

  /** Datagrams to this address arrive at the port as well. */
  alias(at: Address, port: SimulatedPort): void {
    this.ports.set(addressText(at), port);
  }

  carry(from: Address, to: Address, datagram: Buffer, ecn = 0): void {
    const { world, options } = this;
    const { random } = world;
    if (datagram.length > (options.mtu ?? 65_535) || random.chance(options.loss ?? 0)) return;
    if (options.drops?.(datagram, from, to) === true) return;
    const waits = this.waits(from, datagram.length);
    if (waits > (options.waitMs ?? 100)) return;
    const mark = ecn > 0 && random.chance(options.congested ?? 0) ? 3 : ecn;
    if (datagram.length > 0 && random.chance(options.corrupt ?? 0))
      datagram[random.below(datagram.length)]! ^= 1 << random.below(8);
    const copies = random.chance(options.duplicate ?? 0) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const extra = random.chance(options.reorder ?? 0) ? 1 + random.below(20) : 0;
      world.after((options.latencyMs ?? 1) + extra + waits, () =>
        this.ports.get(addressText(to))?.arrive(Buffer.from(datagram), from, options.ecn === true ? mark : -1),
      );
    }
  }

  /** How long a datagram waits for those before it, and takes itself. */
  private waits(from: Address, size: number): number {
    const { rate, waitMs = 100 } = this.options;
    if (rate === undefined) return 0;
    const name = addressText(from);
    const now = this.world.now();
    const until = Math.max(now, this.busyUntil.get(name) ?? 0) + size / rate;
    if (until - now <= waitMs) this.busyUntil.set(name, until);
    return until - now;
  }

  forget(local: Address): void {
    this.ports.delete(addressText(local));
  }
}

export class SimulatedPort extends Turned implements DatagramPort {
  local: Address;
  readonly isWhole = true;
  private readonly network: DatagramNetwork;
  private readonly session: DatagramSession;
  private used = 0;
  private alive = true;

  constructor(network: DatagramNetwork, local: Address, session: (port: DatagramPort) => DatagramSession) {
    super();
    this.network = network;
    this.local = local;
    this.session = session(this);
    network.world.turn.touch(this);
  }

  get ecn(): boolean {
    return this.network.options.ecn === true;
  }

  get room(): number {
    return this.alive ? (this.network.options.perTurn ?? 1_000_000) - this.used : 0;
  }

  send(
    to: Address,
    _local: Address | null,
    bytes: Uint8Array,
    start: number,
    end: number,
    segment: number,
    ecn = 0,
  ): boolean {
    if (end - start > this.room) return false;
    this.used += end - start;
    const step = segment === 0 ? Math.max(1, end - start) : segment;
    for (let at = start; at < end || at === start; at += step)
      this.network.carry(this.local, to, Buffer.from(bytes.subarray(at, Math.min(end, at + step))), ecn);
    this.touch();
    return true;
  }

  touch(): void {
    this.network.world.turn.touch(this);
  }

  close(): void {
    if (!this.alive) return;
    this.alive = false;
    this.network.forget(this.local);
    const { turn } = this.network.world;
    this.session.lost(ENDED, 0, turn.clock);
    turn.forget(this);
  }

  arrive(datagram: Buffer, from: Address, ecn: number): void {
    if (!this.alive) return;
    const { turn } = this.network.world;
    try {
      this.session.receive(datagram, 0, datagram.length, from, this.local, ecn, turn.clock);
    } catch (error) {
      turn.bug(error, 'datagram');
    }
    datagram.fill(0xa5);
    this.touch();
  }

  get due(): Instant {
    return this.alive ? this.session.deadline : NEVER;
  }

  work(clock: Clock): void {
    this.used = 0;
    if (!this.alive || this.session.gather === undefined) return;
    try {
      this.session.gather(clock);
    } catch (error) {
      this.network.world.turn.bug(error, 'datagrams gathered');
    }
  }

  tick(clock: Clock): void {
    if (this.alive) this.session.tick(clock);
  }
}
