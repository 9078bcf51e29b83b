// Server-sent events over the topics: one subscriber for each request, and where a client that comes back goes on. The
// events are encoded beside it.
import type { Exchange, ExchangeEvents, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { FAILED, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import { addressText } from '../../core/peer.ts';
import type { Host } from '../../core/protocol.ts';
import type { Clock } from '../../core/time.ts';
import type { Resources } from '../../resources/resources.ts';
import type { Attachment, Gap, Match, Message, SubscribeOptions, Subscriber } from '../../resources/topics/contract.ts';
import { frameSlot, isTopicName } from '../../resources/topics/names.ts';
import { answerOutcome, answerProblem } from '../http/answers.ts';
import {
  commentText,
  eventFrame,
  gapText,
  HEARTBEAT,
  isCarried,
  type Kind,
  type Mode,
  positionText,
  retryText,
} from './encode.ts';
import { faults } from './faults.ts';
import { Lane } from './lane.ts';
import type { limits } from './limits.ts';
import { type Asked, readAsked } from './query.ts';
import { merged, mergeHistory } from './server-merge.ts';

export type SseHost = Host<Resources, typeof limits>;

const PREFIX = '/topics/';
const NOT_READABLE = 'This may not be read: a rule forbids it.';

/** Where events of messages are kept, for all streams. */
const slotsOf = (): Record<Kind, number> => ({ live: frameSlot(), retained: frameSlot(), named: frameSlot() });
const SLOTS: Record<Mode, Record<Kind, number>> = {
  text: slotsOf(),
  base64: slotsOf(),
  json: slotsOf(),
  json64: slotsOf(),
};

/**
 * How near several filters must have come to become live at once: what is between is in memory, and heard and put in order in
 * one step. Further off, the history is read on.
 */
const JOIN_MESSAGES = 1_024;

/** What the streams of a server have in common. */
interface Streams {
  /** How many there are. */
  open: number;
  readonly lanes: Record<Mode, Lane<Message>>;
}

const laneOf = (mode: Mode): Lane<Message> => new Lane<Message>(mode, SLOTS[mode].live);

/** `/topics/<filter>` and `/topics?filter=` for those who accept `text/event-stream`. */
export function serveEvents(host: SseHost): ExchangeHandler {
  const lanes = { text: laneOf('text'), base64: laneOf('base64'), json: laneOf('json'), json64: laneOf('json64') };
  const streams: Streams = { open: 0, lanes };
  return (exchange) => {
    const { method } = exchange;
    if (method !== 'GET' && method !== 'HEAD') {
      answerProblem(exchange, 405, faults.methodUnknown.text, Fields.of({ allow: 'GET, HEAD' }));
      return;
    }
    const asked = readAsked(exchange.target, exchange.fields, PREFIX, host.limits.filtersMax);
    if ('fault' in asked) answerProblem(exchange, asked.fault.wire, asked.detail);
    else if (!isTextToGive(exchange, host, asked)) answerProblem(exchange, 406, faults.notText.text);
    else if (method === 'HEAD') {
      // Of a stream nobody knows the length: it is not said to be 0 (RFC 9110 §8.6).
      exchange.respond(200, streamFields());
      exchange.end();
      exchange.flush();
    } else if (streams.open >= host.limits.streamsMax)
      answerProblem(exchange, 503, faults.streamsTooMany.text, Fields.of({ 'retry-after': '1' }));
    else new EventStream(exchange, host, asked, streams).begin();
  };
}

/** False where it is known beforehand that text is not what there is: the retained value of a topic that is asked for. */
function isTextToGive(
  { caller }: Exchange,
  { resources }: SseHost,
  { filters, mode, retained, after }: Asked,
): boolean {
  if (mode !== 'text' || retained === 'no' || after !== null) return true;
  return filters.every((filter) => {
    const value = isTopicName(filter) ? resources.topics.retained(caller, filter) : null;
    return value === null || typeof value === 'number' || isCarried(value.payload);
  });
}

function streamFields(): Fields {
  return Fields.of({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // What some proxies would gather would not be heard in time.
    'x-accel-buffering': 'no',
    'x-content-type-options': 'nosniff',
    vary: 'Accept',
  });
}

class EventStream implements Subscriber, Waiter, ExchangeEvents {
  private readonly exchange: Exchange;
  private readonly host: SseHost;
  private readonly asked: Asked;
  private readonly streams: Streams;
  private readonly lane: Lane<Message>;
  private readonly retainedKind: Kind;
  private readonly retainedSlot: number;
  private attachment: Attachment | null = null;
  /** The head of the answer is sent: events may follow. */
  private ready = false;
  private over = false;
  /** Something waits for room. */
  private starved = false;
  /** Subscriptions that have not settled, or not been asked for. */
  private pending = 0;
  /** Filters that nothing will be given of but what comes: told once. */
  private readonly told = new Set<string>();
  /** Gaps that were found before there was anywhere to tell them. */
  private readonly gaps: Gap[] = [];
  /** The newest message when it was subscribed: who has a later one has all that was before. */
  private began = 0;
  /** Everything up to the newest message was given, but for what waits. */
  private caughtUp = false;
  /** The last id that was sent as a position. */
  private position = -1;
  /** What comes while several filters become live, to be put in order. */
  private joining: { message: Message; match: Match }[] | null = null;
  private onRoom: (() => void) | null = null;
  /** Events of the lane that are to leave with the turn: the bytes from here to there. */
  private bytes: Uint8Array = NOTHING;
  private from = 0;
  private to = 0;
  /** There is room for so much at least. */
  private budget = 0;
  /** The exchange knows that there is something at the end of the turn. */
  private noted = false;

  constructor(exchange: Exchange, host: SseHost, asked: Asked, streams: Streams) {
    this.exchange = exchange;
    this.host = host;
    this.asked = asked;
    this.streams = streams;
    this.retainedKind = asked.retained === 'event' ? 'named' : 'retained';
    this.lane = streams.lanes[asked.mode];
    this.retainedSlot = SLOTS[asked.mode][this.retainedKind];
    exchange.on = this;
    streams.open++;
  }

  get isOver(): boolean {
    return this.over;
  }

  // ---- the beginning -----------------------------------------------------------------------------------------------

  begin(): void {
    const { filters, after } = this.asked;
    if (filters.length > 1 && after !== null)
      void this.merge(after).catch((error: unknown) => {
        const fields = { connection: this.exchange.connection, error: String(error) };
        this.host.log.error('the history could not be read', fields);
        this.refuse(FAILED);
      });
    else this.subscribe(after);
  }

  private attach(): Attachment {
    const { exchange, host, asked } = this;
    const { caller, peer } = exchange;
    const from = `sse/${addressText(peer.remote)}`;
    return host.resources.topics.attach(caller, this, {
      policy: asked.policy,
      queueMessagesMax: host.limits.queueMessagesMax,
      queueBytesMax: host.limits.queueBytesMax,
      name: caller.account === '' ? from : `${from}/${caller.account}`,
    });
  }

  private subscribe(after: number | null): void {
    const { filters, retained } = this.asked;
    this.began = this.host.resources.topics.head;
    this.caughtUp = after === null || after === this.began;
    // One more, so that nothing is given before all is asked for: retained values come before any position.
    this.pending = filters.length + 1;
    const attachment = this.attach();
    this.attachment = attachment;
    for (const filter of filters) {
      if (this.over) return;
      const options: SubscribeOptions = {
        filter,
        assurance: 0,
        // Of what is retained, one that comes back gets only what no history could give it.
        retained: retained === 'no' ? 'never' : 'always',
        ...(after === null ? {} : { after }),
      };
      attachment.subscribe(options, this, 0);
    }
    this.settled(0, OK);
  }

  settled(_token: number, outcome: Outcome): void {
    if (this.over) return;
    if (outcome !== OK) this.refuse(outcome);
    else if (--this.pending === 0 && this.joining === null) {
      this.open();
      this.flow();
    }
  }

  /** The head of the answer, so that a client knows at once that it is connected; gaps before all else. */
  open(): void {
    const { exchange, host, gaps } = this;
    if (this.ready) return;
    this.ready = true;
    exchange.respond(200, streamFields());
    exchange.out.ascii(retryText(host.limits.retryMs));
    for (const gap of gaps.splice(0)) this.gap(gap);
    exchange.deadline = host.clock.now + host.limits.heartbeatMs;
    exchange.flush();
  }

  private refuse(outcome: Outcome): void {
    if (this.over) return;
    this.finish();
    if (this.ready) {
      this.emit();
      this.exchange.end();
    } else answerOutcome(this.exchange, outcome, NOT_READABLE);
  }

  // ---- several filters behind a cursor -----------------------------------------------------------------------------

  private async merge(after: number): Promise<void> {
    const { exchange, host, asked } = this;
    for (let position = after; !this.over; ) {
      const merge = await mergeHistory(host.resources.topics, exchange.caller, asked.filters, position, this);
      if (typeof merge === 'number') {
        this.refuse(merge);
        return;
      }
      position = merge.position;
      if (this.over) return;
      if (host.resources.topics.head - position <= JOIN_MESSAGES && this.join(position)) return;
    }
  }

  /** Becomes live behind a position that nearly is the newest; false when too much has come meanwhile. */
  private join(position: number): boolean {
    const heard: { message: Message; match: Match }[] = [];
    this.joining = heard;
    this.subscribe(position);
    this.joining = null;
    if (this.over) return true;
    if (this.starved) {
      this.attachment?.detach();
      this.attachment = null;
      this.starved = false;
      return false;
    }
    for (const { message, match } of heard) if (match.retain) this.deliver(message, match);
    const live = heard.filter(({ match }) => !match.retain).map(({ message }) => message);
    for (const message of merged([{ messages: live }], Number.POSITIVE_INFINITY)) this.give(message);
    this.caughtUp = true;
    this.flow();
    return true;
  }

  give(message: Message): void {
    if (message.expiry > this.host.clock.wall) this.put(message);
  }

  roomy(): Promise<void> {
    this.emit();
    if (this.over || this.exchange.room > 0) return DONE;
    return new Promise((resolve) => {
      this.onRoom = resolve;
    });
  }

  // ---- messages ----------------------------------------------------------------------------------------------------

  reserve(): number {
    return this.budget > 0 ? 1 : this.reserveMore();
  }

  private reserveMore(): number {
    if (this.joining !== null) {
      if (this.joining.length < JOIN_MESSAGES) return 1;
    } else if (this.ready) {
      this.emit();
      this.budget = this.exchange.room;
      if (this.budget > 0) return 1;
    }
    this.starved = true;
    return 0;
  }

  deliver(message: Message, match: Match): void {
    if (this.joining !== null) this.joining.push({ message, match });
    else if (match.retain) this.retained(message);
    else {
      this.put(message);
      if (!this.caughtUp && message.cursor > this.began) this.caughtUp = true;
    }
  }

  private retained(message: Message): void {
    const { exchange } = this;
    const frame = (message.frames[this.retainedSlot] ??= eventFrame(message, this.asked.mode, this.retainedKind));
    this.emit();
    this.budget -= frame.length;
    exchange.share(frame, 0, frame.length);
    exchange.flush();
  }

  /** The next event for this stream; it leaves with the turn, in one piece with those that stand before it in the lane. */
  private put(message: Message): void {
    const { lane } = this;
    if (lane.message !== message) lane.add(message);
    const { start, end, bytes } = lane;
    this.budget -= end - start;
    if (this.bytes !== bytes || this.to !== start) {
      this.emit();
      this.bytes = bytes;
      this.from = start;
    }
    this.to = end;
    if (this.noted) return;
    this.noted = true;
    this.exchange.flush();
  }

  /** Writes what stands in the lane. */
  private emit(): void {
    const { from, to } = this;
    if (from === to) return;
    this.from = to;
    this.exchange.share(this.bytes, from, to);
    // Much is sent before the turn ends.
    if (this.noted) this.exchange.flush();
  }

  gather(): void {
    this.noted = false;
    this.emit();
  }

  /** Hands over what waits; when nothing does any more, the client learns where it stands. */
  private flow(): void {
    this.starved = false;
    this.attachment?.more();
    if (this.over || this.starved || !this.caughtUp || this.position >= 0) return;
    this.tellPosition();
  }

  private tellPosition(): void {
    this.position = this.host.resources.topics.head;
    this.emit();
    this.exchange.out.ascii(positionText(this.position));
    this.exchange.flush();
  }

  gap(gap: Gap): void {
    if (!this.ready) {
      this.gaps.push(gap);
      return;
    }
    if (gap.from === 0) {
      if (this.told.has(gap.filter)) return;
      this.told.add(gap.filter);
    }
    this.emit();
    this.exchange.out.utf8(gapText(gap.filter, gap.after, gap.from, this.host.resources.topics.head));
    this.exchange.flush();
  }

  release(): void {
    // Nothing is delivered here that has to be released.
  }

  overflow(): void {
    this.emit();
    this.exchange.out.utf8(commentText(faults.tooSlow.text));
    this.leave();
  }

  superseded(): void {
    this.leave();
  }

  // ---- the exchange ------------------------------------------------------------------------------------------------

  writable(): void {
    const { onRoom } = this;
    this.onRoom = null;
    onRoom?.();
    if (this.ready) this.flow();
  }

  /** Heard by proxies and clients that wonder; and the position goes on though nothing came for this client. */
  tick(clock: Clock): void {
    const { exchange, host } = this;
    exchange.deadline = clock.now + host.limits.heartbeatMs;
    this.emit();
    if (exchange.room === 0) this.starved = true;
    else if (this.caughtUp && !this.starved && this.position !== host.resources.topics.head) this.tellPosition();
    else exchange.out.ascii(HEARTBEAT);
    exchange.flush();
  }

  /** The end of the stream: a client that wants more comes back with the last id. */
  leave(): void {
    if (this.over) return;
    this.finish();
    // A client that hears nothing but an end comes back as well.
    if (this.ready) this.emit();
    else this.exchange.respond(200, streamFields());
    this.exchange.end();
    this.exchange.flush();
  }

  lost(): void {
    this.finish();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.streams.open--;
    this.attachment?.detach();
    this.attachment = null;
    this.onRoom?.();
    this.onRoom = null;
  }
}

const DONE = Promise.resolve();
const NOTHING = Buffer.alloc(0);
