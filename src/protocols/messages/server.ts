// portico.json and the topics: what requests mean, and what becomes of messages on their way to a socket. One server half
// belongs to one socket.
import type { MessageSession, Messages } from '../../core/messages.ts';
import { FULL, INVALID, MISSING, OK, type Outcome, STALE, type Waiter } from '../../core/outcome.ts';
import { addressText } from '../../core/peer.ts';
import type { Host } from '../../core/protocol.ts';
import type { Clock } from '../../core/time.ts';
import type { Resources } from '../../resources/resources.ts';
import type {
  Attachment,
  Gap,
  Match,
  Message,
  Publication,
  SlowPolicy,
  SubscribeOptions,
  Subscriber,
} from '../../resources/topics/contract.ts';
import { frameSlot, isTopicName, matches } from '../../resources/topics/names.ts';
import type {
  BatchRequest,
  CallRequest,
  Encoding,
  EndRequest,
  GetRequest,
  PublishRequest,
  SendRequest,
  SubscribeRequest,
  UnsubscribeRequest,
} from './codec.ts';
import { foundText, gapText, historyText, liveText, messageText } from './encode.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { SocketCalls } from './server-calls.ts';
import { PorticoJsonSession, type Upper } from './session.ts';

export type MessagesHost = Host<Resources, typeof limits>;

/** Where the text of messages is kept, for all sockets: by encoding, and by whether it is given as retained. */
const SLOTS = {
  auto: [frameSlot(), frameSlot()],
  base64: [frameSlot(), frameSlot()],
} as const;

const TOO_MANY = 'this socket is subscribed to as many filters as may be';

/** One filter of the socket's. */
interface Subscribed {
  readonly encoding: Encoding;
  /** All behind this cursor was given, or is; Infinity while that is not known. */
  base: number;
  /** Its history has been given. */
  live: boolean;
}

export class PorticoJsonServer implements Upper, Subscriber, Waiter {
  private readonly session: PorticoJsonSession;
  private readonly host: MessagesHost;
  private attachment: Attachment | null = null;
  private policy: SlowPolicy = 'disconnect';
  private readonly filters = new Map<string, Subscribed>();
  /** Filters that ask for base64: none of them, and no message has to be asked after it. */
  private encoded = 0;
  /** Filters whose history is being given. */
  private catching = 0;
  /** Subscriptions that have not settled, and what they replace. */
  private readonly subscribing = new Map<number, { filter: string; former: Subscribed | undefined }>();
  /** Null until something is called. */
  private calls: SocketCalls | null = null;

  constructor(session: PorticoJsonSession, host: MessagesHost) {
    this.session = session;
    this.host = host;
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  publish(token: number, request: PublishRequest, clock: Clock): void {
    const { topic, payload, text, contentType, properties, responseTopic, correlation, retain, expiry } = request;
    const expiryMs = Math.min(expiry - clock.wall, request.expiresIn);
    let wrong = '';
    if (!isTopicName(topic)) wrong = 'this is not a topic';
    else if (responseTopic !== '' && !isTopicName(responseTopic)) wrong = 'responseTopic is not a topic';
    else if (expiryMs <= 0) wrong = 'expiry is over already';
    if (wrong !== '') {
      this.session.settled(token, INVALID, 0, wrong);
      return;
    }
    const publication: Publication = {
      topic,
      payload,
      text,
      contentType,
      properties,
      responseTopic,
      correlation,
      retain,
      assurance: 1,
      from: this.attachment,
      ...(expiryMs === Number.POSITIVE_INFINITY ? {} : { expiryMs }),
    };
    this.host.resources.topics.publish(this.session.messages.caller, publication, this, token);
  }

  subscribe(token: number, { filter, after, encoding, slow, retained, echo }: SubscribeRequest): void {
    const { filters, session, host } = this;
    const former = filters.get(filter);
    if (former === undefined && filters.size >= host.limits.subscriptionsMax) {
      session.settled(token, FULL, 0, TOO_MANY);
      return;
    }
    if (this.attachment !== null && slow !== undefined && slow !== this.policy) {
      session.settled(token, STALE, 0, `the first subscribe of this socket chose ${this.policy}`);
      return;
    }
    if (this.attachment === null) this.attach(slow ?? 'disconnect');
    const resumes = after >= 0;
    this.setFilter(filter, { encoding, base: resumes ? after : Number.POSITIVE_INFINITY, live: !resumes });
    this.subscribing.set(token, { filter, former });
    const options: SubscribeOptions = {
      filter,
      assurance: 0,
      noLocal: !echo,
      retainAsPublished: false,
      // One that goes on behind a cursor has seen what is retained: giving it again would be a repeat.
      retained: retained ?? (resumes ? 'never' : 'always'),
      ...(resumes ? { after } : {}),
    };
    this.attachment!.subscribe(options, this, token);
    this.detachIfIdle();
  }

  private attach(policy: SlowPolicy): void {
    const { limits, resources } = this.host;
    const { caller, peer } = this.session.messages;
    const from = `portico.json/${addressText(peer.remote)}`;
    this.policy = policy;
    this.attachment = resources.topics.attach(caller, this, {
      policy,
      queueMessagesMax: limits.queueMessagesMax,
      queueBytesMax: limits.queueBytesMax,
      name: caller.account === '' ? from : `${from}/${caller.account}`,
    });
  }

  /** Undefined takes the filter away. */
  private setFilter(filter: string, subscribed: Subscribed | undefined): void {
    const { filters } = this;
    const former = filters.get(filter);
    if (former?.encoding === 'base64') this.encoded--;
    if (former?.live === false) this.catching--;
    if (subscribed === undefined) filters.delete(filter);
    else {
      filters.set(filter, subscribed);
      if (subscribed.encoding === 'base64') this.encoded++;
      if (!subscribed.live) this.catching++;
    }
  }

  unsubscribe(token: number, { filter }: UnsubscribeRequest): void {
    const { attachment } = this;
    if (attachment === null || !this.filters.has(filter)) {
      this.session.settled(token, MISSING, 0, 'this socket is not subscribed to that');
      return;
    }
    this.setFilter(filter, undefined);
    attachment.unsubscribe(filter, undefined, this, token);
    this.detachIfIdle();
  }

  /** With nothing subscribed, the next subscription may choose its policy anew. */
  private detachIfIdle(): void {
    if (this.filters.size > 0) return;
    this.attachment?.detach();
    this.attachment = null;
  }

  get({ id, topic, encoding }: GetRequest): void {
    const { session, host } = this;
    const message = host.resources.topics.retained(session.messages.caller, topic);
    if (typeof message === 'number') session.refuse(id, message);
    else if (message === null) session.refuse(id, MISSING, 'nothing is retained');
    else session.say(foundText(id!, message, encoding === 'base64'));
  }

  call(request: CallRequest, size: number): void {
    this.calls ??= new SocketCalls(this.session, this.host);
    this.calls.begin(request, size);
  }

  batch(request: BatchRequest, size: number): void {
    this.calls ??= new SocketCalls(this.session, this.host);
    this.calls.batch(request, size);
  }

  callInput(request: SendRequest | EndRequest): void {
    this.calls ??= new SocketCalls(this.session, this.host);
    this.calls.input(request);
  }

  settled(token: number, outcome: Outcome, value: number): void {
    const asked = this.subscribing.get(token);
    if (asked === undefined) {
      this.session.settled(token, outcome, value);
      return;
    }
    this.subscribing.delete(token);
    if (outcome !== OK) this.setFilter(asked.filter, asked.former);
    // The value is the assurance, which is always the same here.
    this.session.settled(token, outcome, 0);
  }

  roomy(): void {
    this.attachment?.more();
    this.calls?.roomy();
  }

  leaving(): void {
    this.calls?.leaving();
  }

  gone(): void {
    this.calls?.gone();
    this.attachment?.detach();
    this.attachment = null;
    this.subscribing.clear();
  }

  // ---- messages ----------------------------------------------------------------------------------------------------

  reserve(): number {
    return this.session.isRoomy ? 1 : 0;
  }

  deliver(message: Message, match: Match): void {
    if (this.catching > 0 && !match.retain && this.isHistory(match)) {
      this.fromHistory(message, match.filters[0]!);
      return;
    }
    const encoding = this.encoded === 0 ? 'auto' : this.encodingOf(match);
    this.session.say(this.textOf(message, encoding, match.retain));
  }

  /** What is live never comes by way of a filter that still catches up. */
  private isHistory({ filters }: Match): boolean {
    return filters.length === 1 && this.filters.get(filters[0]!)?.live === false;
  }

  private fromHistory(message: Message, filter: string): void {
    for (const [other, { live, base }] of this.filters)
      if (live && other !== filter && base < message.cursor && matches(other, message.topic)) return;
    const { encoding } = this.filters.get(filter)!;
    this.session.say(historyText(this.textOf(message, encoding, false), filter));
  }

  /** A message that several filters match comes once: in base64 if one of them asks for that. */
  private encodingOf({ filters }: Match): Encoding {
    return filters.some((filter) => this.filters.get(filter)?.encoding === 'base64') ? 'base64' : 'auto';
  }

  private textOf(message: Message, encoding: Encoding, retained: boolean): Uint8Array {
    return (message.frames[SLOTS[encoding][retained ? 1 : 0]] ??= messageText(
      message,
      retained,
      encoding === 'base64',
    ));
  }

  live(filter: string, cursor: number): void {
    const subscribed = this.filters.get(filter);
    if (subscribed === undefined) return;
    if (!subscribed.live) {
      this.catching--;
      subscribed.live = true;
    }
    subscribed.base = Math.min(subscribed.base, cursor);
    this.session.say(liveText(filter, cursor));
  }

  release(): void {
    // Nothing is delivered here that has to be released.
  }

  gap({ filter, after, from }: Gap): void {
    const subscribed = this.filters.get(filter);
    // What another filter was not given it cannot stand in for.
    if (subscribed !== undefined) subscribed.base = Number.POSITIVE_INFINITY;
    this.session.say(gapText(filter, after, from));
  }

  overflow(): void {
    this.session.fail(faults.tooSlow);
  }

  superseded(): void {
    this.session.leave('revoked', this.host.clock);
  }
}

/** portico.json on a socket. */
export function servePorticoJson(messages: Messages, host: MessagesHost): MessageSession {
  return new PorticoJsonSession(messages, host.limits, (session) => new PorticoJsonServer(session, host));
}
