// What a server's inspector tells while the tour goes on, kept by connection: what the control socket did not say is not
// here.
import { type ControlHold, callControl } from '../control/client.ts';
import type { Ask, FrameSaid, Greeting, Said, Status } from '../control/words.ts';
import type { KernelFigures } from '../core/tap.ts';
import type { FrameSeen, Seen } from '../inspector/seen.ts';
import type { WhyAnswer } from '../resources/topics/contract.ts';
import type { TurnLoop } from '../server/turn.ts';

/** One connection as the server saw it. */
export interface SeenConnection {
  readonly connection: number;
  readonly from: string;
  readonly to: string;
  readonly carrier: string;
  readonly openedAt: number;
  /** What was spoken on it, in order. */
  readonly layers: string[];
  readonly frames: FrameSaid[];
  readonly faults: string[];
  /** The last that the kernel said. */
  kernel: KernelFigures | null;
  /** How it ended; '' while it stands. */
  cause: string;
}

/** After so much silence the inspector has told all; and so long is waited for it at most. */
const QUIET_MS = 60;
const SETTLE_MS = 3_000;

export class TourFeed {
  readonly connections = new Map<number, SeenConnection>();
  /** Why there will be no more; '' while it goes on. */
  over = '';
  private readonly path: string;
  private readonly turn: TurnLoop;
  private hold: ControlHold | null = null;
  private lastAt = 0;
  private lostEvents = 0;
  private watching: (() => void) | null = null;

  constructor(path: string, turn: TurnLoop) {
    this.path = path;
    this.turn = turn;
  }

  /** Begins to watch. Rejects when nobody answers. */
  async watch(kernel: boolean): Promise<void> {
    const began = new Promise<void>((resolve) => {
      this.watching = resolve;
    });
    this.hold = await callControl(
      this.path,
      this.turn,
      { ask: 'watch', pieces: true, kernel },
      {
        said: (said) => this.said(said),
        closed: () => this.end('the server went away'),
      },
    );
    await began;
    if (this.over !== '') throw new Error(this.over);
  }

  status(): Promise<Status> {
    return this.ask({ ask: 'status' }, (said) => ('answer' in said && said.answer === 'status' ? said : null));
  }

  why(topic: string): Promise<readonly WhyAnswer[]> {
    return this.ask({ ask: 'why', topic, cursor: 0 }, (said) =>
      'answer' in said && said.answer === 'why' ? said.subscribers : null,
    );
  }

  /** Resolves when `told` holds and the inspector is silent, or when it was waited for long enough. */
  async settled(told: () => boolean): Promise<void> {
    const until = performance.now() + SETTLE_MS;
    const since = performance.now();
    while (performance.now() < until && this.over === '') {
      if (told() && performance.now() - Math.max(this.lastAt, since) > QUIET_MS) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** How many events the server did not tell since this was last asked. */
  takeLost(): number {
    const lost = this.lostEvents;
    this.lostEvents = 0;
    return lost;
  }

  close(): void {
    this.over ||= 'the tour is over';
    this.hold?.end();
  }

  private ask<Answer>(ask: Ask, read: (said: Exclude<Said, Greeting>) => Answer | null): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let hold: ControlHold | null = null;
      let isAnswered = false;
      const said = (line: Exclude<Said, Greeting>) => {
        const answer = read(line);
        isAnswered = true;
        if (answer !== null) resolve(answer);
        else reject(new Error('error' in line ? line.error : 'the server answered something else'));
        hold?.end();
      };
      const closed = () => reject(new Error('the server went away'));
      callControl(this.path, this.turn, ask, { said, closed }).then((made) => {
        hold = made;
        if (isAnswered) made.end();
      }, reject);
    });
  }

  private end(why: string): void {
    this.over ||= why;
    this.watching?.();
  }

  private said(said: Exclude<Said, Greeting>): void {
    if ('error' in said) this.end(said.error);
    else if ('answer' in said) this.watching?.();
    else if (said.event === 'end') this.end(`the server ended (${said.why})`);
    else if (said.event === 'lost') this.lostEvents += said.events;
    else this.happened(said);
  }

  private happened(said: Exclude<Seen, FrameSeen> | FrameSaid): void {
    // The kernel is asked by the clock, whatever happens.
    if (said.event !== 'kernel') this.lastAt = performance.now();
    if (said.event === 'opened') {
      const { connection, from, to, carrier, at, protocol } = said;
      const seen = { connection, from, to, carrier, openedAt: at, kernel: null, cause: '' };
      this.connections.set(connection, { ...seen, layers: [protocol], frames: [], faults: [] });
      return;
    }
    const of = this.connections.get(said.connection);
    if (of === undefined) return;
    if (said.event === 'layer') of.layers.push(said.protocol);
    else if (said.event === 'frame') of.frames.push(said);
    else if (said.event === 'fault') of.faults.push(`${said.text} (${said.spec})`);
    else if (said.event === 'kernel') of.kernel = said.kernel;
    else if (said.event === 'closed') {
      of.cause = said.cause;
      of.kernel = said.kernel ?? of.kernel;
    }
  }
}

/** Whether a frame says this text anywhere. */
export function mentions({ summary, value, pieces = [] }: FrameSaid, text: string): boolean {
  return summary.includes(text) || value.includes(text) || JSON.stringify(pieces).includes(text);
}
