// Services at `/soap/<name>`: described to who asks with GET, called with POST.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import type { Host } from '../../core/protocol.ts';
import type { Accounts } from '../../resources/accounts/contract.ts';
import type { Service, Services } from '../../resources/services/contract.ts';
import { answerBytes, answerProblem } from '../http/answers.ts';
import { Guard, isRefusal } from '../http/guard.ts';
import { splitTarget } from '../http/target.ts';
import { hold } from '../http/waiting.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { SoapCall, type SoapParts } from './server-call.ts';
import { TokenSignIn } from './server-security.ts';
import { soapService } from './services.ts';
import { errorSchemaDocument, schemaDocument, wsdlDocument } from './wsdl.ts';

/** What SOAP uses of a server. */
export type SoapHost = Host<{ readonly accounts: Accounts; readonly services?: Services }, typeof limits>;

export const PREFIX = '/soap/';

/** All below `/soap/`. Who asks is found out here, since a message may say so itself. */
export function serveSoap(host: SoapHost): ExchangeHandler {
  const { accounts } = host.resources;
  // Hosts and origins were looked at before; this one only says who somebody is.
  const guard = new Guard({ accounts, hosts: [], origins: [] });
  const tokens = new TokenSignIn(accounts, host.limits, host.clock);
  const parts: SoapParts = { host, tokens };
  return (exchange) => {
    const { method } = exchange;
    const { path } = splitTarget(exchange.target);
    const name = path.slice(PREFIX.length);
    if (method !== 'POST' && method !== 'GET' && method !== 'HEAD') {
      refuse(exchange, faults.methodUnknown, Fields.of({ allow: 'GET, HEAD, POST' }));
      return;
    }
    const known = guard.callerOf(exchange, (answer) => goOn(() => enter(answer)));
    const enter = (answer: NonNullable<typeof known>): void => {
      if (method === 'POST') new SoapCall(parts, exchange, name, answer).begin();
      else if (isRefusal(answer)) {
        const { status, detail, fields = {} } = answer;
        answerProblem(exchange, status, detail, Fields.of(fields));
      } else {
        exchange.caller = answer;
        describe(host, exchange, name);
      }
    };
    const goOn = known === null ? hold(exchange) : () => {};
    if (known !== null) enter(known);
  };
}

function refuse(exchange: Exchange, fault: Fault, fields = new Fields(), detail = fault.text): void {
  answerProblem(exchange, fault.wire, detail, fields);
}

/** A service that the caller may see anything of. */
function serviceFor({ resources: { services } }: SoapHost, exchange: Exchange, name: string): Service | null {
  const service = services?.all.get(name);
  if (services === undefined || service === undefined) return null;
  for (const method of service.methods.values()) if (services.may(exchange.caller, method)) return service;
  return null;
}

/** `?wsdl`, `?xsd=types`, `?xsd=error`. */
function describe(host: SoapHost, exchange: Exchange, name: string): void {
  const service = serviceFor(host, exchange, name);
  if (service === null) {
    refuse(exchange, faults.noService, new Fields(), `There is no service ${JSON.stringify(name)} here.`);
    return;
  }
  const soap = soapService(service);
  const query = splitTarget(exchange.target).query.toLowerCase();
  if (query === 'wsdl' || query === 'singlewsdl') answerXml(exchange, wsdlDocument(soap, locationOf(exchange, name)));
  else if (query === 'xsd=types') answerXml(exchange, schemaDocument(soap));
  else if (query === 'xsd=error') answerXml(exchange, errorSchemaDocument());
  else
    refuse(
      exchange,
      faults.methodUnknown,
      Fields.of({ allow: 'GET, HEAD, POST' }),
      `This service is described at ${PREFIX}${name}?wsdl.`,
    );
}

function answerXml(exchange: Exchange, text: string): void {
  const fields = Fields.of({ 'content-type': 'text/xml; charset=utf-8', 'cache-control': 'no-cache' });
  answerBytes(exchange, 200, fields.append('x-content-type-options', 'nosniff'), Buffer.from(text));
}

/** Where this service is called, as this client reaches it. */
function locationOf({ peer, authority }: Exchange, name: string): string {
  const isSecure = peer.tls !== null || (peer.below !== null && peer.below.tls !== null);
  return `${isSecure ? 'https' : 'http'}://${authority === '' ? 'localhost' : authority}${PREFIX}${name}`;
}
