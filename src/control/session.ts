// The server's half of one connection to the control socket. A watcher that is slow loses events, which are counted and
// told, and holds up nobody.
import { utf8 } from '../bytes/reader.ts';
import type { Pipe, Session } from '../core/pipe.ts';
import { NEVER } from '../core/time.ts';
import { type Seen, summaryOf, topicsOf } from '../inspector/seen.ts';
import type { Answer } from '../resources/accounts/orders.ts';
import type { WhyAnswer } from '../resources/topics/contract.ts';
import { ASK_BYTES_MAX, CONTROL_VERSION, readAsk, type Said, type Status, type WatchAsk } from './words.ts';

/** What the asks are answered from. */
export interface ControlHost {
  readonly version: string;
  /** An error as text. */
  why(topic: string, cursor: number): readonly WhyAnswer[] | string;
  status(): Status;
  /** Carries an order out; answers once what it changed is durable. */
  order(order: unknown, answered: (answer: Answer) => void): void;
  isFilter(filter: string): boolean;
  matches(filter: string, topic: string): boolean;
  /** Shows it all that happens from now on, and what stands. */
  watch(watcher: ControlSession): void;
  leave(watcher: ControlSession): void;
}

export class ControlSession implements Session {
  readonly deadline = NEVER;
  private readonly pipe: Pipe;
  private readonly host: ControlHost;
  private asked: WatchAsk | null = null;
  private lostEvents = 0;
  private over = false;

  constructor(pipe: Pipe, host: ControlHost) {
    this.pipe = pipe;
    this.host = host;
    this.say({ control: CONTROL_VERSION, portico: host.version });
  }

  get wantsBytes(): boolean {
    return this.asked?.bytes === true;
  }

  get wantsKernel(): boolean {
    return this.asked?.kernel === true;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    let at = start;
    while (!this.over) {
      const lineFeed = input.subarray(0, end).indexOf(0x0a, at);
      if (lineFeed < 0) break;
      this.answer(utf8(input, at, lineFeed));
      at = lineFeed + 1;
    }
    if (end - at > ASK_BYTES_MAX) this.overlong();
    return this.over ? end : at;
  }

  overlong(): void {
    this.say({ error: `a line is longer than ${ASK_BYTES_MAX} bytes` });
    this.end();
  }

  /** There is room again: what was lost is told. */
  writable(): void {
    if (this.lostEvents === 0 || this.over) return;
    const events = this.lostEvents;
    this.lostEvents = 0;
    this.say({ event: 'lost', events });
  }

  tick(): void {}

  finish(): void {
    this.end();
  }

  leave(why: string): void {
    if (this.over) return;
    this.writable();
    this.say({ event: 'end', why });
    this.end();
  }

  lost(): void {
    this.over = true;
    this.host.leave(this);
  }

  /** Something was seen: sends it where it was asked for and there is room. */
  seen(seen: Seen): void {
    const { asked } = this;
    if (asked === null || this.over || !this.wants(asked, seen)) return;
    // Once it is full nothing is sent until `writable`, so that the feed has one gap and not many.
    if (this.lostEvents > 0 || this.pipe.room === 0) this.lostEvents++;
    else this.say(shaped(asked, seen));
  }

  /** So many events were never sent to anybody. */
  lose(events: number): void {
    if (this.asked === null || this.over) return;
    const isFull = this.lostEvents > 0 || this.pipe.room === 0;
    this.lostEvents += events;
    if (!isFull) this.writable();
  }

  private wants({ protocol, connection, topic, from, kernel }: WatchAsk, seen: Seen): boolean {
    if (seen.event === 'kernel' && kernel !== true) return false;
    if (connection !== undefined && seen.connection !== connection) return false;
    if (protocol !== undefined && !seen.protocol.split('/').includes(protocol)) return false;
    if (from !== undefined && seen.from !== from && hostOf(seen.from) !== from) return false;
    if (topic === undefined) return true;
    return seen.event === 'frame' && topicsOf(seen).some((named) => named === topic || this.host.matches(topic, named));
  }

  private answer(line: string): void {
    const ask = this.asked === null ? readAsk(line) : 'this connection watches; ask on another';
    if (typeof ask === 'string') {
      this.say({ error: ask });
      this.end();
    } else if (ask.ask === 'status') this.say({ answer: 'status', ...this.host.status() });
    else if (ask.ask === 'order')
      this.host.order(ask.order, (order) => {
        if (!this.over) this.say({ answer: 'order', order });
      });
    else if (ask.ask === 'why') {
      const subscribers = this.host.why(ask.topic, ask.cursor);
      this.say(typeof subscribers === 'string' ? { error: subscribers } : { answer: 'why', subscribers });
    } else if (ask.kernel === true && this.host.status().native !== 'on') {
      this.say({ error: `the kernel cannot be asked here: ${this.host.status().native}` });
      this.end();
    } else if (ask.topic !== undefined && !this.host.isFilter(ask.topic)) {
      this.say({ error: `${ask.topic} is no filter of topics: + and # stand for whole levels, # only for the last` });
      this.end();
    } else {
      this.asked = ask;
      this.say({ answer: 'watching' });
      this.host.watch(this);
    }
  }

  private say(said: Said): void {
    const line = Buffer.from(`${JSON.stringify(said)}\n`);
    this.pipe.share(line, 0, line.length);
    this.pipe.flush();
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.host.leave(this);
    this.pipe.end();
  }
}

/** An event with what was asked for. */
function shaped(asked: WatchAsk, seen: Seen): Said {
  if (seen.event !== 'frame') return seen;
  const { pieces, bytes, ...rest } = seen;
  return {
    ...rest,
    summary: summaryOf(seen),
    ...(asked.pieces === true ? { pieces } : {}),
    ...(asked.bytes === true && bytes !== undefined ? { bytes } : {}),
  };
}

/** An address without its port. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}
