// Who a message is from: by the request, or by its own UsernameToken.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { Bench, enveloped, SHOP } from './testing/bench.ts';

const WSSE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd';
const WSU = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd';
const PROFILE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0';
const WHO = `<WhoAmI xmlns="${SHOP}"/>`;
const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });

interface Given {
  readonly name?: string;
  readonly password?: string;
  readonly type?: string;
  readonly nonce?: string;
  readonly created?: Date;
}

function secured(
  { name = 'ann', password = 'secret', type = 'PasswordText', nonce, created }: Given = {},
  more = '',
): string {
  const parts = [
    `<w:Username>${name}</w:Username><w:Password Type="${PROFILE}#${type}">${password}</w:Password>`,
    nonce === undefined ? '' : `<w:Nonce>${nonce}</w:Nonce>`,
    created === undefined ? '' : `<u:Created>${created.toISOString()}</u:Created>`,
  ];
  const token = `<w:UsernameToken u:Id="t">${parts.join('')}</w:UsernameToken>`;
  return enveloped(
    WHO,
    11,
    `<w:Security xmlns:w="${WSSE}" xmlns:u="${WSU}" s:mustUnderstand="1">${token}${more}</w:Security>`,
  );
}

const house = () => {
  const accounts = new FewAccounts({ ann: 'secret', bob: 'word' });
  return { accounts, bench: new Bench({ accounts }) };
};

test('PasswordText signs in, and counts instead of who sent the request', async () => {
  const { bench, accounts } = house();
  assert.match((await bench.post(secured())).body.toString(), /<account>ann</);
  assert.match((await bench.post(secured(), basic('bob:word'))).body.toString(), /<account>ann</);
  assert.match((await bench.post(enveloped(WHO), basic('bob:word'))).body.toString(), /<account>bob</);
  accounts.anonymous = true;
  assert.match((await bench.post(enveloped(WHO))).body.toString(), /<account><\/account>/);
});

test('who is not let in calls nothing and reads nothing', async () => {
  const { bench, accounts } = house();
  const wrong = await bench.post(secured({ password: 'guess' }));
  assert.match(wrong.body.toString(), /<faultcode [^>]*>wsse:FailedAuthentication<.*name or the password is wrong/);
  const nobody = await bench.post(enveloped(WHO));
  assert.equal(nobody.status, 401);
  assert.match(nobody.fields.get('www-authenticate')!, /^Basic/);
  assert.match(nobody.body.toString(), /FailedAuthentication/);
  assert.equal((await bench.post(enveloped(WHO), basic('ann:guess'))).status, 401);
  assert.equal((await bench.ask('GET', '/soap/shop.v1.Orders?wsdl', {})).status, 401);
  assert.equal((await bench.ask('GET', '/soap/shop.v1.Orders?wsdl', basic('ann:secret'))).status, 200);
  accounts.refusal = { refused: 'locked', retryMs: 5_000 };
  assert.match((await bench.post(secured())).body.toString(), /try again in 5 s/);
  assert.equal(bench.begun, 0);
});

test('a sign-in that takes its time, and a client that goes meanwhile', async () => {
  const { bench, accounts } = house();
  accounts.isSlow = true;
  const fields = { 'content-type': 'text/xml' };
  const stays = bench.begin('POST', '/soap/shop.v1.Orders', fields, secured());
  const goes = bench.begin('POST', '/soap/shop.v1.Orders', fields, secured());
  await bench.until(() => accounts.asked.length === 2);
  goes.abort(8);
  bench.world.pass(100);
  accounts.tell();
  await bench.until(() => stays.ended);
  assert.match(stays.body.toString(), /<account>ann</);
  assert.equal(bench.begun, 1);
  assert.deepEqual(bench.world.bugs, []);
});

test('a nonce is taken once, and a time that is not now never (UsernameToken Profile 1.1 §3.1)', async () => {
  const { bench } = house();
  const created = new Date(bench.host.clock.wall);
  const given = { nonce: 'bm9uY2U=', created };
  assert.equal((await bench.post(secured({ ...given, password: 'guess' }))).status, 500);
  assert.equal((await bench.post(secured(given))).status, 200);
  assert.match((await bench.post(secured(given))).body.toString(), /wsse:FailedAuthentication.*seen before/);
  assert.equal((await bench.post(secured({ ...given, nonce: 'b3RoZXI=' }))).status, 200);
  for (const away of [-301_000, 301_000]) {
    const stale = await bench.post(secured({ nonce: `n${away}`, created: new Date(created.getTime() + away) }));
    assert.match(stale.body.toString(), /its time is not now/);
  }
  assert.match(
    (await bench.post(secured({ nonce: 'x'.repeat(300), created }))).body.toString(),
    /FailedAuthentication/,
  );
});

test('as many nonces as may be are remembered, and forgotten when their time is over', async () => {
  const accounts = new FewAccounts({ ann: 'secret' });
  const bench = new Bench({ accounts, limits: { noncesMax: 2 } });
  const post = async (nonce: string) =>
    (await bench.post(secured({ nonce, created: new Date(bench.host.clock.wall) }))).status;
  assert.deepEqual([await post('a'), await post('b'), await post('c')], [200, 200, 500]);
  bench.world.pass(700_000);
  assert.equal(await post('c'), 200);
});

test('a digest is refused where there are accounts, and is any name where there are none', async () => {
  const { bench } = house();
  const digest = { type: 'PasswordDigest', nonce: 'bg==', password: 'abc=' };
  assert.match((await bench.post(secured(digest))).body.toString(), /wsse:UnsupportedSecurityToken/);
  const open = new Bench();
  assert.match(
    (await open.post(secured({ ...digest, created: new Date(open.host.clock.wall) }))).body.toString(),
    /<account>ann</,
  );
});

test('a Security header that is not understood is refused, whatever else is in it', async () => {
  const { bench } = house();
  const faultOf = async (document: string) => (await bench.post(document)).body.toString();
  assert.match(await faultOf(secured({}, '<w:BinarySecurityToken/>')), /wsse:InvalidSecurity/);
  assert.match(await faultOf(secured({}, '<u:Timestamp><u:Created/></u:Timestamp>')), /<account>ann</);
  assert.match(await faultOf(secured({ type: 'PasswordHash' })), /wsse:InvalidSecurity/);
  const token = /<w:UsernameToken.*<\/w:UsernameToken>/.exec(secured())![0];
  assert.match(await faultOf(secured({}, token)), /two UsernameTokens/);
  assert.match(await faultOf(secured().replace(/<w:Username>.*<\/w:Username>/, '')), /has a Username/);
});
