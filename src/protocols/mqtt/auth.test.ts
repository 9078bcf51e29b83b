import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { Random } from '../../sim/random.ts';
import type { AuthStep } from '../text/authenticator.ts';
import { scramCredentials, scramSha256 } from '../text/scram.ts';
import { writePingreq } from './encode.ts';
import { V5 } from './packets.ts';
import { type Client, play, type Setting } from './playbook.ts';

const METHOD = 'SCRAM-SHA-256';
const SALT = Buffer.from('salty');
const salted = pbkdf2Sync('pencil', SALT, 4_096, 32, 'sha256');
const known = scramCredentials(salted, SALT, 4_096);

const method = scramSha256(
  (account, answer) => answer(account === 'user' || account === 'other' ? known : null),
  new Random(1),
);
const accounts = new FewAccounts();
accounts.scrams.user = known;
accounts.scrams.other = known;
const WITH_SCRAM: Setting = { authenticators: [method], accounts };

const FIRST = (name: string) => Buffer.from(`n,,n=${name},r=clientnonce`);

/** The client's last message for the server's first. */
function finalOf(name: string, challenge: string, password = 'pencil'): Buffer {
  const nonce = /r=([^,]+)/.exec(challenge)![1];
  const without = `c=biws,r=${nonce}`;
  const key = pbkdf2Sync(password, SALT, 4_096, 32, 'sha256');
  const clientKey = createHmac('sha256', key).update('Client Key').digest();
  const stored = createHash('sha256').update(clientKey).digest();
  const signed = createHmac('sha256', stored).update(`n=${name},r=clientnonce,${challenge},${without}`).digest();
  return Buffer.from(`${without},p=${Buffer.from(clientKey.map((byte, at) => byte ^ signed[at]!)).toString('base64')}`);
}

function begin(client: Client, name = 'user'): string {
  client.connect({ clientId: 'a', properties: { authMethod: METHOD, authData: FIRST(name) } });
  return client.gets('AUTH', { reasonCode: 0x18, authMethod: METHOD }).authData as string;
}

function enter(client: Client, name = 'user'): void {
  client.auth(0x18, { authMethod: METHOD, authData: finalOf(name, begin(client, name)) });
  const connack = client.gets('CONNACK', { reason: 0, authMethod: METHOD });
  assert.match(connack.authData as string, /^v=/);
}

play('auth: a method that there is not', (stage) => {
  const client = stage.client();
  client.connect({ properties: { authMethod: 'GS2-KRB5', authData: Buffer.from('x') } });
  client.gets('CONNACK', { reason: 0x8c, sessionPresent: false });
  client.closed();
});

play('auth: AUTH without a method in CONNECT', (stage) => {
  const client = stage.joined();
  client.auth(0x19, { authMethod: METHOD });
  client.gets('DISCONNECT', { reasonCode: 0x82 });
  client.closed();
});

play(
  'auth: SCRAM-SHA-256 from CONNECT to CONNACK',
  (stage) => {
    const client = stage.client();
    enter(client);
    client.ping();
    client.gets('PINGRESP');
    client.stays();
  },
  WITH_SCRAM,
);

play(
  'auth: a wrong password, data that is not of the method',
  (stage) => {
    const wrong = stage.client();
    wrong.auth(0x18, { authMethod: METHOD, authData: finalOf('user', begin(wrong), 'pen') });
    wrong.gets('CONNACK', { reason: 0x86, sessionPresent: false });
    wrong.closed();
    const strange = stage.client();
    strange.connect({ properties: { authMethod: METHOD, authData: Buffer.from('hello') } });
    strange.gets('CONNACK', { reason: 0x87 });
    strange.closed();
    const nothing = stage.client();
    nothing.connect({ properties: { authMethod: METHOD } });
    nothing.gets('CONNACK', { reason: 0x87 });
    nothing.closed();
  },
  WITH_SCRAM,
);

play(
  'auth: nothing but AUTH and DISCONNECT while authenticating',
  (stage) => {
    const pings = stage.client();
    begin(pings);
    pings.says((out) => writePingreq(out));
    pings.gets('CONNACK', { reason: 0x82 });
    pings.closed();
    const other = stage.client();
    begin(other);
    other.auth(0x18, { authMethod: 'PLAIN', authData: Buffer.from('x') });
    other.gets('CONNACK', { reason: 0x82 });
    other.closed();
    const again = stage.client();
    begin(again);
    again.auth(0x19, { authMethod: METHOD });
    again.gets('CONNACK', { reason: 0x82 });
    again.closed();
    const leaves = stage.client();
    begin(leaves);
    leaves.disconnect();
    leaves.closed();
    const slow = stage.client();
    begin(slow);
    stage.pass(10_000);
    slow.closed();
  },
  WITH_SCRAM,
);

play(
  'auth: anew on an open connection, which goes on meanwhile',
  (stage) => {
    const client = stage.client();
    enter(client);
    for (let round = 0; round < 2; round++) {
      client.auth(0x19, { authMethod: METHOD, authData: FIRST('user') });
      const challenge = client.gets('AUTH', { reasonCode: 0x18, authMethod: METHOD }).authData as string;
      client.ping();
      client.gets('PINGRESP');
      client.auth(0x18, { authMethod: METHOD, authData: finalOf('user', challenge) });
      client.gets('AUTH', { reasonCode: 0, authMethod: METHOD });
    }
    // It must stay the same account.
    client.auth(0x19, { authMethod: METHOD, authData: FIRST('other') });
    const challenge = client.gets('AUTH', { reasonCode: 0x18 }).authData as string;
    client.auth(0x18, { authMethod: METHOD, authData: finalOf('other', challenge) });
    client.gets('DISCONNECT', { reasonCode: 0x87 });
    client.closed();
    const fails = stage.client();
    enter(fails);
    fails.auth(0x19, { authMethod: METHOD, authData: FIRST('user') });
    const last = fails.gets('AUTH', { reasonCode: 0x18 }).authData as string;
    fails.auth(0x18, { authMethod: METHOD, authData: finalOf('user', last, 'pen') });
    fails.gets('DISCONNECT', { reasonCode: 0x87 });
    fails.closed();
    const unasked = stage.client();
    enter(unasked);
    unasked.auth(0x18, { authMethod: METHOD, authData: Buffer.from('x') });
    unasked.gets('DISCONNECT', { reasonCode: 0x82 });
    unasked.closed();
    const changed = stage.client();
    enter(changed);
    changed.auth(0x19, { authMethod: 'PLAIN' });
    changed.gets('DISCONNECT', { reasonCode: 0x82 });
    changed.closed();
  },
  WITH_SCRAM,
);

play(
  'auth: no AUTH and no method for who asked for none',
  (stage) => {
    const client = stage.client(V5);
    client.connect({ username: 'ann' });
    client.gets('CONNACK', { reason: 0, authMethod: undefined, authData: undefined });
    client.nothing();
  },
  { authenticators: [method] },
);

const ENDLESS = {
  method: 'ENDLESS',
  begin: () => ({
    step: (_data: Uint8Array, answer: (step: AuthStep) => void) => answer({ step: 'continue', data: Buffer.from('?') }),
  }),
};

play(
  'auth: as many rounds as the bound, and no more',
  (stage) => {
    const client = stage.client();
    client.connect({ properties: { authMethod: 'ENDLESS' } });
    client.gets('AUTH', { reasonCode: 0x18, authData: '?' });
    for (let round = 0; round < 2; round++) {
      client.auth(0x18, { authMethod: 'ENDLESS' });
      client.gets('AUTH', { reasonCode: 0x18 });
    }
    client.auth(0x18, { authMethod: 'ENDLESS' });
    client.gets('CONNACK', { reason: 0x82 });
    client.closed();
  },
  { authenticators: [ENDLESS], limits: { authRoundsMax: 3 } },
);
