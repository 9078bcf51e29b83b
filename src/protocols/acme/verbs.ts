// What can be asked of the ACME server, one function each: a checked request in, an answer or a refusal out. It knows neither
// signatures nor fields of HTTP.
import type { CertificateRequest } from '../../resources/certificates/contract.ts';
import {
  base64url,
  isRefused,
  isSignedBy,
  jsonObject,
  type Refused,
  readKey,
  readSigned,
  thumbprint,
} from './codec.ts';
import { faults } from './faults.ts';
import { type Account, type Authorization, type Challenge, type Identifier, type Order, statusOf } from './orders.ts';
import { type AcmeServer, type Answer, type Asked, problemOf, ROOT, timeOf } from './server.ts';

type Verb = (server: AcmeServer, asked: Asked) => Answer | Refused;

/** By the path below the root. */
export const VERBS = {
  'new-account': newAccount,
  account,
  orders,
  'new-order': newOrder,
  order,
  authz: authorization,
  challenge,
  cert: certificate,
  'revoke-cert': revoke,
  'key-change': keyChange,
} as const satisfies Record<string, Verb>;

// ---- accounts (RFC 8555 §7.3) --------------------------------------------------------------------------------------

function newAccount({ desk, host }: AcmeServer, { base, signer, payload }: Asked): Answer | Refused {
  const known = desk.accountOf(signer.thumbprint);
  if (known !== null) {
    if (known.status !== 'valid') return { fault: faults.unauthorized, detail: 'the account was deactivated' };
    return accountAnswer(200, base, known);
  }
  if (payload?.onlyReturnExisting === true) return { fault: faults.accountDoesNotExist };
  const contact = contactOf(payload?.contact, host.limits.contactsMax);
  if (contact === null) return { fault: faults.invalidContact };
  const made = desk.addAccount(signer.jwk, signer.key, contact);
  if (made === null) return { fault: faults.rateLimited, detail: 'there are as many accounts as may be' };
  host.log.info('a new ACME account', { account: made.id });
  return accountAnswer(201, base, made);
}

function account({ desk, host }: AcmeServer, { base, signer, payload, rest }: Asked): Answer | Refused {
  const own = signer.account;
  if (own === null || rest[0] !== own.id) return { fault: faults.unauthorized };
  if (payload === null) return accountAnswer(200, base, own);
  if (payload.status === 'deactivated') own.status = 'deactivated';
  else if (payload.contact !== undefined) {
    const contact = contactOf(payload.contact, host.limits.contactsMax);
    if (contact === null) return { fault: faults.invalidContact };
    own.contact = contact;
  } else return accountAnswer(200, base, own);
  desk.keep(own);
  return accountAnswer(200, base, own);
}

function accountAnswer(status: number, base: string, { id, contact, status: state }: Account): Answer {
  const body = { status: state, contact, orders: `${base}${ROOT}/orders/${id}` };
  return { status, body, fields: { location: `${base}${ROOT}/account/${id}` } };
}

/** URLs, as `mailto:` ones are; null when they are not. */
function contactOf(value: unknown, most: number): readonly string[] | null {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > most) return null;
  const isContact = (each: unknown): each is string =>
    typeof each === 'string' && each.length <= 320 && /^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/i.test(each);
  return value.every(isContact) ? value : null;
}

function orders({ desk }: AcmeServer, { base, signer, rest }: Asked): Answer | Refused {
  const own = signer.account;
  if (own === null || rest[0] !== own.id) return { fault: faults.unauthorized };
  const found = desk.ordersOf(own).filter((each) => statusOf(each) !== 'invalid');
  return { status: 200, body: { orders: found.map(({ id }) => `${base}${ROOT}/order/${id}`) } };
}

/** The new key signs within what the old one signed (RFC 8555 §7.3.5). */
function keyChange({ desk, host }: AcmeServer, { base, signer, payload, url }: Asked): Answer | Refused {
  const own = signer.account;
  if (own === null || payload === null) return { fault: faults.malformed };
  const inner = readSigned(Buffer.from(JSON.stringify(payload)));
  if (isRefused(inner)) return inner;
  if (inner.jwk === null || inner.nonce !== null || inner.url !== url)
    return {
      fault: faults.malformed,
      detail: 'the inner request has the new jwk, no nonce, and the url of the outer one',
    };
  const read = readKey(inner.jwk);
  if (isRefused(read)) return read;
  if (!isSignedBy(inner, read.key)) return { fault: faults.badSignature, detail: 'the new key did not sign' };
  const { account: kid, oldKey } = jsonObject(inner.payload) ?? {};
  const old = typeof oldKey === 'object' && oldKey !== null ? readKey(oldKey as never) : null;
  const isOwn = old !== null && !isRefused(old) && thumbprint(old.jwk) === own.thumbprint;
  if (kid !== `${base}${ROOT}/account/${own.id}` || !isOwn)
    return { fault: faults.malformed, detail: 'the inner request names the account and its old key' };
  if (desk.accountOf(thumbprint(read.jwk)) !== null) return { fault: faults.keyTaken };
  desk.changeKey(own, read.jwk, read.key);
  host.log.info('an ACME account has a new key', { account: own.id });
  return accountAnswer(200, base, own);
}

// ---- orders (RFC 8555 §7.4) ----------------------------------------------------------------------------------------

function newOrder({ desk, host, certificates }: AcmeServer, { base, signer, payload }: Asked): Answer | Refused {
  const own = signer.account!;
  const given = payload?.identifiers;
  if (!Array.isArray(given) || given.length === 0)
    return { fault: faults.malformed, detail: 'there are no identifiers' };
  if (given.length > host.limits.identifiersMax)
    return { fault: faults.rejectedIdentifier, detail: `an order has at most ${host.limits.identifiersMax} names` };
  const identifiers = new Map<string, Identifier>();
  for (const each of given as readonly { type?: unknown; value?: unknown }[]) {
    if (typeof each?.value !== 'string' || (each.type !== 'dns' && each.type !== 'ip'))
      return { fault: faults.unsupportedIdentifier };
    const name = certificates.nameOf(each.value);
    const isIp = name !== null && certificates.isAddress(name);
    if (name === null || isIp !== (each.type === 'ip'))
      return { fault: faults.rejectedIdentifier, detail: `${each.value} is no identifier of type ${each.type}` };
    // Neither of the two proofs that are looked for here is one for all names below (§8.3; RFC 8737 §3).
    if (name.startsWith('*.'))
      return { fault: faults.rejectedIdentifier, detail: `${name}: a wildcard takes dns-01; ask for each name` };
    const refusal = certificates.refusal([name]);
    if (refusal !== null) return { fault: faults.rejectedIdentifier, detail: refusal };
    identifiers.set(name, { type: each.type, value: name });
  }
  if (payload?.notBefore !== undefined || payload?.notAfter !== undefined)
    return { fault: faults.malformed, detail: 'how long a certificate is valid is not the client’s to choose' };
  const made = desk.addOrder(own, [...identifiers.values()], host.clock.wall);
  if (made === null) return { fault: faults.rateLimited, detail: 'there are as many open orders as may be' };
  return orderAnswer(201, base, made);
}

function order(server: AcmeServer, asked: Asked): Answer | Refused {
  const { rest, signer, base } = asked;
  const found = server.desk.order(rest[0] ?? '');
  if (found === null || found.expires <= server.host.clock.wall) return { fault: faults.missing };
  if (found.account !== signer.account) return { fault: faults.unauthorized };
  if (rest[1] === 'finalize') return finalize(server, asked, found);
  return rest.length > 1 ? { fault: faults.missing } : orderAnswer(200, base, found);
}

function orderAnswer(status: number, base: string, made: Order): Answer {
  const { id, expires, identifiers, authorizations, chain } = made;
  const at = `${base}${ROOT}`;
  const state = statusOf(made);
  const problem = authorizations.flatMap(({ challenges }) => challenges).find((each) => each.problem !== null)?.problem;
  const body = {
    status: state,
    expires: timeOf(expires),
    identifiers,
    authorizations: authorizations.map((each) => `${at}/authz/${each.id}`),
    finalize: `${at}/order/${id}/finalize`,
    ...(chain === null ? {} : { certificate: `${at}/cert/${id}` }),
    ...(state !== 'invalid' || problem === undefined || problem === null
      ? {}
      : { error: problemOf(faults[problem.kind], problem.text) }),
  };
  return { status, body, fields: { location: `${at}/order/${id}` } };
}

function finalize({ certificates, host }: AcmeServer, { payload, base }: Asked, found: Order): Answer | Refused {
  if (statusOf(found) !== 'ready') return { fault: faults.orderNotReady, detail: `the order is ${statusOf(found)}` };
  const der = typeof payload?.csr === 'string' ? base64url(payload.csr) : null;
  const request = der === null ? null : certificates.readRequest(der);
  if (request === null) return { fault: faults.badCSR, detail: 'it is no PKCS #10 whose signature is right' };
  const names = found.identifiers.map(({ value }) => value);
  const problem = requestProblem(request, names, found.account, (name) => certificates.nameOf(name));
  if (problem !== null) return { fault: faults.badCSR, detail: problem };
  const issued = certificates.issue(names, request.key, `acme:${found.account.id}`);
  if (typeof issued === 'string') return { fault: faults.rejectedIdentifier, detail: issued };
  found.chain = issued.chain;
  host.log.info('issued a certificate by ACME', { names: names.join(' '), serial: issued.serial });
  return orderAnswer(200, base, found);
}

/** Exactly the names of the order, and another key than the account's (RFC 8555 §7.4, §11.1). */
function requestProblem(
  { names: given, commonName, key }: CertificateRequest,
  names: readonly string[],
  own: Account,
  nameOf: (name: string) => string | null,
): string | null {
  const asked = new Set([...given, ...(commonName === '' ? [] : [commonName])].map((name) => nameOf(name) ?? name));
  const beyond = [...asked].find((name) => !names.includes(name));
  if (beyond !== undefined) return `${beyond} is not in the order`;
  const missing = names.find((name) => !asked.has(name));
  if (missing !== undefined) return `${missing} is in the order, and not in the request`;
  if (key.equals(own.key)) return 'the key is that of the account';
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa' && (details?.modulusLength ?? 0) < 2_048) return 'an RSA key has at least 2048 bits';
  return type === 'rsa' || type === 'ec' || type === 'ed25519' ? null : `keys of type ${type} are not taken`;
}

function certificate({ desk }: AcmeServer, { rest, signer }: Asked): Answer | Refused {
  const found = desk.order(rest[0] ?? '');
  if (found?.chain === null || found === null) return { fault: faults.missing };
  return found.account === signer.account ? { status: 200, body: found.chain } : { fault: faults.unauthorized };
}

// ---- proofs (RFC 8555 §7.5) ----------------------------------------------------------------------------------------

function authorization({ desk, host }: AcmeServer, { rest, signer, base, payload }: Asked): Answer | Refused {
  const found = desk.authorization(rest[0] ?? '');
  if (found === null || found.order.expires <= host.clock.wall) return { fault: faults.missing };
  if (found.order.account !== signer.account) return { fault: faults.unauthorized };
  const { authorization: own, order: of } = found;
  if (payload?.status === 'deactivated') own.status = 'deactivated';
  const body = {
    identifier: own.identifier,
    status: own.status,
    expires: timeOf(of.expires),
    // Once one proof was found the others are of no use (§7.1.4).
    challenges: own.challenges
      .filter(({ status }) => own.status !== 'valid' || status === 'valid')
      .map((each) => challengeJson(base, each)),
  };
  const waits = own.challenges.some(({ status }) => status === 'processing');
  return waits ? { status: 200, body, fields: { 'retry-after': '1' } } : { status: 200, body };
}

function challenge(server: AcmeServer, { rest, signer, base, payload }: Asked): Answer | Refused {
  const found = server.desk.challenge(rest[0] ?? '');
  if (found === null || found.order.expires <= server.host.clock.wall) return { fault: faults.missing };
  const { challenge: own, authorization: of, order: within } = found;
  if (within.account !== signer.account) return { fault: faults.unauthorized };
  if (payload !== null && own.status === 'pending' && of.status === 'pending') {
    if (server.proving >= server.host.limits.provingMax)
      return { fault: faults.rateLimited, detail: 'as many proofs as may be are looked for' };
    prove(server, own, of, within.account);
  }
  return {
    status: 200,
    body: challengeJson(base, own),
    links: [`<${base}${ROOT}/authz/${of.id}>;rel="up"`],
    ...(own.status === 'processing' ? { fields: { 'retry-after': '1' } } : {}),
  };
}

function challengeJson(base: string, { id, type, token, status, validated, problem }: Challenge): object {
  return {
    type,
    url: `${base}${ROOT}/challenge/${id}`,
    token,
    status,
    ...(validated === null ? {} : { validated: timeOf(validated) }),
    ...(problem === null ? {} : { error: problemOf(faults[problem.kind], problem.text) }),
  };
}

function prove(server: AcmeServer, own: Challenge, of: Authorization, account: Account): void {
  const { certificates, host } = server;
  own.status = 'processing';
  server.proving++;
  const { value } = of.identifier;
  certificates.prove(own.type, value, own.token, `${own.token}.${account.thumbprint}`, (problem) => {
    server.proving--;
    own.status = problem === null ? 'valid' : 'invalid';
    own.problem = problem;
    if (problem === null) own.validated = host.clock.wall;
    if (of.status === 'pending') of.status = own.status;
    if (problem !== null) host.log.info('a proof was not found', { name: value, by: own.type, why: problem.text });
  });
}

// ---- revoking (RFC 8555 §7.6) --------------------------------------------------------------------------------------

function revoke({ certificates, desk, host }: AcmeServer, { payload, signer }: Asked): Answer | Refused {
  const der = typeof payload?.certificate === 'string' ? base64url(payload.certificate) : null;
  const found = der === null ? null : certificates.find(der);
  if (found === null) return { fault: faults.missing, detail: 'no such certificate was issued here' };
  const { reason } = payload!;
  // RFC 5280 §5.3.1; those for lists alone and for authorities are not a client's to give.
  if (reason !== undefined && ![0, 1, 3, 4, 5].includes(reason as number)) return { fault: faults.badRevocationReason };
  const { facts, key } = found;
  const { account: own } = signer;
  const isOwn = own === null ? key.equals(signer.key) : facts.account === `acme:${own.id}`;
  const mayRevoke = isOwn || (own !== null && desk.hasProven(own, facts.names, host.clock.wall));
  if (!mayRevoke) return { fault: faults.unauthorized, detail: 'neither its key nor its account asks' };
  if (facts.isRevoked) return { fault: faults.alreadyRevoked };
  certificates.revoke(facts.serial);
  host.log.info('revoked a certificate by ACME', { serial: facts.serial });
  return { status: 200, body: null };
}
