// Zone transfers as they are sent: the whole zone (AXFR, RFC 5936) or what has changed since a serial (IXFR, RFC 1995), as a
// row of messages, each as full as it may be. It holds on to the state that it began with.
import { TYPE } from '../../formats/dns/records.ts';
import type { Delta, Pinned, Zone } from '../../resources/names/contract.ts';
import type { AnswerStream, Responder } from './responder.ts';
import type { Signing } from './tsig.ts';
import * as W from './wire.ts';

/** Octets of one message of a transfer: what fits 16,384 can be compressed all over. */
const MESSAGE_BYTES = 16_384;
/** Left for a signature. */
const SIGNATURE_BYTES = 512;
const ANSWERS = 6;

/** What is asked for, and how its answers are marked. */
export interface Transfer {
  readonly id: number;
  readonly flags: number;
  readonly name: Uint8Array;
  readonly type: number;
  readonly signing: Signing | null;
  readonly wall: () => number;
}

/** One record to be sent. */
interface Piece {
  name: Uint8Array;
  nameAt: number;
  type: number;
  ttl: number;
  data: Uint8Array;
  at: number;
  end: number;
}

/** Messages out of a row of records. */
abstract class RecordStream implements AnswerStream {
  protected readonly transfer: Transfer;
  protected readonly piece: Piece = {
    name: NONE,
    nameAt: 0,
    type: 0,
    ttl: 0,
    data: NONE,
    at: 0,
    end: 0,
  };
  /** The piece did not fit the message before. */
  private held = false;
  private first = true;
  private done = false;
  private readonly ended: () => void;

  constructor(transfer: Transfer, ended: () => void) {
    this.transfer = transfer;
    this.ended = ended;
  }

  /** Sets `piece` to the next record; false at the end. */
  protected abstract advance(): boolean;

  next({ out, bytes }: Responder): number {
    if (this.done) return 0;
    const { id, flags, name, type, signing, wall } = this.transfer;
    out.begin(bytes, 0, MESSAGE_BYTES);
    out.keepsCase = true;
    // Only the first message repeats the question (RFC 5936 §2.2.2).
    if (this.first) out.question(name, 0, type, 1);
    this.first = false;
    out.limit = MESSAGE_BYTES - (signing === null ? 0 : SIGNATURE_BYTES);
    let count = 0;
    while (this.held || this.advance()) {
      const { piece } = this;
      // A record larger than that has a message of its own.
      if (count === 0) out.limit = W.MESSAGE_BYTES_MAX - SIGNATURE_BYTES;
      this.held = !out.record(
        ANSWERS,
        piece.name,
        piece.nameAt,
        piece.type,
        1,
        piece.ttl,
        piece.data,
        piece.at,
        piece.end,
      );
      if (count === 0) out.limit = MESSAGE_BYTES - (signing === null ? 0 : SIGNATURE_BYTES);
      if (this.held) break;
      count++;
    }
    if (!this.held) this.done = true;
    if (count === 0) return 0;
    out.header(id, W.QR | W.AA | flags);
    out.limit = W.MESSAGE_BYTES_MAX;
    signing?.sign(out, wall());
    return out.length;
  }

  close(): void {
    this.done = true;
    this.ended();
  }
}

const NONE = new Uint8Array(0);

/** The whole zone: SOA, everything else, SOA. */
export class WholeZone extends RecordStream {
  private readonly pinned: Pinned;
  private node = 0;
  private set = 0;
  private left = 0;
  private record = 0;
  private ends = 0;

  constructor(zone: Zone, transfer: Transfer, ended: () => void) {
    const pinned = zone.pin();
    super(transfer, () => {
      pinned.release();
      ended();
    });
    this.pinned = pinned;
  }

  protected advance(): boolean {
    if (this.ends === 0) return this.soa();
    const { contents } = this.pinned;
    for (;;) {
      if (this.left > 0) {
        this.give();
        return true;
      }
      this.set = this.set === 0 ? 0 : contents.nextSet(this.set);
      while (this.set === 0) {
        if (++this.node >= contents.nodesEnd) return this.ends === 1 && this.soa();
        this.set = contents.firstSet(this.node);
      }
      if (this.node === 1 && contents.typeOf(this.set) === TYPE.SOA) continue;
      this.left = contents.countOf(this.set);
      this.record = contents.firstRecord(this.set);
    }
  }

  private give(): void {
    const { contents } = this.pinned;
    const { piece, set } = this;
    piece.name = contents.arena;
    piece.nameAt = contents.name(this.node);
    piece.type = contents.typeOf(set);
    piece.ttl = contents.ttlAt(set, this.record);
    piece.data = contents.arena;
    piece.at = this.record;
    piece.end = contents.recordEnd(this.record);
    this.record = piece.end + 2;
    this.left--;
  }

  private soa(): boolean {
    const { contents } = this.pinned;
    const { piece } = this;
    const set = contents.setOf(1, TYPE.SOA);
    piece.name = contents.arena;
    piece.nameAt = contents.name(1);
    piece.type = TYPE.SOA;
    piece.ttl = contents.ttlOf(set);
    piece.data = contents.arena;
    piece.at = contents.firstRecord(set);
    piece.end = contents.recordEnd(piece.at);
    this.ends++;
    return true;
  }
}

/** The changes: SOA of now; for each, SOA before and what leaves, SOA after and what comes; SOA of now (RFC 1995 §4). */
export class ChangedZone extends RecordStream {
  private readonly pieces: Iterator<Piece>;

  constructor(zone: Zone, deltas: readonly Delta[], transfer: Transfer, ended: () => void) {
    super(transfer, ended);
    this.pieces = changedPieces(zone.origin, deltas, this.piece);
  }

  protected advance(): boolean {
    return this.pieces.next().done !== true;
  }
}

/** REMOVED and ADDED of the names' changes. */
const LEAVES = 0;
const COMES = 1;

function* changedPieces(origin: Uint8Array, deltas: readonly Delta[], piece: Piece): Generator<Piece> {
  const last = deltas.at(-1)!;
  yield soaPiece(piece, origin, last.soaAfter, last.soaTtl);
  for (const { soaBefore, soaAfter, soaTtl, changes } of deltas) {
    for (const direction of [LEAVES, COMES]) {
      yield soaPiece(piece, origin, direction === LEAVES ? soaBefore : soaAfter, soaTtl);
      for (let at = 0; at < changes.length; ) {
        const next = readPiece(changes, at, piece);
        if (changes[at] === direction) yield piece;
        at = next;
      }
    }
  }
  yield soaPiece(piece, origin, last.soaAfter, last.soaTtl);
}

function soaPiece(piece: Piece, origin: Uint8Array, data: Uint8Array, ttl: number): Piece {
  return Object.assign(piece, { name: origin, nameAt: 0, type: TYPE.SOA, ttl, data, at: 0, end: data.length });
}

/** direction u8 · name · type u16 · TTL u32 · length u16 · data */
function readPiece(bytes: Uint8Array, at: number, piece: Piece): number {
  let head = at + 1;
  while (bytes[head] !== 0) head += bytes[head]! + 1;
  head++;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  piece.name = bytes;
  piece.nameAt = at + 1;
  piece.type = view.readUInt16BE(head);
  piece.ttl = view.readUInt32BE(head + 2);
  piece.data = bytes;
  piece.at = head + 8;
  piece.end = piece.at + view.readUInt16BE(head + 6);
  return piece.end;
}
