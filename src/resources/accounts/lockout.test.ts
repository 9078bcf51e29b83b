// The lockout: its table of waits with a simulated clock, that it cannot be emptied, and the sign-ins that meet it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../../sim/random.ts';
import { keysOf, LOCKOUT, Lockout, Strikes } from './lockout.ts';
import { House, inTls, LOCAL, STRANGER } from './testing/house.ts';

const at = (host: string) => ({ host, port: 1 });
const START = 1_800_000_000_000;

describe('the waits', () => {
  test('of an account: five failures are free, then 1 s, doubled with each, up to 15 minutes', () => {
    const lockout = new Lockout(new Random(1));
    const strikes = new Strikes();
    const waits: number[] = [];
    let wall = START;
    for (let failure = 1; failure <= 18; failure++) {
      lockout.failed(strikes, null, `guess ${failure}`, wall);
      waits.push(lockout.waitOf(strikes, wall) / 1_000);
      wall = Math.max(wall, strikes.until);
    }
    assert.deepEqual(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
    assert.equal(lockout.waitOf(strikes, wall), 0);
  });

  test('of an address: twenty are free; of this machine’s own none counts', () => {
    const lockout = new Lockout(new Random(1));
    for (let failure = 0; failure < 21; failure++) {
      lockout.failed(null, at('203.0.113.7'), '', START);
      lockout.failed(null, at('127.0.0.1'), '', START);
      lockout.failed(null, null, '', START);
    }
    assert.equal(lockout.waitOfAddress(at('203.0.113.7'), START), 1_000);
    assert.equal(lockout.waitOfAddress(at('::ffff:203.0.113.7'), START), 1_000);
    assert.equal(lockout.waitOfAddress(at('203.0.113.8'), START), 0);
    assert.equal(lockout.waitOfAddress(at('127.0.0.1'), START), 0);
    assert.equal(lockout.size, 1);
  });

  test('the same wrong secret again is no further guess, and after an hour all is forgotten', () => {
    const lockout = new Lockout(new Random(1));
    const strikes = new Strikes();
    for (let failure = 0; failure < 100; failure++) lockout.failed(strikes, at('203.0.113.7'), 'old', START);
    assert.equal(strikes.failures, 1);
    for (let failure = 0; failure < 9; failure++) lockout.failed(strikes, null, `guess ${failure}`, START);
    assert.equal(strikes.failures, 10);
    lockout.failed(strikes, null, 'later', START + LOCKOUT.forgetMs + 1);
    assert.equal(strikes.failures, 1);
  });
});

describe('addresses', () => {
  test('IPv6 counts by its /64 and, with sixteen times the patience, its /48', () => {
    assert.deepEqual(
      keysOf(at('2001:db8:0:7::1')).map(({ key }) => key),
      ['2001:db8:0:7::/64', '2001:db8:0::/48'],
    );
    assert.deepEqual(keysOf(at('2001:db8:0:7:ffff::9')), keysOf(at('2001:0db8:0000:0007::2')));
    assert.deepEqual(keysOf(at('fe80::1%eth0')), keysOf(at('fe80::2')));
    assert.deepEqual(keysOf(at('::1')), []);
    const lockout = new Lockout(new Random(1));
    for (let subnet = 0; subnet < 16 * 20 + 1; subnet++)
      lockout.failed(null, at(`2001:db8:5:${subnet.toString(16)}::1`), '', START);
    assert.equal(lockout.waitOfAddress(at('2001:db8:5:ffff::1'), START), 1_000);
    assert.equal(lockout.waitOfAddress(at('2001:db8:6::1'), START), 0);
  });

  test('however many addresses are invented, the map is bounded and one that is locked stays locked', () => {
    const lockout = new Lockout(new Random(1), { ...LOCKOUT, addressesMax: 64 });
    for (let failure = 0; failure < 30; failure++) lockout.failed(null, at('203.0.113.7'), '', START);
    for (let other = 0; other < 20_000; other++)
      lockout.failed(null, at(`10.${other >> 16}.${(other >> 8) & 255}.${other & 255}`), '', START);
    assert.ok(lockout.size <= 64);
    assert.ok(lockout.waitOfAddress(at('203.0.113.7'), START) > 0);
  });

  test('however many names are invented, an account’s own failures stay', async () => {
    const house = await House.open();
    await house.do('account.add', { name: 'ann', password: 'correct horse' });
    for (let guess = 0; guess < 6; guess++) await house.password('ann', `guess ${guess}`);
    for (let name = 0; name < 200; name++) await house.password(`nobody${name}`, 'guess');
    const locked = await house.password('ann', 'correct horse');
    assert.equal('refused' in locked && locked.refused, 'locked');
  });
});

describe('sign-ins that meet it', () => {
  const ann = { kind: 'password' as const, account: 'ann', password: 'correct horse' };

  async function guessed(times: number, peer = STRANGER): Promise<House> {
    const house = await House.open();
    await house.do('account.add', { name: 'ann', password: ann.password });
    for (let guess = 0; guess < times; guess++) await house.password('ann', `guess ${guess}`, peer);
    return house;
  }

  test('a locked account refuses the right password too, without a hash, and says when to come back', async () => {
    const house = await guessed(6);
    const { derived } = house.hashing;
    const answer = await house.signIn(ann, inTls('198.51.100.1'));
    assert.ok('refused' in answer && answer.refused === 'locked' && answer.retryMs > 900 && answer.retryMs <= 1_000);
    assert.equal(house.hashing.derived, derived);
    await house.pass(1_001);
    assert.equal(await house.refusal(ann, inTls('198.51.100.1')), 'in');
    assert.equal(await house.refusal({ ...ann, password: 'guess 9' }), 'wrong');
  });

  test('a name that does not exist is locked just so', async () => {
    const house = await guessed(0);
    const answers: string[][] = [[], []];
    for (let guess = 0; guess < 8; guess++) {
      answers[0]!.push(await house.refusal({ ...ann, password: `guess ${guess}` }, inTls('198.51.100.1')));
      answers[1]!.push(
        await house.refusal({ ...ann, account: 'zoe', password: `guess ${guess}` }, inTls('198.51.100.2')),
      );
    }
    assert.deepEqual(answers[0], answers[1]);
    assert.equal(answers[0]!.at(-1), 'locked');
  });

  test('one lock for all ways in: SCRAM is held back by guesses of the password, and counts as one', async () => {
    const house = await guessed(6);
    assert.equal(await house.refusal({ kind: 'scram', account: 'ann', proven: true }), 'locked');
    await house.pass(1_001);
    assert.equal(await house.refusal({ kind: 'scram', account: 'ann', proven: false }), 'wrong');
    assert.equal(await house.refusal(ann, inTls('198.51.100.1')), 'locked');
  });

  test('whoever signed in from an address lately is let in from there while others guess', async () => {
    const house = await guessed(0);
    const home = inTls('198.51.100.1');
    assert.equal(await house.refusal(ann, home), 'in');
    for (let guess = 0; guess < 8; guess++) await house.password('ann', `guess ${guess}`, STRANGER);
    assert.equal(await house.refusal(ann, home), 'in');
    assert.equal(await house.refusal(ann, inTls('198.51.100.2')), 'locked');
    // On this machine one address is all: there the lock holds for everybody.
    assert.equal(await house.refusal(ann, LOCAL), 'locked');
  });

  test('a locked address is refused whatever it names; a token, which cannot be guessed, is let in', async () => {
    const house = await guessed(0);
    const { token } = await house.do('token.add', { account: 'ann', label: 'ci' });
    for (let guess = 0; guess < 21; guess++) await house.password(`name${guess}`, 'guess', STRANGER);
    assert.equal(await house.refusal(ann, STRANGER), 'locked');
    assert.equal(await house.refusal({ kind: 'token', token: String(token) }, STRANGER), 'in');
    assert.equal(await house.refusal(ann, inTls('198.51.100.1')), 'in');
  });

  test('guesses that are hashed at the same time learn no more than one by one', async () => {
    const house = await guessed(5);
    house.held = true;
    const guesses = ['guess 5', 'guess 6', ann.password].map((password) => house.refusal({ ...ann, password }));
    await house.pass(10);
    house.held = false;
    for (const step of house.waiting.splice(0)) step();
    assert.deepEqual(await Promise.all(guesses), ['wrong', 'locked', 'locked']);
  });

  test('a new password ends the lock', async () => {
    const house = await guessed(9);
    await house.do('account.passwd', { name: 'ann', password: 'another horse' });
    assert.equal(await house.refusal({ ...ann, password: 'another horse' }), 'in');
  });

  test('a lock ends no session', async () => {
    const house = await guessed(0);
    const caller = await house.enter(ann);
    for (let guess = 0; guess < 9; guess++) await house.password('ann', `guess ${guess}`, STRANGER);
    assert.equal(house.accounts.stands(caller), true);
  });
});
