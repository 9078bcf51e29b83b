// Which route answers a request: by path, by what the client asks to become, by what it would rather have. The same for
// HTTP/1.1, 2 and 3; it knows no resource.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { HttpListens } from '../../core/protocol.ts';
import { answerNothing, answerProblem } from './answers.ts';
import { splitTarget } from './target.ts';

export interface Route {
  /** Exactly this path, or all below it when it ends with `/`. */
  readonly path: string;
  readonly only?: HttpListens<unknown>['only'];
  /** Which requests it takes of those to `path`, which ends with `/`, that no route but one at `/` takes. */
  readonly claims?: (exchange: Exchange, path: string) => boolean;
  /** It answers also those who did not sign in; or which requests it does. */
  readonly anyone?: boolean | ((exchange: Exchange) => boolean);
  readonly handler: ExchangeHandler;
}

/** The routes of one path. */
interface Place {
  readonly path: string;
  readonly upgrades: Map<string, Route>;
  readonly accepts: { readonly type: string; readonly route: Route }[];
  plain: Route | null;
}

export interface RouterOptions {
  /** Whether the client would rather have this media type. */
  readonly prefers: (fields: Fields, type: string) => boolean;
  /**
   * Whether the request goes on at once; false for one that was answered, since its sender may not come in, and for one
   * whose sender is not known yet: then `enter` is called when he is let in. `anyone`: the route is for everybody.
   */
  readonly admit: (exchange: Exchange, anyone: boolean, enter: () => void) => boolean;
}

export class Router {
  private readonly options: RouterOptions;
  private readonly exact = new Map<string, Place>();
  /** Paths that end with `/`, the longest first. */
  private readonly prefixes: Place[] = [];
  private readonly claimed: Route[] = [];

  constructor(options: RouterOptions) {
    this.options = options;
  }

  /** Adds a route. Throws a RangeError when its path and kind are taken: a mistake of the caller's. */
  add(route: Route): void {
    const { path, only } = route;
    if (route.claims !== undefined) {
      this.claimed.push(route);
      return;
    }
    const place = this.placeAt(path);
    const taken = () =>
      new RangeError(`two routes at ${path}${only === undefined ? '' : ` for ${JSON.stringify(only)}`}`);
    if (only === undefined) {
      if (place.plain !== null) throw taken();
      place.plain = route;
    } else if ('upgrade' in only) {
      if (place.upgrades.has(only.upgrade)) throw taken();
      place.upgrades.set(only.upgrade, route);
    } else {
      if (place.accepts.some(({ type }) => type === only.accept)) throw taken();
      place.accepts.push({ type: only.accept, route });
    }
  }

  private placeAt(path: string): Place {
    const isPrefix = path.endsWith('/');
    const found = isPrefix ? this.prefixes.find((place) => place.path === path) : this.exact.get(path);
    if (found !== undefined) return found;
    const place: Place = { path, upgrades: new Map(), accepts: [], plain: null };
    if (!isPrefix) this.exact.set(path, place);
    else {
      this.prefixes.push(place);
      this.prefixes.sort((a, b) => b.path.length - a.path.length);
    }
    return place;
  }

  /** Answers a request. */
  readonly handle = (exchange: Exchange): void => {
    const { path } = splitTarget(exchange.target);
    const route = this.find(exchange, path);
    const enter = () => (route === null ? this.otherwise(exchange, path) : route.handler(exchange));
    const anyone = typeof route?.anyone === 'function' ? route.anyone(exchange) : route?.anyone === true;
    if (this.options.admit(exchange, anyone, enter)) enter();
  };

  private find(exchange: Exchange, path: string): Route | null {
    const place = this.exact.get(path);
    if (place !== undefined) {
      const route = this.choose(exchange, place);
      if (route !== null) return route;
    }
    for (const prefix of this.prefixes) {
      if (!path.startsWith(prefix.path)) continue;
      if (prefix.path === '/') break;
      const route = this.choose(exchange, prefix);
      if (route !== null) return route;
    }
    for (const route of this.claimed) if (path.startsWith(route.path) && route.claims!(exchange, path)) return route;
    const last = this.prefixes.at(-1);
    return last?.path === '/' ? this.choose(exchange, last) : null;
  }

  private choose(exchange: Exchange, place: Place): Route | null {
    if (exchange.upgrade !== '') {
      const route = place.upgrades.get(exchange.upgrade);
      if (route !== undefined) return route;
    }
    // Extended CONNECT asks for nothing else; a plain one for a tunnel, which nobody gives.
    if (exchange.method === 'CONNECT') return null;
    if (exchange.method === 'GET' || exchange.method === 'HEAD')
      for (const { type, route } of place.accepts) if (this.options.prefers(exchange.fields, type)) return route;
    return place.plain;
  }

  private otherwise(exchange: Exchange, path: string): void {
    const { method } = exchange;
    if (method === 'CONNECT') answerProblem(exchange, 501, 'There are no tunnels here.');
    else if (method === 'OPTIONS' && path === '*') answerNothing(exchange, 204, Fields.of({ allow: METHODS }));
    else answerProblem(exchange, 404, `There is nothing at ${path}.`);
  }
}

/** What is answered somewhere on this server. */
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
