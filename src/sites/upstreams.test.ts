import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Upstream, Upstreams } from './upstreams.ts';

function upstream(url: string): Upstream {
  const origin = { host: url, port: 80, tls: null };
  const figures = { open: 0, isWell: true, downUntil: 0, failures: 0, served: 0, failed: 0 };
  return { url, origin, authority: url, base: '', ...figures };
}

function three() {
  const told: string[] = [];
  const all = [upstream('a'), upstream('b'), upstream('c')] as const;
  const upstreams = new Upstreams(all, null, ({ url }, isUp) => void told.push(`${url} ${isUp ? 'up' : 'down'}`));
  return { all, upstreams, told };
}

const at = (now: number) => ({ now, wall: now });
const NONE = new Set<Upstream>();

test('they take turns, and the one with the fewest requests is first', () => {
  const { all, upstreams } = three();
  const order = Array.from({ length: 6 }, () => upstreams.choose(at(0), NONE)!.url).join('');
  assert.equal(order, 'abcabc');
  all[0].open = all[1].open = 2;
  assert.equal(upstreams.choose(at(0), NONE), all[2]);
});

test('one that fails is left alone, longer each time, and told of once', () => {
  const { all, upstreams, told } = three();
  upstreams.didFail(all[0], at(0), 'refused');
  for (let step = 0; step < 6; step++) assert.notEqual(upstreams.choose(at(999), NONE), all[0]);
  assert.ok([1, 2, 3].some(() => upstreams.choose(at(1_000), NONE) === all[0]));
  upstreams.didFail(all[0], at(1_000), 'refused');
  assert.equal(all[0].downUntil, 3_000);
  for (let step = 0; step < 20; step++) upstreams.didFail(all[0], at(3_000), 'refused');
  assert.equal(all[0].downUntil, 33_000);
  upstreams.succeeded(all[0]);
  assert.deepEqual(told, ['a down', 'a up']);
});

test('what health requests find counts until they find otherwise', () => {
  const { all, upstreams, told } = three();
  for (const each of all) upstreams.checked(each, false, '500');
  assert.equal(upstreams.choose(at(1e9), NONE), null);
  upstreams.checked(all[1], true, '200');
  assert.equal(upstreams.choose(at(1e9), NONE), all[1]);
  assert.equal(upstreams.choose(at(1e9), new Set([all[1]])), null);
  assert.deepEqual(told, ['a down', 'b down', 'c down', 'b up']);
});

test('the only one there is is tried whatever it did before', () => {
  const only = upstream('a');
  const upstreams = new Upstreams([only], null, () => {});
  upstreams.didFail(only, at(0), 'refused');
  assert.equal(upstreams.choose(at(1), NONE), only);
  assert.equal(upstreams.choose(at(1), new Set([only])), null);
});
