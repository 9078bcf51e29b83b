// Echo and discard: say back what came, or nothing at all. They run on whatever carries bytes or datagrams, and so show
// that a carrier does.
import type { DatagramPort, DatagramSession } from '../../core/datagram.ts';
import type { Address } from '../../core/peer.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { faults } from './faults.ts';

/** What echo and discard have in common on a stream: they end when the peer does, or is idle. */
abstract class Quiet implements Session {
  protected readonly pipe: Pipe;
  private readonly idleMs: number;
  private idleAt: Instant;
  private over = false;

  constructor(pipe: Pipe, idleMs: number, clock: Clock) {
    this.pipe = pipe;
    this.idleMs = idleMs;
    this.idleAt = clock.now + idleMs;
  }

  get deadline(): Instant {
    return this.over ? NEVER : this.idleAt;
  }

  protected heard(clock: Clock): void {
    this.idleAt = clock.now + this.idleMs;
  }

  abstract receive(input: Uint8Array, start: number, end: number, clock: Clock): number;

  overlong(): void {
    // All that comes is consumed, or the pipe is paused.
  }

  writable(_clock: Clock): void {
    // Only an echo waits for room.
  }

  tick(_clock: Clock): void {
    this.over = true;
    this.pipe.fail(faults.idle);
  }

  finish(_clock: Clock): void {
    this.over = true;
    this.pipe.end();
  }

  leave(): void {
    this.over = true;
    this.pipe.end();
  }

  lost(): void {
    this.over = true;
  }
}

export class EchoSession extends Quiet {
  override receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    this.heard(clock);
    const at = Math.min(end, start + this.pipe.room);
    this.pipe.out.copy(input, start, at);
    this.pipe.flush();
    // A peer that does not read what it said is not read either. Asking for room when there is none wakes us when there is.
    if (at < end && this.pipe.room === 0) this.pipe.pause();
    return at;
  }

  override writable(clock: Clock): void {
    this.heard(clock);
    this.pipe.resume();
  }
}

export class DiscardSession extends Quiet {
  override receive(_input: Uint8Array, _start: number, end: number, clock: Clock): number {
    this.heard(clock);
    return end;
  }
}

/** Ports below are those of services that answer whatever comes: an echo of theirs would go round for ever. */
const CLIENT_PORT_LEAST = 1_024;

export class EchoDatagrams implements DatagramSession {
  readonly deadline: Instant = NEVER;
  private readonly port: DatagramPort;

  constructor(port: DatagramPort) {
    this.port = port;
  }

  receive(input: Uint8Array, start: number, end: number, from: Address, local: Address | null): void {
    const own = from.port === this.port.local.port && from.host === this.port.local.host;
    if (!own && from.port >= CLIENT_PORT_LEAST) this.port.send(from, local, input, start, end, 0);
  }

  tick(): void {
    // It has no deadline.
  }

  leave(): void {
    this.port.close();
  }

  lost(): void {
    // There is nothing to let go.
  }
}

export class DiscardDatagrams extends EchoDatagrams {
  override receive(): void {
    // Nothing is said back.
  }
}
