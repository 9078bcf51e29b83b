// Topics in a simulated world, and a subscriber that writes down what it is given: for tests.
import assert from 'node:assert/strict';
import type { Caller } from '../../../core/caller.ts';
import { SILENT } from '../../../core/log.ts';
import { OK, type Outcome } from '../../../core/outcome.ts';
import type { Permissions } from '../../../core/permissions.ts';
import { SimulatedDisk } from '../../../sim/disk.ts';
import { World } from '../../../sim/world.ts';
import { MemoryEngine } from '../../../storage/memory/engine.ts';
import type {
  Assurance,
  Attachment,
  DurableOptions,
  Gap,
  Match,
  Message,
  Publication,
  SubscribeOptions,
  Subscriber,
} from '../contract.ts';
import type { HistoryPolicy } from '../history.ts';
import { type OpenTopics, openTopics } from '../topics.ts';

export const CALLER: Caller = { account: 'ann', scopes: null, origin: 'local', epoch: 0 };
export const QUEUE = {
  policy: 'disconnect' as const,
  queueMessagesMax: 10_000,
  queueBytesMax: 10_000_000,
  name: 'test',
};

/** Writes down what it is given; acknowledges by itself unless told otherwise. */
export class Listener implements Subscriber {
  readonly got: string[] = [];
  readonly messages: Message[] = [];
  readonly matches: Match[] = [];
  readonly told: string[] = [];
  readonly open = new Map<number, Message>();
  attachment!: Attachment;
  room = Number.POSITIVE_INFINITY;
  /** Acknowledge at once. */
  prompt = true;
  private tag = 0;

  reserve(_message: Message, match: Match): number {
    if (this.room <= 0) return 0;
    this.room--;
    if (match.assurance === 0) return 1;
    do this.tag = (this.tag % 65_535) + 1;
    while (this.open.has(this.tag));
    return this.tag;
  }

  deliver(message: Message, match: Match, tag: number, again: boolean): void {
    this.messages.push(message);
    this.matches.push(match);
    this.got.push(
      `${message.topic}=${Buffer.from(message.payload)}${match.retain ? ' r' : ''}${again ? ' again' : ''}`,
    );
    if (match.assurance === 0) return;
    this.open.set(tag, message);
    if (this.prompt) setImmediateIn(() => this.acknowledge(tag, match.assurance));
  }

  acknowledge(tag: number, assurance: Assurance): void {
    const end = () => {
      this.open.delete(tag);
      this.attachment.acknowledge(tag);
    };
    if (assurance === 1) end();
    else this.attachment.received(tag, { settled: end }, 0);
  }

  release(tag: number): void {
    this.told.push(`release ${tag}`);
    this.attachment.acknowledge(tag);
  }

  gap(gap: Gap): void {
    this.got.push(`gap ${gap.filter} ${gap.after} ${gap.from}`);
  }

  overflow(): void {
    this.told.push('overflow');
  }

  superseded(): void {
    this.told.push('superseded');
  }
}

let setImmediateIn: (step: () => void) => void = (step) => step();

export class House {
  readonly world: World;
  readonly disk: SimulatedDisk;
  engine: MemoryEngine;
  topics!: OpenTopics;
  policies: HistoryPolicy[] | undefined;
  permissions: Permissions | undefined;

  constructor(seed: number) {
    this.world = new World(seed);
    this.disk = new SimulatedDisk(this.world, { mostMs: 0.5 });
    this.engine = new MemoryEngine(this.disk);
  }

  static async open(policies?: HistoryPolicy[], seed = 1, permissions?: Permissions): Promise<House> {
    const house = new House(seed);
    house.policies = policies;
    house.permissions = permissions;
    setImmediateIn = (step) => house.world.soon(step);
    house.topics = await house.settle(house.opening());
    return house;
  }

  /** Kills the process and starts another over what was committed. */
  async crash(): Promise<void> {
    this.engine = this.engine.restarted();
    this.topics = await this.settle(this.opening());
  }

  private opening(): Promise<OpenTopics> {
    return openTopics({
      engine: this.engine,
      turn: this.world.turn,
      log: SILENT,
      ...(this.policies === undefined ? {} : { policies: this.policies }),
      ...(this.permissions === undefined ? {} : { permissions: this.permissions }),
    });
  }

  /** Lets simulated time and promises go on until a promise is done. */
  async settle<Value>(promise: Promise<Value>): Promise<Value> {
    let over = false;
    const done = promise.finally(() => {
      over = true;
    });
    done.catch(() => {});
    while (!over) {
      this.world.pass(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return done;
  }

  async pass(ms = 20): Promise<void> {
    for (let step = 0; step < 20; step++) {
      this.world.pass(ms / 20);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  ask(call: (waiter: { settled(token: number, outcome: Outcome, value: number): void }) => void): Promise<number[]> {
    return this.settle(
      new Promise((resolve) => call({ settled: (_token, outcome, value) => resolve([outcome, value]) })),
    );
  }

  publish(topic: string, text: string, more: Partial<Publication> = {}, caller = CALLER): Promise<number[]> {
    const publication = { topic, payload: Buffer.from(text), assurance: 1 as const, ...more };
    return this.ask((waiter) => this.topics.publish(caller, publication, waiter, 1));
  }

  attach(caller = CALLER): Listener {
    const listener = new Listener();
    listener.attachment = this.topics.attach(caller, listener, QUEUE);
    return listener;
  }

  async attachDurable(
    id: string,
    more: Partial<DurableOptions> = {},
    prepare = (_listener: Listener) => {},
    caller = CALLER,
  ): Promise<[Listener, number]> {
    const listener = new Listener();
    prepare(listener);
    const options = { ...QUEUE, id, fresh: false, keepMs: 100_000, ...more };
    const [outcome, present] = await this.ask((waiter) => {
      listener.attachment = this.topics.attachDurable(caller, listener, options, waiter, 1);
    });
    assert.equal(outcome, OK);
    return [listener, present!];
  }

  subscribe(listener: Listener, filter: string, more: Partial<SubscribeOptions> = {}): Promise<number[]> {
    return this.ask((waiter) => listener.attachment.subscribe({ filter, assurance: 1, ...more }, waiter, 1));
  }
}

export const NO_HISTORY: HistoryPolicy[] = [{ filter: '#', history: 'none' }];
