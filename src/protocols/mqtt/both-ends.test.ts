// The client and the server of this folder over simulated links that are cut again and again: nothing is lost, QoS 2 comes
// exactly once, and the order is kept.
import assert from 'node:assert/strict';
import { linkPipes } from '../../sim/pipes.ts';
import { MqttClient } from './client.ts';
import { ClientMemory, type ClientOptions, type Closed } from './client-memory.ts';
import type { Qos, Version } from './packets.ts';
import { play, type Stage, settle } from './playbook.ts';

/** A client that dials again whenever its connection is lost. */
class Steady {
  readonly memory = new ClientMemory();
  readonly got: string[] = [];
  readonly closings: Closed[] = [];
  client!: MqttClient;
  cut!: () => void;
  private readonly stage: Stage;
  private readonly options: ClientOptions;
  private leaving = false;

  constructor(stage: Stage, options: ClientOptions) {
    this.stage = stage;
    this.options = options;
    this.dial();
  }

  private dial(): void {
    const { world } = this.stage;
    const link = linkPipes(
      world,
      (pipe) => {
        this.client = new MqttClient(
          pipe,
          world.turn.clock,
          { ...this.options, memory: this.memory },
          {
            connected() {},
            message: (message) => void this.got.push(`${message.topic} ${Buffer.from(message.payload).toString()}`),
            room() {},
            closed: (closed) => {
              this.closings.push(closed);
              if (!this.leaving) world.after(20, () => this.dial());
            },
          },
        );
        return this.client;
      },
      (pipe) => this.stage.serve(pipe),
      { cut: 50, latencyMs: 3 },
    );
    this.cut = () => link.cut();
  }

  leave(): void {
    this.leaving = true;
    this.client.disconnect();
  }
}

async function pass(stage: Stage, ms: number): Promise<void> {
  for (let past = 0; past < ms; past += 10) {
    stage.pass(10);
    await settle();
  }
}

for (const version of [4, 5] as const satisfies readonly Version[]) {
  for (const qos of [1, 2] as const satisfies readonly Qos[]) {
    play(`both ends, links that are cut, level ${version}, QoS ${qos}`, async (stage) => {
      const persistent = { version, sessionExpirySeconds: 3_600, keepAliveSeconds: 30 };
      const sub = new Steady(stage, { ...persistent, clientId: 'sub' });
      const pub = new Steady(stage, { ...persistent, clientId: 'pub' });
      await pass(stage, 50);
      assert.equal(sub.client.subscribe([{ filter: 'steady/#', qos }]), 'taken');
      await pass(stage, 50);
      const said: string[] = [];
      let settled = 0;
      for (let round = 0; round < 60; round++) {
        const payload = Buffer.from(`${round} ${'x'.repeat(stage.world.random.below(200))}`);
        const topic = `steady/${round % 3}`;
        const taken = pub.client.publish({ topic, payload, qos }, (reason) => {
          assert.ok(reason === 0 || reason === 0x10, `reason ${reason}`);
          settled++;
        });
        if (taken === 'taken') said.push(`${topic} ${payload.toString()}`);
        if (stage.world.random.chance(0.1)) pub.cut();
        if (stage.world.random.chance(0.1)) sub.cut();
        await pass(stage, 10 * stage.world.random.below(4));
      }
      await pass(stage, 2_000);
      assert.equal(settled, said.length);
      assert.ok(said.length > 20 && sub.closings.length + pub.closings.length > 2);
      assert.ok([...sub.closings, ...pub.closings].every((closed) => closed.why === 'lost'));
      if (qos === 2) assert.deepEqual(sub.got, said);
      // At least once: what comes again comes in the same order, so the first of each are in order.
      else assert.deepEqual([...new Set(sub.got)], said);
      sub.leave();
      pub.leave();
      await pass(stage, 100);
      assert.equal(sub.closings.at(-1)?.why, 'done');
    });
  }
}
