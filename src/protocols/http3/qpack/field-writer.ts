// Writes field sections, and the instructions that fill their table at the other end (RFC 9204 §2.1, §4): the encoder's half.
// An entry that may still be referred to is never pushed out, and no more sections wait for entries than the peer allows.
import { ByteWriter } from '../../../bytes/writer.ts';
import { DynamicTable, ENTRY_BYTES } from '../../http/dynamic-table.ts';
import { SECRET, STEADY, writeInteger, writeText } from '../../http/field-writing.ts';
import { STATIC_INDEXES, STATIC_VALUES } from './static-table.ts';

/** The most that the table of what we send may take, whatever the peer would allow. */
const TABLE_BYTES = 4_096;
/** Longer values are sent as they are: one of them would push everything else out. */
const INDEXED_BYTES_MAX = 512;
/** Names of which something is known; those beyond are sent as they are. */
const NAMES_MAX = 256;
/** Sections that are not acknowledged; those beyond refer to nothing. */
const SECTIONS_MAX = 1_024;
const VALUES_KEPT = 4;
const NO_INDEXES: readonly number[] = [];

/** The section that is being written, of whatever connection: it is copied out before another begins. */
const LINES = new ByteWriter(8_388_608);
const PREFIX = new ByteWriter(64);

/** What is known of one name. */
class Known {
  readonly statics: readonly number[];
  readonly secret: boolean;
  readonly steady: boolean;
  /** The value that came last of those that are not in the table. */
  last: string | null = null;
  /** The number of an entry with this name, or -1. */
  name = -1;
  readonly values: string[] = [];
  readonly numbers: number[] = [];
  next = 0;

  constructor(name: string) {
    this.statics = STATIC_INDEXES.get(name) ?? NO_INDEXES;
    this.secret = SECRET.has(name);
    this.steady = STEADY.has(name);
  }
}

/** A section that refers to the table and is not acknowledged (§2.1.1): entries from `least` up to below `required`. */
interface Section {
  readonly required: number;
  readonly least: number;
}

export class FieldWriter {
  readonly table = new DynamicTable(TABLE_BYTES);
  /** What is to be sent on the encoder's stream. */
  readonly instructions = new ByteWriter(1_048_576);
  /** Entries that the peer is known to have (§2.1.4). */
  received = 0;
  /** Of the section that was written last. */
  required = 0;
  least = 0;
  private readonly known = new Map<string, Known>();
  private readonly open = new Map<number, Section[]>();
  private sections = 0;
  /** Sections of those that may wait for entries, and how many may. */
  private waiting = 0;
  private waitingMax = 0;
  private mayWait = false;
  private mayRefer = false;
  private entriesMax = 0;
  private base = 0;

  constructor() {
    this.table.resize(0);
  }

  /** The peer's settings: the table that it would keep, and how many of its streams may wait (§5). */
  allow(bytes: number, streams: number): void {
    this.waitingMax = streams;
    this.entriesMax = Math.floor(bytes / ENTRY_BYTES);
    const size = Math.min(bytes, TABLE_BYTES);
    if (size === this.table.sizeMax) return;
    this.table.resize(size);
    writeInteger(this.instructions, 0x20, 5, size);
  }

  // ---- sections ----------------------------------------------------------------------------------------------------

  begin(): ByteWriter {
    this.base = this.table.added;
    this.required = 0;
    this.least = Number.POSITIVE_INFINITY;
    this.mayRefer = this.table.length > 0 || this.table.sizeMax > 0 ? this.sections < SECTIONS_MAX : false;
    this.mayWait = this.mayRefer && this.waiting < this.waitingMax;
    LINES.length = 0;
    return LINES;
  }

  /** No more lines: answers how long the section is. */
  end(): number {
    const { required, base } = this;
    PREFIX.length = 0;
    if (required === 0) PREFIX.u16(0);
    else {
      // §4.5.1
      writeInteger(PREFIX, 0, 8, (required % (2 * this.entriesMax)) + 1);
      if (base >= required) writeInteger(PREFIX, 0, 7, base - required);
      else writeInteger(PREFIX, 0x80, 7, required - base - 1);
    }
    return PREFIX.length + LINES.length;
  }

  copyTo(out: ByteWriter): void {
    out.copy(PREFIX.bytes, 0, PREFIX.length);
    out.copy(LINES.bytes, 0, LINES.length);
  }

  /** A section with these references was sent on a stream. */
  sent(stream: number, required: number, least: number): void {
    if (required === 0) return;
    const section = { required, least };
    const sections = this.open.get(stream);
    if (sections === undefined) this.open.set(stream, [section]);
    else sections.push(section);
    this.sections++;
    if (required > this.received) this.waiting++;
  }

  status(out: ByteWriter, status: number): void {
    if (status === 200) out.u8(0xd9);
    else this.field(out, ':status', String(status));
  }

  /** Writes a field whose name is in lower case and whose value may be sent. */
  field(out: ByteWriter, name: string, value: string): void {
    const known = this.known.get(name) ?? this.learn(name);
    const { statics } = known;
    for (let at = 0; at < statics.length; at++) {
      if (STATIC_VALUES[statics[at]!] !== value) continue;
      writeInteger(out, 0xc0, 6, statics[at]!);
      return;
    }
    const found = this.find(known, value);
    if (found >= 0 && this.refer(found)) {
      this.writeIndexed(out, found);
      return;
    }
    if (found < 0 && this.isWorth(known, value)) {
      const number = this.insert(known, name, value);
      if (number >= 0 && this.refer(number)) {
        this.writeIndexed(out, number);
        return;
      }
    }
    this.writeLiteral(out, known, name, value);
  }

  private learn(name: string): Known {
    const known = new Known(name);
    if (this.known.size < NAMES_MAX) this.known.set(name, known);
    return known;
  }

  private isWorth(known: Known, value: string): boolean {
    if (known.secret || value.length > INDEXED_BYTES_MAX || this.table.sizeMax === 0) return false;
    const worth = known.steady || known.last === value;
    known.last = value;
    return worth;
  }

  private find(known: Known, value: string): number {
    const { values, numbers } = known;
    for (let at = 0; at < values.length; at++) {
      if (values[at] !== value) continue;
      const number = numbers[at]!;
      if (!this.table.has(number)) return -1;
      return this.isDraining(number) ? this.again(known, at, number) : number;
    }
    return -1;
  }

  /** Whether an entry is about to be pushed out, so that new references would keep it there (§2.1.1.1). */
  private isDraining(number: number): boolean {
    const { table } = this;
    return table.size * 4 > table.sizeMax * 3 && number < table.added - table.length + (table.length >>> 2);
  }

  /** Puts an entry behind all others, where that can be (§4.3.4); answers its number. */
  private again(known: Known, at: number, number: number): number {
    const { table } = this;
    const bytes = table.bytesOf(number);
    if (!this.hasPlace(bytes) || table.oldestAfter(bytes) > number) return number;
    writeInteger(this.instructions, 0, 5, table.added - 1 - number);
    table.add(table.nameOf(number), table.valueOf(number), bytes);
    known.numbers[at] = known.name = table.added - 1;
    return this.mayWait ? table.added - 1 : number;
  }

  /** Whether this section may refer to an entry; it does from now on. */
  private refer(number: number): boolean {
    if (!this.mayRefer || (number >= this.received && !this.mayWait)) return false;
    if (number >= this.required) this.required = number + 1;
    if (number < this.least) this.least = number;
    return true;
  }

  /** Whether so many bytes can be put into the table without pushing out what is referred to, or not known to be there. */
  private hasPlace(bytes: number): boolean {
    const { table } = this;
    const oldest = table.oldestAfter(bytes);
    if (oldest < 0) return false;
    if (oldest === table.added - table.length) return true;
    if (oldest > this.received || oldest > this.least) return false;
    for (const sections of this.open.values()) for (const { least } of sections) if (oldest > least) return false;
    return true;
  }

  private insert(known: Known, name: string, value: string): number {
    const { table, instructions } = this;
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(value);
    if (instructions.length > TABLE_BYTES || !this.hasPlace(bytes)) return -1;
    const { statics } = known;
    if (statics.length > 0) writeInteger(instructions, 0xc0, 6, statics[0]!);
    else if (known.name >= 0 && table.has(known.name) && table.oldestAfter(bytes) <= known.name)
      writeInteger(instructions, 0x80, 6, table.added - 1 - known.name);
    else writeText(instructions, name, 0x40, 5);
    writeText(instructions, value);
    table.add(name, value, bytes);
    const number = table.added - 1;
    known.name = number;
    const at = known.values.length < VALUES_KEPT ? known.values.length : known.next++ % VALUES_KEPT;
    known.values[at] = value;
    known.numbers[at] = number;
    return number;
  }

  private writeIndexed(out: ByteWriter, number: number): void {
    if (number < this.base) writeInteger(out, 0x80, 6, this.base - 1 - number);
    else writeInteger(out, 0x10, 4, number - this.base);
  }

  private writeLiteral(out: ByteWriter, known: Known, name: string, value: string): void {
    const never = known.secret;
    if (known.statics.length > 0) writeInteger(out, never ? 0x70 : 0x50, 4, known.statics[0]!);
    else if (known.name >= 0 && this.table.has(known.name) && this.refer(known.name)) {
      if (known.name < this.base) writeInteger(out, never ? 0x60 : 0x40, 4, this.base - 1 - known.name);
      else writeInteger(out, never ? 8 : 0, 3, known.name - this.base);
    } else writeText(out, name, never ? 0x30 : 0x20, 3);
    writeText(out, value);
  }

  // ---- what the peer's decoder says (§4.4) -------------------------------------------------------------------------

  /** Section Acknowledgment; false when nothing was sent there that needs one. */
  acknowledged(stream: number): boolean {
    const sections = this.open.get(stream);
    if (sections === undefined) return false;
    const { required } = sections.shift()!;
    this.sections--;
    if (sections.length === 0) this.open.delete(stream);
    if (required > this.received) this.has(required, true);
    return true;
  }

  /** Stream Cancellation. */
  cancelled(stream: number): void {
    const sections = this.open.get(stream);
    if (sections === undefined) return;
    this.open.delete(stream);
    this.sections -= sections.length;
    for (const { required } of sections) if (required > this.received) this.waiting--;
  }

  /** Insert Count Increment; false when it is nothing, or more than was inserted. */
  increment(count: number): boolean {
    if (count === 0 || this.received + count > this.table.added) return false;
    this.has(this.received + count, false);
    return true;
  }

  private has(count: number, settled: boolean): void {
    if (settled) this.waiting--;
    this.received = count;
    if (this.waiting === 0) return;
    this.waiting = 0;
    for (const sections of this.open.values())
      for (const { required } of sections) if (required > count) this.waiting++;
  }
}
