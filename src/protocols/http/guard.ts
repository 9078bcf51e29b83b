// Who may ask at all, decided before any route: a browser's page is not a local program, and what comes through a proxy is
// not local. It reads the head of a request only; docs/security.md is its table in words.
import { ANYONE, type Caller, callerOf } from '../../core/caller.ts';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Accounts } from '../../resources/accounts/contract.ts';
import { HostList, hostOf } from './hosts.ts';
import { type Admitted, HttpSignIn } from './sign-in.ts';

/** What is looked at of an exchange. */
export type Asked = Pick<Exchange, 'method' | 'target' | 'authority' | 'upgrade' | 'fields' | 'peer'>;

export interface Refusal {
  readonly status: number;
  readonly detail: string;
  /** That the answer must have beside its problem. */
  readonly fields?: Readonly<Record<string, string>>;
}

export interface GuardOptions {
  /** Who may sign in, and whether anybody has to. */
  readonly accounts: Accounts;
  /** Names and addresses of this server beside those of the loopback. */
  readonly hosts: readonly string[];
  /** Origins of pages that may use this server beside its own. */
  readonly origins: readonly string[];
}

// What the fields of a request are to the guard.
const ORIGIN = 1;
const SITE = 2;
const MODE = 3;
const DESTINATION = 4;
const AUTHORIZATION = 5;
const FORWARDED = 6;

const MEANING: ReadonlyMap<string, number> = new Map([
  ['origin', ORIGIN],
  ['sec-fetch-site', SITE],
  ['sec-fetch-mode', MODE],
  ['sec-fetch-dest', DESTINATION],
  ['authorization', AUTHORIZATION],
  ...[
    ...['forwarded', 'via', 'x-real-ip', 'cf-connecting-ip', 'true-client-ip', 'x-client-ip', 'x-cluster-client-ip'],
    ...['fastly-client-ip', 'fly-client-ip', 'x-envoy-external-address', 'x-azure-clientip', 'x-original-host'],
    ...['x-original-forwarded-for', 'x-proxyuser-ip', 'x-appengine-user-ip', 'cdn-loop'],
  ].map((name) => [name, FORWARDED] as const),
]);

/** What of an answer a page of another origin may read: all of it, which it may say since credentials are never let in. */
const EXPOSED = '*';
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
const REQUESTED_BYTES_MAX = 1_024;

/** Scheme, host and port of an origin with a host (RFC 6454 §6.2). */
const ORIGIN_FORM = /^([a-z][a-z\d+.-]*):\/\/(\[[\da-f:.]+\]|[a-z\d_.-]+)(?::(\d{1,5}))?$/;

/** An origin as it is compared: in lower case, without its scheme's own port. Null when it is none. */
function originOf(text: string): string | null {
  const parts = ORIGIN_FORM.exec(text.toLowerCase());
  if (parts === null) return null;
  const [, scheme, host, port] = parts;
  if (scheme !== 'http' && scheme !== 'https') return port === undefined ? `${scheme}://${host}` : null;
  if (hostOf(host!) === null || Number(port ?? 1) > 65_535) return null;
  const own = scheme === 'http' ? '80' : '443';
  return port === undefined || port === own ? `${scheme}://${host}` : `${scheme}://${host}:${port}`;
}

/** Why an entry of `http.origins` cannot be used, or null. */
export function originEntryProblem(entry: string): string | null {
  if (entry === '*' || entry === 'null')
    return `has ${entry}, which would let in every page there is; name the origins, such as https://app.example`;
  if (originOf(entry) !== null) return null;
  return `has ${entry}, which is no origin; write scheme, host and port only, such as https://app.example or http://localhost:3000`;
}

/** Whether what the guard answered is a refusal. */
export function isRefusal(answer: Caller | Refusal): answer is Refusal {
  return 'status' in answer;
}

export class Guard {
  private readonly signIn: HttpSignIn;
  private readonly hosts: HostList;
  private readonly origins = new Set<string>();
  private readonly forBrowsers: Fields;
  /** What was found in the fields of the request looked at last. */
  private of: Asked | null = null;
  private origin: string | null = null;
  private originTwice = false;
  private site: string | null = null;
  private mode: string | null = null;
  private destination: string | null = null;
  private authorization: string | null = null;
  private authorizationTwice = false;
  private forwarded = false;

  /** Throws a RangeError for an entry that `hostEntryProblem` or `originEntryProblem` has something to say about. */
  constructor({ accounts, hosts, origins }: GuardOptions) {
    this.signIn = new HttpSignIn(accounts);
    this.hosts = new HostList(hosts);
    for (const entry of origins) {
      const problem = originEntryProblem(entry);
      if (problem !== null) throw new RangeError(problem);
      this.origins.add(originOf(entry)!);
    }
    this.forBrowsers = Fields.of({
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
    });
    // What was kept for a page of ours is not for one of an origin that is let in, nor the other way round.
    if (this.origins.size > 0) this.forBrowsers.append('vary', 'Origin');
  }

  /**
   * All in one: who asks, or why they may not; null when that has to be found out first, and `later` is told. `anyone`: the
   * route answers also those who did not sign in.
   */
  admit(asked: Asked, anyone = false, later: Admitted = () => {}): Caller | Refusal | null {
    return this.check(asked) ?? (anyone ? this.anybody(asked) : this.callerOf(asked, later));
  }

  /** Why a page of a browser may not ask this, or null. Programs pass. */
  check(asked: Asked): Refusal | null {
    this.look(asked);
    if (!this.isOwnHost(asked)) return refuseHost(asked.authority);
    if (this.originTwice) return refuseOrigin('two at once');
    const { origin, site } = this;
    if (origin !== null) return this.isWelcome(asked, origin) ? null : refuseOrigin(origin);
    if (site === null || site === 'same-origin' || site === 'none' || this.isVisit(asked)) return null;
    return FOREIGN_SITE;
  }

  /** Who asks; as `admit`. To be called for what `check` let pass. */
  callerOf(asked: Asked, later: Admitted): Caller | Refusal | null {
    this.look(asked);
    const { authorization, authorizationTwice: twice, forwarded } = this;
    return this.signIn.callerOf({ asked, authorization, twice, forwarded }, later);
  }

  /** What the answer must have beside what its route gives it, whatever its status; null for programs. */
  answerFields(asked: Asked): Fields | null {
    this.look(asked);
    const { origin } = this;
    if (origin === null) return this.site === null && !looksLikeBrowser(asked.fields) ? null : this.forBrowsers;
    if (this.originTwice || isSame(asked, origin) || !this.isWelcome(asked, origin)) return this.forBrowsers;
    return Fields.of({
      'access-control-allow-origin': origin,
      'access-control-expose-headers': EXPOSED,
      'x-content-type-options': 'nosniff',
      vary: 'Origin',
    });
  }

  /**
   * The fields of the 204 that answers a preflight of an origin that is let in (Fetch Standard §3.2.2), `answerFields`
   * among them; null when this is none. To be called for what `check` let pass, before anybody is asked to sign in.
   */
  preflight(asked: Asked): Fields | null {
    if (asked.method !== 'OPTIONS') return null;
    this.look(asked);
    const { fields } = asked;
    if (this.origin === null || !fields.has('access-control-request-method')) return null;
    const answer = Fields.of({ 'access-control-allow-origin': this.origin, 'access-control-allow-methods': METHODS });
    const names = fields.joined('access-control-request-headers');
    if (names !== null && names.length <= REQUESTED_BYTES_MAX && /^[!#$%&'*+.^_`|~\w, -]+$/.test(names))
      answer.append('access-control-allow-headers', names);
    // Pages of public addresses ask for leave to reach private ones (Private Network Access §3.1).
    if (fields.get('access-control-request-private-network') === 'true')
      answer.append('access-control-allow-private-network', 'true');
    return answer.append('access-control-max-age', '600').append('vary', PREFLIGHT_VARY);
  }

  // ---- what the fields say -----------------------------------------------------------------------------------------

  private look(asked: Asked): void {
    if (this.of === asked) return;
    this.of = asked;
    this.origin = this.site = this.mode = this.destination = this.authorization = null;
    this.originTwice = this.authorizationTwice = this.forwarded = false;
    const { list } = asked.fields;
    for (let at = 0; at < list.length; at += 2) {
      const name = list[at]!;
      const meaning = MEANING.get(name);
      if (meaning !== undefined) this.note(meaning, list[at + 1]!);
      else if (name.startsWith('x-forwarded')) this.forwarded = true;
    }
  }

  private note(meaning: number, value: string): void {
    switch (meaning) {
      case ORIGIN:
        this.originTwice = this.origin !== null;
        this.origin ??= value;
        break;
      case SITE:
        // Of two, the one that lets less in.
        if (this.site === null || this.site === 'same-origin' || this.site === 'none') this.site = value;
        break;
      case MODE:
        this.mode = this.mode === null ? value : '';
        break;
      case DESTINATION:
        this.destination = this.destination === null ? value : '';
        break;
      case AUTHORIZATION:
        this.authorizationTwice = this.authorization !== null;
        this.authorization ??= value;
        break;
      default:
        this.forwarded = true;
    }
  }

  private anybody({ peer }: Asked): Caller {
    const caller = { ...callerOf(peer, '', 0), by: ANYONE };
    return this.forwarded ? { ...caller, origin: 'remote' } : caller;
  }

  /** Host is a name of this server. What comes over a Unix socket was led there by no name, and a tunnel is refused later. */
  private isOwnHost({ method, authority, upgrade, peer }: Asked): boolean {
    if (authority === '' || peer.carrier === 'unix') return true;
    if (method === 'CONNECT' && upgrade === '') return true;
    return this.hosts.has(authority, peer.local?.host ?? null);
  }

  /** The page's origin is the server's own, or one that is let in. */
  private isWelcome(asked: Asked, text: string): boolean {
    if (isSame(asked, text)) return true;
    const origin = originOf(text);
    return origin !== null && this.origins.has(origin);
  }

  /**
   * Somebody follows a link from another site to here: a page of its own that the other cannot read. Never into a frame,
   * never with a body, never an upgrade.
   */
  private isVisit({ method, upgrade }: Asked): boolean {
    if ((method !== 'GET' && method !== 'HEAD') || upgrade !== '') return false;
    return this.mode === 'navigate' && this.destination === 'document';
  }
}

/** The origin's scheme, host and port are those that the request was sent to (RFC 6454 §5). */
function isSame({ authority, peer }: Asked, text: string): boolean {
  const scheme = isSecure(peer) ? 'https://' : 'http://';
  if (text.length === scheme.length + authority.length && text.startsWith(scheme) && text.endsWith(authority))
    return authority !== '';
  const origin = originOf(text);
  return origin !== null && origin === originOf(`${scheme}${authority}`);
}

function isSecure({ tls, below }: Asked['peer']): boolean {
  return tls !== null || (below !== null && below.tls !== null);
}

/** Browsers without Sec-Fetch: old ones, and all of them where the server is neither on the loopback nor behind TLS. */
function looksLikeBrowser(fields: Fields): boolean {
  return fields.get('user-agent')?.startsWith('Mozilla/') === true;
}

const PREFLIGHT_VARY =
  'Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network';

// ---- refusals ------------------------------------------------------------------------------------------------------

function refuseHost(authority: string): Refusal {
  const host = shown(authority.replace(/:\d*$/, ''));
  const detail = `This server does not go by the name ${host}. If it should, add it to http.hosts in the configuration.`;
  // A page must not get far by a name that somebody else points here (RFC 9110 §15.5.20).
  return { status: 421, detail };
}

function refuseOrigin(origin: string): Refusal {
  const detail =
    origin === 'null'
      ? 'The page that asks has no origin: it is a file, a sandboxed frame or a redirect. Such pages are never let in; ' +
        'serve the page over HTTP and add its origin to http.origins in the configuration.'
      : `Pages of ${shown(origin)} may not use this server. If they should, add that origin to http.origins in the ` +
        'configuration.';
  return { status: 403, detail };
}

function shown(text: string): string {
  return text.length > 128 ? `${text.slice(0, 128)}…` : text;
}

const FOREIGN_SITE: Refusal = {
  status: 403,
  detail:
    'A page of another site asks for this without saying which. If it should be let in, add its origin to http.origins ' +
    'in the configuration; and it has to ask with CORS: no images, scripts or frames.',
};
