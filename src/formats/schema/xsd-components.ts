// What the schemas of somebody else have at their outermost, by kind and name, and what stands for or extends what.
import type { XmlElement } from '../xml/tree.ts';
import { XSD_NAMESPACE } from './xsd.ts';

export interface Component {
  readonly node: XmlElement;
  readonly space: Space;
}

/** What a schema says of all that stands in it. */
export interface Space {
  readonly namespace: string;
  readonly areElementsQualified: boolean;
  readonly areAttributesQualified: boolean;
}

export class XsdComponents {
  private readonly all = new Map<string, Component>();
  /** Of schemas that this server writes (`xsd.ts`). */
  private readonly ours = new Set<XmlElement>();
  /** Global elements by the name of that which they may stand for. */
  private readonly substitutes = new Map<string, Component[]>();
  /** Complex types by what they extend; made when it is asked for. */
  private extensions: Map<XmlElement, Component[]> | null = null;
  private readonly step: () => void;

  /** @param step counts against what one import may cost */
  constructor(step: () => void) {
    this.step = step;
  }

  /** Adds an xsd:schema. @param namespace that it takes when it has none, since one that has includes it */
  add(schema: XmlElement, namespace: string): void {
    const { attributes, children } = schema;
    const space: Space = {
      namespace: attributes.get('targetNamespace') ?? namespace,
      areElementsQualified: attributes.get('elementFormDefault') === 'qualified',
      areAttributesQualified: attributes.get('attributeFormDefault') === 'qualified',
    };
    for (const node of children) {
      const name = node.attributes.get('name');
      if (node.uri !== XSD_NAMESPACE || name === undefined) continue;
      const kind = node.local === 'complexType' || node.local === 'simpleType' ? 'type' : node.local;
      const key = `${kind} {${space.namespace}}${name}`;
      if (this.all.has(key)) continue;
      const component: Component = { node, space };
      this.all.set(key, component);
      const [head] = node.names.get('substitutionGroup') ?? [];
      if (kind === 'element' && head !== undefined) put(this.substitutes, head, component);
      if (space.namespace.startsWith('urn:portico:')) this.ours.add(node);
    }
  }

  /** @param kind type, element, attribute, group or attributeGroup @param name `{uri}local` @param space where it is named */
  find(kind: string, name: string, space: Space | null): Component | null {
    const found = this.all.get(`${kind} ${name}`);
    // Of a schema that has no namespace but that of who includes it.
    if (found === undefined && space !== null && name.startsWith('{}'))
      return this.all.get(`${kind} {${space.namespace}}${name.slice(2)}`) ?? null;
    return found ?? null;
  }

  isOurs(node: XmlElement): boolean {
    return this.ours.has(node);
  }

  /** The elements that may stand for one, and those that may stand for them. */
  substitutesOf(head: Component): readonly Component[] {
    return this.closure(head, ({ node, space }) =>
      this.substitutes.get(`{${space.namespace}}${node.attributes.get('name')}`),
    );
  }

  /** Complex types that extend one, and those that extend them. */
  derivedOf(base: Component): readonly Component[] {
    this.extensions ??= this.extensionsOf();
    const { extensions } = this;
    return this.closure(base, ({ node }) => extensions.get(node));
  }

  private closure(from: Component, next: (of: Component) => readonly Component[] | undefined): readonly Component[] {
    const found = new Map<XmlElement, Component>();
    const waiting = [from];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop())
      for (const component of next(at) ?? []) {
        this.step();
        if (component.node === from.node || found.has(component.node)) continue;
        found.set(component.node, component);
        waiting.push(component);
      }
    return [...found.values()];
  }

  private extensionsOf(): Map<XmlElement, Component[]> {
    const found = new Map<XmlElement, Component[]>();
    for (const component of this.all.values()) {
      const content = component.node.children.find(({ local }) => local === 'complexContent');
      const [name] = content?.children.find(({ local }) => local === 'extension')?.names.get('base') ?? [];
      const base = name === undefined ? null : this.find('type', name, component.space);
      if (base !== null) put(found, base.node, component);
    }
    return found;
  }
}

function put<Key>(into: Map<Key, Component[]>, key: Key, component: Component): void {
  const known = into.get(key);
  if (known === undefined) into.set(key, [component]);
  else known.push(component);
}
