// A bridge on simulated links that are cut again and again, and towards topics that refuse: nothing is lost, QoS 2 comes
// exactly once, and only what was committed is acknowledged.
import assert from 'node:assert/strict';
import { SILENT } from '../../core/log.ts';
import { BUSY, DENIED } from '../../core/outcome.ts';
import type { Reach } from '../../core/reach.ts';
import type { Publication } from '../../resources/topics/contract.ts';
import { type Link, linkPipes } from '../../sim/pipes.ts';
import { Bridge } from './bridge.ts';
import type { BridgePlan } from './bridge-plan.ts';
import { FakeTopics } from './fake-topics.ts';
import type { Version } from './packets.ts';
import { play, type Stage, settle } from './playbook.ts';

const CALLER = { account: '', scopes: null, origin: 'local', epoch: 0 } as const;

/** A bridge from topics of its own to those of the stage's server. */
class Side {
  readonly topics: FakeTopics;
  readonly bridge: Bridge;
  dials = 0;
  link: Link | null = null;

  constructor(stage: Stage, plan: Omit<BridgePlan, 'name' | 'url'>) {
    const { world } = stage;
    this.topics = new FakeTopics(world);
    const dial: Reach['dial'] = (_target, _tls, connected) => {
      this.dials++;
      this.link = linkPipes(world, connected, (pipe) => stage.serve(pipe), { cut: 50, latencyMs: 3 });
      return () => {};
    };
    this.bridge = new Bridge({
      plan: { name: 'b', url: 'mqtt://far', ...plan },
      clientId: 'bridge',
      turn: world.turn,
      reach: { dial } as Reach,
      topics: this.topics,
      log: SILENT,
      entropy: world.random,
      againMs: 20,
    });
  }
}

async function pass(stage: Stage, ms: number): Promise<void> {
  for (let past = 0; past < ms; past += 10) {
    stage.pass(10);
    await settle();
  }
}

function say(topics: FakeTopics, publication: Publication): void {
  topics.publish(CALLER, publication, { settled() {} }, 1);
}

const heard = (topics: FakeTopics, prefix: string) =>
  topics.published.filter(({ topic }) => topic.startsWith(prefix)).map(({ payload }) => String(payload));

for (const version of [4, 5] as const satisfies readonly Version[])
  for (const qos of [1, 2] as const)
    play(`bridge: links that are cut, level ${version}, QoS ${qos}`, async (stage) => {
      const side = new Side(stage, {
        version,
        in: [{ filter: 'down/#', strip: 'down/', prefix: 'in/', qos }],
        out: [{ filter: 'up/#', strip: 'up/', prefix: 'out/', qos }],
      });
      await pass(stage, 100);
      const said: string[] = [];
      for (let round = 0; round < 60; round++) {
        said.push(`${round}`);
        say(side.topics, { topic: 'up/a', payload: Buffer.from(`${round}`), assurance: qos });
        say(stage.topics, { topic: 'down/a', payload: Buffer.from(`${round}`), assurance: qos });
        if (stage.world.random.chance(0.2)) side.link?.cut();
        await pass(stage, 10 * stage.world.random.below(4));
      }
      await pass(stage, 5_000);
      assert.ok(side.dials > 2);
      const [there, here] = [heard(stage.topics, 'out/'), heard(side.topics, 'in/')];
      assert.deepEqual(qos === 2 ? there : [...new Set(there)], said);
      assert.deepEqual(qos === 2 ? here : [...new Set(here)], said);
      side.bridge.close();
      await pass(stage, 100);
    });

play('bridge: what cannot be committed now comes again; what is refused does not', async (stage) => {
  const side = new Side(stage, { in: [{ filter: '#', qos: 2 }] });
  await pass(stage, 100);
  side.topics.refusals.set('later/1', BUSY);
  side.topics.refusals.set('later/2', BUSY);
  side.topics.refusals.set('never', DENIED);
  say(stage.topics, { topic: 'later/1', payload: Buffer.from('one'), assurance: 1 });
  say(stage.topics, { topic: 'later/2', payload: Buffer.from('two'), assurance: 2 });
  say(stage.topics, { topic: 'never', payload: Buffer.from('none'), assurance: 1 });
  await pass(stage, 500);
  assert.ok(side.dials > 2);
  assert.deepEqual(heard(side.topics, ''), []);
  side.topics.refusals.clear();
  side.topics.refusals.set('never', DENIED);
  await pass(stage, 3_000);
  assert.deepEqual(new Set(heard(side.topics, '')), new Set(['one', 'two']));
  assert.equal(heard(side.topics, 'later/2').length, 1);
  const { dials } = side;
  await pass(stage, 1_000);
  assert.equal(side.dials, dials);
  side.bridge.close();
  await pass(stage, 100);
});
