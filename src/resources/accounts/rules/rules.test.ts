import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Caller, OPERATOR } from '../../../core/caller.ts';
import { ALL, NONE, SOME, type Verb } from '../../../core/permissions.ts';
import { matches } from '../../topics/names.ts';
import { readRule, readScope } from './language.ts';
import { fits, isCovered, meet, patternOf, patternText } from './patterns.ts';
import { Rules } from './rules.ts';

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  ann: [],
  bob: ['devices'],
  eve: ['devices', 'guests'],
  root: ['admins'],
};

const caller = (account: string, more: Partial<Caller> = {}): Caller => ({
  account,
  scopes: null,
  origin: 'remote',
  epoch: 0,
  by: account === '' ? '' : 'password',
  ...more,
});

function rulesOf(...texts: string[]): Rules {
  const rules = new Rules();
  rules.replace(
    texts.map((text, index) => ({ id: String(index + 1), text })),
    { groupsOf: (account) => MEMBERS[account] ?? null },
  );
  return rules;
}

const may = (rules: Rules, who: string | Caller, verb: Verb, topic: string) =>
  rules.may(typeof who === 'string' ? caller(who) : who, verb, 'topics', topic);

test('the language: what is a rule, and what is said of what is none', () => {
  for (const text of [
    'allow ann publish topics/a/b',
    'deny @devices publish,subscribe topics/secret/#',
    'allow everyone * files/{account}/#',
    'allow anonymous read topics/public/+',
    'deny * administer server/#',
  ])
    assert.equal((readRule(text) as { text: string }).text, text);
  assert.equal((readRule('  allow  Ann  PUBLISH  topics/A ') as { text: string }).text, 'allow ann publish topics/A');
  assert.equal((readRule('allow ann read server') as { path: string }).path, '#');
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['', /begins with allow or deny/],
    ['permit ann publish topics/a', /begins with allow or deny/],
    ['allow ann publish', /four words/],
    ['allow ann publish topics/a b', /four words/],
    ['allow ann shout topics/a', /"shout" is no verb; there are publish/],
    ['allow ann publish stars/a', /"stars" is no kind/],
    ['allow ann publish topics/', /empty/],
    ['allow ann publish topics/#/a', /last of a path/],
    ['allow ann publish topics/a#', /whole levels/],
    ['allow ann publish topics/{user}/a', /\{user\} is not known/],
    ['allow :: publish topics/a', /nobody/],
    [`allow ann publish topics/${'a/'.repeat(200)}`, /levels/],
    ['a'.repeat(3_000), /at most/],
  ];
  for (const [text, what] of wrong) assert.match(String(readRule(text)), what, text);
  assert.equal(typeof readScope('publish topics/a/#'), 'object');
  assert.equal(typeof readScope('publish'), 'string');
});

test('nothing is allowed but by a rule, and a denial wins', () => {
  const rules = rulesOf(
    'allow ann publish topics/a/#',
    'deny ann publish topics/a/secret/#',
    'allow @devices publish,subscribe topics/devices/{account}/#',
    'allow everyone read topics/news',
    'allow * read topics/public/+',
  );
  const table: readonly (readonly [string, Verb, string, boolean])[] = [
    ['ann', 'publish', 'a', true],
    ['ann', 'publish', 'a/b', true],
    ['ann', 'publish', 'a/secret', false],
    ['ann', 'publish', 'a/secret/b', false],
    ['ann', 'subscribe', 'a/b', false],
    ['bob', 'publish', 'a/b', false],
    ['bob', 'publish', 'devices/bob/temperature', true],
    ['bob', 'publish', 'devices/eve/temperature', false],
    ['eve', 'subscribe', 'devices/eve', true],
    ['ann', 'publish', 'devices/ann/x', false],
    ['ann', 'read', 'news', true],
    ['', 'read', 'news', false],
    ['', 'read', 'public/x', true],
    ['', 'read', 'public/x/y', false],
    ['nobody-made-this', 'read', 'public/x', false],
    ['root', 'publish', 'a/secret/b', true],
    ['root', 'administer', 'anything', true],
    ['ann', 'administer', 'a', false],
  ];
  // Twice: what was decided is what is kept.
  for (let round = 0; round < 2; round++)
    for (const [who, verb, topic, expected] of table)
      assert.equal(may(rules, who, verb, topic), expected, `${who} ${verb} ${topic}`);
  assert.equal(rules.grantsAnonymous, true);
});

test('without rules of one’s own, accounts may use the topics; the first rule ends that', () => {
  const rules = rulesOf();
  assert.equal(may(rules, 'ann', 'publish', 'a'), true);
  assert.equal(may(rules, 'ann', 'subscribe', '$SYS/broker/uptime'), true);
  assert.equal(may(rules, 'ann', 'publish', '$SYS/x'), false);
  assert.equal(may(rules, '', 'read', 'a'), false);
  assert.equal(rules.grantsAnonymous, false);
  assert.equal(may(rules, 'ann', 'subscribe', 'accounts/audit'), false);
  assert.equal(may(rules, 'root', 'subscribe', 'accounts/audit'), true);
  const other = rulesOf('allow ann read topics/b');
  assert.equal(may(other, 'ann', 'publish', 'a'), false);
});

test('a token may what both its account and its scopes allow', () => {
  const rules = rulesOf('allow ann publish,subscribe topics/a/#', 'allow @admins read topics/x');
  const token = caller('ann', { scopes: ['publish topics/a/b/#', 'publish topics/other'] });
  assert.equal(may(rules, token, 'publish', 'a/b/c'), true);
  assert.equal(may(rules, token, 'publish', 'a/c'), false);
  assert.equal(may(rules, token, 'publish', 'other'), false);
  assert.equal(may(rules, token, 'subscribe', 'a/b/c'), false);
  assert.equal(may(rules, caller('ann', { scopes: [] }), 'publish', 'a/b'), false);
  assert.equal(may(rules, caller('ann', { scopes: ['nonsense'] }), 'publish', 'a/b'), false);
  const dollar = caller('root', { scopes: ['* topics/$x/#'] });
  assert.equal(rules.covers(dollar, 'read', 'topics', '$x/#'), ALL);
  const admin = caller('root', { scopes: ['read topics/a'] });
  assert.equal(may(rules, admin, 'read', 'a'), true);
  assert.equal(may(rules, admin, 'publish', 'a'), false);
});

test('a name is never a wildcard or a path', () => {
  const rules = new Rules(['allow everyone publish topics/u/{account}/#']);
  const groups = { groupsOf: () => [] };
  rules.replace([], groups);
  for (const name of ['+', '#', 'a/b']) {
    assert.equal(may(rules, name, 'publish', 'u/x'), false, name);
    assert.equal(may(rules, name, 'publish', `u/${name === 'a/b' ? 'a' : 'y'}/z`), false, name);
    assert.equal(rules.covers(caller(name), 'publish', 'topics', 'u/#') === ALL, false);
  }
  assert.throws(() => new Rules(['allow nobody here']), RangeError);
});

test('groups of an issuer count, the operator may all, and a rule that cannot be read closes everything', () => {
  const rules = rulesOf('allow @staff publish topics/a');
  assert.equal(may(rules, caller('ann', { groups: ['staff'] }), 'publish', 'a'), true);
  assert.equal(may(rules, caller('gone', { groups: ['staff'] }), 'publish', 'a'), false);
  assert.equal(may(rules, OPERATOR, 'publish', 'a'), true);
  assert.equal(may(rules, { ...OPERATOR }, 'publish', 'a'), false);
  rules.replace(
    [
      { id: '1', text: 'allow ann publish topics/#' },
      { id: '2', text: 'deny ann of tomorrow' },
    ],
    {
      groupsOf: () => [],
    },
  );
  assert.equal(may(rules, 'ann', 'publish', 'a'), false);
});

test('a change counts at once', () => {
  const rules = rulesOf('allow ann publish topics/a');
  const ann = caller('ann');
  assert.equal(may(rules, ann, 'publish', 'a'), true);
  const { epoch } = rules;
  rules.replace([{ id: '1', text: 'allow ann publish topics/b' }], { groupsOf: () => [] });
  assert.ok(rules.epoch > epoch);
  assert.equal(may(rules, ann, 'publish', 'a'), false);
  assert.equal(may(rules, ann, 'publish', 'b'), true);
});

test('what is kept is bounded, and long names are decided all the same', () => {
  const rules = rulesOf('allow ann publish topics/#', 'deny ann publish topics/secret/#');
  const ann = caller('ann');
  const long = (first: string) => `${first}/${'x'.repeat(60_000)}`;
  for (let round = 0; round < 2; round++) {
    assert.equal(may(rules, ann, 'publish', long('a')), true);
    assert.equal(may(rules, ann, 'publish', long('secret')), false);
    assert.equal(rules.covers(ann, 'publish', 'topics', long('secret')), NONE);
  }
  // More than is kept: what was decided first is decided again.
  for (let count = 0; count < 150_000; count++) {
    const name = `${count % 2 === 0 ? 'a' : 'secret'}/${String(count).padStart(200, '0')}`;
    assert.equal(may(rules, ann, 'publish', name), count % 2 === 0);
  }
});

test('many rules: found by their levels, and a change reads only what changed', () => {
  const texts = Array.from({ length: 5_000 }, (_, index) => `allow everyone publish topics/d/${index}/#`);
  const records = texts.map((text, index) => ({ id: String(index), text }));
  const rules = new Rules();
  const groups = { groupsOf: () => [] };
  rules.replace(records, groups);
  assert.equal(may(rules, 'ann', 'publish', 'd/4999/x'), true);
  assert.equal(may(rules, 'ann', 'publish', 'd/5000/x'), false);
  rules.replace([...records.slice(1), { id: 'new', text: 'allow everyone publish topics/d/5000' }], groups);
  assert.equal(may(rules, 'ann', 'publish', 'd/0/x'), false);
  assert.equal(may(rules, 'ann', 'publish', 'd/5000'), true);
  // So many pairs that it is not worked out: asked of each name.
  const pairs = Array.from({ length: 800 }, (_, index) => `deny everyone publish topics/d/${index}/#`);
  rules.replace([...records, ...pairs.map((text, index) => ({ id: `deny ${index}`, text }))], groups);
  assert.equal(rules.covers(caller('ann'), 'publish', 'topics', 'd/#'), SOME);
  assert.equal(may(rules, 'ann', 'publish', 'd/799/x'), false);
  assert.equal(may(rules, 'ann', 'publish', 'd/800/x'), true);
});

test('coverage of filters', () => {
  const rules = rulesOf(
    'allow ann subscribe topics/#',
    'deny ann subscribe topics/secret/#',
    'allow bob subscribe topics/a/+',
  );
  const covers = (who: string, filter: string) => rules.covers(caller(who), 'subscribe', 'topics', filter);
  assert.equal(covers('ann', '#'), SOME);
  assert.equal(covers('ann', 'a/#'), ALL);
  assert.equal(covers('ann', 'secret/#'), NONE);
  assert.equal(covers('ann', 'secret/a'), NONE);
  assert.equal(covers('ann', '+/a'), SOME);
  assert.equal(covers('ann', '$SYS/#'), NONE);
  assert.equal(covers('bob', 'a/+'), ALL);
  assert.equal(covers('bob', 'a/b'), ALL);
  assert.equal(covers('bob', 'a/#'), SOME);
  assert.equal(covers('bob', '+/b'), SOME);
  assert.equal(covers('bob', 'b/#'), NONE);
  assert.equal(covers('root', '#'), ALL);
  assert.equal(covers('root', '$SYS/#'), ALL);
  assert.equal(covers('', '#'), NONE);
});

const level = fc.constantFrom('a', 'b', '+', '$s');
const filter = fc
  .tuple(fc.array(level, { maxLength: 3 }), fc.boolean())
  .filter(([levels, rest]) => levels.length > 0 || rest)
  .map(([levels, rest]) => [...levels, ...(rest ? ['#'] : [])].join('/'));

/** Names of up to five levels over a small alphabet, with one letter that stands in no filter. */
const NAMES: string[] = [];
for (const first of ['a', 'b', 'z', '$s', '$z']) {
  let some = [first];
  for (let depth = 0; depth < 5; depth++) {
    NAMES.push(...some);
    some = some.flatMap((name) => ['a', 'b', 'z', '$s'].map((next) => `${name}/${next}`));
    if (depth === 2) some = some.filter((_, index) => index % 3 === 0);
  }
}

test('patterns stand for what filters match', () => {
  fc.assert(
    fc.property(filter, fc.constantFrom(...NAMES), (text, name) => {
      assert.equal(fits(patternOf(text), name.split('/')), matches(text, name), `${text} ${name}`);
      assert.equal(patternText(patternOf(text)), text);
    }),
    { numRuns: 3_000 },
  );
});

test('what two patterns have in common is what both stand for', () => {
  fc.assert(
    fc.property(filter, filter, (one, other) => {
      const both = meet(patternOf(one), patternOf(other));
      for (const name of NAMES) {
        const expected = matches(one, name) && matches(other, name);
        assert.equal(both !== null && fits(both, name.split('/')), expected, `${one} ${other} ${name}`);
      }
    }),
    { numRuns: 300 },
  );
});

test('a pattern is covered when each of its names is', () => {
  fc.assert(
    fc.property(filter, fc.array(filter, { maxLength: 4 }), (inner, outer) => {
      const expected = NAMES.filter((name) => matches(inner, name)).every((name) =>
        outer.some((each) => matches(each, name)),
      );
      const answer = isCovered(patternOf(inner), outer.map(patternOf));
      assert.equal(answer, expected, `${inner} in ${outer.join(' ')}`);
    }),
    { numRuns: 2_000 },
  );
});

test('what covers says is what may says of every name', () => {
  const rule = fc
    .tuple(fc.constantFrom('allow', 'deny'), filter)
    .map(([effect, path]) => `${effect} ann read topics/${path}`);
  const scopes = fc.option(
    fc.array(
      filter.map((path) => `read topics/${path}`),
      { maxLength: 2 },
    ),
  );
  fc.assert(
    fc.property(fc.array(rule, { minLength: 1, maxLength: 5 }), scopes, filter, (texts, narrowed, wanted) => {
      const rules = rulesOf(...texts);
      const ann = caller('ann', { scopes: narrowed });
      const names = NAMES.filter((name) => matches(wanted, name));
      const allowed = names.filter((name) => rules.may(ann, 'read', 'topics', name));
      const coverage = rules.covers(ann, 'read', 'topics', wanted);
      if (coverage === ALL) assert.equal(allowed.length, names.length);
      else if (coverage === NONE) assert.equal(allowed.length, 0);
      // A filter that nothing of the alphabet is like may be SOME, or NONE.
      else assert.ok(names.length === 0 || allowed.length > 0, `${texts.join('; ')} for ${wanted}`);
      if (names.length > 0 && allowed.length === 0) assert.equal(coverage, NONE, `${texts.join('; ')} for ${wanted}`);
    }),
    { numRuns: 1_500 },
  );
});
