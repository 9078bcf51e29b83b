// One WebSocket on a pipe, of a server or of a client: which frame may follow which, whole messages out of fragments, the
// closing handshake, and whether the peer is still there. It does not know what the messages say.
import { KeptBytes } from '../../bytes/kept.ts';
import { BAD, copyOf, MORE, u16 } from '../../bytes/reader.ts';
import type { Caller } from '../../core/caller.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import type { Peer } from '../../core/peer.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Entropy, type Instant, NEVER } from '../../core/time.ts';
import * as C from './codec.ts';
import { ABNORMAL, mayBeSent, NO_CODE } from './codes.ts';
import { faults } from './faults.ts';
import { MaskingKeys } from './keys.ts';
import type { limits } from './limits.ts';
import { Utf8Check } from './utf8.ts';

/** What permessage-deflate does for a session (RFC 7692). */
export interface Compression {
  /** The message compressed, or null where it is better sent as it is. The answer may be shared: it stays as it is. */
  deflate(bytes: Uint8Array, start: number, end: number): Uint8Array | null;
  /** Decompresses a message to behind what `into` holds; answers what is wrong with it, or null. */
  inflate(input: Uint8Array, start: number, end: number, bytesMax: number, into: KeptBytes): Fault | null;
  close(): void;
}

/** What sockets hold together of messages that are not complete. */
export class Gathering {
  held = 0;
  readonly bytesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }
}

/** What the handshake found out. */
export interface Opening {
  readonly role: 'server' | 'client';
  readonly subprotocol: string;
  readonly target: string;
  readonly caller: Caller;
  readonly compression: Compression | null;
  readonly gathering: Gathering;
  readonly limits: Bound<typeof limits>;
  readonly entropy: Entropy;
}

const OPEN = 0;
/** We have sent a close frame, and wait for the peer's. */
const CLOSING = 1;
/** Nothing is read or said any more. */
const CLOSED = 2;

/** A reason and its code are the payload of a control frame. */
const REASON_MAX = C.CONTROL_MAX - 2;

/** A client's payload up to here is masked in the arena; a longer one in a copy. */
const MASKED_IN_PLACE = 2_048;

/** Not known yet: the next tick finds out. */
const SOON: Instant = 0;

export class WebSocketSession implements Session, Messages {
  readonly subprotocol: string;
  readonly target: string;
  readonly caller: Caller;
  private readonly pipe: Pipe;
  private readonly inner: MessageSession;
  private readonly limits: Bound<typeof limits>;
  private readonly compression: Compression | null;
  private readonly gathering: Gathering;
  private readonly reader: C.FrameReader;
  /** Null for a server, which does not mask. */
  private readonly keys: MaskingKeys | null;
  private state = OPEN;
  private paused = false;
  /** `room` was 0 when the session above asked. */
  private wantsRoom = false;
  /** The answer to the last ping, while there is no room for it. */
  private pong: Buffer | null = null;

  /** A message has begun that is not complete. */
  private within = false;
  private text = false;
  private compressed = false;
  private readonly utf8 = new Utf8Check();
  /** What has come of it. */
  private readonly gathered = new KeptBytes();
  /** Of the frame that has come in part: what is to come, and the key as it stands there. */
  private left = 0;
  private key = 0;
  private last = false;

  /** The peer's; 0 until it sent a close frame. */
  private closeCode = 0;
  /** The peer has closed, and is answered once what it asked before is done (§5.5.1). */
  private owing = false;
  private heardAt: Instant = 0;
  /** When a ping was sent that nothing followed; 0 for none. */
  private pingedAt: Instant = 0;
  private queuedThen = 0;
  private dueAt: Instant = SOON;
  private closeTimed = false;

  constructor(pipe: Pipe, opening: Opening, make: (messages: Messages) => MessageSession) {
    const { role, subprotocol, target, caller, compression, gathering, limits, entropy } = opening;
    this.pipe = pipe;
    this.subprotocol = subprotocol;
    this.target = target;
    this.caller = caller;
    this.limits = limits;
    this.compression = compression;
    this.gathering = gathering;
    this.reader = new C.FrameReader(role === 'server', compression !== null);
    this.keys = role === 'client' ? new MaskingKeys(entropy) : null;
    this.inner = make(this);
  }

  // ---- Messages ----------------------------------------------------------------------------------------------------

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
    const room = this.state === OPEN ? this.pipe.room : 0;
    if (room === 0) this.wantsRoom = true;
    return room;
  }

  send(bytes: Uint8Array, start: number, end: number, text: boolean): void {
    if (this.state !== OPEN) return;
    const opcode = text ? C.TEXT : C.BINARY;
    if (this.compression !== null && end - start >= this.limits.compressBytesLeast) {
      const small = this.compression.deflate(bytes, start, end);
      if (small !== null) {
        this.write(opcode, true, small, 0, small.length);
        return;
      }
    }
    this.write(opcode, false, bytes, start, end);
  }

  pause(): void {
    // The peer's close frame is read in any case.
    if (this.state !== OPEN) return;
    this.paused = true;
    this.pipe.pause();
  }

  resume(): void {
    this.paused = false;
    this.pipe.resume();
  }

  signedIn(caller: Caller): void {
    this.pipe.signedIn(caller);
  }

  flush(): void {
    this.pipe.flush();
  }

  end(code: number, reason = ''): void {
    if (!mayBeSent(code)) throw new RangeError(`${code} is no close code that may be sent`);
    if (this.state !== OPEN) return;
    if (this.owing) {
      this.answerClose();
      return;
    }
    this.sayClose(code, reason);
    this.state = CLOSING;
    // A whole message that is being told just now is still read by whoever calls.
    if (this.within) this.forget();
    this.dueAt = SOON;
    // The peer's close frame is read, whatever stands before it.
    this.resume();
    this.pipe.flush();
  }

  // ---- Session -----------------------------------------------------------------------------------------------------

  get deadline(): Instant {
    return this.state === CLOSED ? this.dueAt : Math.min(this.dueAt, this.inner.deadline);
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    this.heardAt = clock.now;
    const { reader } = this;
    let at = start;
    while (at < end) {
      if (this.state === CLOSED || this.owing) return end;
      if (this.paused) return at;
      if (this.left > 0) {
        at = this.takePayload(input, at, end, clock);
        continue;
      }
      const body = reader.read(input, at, end);
      if (body === MORE) return at;
      if (body === BAD) return this.fail(reader.fault!, end);
      if (C.isControl(reader.opcode)) {
        const next = body + reader.length;
        // At most 125 bytes: they are waited for.
        if (next > end) return at;
        if (reader.key !== 0) C.applyKey(input, body, next, reader.key);
        this.control(input, body, next, clock);
        at = next;
      } else at = this.data(input, body, end, clock);
    }
    return at;
  }

  overlong(): void {
    this.fail(faults.messageTooBig, 0);
  }

  writable(clock: Clock): void {
    const { pong } = this;
    if (pong !== null && this.state === OPEN) this.write(C.PONG, false, pong, 0, pong.length);
    this.pong = null;
    if (!this.wantsRoom || this.state !== OPEN) return;
    this.wantsRoom = false;
    this.inner.writable(clock);
  }

  tick(clock: Clock): void {
    if (clock.now >= this.dueAt) this.watch(clock);
    if (this.state !== CLOSED && clock.now >= this.inner.deadline) this.inner.tick(clock);
  }

  finish(): void {
    if (!this.owing) this.shut();
  }

  leave(why: Why, clock: Clock): void {
    if (this.state === OPEN) this.inner.leave(why, clock);
  }

  lost(cause: Cause, _wire: number, clock: Clock): void {
    this.state = CLOSED;
    this.forget();
    this.compression?.close();
    this.inner.lost(cause, this.closeCode === 0 ? ABNORMAL : this.closeCode, clock);
  }

  // ---- what comes in -----------------------------------------------------------------------------------------------

  /** A frame of a message, whose payload begins at `body`; answers the index of what was not taken. */
  private data(input: Uint8Array, body: number, end: number, clock: Clock): number {
    const { reader } = this;
    const { opcode, length, fin, key } = reader;
    if (this.state === OPEN) {
      if ((opcode === C.CONTINUATION) !== this.within)
        return this.fail(this.within ? faults.messageWithin : faults.nothingToContinue, end);
      if (length > this.limits.messageBytesMax - this.gathered.length) return this.fail(faults.messageTooBig, end);
    }
    if (opcode !== C.CONTINUATION) {
      this.text = opcode === C.TEXT;
      this.compressed = reader.compressed;
      if (fin && this.state === OPEN && length <= end - body) {
        const next = body + length;
        if (key !== 0) C.applyKey(input, body, next, key);
        this.whole(input, body, next, clock);
        return next;
      }
    }
    this.within = true;
    this.left = length;
    this.key = key;
    this.last = fin;
    if (length === 0) this.frameDone(clock);
    return body;
  }

  /** The next bytes of a frame that comes in parts. */
  private takePayload(input: Uint8Array, start: number, end: number, clock: Clock): number {
    const size = Math.min(this.left, end - start);
    const next = start + size;
    this.left -= size;
    if (this.state === OPEN) {
      if (this.key !== 0) C.applyKey(input, start, next, this.key);
      this.key = C.turnKey(this.key, size);
      if (this.text && !this.compressed && !this.utf8.push(input, start, next)) return this.fail(faults.notUtf8, end);
      if (size > this.gathering.bytesMax - this.gathering.held) return this.fail(faults.tooMuchHeld, end);
      this.gathered.append(input, start, next);
      this.gathering.held += size;
    }
    if (this.left === 0) this.frameDone(clock);
    return next;
  }

  private frameDone(clock: Clock): void {
    if (!this.last) return;
    this.within = false;
    if (this.state !== OPEN) return;
    const { gathered, text, compressed } = this;
    if (compressed) this.whole(gathered.bytes, gathered.start, gathered.end, clock);
    else if (text && !this.utf8.isWhole) this.fail(faults.notUtf8, 0);
    else this.inner.receive(gathered.bytes, gathered.start, gathered.end, text, clock);
    this.forget();
  }

  /** A whole message that lies in one place, unmasked. */
  private whole(input: Uint8Array, start: number, end: number, clock: Clock): void {
    if (this.compressed) this.inflate(input, start, end, clock);
    else if (this.text && !this.isText(input, start, end)) this.fail(faults.notUtf8, 0);
    else this.inner.receive(input, start, end, this.text, clock);
  }

  private inflate(input: Uint8Array, start: number, end: number, clock: Clock): void {
    const plain = new KeptBytes();
    const fault = this.compression!.inflate(input, start, end, this.limits.messageBytesMax, plain);
    if (fault !== null) this.fail(fault, 0);
    else if (this.text && !this.isText(plain.bytes, plain.start, plain.end)) this.fail(faults.notUtf8, 0);
    else this.inner.receive(plain.bytes, plain.start, plain.end, this.text, clock);
    plain.clear();
  }

  private isText(bytes: Uint8Array, start: number, end: number): boolean {
    return this.utf8.push(bytes, start, end) && this.utf8.isWhole;
  }

  private control(input: Uint8Array, start: number, end: number, clock: Clock): void {
    const { opcode } = this.reader;
    if (opcode === C.CLOSE) this.closed(input, start, end, clock);
    else if (opcode === C.PING && this.state === OPEN) {
      // Only the last of several pings must be answered (§5.5.3).
      if (this.pipe.room === 0) this.pong = copyOf(input, start, end);
      else this.write(C.PONG, false, input, start, end);
    }
  }

  /** The peer's close frame (§5.5.1). */
  private closed(input: Uint8Array, start: number, end: number, clock: Clock): void {
    let code = NO_CODE;
    if (end - start === 1) {
      this.fail(faults.closeTooShort, 0);
      return;
    }
    if (end > start) {
      code = u16(input, start);
      if (!mayBeSent(code)) {
        this.fail(faults.closeCode, 0);
        return;
      }
      this.utf8.reset();
      if (!this.isText(input, start + 2, end)) {
        this.fail(faults.notUtf8, 0);
        return;
      }
    }
    this.closeCode = code;
    if (this.keys === null) {
      this.owing = this.state === OPEN && this.inner.finish?.() === true;
      if (!this.owing) this.answerClose();
      else this.dueAt = clock.now + this.limits.closeMs;
      return;
    }
    if (this.state === OPEN) this.sayClose(code, '');
    // The server closes the connection first (§7.1.1).
    this.state = CLOSED;
    this.forget();
    this.dueAt = clock.now + this.limits.closeMs;
    this.pipe.flush();
  }

  /** A server's answer to the peer's close frame, upon which it closes the connection (§7.1.1). */
  private answerClose(): void {
    if (this.state === OPEN) this.sayClose(this.closeCode, '');
    this.shut();
  }

  // ---- what goes out -----------------------------------------------------------------------------------------------

  private write(opcode: number, compressed: boolean, bytes: Uint8Array, start: number, end: number): void {
    const { pipe, keys } = this;
    const { out } = pipe;
    C.writeHead(out, opcode, compressed, end - start, keys !== null);
    if (keys === null) pipe.share(bytes, start, end);
    else {
      const key = keys.next();
      out.u32(key);
      const size = end - start;
      if (size <= MASKED_IN_PLACE) {
        out.copy(bytes, start, end);
        C.applyKey(out.bytes, out.length - size, out.length, key);
      } else {
        const masked = copyOf(bytes, start, end);
        C.applyKey(masked, 0, size, key);
        pipe.share(masked, 0, size);
      }
    }
    pipe.flush();
  }

  private sayClose(code: number, reason: string): void {
    if (code === NO_CODE) {
      this.write(C.CLOSE, false, NOTHING, 0, 0);
      return;
    }
    const said = Buffer.from(reason);
    const size = said.length <= REASON_MAX ? said.length : characterBefore(said, REASON_MAX);
    const body = Buffer.allocUnsafe(2 + size);
    body.writeUInt16BE(code);
    said.copy(body, 2, 0, size);
    this.write(C.CLOSE, false, body, 0, body.length);
  }

  /** Fails the WebSocket (§7.1.7); answers `next`. */
  private fail(fault: Fault, next: number): number {
    if (this.state === CLOSED) return next;
    if (this.state === OPEN) this.sayClose(fault.wire, fault.text);
    this.state = CLOSED;
    this.dueAt = NEVER;
    this.forget();
    this.pipe.fail(fault);
    return next;
  }

  /** Nothing more is said: closes the connection. */
  private shut(): void {
    this.state = CLOSED;
    this.forget();
    this.dueAt = NEVER;
    this.pipe.end();
    this.pipe.flush();
  }

  /** Drops what was gathered of a message. */
  private forget(): void {
    this.gathering.held -= this.gathered.length;
    this.gathered.clear();
    this.utf8.reset();
    this.pong = null;
  }

  /** `dueAt` has come. */
  private watch(clock: Clock): void {
    const { now } = clock;
    if (this.owing) this.answerClose();
    else if (this.state === OPEN) this.watchOpen(now);
    else if (this.state === CLOSING && !this.closeTimed) {
      this.closeTimed = true;
      this.dueAt = now + this.limits.closeMs;
    } else this.shut();
  }

  private watchOpen(now: Instant): void {
    const { pingMs, pongMs } = this.limits;
    const { queued } = this.pipe;
    // Who takes what was queued is there. One that is not read and has nothing to take cannot show it.
    const takes = queued < this.queuedThen;
    this.queuedThen = queued;
    if (this.dueAt === SOON || (this.paused && queued === 0)) this.heardAt = now;
    if (this.heardAt > this.pingedAt) this.pingedAt = 0;
    if (this.pingedAt !== 0) {
      if (takes) this.dueAt = now + pongMs;
      else this.fail(faults.noPong, 0);
    } else if (now - this.heardAt < pingMs) this.dueAt = this.heardAt + pingMs;
    else {
      this.write(C.PING, false, NOTHING, 0, 0);
      this.pingedAt = now;
      this.dueAt = now + pongMs;
    }
  }
}

const NOTHING = Buffer.alloc(0);

/** The last index up to `at` at which a character of UTF-8 begins. */
function characterBefore(bytes: Uint8Array, at: number): number {
  while (at > 0 && (bytes[at]! & 0xc0) === 0x80) at--;
  return at;
}
