// What can be wrong with an XML document, each with the clause that it breaks. Protocols put them into their own words.

export interface XmlFault {
  readonly name: string;
  readonly spec: string;
  readonly text: string;
}

function fault(name: string, spec: string, text: string): XmlFault {
  return Object.freeze({ name, spec, text });
}

export const XML_FAULTS = {
  notUtf8: fault('notUtf8', 'XML 1.0 §4.3.3', 'The document is not in the encoding that it says, or in UTF-8.'),
  encoding: fault('encoding', 'XML 1.0 §4.3.3', 'This encoding is not read: send UTF-8, or UTF-16 with its mark.'),
  version: fault('version', 'XML 1.0 §2.8', 'The XML declaration is malformed, or of another version than 1.0.'),
  dtd: fault('dtd', 'SOAP 1.2 §5', 'A document type declaration is never read.'),
  instruction: fault('instruction', 'SOAP 1.2 §5', 'There may be no processing instructions.'),
  entity: fault(
    'entity',
    'XML 1.0 §4.1',
    'Only the entities amp, lt, gt, quot and apos and references to characters are known.',
  ),
  character: fault('character', 'XML 1.0 §2.2', 'There is a character that XML does not have.'),
  name: fault('name', 'Namespaces in XML 1.0 §3', 'A name is malformed.'),
  tag: fault('tag', 'XML 1.0 §3.1', 'A tag or an attribute is malformed.'),
  mismatch: fault('mismatch', 'XML 1.0 §3', 'An end tag does not fit the start tag.'),
  twice: fault('twice', 'XML 1.0 §3.1', 'An attribute is there twice.'),
  prefix: fault('prefix', 'Namespaces in XML 1.0 §5', 'A prefix is not declared, or must not be declared so.'),
  comment: fault('comment', 'XML 1.0 §2.5', 'A comment is malformed.'),
  outside: fault('outside', 'XML 1.0 §2.1', 'There is something beside the one root element.'),
  cut: fault('cut', 'XML 1.0 §2.1', 'The document ends too early.'),
  mixed: fault('mixed', 'XML Schema Part 1 §3.4.2', 'There is text where only elements may be.'),
  children: fault('children', 'XML Schema Part 1 §3.4.2', 'There are elements where only text may be.'),
  depth: fault('depth', 'docs/soap.md §Limits', 'Elements are nested too deeply.'),
  attributes: fault('attributes', 'docs/soap.md §Limits', 'An element has too many attributes.'),
  namespaces: fault('namespaces', 'docs/soap.md §Limits', 'Too many namespaces are declared at once.'),
  nameLength: fault('nameLength', 'docs/soap.md §Limits', 'A name is too long.'),
} as const;
