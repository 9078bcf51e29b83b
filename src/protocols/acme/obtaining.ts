// Obtains a certificate from an ACME server (RFC 8555 §7): an account, an order, its proofs, the certificate. How requests
// travel, how proofs are shown and how long to wait is handed in.
import type { Fields } from '../../core/fields.ts';
import type { ProofKind } from '../../resources/certificates/contract.ts';
import { JOSE_TYPE, jsonObject } from './codec.ts';
import { type AccountKey, bindExternally, signRequest } from './signing.ts';

/** Proofs that a client shows: those that this server looks at itself, and records in DNS (RFC 8555 §8.4). */
export type ShownProof = ProofKind | 'dns-01';

export interface ObtainPlan {
  /** The URL of the server's directory. */
  readonly directory: string;
  readonly names: readonly string[];
  /** URLs, as `mailto:ann@example.com`. */
  readonly contact: readonly string[];
  readonly proof: ShownProof;
  /** Of an account that the authority knows otherwise; `key` is base64url. */
  readonly external?: { readonly kid: string; readonly key: string } | undefined;
}

export interface Told {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Buffer;
}

export interface ObtainMeans {
  readonly account: AccountKey;
  /** Rejects when there is no answer. */
  send(url: string, method: 'GET' | 'HEAD' | 'POST', body: Buffer | null, type: string): Promise<Told>;
  isAddress(name: string): boolean;
  /** Shows a proof; answers how to take it back. */
  show(kind: ShownProof, name: string, token: string, authorization: string): (() => void) | Promise<() => void>;
  /** A request for a certificate in DER. */
  request(names: readonly string[]): Buffer;
  pause(ms: number): Promise<void>;
}

/** The authority said no; `retryMs` when it said when to ask again. */
export class AcmeError extends Error {
  readonly type: string;
  readonly retryMs: number | null;

  constructor(message: string, type = '', retryMs: number | null = null) {
    super(message);
    this.name = 'AcmeError';
    this.type = type;
    this.retryMs = retryMs;
  }
}

const POLLS_MAX = 60;
const POLL_MS = 1_000;
const POLL_MOST_MS = 30_000;
/** A nonce may be refused although it was good when it was given (RFC 8555 §6.5). */
const NONCES_TRIED = 4;

/** Answers the chain in PEM. Rejects with an `AcmeError`, or what `send` said. */
export async function obtain(plan: ObtainPlan, means: ObtainMeans): Promise<string> {
  const talk = new Talk(means, await directoryOf(plan.directory, means));
  await talk.signUp(plan);
  const identifiers = plan.names.map((value) => ({ type: means.isAddress(value) ? 'ip' : 'dns', value }));
  const made = await talk.post(talk.at('newOrder'), { identifiers });
  const order = locationOf(made);
  let state = bodyOf(made);
  for (const url of textsOf(state.authorizations)) await talk.prove(url, plan.proof);
  state = await talk.poll(order, (status) => status !== 'pending');
  if (state.status === 'ready') {
    const csr = means.request(plan.names).toString('base64url');
    await talk.post(String(state.finalize), { csr });
    state = await talk.poll(order, (status) => status === 'valid' || status === 'invalid');
  }
  if (state.status !== 'valid' || typeof state.certificate !== 'string')
    throw new AcmeError(`the order ended as ${String(state.status)}: ${problemText(state.error)}`);
  const { body } = await talk.post(state.certificate, null);
  return body.toString('latin1');
}

async function directoryOf(url: string, { send }: ObtainMeans): Promise<Readonly<Record<string, unknown>>> {
  const told = await send(url, 'GET', null, '');
  const directory = told.status === 200 ? jsonObject(told.body) : null;
  if (directory === null) throw new AcmeError(`${url} answered with ${told.status}, and is no directory of ACME`);
  return directory;
}

/** A conversation by one account. */
class Talk {
  private readonly means: ObtainMeans;
  private readonly directory: Readonly<Record<string, unknown>>;
  private nonce: string | null = null;
  private kid: string | null = null;

  constructor(means: ObtainMeans, directory: Readonly<Record<string, unknown>>) {
    this.means = means;
    this.directory = directory;
  }

  at(name: string): string {
    const url = this.directory[name];
    if (typeof url === 'string') return url;
    throw new AcmeError(`the directory has no ${name}`);
  }

  /** The account of our key, made where there is none (RFC 8555 §7.3). */
  async signUp({ contact, external }: ObtainPlan): Promise<void> {
    const url = this.at('newAccount');
    const binding =
      external === undefined
        ? {}
        : { externalAccountBinding: bindExternally(this.means.account, url, external.kid, external.key) };
    this.kid = locationOf(await this.post(url, { termsOfServiceAgreed: true, contact, ...binding }));
  }

  async prove(url: string, kind: ShownProof): Promise<void> {
    const authorization = bodyOf(await this.post(url, null));
    if (authorization.status === 'valid') return;
    const { value } = authorization.identifier as { value: string };
    const challenges = (authorization.challenges ?? []) as { type: string; url: string; token: string }[];
    const challenge = challenges.find(({ type }) => type === kind);
    if (challenge === undefined)
      throw new AcmeError(
        `${value} cannot be proven by ${kind}, only by ${challenges.map(({ type }) => type).join(', ') || 'nothing'}`,
      );
    const { token } = challenge;
    const takeBack = await this.means.show(kind, value, token, `${token}.${this.means.account.thumbprint}`);
    try {
      await this.post(challenge.url, {});
      const state = await this.poll(url, (status) => status !== 'pending');
      if (state.status === 'valid') return;
      const failed = ((state.challenges ?? []) as { error?: unknown }[]).find(({ error }) => error !== undefined);
      throw new AcmeError(`${value} was not proven: ${problemText(failed?.error)}`);
    } finally {
      takeBack();
    }
  }

  /** Asks until the status is as wanted. */
  async poll(url: string, isOver: (status: string) => boolean): Promise<Record<string, unknown>> {
    for (let asked = 0; asked < POLLS_MAX; asked++) {
      const told = await this.post(url, null);
      const state = bodyOf(told);
      if (isOver(String(state.status))) return state;
      await this.means.pause(Math.min(retryOf(told.fields) ?? POLL_MS, POLL_MOST_MS));
    }
    throw new AcmeError(`${url} did not come to an end`);
  }

  async post(url: string, payload: object | null): Promise<Told> {
    for (let tried = 1; ; tried++) {
      const nonce = this.nonce ?? (await this.newNonce());
      this.nonce = null;
      const body = signRequest(this.means.account, { url, nonce, kid: this.kid }, payload);
      const told = await this.means.send(url, 'POST', body, JOSE_TYPE);
      this.nonce = told.fields.get('replay-nonce');
      if (told.status < 400) return told;
      const problem = jsonObject(told.body) ?? {};
      const type = String(problem.type ?? '');
      if (type.endsWith(':badNonce') && tried < NONCES_TRIED) continue;
      throw new AcmeError(`${url} answered with ${told.status}: ${problemText(problem)}`, type, retryOf(told.fields));
    }
  }

  private async newNonce(): Promise<string> {
    const told = await this.means.send(this.at('newNonce'), 'HEAD', null, '');
    const nonce = told.fields.get('replay-nonce');
    if (nonce === null) throw new AcmeError('the server gave no nonce');
    return nonce;
  }
}

function bodyOf({ body }: Told): Record<string, unknown> {
  const value = jsonObject(body);
  if (value === null) throw new AcmeError('the server answered with what is no JSON object');
  return value;
}

function locationOf({ fields }: Told): string {
  const location = fields.get('location');
  if (location === null) throw new AcmeError('the server answered without a Location');
  return location;
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

/** Retry-After in milliseconds, as seconds or as a date (RFC 9110 §10.2.3). */
function retryOf(fields: Fields): number | null {
  const text = fields.get('retry-after');
  if (text === null) return null;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const [until, now] = [Date.parse(text), Date.parse(fields.get('date') ?? '')];
  return Number.isNaN(until) || Number.isNaN(now) ? null : Math.max(0, until - now);
}

function problemText(problem: unknown): string {
  if (typeof problem !== 'object' || problem === null) return 'it did not say why';
  const { type = '', detail = '' } = problem as { type?: unknown; detail?: unknown };
  return `${String(detail) || 'without detail'} (${String(type)})`;
}
