// MQTT and the topics: what packets mean, and what becomes of messages on their way to a client. The only file of the
// protocol that knows resources. One server half belongs to one connection.
import { isUtf8 } from '../../bytes/reader.ts';
import type { Caller } from '../../core/caller.ts';
import { MISSING, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Pipe } from '../../core/pipe.ts';
import type { Host } from '../../core/protocol.ts';
import { Tokens } from '../../core/tokens.ts';
import type { Credentials, SignInRefusal, SignInWaiter } from '../../resources/accounts/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import type {
  Attachment,
  Gap,
  Match,
  Message,
  SubscribeOptions,
  Subscriber,
  Topics,
} from '../../resources/topics/contract.ts';
import { isTopicName, MQTT_SLOTS } from '../../resources/topics/names.ts';
import type { AuthExchange, Authenticator, AuthStep } from '../text/authenticator.ts';
import type { PacketReader } from './codec.ts';
import { sessionFaults } from './faults.ts';
import { TopicNames } from './inbound.ts';
import type { limits } from './limits.ts';
import { CONNACK_CODES, PUBLISH_CODES, REASON_TEXTS, SUBSCRIBE_CODES, UNSUBSCRIBE_CODES } from './outcomes.ts';
import { type ConnectRead, REASON, SUBACK_FAILURE, type SubscriptionRequest, V5, V31, V311 } from './packets.ts';
import type { PropertyValues } from './properties.ts';
import { MqttCalls } from './server-calls.ts';
import { certificateShown, methodRefused, passwordShown, REFUSED, willOf } from './server-connect.ts';
import { publicationOf } from './server-publication.ts';
import { HOLD_ORDER, HOLD_UNSETTLED, MqttSession, type Upper } from './session.ts';
import { Answer, RETAINED, resumptionOf, sharedOf } from './subscriptions.ts';

export type MqttHost = Host<Resources, typeof limits>;

const NO_DATA = new Uint8Array(0);

/** Four bytes of ones: for ever (MQTT 5.0 §3.1.2.11.2). */
const FOR_EVER = 0xffff_ffff;

// What a settled token stands for: its lowest three bits, the rest is a number of that kind. `answers` has its own tokens.
const ATTACHED = 0;
const SENT = 1;
const PUBLISHED = 2;
const FORGOTTEN = 3;
const ARRIVED = 4;
const SUBSCRIBED = 5;
const UNSUBSCRIBED = 6;
const KINDS = 8;

/** A gap that could not be told in a SUBACK: how many filters are remembered for it. */
const GAPS_MAX = 64;

const names = new TopicNames(isTopicName);

export class MqttServer implements Upper, Subscriber, Waiter, SignInWaiter {
  readonly session: MqttSession;
  private readonly host: MqttHost;
  private readonly pipe: Pipe;
  private readonly topics: Topics;
  private readonly authenticators: readonly Authenticator[];
  /** By number; the codec does not allow more than the client was told ([MQTT-3.3.2-7]). */
  private aliases: (string | undefined)[] | null = null;
  private readonly answers: Tokens<{ answer: Answer; index: number }>;
  private connectPacket: ConnectRead | null = null;
  private clientId = '';
  private caller: Caller | null = null;
  private attachment: Attachment | null = null;
  private exchange: AuthExchange | null = null;
  /** What the server says last of an exchange. */
  private authData: Uint8Array | null = null;
  /** Verbs that were begun and have not settled. */
  private unsettled = 0;
  /** What this connection has subscribed to. */
  private subscribed: Set<string> | null = null;
  /** Filters whose deliveries are to carry their cursor. */
  private cursors: Set<string> | null = null;
  /** Gaps that the next delivery of a filter tells. */
  private gaps: Map<string, string> | null = null;
  /** Histories that are being asked for. */
  private asking = 0;
  /** Null until something is called. */
  private calls: MqttCalls | null = null;
  private gone = false;

  constructor(pipe: Pipe, host: MqttHost, session: MqttSession, authenticators: readonly Authenticator[]) {
    this.pipe = pipe;
    this.host = host;
    this.session = session;
    this.topics = host.resources.topics;
    this.authenticators = authenticators;
    this.answers = new Tokens(host.limits.receiveMaximum + 2 * host.limits.filtersMax);
  }

  // ---- CONNECT and AUTH --------------------------------------------------------------------------------------------

  connect(connect: ConnectRead): void {
    this.connectPacket = connect;
    const { authMethod, authData } = connect.properties;
    if (authMethod === null) {
      this.signIn(connect);
      return;
    }
    const authenticator = this.authenticators.find(({ method }) => method === authMethod);
    if (authenticator === undefined) {
      this.session.refuse(REASON.badAuthenticationMethod, `there is no authentication method ${authMethod}`);
      return;
    }
    this.exchange = authenticator.begin();
    this.exchange.step(authData ?? NO_DATA, (step) => this.authenticated(step));
  }

  auth(reason: number, data: Uint8Array | null): void {
    const { authMethod } = this.connectPacket!.properties;
    if (reason === REASON.reAuthenticate) {
      this.exchange = this.authenticators.find(({ method }) => method === authMethod)!.begin();
    }
    this.exchange!.step(data ?? NO_DATA, (step) => this.authenticated(step));
  }

  private authenticated(step: AuthStep): void {
    if (this.gone) return;
    if (step.step === 'continue') this.session.challenge(step.data);
    else if (step.step === 'refused') {
      // Who could not prove a name has guessed: that is for the accounts to know.
      if (step.account !== undefined) this.give({ kind: 'scram', account: step.account, proven: false });
      else this.session.refuse(methodRefused(step.outcome), '');
    } else {
      this.authData = step.data;
      this.give({ kind: 'scram', account: step.account, proven: true });
    }
  }

  /** By name and password or token, by certificate, or as nobody. */
  private signIn(connect: ConnectRead): void {
    const { accounts } = this.host.resources;
    const { peer } = this.pipe;
    const certificate = certificateShown(connect, peer.tls?.certificate ?? null);
    if (certificate !== null && !accounts.open) {
      const answer = accounts.signIn(certificate, peer, 'mqtt', this, 0);
      // A certificate that opens no account may still be that of a nobody.
      if (answer === null || !('refused' in answer) || connect.username !== null) {
        this.signedIn(0, answer);
        return;
      }
    }
    const password = passwordShown(connect);
    const nobody = password === null ? accounts.nobody(peer) : null;
    if (password !== null) this.give(password);
    else if (nobody !== null) this.begin(nobody);
    else this.session.refuse(REASON.notAuthorized, '');
  }

  private give(credentials: Credentials): void {
    this.signedIn(0, this.host.resources.accounts.signIn(credentials, this.pipe.peer, 'mqtt', this, 0));
  }

  /** How a sign-in ended; null for not yet. */
  signedIn(_token: number, answer: Caller | SignInRefusal | null): void {
    if (answer === null || this.gone) return;
    const { caller, session } = this;
    if ('refused' in answer) {
      const [code, reason] = REFUSED[answer.refused];
      // The codes of CONNACK for this are those of DISCONNECT as well, but for the name or password.
      session.refuse(caller !== null && code === REASON.badUserNameOrPassword ? REASON.notAuthorized : code, reason);
    } else if (caller === null) this.begin(answer);
    // Whoever is somebody else now would have another's session.
    else if (answer.account === caller.account && answer.id === caller.id) session.welcome(this.authData);
    else session.refuse(REASON.notAuthorized, 'this is another account than before');
  }

  private begin(caller: Caller): void {
    const connect = this.connectPacket!;
    const id = this.identify(connect);
    if (id === null || !this.checkWill(connect)) return;
    this.clientId = id;
    this.caller = caller;
    this.pipe.signedIn(caller);
    const { limits } = this.host;
    this.attachment = this.topics.attachDurable(
      this.caller,
      this,
      {
        id: `mqtt/${id}`,
        name: id,
        fresh: connect.cleanStart,
        keepMs: this.keepMsOf(this.expiryAsked(connect)),
        policy: 'disconnect',
        queueMessagesMax: limits.queueMessagesMax,
        queueBytesMax: limits.queueBytesMax,
      },
      this,
      ATTACHED,
    );
    if (this.session.outbound !== null) this.arm();
    else if (this.gone) this.attachment.detach();
  }

  /** The client identifier, its own or one that is assigned; null when it was refused. */
  private identify(connect: ConnectRead): string | null {
    const { clientId, cleanStart, version } = connect;
    if (clientId !== '') {
      if (Buffer.byteLength(clientId) <= this.host.limits.clientIdBytesMax) return clientId;
      this.session.refuse(REASON.clientIdentifierNotValid, sessionFaults.clientIdTooLong.text);
      return null;
    }
    // Before 5.0 nobody would learn what it is called, so it can have no session ([MQTT-3.1.3-8] of 3.1.1); 3.1 wants one.
    if (version === V31 || (version === V311 && !cleanStart)) {
      this.session.refuse(REASON.clientIdentifierNotValid, '');
      return null;
    }
    const chance = Buffer.alloc(11);
    this.host.entropy.fill(chance);
    return `p${chance.toString('hex')}`;
  }

  private checkWill(connect: ConnectRead): boolean {
    const { will } = connect;
    if (will === null) return true;
    const { responseTopic, payloadFormat } = will.properties;
    if (!isTopicName(will.topic) || (responseTopic !== null && !isTopicName(responseTopic))) {
      this.session.refuse(REASON.topicNameInvalid, '');
      return false;
    }
    if (payloadFormat !== 1 || isUtf8(will.payload, 0, will.payload.length)) return true;
    this.session.refuse(REASON.payloadFormatInvalid, '');
    return false;
  }

  /** In seconds, at most what the limit allows. */
  private expiryAsked({ version, cleanStart, properties }: ConnectRead): number {
    const most = this.host.limits.sessionExpiryMaxSeconds;
    // Before 5.0 a session without the clean flag has no end of its own.
    if (version !== V5) return cleanStart ? 0 : most;
    return Math.min(Math.max(0, properties.sessionExpiry), most);
  }

  private keepMsOf(seconds: number): number {
    return seconds === FOR_EVER ? Number.POSITIVE_INFINITY : seconds * 1_000;
  }

  private attached(outcome: Outcome, present: number): void {
    if (outcome !== OK) {
      this.session.refuse(CONNACK_CODES[outcome], REASON_TEXTS[outcome]);
      return;
    }
    const connect = this.connectPacket!;
    const most = this.host.limits.keepAliveMaxSeconds;
    const asked = connect.keepAlive;
    // Only 5.0 has a way to tell a client of another keep alive than its own.
    const keepAlive = connect.version === V5 && most > 0 && (asked === 0 || asked > most) ? most : asked;
    this.session.accept({
      sessionPresent: present === 1,
      keepAlive,
      properties: connect.version === V5 ? this.announced(connect, keepAlive) : null,
    });
    if (this.attachment !== null) this.arm();
  }

  /** What CONNACK says of this server (MQTT 5.0 §3.2.2.3). */
  private announced(connect: ConnectRead, keepAlive: number): PropertyValues {
    const { limits } = this.host;
    const { sessionExpiry, authMethod } = connect.properties;
    const expiry = this.expiryAsked(connect);
    return {
      receiveMaximum: limits.receiveMaximum,
      maximumPacketSize: limits.packetBytesMax,
      topicAliasMaximum: limits.topicAliasMax,
      ...(connect.clientId === '' ? { assignedClientId: this.clientId } : {}),
      ...(keepAlive === connect.keepAlive ? {} : { serverKeepAlive: keepAlive }),
      ...(expiry < sessionExpiry ? { sessionExpiry: expiry } : {}),
      ...(authMethod === null ? {} : { authMethod, authData: this.authData }),
    };
  }

  /** The will, which is the topics' to publish from now on. */
  private arm(): void {
    const { will } = this.connectPacket!;
    if (will === null || this.gone) return;
    this.topics.arm(this.attachment!, this.caller!, willOf(will));
  }

  // ---- PUBLISH -----------------------------------------------------------------------------------------------------

  publish(reader: PacketReader, sequence: number): void {
    const topic = this.topicOf(reader);
    if (topic === null) return;
    const { properties } = reader;
    if (topic === '' || (properties.responseTopic !== null && !isTopicName(properties.responseTopic))) {
      this.refusePublish(sequence, REASON.topicNameInvalid, '');
      return;
    }
    const { bytes, payloadStart, payloadEnd } = reader;
    if (properties.payloadFormat === 1 && !isUtf8(bytes, payloadStart, payloadEnd)) {
      this.refusePublish(sequence, REASON.payloadFormatInvalid, sessionFaults.payloadFormat.text);
      return;
    }
    const five = this.connectPacket!.version === V5;
    if (five && MqttCalls.isFor(this.host, topic)) {
      this.calls ??= this.newCalls();
      this.calls.publish(topic, reader, sequence);
      return;
    }
    const publication = publicationOf(reader, topic, five, this.attachment);
    this.began();
    // A server that knows that nobody matches may say so (MQTT 5.0 §3.4.2.1).
    const matched = sequence < 0 || !five || this.topics.matching(topic) > 0;
    const token = sequence < 0 ? SENT : (sequence * 2 + (matched ? 1 : 0)) * KINDS + PUBLISHED;
    this.topics.publish(this.caller!, publication, this, token);
  }

  /** Calls of services: this connection as they need it. */
  private newCalls(): MqttCalls {
    const { host, pipe, caller } = this;
    const calling = {
      host,
      caller: caller!,
      connection: pipe.id,
      isRoomy: () => pipe.room > 0,
      began: () => this.gone || this.began(),
      ended: () => this.gone || this.ended(),
      acknowledge: (sequence: number, code: number, reason: string) => {
        if (code !== REASON.success) this.refusePublish(sequence, code, reason);
        else if (sequence >= 0) this.session.published(sequence, code, '');
      },
    };
    return new MqttCalls(calling, this.attachment!);
  }

  /** The topic of a PUBLISH, by its name or its alias; '' when nothing can be published to it, null after a fault. */
  private topicOf(reader: PacketReader): string | null {
    const { topicAlias } = reader.properties;
    const named = reader.topicEnd > reader.topicStart;
    if (topicAlias > this.host.limits.topicAliasMax) {
      this.session.fault(sessionFaults.topicAliasTooLarge);
      return null;
    }
    if (!named) {
      const known = topicAlias > 0 ? this.aliases?.[topicAlias] : undefined;
      if (known === undefined) this.session.fault(sessionFaults.topicAliasUnknown);
      return known ?? null;
    }
    const topic = names.read(reader.bytes, reader.topicStart, reader.topicEnd);
    if (topicAlias > 0) (this.aliases ??= [])[topicAlias] = topic ?? '';
    return topic ?? '';
  }

  /** Says no in the way that the QoS and the version have: an acknowledgement, or else the end. */
  private refusePublish(sequence: number, code: number, reason: string): void {
    if (sequence >= 0 && this.connectPacket!.version === V5) this.session.published(sequence, code, reason);
    else this.session.disconnect(code, reason);
  }

  private published(outcome: Outcome, token: number): void {
    const sequence = Math.floor(token / 2);
    if (outcome === OK) {
      this.session.published(sequence, token % 2 === 1 ? REASON.success : REASON.noMatchingSubscribers, '');
    } else this.refusePublish(sequence, PUBLISH_CODES[outcome], REASON_TEXTS[outcome]);
  }

  /** A QoS 0 publish that was refused: there is no answer to it, so it is logged. */
  private sent(outcome: Outcome): void {
    if (outcome === OK) return;
    const { clientId: client, pipe } = this;
    this.host.log.debug('a message of QoS 0 was not taken', {
      connection: pipe.id,
      client,
      code: PUBLISH_CODES[outcome],
    });
  }

  released(packetId: number): void {
    if (this.calls?.released(packetId) === true) {
      this.session.completed(packetId, REASON.success);
      return;
    }
    if (!this.attachment!.isOnce(packetId)) {
      this.session.completed(packetId, REASON.packetIdentifierNotFound);
      return;
    }
    this.began();
    this.attachment!.forget(packetId, this, packetId * KINDS + FORGOTTEN);
  }

  // ---- SUBSCRIBE and UNSUBSCRIBE -----------------------------------------------------------------------------------

  subscribe(packetId: number, asked: readonly SubscriptionRequest[], reader: PacketReader): void {
    const answer = Answer.of(packetId, asked);
    const { after, cursors } = resumptionOf(reader.properties.user);
    const identifier = reader.properties.subscriptionIds[0] ?? 0;
    for (const [index, request] of asked.entries()) {
      const shared = sharedOf(request.filter);
      if (shared === null) this.answerOne(answer, index, REASON.topicFilterInvalid);
      else if (Number.isNaN(after)) {
        answer.reason = 'after is no cursor';
        this.answerOne(answer, index, REASON.implementationSpecific);
      } else if (!this.allows(request.filter)) this.answerOne(answer, index, REASON.quotaExceeded);
      else {
        const options: SubscribeOptions = {
          filter: shared.filter,
          assurance: request.qos,
          noLocal: request.noLocal,
          retainAsPublished: request.retainAsPublished,
          retained: RETAINED[request.retainHandling],
          identifier,
          ...(shared.group === undefined ? {} : { group: shared.group }),
          ...(after >= 0 && shared.group === undefined ? { after } : {}),
        };
        if (cursors) (this.cursors ??= new Set()).add(shared.filter);
        else this.cursors?.delete(shared.filter);
        this.subscribeOne(options, answer, index);
      }
    }
  }

  /** Whether one more subscription is within the bound; one that is there already is replaced. */
  private allows(filter: string): boolean {
    this.subscribed ??= new Set();
    if (this.subscribed.has(filter)) return true;
    if (this.subscribed.size >= this.host.limits.subscriptionsMax) return false;
    this.subscribed.add(filter);
    return true;
  }

  private subscribeOne(options: SubscribeOptions, answer: Answer, index: number): void {
    const token = this.answers.open({ answer, index });
    if (token === 0) {
      this.answerOne(answer, index, REASON.quotaExceeded);
      return;
    }
    this.began();
    const begin = () => this.attachment!.subscribe(options, this, token * KINDS + SUBSCRIBED);
    if (options.after === undefined) {
      begin();
      return;
    }
    // Whether all that is asked for is still there is known before the SUBACK, which tells it; what comes behind waits.
    this.session.hold(HOLD_ORDER);
    this.asking++;
    const { filter, after } = options;
    this.topics
      .history(this.caller!, filter, after, 1)
      .catch(() => null)
      .then((history) => {
        if (this.gone) return;
        if (history !== null && typeof history === 'object' && history.gap !== null) {
          answer.gaps.push('gap', gapText(history.gap));
          if (this.connectPacket!.properties.requestProblem !== 0) (this.gaps ??= new Map()).set(filter, '');
        }
        begin();
        if (--this.asking === 0) this.session.letGo(HOLD_ORDER);
      })
      .catch((error: unknown) => {
        // Nothing guards what runs behind a promise: a bug ends this connection only.
        const fields = { connection: this.pipe.id, client: this.clientId, error: String(error) };
        this.host.log.error('a subscription behind a cursor failed', fields);
        this.session.disconnect(REASON.unspecifiedError, '');
      });
  }

  unsubscribe(packetId: number, filters: readonly string[]): void {
    const answer = new Answer(packetId, filters);
    for (const [index, text] of filters.entries()) {
      const shared = sharedOf(text);
      const token = shared === null ? 0 : this.answers.open({ answer, index });
      if (shared === null) this.answerOne(answer, index, REASON.topicFilterInvalid, true);
      else if (token === 0) this.answerOne(answer, index, REASON.unspecifiedError, true);
      else {
        this.subscribed?.delete(text);
        this.cursors?.delete(shared.filter);
        this.began();
        this.attachment!.unsubscribe(shared.filter, shared.group, this, token * KINDS + UNSUBSCRIBED);
      }
    }
  }

  private answered(token: number, outcome: Outcome, value: number, isUnsubscribe: boolean): void {
    const asked = this.answers.take(token);
    if (asked === undefined) return;
    const { answer, index } = asked;
    if (outcome === OK) this.answerOne(answer, index, isUnsubscribe ? REASON.success : value, isUnsubscribe);
    else {
      answer.reason ||= REASON_TEXTS[outcome];
      const codes = isUnsubscribe ? UNSUBSCRIBE_CODES : SUBSCRIBE_CODES;
      this.answerOne(answer, index, codes[outcome], isUnsubscribe);
    }
  }

  /** One filter's code; with the last of them the packet is answered. */
  private answerOne(answer: Answer, index: number, code: number, isUnsubscribe = false): void {
    const earlier = this.connectPacket!.version !== V5;
    if (!answer.set(index, earlier && code >= 0x80 ? SUBACK_FAILURE : code)) return;
    const { packetId, codes, gaps } = answer;
    const reason = gaps.length > 0 ? 'a part of the history that was asked for is not there any more' : answer.reason;
    const properties = reason === '' ? null : { reason, user: gaps };
    if (isUnsubscribe) this.session.unsuback(packetId, codes, properties);
    else this.session.suback(packetId, codes, properties);
  }

  // ---- Subscriber --------------------------------------------------------------------------------------------------

  reserve(_message: Message, match: Match): number {
    return this.session.outbound?.reserve(match.assurance) ?? 0;
  }

  deliver(message: Message, match: Match, tag: number, again: boolean): void {
    const { outbound } = this.session;
    if (outbound === null || this.gone) return;
    const expiry = Number.isFinite(message.expiry) ? secondsLeft(message.expiry, this.host.clock.wall) : -1;
    const content = this.cursors !== null || this.gaps !== null ? this.withCursor(message, match) : message;
    const { assurance, retain, identifiers } = match;
    const five = this.connectPacket!.version === V5;
    const with5 = five ? identifiers : NO_IDENTIFIERS;
    const sent =
      again && assurance > 0
        ? outbound.redeliver(content, assurance as 1 | 2, retain, with5, tag, expiry)
        : outbound.deliver(content, assurance, retain, with5, tag, expiry);
    if (sent) return;
    this.topics.figures.dropped++;
    const fields = { connection: this.pipe.id, client: this.clientId, topic: message.topic };
    this.host.log.debug('a message was too large for its subscriber', fields);
    if (assurance > 0) this.attachment?.acknowledge(tag);
  }

  /** The message as those see it that asked for cursors: with its own, and with the gap before it. */
  private withCursor(message: Message, match: Match): Message {
    const extra: string[] = [];
    let asked = false;
    for (const filter of match.filters) {
      const gap = this.gaps?.get(filter);
      if (gap !== undefined && gap !== '') {
        extra.push('gap', gap);
        this.gaps!.delete(filter);
      }
      asked ||= this.cursors?.has(filter) === true;
    }
    if (asked && message.cursor > 0) extra.push('cursor', String(message.cursor));
    if (extra.length === 0 || this.connectPacket!.version !== V5) return message;
    return { ...message, properties: [...message.properties, ...extra], frames: [] };
  }

  release(tag: number): void {
    this.session.outbound?.release(tag);
  }

  gap(gap: Gap): void {
    // Told in the SUBACK already, unless the client wants no such words there.
    if (this.gaps?.get(gap.filter) === '') this.gaps.delete(gap.filter);
    else if ((this.gaps?.size ?? 0) < GAPS_MAX) (this.gaps ??= new Map()).set(gap.filter, gapText(gap));
  }

  overflow(): void {
    this.session.disconnect(REASON.quotaExceeded, 'too many messages wait for this client');
  }

  superseded(): void {
    this.session.disconnect(REASON.sessionTakenOver, '');
  }

  acknowledged(packetId: number): void {
    this.attachment?.acknowledge(packetId);
  }

  arrived(packetId: number): void {
    this.began();
    this.attachment!.received(packetId, this, packetId * KINDS + ARRIVED);
  }

  more(): void {
    this.attachment?.more();
    this.calls?.more();
  }

  // ---- Waiter ------------------------------------------------------------------------------------------------------

  settled(token: number, outcome: Outcome, value: number): void {
    if (this.gone) return;
    const kind = token % KINDS;
    if (kind === ATTACHED) {
      this.attached(outcome, value);
      return;
    }
    const rest = Math.floor(token / KINDS);
    this.ended();
    if (kind === SENT) this.sent(outcome);
    else if (kind === PUBLISHED) this.published(outcome, rest);
    else if (kind === FORGOTTEN) this.forgotten(outcome, rest);
    else if (kind === ARRIVED) this.committed(outcome, rest);
    else this.answered(rest, outcome, value, kind === UNSUBSCRIBED);
  }

  private forgotten(outcome: Outcome, packetId: number): void {
    const found = outcome === OK;
    // What could not be committed is asked for again by the next connection.
    if (!found && outcome !== MISSING) this.session.disconnect(PUBLISH_CODES[outcome], REASON_TEXTS[outcome]);
    else this.session.completed(packetId, found ? REASON.success : REASON.packetIdentifierNotFound);
  }

  private committed(outcome: Outcome, packetId: number): void {
    if (outcome === OK || outcome === MISSING) this.session.outbound?.release(packetId);
    else this.session.disconnect(PUBLISH_CODES[outcome], REASON_TEXTS[outcome]);
  }

  private began(): void {
    if (++this.unsettled >= this.host.limits.receiveMaximum) this.session.hold(HOLD_UNSETTLED);
  }

  private ended(): void {
    if (--this.unsettled < this.host.limits.receiveMaximum) this.session.letGo(HOLD_UNSETTLED);
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  over(withWill: boolean, expiry: number): void {
    this.gone = true;
    this.answers.clear();
    this.calls?.gone();
    const { attachment } = this;
    if (attachment === null) return;
    if (!withWill) this.topics.arm(attachment, this.caller!, null);
    if (expiry >= 0) attachment.keep(this.keepMsOf(Math.min(expiry, this.host.limits.sessionExpiryMaxSeconds)));
    attachment.detach();
  }
}

const NO_IDENTIFIERS: readonly number[] = [];

/** What is left of a message's life in whole seconds, at least one: it has not expired when it is delivered. */
function secondsLeft(expiry: number, wall: number): number {
  return Math.max(1, Math.ceil((expiry - wall) / 1_000));
}

function gapText(gap: Gap): string {
  return `${gap.after}-${gap.from}`;
}

/** A session with its server half. */
export function serveMqtt(pipe: Pipe, host: MqttHost, authenticators: readonly Authenticator[] = []): MqttSession {
  return new MqttSession(
    pipe,
    host.limits,
    host.clock,
    MQTT_SLOTS,
    (session) => new MqttServer(pipe, host, session, authenticators),
  );
}
