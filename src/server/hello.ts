// A port with TLS: the first bytes are read to the end of the client's hello, so that whoever shakes hands knows what is
// asked for. What is no TLS is told so. Behind the handshake ALPN chooses the protocol, else first bytes do, else the first.
import { copyOf, MORE } from '../bytes/reader.ts';
import { type Cause, FAULT, HANDSHAKE, type Pipe, type Session } from '../core/pipe.ts';
import type { StreamPipe } from '../core/stream-pipe.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';
import type { TlsPolicy } from '../core/tls.ts';
import { readClientHello } from '../transports/client-hello.ts';
import { type Choice, type Fallback, RecognisingSession } from './recognise.ts';

/** How long a client may take to its hello. */
export const HELLO_MS = 10_000;

/** Who may be spoken to behind the handshake. */
export interface SecuredChoice extends Choice {
  readonly alpn: string | null;
}

/** How many handshakes of a port came to what. */
export interface HandshakeFigures {
  done: number;
  /** Done, by going on with a session of before. */
  resumed: number;
  failed: number;
  /** What was no TLS at all. */
  plain: number;
}

export interface TlsDoor {
  readonly policy: TlsPolicy;
  /** The first is who is meant where nothing tells. */
  readonly choices: readonly SecuredChoice[];
  readonly figures: HandshakeFigures;
}

/** How TLS begins: a handshake record (RFC 8446 §5.1). */
export function beginsTls(bytes: Uint8Array, start: number, end: number): boolean | null {
  if (start === end) return null;
  if (bytes[start] !== 22) return false;
  return end - start < 2 ? null : bytes[start + 1] === 3;
}

export class HelloSession implements Session {
  deadline: Instant;
  private readonly pipe: StreamPipe;
  private readonly door: TlsDoor;
  private securing = false;
  private over = false;

  constructor(pipe: StreamPipe, clock: Clock, door: TlsDoor) {
    this.pipe = pipe;
    this.door = door;
    this.deadline = clock.now + HELLO_MS;
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    if (this.securing || this.over) return end;
    if (beginsTls(input, start, end) === false) {
      this.refusePlain(input, start, end);
      return end;
    }
    const hello = readClientHello(input, start, end);
    if (hello === MORE) return start;
    this.securing = true;
    this.deadline = NEVER;
    // What cannot be read is for the library to refuse, with the alert that it deserves.
    this.pipe.secureWith(this.door.policy, copyOf(input, start, end), (pipe) => this.secured(pipe, clock));
    return end;
  }

  private secured(pipe: Pipe, clock: Clock): Session {
    const { choices, figures } = this.door;
    this.securing = false;
    if (pipe.peer.tls?.resumed === true) figures.resumed++;
    else figures.done++;
    const alpn = pipe.peer.tls?.alpn ?? null;
    const named = alpn === null ? undefined : choices.find((choice) => choice.alpn === alpn);
    if (named !== undefined) return begin(pipe, named);
    const first = choices[0]!;
    return choices.length === 1 ? begin(pipe, first) : new RecognisingSession(pipe, clock, choices, first);
  }

  /** Browsers and others that forgot the `s` of `https` are told in words that they can read. */
  private refusePlain(input: Uint8Array, start: number, end: number): void {
    const { pipe } = this;
    this.over = true;
    this.deadline = NEVER;
    this.door.figures.plain++;
    if (looksLikeHttp(input, start, end)) {
      const host = pipe.peer.local === null ? 'localhost' : hostText(pipe.peer.local.host);
      const text = `This port is for HTTPS: use https://${host}:${pipe.peer.local?.port ?? 443}/\n`;
      pipe.out.ascii(
        `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n` +
          `Connection: close\r\n\r\n${text}`,
      );
      pipe.flush();
    }
    pipe.stopReading(0);
    pipe.end();
  }

  overlong(): void {
    this.pipe.reset(0);
  }

  writable(): void {}

  tick(): void {
    this.deadline = NEVER;
    this.door.figures.failed++;
    this.pipe.reset(0);
  }

  finish(): void {
    this.deadline = NEVER;
    this.pipe.end();
  }

  leave(): void {
    this.deadline = NEVER;
    this.over = true;
    this.pipe.end();
  }

  lost(cause: Cause): void {
    if (this.securing || cause === HANDSHAKE || cause === FAULT) this.door.figures.failed++;
  }
}

function begin(pipe: Pipe, { name, make }: Fallback): Session {
  pipe.speaks(name);
  return make(pipe);
}

function looksLikeHttp(bytes: Uint8Array, start: number, end: number): boolean {
  const text = Buffer.from(bytes.subarray(start, Math.min(end, start + 16))).toString('latin1');
  return /^[A-Z]{3,10} [/*h]/.test(text);
}

function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
