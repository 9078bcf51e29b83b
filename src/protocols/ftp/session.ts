// What may come when on FTP's control connection, and what is answered: commands in, replies out, in their order. Who may enter
// is in session-access.ts, files in session-files.ts, data connections in session-transfers.ts; what all that means is the
// upper half's.
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import { type Cause, IDLE, OVERLOADED, type Pipe, REVOKED, SHUTDOWN, type Why } from '../../core/pipe.ts';
import type { Clock, Instant } from '../../core/time.ts';
import { writeReply, writeReplyBlock } from '../text/replies.ts';
import { DONE, type Step, TextSession, UNHEARD } from '../text/session.ts';
import { CommandLine } from './codec.ts';
import { ARGUMENT, BARE, COMMANDS, DATA, NOT_DONE, NOT_EPSV, SIGNED } from './commands.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { FACT_NAMES, NAME_ON_THE_WIRE } from './listing.ts';
import { Access } from './session-access.ts';
import { Carriage } from './session-carriage.ts';
import { FileCommands } from './session-files.ts';
import { type Control, Transfers } from './session-transfers.ts';
import { ALGORITHMS, type FtpRules, type Upper } from './upper.ts';

export type FtpLimits = Bound<typeof limits>;

const GOODBYES: Readonly<Record<Why, string>> = {
  [SHUTDOWN]: 'The server is shutting down.',
  [REVOKED]: 'This account may no longer be used.',
  [IDLE]: 'Nothing was said for too long.',
  [OVERLOADED]: 'The server has too much to do.',
};

/** NOOPs that wait for the end of a transfer. */
const NOOPS_MAX = 100;

export interface FtpOptions {
  readonly limits: FtpLimits;
  readonly rules: FtpRules;
  readonly software: string;
  /** TLS comes before the greeting (port 990). */
  readonly implicit: boolean;
  clock(): Clock;
}

export class FtpSession extends TextSession implements Control {
  readonly upper: Upper;
  readonly bounds: FtpLimits;
  readonly access: Access;
  private readonly options: FtpOptions;
  private readonly transfers: Transfers;
  private readonly carriage: Carriage;
  private readonly files: FileCommands;
  private readonly said = new CommandLine();
  private quits = false;
  private noops = 0;

  constructor(pipe: Pipe, options: FtpOptions, upper: (session: FtpSession) => Upper) {
    const { limits: bounds } = options;
    const { lineBytesMax, unknownMax, idleMs } = bounds;
    super(pipe, { lineBytesMax, unknownMax, idleMs, faults }, options.clock());
    this.options = options;
    this.bounds = bounds;
    this.upper = upper(this);
    this.transfers = new Transfers(this);
    this.access = new Access(this, options.rules, options.implicit);
    this.carriage = new Carriage(this, this.transfers);
    this.files = new FileCommands(this, this.transfers, this.carriage);
    if (options.implicit && pipe.peer.tls === null && this.upper.tls !== null) this.startTls(this.upper.tls);
    else {
      this.access.isSecured = pipe.peer.tls !== null;
      this.greet();
    }
  }

  get clock(): Clock {
    return this.options.clock();
  }

  get protects(): boolean {
    return this.access.protects;
  }

  get resumeData(): boolean {
    return this.options.rules.resumeData;
  }

  greet(): void {
    this.reply(220, `${this.options.software} FTP.`);
  }

  reply(code: number, text: string): void {
    if (this.over) return;
    writeReply(this.pipe.out, code, text);
    this.pipe.flush();
  }

  block(code: number, first: string, lines: readonly string[], last: string): void {
    if (this.over) return;
    writeReplyBlock(this.pipe.out, code, first, lines, last);
    this.pipe.flush();
  }

  /** A command that had to wait has been answered. */
  answered(): void {
    this.proceed(this.clock);
  }

  /** Ends behind what was written: a peer that tries too often. */
  breakOff(fault: Fault): void {
    this.fail(fault);
  }

  turnToTls(): Step {
    const { tls } = this.upper;
    return tls === null ? DONE : this.startTls(tls);
  }

  protected override secured(): void {
    if (this.options.implicit && !this.access.isSecured) this.greet();
    this.access.isSecured = true;
  }

  // ---- commands ----------------------------------------------------------------------------------------------------

  protected command(input: Uint8Array, start: number, stop: number): Step {
    const { said: line } = this;
    if (start === stop) return DONE;
    line.read(input, start, stop, this.pipe.out);
    const { verb, argument } = line;
    const needs = COMMANDS.get(verb);
    if (needs === undefined) return this.unheard(verb);
    // Whoever knows a command of FTP is no browser.
    this.acquainted = true;
    if (verb !== 'RNTO') this.files.renames = '';
    if (!line.isText) return this.say(501, 'That is not UTF-8, or has control characters.');
    if ((needs & ARGUMENT) !== 0 && argument === '') return this.say(501, `${verb} needs something behind it.`);
    if ((needs & BARE) !== 0 && argument.trim() !== '') return this.say(501, `${verb} has nothing behind it.`);
    if ((needs & SIGNED) !== 0 && !this.access.isSignedIn) return this.say(530, 'Sign in first.');
    if ((needs & NOT_EPSV) !== 0 && this.carriage.onlyEpsv)
      return this.say(503, 'EPSV ALL was said: only EPSV is used.');
    if ((needs & DATA) !== 0) return this.transfer(verb, argument);
    return this.plain(verb, argument);
  }

  private unheard(verb: string): Step {
    if (NOT_DONE.has(verb)) {
      this.acquainted = true;
      return this.say(502, `${verb} is not done here.`);
    }
    this.reply(500, 'There is no such command.');
    return UNHEARD;
  }

  say(code: number, text: string): Step {
    this.reply(code, text);
    return DONE;
  }

  private transfer(verb: string, argument: string): Step {
    if (this.access.needsProtection) return this.say(521, 'Data travel within TLS here: say PBSZ 0 and PROT P.');
    if (!this.transfers.isAgreed) return this.say(425, 'Say PASV, EPSV, PORT or EPRT first.');
    return this.files.transfer(verb, argument);
  }

  private plain(verb: string, argument: string): Step {
    switch (verb) {
      case 'USER':
      case 'PASS':
      case 'REIN':
      case 'HOST':
      case 'AUTH':
      case 'PBSZ':
      case 'PROT':
      case 'CCC':
        return this.access.run(verb, argument);
      case 'QUIT':
        this.reply(221, 'Goodbye.');
        this.end();
        return DONE;
      case 'NOOP':
        return this.say(200, 'OK.');
      case 'SYST':
        // What clients know how to read the listings of.
        return this.say(215, 'UNIX Type: L8');
      case 'FEAT':
        return this.features();
      case 'HELP':
        return this.help(argument);
      case 'OPTS':
        return this.files.options(argument);
      case 'LANG':
        return argument === '' || /^en\b/i.test(argument)
          ? this.say(200, 'It is English.')
          : this.say(504, 'English is all that is spoken.');
      case 'CLNT':
        return this.say(200, 'Good to know.');
      case 'ABOR':
        this.transfers.abort(this.clock);
        return this.say(226, 'No transfer was under way.');
      case 'STAT':
        return this.status(argument);
      case 'TYPE':
      case 'MODE':
      case 'STRU':
      case 'PASV':
      case 'EPSV':
      case 'PORT':
      case 'EPRT':
      case 'ALLO':
        return this.carriage.run(verb, argument);
      default:
        return this.files.run(verb, argument);
    }
  }

  private features(): Step {
    const facts = FACT_NAMES.map((name) => `${NAME_ON_THE_WIRE[name]}${this.files.facts.has(name) ? '*' : ''};`).join(
      '',
    );
    const hash = ALGORITHMS.map((name) => `${name}${this.files.algorithm === name ? '*' : ''}`).join(';');
    const lines = ['EPRT', 'EPSV', `HASH ${hash}`, 'HOST', 'LANG EN*', 'MDTM', 'MFMT', `MLST ${facts}`, 'RANG STREAM'];
    lines.push('REST STREAM', 'SIZE', 'TVFS', 'UTF8');
    if (this.upper.tls !== null) lines.unshift('AUTH TLS', 'PBSZ', 'PROT');
    this.block(211, 'What is here beside RFC 959:', lines, 'End.');
    return DONE;
  }

  private help(argument: string): Step {
    const verb = argument.trim().toUpperCase();
    if (verb !== '')
      return COMMANDS.has(verb) ? this.say(214, `${verb} is known.`) : this.say(502, 'There is no such command.');
    const all = [...COMMANDS.keys()];
    const lines: string[] = [];
    for (let at = 0; at < all.length; at += 12) lines.push(all.slice(at, at + 12).join(' '));
    this.block(214, 'Commands:', lines, 'End.');
    return DONE;
  }

  private status(argument: string): Step {
    if (argument !== '') {
      if (!this.access.isSignedIn) return this.say(530, 'Sign in first.');
      return this.files.statusOf(argument);
    }
    const { access } = this;
    this.block(
      211,
      `${this.options.software} FTP`,
      [
        access.isSignedIn ? `Signed in as ${access.name}.` : 'Nobody has signed in.',
        `The control connection is ${access.isSecured ? 'within TLS' : 'in the clear'}, data are ${access.protects ? 'within TLS' : 'in the clear'}.`,
        `TYPE ${this.carriage.isText ? 'A' : 'I'}, MODE S, STRU F.`,
        this.transfers.progress,
      ],
      'End.',
    );
    return DONE;
  }

  // ---- while a command is under way --------------------------------------------------------------------------------

  protected override interrupt(input: Uint8Array, start: number, stop: number, clock: Clock): boolean {
    const { said: line, transfers } = this;
    // What else is under way ends soon.
    if (!transfers.isBusy) return false;
    if (start === stop) return true;
    line.read(input, start, stop, this.pipe.out);
    switch (line.verb) {
      case 'ABOR':
        if (!transfers.isAbortable || this.quits) return false;
        transfers.abort(clock);
        this.reply(226, 'The transfer was ended.');
        return true;
      case 'STAT':
        if (line.argument !== '' || this.quits) return false;
        this.status('');
        return true;
      case 'NOOP':
        // Some say it to keep the connection; it is answered in its turn.
        if (this.noops >= NOOPS_MAX || this.quits) return false;
        this.noops++;
        return true;
      case 'QUIT':
        // Done once the transfer has been answered (RFC 959 §4.1.1); what follows is nobody's.
        this.quits = true;
        return true;
      default:
        return this.quits;
    }
  }

  transferring(): void {
    this.release();
    // There is a deadline now.
    this.pipe.flush();
  }

  transferred(clock: Clock): void {
    for (; this.noops > 0; this.noops--) this.reply(200, 'OK.');
    if (this.quits) {
      this.reply(221, 'Goodbye.');
      this.end();
    }
    this.proceed(clock);
  }

  protected override abandon(clock: Clock): boolean {
    // A peer that went away without QUIT has not sent all of its file, though its data connection may have ended well.
    if (this.quits || !this.transfers.isBusy || !this.transfers.isAbortable) return false;
    this.transfers.abort(clock);
    return true;
  }

  protected override get timeoutAt(): Instant {
    return this.transfers.deadline;
  }

  protected override timeout(clock: Clock): void {
    this.transfers.tick(clock);
  }

  // ---- endings -----------------------------------------------------------------------------------------------------

  protected tooLong(): void {
    this.reply(500, 'The line is too long.');
  }

  protected refuse(fault: Fault): void {
    this.reply(fault.wire, `${fault.text}.`);
  }

  protected goodbye(why: Why): void {
    if (this.transfers.isBusy) this.transfers.gone();
    this.reply(421, GOODBYES[why]);
  }

  protected gone(_cause: Cause, _clock: Clock): void {
    this.transfers.gone();
    this.upper.gone();
  }

  begin(home: string): void {
    this.files.begin(home);
  }

  /** Somebody else is to sign in: what the one before agreed on is forgotten. */
  forget(): void {
    this.transfers.reset();
    this.files.forget();
    this.carriage.forget();
  }
}
