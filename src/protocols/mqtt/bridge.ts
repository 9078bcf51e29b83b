// A bridge to another broker: what its rules name goes out through a durable subscriber, and what the other broker has for
// it comes in. It dials again by itself, and acknowledges on either side only what the other side has.
import { OPERATOR } from '../../core/caller.ts';
import type { Log } from '../../core/log.ts';
import { DENIED, INVALID, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Reach } from '../../core/reach.ts';
import { type Clock, type Entropy, type Instant, NEVER } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import type {
  Attachment,
  Gap,
  Match,
  Message,
  Publication,
  Subscriber,
  Topics,
} from '../../resources/topics/contract.ts';
import {
  type BridgePlan,
  type BridgeRule,
  crossedName,
  crossedProperties,
  type Remote,
  remoteOf,
} from './bridge-plan.ts';
import { MqttClient } from './client.ts';
import { type Accepted, ClientMemory, type Closed, CUT_OFF, type Publish, type Received } from './client-memory.ts';
import { encodePublish } from './encode.ts';
import { type Qos, REASON, V5, type Version } from './packets.ts';

export interface BridgeOptions {
  readonly plan: BridgePlan;
  /** The client identifier where the plan has none. */
  readonly clientId: string;
  /** PEM, in place of the authorities that all know. */
  readonly authorities?: string;
  readonly turn: Turn;
  readonly reach: Reach;
  readonly topics: Topics;
  readonly log: Log;
  readonly entropy: Entropy;
  /** How long the first wait before dialling again is; 1,000 unless said. It doubles up to 60 times that. */
  readonly againMs?: number;
}

/** How long either side keeps what waits while the other is away. */
const KEEP_SECONDS = 7 * 86_400;
/** Publishes that the other broker has not acknowledged, and deliveries of its that are not committed. */
const UNDER_WAY_MAX = 1_000;
/** A connection that stood this long was a good one: the next wait is a short one again. */
const STOOD_MS = 10_000;

const ATTACHED = 1;
const SUBSCRIBED = 2;
/** Tokens from here on are publishes. */
const PUBLISHED = 3;

/** One message on its way out, under the tag that is its packet identifier as well. */
interface Leaving {
  readonly message: Message;
  readonly match: Match;
}

/** One message that is being published here, and whom to acknowledge it to. */
interface Arriving {
  readonly client: MqttClient;
  readonly packetId: number;
}

export class Bridge extends Turned implements Subscriber, Waiter {
  private readonly options: BridgeOptions;
  private readonly plan: BridgePlan;
  private readonly remote: Remote;
  private readonly version: Version;
  /** What messages are marked with that have crossed. */
  private readonly mark: string;
  private readonly ins: readonly BridgeRule[];
  private readonly outs: readonly BridgeRule[];
  private memory = new ClientMemory();
  private attachment: Attachment | null = null;
  private subscribing = 0;
  private client: MqttClient | null = null;
  /** Connected, and subscribed to what is to come in. */
  private ready = false;
  /** The other broker was asked for all that is to come in, in the session that it has. */
  private asked = false;
  private qosMax: Qos = 2;
  private retains = true;
  /** To be published once there is a connection: cut off, or handed over without one. */
  private readonly parked = new Map<number, Leaving>();
  private readonly arriving = new Map<number, Arriving>();
  private lastToken = PUBLISHED;
  private giveUp: (() => void) | null = null;
  private at: Instant = NEVER;
  private failures = 0;
  private connectedAt: Instant = NEVER;
  /** What was logged already: of failures since the last connection, and of refusals since this one. */
  private readonly said = new Set<string>();
  private over = false;

  constructor(options: BridgeOptions) {
    super();
    this.options = options;
    this.plan = options.plan;
    this.remote = remoteOf(options.plan.url);
    this.version = options.plan.version ?? V5;
    this.ins = options.plan.in ?? [];
    this.outs = options.plan.out ?? [];
    const bytes = Buffer.alloc(8);
    options.entropy.fill(bytes);
    this.mark = bytes.toString('hex');
    this.open();
  }

  /** Leaves the other broker. What is not acknowledged goes on with the next start. */
  close(): void {
    this.over = true;
    this.at = NEVER;
    this.options.turn.forget(this);
    this.giveUp?.();
    this.client?.disconnect();
    this.attachment?.detach();
    this.attachment = null;
  }

  // ---- Turned: the wait before dialling again ----------------------------------------------------------------------

  get due(): Instant {
    return this.at;
  }

  work(): void {}

  tick(clock: Clock): void {
    if (this.over || clock.now < this.at) return;
    // What came on the last connection settles first: a repeat of it could not be told from something new.
    this.at = this.arriving.size > 0 ? clock.now + 100 : NEVER;
    if (this.at !== NEVER) return;
    if (this.attachment === null) this.open();
    else this.dial();
  }

  /** Half of the wait is left to chance, so that not all come back to a broker at once. */
  private again(): void {
    const { turn, entropy, againMs = 1_000 } = this.options;
    if (this.over) return;
    const chance = Buffer.alloc(2);
    entropy.fill(chance);
    const most = againMs * Math.min(2 ** this.failures++, 60);
    this.at = turn.clock.now + most * (0.5 + chance.readUInt16BE() / 131_072);
    turn.touch(this);
  }

  // ---- here --------------------------------------------------------------------------------------------------------

  private open(): void {
    this.memory = new ClientMemory();
    this.parked.clear();
    this.asked = false;
    const { name } = this.plan;
    this.attachment = this.options.topics.attachDurable(
      OPERATOR,
      this,
      {
        id: `bridge/${name}`,
        name: `bridge/${name}`,
        fresh: false,
        keepMs: KEEP_SECONDS * 1_000,
        policy: 'drop-oldest',
        queueMessagesMax: 10_000,
        queueBytesMax: 67_108_864,
      },
      this,
      ATTACHED,
    );
  }

  settled(token: number, outcome: Outcome): void {
    if (token >= PUBLISHED) this.arrived(token, outcome);
    else if (this.over || token === 0) return;
    else if (outcome !== OK) {
      this.say('error', 'the topics do not let it subscribe', `outcome ${outcome}`);
      if (token === SUBSCRIBED) this.subscribedHere();
    } else if (token === SUBSCRIBED) this.subscribedHere();
    else this.attached();
  }

  private attached(): void {
    this.subscribing = this.outs.length;
    for (const { filter, qos = 1 } of this.outs)
      this.attachment?.subscribe(
        { filter, assurance: qos, noLocal: true, retainAsPublished: true, retained: 'when-new' },
        this,
        SUBSCRIBED,
      );
    if (this.outs.length === 0) this.dial();
  }

  private subscribedHere(): void {
    if (--this.subscribing === 0) this.dial();
  }

  // ---- there -------------------------------------------------------------------------------------------------------

  private dial(): void {
    const { target, tls } = this.remote;
    const { authorities } = this.options;
    this.giveUp = this.options.reach.dial(
      target,
      tls === null || authorities === undefined ? tls : { ...tls, authorities },
      (pipe) => this.begin(pipe),
      (_cause, why) => this.failed(why),
    );
  }

  private failed(why: string): void {
    if (this.over) return;
    this.say('warn', 'its broker cannot be reached', why);
    this.again();
  }

  private begin(pipe: Pipe): Session {
    const { plan, remote, version, memory } = this;
    this.giveUp = null;
    pipe.speaks('reach/mqtt');
    const client = new MqttClient(
      pipe,
      this.options.turn.clock,
      {
        version,
        clientId: plan.clientId ?? this.options.clientId,
        memory,
        username: remote.username,
        password: remote.password,
        sessionExpirySeconds: KEEP_SECONDS,
        receiveMaximum: UNDER_WAY_MAX,
        queueMessagesMax: UNDER_WAY_MAX,
        manual: true,
      },
      {
        connected: (accepted) => this.connected(client, accepted),
        message: (message) => this.receive(client, message),
        room: () => this.goOn(),
        closed: (closed) => this.closed(closed),
      },
    );
    this.client = client;
    return client;
  }

  private connected(client: MqttClient, { sessionPresent, properties }: Accepted): void {
    this.connectedAt = this.options.turn.clock.now;
    this.said.clear();
    this.qosMax = (properties.maximumQos < 0 ? 2 : properties.maximumQos) as Qos;
    this.retains = properties.retainAvailable !== 0;
    this.options.log.info('a bridge is connected', { bridge: this.plan.name, to: this.where, session: sessionPresent });
    if (this.ins.length === 0 || (sessionPresent && this.asked)) {
      this.beReady();
      return;
    }
    // Retained values come with a subscription that is new to the other broker, not with every connection.
    const filters = this.ins.map(({ filter, qos = 1 }) => {
      return { filter, qos, noLocal: true, retainAsPublished: true, retainHandling: 1 as const };
    });
    const taken = client.subscribe(filters, (reasons) => this.subscribedThere(reasons));
    if (taken === 'taken') return;
    this.say('warn', 'its broker does not take the subscriptions', taken);
    this.beReady();
  }

  private subscribedThere(reasons: readonly number[]): void {
    // Cut off: the next connection asks again.
    if (reasons.length === 0 || this.over) return;
    this.asked = true;
    for (const [index, reason] of reasons.entries())
      if (reason >= 0x80) this.say('warn', `its broker refuses ${this.ins[index]!.filter}`, `reason ${reason}`);
    this.beReady();
  }

  private beReady(): void {
    this.ready = true;
    this.goOn();
  }

  private closed({ why, reason, text }: Closed): void {
    const { turn, log } = this.options;
    const stood = this.connectedAt === NEVER ? -1 : turn.clock.now - this.connectedAt;
    this.client = null;
    this.ready = false;
    this.connectedAt = NEVER;
    if (stood >= STOOD_MS) this.failures = 0;
    const how = `${why}${reason === 0 ? '' : ` with ${reason}`}${text === '' ? '' : `: ${text}`}`;
    if (stood >= 0)
      log[this.over ? 'info' : 'warn']('a bridge is disconnected', {
        bridge: this.plan.name,
        from: this.where,
        why: how,
      });
    else if (!this.over) this.say('warn', 'its broker does not let it in', how);
    this.again();
  }

  private get where(): string {
    const { host, port } = this.remote.target;
    return `${host}:${port}`;
  }

  /** Logs, once until the next connection: a broker that is away is away for many tries. */
  private say(level: 'warn' | 'error', what: string, why: string): void {
    const line = `${what}: ${why}`;
    if (this.said.has(line) || this.said.size > 100) return;
    this.said.add(line);
    this.options.log[level](`a bridge: ${what}`, { bridge: this.plan.name, at: this.where, why });
  }

  // ---- in ----------------------------------------------------------------------------------------------------------

  private receive(client: MqttClient, { topic, payload, qos, retain, packetId, properties }: Received): void {
    const name = crossedName(this.ins, topic);
    const marked = crossedProperties(properties.user ?? [], this.mark);
    // Of a former configuration, or round in a circle: taken, so that it does not come again.
    if (name === null || marked === null || this.attachment === null) {
      client.acknowledge(packetId);
      return;
    }
    const publication: Publication & { expiryMs?: number } = {
      topic: name,
      payload,
      contentType: properties.contentType ?? '',
      text: properties.payloadFormat === 1,
      properties: marked,
      responseTopic: properties.responseTopic ?? '',
      correlation: properties.correlation ?? null,
      retain,
      assurance: qos,
      from: this.attachment,
    };
    const seconds = properties.messageExpiry ?? -1;
    if (seconds >= 0) publication.expiryMs = seconds * 1_000;
    if (qos === 0) {
      this.options.topics.publish(OPERATOR, publication, this, 0);
      return;
    }
    const token = ++this.lastToken;
    this.arriving.set(token, { client, packetId });
    // 3.1.1 has no receive maximum: its broker is held up instead.
    if (this.arriving.size >= UNDER_WAY_MAX) client.pause();
    this.options.topics.publish(OPERATOR, publication, this, token);
  }

  /** Committed here, or refused. */
  private arrived(token: number, outcome: Outcome): void {
    const one = this.arriving.get(token);
    if (one === undefined) return;
    const { client, packetId } = one;
    this.arriving.delete(token);
    if (this.arriving.size === UNDER_WAY_MAX - 1) client.resume();
    if (outcome === OK) client.acknowledge(packetId);
    else if (outcome === DENIED || outcome === INVALID) {
      this.say('warn', 'a message is not taken here', outcome === DENIED ? 'a topic of the server' : 'no topic name');
      client.acknowledge(packetId, outcome === DENIED ? REASON.notAuthorized : REASON.topicNameInvalid);
    } else {
      // A disk that is full, a queue: it stays the other broker's, which sends it again on the next connection.
      this.memory.incoming.delete(packetId);
      this.say('warn', 'messages cannot be committed', `outcome ${outcome}`);
      client.disconnect();
    }
  }

  // ---- out: Subscriber ---------------------------------------------------------------------------------------------

  reserve(_message: Message, match: Match): number {
    // At most once: while there is no connection it need not wait for one.
    if (match.assurance === 0) return 1;
    if (!this.ready || this.parked.size > 0 || !this.client!.hasRoom()) return 0;
    return this.memory.reserve();
  }

  deliver(message: Message, match: Match, tag: number, again: boolean): void {
    if (match.assurance === 0) this.send({ message, match }, 0);
    else if (again) this.restore({ message, match }, tag);
    else if (!this.send({ message, match }, tag)) this.parked.set(tag, { message, match });
  }

  /** Nothing says `received` to the topics, so there is never only a release to be done; one is over all the same. */
  release(tag: number): void {
    this.attachment?.acknowledge(tag);
  }

  gap(_gap: Gap): void {}

  /** The tag of a delivery could not be committed: from the start, a while later. */
  overflow(): void {
    this.say('warn', 'deliveries cannot be committed', 'the store does not take them');
    this.attachment?.detach();
    this.attachment = null;
    if (this.client !== null) this.client.disconnect();
    else if (this.at === NEVER) this.again();
  }

  superseded(): void {
    this.say('error', 'its place is taken', `somebody else attached as bridge/${this.plan.name}`);
    this.attachment = null;
    this.close();
  }

  /** There is a connection, or room on it. */
  private goOn(): void {
    if (!this.ready) return;
    for (const [tag, leaving] of this.parked) {
      if (!this.client!.hasRoom()) return;
      if (!this.send(leaving, tag)) return;
      this.parked.delete(tag);
    }
    this.attachment?.more();
  }

  /** What to publish for a message, or null when it does not cross. */
  private publishOf({ message, match }: Leaving, tag: number): Publish | null {
    const topic = crossedName(this.outs, message.topic);
    const properties = crossedProperties(message.properties, this.mark);
    if (topic === null || properties === null) return null;
    const { payload, contentType, text, responseTopic, correlation, expiry } = message;
    const left = Math.ceil((expiry - this.options.turn.clock.wall) / 1_000);
    return {
      topic,
      payload,
      contentType,
      text,
      properties,
      responseTopic,
      correlation,
      qos: Math.min(match.assurance, this.qosMax) as Qos,
      retain: match.retain && this.retains,
      expiry: Number.isFinite(expiry) ? Math.max(left, 1) : -1,
      packetId: tag,
    };
  }

  /** Publishes to the other broker; false when it has to wait. A tag of 0 is not waited for. */
  private send(leaving: Leaving, tag: number): boolean {
    const publish = this.publishOf(leaving, tag);
    if (publish === null) {
      this.left(tag);
      return true;
    }
    if (!this.ready) return tag === 0;
    const taken = this.client!.publish(publish, this.answer(leaving, tag));
    if (taken === 'taken') return true;
    if (taken === 'closed' || taken === 'full') return tag === 0;
    this.say('warn', `a message on ${publish.topic} does not go out`, taken);
    this.left(tag);
    return true;
  }

  /** Told how a publish ended. */
  private answer(leaving: Leaving, tag: number): (reason: number) => void {
    const { attachment } = this;
    return (reason) => {
      if (tag === 0 || this.attachment !== attachment) return;
      if (reason === CUT_OFF) {
        // The other broker has lost the session: once more, from the start.
        this.parked.set(tag, leaving);
        return;
      }
      if (reason >= 0x80) this.say('warn', 'its broker refuses messages', `reason ${reason}`);
      this.left(tag);
    };
  }

  private left(tag: number): void {
    if (tag === 0) return;
    this.memory.free(tag);
    this.attachment?.acknowledge(tag);
  }

  /** Exactly once, and handed over by a former process: the other broker may know its packet identifier. */
  private restore(leaving: Leaving, tag: number): void {
    const done = this.answer(leaving, tag);
    const publish = this.publishOf(leaving, tag);
    if (publish === null) {
      // It crosses no more, but the other broker may hold its identifier until that is released.
      this.memory.restore({ packetId: tag, qos: 2, retain: false, topic: '', frame: null, done });
      return;
    }
    const { topic, retain = false, expiry = -1 } = publish;
    const content = { contentType: '', text: false, properties: [], responseTopic: '', correlation: null, ...publish };
    const frame = encodePublish(content, this.version, retain, expiry);
    this.memory.restore({ packetId: tag, qos: 2, retain, topic, frame, done });
  }
}
