// Certificate, CertificateVerify and CertificateRequest, written and read the same way by both ends (RFC 8446 §4.3.2, §4.4).
import { type KeyObject, X509Certificate } from 'node:crypto';
import { copyOf } from '../../../bytes/reader.ts';
import type { ByteWriter } from '../../../bytes/writer.ts';
import type { Fault } from '../../../core/fault.ts';
import type { Credential } from './credentials.ts';
import { Cursor, Extensions } from './cursor.ts';
import { faults } from './faults.ts';
import { isUsable, OFFERED_SCHEMES, type Scheme, schemeOf, signTranscript, verifyTranscript } from './signatures.ts';
import { CERTIFICATE, CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, SIGNATURE_ALGORITHMS } from './wire.ts';
import { close, numbers, open, openExtension, openMessage, vector } from './writing.ts';

/** Begins a Certificate, without one where there is none to show; answers what `wrote` takes. */
export function writeCertificate(out: ByteWriter, credential: Credential | null): number {
  const at = openMessage(out, CERTIFICATE);
  out.u8(0);
  if (credential === null) {
    const list = open(out, 3);
    close(out, list, 3);
  } else out.copy(credential.list, 0, credential.list.length);
  return at;
}

export function writeVerify(
  out: ByteWriter,
  scheme: Scheme,
  key: KeyObject,
  side: 'client' | 'server',
  transcript: Uint8Array,
): number {
  const at = openMessage(out, CERTIFICATE_VERIFY);
  out.u16(scheme.code);
  vector(out, 2, signTranscript(scheme, key, side, transcript));
  return at;
}

export function writeRequest(out: ByteWriter): number {
  const at = openMessage(out, CERTIFICATE_REQUEST);
  out.u8(0);
  const extensions = open(out, 2);
  const schemes = openExtension(out, SIGNATURE_ALGORITHMS);
  numbers(out, OFFERED_SCHEMES);
  close(out, schemes, 2);
  close(out, extensions, 2);
  return at;
}

/** The schemes that a server takes of its client. `start` is behind the header, here and below. */
export function readRequest(bytes: Uint8Array, start: number, end: number): readonly number[] | Fault {
  const body = new Cursor(bytes, start, end);
  const context = body.vector(1);
  const list = body.vector(2);
  if (!body.done) return faults.malformed;
  if (context.more) return faults.context;
  const extensions = new Extensions(list);
  if (!list.done) return faults.malformed;
  if (extensions.duplicate) return faults.duplicate;
  const content = extensions.get(SIGNATURE_ALGORITHMS);
  if (content === null) return faults.noAlgorithms;
  const codes = content.vector(2, 2);
  const schemes: number[] = [];
  while (codes.more) schemes.push(codes.u16());
  return codes.done && content.done ? schemes : faults.malformed;
}

/** The certificates of a Certificate message, copied. */
export function readCertificates(
  bytes: Uint8Array,
  start: number,
  end: number,
  most: number,
): readonly Buffer[] | Fault {
  const body = new Cursor(bytes, start, end);
  const context = body.vector(1);
  const list = body.vector(3);
  if (!body.done) return faults.malformed;
  if (context.more) return faults.context;
  const chain: Buffer[] = [];
  while (list.more) {
    const certificate = list.vector(3, 1);
    const content = list.vector(2);
    if (list.bad) break;
    const extensions = new Extensions(content);
    if (!content.done) return faults.malformed;
    // We ask for none.
    for (const _ of extensions.types()) return faults.notOffered;
    if (chain.length === most) return faults.chainTooLong;
    chain.push(copyOf(bytes, certificate.at, certificate.end));
  }
  return list.done ? chain : faults.malformed;
}

/** The public key of the certificate that the peer proves to be its own. */
export function keyOf(certificate: Uint8Array): KeyObject | Fault {
  let key: KeyObject;
  try {
    key = new X509Certificate(certificate).publicKey;
  } catch {
    return faults.certificateMalformed;
  }
  return isUsable(key) ? key : faults.certificateKey;
}

export function checkVerify(
  bytes: Uint8Array,
  start: number,
  end: number,
  key: KeyObject,
  side: 'client' | 'server',
  transcript: Uint8Array,
): Fault | null {
  const body = new Cursor(bytes, start, end);
  const scheme = schemeOf(body.u16());
  const signature = body.vector(2);
  if (!body.done) return faults.malformed;
  if (scheme === null) return faults.scheme;
  return verifyTranscript(scheme, key, side, transcript, signature.rest()) ? null : faults.signature;
}
