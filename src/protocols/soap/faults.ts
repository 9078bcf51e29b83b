// What a caller can break of SOAP itself, each with the status that it is answered with; what a call of a service ended with is
// in `codes.ts`.
import { faultTable } from '../../core/fault.ts';

const scope = 'stream';

export const faults = faultTable('soap', {
  noService: { wire: 404, spec: 'docs/soap.md §Paths', text: 'There is no such service here.', scope },
  methodUnknown: {
    wire: 405,
    spec: 'SOAP 1.2 Part 2 §7.4',
    text: 'A service is called with POST and described with GET ?wsdl.',
    scope,
  },
  mediaType: {
    wire: 415,
    spec: 'SOAP 1.2 Part 2 §7.5.2.1',
    text: 'A message is text/xml (SOAP 1.1), application/soap+xml (SOAP 1.2), or multipart/related with either (MTOM).',
    scope,
  },
  bodyTooLong: { wire: 413, spec: 'RFC 9110 §15.5.14', text: 'The message is too long.', scope },
  malformed: { wire: 400, spec: 'XML 1.0 §2.1', text: 'The message is no well-formed XML.', scope },
  forbidden: {
    wire: 400,
    spec: 'SOAP 1.2 §5',
    text: 'A message has no document type declaration and no processing instructions.',
    scope,
  },
  limit: { wire: 400, spec: 'docs/soap.md §Limits', text: 'The message is past a limit.', scope },
  notEnvelope: { wire: 400, spec: 'SOAP 1.2 §5.1', text: 'The message is no SOAP envelope.', scope },
  version: { wire: 500, spec: 'SOAP 1.2 §5.4.7', text: 'The envelope is of a version that is not spoken here.', scope },
  mustUnderstand: {
    wire: 500,
    spec: 'SOAP 1.2 §5.4.8',
    text: 'A header that must be understood is not.',
    scope,
  },
  headersTooMany: { wire: 400, spec: 'docs/soap.md §Limits', text: 'The message has too many headers.', scope },
  body: { wire: 400, spec: 'SOAP 1.2 §5.3', text: 'The body has one element, that of an operation.', scope },
  noOperation: { wire: 400, spec: 'docs/soap.md §Calls', text: 'The service has no such operation.', scope },
  action: {
    wire: 400,
    spec: 'WS-I Basic Profile 1.1 R2744',
    text: 'The action is not that of the operation in the body.',
    scope,
  },
  attachments: { wire: 400, spec: 'XOP §3.1', text: 'The parts of the message cannot be read.', scope },
  addressing: {
    wire: 400,
    spec: 'WS-Addressing 1.0 SOAP Binding §6.4.1',
    text: 'A header of WS-Addressing is there twice or cannot be read.',
    scope,
  },
  actionRequired: {
    wire: 400,
    spec: 'WS-Addressing 1.0 SOAP Binding §6.4.2',
    text: 'A message with headers of WS-Addressing has an Action.',
    scope,
  },
  anonymousOnly: {
    wire: 400,
    spec: 'WS-Addressing 1.0 SOAP Binding §6.4.1.7',
    text: 'Answers go back on the connection of the request, or nowhere.',
    scope,
  },
  security: {
    wire: 400,
    spec: 'WS-Security 1.1 §12',
    text: 'The Security header cannot be read: it has one UsernameToken.',
    scope,
  },
  securityUnsupported: {
    wire: 400,
    spec: 'WS-Security UsernameToken Profile 1.1 §3.1',
    text: 'A digest of the password cannot be checked, since passwords are not kept: send PasswordText over TLS.',
    scope,
  },
  securityStale: {
    wire: 400,
    spec: 'WS-Security UsernameToken Profile 1.1 §3.1',
    text: 'The token was seen before, or its time is not now.',
    scope,
  },
});
