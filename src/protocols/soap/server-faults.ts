// Which fault of SOAP tells what: of what a caller broke, of who is not let in, and of how a call ended.
import type { Fault } from '../../core/fault.ts';
import { escapeText } from '../../formats/xml/chars.ts';
import type { SignInRefusal } from '../../resources/accounts/contract.ts';
import type { Detail, Status } from '../../resources/services/status.ts';
import { CODE_SIDES } from './codes.ts';
import { errorElement, type FaultText, plainWriting, readable } from './encode.ts';
import { faults } from './faults.ts';
import type { SoapService } from './services.ts';

const SUBCODES: ReadonlyMap<Fault, string> = new Map([
  [faults.addressing, 'wsa:InvalidAddressingHeader'],
  [faults.actionRequired, 'wsa:MessageAddressingHeaderRequired'],
  [faults.anonymousOnly, 'wsa:OnlyAnonymousAddressSupported'],
  [faults.action, 'wsa:ActionMismatch'],
  [faults.security, 'wsse:InvalidSecurity'],
  [faults.securityUnsupported, 'wsse:UnsupportedSecurityToken'],
  [faults.securityStale, 'wsse:FailedAuthentication'],
]);

export function faultTextOf(fault: Fault, detail: string): FaultText {
  const side =
    fault === faults.version ? 'VersionMismatch' : fault === faults.mustUnderstand ? 'MustUnderstand' : 'Sender';
  const reason = detail === '' ? fault.text : `${fault.text} ${detail}`;
  return { side, subcode: SUBCODES.get(fault) ?? '', reason, detail: '' };
}

export function isFaultOfAddressing({ subcode }: FaultText): boolean {
  return subcode.startsWith('wsa:');
}

/** Nobody signed in. */
export function refusalText(reason: string): FaultText {
  return { side: 'Sender', subcode: 'wsse:FailedAuthentication', reason, detail: '' };
}

/** What the accounts said to a UsernameToken. */
export function tokenText({ refused, retryMs }: SignInRefusal): FaultText {
  const seconds = Math.max(1, Math.ceil(retryMs / 1_000));
  const reasons = {
    wrong: 'The name or the password is wrong.',
    locked: `There were too many sign-ins that failed; try again in ${seconds} s.`,
    plaintext: 'A password is not taken in the clear over a network: use https.',
    busy: `Too many sign-ins are being checked; try again in ${seconds} s.`,
  };
  return refusalText(reasons[refused]);
}

/** How a call ended that did not end well. */
export function statusText(status: Status, soap: SoapService | null): FaultText {
  const { code, message, details } = status;
  const violations: { path: string; text: string }[] = [];
  const others: { type: string; xml: string }[] = [];
  for (const detail of details) {
    if (detail.type === 'google.rpc.BadRequest') violations.push(...violationsOf(detail));
    else others.push({ type: detail.type, xml: detailXml(detail, soap) });
  }
  const reason = message === '' ? code : message;
  const element = errorElement({ code, message, violations, details: others });
  return { side: CODE_SIDES[code], subcode: `e:${code}`, reason, detail: element };
}

function violationsOf({ value }: Detail): { path: string; text: string }[] {
  const { fieldViolations } = value as { fieldViolations?: readonly { field?: string; description?: string }[] };
  return (fieldViolations ?? []).map(({ field = '', description = '' }) => ({ path: field, text: description }));
}

/** Of a type that the service has, its element; else its JSON. */
function detailXml({ type, value }: Detail, soap: SoapService | null): string {
  const found = soap?.service.schema.types.get(type);
  if (soap === null || found === undefined || found.kind !== 'message') return escapeText(readable(jsonOf(value)));
  const writing = plainWriting();
  const name = type.slice(type.lastIndexOf('.') + 1);
  const text = soap.types.message(found).write(value, writing);
  return writing.unwritable === null
    ? `<${name} xmlns="${soap.namespace}">${text}</${name}>`
    : escapeText(readable(jsonOf(value)));
}

function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? String(each) : each)) ?? 'null';
}
