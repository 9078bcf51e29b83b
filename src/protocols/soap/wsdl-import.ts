// A WSDL 1.1 as a neutral service, with how each operation goes over SOAP. What has no form here is left out, and noted. It fetches
// nothing and calls nobody.

import { freeName, typeName } from '../../formats/schema/own-names.ts';
import type { EnumType, MessageType } from '../../formats/schema/types.ts';
import { EMPTY_NAME } from '../../formats/schema/types.ts';
import { type XmlMessage, XmlTypes, XSI_NAMESPACE } from '../../formats/schema/xml.ts';
import { type FieldGiven, PLAIN, XsdError, XsdImport } from '../../formats/schema/xsd-import.ts';
import { escapeAttribute } from '../../formats/xml/chars.ts';
import type { XmlElement } from '../../formats/xml/tree.ts';
import type { Method, Service } from '../../resources/services/contract.ts';
import type { ClientOperation } from './client.ts';
import { packageOf, type Version, WSDL, WSDL_SOAP_11, WSDL_SOAP_12 } from './names.ts';
import { type WsdlDocuments, WsdlError } from './wsdl-documents.ts';

export interface ImportedService {
  readonly service: Service;
  /** By the names of their methods. */
  readonly operations: ReadonlyMap<string, ClientOperation>;
  /** What was left out, and why. */
  readonly notes: readonly string[];
}

export interface ImportOptions {
  /** With its package: `partner.v1.Shop`. */
  readonly name: string;
  /** The port whose operations are taken; '' for the first of SOAP 1.1 of each port type, or else of SOAP 1.2. */
  readonly port: string;
  /** Operations that change nothing, which no WSDL says. */
  readonly safe: readonly string[];
}

const ONE_ANSWER_MS = 60_000;
const HTTP_TRANSPORTS = new Set([
  'http://schemas.xmlsoap.org/soap/http',
  'http://www.w3.org/2003/05/soap/bindings/HTTP/',
]);
const ADDRESSING_ACTIONS = [
  '{http://www.w3.org/2007/05/addressing/metadata}Action',
  '{http://www.w3.org/2006/05/addressing/wsdl}Action',
];

/** Throws a `WsdlError`. */
export function importWsdl(documents: WsdlDocuments, options: ImportOptions): ImportedService {
  return new Importing(documents, options).imported();
}

interface Named {
  readonly node: XmlElement;
  readonly namespace: string;
}

interface Port {
  readonly name: string;
  readonly binding: Named;
  readonly soap: XmlElement;
  readonly version: Version;
  readonly location: string;
  readonly isAddressed: boolean;
}

/** One operation, before its codecs are made. */
interface Draft {
  readonly name: string;
  readonly port: Port;
  readonly action: string;
  readonly description: string;
  readonly input: Body;
  readonly output: Body;
  readonly faults: readonly { readonly local: string; readonly message: MessageType }[];
}

/** What stands in a Body. */
interface Body {
  readonly uri: string;
  /** '' for nothing. */
  readonly local: string;
  readonly message: MessageType;
}

class Importing {
  private readonly documents: WsdlDocuments;
  private readonly options: ImportOptions;
  private readonly types: XsdImport;
  private readonly notes: string[] = [];
  private readonly drafts = new Map<string, Draft>();
  private readonly empty: MessageType = { kind: 'message', name: EMPTY_NAME, fields: [] };

  constructor(documents: WsdlDocuments, options: ImportOptions) {
    this.documents = documents;
    this.options = options;
    this.types = new XsdImport(packageOf(options.name));
    for (const { node, namespace } of documents.schemas) this.types.add(node, namespace);
  }

  imported(): ImportedService {
    for (const port of this.ports()) {
      const rpc = port.soap.attributes.get('style') === 'rpc';
      for (const node of childrenOf(port.binding.node, 'operation')) {
        const name = node.attributes.get('name') ?? '';
        try {
          const draft = this.operation(node, name, port, rpc);
          this.drafts.set(freeName(typeName(name), this.drafts), draft);
        } catch (error) {
          if (!(error instanceof XsdError || error instanceof WsdlError)) throw error;
          this.notes.push(`the operation ${name} is left out: ${error.message}`);
        }
      }
    }
    this.types.settle();
    for (const [own, draft] of [...this.drafts]) this.settled(own, draft);
    if (this.drafts.size === 0)
      throw new WsdlError(
        `the description has no operation that can be called${this.notes.map((note) => `; ${note}`).join('')}`,
      );
    return this.compiled();
  }

  // ---- ports -------------------------------------------------------------------------------------------------------

  private ports(): Port[] {
    const all = this.documents.definitions
      .flatMap((definitions) => childrenOf(definitions, 'service'))
      .flatMap((service) => childrenOf(service, 'port'))
      .flatMap((port) => this.port(port) ?? []);
    const { port: wanted } = this.options;
    if (wanted !== '') {
      const found = all.filter(({ name }) => name === wanted);
      if (found.length > 0) return found.slice(0, 1);
      throw new WsdlError(`there is no port ${wanted}; there are ${all.map(({ name }) => name).join(', ') || 'none'}`);
    }
    const chosen = new Map<string, Port>();
    for (const port of all) {
      const [type = ''] = port.binding.node.names.get('type') ?? [];
      const known = chosen.get(type);
      if (known === undefined || (known.version === 12 && port.version === 11)) chosen.set(type, port);
    }
    if (chosen.size === 0) throw new WsdlError('the description has no port of SOAP over HTTP');
    return [...chosen.values()];
  }

  private port(node: XmlElement): Port | null {
    const name = node.attributes.get('name') ?? '';
    const address = node.children.find(({ uri, local }) => local === 'address' && isSoap(uri));
    const [bindingName = ''] = node.names.get('binding') ?? [];
    const binding = this.named('binding', bindingName);
    const soap = binding?.node.children.find(({ uri, local }) => local === 'binding' && isSoap(uri));
    const location = address?.attributes.get('location')?.trim() ?? '';
    if (binding === null || soap === undefined || !/^https?:/i.test(location)) return null;
    const transport = soap.attributes.get('transport') ?? '';
    if (transport !== '' && !HTTP_TRANSPORTS.has(transport)) return null;
    const version: Version = soap.uri === WSDL_SOAP_12 ? 12 : 11;
    return {
      name,
      binding,
      soap,
      version,
      location,
      isAddressed: this.isAddressed(node) || this.isAddressed(binding.node),
    };
  }

  /** It, or a policy that it refers to, asks for WS-Addressing. */
  private isAddressed(node: XmlElement, depth = 0): boolean {
    if (depth > 16) return false;
    return node.children.some((child) => {
      if (child.local === 'UsingAddressing') return true;
      if (child.local === 'Addressing' && child.uri.includes('addressing')) return true;
      if (child.local === 'PolicyReference') {
        const policy = this.policy(child.attributes.get('URI') ?? '');
        return policy !== undefined && this.isAddressed(policy, depth + 1);
      }
      return /^(?:Policy|All|ExactlyOne)$/.test(child.local) && this.isAddressed(child, depth + 1);
    });
  }

  private policy(reference: string): XmlElement | undefined {
    if (!reference.startsWith('#')) return undefined;
    const id = reference.slice(1);
    return this.documents.definitions
      .flatMap(({ children }) => children)
      .find(
        ({ local, attributes }) =>
          local === 'Policy' && [...attributes].some(([key, value]) => key.endsWith('}Id') && value === id),
      );
  }

  /** A message, port type or binding by its `{uri}local`. */
  private named(kind: string, name: string): Named | null {
    for (const definitions of this.documents.definitions) {
      const namespace = definitions.attributes.get('targetNamespace') ?? '';
      const node = childrenOf(definitions, kind).find(
        ({ attributes }) => `{${namespace}}${attributes.get('name')}` === name,
      );
      if (node !== undefined) return { node, namespace };
    }
    return null;
  }

  // ---- operations --------------------------------------------------------------------------------------------------

  private operation(node: XmlElement, name: string, port: Port, isPortRpc: boolean): Draft {
    const soap = node.children.find(({ uri, local }) => local === 'operation' && isSoap(uri));
    const style = soap?.attributes.get('style');
    const isRpc = style === undefined ? isPortRpc : style === 'rpc';
    const [typeOf = ''] = port.binding.node.names.get('type') ?? [];
    const portType = this.named('portType', typeOf);
    const said = portType === null ? [] : childrenOf(portType.node, 'operation');
    // Operations may share a name, and differ by that of their input.
    const inputName = childrenOf(node, 'input')[0]?.attributes.get('name');
    const same = said.filter(({ attributes }) => attributes.get('name') === name);
    const abstract = same.find((each) => childrenOf(each, 'input')[0]?.attributes.get('name') === inputName) ?? same[0];
    if (abstract === undefined) throw new WsdlError('its port type does not have it');
    const [input] = childrenOf(abstract, 'input');
    const [output] = childrenOf(abstract, 'output');
    if (input === undefined) throw new WsdlError('it is told by the server, and not called');
    const own = typeName(name);
    const [boundIn] = childrenOf(node, 'input');
    const [boundOut] = childrenOf(node, 'output');
    const given = { isRpc, name };
    const addressed = ADDRESSING_ACTIONS.map((key) => input.attributes.get(key)).find((action) => action !== undefined);
    const action = soap?.attributes.get('soapAction') ?? '';
    return {
      ...{ name, port, action: port.isAddressed ? (addressed ?? action) : action },
      description: documentationOf(abstract),
      input: this.body(messageName(input), boundIn, { ...given, place: `${own}Request`, element: name }),
      output:
        output === undefined
          ? { uri: '', local: '', message: this.empty }
          : this.body(messageName(output), boundOut, { ...given, place: `${own}Response`, element: `${name}Response` }),
      faults: childrenOf(abstract, 'fault').flatMap((fault) => this.fault(fault)),
    };
  }

  private body(
    name: string,
    bound: XmlElement | undefined,
    { isRpc, place, element }: { readonly isRpc: boolean; readonly place: string; readonly element: string },
  ): Body {
    const soap = soapIn(bound, 'body')[0];
    if (soap?.attributes.get('use') === 'encoded')
      throw new WsdlError('it has values in SOAP encoding, which is not spoken');
    const found = this.named('message', name);
    if (found === null) throw new WsdlError(`there is no message ${name}`);
    const only = soap?.attributes.get('parts')?.split(/\s+/).filter(Boolean);
    // Parts of the same message that go as headers are not in the body.
    const others = soapIn(bound, 'header')
      .filter((header) => messageName(header) === name)
      .map((header) => header.attributes.get('part') ?? '');
    const parts = childrenOf(found.node, 'part').filter(({ attributes }) => {
      const part = attributes.get('name') ?? '';
      return only === undefined ? !others.includes(part) : only.includes(part);
    });
    if (isRpc) {
      const message =
        parts.length === 0
          ? this.empty
          : this.types.message(
              place,
              parts.map((part) => this.part(part)),
            );
      return { uri: soap?.attributes.get('namespace') ?? found.namespace, local: element, message };
    }
    const [part, second] = parts;
    if (part === undefined) return { uri: '', local: '', message: this.empty };
    if (second !== undefined) throw new WsdlError(`the message ${name} has several parts in its body`);
    const [elementName] = part.names.get('element') ?? [];
    if (elementName === undefined)
      throw new WsdlError(`the part of the message ${name} has a type, where an element belongs`);
    return this.types.element(elementName, place);
  }

  /** A part of a message in RPC style: an element without a namespace (WS-I Basic Profile 1.1 R2735). */
  private part(node: XmlElement): FieldGiven {
    const local = node.attributes.get('name') ?? '';
    const [type] = node.names.get('type') ?? [];
    if (type === undefined) throw new WsdlError(`the part ${local} has no type`);
    return { ...PLAIN, local, uri: '', as: 'element', held: this.types.type(type, typeName(local)) };
  }

  private fault(node: XmlElement): { readonly local: string; readonly message: MessageType }[] {
    const message = this.named('message', messageName(node));
    const [part] = message === null ? [] : childrenOf(message.node, 'part');
    const [name] = part?.names.get('element') ?? [];
    if (name === undefined || name === '{urn:portico:error}Error') return [];
    try {
      return [this.types.element(name, typeName(name.slice(name.indexOf('}') + 1)))];
    } catch (error) {
      if (!(error instanceof XsdError)) throw error;
      this.notes.push(`the fault ${name} has no type here: ${error.message}`);
      return [];
    }
  }

  /** Leaves out an operation, or a fault of it, whose types are not whole. */
  private settled(own: string, draft: Draft): void {
    const { name, input, output, faults } = draft;
    const problem = this.types.problemOf(input.message) || this.types.problemOf(output.message);
    if (problem !== '') {
      this.drafts.delete(own);
      this.notes.push(`the operation ${name} is left out: ${problem}`);
      return;
    }
    const whole = faults.filter(({ local, message }) => {
      const wrong = this.types.problemOf(message);
      if (wrong !== '') this.notes.push(`the fault ${local} of ${name} has no type here: ${wrong}`);
      return wrong === '';
    });
    this.drafts.set(own, { ...draft, faults: whole });
  }

  // ---- the service -------------------------------------------------------------------------------------------------

  private compiled(): ImportedService {
    const { types } = this;
    const drafts = [...this.drafts];
    const safe = new Set(this.options.safe);
    const unknown = [...safe].filter((name) => drafts.every(([own, draft]) => own !== name && draft.name !== name));
    if (unknown.length > 0) throw new WsdlError(`there is no operation ${unknown.join(', ')}`);
    types.keep(drafts.flatMap(([, { input, ...ends }]) => [input.message, ...endsOf(ends)]));
    types.relax(drafts.flatMap(([, ends]) => endsOf(ends)));
    types.types.set(EMPTY_NAME, this.empty as MessageType | EnumType);
    const methods = new Map<string, Method>();
    const operations = new Map<string, ClientOperation>();
    const service: Service = {
      ...{ name: this.options.name, methods, schema: types.schema, origin: 'upstream' },
      description: documentationOf(this.documents.definitions[0]!),
    };
    const codecs = new XmlTypes(types.schema, { namespace: '', lenient: true, bindingOf: types.bindingOf });
    for (const [own, draft] of drafts) {
      const { input, output, description, port, action, faults } = draft;
      const method: Method = {
        ...{ name: own, service, kind: 'unary', input: input.message, output: output.message, description },
        idempotency: safe.has(own) || safe.has(draft.name) ? 'safe' : 'none',
        ...{ http: [], deprecated: false, deadlineMs: ONE_ANSWER_MS },
      };
      methods.set(own, method);
      const tag = types.tag(input.uri, input.local);
      const details = new Map<string, { type: string; message: XmlMessage }>();
      for (const { local, message } of faults)
        details.set(local, { type: message.name, message: codecs.message(message) });
      operations.set(own, {
        ...{ method, version: port.version, location: port.location, action, details },
        open: input.local === '' ? '' : `<${tag}${this.declarations(input)}`,
        close: `</${tag}>`,
        input: codecs.message(input.message),
        output: codecs.message(output.message),
        isAddressed: port.isAddressed,
      });
    }
    return { service, operations, notes: [...this.notes, ...types.notes] };
  }

  private declarations({ uri, message }: Body): string {
    let text = ` xmlns:xsi="${XSI_NAMESPACE}"`;
    for (const [prefix, each] of this.types.prefixesOf(message, uri))
      text += ` xmlns:${prefix}="${escapeAttribute(each)}"`;
    return text;
  }
}

/** What may come back. */
function endsOf({ output, faults }: Pick<Draft, 'output' | 'faults'>): MessageType[] {
  return [output.message, ...faults.map(({ message }) => message)];
}

function isSoap(uri: string): boolean {
  return uri === WSDL_SOAP_11 || uri === WSDL_SOAP_12;
}

function childrenOf({ children }: XmlElement, name: string): XmlElement[] {
  return children.filter(({ uri, local }) => uri === WSDL && local === name);
}

function messageName(node: XmlElement): string {
  return node.names.get('message')?.[0] ?? '';
}

/** soap:body and soap:header, which may stand within a part of MIME. */
function soapIn(node: XmlElement | undefined, name: 'body' | 'header'): XmlElement[] {
  return (node?.children ?? []).flatMap((child) => {
    if (child.local === name && isSoap(child.uri)) return [child];
    return child.local === 'multipartRelated' || child.local === 'part' ? soapIn(child, name) : [];
  });
}

function documentationOf(node: XmlElement): string {
  const [found] = childrenOf(node, 'documentation');
  return found?.text.replace(/\s+/g, ' ').trim().slice(0, 4_096) ?? '';
}
