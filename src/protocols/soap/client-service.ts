// A service that is described here as its client calls it at a server of this kind: no WSDL is needed.
import { XmlTypes } from '../../formats/schema/xml.ts';
import { escapeAttribute } from '../../formats/xml/chars.ts';
import type { Service } from '../../resources/services/contract.ts';
import type { ClientOperation } from './client.ts';
import { actionOf, namespaceOf, type Version } from './names.ts';

/** Its operations by the names of their methods. @param location where it is called */
export function operationsOf(service: Service, location: string, version: Version): Map<string, ClientOperation> {
  const namespace = namespaceOf(service.name);
  const types = new XmlTypes(service.schema, { namespace, lenient: true });
  const details = {
    get: (name: string) => {
      const type = service.schema.types.get(name);
      return type?.kind === 'message' ? { type: name, message: types.message(type) } : undefined;
    },
  };
  const operations = new Map<string, ClientOperation>();
  for (const method of service.methods.values()) {
    if (method.kind !== 'unary') continue;
    const { name } = method;
    operations.set(name, {
      ...{ method, version, location, details, isAddressed: false },
      action: actionOf(service.name, name),
      open: `<${name} xmlns="${escapeAttribute(namespace)}"`,
      close: `</${name}>`,
      input: types.message(method.input),
      output: types.message(method.output),
    });
  }
  return operations;
}
