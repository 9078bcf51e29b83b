// Envelopes written, with answers and faults in them.
import type { XmlWriting } from '../../formats/schema/xml.ts';
import { escapeAttribute, escapeText, isWritable } from '../../formats/xml/chars.ts';
import type { CodeName } from '../../resources/services/status.ts';
import { ADDRESSING, ANONYMOUS, ENVELOPE_11, ENVELOPE_12, ERROR_NAMESPACE, SECURITY, type Version } from './names.ts';

export const DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n';

const OPEN_11 = `${DECLARATION}<soap:Envelope xmlns:soap="${ENVELOPE_11}">`;
const OPEN_12 = `${DECLARATION}<soap:Envelope xmlns:soap="${ENVELOPE_12}">`;
const BODY = '<soap:Body>';
const CLOSE = '</soap:Body></soap:Envelope>';

/** An envelope around what stands in its body. @param header elements of the header; '' for none */
export function envelope(version: Version, header: string, body: string): string {
  const open = version === 11 ? OPEN_11 : OPEN_12;
  return header === ''
    ? open + BODY + body + CLOSE
    : `${open}<soap:Header>${header}</soap:Header>${BODY}${body}${CLOSE}`;
}

/** The headers of an answer to a request that had some of WS-Addressing (WS-Addressing Core §3.4). */
export function addressingHeader(action: string, relatesTo: string, messageId: string): string {
  const related = relatesTo === '' ? '' : `<wsa:RelatesTo>${escapeText(relatesTo)}</wsa:RelatesTo>`;
  return (
    `<wsa:Action xmlns:wsa="${ADDRESSING}">${escapeText(action)}</wsa:Action>` +
    `<wsa:MessageID xmlns:wsa="${ADDRESSING}">${escapeText(messageId)}</wsa:MessageID>` +
    `<wsa:To xmlns:wsa="${ADDRESSING}">${ANONYMOUS}</wsa:To>` +
    related.replace('<wsa:RelatesTo>', `<wsa:RelatesTo xmlns:wsa="${ADDRESSING}">`)
  );
}

/** Headers that were not understood (SOAP 1.2 §5.4.8). */
export function notUnderstoodHeader(names: readonly (readonly [string, string])[]): string {
  return names
    .map(
      ([namespace, local]) =>
        `<soap:NotUnderstood xmlns:n="${escapeAttribute(namespace)}" qname="${namespace === '' ? local : `n:${local}`}"/>`,
    )
    .join('');
}

/** The versions that are spoken here (SOAP 1.2 §5.4.7). */
export const UPGRADE_HEADER =
  `<up:Upgrade xmlns:up="${ENVELOPE_12}"><up:SupportedEnvelope qname="s12:Envelope" xmlns:s12="${ENVELOPE_12}"/>` +
  `<up:SupportedEnvelope qname="s11:Envelope" xmlns:s11="${ENVELOPE_11}"/></up:Upgrade>`;

export interface FaultText {
  readonly side: 'Sender' | 'Receiver' | 'VersionMismatch' | 'MustUnderstand';
  /** A closer code: `wsa:InvalidAddressingHeader`, `wsse:FailedAuthentication`, `e:NOT_FOUND`; '' for none. */
  readonly subcode: string;
  readonly reason: string;
  /** The children of `detail`; '' for none. */
  readonly detail: string;
}

const PREFIXES: Readonly<Record<string, string>> = { wsa: ADDRESSING, wsse: SECURITY, e: ERROR_NAMESPACE };

function declared(name: string): string {
  const prefix = name.slice(0, name.indexOf(':'));
  return ` xmlns:${prefix}="${PREFIXES[prefix]!}"`;
}

/** A fault as the body's element. */
export function faultElement(version: Version, { side, subcode, reason, detail }: FaultText): string {
  const text = escapeText(readable(reason));
  if (version === 11) {
    // What other specifications name is the code itself there; a status is told in the detail alone (WS-I BP R1004).
    const isForeign = subcode.startsWith('wsa:') || subcode.startsWith('wsse:');
    const own = side === 'Sender' ? 'Client' : side === 'Receiver' ? 'Server' : side;
    const code = isForeign ? `<faultcode${declared(subcode)}>${subcode}` : `<faultcode>soap:${own}`;
    const details = detail === '' ? '' : `<detail>${detail}</detail>`;
    return `<soap:Fault>${code}</faultcode><faultstring>${text}</faultstring>${details}</soap:Fault>`;
  }
  const closer =
    subcode === '' ? '' : `<soap:Subcode><soap:Value${declared(subcode)}>${subcode}</soap:Value></soap:Subcode>`;
  const details = detail === '' ? '' : `<soap:Detail>${detail}</soap:Detail>`;
  return (
    `<soap:Fault><soap:Code><soap:Value>soap:${side}</soap:Value>${closer}</soap:Code>` +
    `<soap:Reason><soap:Text xml:lang="en">${text}</soap:Text></soap:Reason>${details}</soap:Fault>`
  );
}

export interface ErrorText {
  readonly code: CodeName;
  readonly message: string;
  readonly violations: readonly { readonly path: string; readonly text: string }[];
  /** Other details: the name of the type, and its element or its JSON. */
  readonly details: readonly { readonly type: string; readonly xml: string }[];
}

/** What a fault of a call has as its detail. */
export function errorElement({ code, message, violations, details }: ErrorText): string {
  let text = `<Error xmlns="${ERROR_NAMESPACE}"><code>${code}</code><message>${escapeText(readable(message))}</message>`;
  for (const { path, text: what } of violations)
    text += `<violation><path>${escapeText(readable(path))}</path><text>${escapeText(readable(what))}</text></violation>`;
  for (const { type, xml } of details) text += `<detail type="${escapeAttribute(type)}">${xml}</detail>`;
  return `${text}</Error>`;
}

/** What no document can have is shown as U+FFFD: a reason is for people. */
export function readable(text: string): string {
  if (isWritable(text)) return text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return text.toWellFormed().replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd');
}

/** Nothing goes beside the document. */
export function plainWriting(): XmlWriting {
  return { attachAt: Number.POSITIVE_INFINITY, attached: [], idOf: String, unwritable: null };
}
