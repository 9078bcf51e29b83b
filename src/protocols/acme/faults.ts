// Every way in which a client can break ACME: the status, and by its name the type `urn:ietf:params:acme:error:…`
// (RFC 8555 §6.7).
import { faultTable } from '../../core/fault.ts';

const scope = 'stream';
const errors = 'RFC 8555 §6.7';

export const faults = faultTable('acme', {
  malformed: { wire: 400, spec: errors, text: 'The request is not what it should be.', scope },
  missing: { wire: 404, spec: 'RFC 8555 §6.7', text: 'There is nothing of this name.', scope },
  wrongMethod: { wire: 405, spec: 'RFC 8555 §6.3', text: 'This is asked for with POST.', scope },
  wrongType: { wire: 415, spec: 'RFC 8555 §6.2', text: 'Requests are application/jose+json.', scope },
  tooLong: { wire: 413, spec: errors, text: 'The request is longer than is allowed.', scope },
  badNonce: { wire: 400, spec: 'RFC 8555 §6.5.1', text: 'The nonce is not one that was given, or was used.', scope },
  badSignatureAlgorithm: {
    wire: 400,
    spec: 'RFC 8555 §6.2',
    text: 'The algorithm is not one of ES256, ES384, RS256 and EdDSA.',
    scope,
  },
  badPublicKey: { wire: 400, spec: errors, text: 'The key is not one that is taken.', scope },
  wrongUrl: { wire: 403, spec: 'RFC 8555 §6.4.1', text: 'The url of the header is not the one asked.', scope },
  badSignature: { wire: 403, spec: 'RFC 8555 §6.2', text: 'The signature is not that of the key.', scope },
  accountDoesNotExist: { wire: 400, spec: 'RFC 8555 §7.3.1', text: 'There is no such account.', scope },
  unauthorized: { wire: 403, spec: errors, text: 'This is another account’s.', scope },
  keyTaken: { wire: 409, spec: 'RFC 8555 §7.3.5', text: 'The new key is another account’s.', scope },
  unsupportedIdentifier: { wire: 400, spec: errors, text: 'Identifiers are of type dns or ip (RFC 8738).', scope },
  rejectedIdentifier: { wire: 400, spec: errors, text: 'No certificate is issued for this name.', scope },
  invalidContact: { wire: 400, spec: 'RFC 8555 §7.3', text: 'A contact is a URL.', scope },
  badCSR: { wire: 400, spec: 'RFC 8555 §7.4', text: 'The request for a certificate is of no use.', scope },
  orderNotReady: { wire: 403, spec: 'RFC 8555 §7.4', text: 'The names are not proven yet.', scope },
  alreadyRevoked: { wire: 400, spec: 'RFC 8555 §7.6', text: 'It was revoked before.', scope },
  badRevocationReason: { wire: 400, spec: 'RFC 8555 §7.6', text: 'The reason is not one that is known.', scope },
  rateLimited: { wire: 429, spec: errors, text: 'More than is allowed at once.', scope },
  connection: { wire: 400, spec: 'RFC 8555 §8', text: 'Nobody answered at the name.', scope },
  dns: { wire: 400, spec: 'RFC 8555 §8', text: 'The name leads nowhere.', scope },
  incorrectResponse: { wire: 403, spec: 'RFC 8555 §8', text: 'The answer was not the proof.', scope },
  tls: { wire: 400, spec: 'RFC 8737 §3', text: 'There was no handshake with a proof in it.', scope },
  serverInternal: { wire: 500, spec: errors, text: 'Something is wrong here.', scope },
});

/** The type of a fault on the wire; names that RFC 8555 does not have are `malformed` or `unauthorized` there. */
export function typeOf(name: string): string {
  return `urn:ietf:params:acme:error:${WIRE_NAMES[name] ?? name}`;
}

const WIRE_NAMES: Readonly<Record<string, string>> = {
  missing: 'malformed',
  wrongMethod: 'malformed',
  wrongType: 'malformed',
  tooLong: 'malformed',
  keyTaken: 'malformed',
  wrongUrl: 'unauthorized',
  badSignature: 'unauthorized',
};
