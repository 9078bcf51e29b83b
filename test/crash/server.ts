// Kills the whole server at random moments under load and compares what its clients were told with what they have: real
// processes, real sockets, real disk, and MQTT clients that we did not write.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { Random } from '../../src/sim/random.ts';
import { type Running, startServer } from '../server-process.ts';
import { LinesLane, lastOf } from './lines-lane.ts';

const SESSION: IClientOptions = {
  protocolVersion: 5,
  clean: false,
  properties: { sessionExpiryInterval: 3_600 },
  reconnectPeriod: 25,
  connectTimeout: 5_000,
  resubscribe: false,
};

/** What one kind of message went through. */
interface Ledger {
  readonly acknowledged: Set<number>;
  readonly received: Map<number, number>;
  sent: number;
}

const ledger = (): Ledger => ({ acknowledged: new Set(), received: new Map(), sent: 0 });

/** A reader that resumes by cursor after each crash. */
interface CursorReader {
  last: number;
  readonly cursors: number[];
  readonly numbers: Set<number>;
}

export class CrashRun {
  readonly folder = mkdtempSync(join(tmpdir(), 'portico-crash-'));
  readonly random: Random;
  private server: Running | null = null;
  private port = 0;
  private linesPort = 0;
  private lane: LinesLane | null = null;
  private readonly atLeastOnce = ledger();
  private readonly exactlyOnce = ledger();
  private readonly reader: CursorReader = { last: 0, cursors: [], numbers: new Set() };
  private retained = { sent: 0, acknowledged: 0 };
  private publisher: MqttClient | null = null;
  private subscriber: MqttClient | null = null;
  private follower: MqttClient | null = null;
  private stopped = false;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** Kills the server `rounds` times; throws an AssertionError when something acknowledged is lost or repeated. */
  async run(rounds: number): Promise<void> {
    try {
      await this.start();
      await this.connect();
      this.lane = new LinesLane(this.linesPort);
      const load = this.publish();
      for (let round = 0; round < rounds; round++) {
        await pause(20 + this.random.below(250));
        await this.server!.kill();
        await this.start();
      }
      this.stopped = true;
      this.lane.rest();
      await load;
      await this.settle();
      this.judge();
      this.lane.judge();
      assert.equal(await lastOf(this.linesPort, 'value'), `value ${this.retained.acknowledged}`);
    } finally {
      this.lane?.close();
      for (const client of [this.publisher, this.subscriber, this.follower]) client?.end(true);
      await this.server?.kill();
      rmSync(this.folder, { recursive: true });
    }
  }

  private async start(): Promise<void> {
    const ports = [`mqtt=${this.port}`, `lines=${this.linesPort}`];
    this.server = await startServer(['--data', this.folder, '--port', ...ports]);
    this.port = this.server.port('mqtt');
    this.linesPort = this.server.port('lines');
  }

  private async connect(): Promise<void> {
    const url = `mqtt://127.0.0.1:${this.port}`;
    this.subscriber = mqtt.connect(url, { ...SESSION, clientId: 'subscriber' });
    this.subscriber.on('message', (topic, payload) => {
      const { received } = topic === 'once' ? this.exactlyOnce : this.atLeastOnce;
      const number = Number(payload.toString());
      received.set(number, (received.get(number) ?? 0) + 1);
    });
    for (const client of [this.subscriber]) client.on('error', () => {});
    await this.subscriber.subscribeAsync({ least: { qos: 1 }, once: { qos: 2 } });
    this.publisher = mqtt.connect(url, { ...SESSION, clientId: 'publisher' });
    this.publisher.on('error', () => {});
    this.follow(url);
  }

  /** Resumes behind the last cursor on each connection, without a session. */
  private follow(url: string): void {
    const { reader } = this;
    this.follower = mqtt.connect(url, { ...SESSION, clean: true, properties: {}, clientId: 'follower' });
    this.follower.on('error', () => {});
    this.follower.on('connect', () => {
      this.follower!.subscribe(
        'least',
        { qos: 0, properties: { userProperties: { after: String(reader.last) } } },
        () => {},
      );
    });
    this.follower.on('message', (_topic, payload, packet) => {
      const { cursor, gap } = (packet.properties?.userProperties ?? {}) as Record<string, string>;
      assert.equal(gap, undefined, `a gap: ${gap}`);
      reader.last = Number(cursor);
      reader.cursors.push(reader.last);
      reader.numbers.add(Number(payload.toString()));
    });
  }

  /** Publishes without rest, at most some hundreds under way. */
  private async publish(): Promise<void> {
    let underWay = 0;
    const send = (topic: string, qos: 1 | 2, { acknowledged }: Ledger, number: number) => {
      underWay++;
      this.publisher!.publish(topic, String(number), { qos }, (error) => {
        underWay--;
        if (!error) acknowledged.add(number);
      });
    };
    while (!this.stopped) {
      // The history keeps a thousand messages a topic: a reader that is away for one round must not fall behind that.
      for (let count = 0; count < 4 && underWay < 100; count++) {
        send('least', 1, this.atLeastOnce, ++this.atLeastOnce.sent);
        send('once', 2, this.exactlyOnce, ++this.exactlyOnce.sent);
      }
      if (this.retained.sent === this.retained.acknowledged) {
        const value = ++this.retained.sent;
        this.publisher!.publish('value', String(value), { qos: 1, retain: true }, (error) => {
          if (!error) this.retained.acknowledged = value;
        });
      }
      await pause(2);
    }
    for (let waited = 0; underWay > 0 && waited < 20_000; waited += 20) await pause(20);
    assert.equal(underWay, 0, 'publishes that were never acknowledged');
  }

  /** Waits until everybody has everything, or nothing has moved for long. */
  private async settle(): Promise<void> {
    let quiet = 0;
    let before = -1;
    while (quiet < 40) {
      await pause(25);
      const now =
        this.atLeastOnce.received.size +
        this.exactlyOnce.received.size +
        this.reader.cursors.length +
        this.lane!.received.length;
      quiet = now === before ? quiet + 1 : 0;
      before = now;
    }
  }

  private judge(): void {
    const { atLeastOnce, exactlyOnce, reader } = this;
    assert.ok(exactlyOnce.acknowledged.size > 0 && atLeastOnce.acknowledged.size > 0, 'nothing was acknowledged');
    assert.deepEqual(missing(atLeastOnce.acknowledged, atLeastOnce.received), [], 'acknowledged with QoS 1 and lost');
    assert.deepEqual(missing(exactlyOnce.acknowledged, exactlyOnce.received), [], 'acknowledged with QoS 2 and lost');
    const repeated = [...exactlyOnce.received].filter(([, times]) => times !== 1);
    assert.deepEqual(repeated, [], 'with QoS 2 more than once');
    assert.deepEqual(missing(atLeastOnce.acknowledged, reader.numbers), [], 'not in the history that was resumed');
    for (let at = 1; at < reader.cursors.length; at++)
      assert.ok(
        reader.cursors[at]! > reader.cursors[at - 1]!,
        `cursor ${reader.cursors[at]} came after ${reader.cursors[at - 1]}`,
      );
  }

  /** What was done, for a line of a report. */
  get summary(): string {
    return `${this.atLeastOnce.acknowledged.size} with QoS 1, ${this.exactlyOnce.acknowledged.size} with QoS 2, ${this.lane?.acknowledged.size ?? 0} lines`;
  }
}

function missing(wanted: ReadonlySet<number>, have: { has(number: number): boolean }): number[] {
  return [...wanted].filter((number) => !have.has(number)).slice(0, 20);
}
