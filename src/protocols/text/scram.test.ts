import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { test } from 'node:test';
import { BUSY, INVALID, UNKNOWN, UNSUPPORTED } from '../../core/outcome.ts';
import { Random } from '../../sim/random.ts';
import type { AuthExchange, AuthStep } from './authenticator.ts';
import { ScramClient } from './sasl-client.ts';
import { ScramExchange, type ScramLookup, scramCredentials, scramSha256 } from './scram.ts';

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
const salted = (password: string) => pbkdf2Sync(password, SALT, 4_096, 32, 'sha256');
const KNOWN = scramCredentials(salted('pencil'), SALT, 4_096);
const lookup: ScramLookup = (account, answer) => answer(account === 'user' ? KNOWN : null);
const noDecoy = () => KNOWN;

function say(exchange: AuthExchange, message: string): AuthStep {
  let step: AuthStep | undefined;
  exchange.step(Buffer.from(message), (answer) => (step = answer));
  assert.ok(step);
  return step;
}
const text = (step: AuthStep) => ('data' in step && step.data !== null ? Buffer.from(step.data).toString() : step.step);

// RFC 7677 §3.
const FIRST = 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO';
const SERVER_NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
const SERVER_FIRST = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';
const FINAL =
  'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=';

test('scram: the vector of RFC 7677', () => {
  const exchange = new ScramExchange(lookup, SERVER_NONCE, noDecoy);
  assert.equal(text(say(exchange, FIRST)), SERVER_FIRST);
  const done = say(exchange, FINAL);
  assert.equal(done.step === 'done' && done.account, 'user');
  assert.equal(text(done), 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
});

/** A client's last message for a challenge, by RFC 5802 §3. */
function answerTo(challenge: string, password: string): string {
  const [nonce, salt] = /^r=([^,]+),s=([^,]+),i=\d+$/.exec(challenge)!.slice(1);
  const without = `c=biws,r=${nonce}`;
  const key = createHmac('sha256', pbkdf2Sync(password, Buffer.from(salt!, 'base64'), 4_096, 32, 'sha256'));
  const clientKey = key.update('Client Key').digest();
  const stored = createHash('sha256').update(clientKey).digest();
  const signature = createHmac('sha256', stored)
    .update(`${FIRST.slice(3)},${challenge},${without}`)
    .digest();
  return `${without},p=${Buffer.from(clientKey.map((byte, index) => byte ^ signature[index]!)).toString('base64')}`;
}

test('scram: a wrong password, and an unknown name that looks like one', () => {
  const method = scramSha256(lookup, new Random(1));
  assert.equal(method.method, 'SCRAM-SHA-256');
  const right = method.begin();
  assert.equal(say(right, answerTo(text(say(right, FIRST)), 'pencil')).step, 'done');
  const wrong = method.begin();
  const challenge = text(say(wrong, FIRST));
  assert.deepEqual(say(wrong, answerTo(challenge, 'pen')), { step: 'refused', outcome: UNKNOWN, account: 'user' });
  const other = FIRST.replace('user', 'nobody');
  const first = text(say(method.begin(), other)).replace(/^r=[^,]+/, '');
  assert.equal(text(say(method.begin(), other)).replace(/^r=[^,]+/, ''), first, 'the same salt each time');
  const unknown = method.begin();
  const decoyed = answerTo(text(say(unknown, other)), 'pencil');
  assert.deepEqual(say(unknown, decoyed), { step: 'refused', outcome: UNKNOWN, account: 'nobody' });
});

test('scram: what is not of the method is refused', () => {
  const begin = () => new ScramExchange(lookup, 'server', noDecoy);
  const refused = (outcome: number, ...messages: string[]) => {
    const exchange = begin();
    const steps = messages.map((message) => say(exchange, message));
    assert.deepEqual(steps.at(-1), { step: 'refused', outcome }, messages.join(' / '));
  };
  refused(INVALID, 'hello');
  refused(INVALID, '');
  refused(INVALID, `n,,n=user,r=${'x'.repeat(1_100)}`);
  refused(INVALID, 'n,,n=us=er,r=abc');
  refused(INVALID, 'n,,n=a\u0007,r=abc');
  refused(UNSUPPORTED, 'p=tls-unique,,n=user,r=abc');
  refused(UNSUPPORTED, 'n,a=admin,n=user,r=abc');
  refused(INVALID, 'n,,n=user,r=abc', 'c=biws,r=abc,p=AAAA');
  refused(INVALID, 'n,,n=user,r=abc', 'c=eSws,r=abcserver,p=AAAA');
  refused(INVALID, 'n,,n=user,r=abc', 'c=biws,r=abcserver,p=AAAA');
  refused(INVALID, 'n,,n=user,r=abc', 'c=biws,r=abcserver,p=AAAA', 'again');
  const busy = new ScramExchange((_account, answer) => answer(undefined), 'server', noDecoy);
  assert.deepEqual(say(busy, FIRST), { step: 'refused', outcome: BUSY });
  const commas = new ScramExchange((account, answer) => answer(account === 'a,=b' ? KNOWN : null), 's', noDecoy);
  assert.equal(say(commas, 'y,a=a=2C=3Db,n=a=2C=3Db,r=abc').step, 'continue');
});

test('scram: the client of the vector of RFC 7677, and a server that does not know the password', async () => {
  const said = (client: ScramClient, challenge: string) =>
    new Promise<string | null>((resolve) =>
      client.answer(Buffer.from(challenge), (response) => resolve(response?.toString() ?? null)),
    );
  const begin = () => new ScramClient({ account: 'user', password: 'pencil' }, 'rOprNGfwEbeRWgbNEkqO');
  const client = begin();
  assert.equal(client.initial.toString(), FIRST);
  assert.equal(await said(client, SERVER_FIRST), FINAL);
  assert.equal(client.isProven, false);
  assert.equal(await said(client, 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='), '');
  assert.equal(client.isProven, true);
  const fooled = begin();
  await said(fooled, SERVER_FIRST);
  assert.equal(await said(fooled, 'v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='), null);
  assert.equal(fooled.isProven, false);
  for (const wrong of ['', 'r=other,s=AAAA,i=4096', SERVER_FIRST.replace('4096', '1'), 'e=other-error'])
    assert.equal(await said(begin(), wrong), null);
});
