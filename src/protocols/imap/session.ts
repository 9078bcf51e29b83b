// IMAP as a state machine (RFC 9051 §3): commands in, whole with their literals, responses out. Who may enter is in
// session-access.ts, mailboxes in session-folders.ts, messages in session-messages.ts, what they are asked in session-fetch.ts
// and session-search.ts; accounts and mail are the upper half's.
import { latin1 } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import type { Outcome } from '../../core/outcome.ts';
import { type Cause, IDLE, OVERLOADED, type Pipe, REVOKED, SHUTDOWN, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import type { SaslExchange } from '../text/sasl.ts';
import { DONE, type RawBytes, type Step, TextSession, UNHEARD, WAIT } from '../text/session.ts';
import { type Announced, CommandReader, readAnnounced } from './codec.ts';
import { ANYBODY, BY_UID, COMMANDS, HOLDS_EXPUNGES, SELECTED, STRANGER } from './commands.ts';
import { Deflated } from './deflated.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { RESPONSES } from './outcomes.ts';
import { Access } from './session-access.ts';
import { Append } from './session-append.ts';
import { FetchCommand } from './session-fetch.ts';
import { Folders } from './session-folders.ts';
import { Messages } from './session-messages.ts';
import { SearchCommand } from './session-search.ts';
import type { Store, Upper } from './upper.ts';
import type { View } from './view.ts';

export type ImapLimits = Bound<typeof limits>;

const GOODBYES: Readonly<Record<Why, string>> = {
  [SHUTDOWN]: '[UNAVAILABLE] The server is shutting down.',
  [REVOKED]: '[AUTHORIZATIONFAILED] This account may no longer be used.',
  [IDLE]: 'Nothing was said for too long.',
  [OVERLOADED]: '[UNAVAILABLE] The server has too much to do.',
};

/** Of a command before anybody has signed in. */
const STRANGER_BYTES_MAX = 16_384;
const FIRST = 1_024;
/** A literal that is not wanted is read over up to this. */
const SKIPPED_MAX = 268_435_456;

export interface ImapOptions {
  readonly limits: ImapLimits;
  readonly software: string;
  readonly mechanisms: readonly string[];
  begin(mechanism: string): SaslExchange | null;
  clock(): Clock;
}

export class ImapSession extends TextSession implements RawBytes {
  readonly upper: Upper;
  readonly options: ImapOptions;
  /** The command that is being read. */
  readonly said = new CommandReader();
  store: Store | null = null;
  view: View | null = null;
  /** What was enabled (RFC 5161). */
  isRev2 = false;
  condstore = false;
  qresync = false;
  isSecured: boolean;
  private readonly access: Access;
  private readonly folders: Folders;
  private readonly messages: Messages;
  private readonly append: Append;
  private readonly fetching: FetchCommand;
  private readonly searching: SearchCommand;
  private readonly announced: Announced = { size: -1, isEager: false, isBinary: false, start: 0 };
  private tag = '*';
  /** A command that has come in part, `[0..collectedSize)`. */
  private collected: Buffer | null = null;
  private collectedSize = 0;
  private literalLeft = 0;
  /** A literal that nobody wants is read over, and this is answered behind the command. */
  private refusal = '';
  private isIdling = false;
  private holdsExpunges = false;
  private bads = 0;
  private deflated: Deflated | null = null;
  private isTurning = false;
  private saidAt: Instant;

  constructor(pipe: Pipe, options: ImapOptions, upper: (session: ImapSession) => Upper) {
    const { lineBytesMax, unknownMax, idleMs } = options.limits;
    super(pipe, { lineBytesMax, unknownMax, idleMs, faults }, options.clock());
    this.options = options;
    this.saidAt = options.clock().now;
    this.upper = upper(this);
    this.isSecured = pipe.peer.tls !== null;
    this.access = new Access(this);
    this.folders = new Folders(this);
    this.messages = new Messages(this);
    this.append = new Append(this);
    this.fetching = new FetchCommand(this);
    this.searching = new SearchCommand(this);
    this.say(`* OK [CAPABILITY ${this.access.capabilities()}] ${options.software} IMAP.`);
    this.pipe.flush();
  }

  // ---- what is said --------------------------------------------------------------------------------------------------

  /** One line. */
  say(text: string): void {
    if (this.over) return;
    this.pipe.out.utf8(text);
    this.pipe.out.ascii('\r\n');
  }

  /** One line of ASCII that may be very long. */
  sayLong(text: string): void {
    if (this.over) return;
    const bytes = Buffer.from(`${text}\r\n`, 'latin1');
    this.pipe.share(bytes, 0, bytes.length);
  }

  /** The end of a command: what is new, then its tagged response. */
  close(text: string): Step {
    this.tellNews();
    this.say(`${this.tag} ${text}`);
    return DONE;
  }

  closeWith(outcome: Outcome): Step {
    return this.close(RESPONSES[outcome]);
  }

  /** The same for a command that had to wait. */
  answer(text: string): void {
    if (this.over) return;
    this.close(text);
    this.proceed(this.options.clock());
  }

  answerWith(outcome: Outcome): void {
    this.answer(RESPONSES[outcome]);
  }

  get tagText(): string {
    return this.tag;
  }

  /** A command that cannot be understood. */
  misread(text: string): Step {
    this.say(`${this.tag} BAD ${text}`);
    if (++this.bads > this.options.limits.badMax) this.fail(faults.badTooMany);
    return DONE;
  }

  /** What others changed; expunges only when their numbers cannot confuse the command that is answered. */
  tellNews(): void {
    const { view } = this;
    if (view === null || this.over) return;
    view.tell(this.pipe.out, {
      expunges: !this.holdsExpunges,
      vanished: this.qresync,
      modseq: this.condstore,
      recent: !this.isRev2,
    });
    if (view.isGone) this.leaveFolder('* OK [CLOSED] The mailbox was removed.');
  }

  /** The mailbox is not selected any more. */
  leaveFolder(text = ''): void {
    const { view } = this;
    if (view === null) return;
    this.view = null;
    view.close();
    this.store?.close(view.folder);
    if (text !== '') this.say(text);
  }

  /** There is something to tell; only IDLE tells it at once. */
  readonly woken = (): void => {
    if (this.isIdling && !this.over) this.pipe.flush();
  };

  get isUtf8(): boolean {
    return this.said.isUtf8;
  }

  set isUtf8(on: boolean) {
    this.said.isUtf8 = on;
  }

  get limits(): ImapLimits {
    return this.options.limits;
  }

  signedIn(store: Store): void {
    this.store = store;
  }

  breakOff(fault: Fault): void {
    this.fail(fault);
  }

  quit(): Step {
    this.say('* BYE Goodbye.');
    this.say(`${this.tag} OK Goodbye.`);
    this.letGo();
    this.end();
    return DONE;
  }

  turnToTls(tls: TlsPolicy): Step {
    return this.startTls(tls);
  }

  protected override secured(): void {
    this.isSecured = true;
  }

  // ---- compression (RFC 4978) ----------------------------------------------------------------------------------------

  get isDeflated(): boolean {
    return this.deflated !== null;
  }

  /** What was written goes as it is; from here on everything is compressed. */
  deflate(): void {
    this.hold();
    this.deflated = new Deflated(this.pipe);
    this.pipe = this.deflated;
    this.isTurning = true;
  }

  override receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    const { deflated } = this;
    if (deflated === null) return super.receive(input, start, end, clock);
    const next = deflated.take(input, start, end, (bytes, from, to) => super.receive(bytes, from, to, clock));
    if (next < 0) this.fail(faults.compressionBroken);
    return this.over ? end : next;
  }

  /** What waited is taken, and what was said leaves, when the turn ends. */
  private turnEnds(deflated: Deflated, clock: Clock): void {
    if (this.isTurning) {
      this.isTurning = false;
      this.release();
    } else if (deflated.isWaiting && !this.over) this.receive(NOTHING, 0, 0, clock);
    deflated.settle();
  }

  // ---- commands, whole -----------------------------------------------------------------------------------------------

  protected command(input: Uint8Array, start: number, stop: number, clock: Clock): Step {
    this.saidAt = clock.now;
    const step = this.heard(input, start, stop);
    // Nothing of what was read is held while the client says nothing.
    this.said.begin(NOTHING, 0, 0);
    return step;
  }

  private heard(input: Uint8Array, start: number, stop: number): Step {
    if (this.access.isAsking) return this.access.responded(latin1(input, start, stop));
    if (this.append.isUnderWay) return this.append.tail(input, start, stop);
    const { announced } = this;
    readAnnounced(input, start, stop, announced);
    if (this.refusal !== '') return this.refused();
    if (announced.size !== -1) return this.literal(input, start, stop);
    if (this.collected === null) return this.run(input, start, stop);
    this.collect(input, start, stop);
    const { collected, collectedSize } = this;
    this.collected = null;
    return this.run(collected!, 0, collectedSize);
  }

  private collect(input: Uint8Array, start: number, stop: number): void {
    const need = this.collectedSize + stop - start;
    if (this.collected === null || this.collected.length < need) {
      const grown = Buffer.allocUnsafeSlow(Math.max(need, FIRST, (this.collected?.length ?? 0) * 2));
      if (this.collected !== null) this.collected.copy(grown, 0, 0, this.collectedSize);
      this.collected = grown;
    }
    this.collected.set(input.subarray(start, stop), this.collectedSize);
    this.collectedSize = need;
  }

  /** A line that announces a literal. */
  private literal(input: Uint8Array, start: number, stop: number): Step {
    const { announced } = this;
    const { size, isEager } = announced;
    if (this.collected === null) this.collectedSize = 0;
    const before = this.collectedSize + announced.start - start;
    this.collect(input, start, stop);
    this.collect(CRLF, 0, 2);
    const { said } = this;
    const collected = this.collected!;
    said.begin(collected, 0, before);
    this.tag = said.tag();
    if (!said.ok || size === -2) return this.refuseLiteral(isEager, size, 'BAD That is no literal.');
    if (this.store !== null && this.append.begins(said)) return this.appending(announced);
    if (announced.isBinary) return this.refuseLiteral(isEager, size, 'BAD A literal with any byte cannot stand here.');
    const most = this.store === null ? STRANGER_BYTES_MAX : this.limits.commandBytesMax;
    if (this.collectedSize + size > most)
      return this.refuseLiteral(isEager, size, 'BAD [TOOBIG] The command is too long.');
    if (!isEager) this.say('+ Go on.');
    this.literalLeft = size;
    if (size > 0) this.beginRaw(this);
    return DONE;
  }

  /** Without what was announced; an eager literal comes nevertheless. */
  refuseLiteral(isEager: boolean, size: number, text: string): Step {
    this.collected = null;
    if (!isEager) {
      if (text.startsWith('BAD')) return this.misread(text.slice(4));
      return this.close(text);
    }
    if (size < 0 || size > SKIPPED_MAX) {
      this.fail(faults.literalTooLong);
      return DONE;
    }
    this.refusal = text;
    this.literalLeft = size;
    if (size > 0) this.beginRaw(this);
    return DONE;
  }

  /** The rest of a command that is refused. */
  private refused(): Step {
    const { announced, refusal } = this;
    if (announced.size !== -1 && announced.isEager) return this.refuseLiteral(true, announced.size, refusal);
    this.refusal = '';
    return this.refuseLiteral(false, 0, refusal);
  }

  private appending({ size, isEager }: Announced): Step {
    this.collected = null;
    // Nothing of it is a line.
    this.hold();
    this.holdsExpunges = false;
    return this.append.begin(size, isEager);
  }

  take(input: Uint8Array, start: number, end: number): number {
    const stop = Math.min(end, start + this.literalLeft);
    if (this.refusal === '') this.collect(input, start, stop);
    this.literalLeft -= stop - start;
    if (this.literalLeft === 0) this.endRaw();
    return stop;
  }

  /** For APPEND, whose message goes on its own way. */
  readRaw(target: RawBytes | null): void {
    if (target === null) this.endRaw();
    else this.beginRaw(target);
  }

  holdInput(): void {
    this.hold();
  }

  releaseInput(): void {
    this.release();
  }

  goOn(): void {
    this.proceed(this.options.clock());
  }

  // ---- commands, done ------------------------------------------------------------------------------------------------

  private run(bytes: Uint8Array, start: number, stop: number): Step {
    const { said } = this;
    said.begin(bytes, start, stop);
    this.tag = '*';
    const tag = said.tag();
    said.space();
    let name = said.word();
    const byUid = name === 'UID';
    if (byUid) {
      said.space();
      name = said.word();
    }
    if (!said.ok) {
      this.tag = tag === '' ? '*' : tag;
      this.misread('There is no command.');
      return this.acquainted ? DONE : UNHEARD;
    }
    this.tag = tag;
    const where = COMMANDS.get(name);
    if (where === undefined || (byUid && (where & BY_UID) === 0)) {
      this.say(`${tag} BAD There is no such command.`);
      return UNHEARD;
    }
    // Whoever knows a command of IMAP is no browser.
    this.acquainted = true;
    const wrong = this.wrongState(where);
    if (wrong !== '') return this.misread(wrong);
    this.holdsExpunges = (where & HOLDS_EXPUNGES) !== 0 && !byUid;
    return this.perform(name, byUid);
  }

  private wrongState(where: number): string {
    if ((where & ANYBODY) !== 0) return '';
    if ((where & STRANGER) !== 0) return this.store === null ? '' : 'Somebody has signed in already.';
    if (this.store === null) return 'Sign in first.';
    return (where & SELECTED) !== 0 && this.view === null ? 'Select a mailbox first.' : '';
  }

  private perform(name: string, byUid: boolean): Step {
    switch (name) {
      case 'CAPABILITY':
      case 'ID':
      case 'STARTTLS':
      case 'AUTHENTICATE':
      case 'LOGIN':
      case 'ENABLE':
      case 'COMPRESS':
        return this.access.run(name);
      case 'LOGOUT':
        return this.said.done() ? this.quit() : this.misread(this.said.fault);
      case 'NOOP':
      case 'CHECK':
        return this.said.done() ? this.close('OK Done.') : this.misread(this.said.fault);
      case 'IDLE':
        return this.idle();
      case 'FETCH':
        return this.fetching.run(byUid);
      case 'SEARCH':
      case 'SORT':
      case 'THREAD':
        return this.searching.run(name, byUid);
      case 'STORE':
      case 'COPY':
      case 'MOVE':
      case 'EXPUNGE':
      case 'CLOSE':
      case 'UNSELECT':
        return this.messages.run(name, byUid);
      case 'APPEND':
        return this.misread('APPEND has a message behind it, as a literal.');
      default:
        return this.folders.run(name);
    }
  }

  /** Answers a STORE with what the messages have now. */
  get fetches(): FetchCommand {
    return this.fetching;
  }

  // ---- IDLE (RFC 2177) -----------------------------------------------------------------------------------------------

  private idle(): Step {
    if (!this.said.done()) return this.misread(this.said.fault);
    this.say('+ Idling.');
    this.isIdling = true;
    this.tellNews();
    return WAIT;
  }

  protected override interrupt(input: Uint8Array, start: number, stop: number): boolean {
    if (!this.isIdling) return false;
    this.isIdling = false;
    if (latin1(input, start, stop).toUpperCase() === 'DONE') this.answer('OK Done.');
    else {
      this.misread('IDLE ends with DONE.');
      if (!this.over) this.proceed(this.options.clock());
    }
    return true;
  }

  override gather(clock: Clock): void {
    super.gather(clock);
    if (this.isIdling && this.view !== null && this.pipe.room > 0) this.tellNews();
    if (this.deflated !== null) this.turnEnds(this.deflated, clock);
  }

  override writable(clock: Clock): void {
    if (this.isIdling) this.pipe.flush();
    else if (!this.fetching.more() && !this.searching.more() && !this.folders.more()) super.writable(clock);
  }

  /** Something long is done in slices, the next of them in the next turn. */
  slice(): void {
    this.pipe.flush();
  }

  protected override get timeoutAt(): Instant {
    if (this.searching.wantsSlice) return 0;
    if (this.isIdling) return this.saidAt + this.limits.idleMs;
    return this.store === null && !this.isBusy ? this.saidAt + this.limits.signInMs : NEVER;
  }

  protected override timeout(): void {
    if (this.searching.wantsSlice) this.searching.more();
    else this.fail(faults.idle);
  }

  // ---- endings -------------------------------------------------------------------------------------------------------

  protected tooLong(): void {
    this.access.forget();
    this.collected = null;
    this.say('* BAD The line is too long.');
  }

  protected refuse(fault: Fault): void {
    this.say(`* BYE ${fault.text}.`);
    this.letGo();
  }

  /** Nothing of IDLE has to be waited for. */
  protected override waits(why: Why): boolean {
    return super.waits(why) && !this.isIdling;
  }

  protected override abandon(): boolean {
    return this.isIdling;
  }

  protected goodbye(why: Why): void {
    this.say(`* BYE ${GOODBYES[why]}`);
    this.letGo();
  }

  private letGo(): void {
    this.fetching.stop();
    this.searching.stop();
    this.append.stop();
    this.leaveFolder();
  }

  protected gone(_cause: Cause, _clock: Clock): void {
    this.letGo();
    this.deflated?.close();
    this.upper.gone();
  }
}

const CRLF = Buffer.from('\r\n');
const NOTHING = new Uint8Array(0);
