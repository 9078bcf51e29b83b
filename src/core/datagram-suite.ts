// What every datagram port must do, whatever carries it. It is imported by tests only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DatagramPort, DatagramSession } from './datagram.ts';
import type { Address } from './peer.ts';
import type { Cause } from './pipe.ts';
import { type Clock, NEVER } from './time.ts';

export interface PortsUnderTest {
  open(session: (port: DatagramPort) => DatagramSession): Promise<DatagramPort>;
  until(done: () => boolean): Promise<void>;
  readonly bugs: unknown[];
  dispose(): Promise<void>;
}

export class DatagramRecorder implements DatagramSession {
  readonly port: DatagramPort;
  readonly received: string[] = [];
  readonly from: Address[] = [];
  readonly told: string[] = [];
  deadline = NEVER;
  answer: ((text: string, from: Address) => void) | null = null;

  constructor(port: DatagramPort) {
    this.port = port;
  }

  receive(input: Uint8Array, start: number, end: number, from: Address): void {
    const text = Buffer.from(input.subarray(start, end)).toString('latin1');
    this.received.push(text);
    this.from.push(from);
    this.answer?.(text, from);
  }

  tick(clock: Clock): void {
    assert.ok(clock.now >= this.deadline);
    this.deadline = NEVER;
    this.told.push('tick');
  }

  leave(): void {
    this.told.push('leave');
  }

  lost(cause: Cause): void {
    this.told.push(`lost ${cause}`);
  }

  say(to: Address, text: string, segment = 0): boolean {
    const bytes = Buffer.from(text);
    const sent = this.port.send(to, null, bytes, 0, bytes.length, segment);
    // The bytes were copied or sent: overwriting them changes nothing.
    bytes.fill(0);
    return sent;
  }
}

export function datagramSuite(name: string, open: () => Promise<PortsUnderTest>): void {
  const on = (
    what: string,
    run: (ports: PortsUnderTest, a: DatagramRecorder, b: DatagramRecorder) => Promise<void>,
  ): void =>
    void test(`${name}: ${what}`, { timeout: 10_000 }, async () => {
      const ports = await open();
      try {
        let a!: DatagramRecorder;
        let b!: DatagramRecorder;
        await ports.open((port) => (a = new DatagramRecorder(port)));
        await ports.open((port) => (b = new DatagramRecorder(port)));
        await run(ports, a, b);
      } finally {
        await ports.dispose();
      }
    });

  on('datagrams arrive whole, and are answered to where they came from', async ({ until, bugs }, a, b) => {
    b.answer = (text, from) => b.say(from, text.toUpperCase());
    assert.ok(a.say(b.port.local, 'one'));
    assert.ok(a.say(b.port.local, 'x'.repeat(1_200)));
    await until(() => a.received.length === 2);
    assert.deepEqual([...a.received].sort(), ['ONE', 'X'.repeat(1_200)]);
    assert.deepEqual(b.from[0], a.port.local);
    assert.deepEqual(bugs, []);
  });

  on('an empty datagram is one', async ({ until }, a, b) => {
    a.say(b.port.local, '');
    await until(() => b.received.length === 1);
    assert.deepEqual(b.received, ['']);
  });

  on('one call sends many of one segment size, the last may be shorter', async ({ until }, a, b) => {
    assert.ok(a.say(b.port.local, 'aaaabbbbcc', 4));
    await until(() => b.received.length === 3);
    assert.deepEqual([...b.received].sort(), ['aaaa', 'bbbb', 'cc']);
  });

  on('without room nothing is sent, and there is room again later', async ({ until }, a, b) => {
    const text = 'x'.repeat(1_000);
    let sent = 0;
    while (a.say(b.port.local, text)) assert.ok(++sent < 100_000, 'no bound');
    assert.ok(a.port.room < 1_000);
    await until(() => a.port.room >= 1_000);
  });

  on('a throw ends nothing but the one datagram', async ({ until, bugs }, a, b) => {
    b.answer = (text) => {
      if (text === 'bad') throw new Error('a bug of ours');
    };
    a.say(b.port.local, 'bad');
    a.say(b.port.local, 'good');
    await until(() => b.received.includes('good') && bugs.length > 0);
    assert.equal(bugs.length, 1);
  });

  on('a deadline is met once', async ({ until }, a) => {
    a.deadline = 0.5;
    a.port.touch();
    await until(() => a.told.length > 0);
    assert.deepEqual(a.told, ['tick']);
  });

  on('closing tells once, and nothing is sent or received afterwards', async ({ until }, a, b) => {
    a.port.close();
    a.port.close();
    assert.deepEqual(a.told, ['lost ended']);
    assert.equal(a.say(b.port.local, 'late'), false);
    b.say(a.port.local, 'into the void');
    for (let round = 0; round < 5; round++) await until(() => true);
    assert.deepEqual(a.received, []);
  });
}
