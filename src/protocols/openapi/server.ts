// Services over REST: which there are, each method at `/services/<service>/<method>`, and the paths that google.api.http rules
// name. It knows the services; how one call goes is beside it.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Host } from '../../core/protocol.ts';
import type { Method, Services } from '../../resources/services/contract.ts';
import { answerBytes, answerJson, answerNothing } from '../http/answers.ts';
import { prefers } from '../http/negotiate.ts';
import { splitTarget } from '../http/target.ts';
import { type AsyncServer, asyncapiDocument } from './asyncapi.ts';
import { type Binding, ownBinding, rulesOf } from './bindings.ts';
import { openapiDocument } from './document.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { PAGE, SCRIPT, SCRIPT_PATH } from './page.ts';
import { refuse } from './server-answers.ts';
import { beginCall } from './server-call.ts';

export type OpenapiHost = Host<{ readonly services?: Services }, typeof limits>;

export const PREFIX = '/services/';

/** What a request is for: how it calls a method, or which verbs its path has. */
type Found =
  | { readonly binding: Binding; readonly captured: readonly string[] }
  | { readonly verbs: readonly string[] }
  | null;

/** The paths of the services that there are now, made anew when they change. */
class Paths {
  private readonly services: Services;
  private readonly warn: (text: string) => void;
  private epoch = -1;
  private own = new Map<string, Binding>();
  /** By the first segment of the path; '' for those that begin with a variable. */
  private rules = new Map<string, Binding[]>();

  constructor(services: Services, warn: (text: string) => void) {
    this.services = services;
    this.warn = warn;
  }

  private read(): void {
    if (this.epoch === this.services.epoch) return;
    this.epoch = this.services.epoch;
    this.own = new Map();
    this.rules = new Map();
    for (const service of this.services.all.values())
      for (const binding of rulesOf(service, this.warn)) {
        const { first } = binding.template!;
        this.rules.set(first, [...(this.rules.get(first) ?? []), binding]);
      }
    for (const list of this.rules.values()) list.sort((one, other) => other.template!.rank - one.template!.rank);
  }

  /** How a method is called at its own path. */
  ownOf(method: Method, verb: 'GET' | 'POST'): Binding {
    this.read();
    const key = `${verb} ${method.service.name}/${method.name}`;
    let binding = this.own.get(key);
    if (binding === undefined) this.own.set(key, (binding = ownBinding(method, verb)));
    return binding;
  }

  find(verb: string, path: string): Found {
    this.read();
    if (this.rules.size === 0) return null;
    const stop = path.search(/[/:]/g) === 0 ? path.slice(1).search(/[/:]/) + 1 : -1;
    const first = path.slice(1, stop > 0 ? stop : undefined);
    const verbs = new Set<string>();
    for (const list of [this.rules.get(first), this.rules.get('')])
      for (const binding of list ?? []) {
        const captured = binding.template!.match(path);
        if (captured === null) continue;
        if (binding.verb === verb) return { binding, captured };
        verbs.add(binding.verb);
      }
    return verbs.size === 0 ? null : { verbs: [...verbs] };
  }
}

const paths = new WeakMap<Services, Paths>();

function pathsOf(host: OpenapiHost): Paths | null {
  const { services } = host.resources;
  if (services === undefined) return null;
  let known = paths.get(services);
  if (known === undefined) {
    known = new Paths(services, (text) => host.log.warn('a path of a service is not served', { why: text }));
    paths.set(services, known);
  }
  return known;
}

/** `/services/…`: the list, what there is to a service, and the methods. */
export function serveServices(host: OpenapiHost): ExchangeHandler {
  return (exchange) => {
    const { path, query } = splitTarget(exchange.target);
    const [service = '', method = '', ...more] = path.slice(PREFIX.length).split('/');
    if (path === SCRIPT_PATH) answerBytes(exchange, 200, SCRIPT_FIELDS, SCRIPT);
    else if (service === '' && more.length === 0) list(host, exchange);
    else if (method === '' && more.length === 0) describe(host, exchange, service);
    else {
      const { services } = host.resources;
      const found = more.length > 0 ? null : (services?.method(service, method) ?? null);
      if (found === null) refuse(exchange, faults.noService);
      else callOwn(host, exchange, found, query);
    }
  };
}

const PAGE_FIELDS = Fields.of({
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}).fix();
const SCRIPT_FIELDS = Fields.of({ 'content-type': 'text/javascript; charset=utf-8' }).fix();

function callOwn(host: OpenapiHost, exchange: Exchange, method: Method, query: string): void {
  const verb = exchange.method === 'HEAD' ? 'GET' : exchange.method;
  const safe = method.idempotency === 'safe' && (method.kind === 'unary' || method.kind === 'server');
  if (verb === 'POST' || (verb === 'GET' && safe)) {
    // A client that says it may come again gets no streams by accident: HEAD of one is its head alone.
    beginCall(host, exchange, pathsOf(host)!.ownOf(method, verb), [], query);
    return;
  }
  refuseVerb(exchange, safe ? ['GET', 'HEAD', 'POST'] : ['POST']);
}

function refuseVerb(exchange: Exchange, verbs: readonly string[]): void {
  const fields = Fields.of({ allow: [...new Set([...verbs, 'OPTIONS'])].join(', ') });
  if (exchange.method === 'OPTIONS') answerNothing(exchange, 204, fields);
  else refuse(exchange, faults.methodUnknown, '', fields);
}

/** Whether it asks for what is there; else it is refused. */
function isRead(exchange: Exchange): boolean {
  if (exchange.method === 'GET' || exchange.method === 'HEAD') return true;
  refuseVerb(exchange, ['GET', 'HEAD']);
  return false;
}

function list({ resources: { services } }: OpenapiHost, exchange: Exchange): void {
  if (!isRead(exchange)) return;
  if (prefers(exchange.fields, 'text/html')) {
    answerBytes(exchange, 200, PAGE_FIELDS, PAGE);
    return;
  }
  const shown = [...(services?.all.values() ?? [])].flatMap((service) => {
    const methods = [...service.methods.values()].filter((method) => services!.may(exchange.caller, method));
    if (methods.length === 0) return [];
    return [{ name: service.name, description: service.description, methods: methods.map(({ name }) => name) }];
  });
  answerJson(exchange, 200, { services: shown });
}

function describe(host: OpenapiHost, exchange: Exchange, name: string): void {
  const { services } = host.resources;
  const service = services?.all.get(name);
  const methods = [...(service?.methods.values() ?? [])].filter((method) => services!.may(exchange.caller, method));
  if (service === undefined || methods.length === 0) {
    refuse(exchange, faults.noService);
    return;
  }
  if (!isRead(exchange)) return;
  answerJson(exchange, 200, {
    name,
    description: service.description,
    methods: methods.map(({ name: own, kind, description, idempotency, deprecated, http, input, output }) => ({
      name: own,
      kind,
      description,
      idempotency,
      ...(deprecated ? { deprecated } : {}),
      input: input.name,
      output: output.name,
      http: http.map(({ method: verb, path }) => `${verb} ${path}`),
    })),
  });
}

/** Whether a request is for a path of a service's own. */
export function claimRules(host: OpenapiHost): (exchange: Exchange, path: string) => boolean {
  return (exchange, path) => exchange.upgrade === '' && pathsOf(host)?.find(verbOf(exchange), path) != null;
}

const verbOf = ({ method }: Exchange) => (method === 'HEAD' ? 'GET' : method);

/** Those requests. */
export function serveRules(host: OpenapiHost): ExchangeHandler {
  return (exchange) => {
    const { path, query } = splitTarget(exchange.target);
    const found = pathsOf(host)?.find(verbOf(exchange), path) ?? null;
    if (found === null) refuse(exchange, faults.noService);
    else if ('verbs' in found)
      refuseVerb(exchange, found.verbs.includes('GET') ? [...found.verbs, 'HEAD'] : found.verbs);
    else beginCall(host, exchange, found.binding, found.captured, query);
  };
}

/** `/openapi.json`: what the caller may call. */
export function serveDocument(host: OpenapiHost): ExchangeHandler {
  return (exchange) => {
    if (!isRead(exchange)) return;
    const { services } = host.resources;
    const may = (method: Method) => services!.may(exchange.caller, method);
    answerJson(exchange, 200, openapiDocument([...(services?.all.values() ?? [])], may));
  };
}

/** `/asyncapi.json` */
export function serveAsyncapi(host: OpenapiHost): ExchangeHandler {
  return (exchange) => {
    if (!isRead(exchange)) return;
    const { services } = host.resources;
    const may = (method: Method) => services!.may(exchange.caller, method);
    const isSecure = exchange.peer.tls !== null;
    const websocket: AsyncServer = { host: exchange.authority, protocol: isSecure ? 'wss' : 'ws' };
    answerJson(exchange, 200, asyncapiDocument([...(services?.all.values() ?? [])], may, { websocket }));
  };
}
