// DKIM (RFC 6376, with RFC 8301 and RFC 8463): what its signatures prove of a message, and signatures for one.
import { BodyHash, type CheckedMessage, fieldsOf } from './canonical.ts';
import type { Trouble } from './dkim-keys.ts';
import type { DnsFind } from './lookup.ts';
import {
  judgeSignature,
  makeSignature,
  readSignature,
  relaxedHash,
  type Signature,
  type SigningKey,
} from './signature.ts';

export interface DkimResult {
  readonly result: 'pass' | Trouble['result'];
  readonly why: string;
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: string;
  /** The first characters of the signature, by which one is told from another (RFC 6008). */
  readonly begin: string;
  /** Its key is one of a test (RFC 6376 §3.6.1). */
  readonly isTest: boolean;
}

/** More are not looked at. */
const SIGNATURES_MAX = 10;

/** One result for each signature, from the top; none for a message without. @param now seconds since 1970 */
export async function verifyDkim(message: CheckedMessage, find: DnsFind, now: number): Promise<DkimResult[]> {
  const fields = fieldsOf(message.head);
  const read = fields
    .filter(({ name }) => name === 'dkim-signature')
    .slice(0, SIGNATURES_MAX)
    .map((field) => readSignature(field, now, false));
  const hashes = read.map((each) => ('result' in each ? null : new BodyHash(each.bodyForm, each.length)));
  await message.hash(hashes.filter((hash) => hash !== null));
  return Promise.all(
    read.map(async (each, at): Promise<DkimResult> => {
      if ('result' in each) return { ...each, domain: '', selector: '', algorithm: '', begin: '', isTest: false };
      const { domain, selector, algorithm } = each;
      const about = { domain, selector, algorithm, begin: beginOf(each) };
      const judged = await judgeSignature(each, hashes[at]!.digest(), fields, find);
      if ('result' in judged) return { ...judged, ...about, isTest: false };
      const isTest = judged.key.flags.includes('y');
      return { ...(judged.trouble ?? { result: 'pass', why: '' }), ...about, isTest };
    }),
  );
}

function beginOf({ signature }: Signature): string {
  return signature.toString('base64').slice(0, 8);
}

/** Fields to be put before a message, one for each key. @param now seconds since 1970 */
export async function signDkim(message: CheckedMessage, keys: readonly SigningKey[], now: number): Promise<string> {
  const bodyHash = await relaxedHash(message);
  const fields = fieldsOf(message.head);
  return keys.map((key) => makeSignature('DKIM-Signature', 'v=1; ', key, fields, bodyHash, now)).join('');
}
