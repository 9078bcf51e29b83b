// The sites that the configuration names, as routes: folders, upstreams and redirects. Several may stand at one path under
// different names.
import { resolve } from 'node:path';
import type { Exchange, ExchangeHandler } from '../core/exchange.ts';
import { Fields } from '../core/fields.ts';
import { bindLimits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Reach } from '../core/reach.ts';
import type { Entropy } from '../core/time.ts';
import type { Turn } from '../core/turn.ts';
import { answerNothing, answerProblem } from '../protocols/http/answers.ts';
import { hostOf, hostOfAuthority } from '../protocols/http/hosts.ts';
import type { Route } from '../protocols/http/router.ts';
import { splitTarget } from '../protocols/http/target.ts';
import { clientLimits } from '../protocols/http1/client-limits.ts';
import { HttpPool } from '../protocols/http1/pool.ts';
import { Folder } from './folder.ts';
import { HealthChecks } from './health.ts';
import { proxyHandler } from './proxy.ts';
import type { ProxyConfig, RedirectConfig, SiteConfig } from './site-config.ts';
import { type Upstream, Upstreams } from './upstreams.ts';

export interface SitesOptions {
  readonly turn: Turn;
  readonly entropy: Entropy;
  /** How upstreams are reached, within the outbound rules. */
  readonly reach: Pick<Reach, 'dial'>;
  readonly log: Log;
}

/** Connections to one upstream: as many as may serve at once. */
const UPSTREAM_CONNECTIONS = 256;

interface Named {
  readonly hosts: readonly string[] | null;
  readonly handler: ExchangeHandler;
  readonly isPublic: boolean;
}

export class Sites {
  readonly routes: readonly Route[];
  /** For metrics and status: by site, the upstreams and how they fare. */
  readonly upstreams: { readonly path: string; readonly upstreams: Upstreams }[] = [];
  private readonly options: SitesOptions;
  private readonly via: string;
  private readonly checks: HealthChecks[] = [];
  private readonly closers: (() => void)[] = [];

  /** Throws a RangeError when two sites are the same. */
  constructor(sites: readonly SiteConfig[], options: SitesOptions) {
    this.options = options;
    const random = Buffer.alloc(6);
    options.entropy.fill(random);
    this.via = `portico-${random.toString('hex')}`;
    const places = new Map<string, Named[]>();
    for (const site of sites) {
      const handler = this.handlerOf(site);
      const hosts = site.hosts ?? null;
      const named = { hosts, handler, isPublic: site.access === 'anyone' };
      const others = places.get(site.path) ?? [];
      if (hosts === null && others.some((other) => other.hosts === null))
        throw new RangeError(`two sites stand at ${site.path} for all names`);
      places.set(site.path, [...others, named]);
      // A folder without its slash is the folder.
      const bare = site.path.slice(0, -1);
      if ('folder' in site && bare !== '' && !sites.some(({ path }) => path === bare))
        places.set(bare, [...(places.get(bare) ?? []), { ...named, handler: toFolder }]);
    }
    this.routes = [...places].map(([path, named]) => routeOf(path, named));
  }

  /** Asks upstreams no more whether they are well; requests go on. */
  leave(): void {
    for (const checks of this.checks) checks.stop();
  }

  close(): void {
    this.leave();
    for (const close of this.closers.splice(0)) close();
  }

  private handlerOf(site: SiteConfig): ExchangeHandler {
    if ('folder' in site) {
      const { turn, entropy } = this.options;
      const here = {
        get clock() {
          return turn.clock;
        },
        entropy,
      };
      const { path, index, listing, precompressed } = site;
      const folder = new Folder(
        {
          ...{ path, index, listing, precompressed },
          folder: resolve(site.folder),
          fallback: site.fallback ?? null,
          cacheControl: site.cacheControl ?? null,
        },
        here,
      );
      this.closers.push(() => folder.close());
      return folder.handle;
    }
    return 'redirect' in site ? redirectHandler(site) : this.proxyOf(site);
  }

  private proxyOf(site: ProxyConfig): ExchangeHandler {
    const { turn, reach, log } = this.options;
    const limits = bindLimits(clientLimits, {
      originConnectionsMax: UPSTREAM_CONNECTIONS,
      connectionsMax: UPSTREAM_CONNECTIONS * site.upstreams.length,
    });
    const dial: Reach['dial'] = (target, tls, connected, refused) => reach.dial(target, tls, connected, refused);
    const pool = new HttpPool(dial, turn, limits);
    const all = site.upstreams.map((url) => upstreamOf(url, site));
    const upstreams = new Upstreams(all, site.health ?? null, ({ url }, isUp, why) => {
      log[isUp ? 'info' : 'warn'](isUp ? 'an upstream is back' : 'an upstream is down', {
        site: site.path,
        upstream: url,
        why,
      });
    });
    this.upstreams.push({ path: site.path, upstreams });
    this.closers.push(() => pool.close());
    if (upstreams.health !== null) {
      // Its own connections: a busy upstream is asked all the same.
      const asking = new HttpPool(dial, turn, bindLimits(clientLimits, {}));
      const checks = new HealthChecks(turn, asking, upstreams, upstreams.health);
      this.checks.push(checks);
      this.closers.push(() => asking.close());
    }
    const { path, strip, silenceMs } = site;
    const passing = { path, strip, silenceMs, keepHost: site.host === 'keep' };
    const { via } = this;
    return proxyHandler(passing, {
      get clock() {
        return turn.clock;
      },
      ...{ pool, upstreams, via },
    });
  }
}

/** One route for all sites of a path: by the name that was asked for, else the one for all names. */
function routeOf(path: string, named: readonly Named[]): Route {
  const forAll = named.find(({ hosts }) => hosts === null);
  const find = ({ authority }: Exchange) => {
    if (named.length === 1 && forAll !== undefined) return forAll;
    const host = hostOfAuthority(authority);
    return named.find(({ hosts }) => host !== null && hosts?.some((entry) => isNamed(host, entry)) === true) ?? forAll;
  };
  return {
    path,
    // Who may come in is the site's to say where the path has several.
    anyone: named.every(({ isPublic }) => isPublic),
    handler: (exchange) => {
      const site = find(exchange);
      if (site === undefined)
        answerProblem(exchange, 404, `There is nothing at ${splitTarget(exchange.target).path} under this name.`);
      else site.handler(exchange);
    },
  };
}

function isNamed(host: string, entry: string): boolean {
  return entry.startsWith('*.') ? host.endsWith(`.${hostOf(entry.slice(2))}`) : host === hostOf(entry);
}

const toFolder: ExchangeHandler = (exchange) => {
  const { path, query } = splitTarget(exchange.target);
  answerNothing(exchange, 308, Fields.of({ location: `${path}/${query === '' ? '' : `?${query}`}` }));
};

function redirectHandler({ path, redirect, status }: RedirectConfig): ExchangeHandler {
  const follows = path.endsWith('/') && redirect.endsWith('/');
  return (exchange) => {
    const { path: asked, query } = splitTarget(exchange.target);
    // What follows must not turn a path of ours into another host: `//evil` (RFC 3986 §4.2).
    const rest = follows ? asked.slice(path.length).replace(/^[/\\]+/, '') : '';
    const location = `${redirect}${rest}${query === '' ? '' : `?${query}`}`;
    answerNothing(exchange, status, Fields.of({ location }));
  };
}

function upstreamOf(text: string, { authorities }: ProxyConfig): Upstream {
  const url = new URL(text);
  const isSecure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port);
  const tls = isSecure
    ? { role: 'client' as const, serverName: host, ...(authorities === undefined ? {} : { authorities }) }
    : null;
  return {
    url: text,
    origin: { host, port, tls },
    authority: url.host,
    base: url.pathname.replace(/\/+$/, ''),
    open: 0,
    isWell: true,
    downUntil: 0,
    failures: 0,
    served: 0,
    failed: 0,
  };
}
