// A byte stream over what Node's own sockets stand on: written to and read from without the stream machinery between, with
// one buffer to read into for all. Where Node is known to have it so; else a connection is a `SocketPipe`, which is also
// what it goes on as once TLS is put on it.
import { Socket } from 'node:net';
import { giveBack } from '../bytes/pool.ts';
import type { Carrier, Peer } from '../core/peer.ts';
import { type Cause, ENDED, RESET } from '../core/pipe.ts';
import type { TlsPolicy } from '../core/tls.ts';
import { KEEPALIVE_MS, type PipeMaking, SocketPipe } from './socket-pipe.ts';

/** What the handles of this Node tell beside their answers. */
export interface HandleWays {
  /** What the last call told: `state[readAt]` bytes read or a negative error, `state[errorAt]` of a write. */
  readonly state: Int32Array;
  readonly readAt: number;
  readonly errorAt: number;
  readonly ShutdownWrap: new () => object;
}

/** A write that could not be done at once. */
interface Writing {
  oncomplete: (status: number) => void;
  /** Its outcome, if that was known before `oncomplete` was set. */
  writeStatus?: number | null;
  of?: HandlePipe;
  total?: number;
  /** Must not be collected while it is written. */
  pieces?: readonly Uint8Array[];
  lent?: readonly Buffer[];
}

interface SocketName {
  address?: string;
  port?: number;
}

/** `TCP` or `Pipe`, as a listening handle makes one for each connection. */
export interface StreamHandle {
  readonly fd: number;
  onread: (() => void) | undefined;
  of?: HandlePipe;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: null, bytes: Uint8Array): number | Writing;
  writev(request: null, pieces: readonly Uint8Array[], allBytes: true): number | Writing;
  shutdown(request: object): number;
  close(closed?: () => void): void;
  /** Of TCP only, as all below. */
  reset?(closed: () => void): number;
  setNoDelay?(on: boolean): number;
  setKeepAlive?(on: boolean, seconds: number): number;
  getpeername?(name: SocketName): number;
  getsockname?(name: SocketName): number;
}

const UV_EOF = -4095;
const UV_ENOTCONN = -107;

/** All read into it: what is offered is borrowed, and there is one read at a time. Never let go: handles keep its address. */
const INPUT = Buffer.allocUnsafeSlow(65_536);

export class HandlePipe extends SocketPipe {
  /** Null once TLS has it. */
  private handle: StreamHandle | null;
  private readonly ways: HandleWays;
  private reading = false;
  private gone = false;
  /** Writes that could not be done at once. */
  private writing = 0;
  private afterWriting: (() => void) | null = null;

  constructor(handle: StreamHandle, ways: HandleWays, peer: Peer, making: PipeMaking) {
    super(null, peer, making);
    this.handle = handle;
    this.ways = ways;
    handle.of = this;
    handle.onread = onRead;
    handle.setNoDelay?.(true);
    handle.setKeepAlive?.(true, KEEPALIVE_MS / 1_000);
    handle.useUserBuffer(INPUT);
    this.hold(false);
  }

  /** The handle has read. */
  read(): void {
    const size = this.ways.state[this.ways.readAt]!;
    if (size > 0) this.offer(INPUT, 0, size);
    else if (size === UV_EOF) this.peerEnd();
    else if (size < 0) this.letGo(RESET);
  }

  /** A write that took its time is done, or failed. */
  completed(status: number, { total, lent }: Writing): void {
    this.writing--;
    for (const storage of lent!) giveBack(storage);
    if (status < 0) this.letGo(RESET);
    else this.sent(total!);
    if (this.writing > 0 || this.afterWriting === null) return;
    const next = this.afterWriting;
    this.afterWriting = null;
    next();
  }

  protected override fd(): number {
    return this.handle === null ? super.fd() : this.handle.fd;
  }

  protected override transmit(pieces: readonly Uint8Array[], total: number, lent: readonly Buffer[]): void {
    const { handle } = this;
    if (handle === null) {
      super.transmit(pieces, total, lent);
      return;
    }
    const answer = this.gone
      ? UV_ENOTCONN
      : pieces.length === 1
        ? handle.writeBuffer(null, pieces[0]!)
        : handle.writev(null, pieces, true);
    if (typeof answer !== 'number' && this.ways.state[this.ways.errorAt] === 0) {
      this.writing++;
      answer.of = this;
      answer.total = total;
      answer.pieces = pieces;
      answer.lent = lent;
      answer.oncomplete = onComplete;
      const status = answer.writeStatus ?? null;
      if (status !== null) setImmediate(() => answer.oncomplete(status));
      return;
    }
    for (const storage of lent) giveBack(storage);
    if (answer === 0) this.sentAtOnce(total);
    else this.letGo(RESET);
  }

  protected override isEmpty(): boolean {
    return this.handle === null ? super.isEmpty() : this.writing === 0 && !this.gone;
  }

  protected override hold(stop: boolean): void {
    const { handle } = this;
    if (handle === null) super.hold(stop);
    else if (!this.gone && this.reading === stop) {
      this.reading = !stop;
      if (stop) handle.readStop();
      else handle.readStart();
    }
  }

  protected override shut(): void {
    const { handle } = this;
    if (handle === null) {
      super.shut();
      return;
    }
    if (this.gone) return;
    this.lastFigures();
    const request = Object.assign(new this.ways.ShutdownWrap(), { oncomplete: ignore, handle });
    const error = handle.shutdown(request);
    // 1: it was done at once.
    if (error < 0 && error !== UV_ENOTCONN) this.letGo(RESET);
  }

  protected override abort(): void {
    const { handle } = this;
    if (handle === null) {
      super.abort();
      return;
    }
    if (this.gone) return;
    this.lastFigures();
    if (handle.reset?.(() => this.ended(RESET, 0)) !== 0) this.letGo(ENDED);
    else this.forgetHandle(handle);
  }

  protected override close(): void {
    if (this.handle === null) super.close();
    else {
      this.lastFigures();
      this.letGo(ENDED);
    }
  }

  protected override refuse(): void {
    if (this.handle === null) super.refuse();
    else this.hold(false);
  }

  protected override startTls(policy: TlsPolicy, begun: Uint8Array | null): void {
    const { handle } = this;
    if (this.writing > 0) this.afterWriting = () => this.startTls(policy, begun);
    else if (handle !== null && this.gone) return;
    else {
      if (handle !== null) {
        this.hold(true);
        this.handle = null;
        delete handle.of;
        this.attach(new Socket({ handle, allowHalfOpen: true, manualStart: true } as object));
      }
      super.startTls(policy, begun);
    }
  }

  /** Nothing is read or written any more; the pipe hears of it in a later step. */
  private letGo(cause: Cause): void {
    const { handle } = this;
    if (handle === null || this.gone) return;
    handle.close(() => this.ended(cause, 0));
    this.forgetHandle(handle);
  }

  private forgetHandle(handle: StreamHandle): void {
    this.gone = true;
    handle.onread = ignore;
  }
}

function onRead(this: StreamHandle): void {
  this.of?.read();
}

function onComplete(this: Writing, status: number): void {
  this.of!.completed(status, this);
}

function ignore(): void {}

/** Who is at the other end of a handle. */
export function peerOfHandle(handle: StreamHandle, carrier: Carrier): Peer {
  const remote: SocketName = {};
  const local: SocketName = {};
  handle.getpeername?.(remote);
  handle.getsockname?.(local);
  return {
    carrier,
    remote: remote.address === undefined ? null : { host: remote.address, port: remote.port ?? 0 },
    local: local.address === undefined ? null : { host: local.address, port: local.port ?? 0 },
    tls: null,
    below: null,
    stream: null,
  };
}
