// Connection ids (RFC 9000 §5.1): those that we issued, by which packets find us, and those of the peer that we may use.
import type { Fault } from '../../../core/fault.ts';
import { transportFaults as faults } from '../faults.ts';
import { Ranges } from '../recovery/ranges.ts';

export const OWN_ID_BYTES = 8;

/** Where packets are led to their connections. */
export interface IdBook {
  /** A new id that leads to the connection, of `OWN_ID_BYTES`. */
  issue(): Uint8Array;
  forget(id: Uint8Array): void;
  resetToken(id: Uint8Array): Uint8Array;
}

/** Where the peer's tokens are known, since a packet that ends a connection bears none of its ids. */
export interface TokenBook {
  watch(token: Uint8Array): void;
  unwatch(token: Uint8Array): void;
}

export interface OwnId {
  readonly sequence: number;
  readonly id: Uint8Array;
}

/** Ours. */
export class OwnIds {
  private list: OwnId[] = [];
  private next = 0;
  private readonly book: IdBook;
  /** Sequence numbers of those that wait to be told. */
  readonly toTell: number[] = [];

  constructor(book: IdBook) {
    this.book = book;
  }

  /** The one of the handshake. */
  first(): Uint8Array {
    return this.add().id;
  }

  private add(): OwnId {
    const own = { sequence: this.next++, id: this.book.issue() };
    this.list.push(own);
    return own;
  }

  /** As the number that the preferred address has with it (RFC 9000 §5.1.1). */
  second(): Uint8Array {
    return this.add().id;
  }

  /** As many as the peer keeps, and not more than `most`. */
  fill(peersMax: number, most: number): void {
    while (this.list.length < Math.min(peersMax, most)) this.toTell.push(this.add().sequence);
  }

  get(sequence: number): OwnId | null {
    return this.list.find((own) => own.sequence === sequence) ?? null;
  }

  tokenOf(own: OwnId): Uint8Array {
    return this.book.resetToken(own.id);
  }

  /** RETIRE_CONNECTION_ID, in a packet that came to `destination`. */
  retire(sequence: number, bytes: Uint8Array, start: number, end: number): Fault | null {
    if (sequence >= this.next) return faults.retireUnknown;
    const own = this.get(sequence);
    if (own === null) return null;
    if (own.id.length === end - start && own.id.every((byte, index) => byte === bytes[start + index]))
      return faults.retireUnknown;
    this.list = this.list.filter((each) => each !== own);
    this.book.forget(own.id);
    return null;
  }

  has(bytes: Uint8Array, start: number, end: number): number {
    const found = this.list.find(
      ({ id }) => id.length === end - start && id.every((byte, index) => byte === bytes[start + index]),
    );
    return found === undefined ? -1 : found.sequence;
  }

  clear(): void {
    for (const { id } of this.list) this.book.forget(id);
    this.list = [];
  }
}

interface PeersId {
  readonly sequence: number;
  readonly id: Uint8Array;
  resetToken: Uint8Array | null;
}

/** The peer's. */
export class PeersIds {
  private list: PeersId[];
  private used: PeersId;
  private retirePriorTo = 0;
  /** Numbers that were ever issued: one that was retired is not taken up again. */
  private readonly seen = new Ranges();
  private readonly book: TokenBook;
  /** Sequence numbers that wait to be told as retired. */
  readonly toRetire: number[] = [];

  constructor(first: Uint8Array, book: TokenBook) {
    this.book = book;
    this.used = { sequence: 0, id: first, resetToken: null };
    this.list = [this.used];
    this.seen.add(0, 1);
  }

  get id(): Uint8Array {
    return this.used.id;
  }

  /** A client learns the server's own choice from its first packet. */
  replaceFirst(id: Uint8Array): void {
    this.used = { sequence: 0, id, resetToken: null };
    this.list = [this.used];
  }

  setFirstToken(token: Uint8Array): void {
    this.used.resetToken = token;
    this.book.watch(token);
  }

  get spares(): number {
    return this.list.length - 1;
  }

  /** NEW_CONNECTION_ID (RFC 9000 §19.15). */
  add(
    sequence: number,
    retirePriorTo: number,
    id: Uint8Array,
    resetToken: Uint8Array,
    most: number,
    retiresMax: number,
  ): Fault | null {
    if (this.used.id.length === 0) return faults.connectionIdReused;
    const same = (one: Uint8Array, other: Uint8Array) => Buffer.compare(one, other) === 0;
    for (const each of this.list)
      if ((each.sequence === sequence) !== same(each.id, id)) return faults.connectionIdReused;
    if (sequence < this.retirePriorTo) this.retire(sequence);
    else if (!this.seen.has(sequence)) {
      this.list.push({ sequence, id, resetToken });
      this.book.watch(resetToken);
    }
    this.seen.add(sequence, sequence + 1);
    if (this.seen.count > most * 8) return faults.connectionIdLimit;
    if (retirePriorTo > this.retirePriorTo) {
      this.retirePriorTo = retirePriorTo;
      for (const each of this.list) if (each.sequence < retirePriorTo) this.retire(each.sequence);
      this.list = this.list.filter((each) => each.sequence >= retirePriorTo);
      if (this.list.length === 0) return faults.connectionIdLimit;
      if (this.used.sequence < retirePriorTo) this.used = this.list[0]!;
    }
    if (this.list.length > most) return faults.connectionIdLimit;
    return this.toRetire.length > retiresMax ? faults.retireFlood : null;
  }

  private retire(sequence: number): void {
    const token = this.list.find((each) => each.sequence === sequence)?.resetToken;
    if (token) this.book.unwatch(token);
    if (!this.toRetire.includes(sequence)) this.toRetire.push(sequence);
  }

  /** Goes on with another; false when there is none. */
  rotate(): boolean {
    const next = this.list.find((each) => each !== this.used);
    if (next === undefined) return false;
    this.retire(this.used.sequence);
    this.list = this.list.filter((each) => each !== this.used);
    this.used = next;
    return true;
  }

  clear(): void {
    for (const { resetToken } of this.list) if (resetToken !== null) this.book.unwatch(resetToken);
  }
}
