// POST, PUT and DELETE of a topic: publishing, retaining, clearing. A request is answered once what it did is committed.
import { isUtf8 } from 'node:buffer';
import type { Exchange, ExchangeEvents } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import * as O from '../../core/outcome.ts';
import type { Host } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import type { Message, Publication } from '../../resources/topics/contract.ts';
import { answerNothing, answerOutcome, answerProblem } from '../http/answers.ts';
import { collectBody } from '../http/collect.ts';
import { evaluate } from '../http/conditions.ts';
import { wholeNumber } from '../http/query.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { readProperties } from './properties.ts';
import { refuse } from './refuse.ts';
import { tagOf, topicPath } from './representation.ts';
import { Turns } from './turns.ts';

export type RestHost = Host<Resources, typeof limits>;

/** Why a publication was refused. */
const DETAILS: O.OutcomeTable<string> = {
  [O.OK]: '',
  [O.DENIED]: 'This topic may not be published to: it is one of the server itself, or a rule forbids it.',
  [O.UNKNOWN]: 'Sign in to publish.',
  [O.MISSING]: 'There is no such topic.',
  [O.EXISTS]: 'There is one already.',
  [O.INVALID]: 'This is not the name of a topic.',
  [O.STALE]: 'It has changed meanwhile.',
  [O.FULL]: 'The disk is full, or a quota is.',
  [O.BUSY]: 'The server has too much to do: try again.',
  [O.LATE]: 'It took too long.',
  [O.GONE]: 'The server is going away.',
  [O.UNSUPPORTED]: 'This cannot be done.',
  [O.FAILED]: 'The server could not store it.',
};

/** Seconds that an expiry may be; more would not fit into what MQTT has for it. */
const EXPIRY_MAX = 4_294_967_295;

/** What `curl -d` says of any body when it is not told otherwise. Nobody publishes a form on purpose. */
const FORM = 'application/x-www-form-urlencoded';

/** The writing half of the topics over HTTP, for all requests of a server. */
export class Writer {
  readonly host: RestHost;
  readonly turns = new Turns();

  constructor(host: RestHost) {
    this.host = host;
  }

  /** Takes a POST, PUT or DELETE of a topic with a valid name. */
  take(exchange: Exchange, topic: string): void {
    const { fields } = exchange;
    if (exchange.method === 'PUT' && fields.has('content-range')) {
      refuse(exchange, faults.partial);
      return;
    }
    const properties = readProperties(fields);
    if (properties === null) {
      refuse(exchange, faults.badField, new Fields(), 'A property cannot be read: %XX in names and UTF-8 in values.');
      return;
    }
    const expiry = fields.get('x-expiry');
    const seconds = expiry === null ? 0 : wholeNumber(expiry);
    if (expiry !== null && !(seconds >= 1 && seconds <= EXPIRY_MAX)) {
      refuse(exchange, faults.badField, new Fields(), 'X-Expiry is a number of seconds from 1 to 4294967295.');
      return;
    }
    const write = new Write(this, exchange, topic, properties, seconds);
    exchange.on = write;
    if (exchange.method === 'DELETE') write.whole(Buffer.alloc(0));
    else collectBody(exchange, this.host.limits.bodyBytesMax, (body) => write.whole(body));
  }
}

/** One request that publishes. */
class Write implements ExchangeEvents, O.Waiter {
  private readonly writer: Writer;
  private readonly exchange: Exchange;
  private readonly topic: string;
  private readonly properties: readonly string[];
  private readonly expirySeconds: number;
  private payload: Buffer = Buffer.alloc(0);
  /** Nobody waits for the answer any more. */
  private gone = false;
  private answered = false;
  /** A value was retained when this one was published. */
  private existed = false;

  constructor(writer: Writer, exchange: Exchange, topic: string, properties: readonly string[], expirySeconds: number) {
    this.writer = writer;
    this.exchange = exchange;
    this.topic = topic;
    this.properties = properties;
    this.expirySeconds = expirySeconds;
  }

  /** The body is there. */
  whole(body: Buffer): void {
    const { exchange, topic } = this;
    this.payload = body;
    if (exchange.method === 'PUT' && body.length === 0) refuse(exchange, faults.emptyValue);
    else if (exchange.method === 'POST') this.go();
    else this.writer.turns.enter(topic, isConditional(exchange.fields), () => this.go());
  }

  /** Checks the conditions against what is retained now, and publishes in the same step. */
  private go(): void {
    const { exchange, topic, writer } = this;
    if (this.gone) {
      this.leaveTurn();
      return;
    }
    const { topics } = writer.host.resources;
    const found = topics.retained(exchange.caller, topic);
    const value = typeof found === 'number' ? null : found;
    this.existed = value !== null;
    if (!this.mayGoOn(value, typeof found === 'number' ? found : O.OK)) {
      this.leaveTurn();
      return;
    }
    topics.publish(exchange.caller, this.publication(), this, 0);
    // Asked not to wait (RFC 7240 §4.1). What was refused at once has been answered.
    if (this.answered || !wantsAsync(exchange.fields)) return;
    this.answered = true;
    answerNothing(exchange, 202, Fields.of({ 'preference-applied': 'respond-async' }));
  }

  /** False once the request is answered: a condition does not hold, or there is nothing to clear. */
  private mayGoOn(value: Message | null, outcome: O.Outcome): boolean {
    const { exchange } = this;
    if (isConditional(exchange.fields)) {
      if (outcome !== O.OK) {
        answerOutcome(exchange, outcome, 'The conditions cannot be checked: what is retained may not be read.');
        return false;
      }
      const state = value === null ? null : { etag: plainTags(`"${tagOf(value)}"`), lastModified: value.time };
      if (evaluate(exchange.method, conditionsOf(exchange.fields), state, this.writer.host.clock.wall) !== 0) {
        const fields = value === null ? new Fields() : Fields.of({ etag: `"${tagOf(value)}"` });
        answerProblem(exchange, 412, 'What is retained is not what the condition asks for.', fields);
        return false;
      }
    }
    if (exchange.method === 'DELETE' && value === null && outcome === O.OK) {
      answerProblem(exchange, 404, 'Nothing is retained on this topic.');
      return false;
    }
    return true;
  }

  private publication(): Publication {
    const { exchange, topic, payload, properties, expirySeconds } = this;
    const { method, fields } = exchange;
    const given = fields.get('content-type')?.trim() ?? '';
    const contentType = method === 'DELETE' || given.toLowerCase().startsWith(FORM) ? '' : given;
    return {
      topic,
      payload,
      contentType,
      text: isTextType(contentType) && isUtf8(payload),
      properties,
      ...(expirySeconds > 0 ? { expiryMs: expirySeconds * 1_000 } : {}),
      retain: method !== 'POST',
      assurance: 1,
    };
  }

  settled(_token: number, outcome: O.Outcome, cursor: number): void {
    this.leaveTurn();
    if (this.answered || this.gone) return;
    this.answered = true;
    const { exchange, topic } = this;
    if (outcome !== O.OK) {
      answerOutcome(exchange, outcome, DETAILS[outcome]);
      return;
    }
    const fields = new Fields();
    if (cursor > 0) fields.append('cursor', String(cursor));
    if (exchange.method === 'DELETE') answerNothing(exchange, 204, fields);
    else if (exchange.method === 'POST') {
      // The message itself, as long as the history has it.
      if (cursor > 0) fields.append('location', `${topicPath(topic)}?after=${cursor - 1}&limit=1`);
      answerNothing(exchange, 201, fields);
    } else {
      const { contentType } = this.publication();
      const { payload, properties } = this;
      // It is kept byte for byte, so its tag may be told (RFC 9110 §9.3.4).
      fields.append('etag', `"${tagOf({ payload, contentType: contentType ?? '', properties, cursor })}"`);
      if (!this.existed) fields.append('location', topicPath(topic));
      answerNothing(exchange, this.existed ? 204 : 201, fields);
    }
  }

  private leaveTurn(): void {
    if (this.exchange.method !== 'POST') this.writer.turns.leave(this.topic);
  }

  writable(): void {}
  tick(): void {}

  /** What is being committed is answered; nothing is broken off. */
  leave(): void {}

  lost(): void {
    this.gone = true;
  }
}

/** Whether a media type is text in UTF-8, as far as it says. */
function isTextType(contentType: string): boolean {
  const type = contentType.toLowerCase();
  if (/charset=(?!"?utf-8\b)/.test(type)) return false;
  return /^text\/|^application\/(?:json|xml|[\w.-]+\+(?:json|xml))\b/.test(type);
}

const CONDITIONS = ['if-match', 'if-none-match', 'if-unmodified-since'];

function isConditional(fields: Fields): boolean {
  return CONDITIONS.some((name) => fields.has(name));
}

/**
 * The conditions, with the tags of all representations of a value as those of the value itself: whoever read it as JSON or
 * in a content coding means the same state (RFC 9110 §13.1.1: any current representation).
 */
function conditionsOf(fields: Fields): Fields {
  const conditions = new Fields();
  for (const name of CONDITIONS) {
    const list = fields.joined(name);
    if (list !== null) conditions.append(name, plainTags(list));
  }
  return conditions;
}

const plainTags = (list: string): string => list.replace(/(?:;json)?(?:-(?:zstd|br|gzip))?"/g, '"');

function wantsAsync(fields: Fields): boolean {
  const prefer = fields.joined('prefer');
  return prefer?.split(',').some((part) => part.split(';')[0]!.trim().toLowerCase() === 'respond-async') ?? false;
}
