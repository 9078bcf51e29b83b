// Simulated message channels: whole messages, text or binary, over a simulated pipe with a length before each.
import { u32 } from '../bytes/reader.ts';
import type { Caller } from '../core/caller.ts';
import type { MessageSession, Messages } from '../core/messages.ts';
import type { Peer } from '../core/peer.ts';
import { type Cause, ENDED, type Pipe, type Session, type Why } from '../core/pipe.ts';
import type { Clock, Instant } from '../core/time.ts';
import { type LinkOptions, linkPipes, type SimulatedPipe } from './pipes.ts';
import type { World } from './world.ts';

const TEXT = 1;
const BINARY = 2;
const CLOSE = 3;

/** No close code was given, or the connection was lost without one (RFC 6455 §7.1.5). */
const NO_CODE = 1005;
const LOST = 1006;

/** length u32 · kind u8 · payload, or code u16 */
const HEAD = 5;

class SimulatedMessages implements Messages, Session {
  readonly subprotocol: string;
  readonly target: string;
  readonly caller: Caller;
  private readonly pipe: Pipe;
  private readonly session: MessageSession;
  private closeCode = 0;
  private closing = false;
  private paused = false;

  constructor(pipe: Pipe, opening: MessagesOpening, session: (messages: Messages) => MessageSession) {
    this.pipe = pipe;
    this.subprotocol = opening.subprotocol ?? 'test';
    this.target = opening.target ?? '/';
    this.caller = opening.caller ?? { account: '', scopes: null, origin: 'local', epoch: 0 };
    this.session = session(this);
  }

  get id(): number {
    return this.pipe.id;
  }

  get peer(): Peer {
    return this.pipe.peer;
  }

  get queued(): number {
    return this.pipe.queued;
  }

  get room(): number {
    return this.closing ? 0 : this.pipe.room;
  }

  send(bytes: Uint8Array, start: number, end: number, text: boolean): void {
    if (this.closing) return;
    this.pipe.out.u32(end - start);
    this.pipe.out.u8(text ? TEXT : BINARY);
    this.pipe.share(bytes, start, end);
    this.pipe.flush();
  }

  pause(): void {
    this.paused = true;
    this.pipe.pause();
  }

  resume(): void {
    this.paused = false;
    this.pipe.resume();
  }

  flush(): void {
    this.pipe.flush();
  }

  end(code: number, _reason?: string): void {
    if (this.closing) return;
    this.closing = true;
    this.pipe.out.u32(2);
    this.pipe.out.u8(CLOSE);
    this.pipe.out.u16(code);
    this.pipe.end();
  }

  get deadline(): Instant {
    return this.session.deadline;
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    while (end - at >= HEAD && !this.paused) {
      const size = u32(input, at);
      if (end - at < HEAD + size) break;
      const kind = input[at + 4]!;
      const from = at + HEAD;
      at = from + size;
      if (kind === CLOSE) this.closeCode = (input[from]! << 8) | input[from + 1]!;
      else if (!this.closing) this.session.receive(input, from, at, kind === TEXT, clock);
    }
    return at;
  }

  overlong(): void {
    this.end(1009);
  }

  writable(clock: Clock): void {
    this.session.writable(clock);
  }

  tick(clock: Clock): void {
    this.session.tick(clock);
  }

  finish(): void {
    this.closing = true;
    this.pipe.end();
  }

  leave(why: Why, clock: Clock): void {
    this.session.leave(why, clock);
  }

  lost(cause: Cause, _wire: number, clock: Clock): void {
    const code = this.closeCode !== 0 ? this.closeCode : cause === ENDED ? NO_CODE : LOST;
    this.session.lost(cause, code, clock);
  }
}

/** What a channel was opened as. */
export interface MessagesOpening {
  readonly subprotocol?: string;
  readonly target?: string;
  readonly caller?: Caller;
}

/** Joins two message sessions. */
export function linkMessages(
  world: World,
  near: (messages: Messages) => MessageSession,
  far: (messages: Messages) => MessageSession,
  options: LinkOptions & MessagesOpening = {},
): { near: SimulatedPipe; far: SimulatedPipe } {
  return linkPipes(
    world,
    (pipe) => new SimulatedMessages(pipe, options, near),
    (pipe) => new SimulatedMessages(pipe, options, far),
    options,
  );
}
