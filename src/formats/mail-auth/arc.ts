// The Authenticated Received Chain (RFC 8617): what those who handed a mail on found when it came to them, each bound to what was found
// before; verified, and one more link made.
import {
  BodyHash,
  type CheckedMessage,
  canonicalField,
  type Field,
  fieldsOf,
  flat,
  valueOfField,
} from './canonical.ts';
import { algorithmOf, findKey, isSignedBy, signData } from './dkim-keys.ts';
import type { DnsFind } from './lookup.ts';
import {
  foldedBase64,
  judgeSignature,
  makeSignature,
  readSignature,
  relaxedHash,
  type SigningKey,
  withoutValue,
} from './signature.ts';
import { bytesOfTag, isDomain, readTags } from './tags.ts';

export interface ArcResult {
  readonly result: 'none' | 'pass' | 'fail';
  readonly why: string;
  /** Links of the chain. */
  readonly count: number;
  /** The last sealer; `''` where the chain does not hold. */
  readonly sealer: string;
}

/** RFC 8617 §4.2.1. */
const LINKS_MAX = 50;

interface Link {
  readonly results: Field;
  readonly message: Field;
  readonly seal: Field;
}

const NAMES = {
  'arc-authentication-results': 'results',
  'arc-message-signature': 'message',
  'arc-seal': 'seal',
} as const;

function isArc(name: string): name is keyof typeof NAMES {
  return name in NAMES;
}

/** The links in order; null for a chain with a link that is not whole, or twice there (RFC 8617 §5.2). */
function linksOf(fields: readonly Field[]): Link[] | null {
  const found: Partial<Record<'results' | 'message' | 'seal', Field>>[] = [];
  for (const field of fields) {
    if (!isArc(field.name)) continue;
    const instance = Number(/^\s*i\s*=\s*(\d{1,2})\s*(?:;|$)/.exec(instanceFirst(field))?.[1] ?? 0);
    if (instance < 1 || instance > LINKS_MAX) return null;
    const link = (found[instance - 1] ??= {});
    const part = NAMES[field.name];
    if (link[part] !== undefined) return null;
    link[part] = field;
  }
  for (let at = 0; at < found.length; at++) {
    const { results, message, seal } = found[at] ?? {};
    if (results === undefined || message === undefined || seal === undefined) return null;
  }
  return found as Link[];
}

/** The tag `i` stands first in results, and anywhere in the others. */
function instanceFirst(field: Field): string {
  const value = flat(valueOfField(field));
  if (field.name === 'arc-authentication-results') return value;
  return `i=${readTags(value)?.get('i') ?? ''};`;
}

/** @param now seconds since 1970 */
export async function verifyArc(message: CheckedMessage, find: DnsFind, now: number): Promise<ArcResult> {
  const fields = fieldsOf(message.head);
  if (!fields.some(({ name }) => isArc(name))) return { result: 'none', why: '', count: 0, sealer: '' };
  const links = linksOf(fields);
  const count = links?.length ?? 0;
  const fail = (why: string): ArcResult => ({ result: 'fail', why, count, sealer: '' });
  if (links === null) return fail('the chain is not whole');
  for (const [at, { seal }] of links.entries()) {
    const chain = readTags(valueOfField(seal))?.get('cv')?.toLowerCase();
    if (chain !== (at === 0 ? 'none' : 'pass')) return fail(`link ${at + 1} says that the chain does not hold`);
  }
  const last = readSignature(links.at(-1)!.message, now, true);
  if ('result' in last) return fail(last.why);
  const hash = new BodyHash(last.bodyForm, last.length);
  await message.hash([hash]);
  const judged = await judgeSignature(last, hash.digest(), fields, find);
  const trouble = 'result' in judged ? judged : judged.trouble;
  if (trouble !== null) return fail(`the message: ${trouble.why}`);
  for (let at = links.length - 1; at >= 0; at--) {
    const why = await sealTrouble(links, at, find);
    if (why !== null) return fail(`seal ${at + 1}: ${why}`);
  }
  const sealer = readTags(valueOfField(links.at(-1)!.seal))!
    .get('d')!
    .toLowerCase();
  return { result: 'pass', why: '', count, sealer };
}

async function sealTrouble(links: readonly Link[], at: number, find: DnsFind): Promise<string | null> {
  const { seal } = links[at]!;
  const tags = readTags(valueOfField(seal))!;
  const [algorithm = '', domain = '', selector = ''] = ['a', 'd', 's'].map((name) => tags.get(name)?.toLowerCase());
  // What it signs is fixed: a list of fields would say otherwise (RFC 8617 §4.1.3).
  if (tags.has('h')) return 'it names fields';
  if (algorithm !== 'rsa-sha256' && algorithm !== 'ed25519-sha256') return 'the algorithm is not known';
  const signature = bytesOfTag(tags.get('b') ?? '');
  if (!isDomain(domain) || selector === '' || !signature?.length) return 'it cannot be read';
  const key = await findKey(find, domain, selector, algorithm);
  if ('result' in key) return key.why;
  return isSignedBy(sealedData(links.slice(0, at), links[at]!), key, signature)
    ? null
    : 'something under it was changed';
}

/** All links in order, the last seal without its value (RFC 8617 §5.1.1). */
function sealedData(before: readonly Link[], { results, message, seal }: Link): string {
  const whole = before.flatMap((link) => [link.results, link.message, link.seal]);
  const fields = [...whole, results, message].map((field) => `${canonicalField(field, 'relaxed')}\r\n`);
  return fields.join('') + canonicalField(withoutValue(seal), 'relaxed');
}

/**
 * The fields of one more link, to be put before a message; `''` where a chain that failed is not gone on with (RFC 8617 §5.1). `results`
 * are those of an Authentication-Results field, with the name of who found them. `chain` is what `verifyArc` said when it came.
 */
export async function sealArc(
  message: CheckedMessage,
  results: string,
  chain: ArcResult,
  key: SigningKey,
  now: number,
): Promise<string> {
  const fields = fieldsOf(message.head);
  const before = linksOf(fields);
  if (before === null || before.length >= LINKS_MAX) return '';
  if (before.some(({ seal }) => readTags(valueOfField(seal))?.get('cv')?.toLowerCase() === 'fail')) return '';
  const instance = before.length + 1;
  const found: Field = {
    name: 'arc-authentication-results',
    text: `ARC-Authentication-Results: i=${instance}; ${results}`,
  };
  const bodyHash = await relaxedHash(message);
  const also = ['dkim-signature'];
  const signature = makeSignature('ARC-Message-Signature', `i=${instance}; `, key, fields, bodyHash, now, also);
  const signed: Field = { name: 'arc-message-signature', text: signature.trimEnd() };
  const chainSays = chain.result === 'none' ? 'none' : chain.result;
  const tags = [
    `i=${instance}; a=${algorithmOf(key.key)}; t=${now}; cv=${chainSays};`,
    `d=${key.domain}; s=${key.selector};`,
    'b=',
  ];
  const unsealed: Field = { name: 'arc-seal', text: `ARC-Seal: ${tags.join('\r\n\t')}` };
  // Behind a chain that failed only this link is sealed (RFC 8617 §5.1.2).
  const under = chainSays === 'fail' ? [] : before;
  const seal = signData(sealedData(under, { results: found, message: signed, seal: unsealed }), key.key);
  return `${unsealed.text}${foldedBase64(seal)}\r\n${signature}${found.text}\r\n`;
}
