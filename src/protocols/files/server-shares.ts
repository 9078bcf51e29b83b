// Share links: made by who may read a thing, open to whoever has the link, until they end; with the rights of the account
// that made them, as those are when the link is used.
import { type Caller, OPERATOR } from '../../core/caller.ts';
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import {
  cookieOf,
  fitsPassword,
  isSame,
  linkTo,
  propertyOf,
  readLink,
  readShare,
  type Share,
} from '../../resources/files/shares.ts';
import { makeShare, SHARE_SECONDS, SHARE_SECONDS_MAX } from '../../resources/files/sharing.ts';
import { answerBytes, answerJson, answerNothing, answerProblem } from '../http/answers.ts';
import { collectBody } from '../http/collect.ts';
import { splitTarget } from '../http/target.ts';
import { faults } from './faults.ts';
import { answerFileOutcome, during, type FilesHost, pathOf, refuse } from './server-answers.ts';
import { answerRead } from './server-read.ts';

export const SHARED = '/shared/';
const BODY_MAX = 4_096;
/** Passwords that are tried for one link in a minute. */
const TRIES_MAX = 10;
const MINUTE = 60_000;
/** Links of which tries are counted. */
const COUNTED_MAX = 10_000;

/** `POST /files/<path>?share`. */
export function takeShare(exchange: Exchange, host: FilesHost, path: string): void {
  collectBody(exchange, BODY_MAX, (body) => {
    const asked = orderOf(body);
    if (asked === null) {
      refuse(exchange, faults.badShare);
      return;
    }
    const files = host.resources.files!;
    const { caller } = exchange;
    during(exchange, host, async (waiting) => {
      const { entropy, clock } = host;
      const made = await makeShare(files, caller, path, asked, { entropy, wall: () => clock.wall });
      if (waiting.isOver) return;
      if (typeof made === 'number') {
        answerFileOutcome(exchange, made, files, path);
        return;
      }
      const { url, until } = made;
      answerJson(
        exchange,
        201,
        { url, until: new Date(until).toISOString() },
        Fields.of({ location: url, 'cache-control': 'no-store' }),
      );
    });
  });
}

function orderOf(body: Buffer): { readonly seconds: number; readonly password: string } | null {
  try {
    const { seconds = SHARE_SECONDS, password = '' } = JSON.parse(body.length === 0 ? '{}' : body.toString()) as Record<
      string,
      unknown
    >;
    if (typeof seconds !== 'number' || !(seconds >= 1 && seconds <= SHARE_SECONDS_MAX) || typeof password !== 'string')
      return null;
    return { seconds, password };
  } catch {
    return null;
  }
}

/** `/shared/<link>/<path>`. */
export function serveShares(host: FilesHost): ExchangeHandler {
  const tries = new Map<string, { count: number; until: number }>();
  const mayTry = (link: string): boolean => {
    const { wall } = host.clock;
    const known = tries.get(link);
    if (known !== undefined && known.until > wall) return ++known.count <= TRIES_MAX;
    if (tries.size >= COUNTED_MAX) tries.clear();
    tries.set(link, { count: 1, until: wall + MINUTE });
    return true;
  };
  return (exchange) => {
    const { method } = exchange;
    const below = pathOf(exchange.target, SHARED);
    const link = below === null || host.resources.files === undefined ? null : readLink(below);
    if (link === null) missing(exchange);
    else if (method === 'POST') tryPassword(exchange, host, link, mayTry);
    else if (method === 'GET' || method === 'HEAD') answerShared(exchange, host, link, mayTry);
    else answerProblem(exchange, 405, 'What is shared can be read.', Fields.of({ allow: 'GET, HEAD' }));
  };
}

type Link = NonNullable<ReturnType<typeof readLink>>;

async function shareOf(host: FilesHost, { secret, base }: Link): Promise<Share | null> {
  const kept = await host.resources.files!.properties(OPERATOR, base);
  const share = typeof kept === 'number' ? null : readShare(kept[propertyOf(secret)]);
  return share !== null && share.until > host.clock.wall ? share : null;
}

function answerShared(exchange: Exchange, host: FilesHost, link: Link, mayTry: (link: string) => boolean): void {
  const files = host.resources.files!;
  during(exchange, host, async (waiting) => {
    const share = await shareOf(host, link);
    const may = share !== null && (await isOpen(exchange, share, link, mayTry));
    const caller: Caller = {
      account: share?.account ?? '',
      scopes: null,
      origin: 'remote',
      epoch: 0,
      by: 'share',
      id: share?.id ?? '',
    };
    // Nothing that a link in the folder leads to beyond it.
    const real = may ? await files.realPath(caller, link.path) : link.base;
    if (waiting.isOver) return;
    const isWithin =
      typeof real === 'string' && (real === link.base || link.base === '' || real.startsWith(`${link.base}/`));
    if (share === null || !isWithin) missing(exchange);
    else if (!may) askPassword(exchange, 401);
    else {
      exchange.caller = caller;
      answerRead(exchange, host, link.path, SHARED);
    }
  });
}

async function isOpen(
  { fields }: Exchange,
  share: Share,
  { secret }: Link,
  mayTry: (link: string) => boolean,
): Promise<boolean> {
  if (share.password === '') return true;
  const cookie = /(?:^|;\s*)portico-share=([\w-]+)/.exec(fields.joined('cookie') ?? '')?.[1];
  if (cookie !== undefined && isSame(cookie, cookieOf(secret, share.password))) return true;
  const given = fields.get('x-share-password');
  return given !== null && mayTry(secret) && fitsPassword(given, share.password);
}

/** The form of the page, answered with a cookie that opens this link. */
function tryPassword(exchange: Exchange, host: FilesHost, link: Link, mayTry: (link: string) => boolean): void {
  collectBody(exchange, BODY_MAX, (body) => {
    during(exchange, host, async (waiting) => {
      const share = await shareOf(host, link);
      const given = new URLSearchParams(body.toString()).get('password') ?? '';
      const fits =
        share !== null && share.password !== '' && mayTry(link.secret) && (await fitsPassword(given, share.password));
      if (waiting.isOver) return;
      const { path } = splitTarget(exchange.target);
      if (share === null) missing(exchange);
      else if (!fits) askPassword(exchange, 401);
      else {
        const at = `${SHARED}${linkTo(link.secret, link.base)}/`;
        const cookie = `portico-share=${cookieOf(link.secret, share.password)}; Path=${at}; HttpOnly; SameSite=Lax`;
        answerNothing(
          exchange,
          303,
          Fields.of({ location: path.replace(/^\/+/, '/'), 'set-cookie': cookie, 'cache-control': 'no-store' }),
        );
      }
    });
  });
}

function missing(exchange: Exchange): void {
  answerProblem(exchange, 404, 'This link leads nowhere, or has ended.');
}

function askPassword(exchange: Exchange, status: number): void {
  const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Shared</title></head>
<body><form method="post"><label>Password <input type="password" name="password" required autofocus></label> <button>Open</button></form></body></html>
`;
  const fields = Fields.of({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'www-authenticate': 'X-Share-Password',
    'content-security-policy': "default-src 'none'; form-action 'self'",
  });
  answerBytes(exchange, status, fields, Buffer.from(page));
}
