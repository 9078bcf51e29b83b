// A service as SOAP has it: its operations with codecs of their values, made once from its description.
import { type XmlMessage, XmlTypes } from '../../formats/schema/xml.ts';
import { escapeAttribute } from '../../formats/xml/chars.ts';
import type { Method, Service } from '../../resources/services/contract.ts';
import { actionOf, namespaceOf } from './names.ts';

export interface Operation {
  readonly method: Method;
  readonly input: XmlMessage;
  readonly output: XmlMessage;
  /** The tags around the output. */
  readonly open: string;
  readonly close: string;
  readonly action: string;
  readonly answerAction: string;
}

export interface SoapService {
  readonly service: Service;
  readonly namespace: string;
  readonly types: XmlTypes;
  /** Those that are called with one message and answered with one. */
  readonly operations: ReadonlyMap<string, Operation>;
}

const compiled = new WeakMap<Service, SoapService>();

export function soapService(service: Service): SoapService {
  let found = compiled.get(service);
  if (found === undefined) {
    found = compile(service);
    compiled.set(service, found);
  }
  return found;
}

function compile(service: Service): SoapService {
  const namespace = namespaceOf(service.name);
  const types = new XmlTypes(service.schema, { namespace });
  const operations = new Map<string, Operation>();
  for (const method of service.methods.values()) {
    if (method.kind !== 'unary') continue;
    const { name } = method;
    operations.set(name, {
      method,
      input: types.message(method.input),
      output: types.message(method.output),
      open: `<${name}Response xmlns="${escapeAttribute(namespace)}">`,
      close: `</${name}Response>`,
      action: actionOf(service.name, name),
      answerAction: actionOf(service.name, `${name}Response`),
    });
  }
  return { service, namespace, types, operations };
}
