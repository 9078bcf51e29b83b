// Proofs that something is not there, out of the NSEC or NSEC3 records of a signed zone (RFC 4035 §3.1.3, RFC 5155 §7.2). The
// records themselves are made elsewhere; a zone without them proves nothing.
import { createHash } from 'node:crypto';
import { copyOf, u16 } from '../../bytes/reader.ts';
import { compareNames, joinNames, LOWER, nameEnd } from '../../formats/dns/name.ts';
import { base32Text, TYPE } from '../../formats/dns/records.ts';
import { APEX, type ZoneContents } from './contents.ts';
import type { AnswerSink } from './lookup.ts';

const AUTHORITY = 1;
const ITERATIONS_MAX = 150;

/** The set that proves was given already in this answer: the same twice is of no use. */
class Given {
  private readonly sets: number[] = [];

  give(contents: ZoneContents, sink: AnswerSink, node: number, type: number): void {
    const set = node === 0 ? 0 : contents.setOf(node, type);
    if (set === 0 || this.sets.includes(set)) return;
    this.sets.push(set);
    const signatures = contents.setOf(node, TYPE.RRSIG);
    sink.set(AUTHORITY, contents.arena, contents.name(node), contents, set, contents.ttlOf(set), signatures, true);
  }
}

/** The name does not exist; `encloser` is the nearest above it that does. */
export function denyName(
  contents: ZoneContents,
  sink: AnswerSink,
  name: Uint8Array,
  nameAt: number,
  encloser: number,
): void {
  const given = new Given();
  if (isHashed(contents)) {
    proveEncloser(contents, sink, name, nameAt, encloser, given);
    const wildcard = wildcardOf(contents, encloser);
    if (wildcard !== null) given.give(contents, sink, hashedCover(contents, wildcard, 0), TYPE.NSEC3);
    return;
  }
  given.give(contents, sink, covering(contents, name, nameAt), TYPE.NSEC);
  const wildcard = wildcardOf(contents, encloser);
  if (wildcard !== null) given.give(contents, sink, covering(contents, wildcard, 0), TYPE.NSEC);
}

/** The node exists, what was asked for does not. */
export function denyType(contents: ZoneContents, sink: AnswerSink, node: number): void {
  const given = new Given();
  if (!isHashed(contents)) {
    const own = contents.setOf(node, TYPE.NSEC) !== 0;
    // What is empty but for names below it has none of its own.
    given.give(contents, sink, own ? node : covering(contents, contents.arena, contents.name(node)), TYPE.NSEC);
    return;
  }
  const match = hashedMatch(contents, contents.arena, contents.name(node));
  if (match !== 0) {
    given.give(contents, sink, match, TYPE.NSEC3);
    return;
  }
  // A delegation that was left out (RFC 5155 §7.2.7).
  let encloser = contents.parent(node);
  let closer = node;
  while (encloser !== 0 && hashedMatch(contents, contents.arena, contents.name(encloser)) === 0) {
    closer = encloser;
    encloser = contents.parent(encloser);
  }
  if (encloser === 0) return;
  given.give(contents, sink, hashedMatch(contents, contents.arena, contents.name(encloser)), TYPE.NSEC3);
  given.give(contents, sink, hashedCover(contents, contents.arena, contents.name(closer)), TYPE.NSEC3);
}

/** A wildcard stands for the name, and has not what was asked for (RFC 4035 §3.1.3.4, RFC 5155 §7.2.5). */
export function denyWildcardType(
  contents: ZoneContents,
  sink: AnswerSink,
  name: Uint8Array,
  nameAt: number,
  wildcard: number,
  encloser: number,
): void {
  if (isHashed(contents)) proveEncloser(contents, sink, name, nameAt, encloser, new Given());
  else proveNoCloser(contents, sink, name, nameAt, encloser);
  denyType(contents, sink, wildcard);
}

/** What was answered is a wildcard's: nothing closer exists (RFC 4035 §3.1.3.3, RFC 5155 §7.2.6). */
export function proveNoCloser(
  contents: ZoneContents,
  sink: AnswerSink,
  name: Uint8Array,
  nameAt: number,
  encloser: number,
): void {
  const given = new Given();
  if (!isHashed(contents)) given.give(contents, sink, covering(contents, name, nameAt), TYPE.NSEC);
  else given.give(contents, sink, hashedCover(contents, name, closerAt(contents, name, nameAt, encloser)), TYPE.NSEC3);
}

function isHashed(contents: ZoneContents): boolean {
  return contents.setOf(APEX, TYPE.NSEC3PARAM) !== 0;
}

function wildcardOf(contents: ZoneContents, node: number): Uint8Array | null {
  const at = contents.name(node);
  return joinNames(Uint8Array.of(1, 0x2a, 0), copyOf(contents.arena, at, nameEnd(contents.arena, at)));
}

/** The last node with NSEC at or before a name. */
function covering(contents: ZoneContents, name: Uint8Array, nameAt: number): number {
  const order = contents.order();
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNames(contents.arena, name, contents.name(order[middle]!), nameAt) <= 0) low = middle + 1;
    else high = middle;
  }
  for (let index = low - 1; index >= 0; index--)
    if (contents.setOf(order[index]!, TYPE.NSEC) !== 0) return order[index]!;
  return 0;
}

/** The name one label longer than the encloser on the way to `name`: where it begins. */
function closerAt(contents: ZoneContents, name: Uint8Array, nameAt: number, encloser: number): number {
  const size = nameEnd(contents.arena, contents.name(encloser)) - contents.name(encloser);
  const end = nameEnd(name, nameAt);
  let at = nameAt;
  while (end - (at + name[at]! + 1) > size) at += name[at]! + 1;
  return at;
}

function proveEncloser(
  contents: ZoneContents,
  sink: AnswerSink,
  name: Uint8Array,
  nameAt: number,
  encloser: number,
  given: Given,
): void {
  given.give(contents, sink, hashedMatch(contents, contents.arena, contents.name(encloser)), TYPE.NSEC3);
  given.give(contents, sink, hashedCover(contents, name, closerAt(contents, name, nameAt, encloser)), TYPE.NSEC3);
}

/** The owner of the NSEC3 of a name: the base32 of its hash, as a label before the origin (RFC 5155 §5). */
export function hashedOwner(contents: ZoneContents, name: Uint8Array, nameAt: number): Uint8Array | null {
  const set = contents.setOf(APEX, TYPE.NSEC3PARAM);
  const { arena } = contents;
  const at = contents.firstRecord(set);
  const iterations = u16(arena, at + 2);
  // Each question would cost as many hashes (RFC 9276 §3.2).
  if (iterations > ITERATIONS_MAX) return null;
  const salt = arena.subarray(at + 5, at + 5 + arena[at + 4]!);
  const plain = name.slice(nameAt, nameEnd(name, nameAt));
  for (let index = 0; index < plain.length; index++) plain[index] = LOWER[plain[index]!]!;
  let hash = createHash('sha1').update(plain).update(salt).digest();
  for (let round = 0; round < iterations; round++) hash = createHash('sha1').update(hash).update(salt).digest();
  const label = Buffer.from(base32Text(hash, 0, hash.length).toLowerCase());
  return joinNames(Uint8Array.from([label.length, ...label, 0]), contents.origin);
}

function hashedMatch(contents: ZoneContents, name: Uint8Array, nameAt: number): number {
  const owner = hashedOwner(contents, name, nameAt);
  const node = owner === null ? 0 : contents.find(owner, 0);
  return node !== 0 && contents.setOf(node, TYPE.NSEC3) !== 0 ? node : 0;
}

function hashedCover(contents: ZoneContents, name: Uint8Array, nameAt: number): number {
  const owner = hashedOwner(contents, name, nameAt);
  const order = contents.hashOrder();
  if (owner === null || order.length === 0) return 0;
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNames(contents.arena, owner, contents.name(order[middle]!), 0) <= 0) low = middle + 1;
    else high = middle;
  }
  // Before the first stands the last: the chain is a ring.
  return order[low === 0 ? order.length - 1 : low - 1]!;
}
