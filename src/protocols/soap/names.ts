// The names of SOAP's world: namespaces, actions, media types. It knows no envelope.

/** 1.1 or 1.2. */
export type Version = 11 | 12;

export const ENVELOPE_11 = 'http://schemas.xmlsoap.org/soap/envelope/';
export const ENVELOPE_12 = 'http://www.w3.org/2003/05/soap-envelope';
export const ADDRESSING = 'http://www.w3.org/2005/08/addressing';
export const ANONYMOUS = `${ADDRESSING}/anonymous`;
export const NO_ADDRESS = `${ADDRESSING}/none`;
/** Of an envelope with a fault of SOAP's own, and of one of Addressing's (WS-Addressing SOAP Binding §6). */
export const FAULT_ACTION = `${ADDRESSING}/fault`;
export const SOAP_FAULT_ACTION = `${ADDRESSING}/soap/fault`;

const OASIS = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss';
export const SECURITY = `${OASIS}-wssecurity-secext-1.0.xsd`;
export const SECURITY_UTILITY = `${OASIS}-wssecurity-utility-1.0.xsd`;
export const PASSWORD_TEXT = `${OASIS}-username-token-profile-1.0#PasswordText`;
export const PASSWORD_DIGEST = `${OASIS}-username-token-profile-1.0#PasswordDigest`;

export const TYPE_11 = 'text/xml';
export const TYPE_12 = 'application/soap+xml';
export const XOP_TYPE = 'application/xop+xml';
export const MULTIPART = 'multipart/related';

export const WSDL = 'http://schemas.xmlsoap.org/wsdl/';
export const WSDL_SOAP_11 = 'http://schemas.xmlsoap.org/wsdl/soap/';
export const WSDL_SOAP_12 = 'http://schemas.xmlsoap.org/wsdl/soap12/';

/** Of the errors that Portico's faults have as their detail. */
export const ERROR_NAMESPACE = 'urn:portico:error';

export function envelopeOf(version: Version): string {
  return version === 11 ? ENVELOPE_11 : ENVELOPE_12;
}

/** The namespace of a service's elements. */
export function namespaceOf(service: string): string {
  return `urn:portico:${service}`;
}

export function actionOf(service: string, message: string): string {
  return `urn:portico:${service}:${message}`;
}

/** The package of a full name; '' for none. */
export function packageOf(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot < 0 ? '' : name.slice(0, dot);
}
