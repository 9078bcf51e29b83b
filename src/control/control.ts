// The control socket of a running server: `control.sock` in its data folder, for this user alone. Watching needs an
// administrator, and whoever may open the data folder is one; nobody is over a network. The connections to it are in no
// register, so that the inspector never shows its own traffic.

import type { Fault } from '../core/fault.ts';
import type { Log } from '../core/log.ts';
import { type Pipe, SHUTDOWN } from '../core/pipe.ts';
import { PIPE_BOUNDS, type StreamPipe } from '../core/stream-pipe.ts';
import type { KernelFigures, Tap } from '../core/tap.ts';
import type { Turn } from '../core/turn.ts';
import type { Dissectors } from '../inspector/lane.ts';
import { Recorder } from '../inspector/recorder.ts';
import { openUnix } from '../server/doors.ts';
import { type ControlHost, ControlSession } from './session.ts';
import { ASK_BYTES_MAX, type Status } from './words.ts';

/** Connections at once. */
const CONNECTIONS_MAX = 16;

/** How long a watcher may take to read the end of it. */
const LEAVE_MS = 500;

/** Between two steps of the dissectors: with their bound, a fifth of the time at most. */
const STEP_EVERY_MS = 8;

/** For those who want it, the kernel is asked about so many connections at most, and as often. */
const KERNEL_EVERY_MS = 1_000;
const KERNEL_CONNECTIONS_MAX = 1_000;

export interface ControlOptions extends Pick<ControlHost, 'version' | 'why' | 'order' | 'isFilter' | 'matches'> {
  readonly status: () => Omit<Status, 'watching'>;
  readonly turn: Turn;
  readonly log: Log;
  readonly dissectors: Dissectors;
  /** Shows all connections to a tap; null shows them to nobody. */
  readonly show: (tap: Tap | null) => void;
  /** What the kernel says of each connection, asked as it is read. */
  readonly kernel: () => Iterator<readonly [pipe: number, figures: KernelFigures | null]>;
}

export interface Control {
  readonly path: string;
  /** Tells the watchers what they were not told yet, and that it is the end. */
  close(): Promise<void>;
}

/** Opens the socket. Rejects with a `ListenError`. */
export async function openControl(path: string, options: ControlOptions): Promise<Control> {
  const house = new ControlHouse(options);
  const listening = await openUnix('the control socket', path, {
    turn: options.turn,
    bounds: { ...PIPE_BOUNDS, inputMax: ASK_BYTES_MAX + 1 },
    events: house,
    admit: () => house.pipes.size < CONNECTIONS_MAX,
    opened: (pipe) => house.pipes.add(pipe),
    accept: (pipe: Pipe) => new ControlSession(pipe, house),
  });
  return {
    path,
    async close() {
      await listening.close();
      await house.close();
    },
  };
}

class ControlHouse implements ControlHost {
  readonly pipes = new Set<StreamPipe>();
  private readonly options: ControlOptions;
  private readonly watchers = new Set<ControlSession>();
  private recorder: Recorder | null = null;
  private askingKernel: NodeJS.Timeout | null = null;
  /** Where the last round ended. */
  private round: ReturnType<ControlOptions['kernel']> | null = null;
  private emptied: (() => void) | null = null;

  constructor(options: ControlOptions) {
    this.options = options;
  }

  get version(): string {
    return this.options.version;
  }

  why(topic: string, cursor: number): ReturnType<ControlHost['why']> {
    return this.options.why(topic, cursor);
  }

  order(...[order, answered]: Parameters<ControlHost['order']>): void {
    this.options.order(order, answered);
  }

  status(): Status {
    return { ...this.options.status(), watching: this.watchers.size };
  }

  isFilter(filter: string): boolean {
    return this.options.isFilter(filter);
  }

  matches(filter: string, topic: string): boolean {
    return this.options.matches(filter, topic);
  }

  watch(watcher: ControlSession): void {
    if (watcher.wantsKernel) this.askingKernel ??= setInterval(() => this.askKernel(), KERNEL_EVERY_MS);
    if (this.recorder !== null) {
      for (const seen of this.recorder.standing()) watcher.seen(seen);
      this.watchers.add(watcher);
      return;
    }
    this.watchers.add(watcher);
    this.recorder = this.makeRecorder();
    this.options.show(this.recorder);
    this.options.log.info('somebody watches the connections');
  }

  leave(watcher: ControlSession): void {
    if (!this.watchers.delete(watcher)) return;
    if (this.askingKernel !== null && ![...this.watchers].some(({ wantsKernel }) => wantsKernel)) {
      clearInterval(this.askingKernel);
      this.askingKernel = null;
      this.round = null;
    }
    if (this.watchers.size > 0) return;
    this.options.show(null);
    this.recorder = null;
    this.options.log.info('nobody watches the connections any more');
  }

  async close(): Promise<void> {
    this.recorder?.drain();
    if (this.pipes.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.emptied = resolve;
    });
    for (const pipe of [...this.pipes]) pipe.leave(SHUTDOWN, LEAVE_MS);
    await empty;
  }

  // ---- ConnectionEvents --------------------------------------------------------------------------------------------------

  faulted(_pipe: StreamPipe, _fault: Fault): void {}

  closed(pipe: StreamPipe): void {
    this.pipes.delete(pipe);
    if (this.pipes.size === 0) this.emptied?.();
  }

  private askKernel(): void {
    this.round ??= this.options.kernel();
    for (let asked = 0; asked < KERNEL_CONNECTIONS_MAX; asked++) {
      const { done, value } = this.round.next();
      if (done === true) {
        this.round = null;
        return;
      }
      if (value[1] !== null) this.recorder?.kernel(value[0], value[1]);
    }
  }

  private makeRecorder(): Recorder {
    const { turn, dissectors } = this.options;
    const recorder: Recorder = new Recorder({
      dissectors,
      clock: () => turn.clock,
      later: (step) =>
        void setTimeout(() => {
          // What was left when the last watcher went is of no use to the next.
          if (recorder === this.recorder) step();
        }, STEP_EVERY_MS),
      elapsed: () => performance.now(),
      seen: (seen) => {
        for (const watcher of this.watchers) watcher.seen(seen);
      },
      lost: (events) => {
        for (const watcher of this.watchers) watcher.lose(events);
      },
      bug: (error) => turn.bug(error, 'inspector'),
      wantsBytes: () => {
        for (const watcher of this.watchers) if (watcher.wantsBytes) return true;
        return false;
      },
    });
    return recorder;
  }
}
