// The topics' fields of the schema: what they do with the topics, and messages as the schema has them.
import { FAILED, INVALID, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Host } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import type {
  Attachment,
  Gap,
  History,
  Match,
  Message,
  Publication,
  SlowPolicy,
  SubscribeOptions,
  Subscriber,
} from '../../resources/topics/contract.ts';
import { isTopicFilter, isTopicName } from '../../resources/topics/names.ts';
import { outcomeFailure } from './codes.ts';
import type { Asker, Doing, Outlet, TopicDoer } from './execution.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import type { TopicVerb } from './topic-fields.ts';
import type { Plain } from './types.ts';

export type GraphqlHost = Host<Resources, typeof limits>;

const NOT_READABLE = 'This may not be read: a rule forbids it.';
const NOT_WRITABLE = 'The message was not taken.';
const NO_TOPIC = 'This is not a topic.';
const NO_FILTER = 'This is not a filter of topics.';

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(payload: Uint8Array): string | null {
  try {
    return UTF8.decode(payload);
  } catch {
    return null;
  }
}

function jsonOf(payload: Uint8Array): unknown {
  const text = textOf(payload);
  if (text === null || text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A message as the schema has it; text and JSON are made for those who ask. */
class Shown {
  private readonly message: Message;
  readonly retained: boolean;
  readonly gap = null;

  constructor(message: Message, retained: boolean) {
    this.message = message;
    this.retained = retained;
  }

  get topic(): string {
    return this.message.topic;
  }

  get payload(): string | null {
    return textOf(this.message.payload);
  }

  get json(): unknown {
    return jsonOf(this.message.payload);
  }

  get base64(): Uint8Array {
    return this.message.payload;
  }

  get contentType(): string | null {
    return this.message.contentType === '' ? null : this.message.contentType;
  }

  get properties(): Plain[] {
    const { properties } = this.message;
    const made: Plain[] = [];
    for (let at = 0; at < properties.length; at += 2) made.push({ name: properties[at], value: properties[at + 1] });
    return made;
  }

  get responseTopic(): string | null {
    return this.message.responseTopic === '' ? null : this.message.responseTopic;
  }

  get correlation(): Uint8Array | null {
    return this.message.correlation;
  }

  get publisher(): string {
    return this.message.publisher;
  }

  get time(): Date {
    return new Date(this.message.time);
  }

  get expiry(): Date | null {
    const { expiry } = this.message;
    return expiry === Number.POSITIVE_INFINITY ? null : new Date(expiry);
  }

  get cursor(): bigint | null {
    return this.message.cursor === 0 ? null : BigInt(this.message.cursor);
  }
}

function shownGap({ filter, after, from }: Gap): Plain {
  const gap = { after: BigInt(after), from: from === 0 ? null : BigInt(from) };
  return { topic: filter, properties: [], retained: false, gap };
}

const NOTHING_DOING: Doing = { cancel() {}, more() {} };

/** A cursor that was given: whole and from 0, or NaN. */
function cursorOf(given: unknown): number | null {
  if (given === undefined || given === null) return null;
  const cursor = Number(given as bigint);
  return cursor >= 0 && Number.isSafeInteger(cursor) ? cursor : Number.NaN;
}

export class TopicFields implements TopicDoer {
  private readonly host: GraphqlHost;
  /** The last message that was shown: the next subscriber is most often shown the same. */
  private last: { message: Message; retained: boolean; shown: Shown } | null = null;

  constructor(host: GraphqlHost) {
    this.host = host;
  }

  begin(verb: TopicVerb, args: Plain, asker: Asker, outlet: Outlet): Doing {
    switch (verb) {
      case 'publish':
        return this.publish(args, asker, outlet);
      case 'unretain':
        return this.publish({ topic: args.topic, payload: '', retain: true }, asker, outlet);
      case 'retained':
        return this.retained(args.topic as string, asker, outlet);
      case 'history':
        return this.history(args, asker, outlet);
      case 'topic':
        return new TopicStream(this.host, this, asker, outlet).begin(args);
    }
  }

  shown(message: Message, retained: boolean): Shown {
    const { last } = this;
    if (last !== null && last.message === message && last.retained === retained) return last.shown;
    const shown = new Shown(message, retained);
    this.last = { message, retained, shown };
    return shown;
  }

  private publish(args: Plain, { caller }: Asker, outlet: Outlet): Doing {
    const topic = args.topic as string;
    const wrong = isTopicName(topic) ? wrongPublication(args) : NO_TOPIC;
    if (wrong !== '') {
      outlet.end(outcomeFailure(INVALID, wrong));
      return NOTHING_DOING;
    }
    const isText = args.base64 === undefined || args.base64 === null;
    const expiresIn = args.expiresIn as number | null | undefined;
    const properties = (args.properties ?? []) as { name: string; value: string }[];
    const json = args.json !== undefined && args.json !== null;
    const publication: Publication = {
      topic,
      payload: payloadOf(args),
      text: isText,
      contentType: (args.contentType as string | null | undefined) ?? (json ? 'application/json' : ''),
      properties: properties.flatMap(({ name, value }) => [name, value]),
      responseTopic: (args.responseTopic as string | null | undefined) ?? '',
      correlation: (args.correlation as Uint8Array | null | undefined) ?? null,
      retain: args.retain === true,
      assurance: 1,
      ...(expiresIn === undefined || expiresIn === null ? {} : { expiryMs: expiresIn * 1_000 }),
    };
    const waiter: Waiter = {
      settled(_token, outcome, cursor) {
        if (outcome === OK) outlet.value({ cursor: cursor === 0 ? null : BigInt(cursor) });
        outlet.end(outcome === OK ? null : outcomeFailure(outcome, NOT_WRITABLE));
      },
    };
    this.host.resources.topics.publish(caller, publication, waiter, 0);
    return NOTHING_DOING;
  }

  private retained(topic: string, { caller }: Asker, outlet: Outlet): Doing {
    const message = isTopicName(topic) ? this.host.resources.topics.retained(caller, topic) : INVALID;
    if (typeof message === 'number') {
      outlet.end(outcomeFailure(message, message === INVALID ? NO_TOPIC : NOT_READABLE));
      return NOTHING_DOING;
    }
    outlet.value(message === null ? null : this.shown(message, true));
    outlet.end(null);
    return NOTHING_DOING;
  }

  private history(args: Plain, { caller, connection }: Asker, outlet: Outlet): Doing {
    const { resources, limits, log } = this.host;
    const filter = args.filter as string;
    const after = cursorOf(args.after) ?? 0;
    const first = Number(args.first ?? 100);
    if (!isTopicFilter(filter) || Number.isNaN(after) || first < 1) {
      outlet.end(outcomeFailure(INVALID, isTopicFilter(filter) ? 'after or first is wrong.' : NO_FILTER));
      return NOTHING_DOING;
    }
    let gone = false;
    const answer = (history: History | Outcome): void => {
      if (gone) return;
      if (typeof history === 'number') {
        outlet.end(outcomeFailure(history, NOT_READABLE));
        return;
      }
      const { messages, gap, cursor } = history;
      const page = messages.map((message) => new Shown(message, false));
      outlet.value({ messages: page, cursor: BigInt(cursor), gap: gap === null ? null : shownGap(gap).gap });
      outlet.end(null);
    };
    resources.topics
      .history(caller, filter, after, Math.min(first, limits.historyMax))
      .then(answer, (error: unknown) => {
        log.error('the history could not be read', { connection, error: String(error) });
        answer(FAILED);
      });
    return {
      cancel() {
        gone = true;
      },
      more() {},
    };
  }
}

function wrongPublication(args: Plain): string {
  const given = ['payload', 'json', 'base64'].filter((name) => args[name] !== undefined && args[name] !== null);
  if (given.length > 1) return 'Give one of payload, json and base64.';
  const { expiresIn, responseTopic } = args;
  if (typeof responseTopic === 'string' && !isTopicName(responseTopic)) return 'responseTopic is not a topic.';
  return typeof expiresIn === 'number' && expiresIn <= 0 ? 'expiresIn is over already.' : '';
}

function payloadOf({ payload, json, base64 }: Plain): Uint8Array {
  if (base64 instanceof Uint8Array) return base64;
  return Buffer.from(json === undefined || json === null ? ((payload as string | null) ?? '') : JSON.stringify(json));
}

/** `subscription { topic(filter: …) }`: one subscriber of the topics. */
class TopicStream implements Subscriber, Waiter, Doing {
  private readonly host: GraphqlHost;
  private readonly fields: TopicFields;
  private readonly asker: Asker;
  private readonly outlet: Outlet;
  private attachment: Attachment | null = null;
  private over = false;

  constructor(host: GraphqlHost, fields: TopicFields, asker: Asker, outlet: Outlet) {
    this.host = host;
    this.fields = fields;
    this.asker = asker;
    this.outlet = outlet;
  }

  begin(args: Plain): this {
    const filter = args.filter as string;
    const after = cursorOf(args.after);
    if (!isTopicFilter(filter) || Number.isNaN(after)) {
      this.finish(outcomeFailure(INVALID, isTopicFilter(filter) ? 'after is no cursor.' : NO_FILTER));
      return this;
    }
    const { resources, limits } = this.host;
    const attachment = resources.topics.attach(this.asker.caller, this, {
      policy: (args.slow as SlowPolicy | null | undefined) ?? 'disconnect',
      queueMessagesMax: limits.queueMessagesMax,
      queueBytesMax: limits.queueBytesMax,
      name: this.asker.name,
    });
    this.attachment = attachment;
    const options: SubscribeOptions = {
      filter,
      assurance: 0,
      // One that goes on behind a cursor has seen what is retained: giving it again would be a repeat.
      retained: (args.retained ?? after === null) ? 'always' : 'never',
      ...(after === null ? {} : { after }),
    };
    attachment.subscribe(options, this, 0);
    return this;
  }

  settled(_token: number, outcome: Outcome): void {
    if (outcome !== OK) this.finish(outcomeFailure(outcome, NOT_READABLE));
  }

  reserve(): number {
    return !this.over && this.outlet.room > 0 ? 1 : 0;
  }

  deliver(message: Message, match: Match): void {
    if (!this.over) this.outlet.value(this.fields.shown(message, match.retain));
  }

  release(): void {
    // Nothing is delivered here that has to be released.
  }

  gap(gap: Gap): void {
    if (!this.over) this.outlet.value(shownGap(gap));
  }

  overflow(): void {
    const { text, id } = faults.tooSlow;
    this.finish({ message: text, extensions: { code: 'BUSY', fault: id } });
  }

  superseded(): void {
    this.finish(null);
  }

  private finish(failure: ReturnType<typeof outcomeFailure> | null): void {
    if (this.over) return;
    this.cancel();
    this.outlet.end(failure);
  }

  cancel(): void {
    this.over = true;
    this.attachment?.detach();
    this.attachment = null;
  }

  more(): void {
    this.attachment?.more();
  }
}
