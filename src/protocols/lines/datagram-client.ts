// The client half of Lines over datagrams: publishes, and keeps subscriptions alive by repeating them, with the nonce that
// the server wants to see. What is lost is asked for again; what is published and lost is lost.
import type { DatagramPort, DatagramSession } from '../../core/datagram.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { Address } from '../../core/peer.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { CHALLENGE, ERROR, MESSAGE, REPLY, ReplyReader, TOO_BIG } from './replies.ts';
import { word } from './token.ts';

export interface DatagramEvents {
  /** The server granted a subscription, for so many seconds at a time. */
  subscribed(filter: string, seconds: number): void;
  /** A `publish` that wanted to know was taken; the cursor is 0 where the topic keeps no history. */
  published(topic: string, cursor: number): void;
  message(topic: string, payload: Buffer): void;
  /** A message did not fit into a datagram. */
  tooBig(topic: string, length: number): void;
  refused(outcome: Outcome, command: string, text: string): void;
  /** A subscription was asked for so often without an answer that nobody seems to be there. */
  unanswered(filter: string): void;
  closed(): void;
}

export interface DatagramClientOptions {
  readonly to: Address;
  /** How long a subscription is asked for at a time. */
  readonly leaseSeconds?: number;
}

/** What is asked again when no answer comes: after this long, and each time after twice as long. */
const RETRY_MS = 500;
const TRIES_MAX = 6;

interface Wanted {
  readonly filter: string;
  /** When it is asked for again. */
  at: Instant;
  tries: number;
}

export class LinesDatagramClient implements DatagramSession {
  private readonly port: DatagramPort;
  private readonly options: DatagramClientOptions;
  private readonly events: DatagramEvents;
  private readonly reader = new ReplyReader();
  private readonly wanted = new Map<string, Wanted>();
  private nonce = '';

  constructor(port: DatagramPort, options: DatagramClientOptions, events: DatagramEvents) {
    this.port = port;
    this.options = options;
    this.events = events;
  }

  get deadline(): Instant {
    let soonest = NEVER;
    for (const { at } of this.wanted.values()) soonest = Math.min(soonest, at);
    return soonest;
  }

  /** False when the port has no room. `sure` asks for an answer, which may be lost as well. */
  publish(topic: string, payload: Uint8Array, options: { retain?: boolean; sure?: boolean } = {}): boolean {
    const command = `${options.retain === true ? 'PUTB' : 'PUBB'}${options.sure === true ? '!' : ''}`;
    const head = Buffer.from(`${command} ${word(topic)} ${payload.length}\n`);
    return this.send(Buffer.concat([head, payload]));
  }

  subscribe(filter: string, clock: Clock): void {
    const wanted = { filter, at: clock.now, tries: 0 };
    this.wanted.set(filter, wanted);
    this.ask(wanted, clock);
    this.port.touch();
  }

  unsubscribe(filter: string): void {
    this.wanted.delete(filter);
    this.say(`UNSUB ${word(filter)}`);
  }

  /** Asks for a retained value, which comes as a message. */
  last(topic: string): void {
    this.say(`LAST ${word(topic)}`);
  }

  private say(text: string): void {
    this.send(Buffer.from(`${text}${this.nonce === '' ? '' : ` nonce=${this.nonce}`}`));
  }

  private send(bytes: Uint8Array): boolean {
    return this.port.send(this.options.to, null, bytes, 0, bytes.length, 0);
  }

  private ask(wanted: Wanted, clock: Clock): void {
    wanted.at = clock.now + RETRY_MS * 2 ** wanted.tries++;
    const { leaseSeconds } = this.options;
    this.say(`SUB! ${word(wanted.filter)}${leaseSeconds === undefined ? '' : ` lease=${leaseSeconds}`}`);
  }

  receive(
    input: Uint8Array,
    start: number,
    end: number,
    from: Address,
    _local: Address | null,
    _ecn: number,
    clock: Clock,
  ): void {
    const { to } = this.options;
    const { reader, events } = this;
    if (from.port !== to.port || from.host !== to.host) return;
    // Every datagram of the server ends in one line feed that is not the payload's.
    if (end === start || input[end - 1] !== 0x0a || !reader.parse(input, start, end - 1)) return;
    switch (reader.kind) {
      case MESSAGE:
        events.message(reader.topic, reader.payload!);
        return;
      case TOO_BIG:
        events.tooBig(reader.topic, reader.length);
        return;
      case CHALLENGE:
        this.challenged(reader.word, clock);
        return;
      case ERROR:
        events.refused(reader.outcome, reader.word, reader.text);
        return;
      case REPLY:
        if (reader.word === 'OK') this.granted(reader.topic, reader.value, clock);
    }
  }

  /** Asks again for what was not granted, now with the nonce. */
  private challenged(nonce: string, clock: Clock): void {
    // The same again: the answer to it is on its way.
    if (nonce === this.nonce) return;
    this.nonce = nonce;
    for (const wanted of this.wanted.values()) {
      if (wanted.tries === 0) continue;
      wanted.tries = 0;
      this.ask(wanted, clock);
    }
  }

  private granted(about: string, value: number, clock: Clock): void {
    const wanted = this.wanted.get(about);
    if (wanted === undefined || wanted.tries === 0) {
      this.events.published(about, value);
      return;
    }
    wanted.tries = 0;
    // Half of it is for those repetitions that are lost.
    wanted.at = clock.now + value * 500;
    this.events.subscribed(about, value);
  }

  tick(clock: Clock): void {
    for (const wanted of [...this.wanted.values()]) {
      if (wanted.at > clock.now) continue;
      if (wanted.tries < TRIES_MAX) {
        this.ask(wanted, clock);
        continue;
      }
      this.wanted.delete(wanted.filter);
      this.events.unanswered(wanted.filter);
    }
  }

  leave(): void {
    for (const filter of [...this.wanted.keys()]) this.unsubscribe(filter);
    this.port.close();
  }

  lost(): void {
    this.wanted.clear();
    this.events.closed();
  }
}
