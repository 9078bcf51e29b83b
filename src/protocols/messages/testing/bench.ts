// portico.json and bare topics in a simulated world over the real topics, and a peer that writes down what it is told: for
// tests.

import type { Caller } from '../../../core/caller.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import type { MessageSession, Messages } from '../../../core/messages.ts';
import { type Clock, NEVER } from '../../../core/time.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import type { HistoryPolicy } from '../../../resources/topics/history.ts';
import { House, NO_HISTORY } from '../../../resources/topics/testing/house.ts';
import { linkMessages } from '../../../sim/messages.ts';
import type { SimulatedPipe } from '../../../sim/pipes.ts';
import type { World } from '../../../sim/world.ts';
import { limits } from '../limits.ts';
import { type MessagesHost, servePorticoJson } from '../server.ts';
import { serveBareTopic } from '../server-bare.ts';

export interface BenchOptions {
  readonly limits?: Readonly<Record<string, number>>;
  /** Topics keep their history; they keep none when absent. */
  readonly policies?: HistoryPolicy[] | 'durable';
  readonly cut?: number;
  readonly caller?: Caller;
  /** Sockets take so few bytes at a time that history comes in small pieces. */
  readonly narrow?: boolean;
}

/** A peer on a socket. */
export class Talker implements MessageSession {
  readonly messages: Messages;
  deadline = NEVER;
  /** What came, `t:` before text and `b:` before bytes. */
  readonly got: string[] = [];
  /** How it was closed; '' while it was not. */
  closed = '';
  reason = '';

  constructor(messages: Messages) {
    this.messages = messages;
  }

  receive(input: Uint8Array, start: number, end: number, text: boolean): void {
    this.got.push(`${text ? 't' : 'b'}:${Buffer.from(input.subarray(start, end)).toString(text ? 'utf8' : 'latin1')}`);
  }

  writable(): void {}
  tick(_clock: Clock): void {}
  leave(): void {}

  lost(cause: string, wire: number): void {
    this.closed = `${cause} ${wire}`;
  }

  says(text: string | Uint8Array | object): void {
    const isBytes = text instanceof Uint8Array;
    const bytes = isBytes ? text : Buffer.from(typeof text === 'string' ? text : JSON.stringify(text));
    this.messages.send(bytes, 0, bytes.length, !isBytes);
    this.messages.flush();
  }

  /** What came since the last call. */
  take(): string[] {
    return this.got.splice(0);
  }

  /** The same, read as JSON. */
  heard(): Record<string, unknown>[] {
    return this.take().map((text) => JSON.parse(text.slice(2)) as Record<string, unknown>);
  }
}

export class Bench {
  readonly house: House;
  readonly host: MessagesHost;
  private readonly options: BenchOptions;

  constructor(house: House, options: BenchOptions) {
    this.house = house;
    this.options = options;
    const { world } = house;
    this.host = {
      resources: { accounts: OPEN_ACCOUNTS, topics: house.topics },
      limits: bindLimits(limits, options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      software: 'Portico/test',
      routes: () => {},
    };
  }

  static async open(options: BenchOptions = {}): Promise<Bench> {
    const house = await House.open(options.policies === 'durable' ? undefined : (options.policies ?? NO_HISTORY));
    return new Bench(house, options);
  }

  get world(): World {
    return this.house.world;
  }

  pass(ms = 40): Promise<void> {
    return this.house.pass(ms);
  }

  /** Joins a session of ours to the server; a target makes it a bare topic. */
  join<Session extends MessageSession>(
    near: (messages: Messages) => Session,
    target?: string,
  ): { peer: Session; server: SimulatedPipe; cut(): void; reason(): string } {
    let peer!: Session;
    let reason = '';
    const link = linkMessages(
      this.world,
      (messages) => (peer = near(messages)),
      (messages) => {
        // The simulated channel carries codes alone.
        const end = messages.end.bind(messages);
        messages.end = (code, why) => {
          if (reason === '') reason = why ?? '';
          end(code, why);
        };
        return target === undefined ? servePorticoJson(messages, this.host) : serveBareTopic(messages, this.host);
      },
      {
        cut: this.options.cut ?? 0,
        bounds: { inputMax: 4_000_000, ...(this.options.narrow === true ? { highMark: 300, lowMark: 100 } : {}) },
        ...(this.options.narrow === true ? { window: 100 } : {}),
        ...(target === undefined ? { subprotocol: 'portico.json' } : { subprotocol: '', target }),
        ...(this.options.caller === undefined ? {} : { caller: this.options.caller }),
      },
    );
    return {
      peer,
      server: link.far,
      cut() {
        link.near.lose();
        link.far.lose();
      },
      reason: () => reason,
    };
  }

  talk(target?: string): Talker {
    return this.join((messages) => new Talker(messages), target).peer;
  }
}
