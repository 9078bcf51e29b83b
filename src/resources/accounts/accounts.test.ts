// Accounts in a simulated world: who is let in, who stands, what is remembered after a crash.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FULL } from '../../core/outcome.ts';
import { isSignInRefusal } from './contract.ts';
import { House, inTls, LOCAL, peerOf, STRANGER } from './testing/house.ts';

const PASSWORD = 'correct horse';
const ann = { kind: 'password' as const, account: 'ann', password: PASSWORD };

async function withAnn(): Promise<House> {
  const house = await House.open();
  await house.do('account.add', { name: 'ann', password: PASSWORD });
  return house;
}

describe('open mode', () => {
  test('while there is no account, a local program is the name that it gives, with any password', async () => {
    const { accounts } = await House.open();
    assert.equal(accounts.open, true);
    const waiter = { signedIn() {} };
    const caller = accounts.signIn({ ...ann, password: 'x' }, LOCAL, 'test', waiter, 1);
    assert.deepEqual(caller, { account: 'ann', scopes: null, origin: 'local', epoch: accounts.permissions.epoch });
    assert.equal(accounts.nobody(LOCAL)?.account, '');
  });

  test('nobody else is let in, and tokens are nobody’s', async () => {
    const house = await House.open();
    assert.equal(await house.refusal(ann, STRANGER), 'wrong');
    assert.equal(await house.refusal(ann, peerOf('127.0.0.1', { forwarded: true })), 'wrong');
    assert.equal(house.accounts.nobody(STRANGER), null);
    assert.equal(await house.refusal({ kind: 'token', token: 'ptk_x' }), 'wrong');
  });

  test('it ends with the first account, for all that came by it, and for good', async () => {
    const house = await House.open();
    let told = 0;
    house.accounts.onRevoked(() => told++);
    const before = await house.enter(ann);
    const nobody = house.accounts.nobody(LOCAL)!;
    assert.ok(house.accounts.stands(before) && house.accounts.stands(nobody));
    const answer = await house.do('account.add', { name: 'bob', password: PASSWORD });
    await house.pass(10);
    assert.equal(answer.openModeEnded, true);
    assert.equal(house.accounts.open, false);
    assert.ok(told > 0);
    assert.ok(!house.accounts.stands(before) && !house.accounts.stands(nobody));
    assert.equal(house.accounts.nobody(LOCAL), null);
    assert.equal(await house.refusal(ann), 'wrong');
    await house.do('account.remove', { name: 'bob' });
    assert.equal(house.accounts.open, false);
    await house.crash();
    assert.equal(house.accounts.open, false);
  });

  test('a caller of open mode is not the later account of its name, and may nothing', async () => {
    const house = await House.open();
    const before = await house.enter(ann);
    await house.do('account.add', { name: 'ann', password: PASSWORD });
    const { permissions } = house.accounts;
    assert.equal(permissions.may(before, 'read', 'topics', 'a'), false);
    assert.equal(permissions.covers(before, 'subscribe', 'topics', '#'), 0);
    const after = await house.enter(ann);
    assert.equal(permissions.may(after, 'read', 'topics', 'a'), true);
    assert.notEqual(after.id ?? '', before.id ?? '');
  });

  test('a listener beyond loopback ends it too, and ends those who came by it', async () => {
    const house = await House.open();
    const before = await house.enter(ann);
    house.accounts.expose(true);
    assert.equal(house.accounts.open, false);
    assert.equal(house.accounts.stands(before), false);
    assert.equal(await house.refusal(ann), 'wrong');
  });

  test('the first account administers, the next does not', async () => {
    const house = await withAnn();
    await house.do('account.add', { name: 'bob', password: PASSWORD });
    assert.deepEqual(house.rules.groupsOf('ann'), ['admins']);
    assert.deepEqual(house.rules.groupsOf('bob'), []);
  });

  test('whoever gives no name is let in where a rule grants something to anonymous', async () => {
    const house = await withAnn();
    assert.equal(house.accounts.nobody(STRANGER), null);
    house.rules.grantsAnonymous = true;
    const nobody = house.accounts.nobody(STRANGER)!;
    assert.equal(nobody.account, '');
    assert.equal(house.accounts.stands(nobody), true);
    house.rules.grantsAnonymous = false;
    assert.equal(house.accounts.stands(nobody), false);
  });
});

describe('passwords', () => {
  test('the right one lets in, with the name as it is stored', async () => {
    const house = await withAnn();
    const caller = await house.enter({ ...ann, account: 'ＡNN' });
    assert.equal(caller.account, 'ann');
    assert.equal(caller.by, 'password');
    assert.equal(caller.origin, 'local');
    assert.equal((await house.enter(ann, STRANGER)).origin, 'remote');
  });

  test('a wrong one and an unknown name are refused alike, and cost one hash each', async () => {
    const house = await withAnn();
    const { hashing } = house;
    for (const [account, password] of [
      ['ann', 'wrong one'],
      ['nobody-known', 'wrong two'],
      ['bad name!', 'wrong three'],
    ] as const) {
      const before = hashing.derived;
      assert.deepEqual(await house.password(account, password, STRANGER), { refused: 'wrong', retryMs: 0 });
      assert.equal(hashing.derived - before, 1, account);
    }
  });

  test('an account without a password, disabled or expired, costs the same hash and is refused', async () => {
    const house = await withAnn();
    await house.do('account.add', { name: 'keys' });
    await house.do('account.add', { name: 'off', password: PASSWORD });
    await house.do('account.disable', { name: 'off' });
    await house.do('account.add', { name: 'past', password: PASSWORD, expires: house.world.wall() + 100 });
    await house.pass(1_000);
    for (const account of ['keys', 'off', 'past']) {
      const before = house.hashing.derived;
      assert.equal(await house.refusal({ ...ann, account }), 'wrong', account);
      assert.equal(house.hashing.derived - before, 1, account);
    }
    await house.do('account.enable', { name: 'off' });
    assert.equal(await house.refusal({ ...ann, account: 'off' }), 'in');
  });

  test('what was checked lately is answered at once, without a hash, for that address only', async () => {
    const house = await withAnn();
    const first = await house.enter(ann, STRANGER);
    const before = house.hashing.derived;
    const at = house.accounts.signIn(ann, STRANGER, 'test', { signedIn() {} }, 1);
    assert.equal(at, first);
    assert.equal(house.hashing.derived, before);
    assert.equal(house.accounts.signIn(ann, inTls('203.0.113.8'), 'test', { signedIn() {} }, 1), null);
  });

  test('after ten minutes it is checked again', async () => {
    const house = await withAnn();
    await house.enter(ann);
    await house.pass(600_001);
    assert.equal(house.accounts.signIn(ann, LOCAL, 'test', { signedIn() {} }, 1), null);
  });

  test('a new password ends those who came by the old one, at once', async () => {
    const house = await withAnn();
    let told = 0;
    house.accounts.onRevoked(() => told++);
    const before = await house.enter(ann);
    await house.do('account.passwd', { name: 'ann', password: 'another horse' });
    await house.pass(10);
    assert.ok(told > 0);
    assert.equal(house.accounts.stands(before), false);
    assert.equal(await house.refusal(ann), 'wrong');
    assert.equal(await house.refusal({ ...ann, password: 'another horse' }), 'in');
  });

  test('a password that was checked while it was changed does not let in', async () => {
    const house = await withAnn();
    house.held = true;
    const answer = house.refusal(ann);
    house.held = false;
    await house.do('account.passwd', { name: 'ann', password: 'another horse' });
    for (const step of house.waiting.splice(0)) step();
    assert.equal(await answer, 'wrong');
  });

  test('it is refused in the clear over a network, unless the configuration allows that', async () => {
    const house = await withAnn();
    const before = house.hashing.derived;
    assert.equal(await house.refusal(ann, peerOf('192.0.2.1')), 'plaintext');
    assert.equal(await house.refusal(ann, peerOf('127.0.0.1', { forwarded: true })), 'plaintext');
    assert.equal(house.hashing.derived, before);
    assert.equal(await house.refusal(ann, STRANGER), 'in');
    const lab = await House.open({ plaintext: true });
    await lab.do('account.add', { name: 'ann', password: PASSWORD });
    assert.equal(await lab.refusal(ann, peerOf('192.0.2.1')), 'in');
  });

  test('when too many wait to be hashed, of one address or of all, the rest is told to come later', async () => {
    const house = await withAnn();
    house.held = true;
    const one = Array.from({ length: 9 }, (_, index) =>
      house.refusal({ ...ann, password: `guess ${index}` }, STRANGER),
    );
    assert.equal(await one[8], 'busy');
    const all = Array.from({ length: 40 }, (_, index) =>
      house.refusal({ ...ann, password: `guess ${index}` }, inTls(`198.51.100.${index}`)),
    );
    assert.equal(await all[39], 'busy');
    house.held = false;
    while (house.waiting.length > 0) for (const step of house.waiting.splice(0)) step();
    const answers = await Promise.all([...one, ...all]);
    assert.equal(answers.filter((answer) => answer === 'in').length, 0);
  });
});

describe('an account', () => {
  test('that is removed and made anew is another: nothing of the former opens it', async () => {
    const house = await withAnn();
    const { token } = await house.do('token.add', { account: 'ann', label: 'ci' });
    const before = await house.enter(ann);
    const byToken = await house.enter({ kind: 'token', token: String(token) });
    await house.do('account.remove', { name: 'ann' });
    assert.ok(!house.accounts.stands(before) && !house.accounts.stands(byToken));
    await house.do('account.add', { name: 'ann', password: PASSWORD });
    assert.ok(!house.accounts.stands(before) && !house.accounts.stands(byToken));
    assert.equal(await house.refusal({ kind: 'token', token: String(token) }), 'wrong');
    const after = await house.enter(ann);
    assert.notEqual(after.id, before.id);
    await house.crash();
    assert.equal((await house.enter(ann)).id, after.id);
    assert.equal(house.accounts.store.tokens.size, 0);
  });

  test('that is disabled, or expires, ends what it had open; the listeners are told when it expires', async () => {
    const house = await withAnn();
    const first = await house.enter(ann);
    await house.do('account.disable', { name: 'ann' });
    assert.equal(house.accounts.stands(first), false);
    await house.do('account.enable', { name: 'ann' });
    await house.do('account.expire', { name: 'ann', expires: house.world.wall() + 60_000 });
    const second = await house.enter(ann);
    assert.equal(house.accounts.stands(second), true);
    await house.pass(1_000);
    let told = 0;
    house.accounts.onRevoked(() => told++);
    await house.pass(70_000);
    assert.equal(told, 1);
    assert.equal(house.accounts.stands(second), false);
  });

  test('is not made when the disk is full, and then there is none', async () => {
    const house = await House.open();
    house.disk.injected.refuse = FULL;
    const answer = await house.order('account.add', { name: 'ann', password: PASSWORD });
    assert.equal(answer.ok, false);
    house.disk.injected.refuse = null;
    assert.equal(house.accounts.open, true);
    assert.equal(house.accounts.store.byName.size, 0);
  });

  test('that was acknowledged is there after a crash, one that was not is not', async () => {
    const house = await withAnn();
    house.disk.injected.hold = true;
    let answered = false;
    void house.desk.order({ do: 'account.add', name: 'bob', password: PASSWORD }, 'command').then(() => {
      answered = true;
    });
    await house.pass(50);
    assert.equal(answered, false);
    house.disk.injected.hold = false;
    await house.crash();
    assert.deepEqual([...house.accounts.store.byName.keys()], ['ann']);
    assert.equal(await house.refusal(ann), 'in');
  });

  test('is made once when two make it at once', async () => {
    const house = await withAnn();
    const order = { do: 'account.add', name: 'bob', password: PASSWORD };
    const answers = await house.settle(Promise.all([house.desk.order(order, 'a'), house.desk.order(order, 'b')]));
    assert.deepEqual(answers.map(({ ok }) => ok).sort(), [false, true]);
  });

  test('has groups, and a name that rules use is none', async () => {
    const house = await withAnn();
    await house.do('account.group', { name: 'ann', add: ['Ops', 'devs'] });
    await house.do('account.group', { name: 'ann', remove: ['ops'] });
    assert.deepEqual(house.rules.groupsOf('ann'), ['admins', 'devs']);
    for (const name of ['anonymous', 'a/b', 'a:b', '', ' ann', 'ann ', '-a', 'a*', 'раypal', 'x'.repeat(65), 'a@b@c'])
      assert.equal((await house.order('account.add', { name, password: PASSWORD })).ok, false, name);
    for (const name of ['ann@example.org', 'jürgen', 'світлана', '山田太郎', 'dev-7.lab_2'])
      assert.equal((await house.order('account.add', { name, password: PASSWORD })).ok, true, name);
  });
});

describe('tokens', () => {
  test('let in by themselves, as a password, and only their own account', async () => {
    const house = await withAnn();
    await house.do('account.add', { name: 'bob', password: PASSWORD });
    const made = await house.do('token.add', { account: 'ann', label: 'ci', scopes: ['publish topics/ci/#'] });
    const token = String(made.token);
    const caller = await house.enter({ kind: 'token', token });
    assert.equal(caller.account, 'ann');
    assert.equal(caller.by, 'token:ci');
    assert.deepEqual(caller.scopes, ['publish topics/ci/#']);
    assert.equal((await house.enter({ kind: 'password', account: 'ann', password: token })).by, 'token:ci');
    assert.equal(await house.refusal({ kind: 'token', token, account: 'bob' }), 'wrong');
    assert.equal(await house.refusal({ kind: 'password', account: 'bob', password: token }), 'wrong');
    assert.equal(await house.enter({ kind: 'token', token }), caller);
  });

  test('are refused when a character is another, expired, revoked, or in the clear', async () => {
    const house = await withAnn();
    const expires = house.world.wall() + 60_000;
    const { token } = await house.do('token.add', { account: 'ann', label: 'ci', expires });
    const text = String(token);
    const credentials = { kind: 'token' as const, token: text };
    assert.equal(await house.refusal(credentials, peerOf('192.0.2.1')), 'plaintext');
    for (const at of [0, 5, 20, 45])
      assert.equal(
        await house.refusal({ ...credentials, token: `${text.slice(0, at)}!${text.slice(at + 1)}` }),
        'wrong',
      );
    const caller = await house.enter(credentials);
    assert.equal(caller.until, expires);
    await house.pass(60_000);
    assert.equal(await house.refusal(credentials), 'wrong');
    assert.equal(house.accounts.stands(caller), false);
    const again = await house.do('token.add', { account: 'ann', label: 'cd' });
    const live = await house.enter({ kind: 'token', token: String(again.token) });
    await house.do('token.revoke', { account: 'ann', label: 'cd' });
    assert.equal(house.accounts.stands(live), false);
    await house.do('token.add', { account: 'ann', label: 'cd' });
    assert.equal(house.accounts.stands(live), false);
  });

  test('last a crash, and when they were used is known to the hour', async () => {
    const house = await withAnn();
    const { token } = await house.do('token.add', { account: 'ann', label: 'ci' });
    // The account's record is now younger than the token's.
    await house.do('account.group', { name: 'ann', add: ['ops'] });
    await house.enter({ kind: 'token', token: String(token) });
    await house.pass(20);
    await house.crash();
    assert.equal((await house.enter({ kind: 'token', token: String(token) })).account, 'ann');
    const { tokens } = await house.do('token.list', { account: 'ann' });
    const [{ used }] = tokens as [{ used: number }];
    assert.equal(used, house.world.wall() - (house.world.wall() % 3_600_000));
    assert.ok(!JSON.stringify(tokens).includes(String(token).slice(12)));
  });

  test('are bounded, and all of them go with their account', async () => {
    const house = await withAnn();
    const add = (label: number) => house.desk.order({ do: 'token.add', account: 'ann', label: `t${label}` }, 'command');
    const labels = Array.from({ length: 400 }, (_, label) => label);
    for (const { ok } of await house.settle(Promise.all(labels.map(add)))) assert.ok(ok);
    assert.equal((await house.settle(add(400))).ok, false);
    await house.do('account.remove', { name: 'ann' });
    await house.crash();
    assert.equal(house.accounts.store.tokens.size, 0);
  });

  test('of one label that are made at once are one', async () => {
    const house = await withAnn();
    const order = { do: 'token.add', account: 'ann', label: 'ci' };
    const answers = await house.settle(Promise.all([house.desk.order(order, 'a'), house.desk.order(order, 'b')]));
    assert.deepEqual(answers.map(({ ok }) => ok).sort(), [false, true]);
  });

  test('can be revoked by themselves, for one that was found somewhere', async () => {
    const house = await withAnn();
    const { token } = await house.do('token.add', { account: 'ann', label: 'ci' });
    assert.equal((await house.do('token.revoke', { label: token })).revoked, 'ci');
    assert.equal(await house.refusal({ kind: 'token', token: String(token) }), 'wrong');
  });
});

describe('the audit', () => {
  test('has changes with who made them, and sign-ins, and nothing that is secret', async () => {
    const house = await withAnn();
    const { token } = await house.do('token.add', { account: 'ann', label: 'ci' });
    await house.enter(ann, STRANGER);
    await house.password('ann', 'a wrong guess', STRANGER);
    await house.order('account.remove', { name: 'nobody-known' });
    const entries = await house.audit();
    assert.deepEqual(
      entries.map(({ what, who, by, from, outcome }) => [what, who, by, from, outcome].join(' ')),
      [
        'account.add ann command  ok',
        'token.add ann command  ok',
        'sign-in ann password 203.0.113.7 ok',
        'sign-in ann password 203.0.113.7 wrong',
        'account.remove nobody-known command  MISSING',
      ],
    );
    const all = JSON.stringify(entries);
    for (const secret of [PASSWORD, 'a wrong guess', String(token).slice(12)]) assert.ok(!all.includes(secret));
  });

  test('has a change before that is answered', async () => {
    const house = await withAnn();
    let answered = false;
    void house.desk.order({ do: 'account.add', name: 'bob' }, 'command').then(() => {
      answered = true;
    });
    while (!answered) await house.pass(1);
    await house.crash();
    assert.ok((await house.audit()).some(({ who, what }) => who === 'bob' && what === 'account.add'));
  });

  test('counts what repeats, and what is too much to be told apart', async () => {
    const house = await withAnn();
    for (let time = 0; time < 30; time++) await house.password('ann', 'a wrong guess', STRANGER);
    await house.pass(120_000);
    const entries = await house.audit();
    const wrong = entries.filter(({ outcome }) => outcome === 'wrong');
    assert.equal(wrong.length, 2);
    assert.equal(wrong[1]!.times, 29);
    for (let name = 0; name < 2_000; name++)
      house.accounts.audit.noteSignIn(`x${name}`, 'password', '203.0.113.9', 'test', 'wrong');
    await house.pass(120_000);
    await house.accounts.audit.close();
    let many = 0;
    let kept = 0;
    await house.accounts.audit.read(0, (entry) => {
      kept++;
      if (entry.detail === 'many others') many += entry.times ?? 1;
      return true;
    });
    assert.ok(kept < 600, String(kept));
    assert.ok(many > 1_400, String(many));
  });

  test('an order that is not known, or is no order, is answered', async () => {
    const house = await withAnn();
    for (const order of [null, 7, [], {}, { do: 'x' }, { do: 'toString' }, { do: '__proto__' }, { do: 3 }])
      assert.equal((await house.desk.order(order, 'command')).ok, false);
    assert.equal((await house.order('account.show', { name: 7 })).ok, false);
    assert.ok(!JSON.stringify(await house.do('account.show', { name: 'ann' })).includes('argon2id$'));
  });
});

test('whatever is ordered is answered, and what is stored can be read again', { timeout: 60_000 }, async () => {
  const house = await withAnn();
  const orders = [
    ...['add', 'list', 'show', 'passwd', 'disable', 'expire', 'group', 'key', 'certificate', 'totp'].map(
      (each) => `account.${each}`,
    ),
    ...['token.add', 'token.list', 'token.revoke', 'audit.list', 'rule.add', 'rule.list', 'rule.remove', 'can'],
  ];
  const value = fc.oneof(
    fc.constantFrom('ann', 'bob', PASSWORD, 'ci', 'allow ann read topics/#', 1, true, null),
    fc.anything({ maxDepth: 1 }),
  );
  const fields = [
    'name',
    'account',
    'label',
    'password',
    'groups',
    'add',
    'remove',
    'expires',
    'off',
    'none',
    'rule',
    'after',
  ];
  const order = fc.record(
    { do: fc.constantFrom(...orders), ...Object.fromEntries(fields.map((field) => [field, value])) },
    { requiredKeys: ['do'] },
  );
  await fc.assert(
    fc.asyncProperty(order, async (given) => {
      const answer = await house.settle(house.desk.order(given, 'command'));
      assert.equal(typeof answer.ok, 'boolean');
      JSON.stringify(answer);
    }),
    { numRuns: 300 },
  );
  assert.deepEqual(house.world.bugs, []);
  const before = await house.do('account.list');
  await house.crash();
  assert.deepEqual(await house.do('account.list'), before);
});

test('callers of one sign-in after another are told apart by nothing that a refusal says', async () => {
  const house = await withAnn();
  const known = await house.password('ann', 'wrong', STRANGER);
  const unknown = await house.password('zoe', 'wrong', STRANGER);
  assert.ok(isSignInRefusal(known));
  assert.deepEqual(known, unknown);
});
