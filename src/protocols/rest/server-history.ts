// The history of a filter behind a cursor as a page of JSON, and the long poll: a request that finds nothing waits for the
// first message. Whoever asks again behind the cursor of the answer misses nothing and gets nothing twice.
import type { Exchange, ExchangeEvents } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { FAILED, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import { addressText } from '../../core/peer.ts';
import type { Clock } from '../../core/time.ts';
import { writeEnvelope, writeGap } from '../../formats/envelope.ts';
import type { Attachment, Gap, Message, Subscriber } from '../../resources/topics/contract.ts';
import { answerOutcome } from '../http/answers.ts';
import type { Query } from '../http/query.ts';
import { faults } from './faults.ts';
import type { Page } from './pages.ts';
import { refuse } from './refuse.ts';
import { topicPath } from './representation.ts';
import { answerPage, limitOf, NOT_READABLE, pageFor } from './server-read.ts';
import type { RestHost } from './server-write.ts';

/** Messages that are read at a time: payloads can be large, and the page is bounded in bytes. */
const SLICE = 32;

/** How many requests wait, of all of a server. */
export interface Polls {
  waiting: number;
}

/** Answers a request with `after` or `wait` in its query. */
export function answerHistory(exchange: Exchange, host: RestHost, polls: Polls, filter: string, query: Query): void {
  const page = pageFor(exchange);
  if (page === null) return;
  const limit = limitOf(exchange, query, host);
  if (limit === null) return;
  const after = query.number('after');
  if (Number.isNaN(after)) {
    refuse(exchange, faults.badParameter, new Fields(), 'after is a cursor: a whole number, as the server gave it.');
    return;
  }
  const wait = query.get('wait');
  if (wait !== null && !/^\d{1,9}(?:\.\d{1,9})?$/.test(wait)) {
    refuse(exchange, faults.badParameter, new Fields(), 'wait is a number of seconds.');
    return;
  }
  // Who only wants the fields does not wait for them to be others.
  const waitMs = exchange.method === 'HEAD' ? 0 : Math.min(Number(wait ?? 0) * 1_000, host.limits.waitMaxMs);
  new Reading(exchange, host, polls, page, { filter, after, limit, waitMs, wait }).begin();
}

interface Asked {
  readonly filter: string;
  /** Null for what comes from now on. */
  readonly after: number | null;
  readonly limit: number;
  readonly waitMs: number;
  /** As it stood in the query. */
  readonly wait: string | null;
}

class Reading implements ExchangeEvents, Subscriber, Waiter {
  private readonly exchange: Exchange;
  private readonly host: RestHost;
  private readonly polls: Polls;
  private readonly page: Page;
  private readonly asked: Asked;
  /** Everything up to here has been looked at. */
  private cursor: number;
  private attachment: Attachment | null = null;
  private gapTold = false;
  private over = false;

  constructor(exchange: Exchange, host: RestHost, polls: Polls, page: Page, asked: Asked) {
    this.exchange = exchange;
    this.host = host;
    this.polls = polls;
    this.page = page;
    this.asked = asked;
    this.cursor = asked.after ?? host.resources.topics.head;
    exchange.on = this;
  }

  begin(): void {
    if (this.asked.after === null) this.waitOrAnswer();
    else
      void this.read().catch((error: unknown) => {
        const fields = { connection: this.exchange.connection, error: String(error) };
        this.host.log.error('the history could not be read', fields);
        this.refuse(FAILED, 'The history could not be read.');
      });
  }

  // ---- what there is -----------------------------------------------------------------------------------------------

  private async read(): Promise<void> {
    const { page, host, exchange } = this;
    const { filter, limit } = this.asked;
    while (!this.over) {
      const most = Math.min(SLICE, limit - page.count);
      const history = await host.resources.topics.history(exchange.caller, filter, this.cursor, most);
      if (this.over) return;
      if (typeof history === 'number') {
        this.refuse(history, NOT_READABLE);
        return;
      }
      if (history.gap !== null) this.gap(history.gap);
      const cut = this.take(history.messages);
      if (!cut) this.cursor = history.cursor;
      if (cut || page.count >= limit || history.messages.length < most) break;
    }
    this.waitOrAnswer();
  }

  /** Puts messages on the page; true when it is full before their end. */
  private take(messages: readonly Message[]): boolean {
    const { wall } = this.host.clock;
    for (const message of messages) {
      this.cursor = message.cursor;
      if (message.expiry <= wall) continue;
      this.page.add(writeEnvelope(message));
      if (this.page.bytes >= this.host.limits.pageBytesMax) return true;
    }
    return false;
  }

  private waitOrAnswer(): void {
    const { page, polls, host } = this;
    if (this.over) return;
    if (page.count > 0 || this.asked.waitMs === 0) this.answer();
    else if (polls.waiting >= host.limits.pollsMax) {
      this.end();
      refuse(this.exchange, faults.pollsTooMany);
    } else this.wait();
  }

  // ---- what comes --------------------------------------------------------------------------------------------------

  private wait(): void {
    const { exchange, host, asked } = this;
    const { caller, peer } = exchange;
    const from = `rest/${addressText(peer.remote)}`;
    this.polls.waiting++;
    exchange.deadline = host.clock.now + asked.waitMs;
    exchange.flush();
    this.attachment = host.resources.topics.attach(caller, this, {
      // It is answered with the first message: nothing ever waits for it.
      policy: 'disconnect',
      queueMessagesMax: 1,
      queueBytesMax: host.limits.pageBytesMax,
      name: caller.account === '' ? from : `${from}/${caller.account}`,
    });
    const options = { filter: asked.filter, assurance: 0, retained: 'never', after: this.cursor } as const;
    this.attachment.subscribe(options, this, 0);
  }

  settled(_token: number, outcome: Outcome): void {
    if (outcome !== OK) this.refuse(outcome, NOT_READABLE);
  }

  reserve(): number {
    return this.over ? 0 : 1;
  }

  deliver(message: Message): void {
    if (this.over) return;
    if (message.cursor > 0) this.cursor = message.cursor;
    this.page.add(writeEnvelope(message));
    this.answer();
  }

  gap({ filter, after, from }: Gap): void {
    if (this.gapTold || this.over) return;
    this.gapTold = true;
    this.page.addGap(writeGap(filter, after, from));
  }

  release(): void {
    // Nothing is delivered here that has to be released.
  }

  overflow(): void {
    this.answer();
  }

  superseded(): void {
    this.answer();
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  private answer(): void {
    if (this.over) return;
    this.end();
    const { exchange, page, asked, cursor } = this;
    const fields = Fields.of({ 'cache-control': 'no-store', vary: 'Accept' });
    const wait = asked.wait === null ? '' : `&wait=${asked.wait}`;
    const next = `${topicPath(asked.filter)}?after=${cursor}&limit=${asked.limit}${wait}`;
    fields.append('cursor', String(cursor)).append('link', `<${next}>; rel="next"`);
    answerPage(exchange, this.host, page, fields);
  }

  private refuse(outcome: Outcome, detail: string): void {
    if (this.over) return;
    this.end();
    answerOutcome(this.exchange, outcome, detail);
  }

  private end(): void {
    this.over = true;
    if (this.attachment === null) return;
    this.attachment.detach();
    this.attachment = null;
    this.polls.waiting--;
  }

  writable(): void {}

  /** Waited long enough. */
  tick(_clock: Clock): void {
    this.answer();
  }

  /** The server goes: with what there is, so that the next request goes on behind it. */
  leave(): void {
    this.answer();
  }

  lost(): void {
    if (!this.over) this.end();
  }
}
