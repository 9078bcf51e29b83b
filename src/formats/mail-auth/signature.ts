// A signature over fields of a header and a body, as DKIM-Signature and ARC-Message-Signature both are (RFC 6376 §3.5, RFC 8617 §4.1.2):
// read, verified, made.
import type { KeyObject } from 'node:crypto';
import {
  BodyHash,
  type Canonical,
  type CheckedMessage,
  canonicalField,
  type Field,
  valueOfField,
} from './canonical.ts';
import {
  type Algorithm,
  algorithmOf,
  type FoundKey,
  findKey,
  isSignedBy,
  signData,
  type Trouble,
} from './dkim-keys.ts';
import type { DnsFind } from './lookup.ts';
import { bytesOfTag, isDomain, listOfTag, readTags } from './tags.ts';

export interface Signature {
  readonly field: Field;
  readonly tags: ReadonlyMap<string, string>;
  readonly algorithm: Algorithm;
  readonly domain: string;
  readonly selector: string;
  readonly signed: readonly string[];
  readonly headerForm: Canonical;
  readonly bodyForm: Canonical;
  readonly bodyHash: Buffer;
  readonly signature: Buffer;
  /** Of the body, so much is signed. */
  readonly length: number;
}

const ALGORITHMS: ReadonlySet<string> = new Set(['rsa-sha256', 'ed25519-sha256']);

/** @param now seconds since 1970 @param isArc without a version, and with an instance in `i` */
export function readSignature(field: Field, now: number, isArc: boolean): Signature | Trouble {
  const wrong = (why: string, result: Trouble['result'] = 'permerror'): Trouble => ({ result, why });
  const tags = readTags(valueOfField(field));
  if (tags === null) return wrong('the signature cannot be read');
  if (!isArc && tags.get('v') !== '1') return wrong('the signature is of another version');
  const [algorithm = '', domain = '', selector = ''] = ['a', 'd', 's'].map((name) => tags.get(name)?.toLowerCase());
  // SHA-1 proves nothing any more (RFC 8301 §3.1).
  if (algorithm === 'rsa-sha1') return wrong('the signature is made with SHA-1', 'policy');
  if (!ALGORITHMS.has(algorithm)) return wrong('the algorithm is not known');
  if (!isDomain(domain) || !/^[\w-]+(?:\.[\w-]+)*$/.test(selector)) return wrong('domain and selector are not names');
  const signed = listOfTag(tags.get('h') ?? '').map((name) => name.toLowerCase());
  if (!signed.includes('from')) return wrong('the sender is not signed');
  if (isArc && signed.includes('arc-seal')) return wrong('a seal is signed');
  const [bodyHash, signature] = ['bh', 'b'].map((name) => bytesOfTag(tags.get(name) ?? ''));
  if (!bodyHash?.length || !signature?.length) return wrong('a hash is missing');
  const [headerForm = 'simple', bodyForm = 'simple'] = (tags.get('c') ?? 'simple').toLowerCase().split('/');
  if (![headerForm, bodyForm].every((form) => form === 'simple' || form === 'relaxed'))
    return wrong('the form is not known');
  const time = timesOf(tags, now);
  if (time !== null) return wrong(time);
  const length = tags.get('l');
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return wrong('the length is no number');
  if (!isArc && !isIdentity(tags.get('i'), domain)) return wrong('the identity is of another domain');
  return {
    ...{ field, tags, domain, selector, signed, bodyHash, signature, algorithm: algorithm as Algorithm },
    headerForm: headerForm as Canonical,
    bodyForm: bodyForm as Canonical,
    length: length === undefined ? Number.POSITIVE_INFINITY : Number(length),
  };
}

/** Clocks differ by so much. */
const SLACK_SECONDS = 300;

function timesOf(tags: ReadonlyMap<string, string>, now: number): string | null {
  const [made, ends] = ['t', 'x'].map((name) => tags.get(name));
  if (ends === undefined) return null;
  if (!/^\d{1,12}$/.test(ends) || (made !== undefined && Number(made) > Number(ends))) return 'its times cannot be';
  return Number(ends) + SLACK_SECONDS < now ? 'the signature has expired' : null;
}

function isIdentity(identity: string | undefined, domain: string): boolean {
  if (identity === undefined) return true;
  const of = identity.slice(identity.lastIndexOf('@') + 1).toLowerCase();
  return of === domain || of.endsWith(`.${domain}`);
}

/** Null for a signature that holds. */
export async function judgeSignature(
  made: Signature,
  bodyHash: Buffer | null,
  fields: readonly Field[],
  find: DnsFind,
): Promise<{ readonly key: FoundKey; readonly trouble: Trouble | null } | Trouble> {
  const key = await findKey(find, made.domain, made.selector, made.algorithm);
  if ('result' in key) return key;
  const trouble = (why: string): Trouble => ({ result: 'fail', why });
  const identity = made.tags.get('i')?.toLowerCase();
  if (key.flags.includes('s') && identity?.includes('@') === true && !identity.endsWith(`@${made.domain}`))
    return { key, trouble: { result: 'permerror', why: 'the identity is of another domain' } };
  if (bodyHash === null || !bodyHash.equals(made.bodyHash)) return { key, trouble: trouble('the body was changed') };
  const data = signedData(fields, made.signed, made.headerForm, made.field);
  return { key, trouble: isSignedBy(data, key, made.signature) ? null : trouble('the header was changed') };
}

/** What a signature is made over: the fields that it names, each from the last on, and itself without its value (RFC 6376 §3.7). */
export function signedData(fields: readonly Field[], names: readonly string[], form: Canonical, own: Field): string {
  const left = new Map<string, Field[]>();
  for (const field of fields) {
    if (field === own) continue;
    const those = left.get(field.name);
    if (those === undefined) left.set(field.name, [field]);
    else those.push(field);
  }
  let data = '';
  for (const name of names) {
    const field = left.get(name)?.pop();
    if (field !== undefined) data += `${canonicalField(field, form)}\r\n`;
  }
  return data + canonicalField(withoutValue(own), form);
}

/** A field with its tag `b` emptied. */
export function withoutValue({ name, text }: Field): Field {
  const colon = text.indexOf(':') + 1;
  const value = text.slice(colon).replace(/(^|;)(\s*b\s*=)[^;]*/, '$1$2');
  return { name, text: text.slice(0, colon) + value };
}

// ---- making one ---------------------------------------------------------------------------------------------------------

export interface SigningKey {
  readonly domain: string;
  readonly selector: string;
  readonly key: KeyObject;
}

/** Fields that say what a mail is. Whoever adds another of the first breaks the signature (RFC 6376 §5.4.2). */
const SIGNED_ONCE = ['from'];
const SIGNED = [
  ...['from', 'to', 'cc', 'reply-to', 'subject', 'date', 'message-id', 'in-reply-to', 'references', 'sender'],
  ...['mime-version', 'content-type', 'content-transfer-encoding', 'content-id', 'content-description'],
  ...['list-id', 'list-help', 'list-unsubscribe', 'list-unsubscribe-post', 'list-subscribe', 'list-post', 'list-owner'],
  ...['auto-submitted', 'resent-from', 'resent-to', 'resent-date', 'resent-message-id'],
];

/** A field with a signature, ended by a line end. @param first its first tags, as `v=1; ` @param also names signed beside the usual */
export function makeSignature(
  name: string,
  first: string,
  { domain, selector, key }: SigningKey,
  fields: readonly Field[],
  bodyHash: Buffer,
  now: number,
  also: readonly string[] = [],
): string {
  const names = [...SIGNED, ...also].flatMap((each) => fields.filter((field) => field.name === each).map(() => each));
  const signed = [...names, ...SIGNED_ONCE];
  const tags = [
    `${first}a=${algorithmOf(key)}; c=relaxed/relaxed; d=${domain};`,
    `s=${selector}; t=${now};`,
    ...foldedList(signed),
    `bh=${bodyHash.toString('base64')};`,
  ];
  const unsigned: Field = { name: name.toLowerCase(), text: `${name}: ${tags.join('\r\n\t')}\r\n\tb=` };
  const data = signedData(fields, signed, 'relaxed', unsigned);
  return `${unsigned.text}${foldedBase64(signData(data, key))}\r\n`;
}

const LINE_MAX = 72;

function foldedList(names: readonly string[]): string[] {
  const lines: string[] = [];
  let line = 'h=';
  for (const [at, name] of names.entries()) {
    const word = at === names.length - 1 ? `${name};` : `${name}:`;
    if (line.length + word.length > LINE_MAX) {
      lines.push(line);
      line = ' ';
    }
    line += word;
  }
  return [...lines, line];
}

export function foldedBase64(bytes: Buffer): string {
  return bytes
    .toString('base64')
    .match(/.{1,70}/g)!
    .join('\r\n\t ');
}

/** The hash of a body as it is signed here. */
export async function relaxedHash(message: CheckedMessage): Promise<Buffer> {
  const hash = new BodyHash('relaxed');
  await message.hash([hash]);
  return hash.digest()!;
}
