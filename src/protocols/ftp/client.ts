// The client half of FTP: commands out and replies in on the control connection, one at a time, and a data connection for each
// transfer. The caller dials, and tells what comes next; it knows no socket and no file.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import type { Sink } from '../../core/sink.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import { ReplyReader } from '../text/reply-reader.ts';
import { unquoted } from './codec.ts';
import { replyFaults } from './faults.ts';

const LINE_MAX = 16_384;
const REPLY_MAX = 1_048_576;

export interface Reply {
  readonly code: number;
  readonly lines: readonly string[];
}

/** Told of each reply but those that something goes on behind (1xx). */
export type Replied = (reply: Reply) => void;

/** What a client is told beside the replies to what it said. */
export interface FtpClientEvents {
  /** The greeting. */
  greeted(reply: Reply): void;
  /** TLS was put on the connection. */
  secured(): void;
  /** The connection is gone; `fault` when it was the server's. */
  closed(cause: Cause, fault: Fault | null): void;
}

export class FtpClient implements Session {
  private readonly pipe: Pipe;
  private readonly events: FtpClientEvents;
  private readonly reader = new ReplyReader(LINE_MAX, REPLY_MAX);
  /** What was said and not answered, in order; the greeting is answered first. */
  private readonly asked: Replied[] = [];
  /** Told of 1xx replies to what was said first. */
  private marks: Replied | null = null;
  private isGreeted = false;
  private fault: Fault | null = null;
  private securing = false;
  private over = false;

  constructor(pipe: Pipe, events: FtpClientEvents) {
    this.pipe = pipe;
    this.events = events;
  }

  // ---- commands ----------------------------------------------------------------------------------------------------

  /** Says a command; `mark` hears of a 1xx before the reply. A line's end in it would be another command: RangeError. */
  say(command: string, replied: Replied, mark: Replied | null = null): void {
    if (/[\r\n\0]/.test(command)) throw new RangeError('a command is one line');
    if (this.over) return;
    this.asked.push(replied);
    if (mark !== null) this.marks = mark;
    this.pipe.out.utf8(`${command}\r\n`);
    this.pipe.flush();
  }

  /** Puts TLS on the connection, once the server has agreed to it. */
  secure(policy: TlsPolicy): void {
    this.securing = true;
    this.pipe.secure(policy, this);
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.pipe.end();
  }

  // ---- Session -----------------------------------------------------------------------------------------------------

  get deadline(): Instant {
    return NEVER;
  }

  receive(input: Uint8Array, start: number, end: number, _clock: Clock): number {
    let at = start;
    this.shaken();
    while (at < end && !this.over) {
      const next = this.reader.read(input, at, end);
      if (next === MORE) return at;
      if (next === BAD) {
        this.break(replyFaults.badReply);
        return end;
      }
      at = next;
      if (this.reader.isWhole) this.take();
      if (this.securing) return at;
    }
    return this.over ? end : at;
  }

  private take(): void {
    const reply = { code: this.reader.code, lines: [...this.reader.lines] };
    if (!this.isGreeted) {
      if (reply.code < 200) return;
      this.isGreeted = true;
      this.events.greeted(reply);
    } else if (reply.code < 200) this.marks?.(reply);
    else {
      const replied = this.asked.shift();
      this.marks = null;
      if (replied !== undefined) replied(reply);
      // A server may say goodbye unasked (RFC 959 §4.2).
      else if (reply.code !== 421) this.break(replyFaults.unasked);
    }
  }

  private break(fault: Fault): void {
    this.fault = fault;
    this.over = true;
    this.pipe.fail(fault);
  }

  private shaken(): void {
    if (!this.securing || this.pipe.peer.tls === null) return;
    this.securing = false;
    this.events.secured();
  }

  gather(): void {
    this.shaken();
  }

  overlong(): void {
    this.break(replyFaults.badReply);
  }

  writable(): void {}

  tick(): void {}

  finish(): void {
    this.over = true;
    this.pipe.end();
  }

  leave(_why: Why): void {
    this.end();
  }

  lost(cause: Cause): void {
    this.over = true;
    this.asked.length = 0;
    this.events.closed(cause, this.fault);
  }
}

/** What a data connection of a client is told by. */
export interface DataClientEvents {
  /** It stands, within TLS where that was agreed: bytes may be written. */
  ready(): void;
  /** Fewer taken than given: `resume` once there is room. */
  received(input: Uint8Array, start: number, end: number): number;
  /** There is room again. */
  roomy(): void;
  /** The server has sent all. */
  finished(): void;
  /** It is gone; `isWhole` when both ends ended it. */
  closed(isWhole: boolean): void;
}

/** A client's data connection: what comes goes to the events, and it is a sink of what is sent. */
export class DataClient implements Session, Sink {
  readonly deadline: Instant = NEVER;
  private readonly pipe: Pipe;
  private readonly events: DataClientEvents;
  private isReady = false;
  private isEnded = false;

  /** @param tls on which terms it turns to TLS; null for none */
  constructor(pipe: Pipe, tls: TlsPolicy | null, events: DataClientEvents) {
    this.pipe = pipe;
    this.events = events;
    if (tls !== null) pipe.secure(tls, this);
    else pipe.flush();
    this.wantsTls = tls !== null;
  }

  private readonly wantsTls: boolean;

  gather(): void {
    if (this.isReady || (this.wantsTls && this.pipe.peer.tls === null)) return;
    this.isReady = true;
    this.events.ready();
  }

  receive(input: Uint8Array, start: number, end: number): number {
    this.gather();
    const taken = this.events.received(input, start, end);
    if (taken < end - start) this.pipe.pause();
    return start + taken;
  }

  resume(): void {
    this.pipe.resume();
  }

  get room(): number {
    return this.isReady && !this.isEnded ? this.pipe.room : 0;
  }

  bytes(data: Uint8Array, start: number, end: number): void {
    this.pipe.share(data, start, end);
    this.pipe.flush();
  }

  /** All was sent. */
  end(): void {
    this.isEnded = true;
    this.pipe.end();
    this.pipe.flush();
  }

  /** Nothing that was sent may be taken for whole. */
  drop(): void {
    this.pipe.reset(0);
  }

  overlong(): void {
    this.pipe.reset(0);
  }

  writable(): void {
    this.events.roomy();
  }

  tick(): void {}

  finish(): void {
    this.events.finished();
    this.end();
  }

  leave(): void {
    this.pipe.reset(0);
  }

  lost(cause: Cause): void {
    this.events.closed(cause === 'ended');
  }
}

/** The port that a 229 names (RFC 2428 §3); null when there is none. */
export function passivePort({ code, lines }: Reply): number | null {
  const port = code === 229 ? Number(/\((.)\1\1(\d{1,5})\1\)/.exec(lines.at(-1) ?? '')?.[2]) : 0;
  return port > 0 && port < 65_536 ? port : null;
}

/** The path that a 257 names (RFC 959 appendix II). */
export function namedPath({ code, lines }: Reply): string | null {
  return code === 257 ? unquoted(lines[0] ?? '') : null;
}

export interface RemoteFacts {
  readonly name: string;
  /** `file`, `dir`, and what else a server knows. */
  readonly type: string;
  /** -1 when it is not told. */
  readonly size: number;
  /** `YYYYMMDDHHMMSS`, or `''`. */
  readonly modify: string;
}

/** A line of MLSD (RFC 3659 §7.2); null for what is none, or names no name of a folder's own. */
export function readFacts(line: string): RemoteFacts | null {
  const space = line.indexOf(' ');
  if (space < 0) return null;
  const name = line.slice(space + 1);
  // A server that names a path would have us write where it likes.
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) return null;
  const facts = new Map<string, string>();
  for (const fact of line.slice(0, space).split(';')) {
    const equals = fact.indexOf('=');
    if (equals > 0) facts.set(fact.slice(0, equals).toLowerCase(), fact.slice(equals + 1));
  }
  const size = facts.get('size') ?? '';
  return {
    name,
    type: (facts.get('type') ?? '').toLowerCase(),
    size: /^\d{1,15}$/.test(size) ? Number(size) : -1,
    modify: facts.get('modify') ?? '',
  };
}
