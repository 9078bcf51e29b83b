// Tokens of issuers: what is taken, what is not, keys that change.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import type { Caller } from '../../core/caller.ts';
import { SILENT } from '../../core/log.ts';
import { Random } from '../../sim/random.ts';
import { ALGORITHMS, checkedKeys, type IssuerPlan, Issuers } from './issuers.ts';
import { House, peerOf, STRANGER } from './testing/house.ts';

const ISSUER = 'https://login.example';
const AUDIENCE = 'portico';

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;
let one: Keys;
let two: Keys;
let jwks: { keys: object[] };
let both: { keys: object[] };

before(async () => {
  one = await generateKeyPair('ES256', { extractable: true });
  two = await generateKeyPair('ES256', { extractable: true });
  const publicOne = { ...(await exportJWK(one.publicKey)), kid: 'one', alg: 'ES256' };
  const publicTwo = { ...(await exportJWK(two.publicKey)), kid: 'two', alg: 'ES256' };
  jwks = { keys: [publicOne] };
  both = { keys: [publicOne, publicTwo] };
});

const plan = (more: Partial<IssuerPlan> = {}): IssuerPlan => ({
  issuer: ISSUER,
  audience: [AUDIENCE],
  jwks,
  account: 'sub',
  algorithms: ALGORITHMS,
  administers: false,
  ...more,
});

interface Making {
  readonly claims?: JWTPayload;
  readonly kid?: string;
  readonly key?: Keys;
}

/** A token that is good for ten minutes of the simulated world, but for what is said. */
function make(wall: number, { claims = {}, kid = 'one', key = one }: Making = {}): Promise<string> {
  const seconds = Math.floor(wall / 1_000);
  const all = { iss: ISSUER, aud: AUDIENCE, sub: 'ann', exp: seconds + 600, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg: 'ES256', kid }).sign(key.privateKey);
}

async function house(plans: IssuerPlan[], fetchKeys = async (): Promise<unknown> => jwks): Promise<House> {
  const foreign = new Issuers(plans, fetchKeys, new Random(3), SILENT);
  const made = await House.open({ foreign });
  await made.do('account.add', { name: 'ann', password: 'correct horse' });
  await made.do('account.add', { name: 'bob' });
  return made;
}

const wallOf = ({ world }: House) => world.wall();
const given = (token: string) => ({ kind: 'token' as const, token });

describe('a token', () => {
  test('of a trusted issuer is its account, until it ends', async () => {
    const at = await house([plan()]);
    const token = await make(wallOf(at));
    const caller = await at.enter(given(token), STRANGER);
    assert.deepEqual([caller.account, caller.by, caller.scopes], ['ann', `jwt:${ISSUER}`, null]);
    assert.equal(at.accounts.stands(caller), true);
    // Verified once: the next time it is told at once.
    const again = at.accounts.signIn(given(token), STRANGER, 'test', { signedIn() {} }, 1);
    assert.equal((again as Caller).account, 'ann');
    assert.equal((await at.enter({ kind: 'password', account: 'ann', password: token })).by, `jwt:${ISSUER}`);
    assert.equal(await at.refusal({ kind: 'password', account: 'bob', password: token }), 'wrong');
    assert.equal(await at.refusal(given(token), peerOf('192.0.2.1')), 'plaintext');
    await at.pass(600_000);
    assert.equal(at.accounts.stands(caller), false);
    assert.equal(await at.refusal(given(token), STRANGER), 'wrong');
  });

  test('of a disabled or unknown account, or with what is wrong in its claims, lets nobody in (RFC 7519 §4.1)', async () => {
    const at = await house([plan()]);
    const now = Math.floor(wallOf(at) / 1_000);
    await at.do('account.disable', { name: 'bob' });
    const wrong: JWTPayload[] = [
      { sub: 'bob' },
      { sub: 'zoe' },
      { sub: '' },
      { sub: 7 as unknown as string },
      { iss: 'https://evil.example' },
      { aud: 'others' },
      { aud: [] },
      { exp: now - 60 },
      { exp: undefined as unknown as number },
      { nbf: now + 60 },
    ];
    for (const claims of wrong)
      assert.equal(
        await at.refusal(given(await make(wallOf(at), { claims })), STRANGER),
        'wrong',
        JSON.stringify(claims),
      );
    assert.equal(await at.refusal(given(await make(wallOf(at), { claims: { aud: ['x', AUDIENCE] } })), STRANGER), 'in');
    assert.equal(await at.refusal(given(await make(wallOf(at), { claims: { exp: now - 5 } })), STRANGER), 'wrong');
  });

  test('with another key, none, a secret or an algorithm that is not allowed lets nobody in (RFC 8725 §3.1)', async () => {
    const at = await house([plan({ algorithms: ['RS256', 'ES256'] })]);
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'ann', exp: Math.floor(wallOf(at) / 1_000) + 600 };
    const secret = Buffer.from(JSON.stringify(jwks.keys[0]));
    const tokens = [
      await make(wallOf(at), { key: two }),
      await make(wallOf(at), { kid: 'two' }),
      new UnsecuredJWT(claims).encode(),
      await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(secret),
    ];
    for (const token of tokens) assert.equal(await at.refusal(given(token), STRANGER), 'wrong');
    const good = await make(wallOf(at));
    const [head, body, signature] = good.split('.') as [string, string, string];
    const other = Buffer.from(JSON.stringify({ ...claims, sub: 'bob' })).toString('base64url');
    for (const token of [`${head}.${other}.${signature}`, `${head}.${body}.`, `${head}.${body}`, `${good}x`])
      assert.equal(await at.refusal(given(token), STRANGER), 'wrong');
    const strict = await house([plan({ algorithms: ['RS256'] })]);
    assert.equal(await strict.refusal(given(good), STRANGER), 'wrong');
  });

  test('names groups, but makes no administrator unless its issuer may', async () => {
    const at = await house([plan({ groups: 'roles' })]);
    const claims = { roles: ['Ops', 'admins', 7, 'a/b'] };
    assert.deepEqual((await at.enter(given(await make(wallOf(at), { claims })), STRANGER)).groups, ['ops']);
    const trusting = await house([plan({ groups: 'scope', administers: true })]);
    const spaced = await make(wallOf(trusting), { claims: { scope: 'ops admins' } });
    assert.deepEqual((await trusting.enter(given(spaced), STRANGER)).groups, ['ops', 'admins']);
  });
});

describe('keys that are fetched', () => {
  const remote = (): IssuerPlan => {
    const { jwks: _, ...rest } = plan();
    return { ...rest, jwksUrl: 'https://login.example/keys' };
  };

  test('once, and again for a key that is not known, but not for each that is invented', async () => {
    let fetched = 0;
    let published = jwks;
    const at = await house([remote()], async () => {
      fetched++;
      return published;
    });
    assert.equal(await at.refusal(given(await make(wallOf(at))), STRANGER), 'in');
    const next = { kid: 'two', key: two };
    assert.equal(await at.refusal(given(await make(wallOf(at), next)), STRANGER), 'wrong');
    assert.equal(fetched, 1);
    published = both;
    await at.pass(31_000);
    assert.equal(await at.refusal(given(await make(wallOf(at), next)), STRANGER), 'in');
    assert.equal(fetched, 2);
    for (let invented = 0; invented < 20; invented++)
      await at.refusal(given(await make(wallOf(at), { kid: `x${invented}` })), STRANGER);
    assert.equal(fetched, 2);
  });

  test('that cannot be had: nobody is let in, and it is tried again after a while', async () => {
    let fetched = 0;
    let isDown = true;
    const at = await house([remote()], async () => {
      fetched++;
      if (isDown) throw new Error('no answer');
      return jwks;
    });
    for (let time = 0; time < 5; time++)
      assert.equal(await at.refusal(given(await make(wallOf(at))), STRANGER), 'wrong');
    assert.equal(fetched, 1);
    isDown = false;
    await at.pass(31_000);
    assert.equal(await at.refusal(given(await make(wallOf(at))), STRANGER), 'in');
    // Once they are there, they stay while the issuer is away.
    isDown = true;
    await at.pass(700_000);
    assert.equal(await at.refusal(given(await make(wallOf(at), { claims: { jti: 'x' } })), STRANGER), 'in');
  });

  test('what is no key set is none', () => {
    for (const bad of [null, 7, [], {}, { keys: 7 }, { keys: new Array(101).fill({}) }])
      assert.throws(() => checkedKeys(bad));
    assert.deepEqual(checkedKeys({ keys: [{ kty: 'oct', k: 'AA' }, null, 7] }), { keys: [] });
  });
});

test('any token neither throws nor is taken', async () => {
  const at = await house([plan()]);
  const good = await make(wallOf(at));
  const part = fc.oneof(
    fc.constantFrom(...good.split('.')),
    fc.json().map((json) => Buffer.from(json).toString('base64url')),
    fc.base64String(),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  const tokens = fc.array(part, { maxLength: 5 }).map((parts) => parts.join('.'));
  await fc.assert(
    fc.asyncProperty(tokens, async (token) => {
      if (token === good) return;
      assert.equal(await at.refusal(given(token), STRANGER), 'wrong');
    }),
    { numRuns: 60 },
  );
  assert.deepEqual(at.world.bugs, []);
});
