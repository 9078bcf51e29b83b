// The data side of a control connection: which data connection is agreed on, how it is made, and the one transfer that uses
// it. It writes the replies of transfers and knows no other command.
import { OK, type Outcome } from '../../core/outcome.ts';
import type { Address } from '../../core/peer.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { DataConnection, type DataEvents } from './data.ts';
import { faults } from './faults.ts';
import type { Job, JobEnds, Storing } from './jobs.ts';
import { REPLIES } from './outcomes.ts';
import type { DataWanted, Upper } from './upper.ts';

/** What the control connection lends. */
export interface Control {
  readonly clock: Clock;
  readonly upper: Upper;
  /** Data travel within TLS. */
  readonly protects: boolean;
  readonly resumeData: boolean;
  readonly bounds: { readonly dataConnectMs: number; readonly dataIdleMs: number };
  reply(code: number, text: string): void;
  /** A transfer is under way: what was held is looked at again, since some of it may be said meanwhile. */
  transferring(): void;
  /** The transfer has been answered. */
  transferred(clock: Clock): void;
}

export class Transfers implements DataEvents, JobEnds {
  private readonly control: Control;
  /** Where the peer wants to be connected to. */
  private target: Address | null = null;
  /** The port on which somebody is awaited. */
  private awaited: Awaited | null = null;
  /** It stands: not used yet, or in use. */
  private connection: DataConnection | null = null;
  private giveUp: (() => void) | null = null;
  private job: Job | null = null;
  private isRunning = false;
  /** The file came whole and is being made durable. */
  private isCommitting = false;
  private until: Instant = NEVER;

  constructor(control: Control) {
    this.control = control;
  }

  get clock(): Clock {
    return this.control.clock;
  }

  // ---- how data connections are agreed on --------------------------------------------------------------------------

  /** Listens for one connection of `from`, and tells the port, or null. */
  passive(from: Address, told: (port: number | null) => void): void {
    const { upper, bounds, clock } = this.control;
    const { awaited } = this;
    this.target = null;
    this.connection?.drop();
    this.connection = null;
    // Who asks again without having come is told the same port again: a connection has one.
    if (awaited !== null && awaited.port !== 0 && awaited.until - clock.now > bounds.dataConnectMs / 2) {
      told(awaited.port);
      return;
    }
    const until = clock.now + bounds.dataConnectMs;
    const next = new Awaited(this, until, told);
    this.awaited = next;
    upper.listen(from, until, next);
  }

  active(target: Address): void {
    this.reset();
    this.target = target;
  }

  /** Forgets what was agreed on. */
  reset(): void {
    this.target = null;
    this.awaited = null;
    this.giveUp?.();
    this.giveUp = null;
    this.connection?.drop();
    this.connection = null;
  }

  /** Somebody came to a port of ours, or answered: the session of that pipe. */
  arrived(pipe: Pipe, awaited: DataWanted): Session {
    const { bounds, clock } = this.control;
    const connection = new DataConnection(pipe, this, bounds.dataIdleMs, bounds.dataConnectMs, clock);
    const isWanted = awaited === this.awaited && this.connection === null;
    if (awaited === this.awaited) this.awaited = null;
    if (!isWanted) connection.drop();
    else {
      this.connection = connection;
      this.giveUp = null;
      if (this.job !== null && !this.isRunning) this.start();
    }
    return connection;
  }

  /** Nobody came, or answered. */
  missed(awaited: DataWanted, clock: Clock): void {
    if (awaited !== this.awaited) return;
    this.awaited = null;
    this.giveUp = null;
    if (this.job !== null && this.connection === null) this.fail(425, 'The data connection could not be made.', clock);
  }

  // ---- transfers ---------------------------------------------------------------------------------------------------

  get isAgreed(): boolean {
    return this.target !== null || this.awaited !== null || this.connection !== null;
  }

  get isBusy(): boolean {
    return this.job !== null;
  }

  /** Whether it can still be taken back. */
  get isAbortable(): boolean {
    return !this.isCommitting;
  }

  get deadline(): Instant {
    return this.until;
  }

  /** For STAT. */
  get progress(): string {
    const { job, connection } = this;
    if (job === null) return 'No transfer is under way.';
    return `${job.title}: ${connection?.moved ?? 0} bytes so far.`;
  }

  /** Begins as soon as there is a connection; the answer is written here. */
  run(job: Job): void {
    const { clock, upper, bounds } = this.control;
    this.job = job;
    this.control.transferring();
    if (this.connection !== null) this.start();
    else if (this.awaited !== null || this.target !== null) {
      this.until = clock.now + bounds.dataConnectMs;
      if (this.target === null) return;
      const called = new Awaited(this, this.until, null);
      this.awaited = called;
      this.giveUp = upper.dial(this.target, called);
      this.target = null;
    } else this.fail(425, 'Say PASV, EPSV, PORT or EPRT first.', clock);
  }

  private start(): void {
    const { control, connection, job } = this;
    this.isRunning = true;
    this.until = NEVER;
    control.reply(150, `${job!.title}.`);
    const { tls } = control.upper;
    if (control.protects && tls !== null) connection!.secure(tls, control.clock);
    else job!.begin(connection!, control.clock);
  }

  secured(resumed: boolean): void {
    const { control, job, connection } = this;
    if (job === null || connection === null) return;
    if (control.resumeData && !resumed) this.fail(522, `${faults.dataNotResumed.text}.`, control.clock);
    else job.begin(connection, control.clock);
  }

  roomy(): void {
    this.job?.roomy();
  }

  sent(clock: Clock): void {
    this.succeed(clock);
  }

  received(clock: Clock): void {
    if (this.job?.received() !== true) this.succeed(clock);
  }

  /**
   * A process that is killed ends its data connection as one that has sent all, and its control connection in the same
   * moment: while the bytes go to the disk there is time to hear of that, and then nothing appears.
   */
  whole(storing: Storing): void {
    storing.sync((synced) => {
      if (this.job !== storing) return;
      if (synced !== OK) {
        this.fail(...REPLIES[synced], this.clock);
        return;
      }
      this.isCommitting = true;
      storing.commit((outcome) => {
        this.isCommitting = false;
        if (outcome === OK) this.succeed(this.clock);
        else this.fail(...REPLIES[outcome], this.clock);
      });
    });
  }

  broken(outcome: Outcome): void {
    this.fail(...REPLIES[outcome], this.clock);
  }

  stoodStill(clock: Clock): void {
    if (this.job === null) this.reset();
    else this.fail(426, `${faults.dataIdle.text}; what came is kept.`, clock);
  }

  cut(clock: Clock): void {
    const { connection } = this;
    this.connection = null;
    if (this.job === null || connection === null) return;
    const { control } = this;
    const failed = control.protects && connection.pipe.peer.tls === null;
    if (failed) this.fail(522, 'TLS failed on the data connection.', clock);
    else this.fail(426, 'The data connection was cut; what came is kept.', clock);
  }

  /** Waiting for a connection has taken too long. */
  tick(clock: Clock): void {
    if (clock.now < this.until) return;
    this.until = NEVER;
    if (this.job !== null && !this.isRunning) this.fail(425, 'The data connection was not made in time.', clock);
  }

  /** ABOR: ends what is under way; what came of a file is kept. */
  abort(clock: Clock): void {
    if (this.job !== null) this.fail(426, 'The transfer was ended.', clock);
    else this.reset();
  }

  /** The control connection is gone. */
  gone(): void {
    this.job?.cancel();
    this.job = null;
    this.reset();
  }

  private succeed(clock: Clock): void {
    const { job } = this;
    if (job === null) return;
    job.close();
    this.over();
    this.control.reply(226, 'Done.');
    this.control.transferred(clock);
  }

  private fail(code: number, text: string, clock: Clock): void {
    const { job } = this;
    if (job === null) return;
    job.cancel();
    this.over();
    this.control.reply(code, text);
    this.control.transferred(clock);
  }

  private over(): void {
    this.job = null;
    this.isRunning = false;
    this.isCommitting = false;
    this.until = NEVER;
    const { connection } = this;
    // One that ends as it should is left to end.
    if (connection !== null && !connection.isOver) connection.drop();
    this.connection = null;
    this.reset();
  }
}

/** One data connection that is awaited; told apart from those that were awaited before. */
class Awaited implements DataWanted {
  readonly until: Instant;
  port = 0;
  private readonly transfers: Transfers;
  private told: ((port: number | null) => void) | null;

  constructor(transfers: Transfers, until: Instant, told: ((port: number | null) => void) | null) {
    this.transfers = transfers;
    this.until = until;
    this.told = told;
  }

  connected(pipe: Pipe): Session {
    return this.transfers.arrived(pipe, this);
  }

  listening(port: number | null): void {
    this.port = port ?? 0;
    const { told } = this;
    this.told = null;
    if (port === null) this.transfers.missed(this, this.transfers.clock);
    told?.(port);
  }

  failed(): void {
    this.transfers.missed(this, this.transfers.clock);
  }
}
