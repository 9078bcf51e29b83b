// A topic as a socket: what comes in is published to it, what is published to it goes out, payloads and nothing else. What
// frames cannot say is said by the code and reason with which the socket closes.
import { isUtf8 } from 'node:buffer';
import { copyOf } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import { DENIED, INVALID, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import { addressText } from '../../core/peer.ts';
import type { Cause, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { Attachment, Gap, Match, Message, SlowPolicy, Subscriber } from '../../resources/topics/contract.ts';
import { frameSlot, isTopicFilter, isTopicName } from '../../resources/topics/names.ts';
import { belowPath, splitTarget } from '../http/target.ts';
import { faults } from './faults.ts';
import type { MessagesHost } from './server.ts';
import { LEAVING, OUTCOME_CODES, OUTCOME_TEXTS, reasonOf } from './words.ts';

/** What a binary frame is published as, so that it comes out as one, whatever is in it. */
const BYTES = 'application/octet-stream';

/** Where it is kept whether a payload is text: one of these two marks. */
const KIND = frameSlot();
const TEXT = new Uint8Array(1);
const BINARY = new Uint8Array(1);

/** What is awaited: a message that was published, or the subscription. */
const SUBSCRIBED = 1;
/** And the size of the payload on top. */
const PUBLISHED = 2;

/** What the address asks for. */
interface Opening {
  /** A topic, or a filter. */
  readonly filter: string;
  readonly retain: boolean;
  /** -1 for none. */
  readonly after: number;
  readonly echo: boolean;
  readonly skipsGaps: boolean;
  readonly slow: SlowPolicy;
}

const FLAGS: readonly string[] = ['true', 'false'];

/** What each parameter may be. */
const PARAMETERS: ReadonlyMap<string, (value: string) => boolean> = new Map([
  ['retain', (value: string) => FLAGS.includes(value)],
  ['echo', (value: string) => FLAGS.includes(value)],
  ['after', (value: string) => /^\d{1,16}$/.test(value) && Number.isSafeInteger(Number(value))],
  ['gap', (value: string) => value === 'close' || value === 'skip'],
  ['slow', (value: string) => ['disconnect', 'drop-oldest', 'keep-latest'].includes(value)],
]);

/** What an address below `/topics/` asks for, or what is wrong with it. */
export function readOpening(target: string): Opening | string {
  const filter = belowPath(target, '/topics/');
  if (filter === null || !isTopicFilter(filter)) return 'the path is not a topic or filter';
  const given = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(splitTarget(target).query)) {
    const shown = name.slice(0, 40);
    if (PARAMETERS.get(name) === undefined) return `there is no parameter ${shown}`;
    if (given.has(name)) return `${shown} is given twice`;
    if (!PARAMETERS.get(name)!(value)) return `${shown} has no such value`;
    given.set(name, value);
  }
  return {
    filter,
    retain: given.get('retain') === 'true',
    after: Number(given.get('after') ?? -1),
    echo: given.get('echo') !== 'false',
    skipsGaps: given.get('gap') === 'skip',
    slow: (given.get('slow') as SlowPolicy | undefined) ?? 'disconnect',
  };
}

class BareTopic implements MessageSession, Subscriber, Waiter {
  readonly deadline: Instant = NEVER;
  private readonly messages: Messages;
  private readonly host: MessagesHost;
  private readonly opening: Opening;
  private attachment: Attachment | null = null;
  private publishing = 0;
  private publishingBytes = 0;
  private paused = false;
  private leaving: Why | null = null;
  private over = false;

  constructor(messages: Messages, host: MessagesHost, opening: Opening) {
    this.messages = messages;
    this.host = host;
    this.opening = opening;
  }

  begin(): void {
    const { host, messages, opening } = this;
    const { caller, peer } = messages;
    const { filter, after } = opening;
    const from = `websocket/${addressText(peer.remote)}`;
    this.attachment = host.resources.topics.attach(caller, this, {
      policy: opening.slow,
      queueMessagesMax: host.limits.queueMessagesMax,
      queueBytesMax: host.limits.queueBytesMax,
      name: caller.account === '' ? from : `${from}/${caller.account}`,
    });
    // One that goes on behind a cursor has seen what is retained.
    const first = after < 0 ? {} : { after, retained: 'never' as const };
    this.attachment.subscribe({ filter, assurance: 0, noLocal: !opening.echo, ...first }, this, SUBSCRIBED);
  }

  // ---- in ----------------------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, text: boolean): void {
    if (this.over || this.leaving !== null) return;
    const { host, messages, opening } = this;
    if (end - start > host.limits.messageBytesMax) {
      this.fail(faults.tooLong);
      return;
    }
    if (!isTopicName(opening.filter)) {
      this.refuse(DENIED, 'this address is a filter: publish to a topic');
      return;
    }
    const size = end - start;
    this.publishing++;
    this.publishingBytes += size;
    const publication = {
      topic: opening.filter,
      payload: copyOf(input, start, end),
      text,
      contentType: text ? '' : BYTES,
      retain: opening.retain,
      assurance: 1,
      from: this.attachment,
    } as const;
    host.resources.topics.publish(messages.caller, publication, this, PUBLISHED + size);
    const { unansweredMax, unansweredBytesMax } = host.limits;
    const isFull = this.publishing >= unansweredMax || this.publishingBytes > unansweredBytesMax;
    if (this.over || (!isFull && messages.room > 0)) return;
    this.paused = true;
    messages.pause();
  }

  settled(token: number, outcome: Outcome): void {
    if (this.over) return;
    if (token >= PUBLISHED) {
      this.publishing--;
      this.publishingBytes -= token - PUBLISHED;
    }
    if (outcome !== OK) this.refuse(outcome, OUTCOME_TEXTS[outcome]);
    else if (this.leaving !== null) this.endWhenDone();
    else this.goOn();
  }

  private goOn(): void {
    const { messages } = this;
    const { unansweredMax, unansweredBytesMax } = this.host.limits;
    if (!this.paused || messages.room === 0) return;
    if (this.publishing > unansweredMax / 2 || this.publishingBytes > unansweredBytesMax / 2) return;
    this.paused = false;
    messages.resume();
  }

  // ---- out ---------------------------------------------------------------------------------------------------------

  reserve(): number {
    return !this.over && this.messages.room > 0 ? 1 : 0;
  }

  deliver(message: Message, _match: Match): void {
    if (this.over) return;
    const { payload, frames, contentType } = message;
    frames[KIND] ??= contentType !== BYTES && isUtf8(payload) ? TEXT : BINARY;
    this.messages.send(payload, 0, payload.length, frames[KIND] === TEXT);
    this.messages.flush();
  }

  release(): void {
    // Nothing is delivered here that has to be released.
  }

  /** A frame could be taken for a payload: the close says it, unless that was waived or nothing exact was asked for. */
  gap({ after, from }: Gap): void {
    if (this.opening.skipsGaps || after === 0) return;
    this.end(faults.gap.wire, `gap: after=${after} from=${from}`);
  }

  overflow(): void {
    this.fail(faults.tooSlow);
  }

  superseded(): void {
    this.leave('revoked');
  }

  writable(_clock: Clock): void {
    if (this.over) return;
    this.attachment?.more();
    this.goOn();
  }

  tick(_clock: Clock): void {}

  // ---- endings -----------------------------------------------------------------------------------------------------

  private refuse(outcome: Outcome, text: string): void {
    this.end(OUTCOME_CODES[outcome], reasonOf(outcome, text));
  }

  private fail(fault: Fault): void {
    this.end(fault.wire, fault.text);
  }

  private end(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    this.messages.end(code, reason);
    this.messages.flush();
    this.attachment?.detach();
    this.attachment = null;
  }

  private endWhenDone(): void {
    if (this.publishing > 0 || this.leaving === null) return;
    const [outcome, text] = LEAVING[this.leaving];
    this.refuse(outcome, text);
  }

  /** What is being committed is still waited for: the socket is cut when that takes too long. */
  leave(why: Why): void {
    if (this.over || this.leaving !== null) return;
    this.leaving = why;
    this.endWhenDone();
  }

  /** What is being committed is still answered. */
  finish(): boolean {
    if (this.over || this.publishing === 0) return false;
    this.leaving ??= 'shutdown';
    return true;
  }

  lost(_cause: Cause, _wire: number, _clock: Clock): void {
    this.over = true;
    this.attachment?.detach();
    this.attachment = null;
  }
}

/** Says what is wrong with an address, which opening the socket could not. */
class Refusal implements MessageSession {
  readonly deadline: Instant = NEVER;

  receive(): void {}
  writable(): void {}
  tick(): void {}
  leave(): void {}
  lost(): void {}
}

/** A topic, or those of a filter, on a socket of their own. */
export function serveBareTopic(messages: Messages, host: MessagesHost): MessageSession {
  const opening = readOpening(messages.target);
  if (typeof opening === 'string') {
    messages.end(OUTCOME_CODES[INVALID], reasonOf(INVALID, opening));
    messages.flush();
    return new Refusal();
  }
  const topic = new BareTopic(messages, host, opening);
  topic.begin();
  return topic;
}
