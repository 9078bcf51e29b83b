import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OUTCOME_NAMES, type Outcome } from '../../core/outcome.ts';
import { faults, replyFaults } from './faults.ts';
import { limits } from './limits.ts';
import { Bench } from './testing/bench.ts';
import { OUTCOME_CODES } from './words.ts';

/** What a socket is told for requests, under limits: an outcome each, and how it was closed. */
async function told(bounds: Record<string, number>, requests: (object | string)[]): Promise<[string[], string]> {
  const bench = await Bench.open({ limits: bounds });
  const talker = bench.talk();
  for (const request of requests) talker.says(request);
  await bench.pass();
  assert.deepEqual(bench.world.bugs, []);
  const outcomes = talker.heard().flatMap((said) => {
    if ('ack' in said) return 'OK';
    return 'error' in said ? (said.error as { outcome: string }).outcome : [];
  });
  return [outcomes, talker.closed];
}

const property = (value: string) => ({ publish: 'a', payload: '', properties: [['n', value]], id: 1 });

test('limits: the bound itself is allowed, one past it is answered as the page says', async () => {
  const message = { publish: 'a', payload: 'x'.repeat(100), id: 1 };
  const messageBytesMax = JSON.stringify(message).length;
  assert.deepEqual(await told({ messageBytesMax }, [message]), [['OK'], '']);
  assert.deepEqual(await told({ messageBytesMax: messageBytesMax - 1 }, [message]), [[], 'ended 1009']);
  const subscriptions = ['a', 'b', 'a', 'c'].map((subscribe, id) => ({ subscribe, id }));
  assert.deepEqual(await told({ subscriptionsMax: 2 }, subscriptions), [['OK', 'OK', 'OK', 'FULL'], '']);
  const nested = ['{"publish":"a","id":1,"json":[[]]}', '{"publish":"a","id":2,"json":[[[]]]}'];
  assert.deepEqual(await told({ jsonDepthMax: 2 }, nested), [['OK', 'INVALID'], '']);
  const named = ['xx', 'xxx'].map((id) => ({ publish: 'a', payload: '', id }));
  assert.deepEqual(await told({ idCharactersMax: 2 }, named), [['OK', 'INVALID'], '']);
  const many = [1, 2].map((count) => ({ ...property('v'), properties: Array(count).fill(['n', 'v']) }));
  assert.deepEqual(await told({ propertiesMax: 1 }, many), [['OK', 'INVALID'], '']);
  assert.deepEqual(await told({ attributeBytesMax: 4 }, [property('ää'), property('ääa')]), [['OK', 'INVALID'], '']);
});

test('limits: a peer that does not read its answers is not read', async () => {
  const bench = await Bench.open({ narrow: true });
  const talker = bench.talk();
  const { topics } = bench.house;
  talker.messages.pause();
  for (let id = 0; id < 1_000; id++) talker.says({ publish: 'a', payload: '', id });
  await bench.pass(500);
  assert.ok(topics.figures.published < 100, `${topics.figures.published} published`);
  talker.messages.resume();
  await bench.pass(20_000);
  assert.equal(talker.heard().length, 1_000);
});

test('docs/portico-json.md says what the limits are, and has the sections that faults name', () => {
  const page = readFileSync(new URL('../../../docs/portico-json.md', import.meta.url), 'utf8');
  for (const [name, { what, default: usual, least, most }] of Object.entries(limits)) {
    const numbers = [usual, least, most].map((value) => value.toLocaleString('en-US')).join(' | ');
    assert.ok(page.includes(`| \`${name}\` | ${what} | ${numbers} |`), name);
  }
  for (const { spec } of [...Object.values(faults), ...Object.values(replyFaults), ...Object.values(limits)])
    assert.match(page, new RegExp(`^#+ ${spec.slice('docs/portico-json.md §'.length)}$`, 'm'), spec);
});

test('docs/portico-json.md has the close code of each outcome', () => {
  const page = readFileSync(new URL('../../../docs/portico-json.md', import.meta.url), 'utf8');
  for (const [outcome, code] of Object.entries(OUTCOME_CODES)) {
    const name = OUTCOME_NAMES[Number(outcome) as Outcome];
    if (name !== 'OK') assert.match(page, new RegExp(`^\\|[^|]*\`${name}\`[^|]*\\| ${code} \\|$`, 'm'), name);
  }
});
