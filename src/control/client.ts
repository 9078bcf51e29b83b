// The client's half of the control socket, for the commands: one ask, and the lines that come back.
import { utf8 } from '../bytes/reader.ts';
import type { Pipe, Session } from '../core/pipe.ts';
import { NO_EVENTS, PIPE_BOUNDS } from '../core/stream-pipe.ts';
import { NEVER } from '../core/time.ts';
import type { Turn } from '../core/turn.ts';
import { dial } from '../transports/socket-pipe.ts';
import { type Ask, CONTROL_VERSION, type Greeting, type Said } from './words.ts';

export interface ControlCall {
  /** A line of the server's. */
  said(said: Exclude<Said, Greeting>): void;
  /** It is over. */
  closed(): void;
}

/** What holds a call back, and what ends it. */
export interface ControlHold {
  pause(): void;
  resume(): void;
  end(): void;
}

/** The longest line that a server of ours sends is far below this. */
const LINE_BYTES_MAX = 16_777_216;

/** Asks the server behind a socket. Rejects, with a message for a person, when nobody answers or another version does. */
export function callControl(path: string, turn: Turn, ask: Ask, call: ControlCall): Promise<ControlHold> {
  return new Promise((resolve, reject) => {
    dial(
      { host: '', port: 0, path },
      null,
      { turn, bounds: { ...PIPE_BOUNDS, inputMax: LINE_BYTES_MAX }, events: NO_EVENTS },
      (pipe) => new Caller(pipe, ask, call, resolve, reject),
      (_cause, why) => reject(new Error(why)),
    );
  });
}

class Caller implements Session {
  readonly deadline = NEVER;
  private readonly pipe: Pipe;
  private readonly ask: Ask;
  private readonly call: ControlCall;
  private readonly greeted: (hold: ControlHold) => void;
  private readonly failed: (error: Error) => void;
  private isGreeted = false;
  private paused = false;

  constructor(
    pipe: Pipe,
    ask: Ask,
    call: ControlCall,
    greeted: (hold: ControlHold) => void,
    failed: (error: Error) => void,
  ) {
    this.pipe = pipe;
    this.ask = ask;
    this.call = call;
    this.greeted = greeted;
    this.failed = failed;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    let at = start;
    while (!this.paused) {
      const lineFeed = input.subarray(0, end).indexOf(0x0a, at);
      if (lineFeed < 0) break;
      const said = JSON.parse(utf8(input, at, lineFeed)) as Said;
      at = lineFeed + 1;
      if ('control' in said) this.greet(said);
      else this.call.said(said);
    }
    return at;
  }

  overlong(): void {
    this.pipe.reset(0);
  }

  writable(): void {}
  tick(): void {}

  finish(): void {
    this.pipe.end();
  }

  leave(): void {
    this.pipe.end();
  }

  lost(): void {
    this.failed(new Error('the server ended the connection before it greeted'));
    if (this.isGreeted) this.call.closed();
  }

  private greet({ control, portico }: Greeting): void {
    if (control !== CONTROL_VERSION) {
      this.failed(new Error(`Portico ${portico} runs there; use the command of that version`));
      this.pipe.end();
      return;
    }
    this.isGreeted = true;
    const line = Buffer.from(`${JSON.stringify({ control: CONTROL_VERSION, ...this.ask })}\n`);
    this.pipe.share(line, 0, line.length);
    this.pipe.flush();
    const { pipe } = this;
    this.greeted({
      pause: () => {
        this.paused = true;
        pipe.pause();
      },
      resume: () => {
        this.paused = false;
        pipe.resume();
      },
      end: () => pipe.end(),
    });
  }
}
