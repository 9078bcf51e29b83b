// Answers whether certificates that were issued here still hold (RFC 6960). The responder is the issuer itself. It knows no
// HTTP.
import { createHash, sign } from 'node:crypto';
import type { Authority, Signer } from './authority.ts';
import {
  bits,
  context,
  contextOf,
  type Der,
  der,
  ENUMERATED,
  generalizedTime,
  octets,
  oid,
  readDer,
  SEQUENCE,
  sequence,
} from './der.ts';
import { OIDS } from './oids.ts';
import { extensionsOf, hexOf } from './reading.ts';

/** Certificates of one request. */
export const ASKED_MAX = 32;
const GOOD_FOR = 86_400_000;
/** RFC 8954 §2.1. */
const NONCE_MAX = 32;

// RFC 6960 §4.2.1.
const MALFORMED = 1;
const UNAUTHORIZED = 6;

/** Answers a request in DER with a response in DER, whatever it is. */
export function ocspAnswer(authority: Authority, request: Uint8Array, wall: number): Buffer {
  const asked = readDer(request)?.at(0);
  if (asked?.tag !== SEQUENCE) return failure(MALFORMED);
  const list = asked.parts.find((part) => part.tag === SEQUENCE)?.parts ?? [];
  if (list.length === 0 || list.length > ASKED_MAX) return failure(MALFORMED);
  const ids = list.map((entry) => entry.at(0));
  if (!ids.every((id) => id !== null && id.parts.length === 4)) return failure(MALFORMED);
  const known = ids as readonly Der[];
  const signer = authority.intermediates.find((candidate) => known.some((id) => isOf(candidate, id)));
  // Of what somebody else issued nothing is said, and nothing signed.
  if (signer === undefined) return failure(UNAUTHORIZED);
  const responses = known.map((id) => statusOf(authority, signer, id, wall));
  const nonce = nonceOf(asked);
  const body = sequence(
    der(contextOf(2), octets(Buffer.from(signer.id, 'hex'))),
    generalizedTime(wall),
    sequence(...responses),
    ...(nonce === null ? [] : [der(contextOf(1), sequence(nonce))]),
  );
  const basic = sequence(body, sequence(oid(OIDS.ecdsaWithSha256)), bits(sign('sha256', body, signer.key)));
  return sequence(der(ENUMERATED, Buffer.from([0])), der(contextOf(0), sequence(oid(OIDS.ocspBasic), octets(basic))));
}

function failure(status: number): Buffer {
  return sequence(der(ENUMERATED, Buffer.from([status])));
}

/** Whether a CertID names this issuer. */
function isOf(signer: Signer, id: Der): boolean {
  const algorithm = HASHES[id.at(0, 0)?.oid ?? ''];
  if (algorithm === undefined) return false;
  const hash = (bytes: Uint8Array) => createHash(algorithm).update(bytes).digest();
  const key = readDer(signer.facts.spki)!.at(1)!.bits;
  return hash(signer.facts.subjectDer).equals(id.at(1)!.content) && hash(key).equals(id.at(2)!.content);
}

const HASHES: Readonly<Record<string, string>> = { [OIDS.sha1]: 'sha1', [OIDS.sha256]: 'sha256' };

function statusOf(authority: Authority, signer: Signer, id: Der, wall: number): Buffer {
  const serial = hexOf(id.at(3)!.content);
  const revoked = authority.issued.revoked(serial);
  const isKnown = isOf(signer, id) && authority.knows(serial);
  const status = !isKnown
    ? der(context(2))
    : revoked === null
      ? der(context(0))
      : der(contextOf(1), generalizedTime(revoked.at));
  return sequence(id.whole, status, generalizedTime(wall), der(contextOf(0), generalizedTime(wall + GOOD_FOR)));
}

/** The extension of the nonce as it came (RFC 8954). */
function nonceOf(asked: Der): Uint8Array | null {
  const list = asked.tagged(contextOf(2))?.at(0) ?? null;
  const extension = list?.parts.find((part) => part.at(0)?.oid === OIDS.ocspNonce);
  const nonce = extensionsOf(list).get(OIDS.ocspNonce)?.content ?? extension?.parts.at(-1)?.content;
  return extension === undefined || nonce === undefined || nonce.length > NONCE_MAX + 2 ? null : extension.whole;
}
