// The client half: the opening handshake on a pipe (RFC 6455 §4.1), then the session. The caller dials; it knows no
// socket, and whatever the server says instead is told to the caller.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Caller } from '../../core/caller.ts';
import type { Fault } from '../../core/fault.ts';
import { type Fields, NO_FIELDS } from '../../core/fields.ts';
import type { Bound } from '../../core/limits.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Entropy, type Instant, NEVER } from '../../core/time.ts';
import { AnswerReader } from './answer.ts';
import { clientDeflate, OFFER, readAnswer } from './deflate.ts';
import { readExtensions } from './extensions.ts';
import { handshakeFaults as faults } from './faults.ts';
import type { limits } from './limits.ts';
import { acceptOf } from './proof.ts';
import { type Compression, Gathering, type Opening, WebSocketSession } from './session.ts';

export interface WebSocketClientOptions {
  /** Host, and the port where it is not the scheme's own. */
  readonly authority: string;
  /** A path with its query. */
  readonly target: string;
  readonly subprotocols?: readonly string[];
  /** Further fields of the request: Authorization, Origin, Cookie. */
  readonly fields?: Fields;
  /** Whether to offer permessage-deflate. */
  readonly compress?: boolean;
  readonly limits: Bound<typeof limits>;
  readonly entropy: Entropy;
  /** Called once the socket is open. */
  open(messages: Messages): MessageSession;
  /**
   * Called at most once, instead of `open`: the server answered otherwise, or not at all. `status` is 0 where there was no
   * answer.
   */
  refused(fault: Fault | null, cause: Cause, status: number, fields: Fields): void;
}

/** We are nobody's caller: the rules that hold are the server's. */
const NOBODY: Caller = { account: '', scopes: null, origin: 'local', epoch: 0 };

/** Opens a WebSocket on a pipe that has just been made. */
export class WebSocketClient implements Session {
  deadline: Instant = 0;
  private readonly pipe: Pipe;
  private readonly options: WebSocketClientOptions;
  private readonly key: string;
  private readonly reader = new AnswerReader();
  private timed = false;
  private over = false;

  constructor(pipe: Pipe, options: WebSocketClientOptions) {
    this.pipe = pipe;
    this.options = options;
    const nonce = Buffer.alloc(16);
    options.entropy.fill(nonce);
    this.key = nonce.toString('base64');
    this.ask();
  }

  private ask(): void {
    const { authority, target, subprotocols = [], fields = NO_FIELDS, compress = true } = this.options;
    const { out } = this.pipe;
    const field = (name: string, value: string): void => {
      if (/[\r\n\0]/.test(name + value)) throw new RangeError(`${name} has a line break`);
      out.utf8(`${name}: ${value}\r\n`);
    };
    if (!/^\/[^\s#]*$/.test(target)) throw new RangeError(`${target} is no target`);
    out.utf8(`GET ${target} HTTP/1.1\r\n`);
    field('Host', authority);
    field('Connection', 'Upgrade');
    field('Upgrade', 'websocket');
    field('Sec-WebSocket-Version', '13');
    field('Sec-WebSocket-Key', this.key);
    if (subprotocols.length > 0) field('Sec-WebSocket-Protocol', subprotocols.join(', '));
    if (compress) field('Sec-WebSocket-Extensions', OFFER);
    for (const [name, value] of fields) field(name, value);
    out.ascii('\r\n');
    this.pipe.flush();
  }

  receive(input: Uint8Array, start: number, end: number): number {
    if (this.over) return end;
    const { answerBytesMax } = this.options.limits;
    for (let at = start; ; ) {
      if (!AnswerReader.mayBegin(input, at, end)) return this.fail(faults.notHttp, end);
      const next = this.reader.read(input, at, end);
      if ((next === MORE ? end : next) - at > answerBytesMax) return this.fail(faults.answerTooLong, end);
      if (next === MORE) return at;
      if (next === BAD) return this.fail(faults.notHttp, end);
      const { status } = this.reader;
      if (status < 100 || status >= 200 || status === 101) return this.answered(next, end);
      // An interim answer; another follows (RFC 9110 §15.2).
      at = next;
    }
  }

  /** The answer is there: opens the socket when it is what §4.1 asks for. */
  private answered(next: number, end: number): number {
    const { status, fields } = this.reader;
    const { subprotocols = [], target, limits, entropy, compress = true } = this.options;
    if (status !== 101) return this.fail(faults.refused, end);
    if (fields.get('upgrade')?.toLowerCase() !== 'websocket' || !hasToken(fields.joined('connection'), 'upgrade'))
      return this.fail(faults.notUpgraded, end);
    if (fields.joined('sec-websocket-accept') !== acceptOf(this.key)) return this.fail(faults.wrongAccept, end);
    const chosen = fields.joined('sec-websocket-protocol');
    if (chosen !== null && !subprotocols.includes(chosen)) return this.fail(faults.wrongSubprotocol, end);
    let compression: Compression | null = null;
    const extensions = readExtensions(fields.joined('sec-websocket-extensions') ?? '');
    if (extensions === null) return this.fail(faults.wrongExtension, end);
    if (extensions.length > 0) {
      const terms = compress ? readAnswer(extensions) : null;
      if (terms === null) return this.fail(faults.wrongExtension, end);
      compression = clientDeflate(terms);
    }
    this.over = true;
    const opening: Opening = {
      role: 'client',
      subprotocol: chosen ?? '',
      target,
      caller: NOBODY,
      compression,
      gathering: new Gathering(limits.gatheredBytesMax),
      limits,
      entropy,
    };
    this.pipe.become(new WebSocketSession(this.pipe, opening, (messages) => this.options.open(messages)));
    return next;
  }

  private fail(fault: Fault, end: number): number {
    if (this.over) return end;
    this.over = true;
    this.deadline = NEVER;
    const { status, fields } = this.reader;
    this.options.refused(fault, 'fault', status, fields);
    this.pipe.fail(fault);
    return end;
  }

  overlong(): void {
    this.fail(faults.answerTooLong, 0);
  }

  writable(_clock: Clock): void {}

  tick(clock: Clock): void {
    if (clock.now < this.deadline) return;
    if (this.timed) this.fail(faults.late, 0);
    else this.deadline = clock.now + this.options.limits.openMs;
    this.timed = true;
  }

  finish(_clock: Clock): void {
    this.pipe.end();
  }

  leave(_why: Why, _clock: Clock): void {
    this.deadline = NEVER;
    this.pipe.end();
  }

  lost(cause: Cause, _wire: number, _clock: Clock): void {
    if (this.over) return;
    this.over = true;
    this.options.refused(null, cause, this.reader.status, this.reader.fields);
  }
}

function hasToken(list: string | null, token: string): boolean {
  return list?.split(',').some((name) => name.trim().toLowerCase() === token) === true;
}
