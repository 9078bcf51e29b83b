// The orders about accounts: made, shown, changed, ended. Each change is one record, committed before it is answered.
import { EXISTS, INVALID, MISSING, OK, STALE } from '../../core/outcome.ts';
import type { Desk } from './desk.ts';
import { nameProblem, passwordProblem, preparedName, preparedPassword } from './names.ts';
import { accountOf, flag, listIfAny, momentIfAny, text, textIfAny } from './order-fields.ts';
import { type Order, OrderError, type Orders } from './orders.ts';
import { PASSWORD_SALT_BYTES } from './passwords.ts';
import { randomText } from './personal-tokens.ts';
import { type AccountRecord, newAccount, type StoredScram, shownAccount } from './records.ts';
import { makeScram, SCRAM_ITERATIONS } from './scram.ts';
import { readPublicKey } from './ssh-keys.ts';
import type { Account } from './store.ts';
import { makeRecoveryCodes, recoveryDigest, stepOf, TOTP_SECRET_BYTES, totpUri } from './totp.ts';

const ID_LENGTH = 12;
const KEYS_MAX = 64;
/** Accounts of one answer. */
const LISTED_MAX = 200;

type Fields = Readonly<Record<string, unknown>>;

export const accountOrders: Orders = {
  'account.add': { changes: true, run: add },
  'account.list': { changes: false, run: list },
  'account.show': { changes: false, run: async (desk, order) => ({ account: shown(accountOf(desk, order, 'name')) }) },
  'account.passwd': { changes: true, run: passwd },
  'account.disable': { changes: true, run: (desk, order) => changed(desk, order, () => ({ disabled: true })) },
  'account.enable': { changes: true, run: (desk, order) => changed(desk, order, () => ({ disabled: false })) },
  'account.expire': { changes: true, run: expire },
  'account.remove': { changes: true, run: remove },
  'account.group': { changes: true, run: group },
  'account.key': { changes: true, run: key },
  'account.certificate': { changes: true, run: certificate },
  'account.totp': { changes: true, run: totp },
};

async function add(desk: Desk, order: Order): Promise<Fields> {
  const { store, entropy } = desk.accounts;
  const given = text(order, 'name');
  const problem = nameProblem(given);
  if (problem !== null) throw new OrderError(INVALID, problem);
  const name = preparedName(given)!;
  if (store.byName.has(name)) throw new OrderError(EXISTS, `there is an account ${name} already`);
  const wasOpen = !store.ever;
  const groups = groupsOf(listIfAny(order, 'groups') ?? []);
  // Somebody has to be able to make the others.
  if ((wasOpen || flag(order, 'admin')) && !groups.includes('admins')) groups.push('admins');
  const password = textIfAny(order, 'password');
  const record = {
    ...newAccount(randomText(entropy, ID_LENGTH), name, store.wall),
    groups,
    expires: momentIfAny(order, 'expires', store.wall),
    note: textIfAny(order, 'note') ?? '',
    ...(password === null ? {} : await secretsOf(desk, name, password, 0)),
  };
  const outcome = await store.commit((batch) => store.putAccount(batch, record, null));
  if (outcome === STALE) throw new OrderError(EXISTS, `there is an account ${name} already`);
  desk.settle(outcome);
  return { account: shownAccount(record), openModeEnded: wasOpen };
}

/** What is kept of a password. */
async function secretsOf(desk: Desk, name: string, given: string, former: number): Promise<Partial<AccountRecord>> {
  const problem = passwordProblem(given, name);
  if (problem !== null) throw new OrderError(INVALID, problem);
  const { hashing, entropy, store } = desk.accounts;
  const salt = () => {
    const bytes = new Uint8Array(PASSWORD_SALT_BYTES);
    entropy.fill(bytes);
    return bytes;
  };
  const prepared = preparedPassword(given)!;
  const [password, scram] = await Promise.all([
    hashing.make(prepared, salt()),
    makeScram(prepared, salt(), SCRAM_ITERATIONS),
  ]);
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const stored: StoredScram = {
    salt: base64(scram.salt),
    iterations: scram.iterations,
    storedKey: base64(scram.storedKey),
    serverKey: base64(scram.serverKey),
  };
  return { password, scram: stored, passwordSet: Math.max(store.wall, former + 1) };
}

async function passwd(desk: Desk, order: Order): Promise<Fields> {
  const account = accountOf(desk, order, 'name');
  const { name, passwordSet } = account.record;
  const none = { password: '', scram: null, passwordSet: Math.max(desk.store.wall, passwordSet + 1) };
  const secrets = flag(order, 'none') ? none : await secretsOf(desk, name, text(order, 'password'), passwordSet);
  return changed(desk, order, () => secrets);
}

function expire(desk: Desk, order: Order): Promise<Fields> {
  const expires = momentIfAny(order, 'expires', desk.store.wall);
  return changed(desk, order, () => ({ expires }));
}

async function remove(desk: Desk, order: Order): Promise<Fields> {
  const account = accountOf(desk, order, 'name');
  desk.settle(await desk.store.commit((batch) => desk.store.removeAccount(batch, account)));
  return { removed: account.record.name };
}

function group(desk: Desk, order: Order): Promise<Fields> {
  const add = groupsOf(listIfAny(order, 'add') ?? []);
  const leave = groupsOf(listIfAny(order, 'remove') ?? []);
  return changed(desk, order, ({ groups }) => {
    const kept = groups.filter((name) => !leave.includes(name) && !add.includes(name));
    return { groups: [...kept, ...add] };
  });
}

function groupsOf(given: readonly string[]): string[] {
  return given.map((each) => {
    const name = preparedName(each);
    if (name === null) throw new OrderError(INVALID, `${JSON.stringify(each)} is no name of a group`);
    return name;
  });
}

async function key(desk: Desk, order: Order): Promise<Fields> {
  const line = textIfAny(order, 'add');
  const gone = textIfAny(order, 'remove');
  const read = line === null ? null : readPublicKey(line);
  if (typeof read === 'string') throw new OrderError(INVALID, read);
  const answer = await changed(desk, order, ({ keys }) => {
    const kept = keys.filter(({ fingerprint }) => fingerprint !== gone && fingerprint !== read?.fingerprint);
    if (gone !== null && kept.length === keys.length) throw new OrderError(MISSING, `it has no key ${gone}`);
    if (kept.length >= KEYS_MAX) throw new OrderError(INVALID, `an account has at most ${KEYS_MAX} keys`);
    return { keys: read === null ? kept : [...kept, read] };
  });
  return { ...answer, fingerprint: read?.fingerprint ?? gone };
}

const CERTIFICATE = /^(?:sha256:[0-9a-f]{64}|(?:email|dns|uri|cn):.{1,256})$/;

function certificate(desk: Desk, order: Order): Promise<Fields> {
  const added = textIfAny(order, 'add');
  const gone = textIfAny(order, 'remove');
  const named = added === null ? null : added.replace(/^sha256:[0-9A-Fa-f:]+$/, fingerprint);
  if (named !== null && !CERTIFICATE.test(named))
    throw new OrderError(INVALID, `${named} names no certificate: sha256:<64 hex digits>, email:, dns:, uri: or cn:`);
  const owner = named === null ? undefined : desk.store.certificates.get(named);
  if (owner !== undefined && owner !== accountOf(desk, order, 'name'))
    throw new OrderError(EXISTS, `${named} opens the account ${owner.record.name}`);
  return changed(desk, order, ({ certificates }) => {
    if (gone !== null && !certificates.includes(gone)) throw new OrderError(MISSING, `it has no certificate ${gone}`);
    const kept = certificates.filter((each) => each !== gone && each !== named);
    if (kept.length >= KEYS_MAX) throw new OrderError(INVALID, `an account has at most ${KEYS_MAX} certificates`);
    return { certificates: named === null ? kept : [...kept, named] };
  });
}

/** A fingerprint as openssl prints it, as it is stored. */
function fingerprint(given: string): string {
  return `sha256:${given.slice(7).replaceAll(':', '').toLowerCase()}`;
}

async function totp(desk: Desk, order: Order): Promise<Fields> {
  if (flag(order, 'off')) return changed(desk, order, () => ({ totp: null }));
  const { entropy, store } = desk.accounts;
  const { name } = accountOf(desk, order, 'name').record;
  const secret = new Uint8Array(TOTP_SECRET_BYTES);
  entropy.fill(secret);
  const codes = makeRecoveryCodes(entropy);
  const stored = {
    secret: Buffer.from(secret).toString('base64'),
    step: stepOf(store.wall) - 2,
    recovery: codes.map(recoveryDigest),
  };
  const answer = await changed(desk, order, () => ({ totp: stored }));
  return { ...answer, uri: totpUri(secret, name, 'Portico'), recoveryCodes: codes };
}

/** Changes the account that an order names. */
async function changed(
  desk: Desk,
  order: Order,
  change: (record: AccountRecord) => Partial<AccountRecord>,
): Promise<Fields> {
  const { store } = desk;
  const account = accountOf(desk, order, 'name');
  const record = { ...account.record, ...change(account.record) };
  const outcome = await store.commit((batch) => store.putAccount(batch, record, account));
  if (outcome === OK) return { account: shownAccount(record) };
  desk.settle(outcome);
  return {};
}

function shown(account: Account): Fields {
  const labels = [...account.tokens.values()].map(({ record }) => record.label);
  return { ...shownAccount(account.record), tokens: labels };
}

/** A slice by name, `after` one of them; or whom a certificate opens. */
async function list({ store }: Desk, order: Order): Promise<Fields> {
  const after = textIfAny(order, 'after') ?? '';
  const opened = textIfAny(order, 'opened');
  if (opened !== null) {
    const account = store.certificates.get(opened);
    return { accounts: account === undefined ? [] : [shown(account)], more: false };
  }
  const names = [...store.byName.keys()].filter((name) => name > after).sort();
  const some = names.slice(0, LISTED_MAX);
  return { accounts: some.map((name) => shown(store.byName.get(name)!)), more: some.length < names.length };
}
