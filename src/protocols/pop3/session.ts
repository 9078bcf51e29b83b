// POP3 as a state machine (RFC 1939): who signs in, then a maildrop that is locked, then what was marked is deleted, on QUIT
// alone. Pipelining comes with the text engine; maildrops and accounts are the upper half's.
import { isUtf8, latin1, utf8 } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import { EXISTS, OK, type Outcome, UNKNOWN } from '../../core/outcome.ts';
import { type Cause, IDLE, OVERLOADED, type Pipe, REVOKED, SHUTDOWN, type Why } from '../../core/pipe.ts';
import type { Clock } from '../../core/time.ts';
import { decodeSasl, type SaslExchange, type SaslStep } from '../text/sasl.ts';
import { DONE, type Step, TextSession, UNHEARD, WAIT } from '../text/session.ts';
import { Delivery } from './delivery.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { REPLIES } from './outcomes.ts';
import type { Drop, Upper } from './upper.ts';

export type Pop3Limits = Bound<typeof limits>;

const GOODBYES: Readonly<Record<Why, string>> = {
  [SHUTDOWN]: '[SYS/TEMP] The server is shutting down.',
  [REVOKED]: '[AUTH] This account may no longer be used.',
  [IDLE]: 'Nothing was said for too long.',
  [OVERLOADED]: '[SYS/TEMP] The server has too much to do.',
};

/** Commands of the state in which a maildrop is open. */
const TRANSACTION: ReadonlySet<string> = new Set(['STAT', 'LIST', 'RETR', 'DELE', 'NOOP', 'RSET', 'TOP', 'UIDL']);
/** Commands of the state before it. */
const AUTHORIZATION: ReadonlySet<string> = new Set(['USER', 'PASS', 'AUTH', 'STLS', 'UTF8', 'APOP']);
const EVERYWHERE: ReadonlySet<string> = new Set(['QUIT', 'CAPA']);

export const COMMANDS: ReadonlySet<string> = new Set([...TRANSACTION, ...AUTHORIZATION, ...EVERYWHERE]);

/** Lines of a list that are written between two looks at the room. */
const LINES_AT_ONCE = 500;

export interface Pop3Options {
  readonly limits: Pop3Limits;
  readonly software: string;
  /** Mechanisms by name. */
  readonly mechanisms: readonly string[];
  begin(mechanism: string): SaslExchange | null;
  clock(): Clock;
}

export class Pop3Session extends TextSession {
  private readonly options: Pop3Options;
  private readonly upper: Upper;
  private user: string | null = null;
  private drop: Drop | null = null;
  /** Marked as deleted, one bit a message. */
  private deleted = new Uint8Array(0);
  private deletedCount = 0;
  private sasl: SaslExchange | null = null;
  /** What is signed in with once the client has answered the last challenge, or why it is refused. */
  private after: Extract<SaslStep, { step: 'shown' }> | string | null = null;
  private delivery: Delivery | null = null;
  /** Where LIST or UIDL goes on; -1 when none is under way. */
  private listing = -1;
  private listsIds = false;
  private failures = 0;
  private isSecured: boolean;

  constructor(pipe: Pipe, options: Pop3Options, upper: (session: Pop3Session) => Upper) {
    const { lineBytesMax, unknownMax, idleMs } = options.limits;
    super(pipe, { lineBytesMax, unknownMax, idleMs, faults }, options.clock());
    this.options = options;
    this.upper = upper(this);
    this.isSecured = pipe.peer.tls !== null;
    this.say('+OK', `${options.software} POP3.`);
    this.pipe.flush();
  }

  private say(status: '+OK' | '-ERR', text: string): Step {
    if (this.over) return DONE;
    this.pipe.out.ascii(`${status} `);
    this.pipe.out.utf8(plain(text));
    this.pipe.out.ascii('\r\n');
    return DONE;
  }

  private answered(): void {
    this.proceed(this.options.clock());
  }

  // ---- commands ------------------------------------------------------------------------------------------------------

  protected command(input: Uint8Array, start: number, stop: number): Step {
    if (this.sasl !== null) return this.responded(latin1(input, start, stop));
    const text = isUtf8(input, start, stop) ? utf8(input, start, stop) : latin1(input, start, stop);
    const space = text.indexOf(' ');
    const verb = (space < 0 ? text : text.slice(0, space)).toUpperCase();
    const argument = space < 0 ? '' : text.slice(space + 1);
    if (!COMMANDS.has(verb)) {
      this.say('-ERR', 'There is no such command.');
      return UNHEARD;
    }
    // Whoever knows a command of POP3 is no browser.
    this.acquainted = true;
    if (verb === 'CAPA') return this.capabilities();
    if (verb === 'QUIT') return this.quit();
    if (AUTHORIZATION.has(verb)) {
      if (this.drop !== null) return this.say('-ERR', 'Somebody has signed in already.');
      return this.authorization(verb, argument);
    }
    if (this.drop === null) return this.say('-ERR', REPLIES[UNKNOWN]);
    return this.transaction(this.drop, verb, argument.trim());
  }

  private authorization(verb: string, argument: string): Step {
    const isPlain = this.upper.isExposed && !this.isSecured;
    switch (verb) {
      case 'USER':
        if (isPlain)
          return this.say('-ERR', '[AUTH] A password in the clear over a network is not taken: say STLS first.');
        if (argument === '') return this.say('-ERR', 'USER needs a name.');
        this.user = argument;
        return this.say('+OK', 'The password, please.');
      case 'PASS': {
        if (isPlain)
          return this.say('-ERR', '[AUTH] A password in the clear over a network was not looked at: say STLS first.');
        const { user } = this;
        if (user === null) return this.say('-ERR', 'Say USER first.');
        this.user = null;
        // Blanks are part of a password (RFC 1939 §7).
        this.upper.signIn({ kind: 'password', account: user, password: argument }, this.signedIn);
        return WAIT;
      }
      case 'STLS':
        return this.startsTls(argument);
      case 'UTF8':
        // Names and passwords are read as UTF-8, and messages are sent as they are, in any case (RFC 6856 §2).
        return argument === '' ? this.say('+OK', 'UTF-8 it is.') : this.say('-ERR', 'UTF8 has nothing behind it.');
      case 'AUTH':
        return this.authenticate(argument, isPlain);
      default:
        // It needs passwords that are kept in the clear (RFC 1939 §7).
        return this.say('-ERR', 'APOP is not done here.');
    }
  }

  private startsTls(argument: string): Step {
    const { tls } = this.upper;
    if (argument !== '') return this.say('-ERR', 'STLS has nothing behind it.');
    if (this.isSecured) return this.say('-ERR', 'This is within TLS already.');
    if (tls === null) return this.say('-ERR', 'There is no TLS here.');
    this.say('+OK', 'Begin.');
    return this.startTls(tls);
  }

  protected override secured(): void {
    this.isSecured = true;
    // What was said before could be anybody's (RFC 2595 §4).
    this.user = null;
  }

  private capabilities(): Step {
    const { out } = this.pipe;
    this.say('+OK', 'What is here:');
    const lines = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'PIPELINING', 'EXPIRE NEVER', 'UTF8 USER'];
    const isPlain = this.upper.isExposed && !this.isSecured;
    if (!isPlain) lines.push('USER');
    const offered = this.offered(isPlain);
    if (offered.length > 0) lines.push(`SASL ${offered.join(' ')}`);
    if (this.upper.tls !== null && !this.isSecured && this.drop === null) lines.push('STLS');
    if (this.drop !== null) lines.push(`IMPLEMENTATION ${this.options.software.replace(/\s/g, '-')}`);
    out.ascii(`${lines.join('\r\n')}\r\n.\r\n`);
    return DONE;
  }

  /** Those that show no secret are offered everywhere. */
  private offered(isPlain: boolean): readonly string[] {
    const { mechanisms } = this.options;
    return isPlain ? mechanisms.filter((name) => name.startsWith('SCRAM-')) : mechanisms;
  }

  private quit(): Step {
    const { drop } = this;
    if (drop === null || this.deletedCount === 0) return this.depart_('+OK', 'Goodbye.');
    const places: number[] = [];
    for (let at = 0; at < drop.count; at++) if (this.isDeleted(at)) places.push(at);
    drop.remove(places, (outcome) => {
      if (outcome === OK) this.depart_('+OK', `Goodbye: ${places.length} deleted.`);
      else this.depart_('-ERR', `${REPLIES[outcome]} Some messages were not deleted.`);
      this.answered();
    });
    return WAIT;
  }

  private depart_(status: '+OK' | '-ERR', text: string): Step {
    this.say(status, text);
    this.letGo();
    this.end();
    return DONE;
  }

  private letGo(): void {
    this.drop?.close();
    this.drop = null;
  }

  // ---- signing in ----------------------------------------------------------------------------------------------------

  /** RFC 5034 §4. */
  private authenticate(argument: string, isPlain: boolean): Step {
    const [mechanism = '', initial, ...more] = argument.split(' ');
    if (mechanism === '' || more.length > 0)
      return this.say('-ERR', 'AUTH has a mechanism behind it, and perhaps a response.');
    const name = mechanism.toUpperCase();
    if (!this.offered(isPlain).includes(name))
      return this.say('-ERR', isPlain ? '[AUTH] Not without TLS: say STLS first.' : 'There is no such mechanism here.');
    this.sasl = this.options.begin(name);
    if (this.sasl === null) return this.say('-ERR', 'There is no such mechanism here.');
    if (initial !== undefined) return this.responded(initial);
    this.pipe.out.ascii('+ \r\n');
    return DONE;
  }

  private responded(line: string): Step {
    const { sasl, after } = this;
    this.after = null;
    if (line === '*') return this.refused('The authentication was cancelled.', false);
    const data = decodeSasl(line);
    if (data === null) return this.refused('That is not base64.', false);
    if (typeof after === 'string') return this.refused(after, true);
    if (after !== null) return this.shown(after);
    const step = sasl!.step(data);
    if (step.step === 'challenge') return this.challenge(step.data);
    if (step.step === 'refused') return this.refused(REPLIES[step.outcome as Exclude<Outcome, 0>], true);
    if (step.last === null) return this.shown(step);
    this.after = step;
    return this.challenge(step.last);
  }

  private challenge(data: Uint8Array): Step {
    this.pipe.out.ascii(`+ ${Buffer.from(data).toString('base64')}\r\n`);
    return DONE;
  }

  private shown({ credentials }: Extract<SaslStep, { step: 'shown' }>): Step {
    this.upper.signIn(credentials, this.signedIn);
    return WAIT;
  }

  private refused(text: string, counts: boolean): Step {
    this.sasl = null;
    this.say('-ERR', text);
    if (counts && ++this.failures >= this.options.limits.signInsMax) this.fail(faults.signInTooMany);
    return DONE;
  }

  private readonly signedIn = (outcome: Outcome, text: string): void => {
    const failure = this.sasl?.failure ?? null;
    if (outcome !== OK && failure !== null) {
      // The client answers it with nothing (RFC 7628 §3.2.3).
      this.after = text;
      this.challenge(failure);
      this.answered();
      return;
    }
    this.sasl = null;
    if (outcome !== OK) {
      this.refused(text, true);
      this.answered();
      return;
    }
    this.upper.open((opened, drop) => {
      if (drop === null)
        this.say('-ERR', opened === EXISTS ? '[IN-USE] Another session has it locked.' : REPLIES[opened]);
      else {
        this.drop = drop;
        this.deleted = new Uint8Array(drop.count);
        this.say('+OK', `${drop.count} messages.`);
      }
      this.answered();
    });
  };

  // ---- the maildrop --------------------------------------------------------------------------------------------------

  private transaction(drop: Drop, verb: string, argument: string): Step {
    switch (verb) {
      case 'STAT':
        return this.statistics(drop);
      case 'NOOP':
        return this.say('+OK', 'Nothing done.');
      case 'RSET':
        this.deleted.fill(0);
        this.deletedCount = 0;
        return this.say('+OK', `${drop.count} messages.`);
      case 'LIST':
      case 'UIDL':
        return this.list(drop, argument, verb === 'UIDL');
      case 'TOP': {
        const parts = /^(\d+) +(\d{1,9})$/.exec(argument);
        if (parts === null) return this.say('-ERR', 'TOP has a message and a number of lines behind it.');
        return this.deliver(drop, parts[1]!, Number(parts[2]));
      }
      case 'RETR':
        return this.deliver(drop, argument, -1);
      default: {
        const at = this.placeOf(drop, argument);
        if (at < 0) return this.noSuch();
        this.deleted[at] = 1;
        this.deletedCount++;
        return this.say('+OK', 'Marked.');
      }
    }
  }

  private statistics(drop: Drop): Step {
    let bytes = 0;
    for (let at = 0; at < drop.count; at++) if (!this.isDeleted(at)) bytes += drop.sizeAt(at);
    return this.say('+OK', `${drop.count - this.deletedCount} ${bytes}`);
  }

  private isDeleted(at: number): boolean {
    return this.deleted[at] === 1;
  }

  /** Where a message is that is there and not deleted; -1 for none. */
  private placeOf(drop: Drop, text: string): number {
    if (!/^\d{1,10}$/.test(text)) return -1;
    const at = Number(text) - 1;
    return at < 0 || at >= drop.count || this.isDeleted(at) ? -1 : at;
  }

  private noSuch(): Step {
    return this.say('-ERR', 'There is no such message.');
  }

  private list(drop: Drop, argument: string, ids: boolean): Step {
    if (argument !== '') {
      const at = this.placeOf(drop, argument);
      if (at < 0) return this.noSuch();
      return this.say('+OK', `${at + 1} ${ids ? drop.idAt(at) : drop.sizeAt(at)}`);
    }
    this.say('+OK', `${drop.count - this.deletedCount} messages.`);
    this.listing = 0;
    this.listsIds = ids;
    return this.listOn(drop) ? DONE : WAIT;
  }

  /** Writes lines of a list while there is room; true when that was all. */
  private listOn(drop: Drop): boolean {
    const { out } = this.pipe;
    while (this.listing < drop.count) {
      if (this.pipe.room === 0) return false;
      const stop = Math.min(drop.count, this.listing + LINES_AT_ONCE);
      for (; this.listing < stop; this.listing++) {
        const at = this.listing;
        if (!this.isDeleted(at)) out.ascii(`${at + 1} ${this.listsIds ? drop.idAt(at) : drop.sizeAt(at)}\r\n`);
      }
      this.pipe.flush();
    }
    this.listing = -1;
    out.ascii('.\r\n');
    return true;
  }

  private deliver(drop: Drop, number: string, lines: number): Step {
    const at = this.placeOf(drop, number);
    if (at < 0) return this.noSuch();
    const first = lines < 0 ? `+OK ${drop.sizeAt(at)} octets\r\n` : '+OK\r\n';
    const delivery = new Delivery(this.pipe, first, lines, (outcome, begun) => this.delivered(outcome, begun));
    this.delivery = delivery;
    delivery.from(drop.read(at, delivery));
    return WAIT;
  }

  private delivered(outcome: Outcome, begun: boolean): void {
    this.delivery = null;
    if (outcome !== OK) {
      if (begun) {
        // Half a message must not look like one.
        this.over = true;
        this.letGo();
        this.pipe.reset(0);
        return;
      }
      this.say('-ERR', REPLIES[outcome]);
    }
    this.answered();
  }

  override writable(clock: Clock): void {
    if (this.delivery !== null) this.delivery.more();
    else if (this.listing >= 0 && this.drop !== null) {
      if (this.listOn(this.drop)) this.answered();
      else this.pipe.flush();
    } else super.writable(clock);
  }

  // ---- endings -------------------------------------------------------------------------------------------------------

  protected override abandon(): boolean {
    // Whoever went away reads no more of a message; what QUIT deletes is deleted.
    return false;
  }

  protected tooLong(): void {
    this.sasl = null;
    this.say('-ERR', 'The line is too long.');
  }

  protected refuse(fault: Fault): void {
    this.say('-ERR', `${fault.text}.`);
    this.letGo();
  }

  protected goodbye(why: Why): void {
    this.delivery?.stop();
    this.say('-ERR', GOODBYES[why]);
    this.letGo();
  }

  protected gone(_cause: Cause, _clock: Clock): void {
    this.delivery?.stop();
    this.delivery = null;
    this.letGo();
    this.upper.gone();
  }
}

function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return /[\0-\x1f\x7f]/.test(text) ? text.replace(/[\0-\x1f\x7f]/g, '?') : text;
}
