// Replies of other servers as record sets with their signatures, and the queries that ask for them. It believes nothing yet: whose
// word counts for what is decided by who reads it.
import { ByteWriter } from '../../bytes/writer.ts';
import { NameBuffer } from '../../formats/dns/name.ts';
import { CLASS, expandRdata, TYPE } from '../../formats/dns/records.ts';
import { keyOf } from '../../formats/dnssec/names.ts';
import { ANSWER, AUTHORITY, type Message } from './codec.ts';
import type { MessageWriter } from './codec-write.ts';
import { CD, DO, OPTION, RD } from './wire.ts';

/** Records of one owner and type with the signatures over them; in lower case is only `key`. */
export interface SignedSet {
  readonly name: Buffer;
  readonly key: string;
  readonly type: number;
  /** The least of its records' (RFC 2181 §5.2). */
  ttl: number;
  readonly data: Buffer[];
  readonly signatures: Buffer[];
}

export interface Reply {
  readonly rcode: number;
  readonly isAuthoritative: boolean;
  readonly isTruncated: boolean;
  readonly offersRecursion: boolean;
  readonly hasOpt: boolean;
  /** The name of the question came back as it was asked, letter by letter. */
  readonly keptCase: boolean;
  readonly answer: readonly SignedSet[];
  readonly authority: readonly SignedSet[];
  readonly additional: readonly SignedSet[];
}

/** Records of one reply that are looked at: who sends more wants us to work. */
const RECORDS_READ_MAX = 1_000;

/** Larger TTLs are taken for this: a week (RFC 8767 §4), and those with the top bit for 0. */
export const TTL_MAX = 604_800;

const NAME = new NameBuffer();
const DATA = new ByteWriter(70_000);

/** The sets of a message that was read; null when a record in it cannot be right. */
export function readReply(message: Message, keptCase: boolean): Reply | null {
  const answer: SignedSet[] = [];
  const authority: SignedSet[] = [];
  const additional: SignedSet[] = [];
  const known = new Map<string, SignedSet>();
  for (let index = 0; index < Math.min(message.count, RECORDS_READ_MAX); index++) {
    const type = message.type[index]!;
    if (type === TYPE.OPT || type === TYPE.TSIG || message.class[index] !== CLASS.IN) continue;
    if (!message.readOwner(index, NAME)) return null;
    DATA.cut(0);
    const { bytes, start } = message;
    if (!expandRdata(type, bytes, start, message.dataAt[index]!, message.dataEnd[index]!, DATA)) return null;
    const section = message.sectionOf(index);
    const sets = section === ANSWER ? answer : section === AUTHORITY ? authority : additional;
    addRecord(sets, known, section, type, message.ttl[index]!);
  }
  return {
    rcode: message.rcode,
    isAuthoritative: message.isAuthoritative,
    isTruncated: message.isTruncated,
    offersRecursion: message.offersRecursion,
    hasOpt: message.opt >= 0,
    keptCase,
    // Signatures without what they cover say nothing.
    answer: answer.filter(({ data }) => data.length > 0),
    authority: authority.filter(({ data }) => data.length > 0),
    additional: additional.filter(({ data }) => data.length > 0),
  };
}

/** Adds the record in `NAME` and `DATA` to the set that it belongs to. */
function addRecord(sets: SignedSet[], known: Map<string, SignedSet>, section: number, type: number, ttl: number): void {
  const name = Buffer.from(NAME.bytes.subarray(0, NAME.length));
  const data = Buffer.from(DATA.bytes.subarray(0, DATA.length));
  const isSignature = type === TYPE.RRSIG;
  const covered = isSignature ? data.readUInt16BE(0) : type;
  const key = keyOf(name);
  const place = `${section} ${covered} ${key}`;
  const life = ttl > 0x7fff_ffff ? 0 : Math.min(ttl, TTL_MAX);
  let set = known.get(place);
  if (set === undefined) {
    set = { name, key, type: covered, ttl: life, data: [], signatures: [] };
    known.set(place, set);
    sets.push(set);
  }
  set.ttl = Math.min(set.ttl, life);
  if (isSignature) set.signatures.push(data);
  else if (!set.data.some((one) => one.equals(data))) set.data.push(data);
}

export interface QueryOptions {
  readonly recursion: boolean;
  readonly edns: boolean;
  readonly udpBytes: number;
  /** The client's cookie, and the server's behind it where it is known. */
  readonly cookie: Uint8Array | null;
}

/** Writes a query into `bytes`; answers its length. */
export function writeQuery(
  out: MessageWriter,
  bytes: Uint8Array,
  id: number,
  name: Uint8Array,
  type: number,
  { recursion, edns, udpBytes, cookie }: QueryOptions,
): number {
  out.begin(bytes, 0, bytes.length);
  // A forwarder shall not judge in our place, nor hide from us what it refuses (RFC 4035 §3.2.2).
  out.header(id, recursion ? RD | (edns ? CD : 0) : 0);
  out.question(name, 0, type, CLASS.IN);
  if (edns) {
    out.opt(udpBytes, 0, 0, DO);
    if (cookie !== null) out.option(OPTION.COOKIE, cookie, 0, cookie.length);
  }
  return out.length;
}
