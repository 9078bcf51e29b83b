// Writes header blocks (RFC 7541 §6): what is the same in each answer becomes one byte of it. What is seen a second time is
// put into the table; what is secret never is (RFC 7541 §7.1.3).
import type { ByteWriter } from '../../bytes/writer.ts';
import { DynamicTable } from '../http/dynamic-table.ts';
import { SECRET, STEADY, writeInteger, writeText } from '../http/field-writing.ts';
import { STATIC_INDEX, STATIC_LENGTH, STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

/** The most that the table of what we send may take, whatever the peer would allow. */
const TABLE_BYTES = 4_096;
/** Longer values are sent as they are: one of them would push everything else out. */
const INDEXED_BYTES_MAX = 512;
/** Names of which something is known; those beyond are sent as they are. */
const NAMES_MAX = 256;

/** Values of one name that are in the table; more than these many are looked for no further. */
const VALUES_KEPT = 4;

/** What is known of one name. */
class Known {
  readonly index: number;
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
    this.index = STATIC_INDEX.get(name) ?? 0;
    this.secret = SECRET.has(name);
    this.steady = STEADY.has(name);
  }
}

export class HeaderWriter {
  readonly table = new DynamicTable(TABLE_BYTES);
  private readonly known = new Map<string, Known>();
  /** Table sizes to be told at the beginning of the next block (§4.2); -1 for none. */
  private least = -1;
  private size = -1;

  /** The peer allows a table of so many bytes. */
  allow(bytes: number): void {
    const size = Math.min(bytes, TABLE_BYTES);
    if (size === this.table.sizeMax && this.size < 0) return;
    this.least = this.least < 0 ? size : Math.min(this.least, size);
    this.size = size;
    this.table.resize(size);
  }

  /** To be called before the fields of a block. */
  begin(out: ByteWriter): void {
    if (this.size < 0) return;
    if (this.least < this.size) writeInteger(out, 0x20, 5, this.least);
    writeInteger(out, 0x20, 5, this.size);
    this.least = -1;
    this.size = -1;
  }

  status(out: ByteWriter, status: number): void {
    switch (status) {
      case 200:
        out.u8(0x88);
        return;
      case 204:
        out.u8(0x89);
        return;
      case 206:
        out.u8(0x8a);
        return;
      case 304:
        out.u8(0x8b);
        return;
      case 400:
        out.u8(0x8c);
        return;
      case 404:
        out.u8(0x8d);
        return;
      case 500:
        out.u8(0x8e);
        return;
      default:
        this.field(out, ':status', String(status));
    }
  }

  /** Writes a field whose name is in lower case and whose value may be sent. */
  field(out: ByteWriter, name: string, value: string): void {
    const known = this.known.get(name) ?? this.learn(name);
    const { table } = this;
    const { values, numbers } = known;
    for (let at = 0; at < values.length; at++) {
      if (values[at] !== value) continue;
      const number = numbers[at]!;
      if (!table.has(number)) break;
      writeInteger(out, 0x80, 7, STATIC_LENGTH + table.added - number);
      return;
    }
    if (known.index > 0 && this.writeStatic(out, known.index, name, value)) return;
    const may = !known.secret && value.length <= INDEXED_BYTES_MAX && table.sizeMax > 0;
    const indexed = may && (known.steady || known.last === value);
    if (may) known.last = value;
    if (indexed) writeInteger(out, 0x40, 6, this.nameIndex(known));
    else writeInteger(out, known.secret ? 0x10 : 0, 4, this.nameIndex(known));
    const named = known.index > 0 || (known.name >= 0 && table.has(known.name));
    if (!named) writeText(out, name);
    const bytes = writeText(out, value);
    if (indexed) this.remember(known, name, value, name.length + bytes);
  }

  private learn(name: string): Known {
    const known = new Known(name);
    if (this.known.size < NAMES_MAX) this.known.set(name, known);
    return known;
  }

  private nameIndex(known: Known): number {
    if (known.index > 0) return known.index;
    const { table } = this;
    return known.name >= 0 && table.has(known.name) ? STATIC_LENGTH + table.added - known.name : 0;
  }

  private writeStatic(out: ByteWriter, index: number, name: string, value: string): boolean {
    for (let at = index; STATIC_NAMES[at] === name; at++) {
      if (STATIC_VALUES[at] !== value || value === '') continue;
      out.u8(0x80 | at);
      return true;
    }
    return false;
  }

  private remember(known: Known, name: string, value: string, bytes: number): void {
    const { table } = this;
    table.add(name, value, bytes);
    const number = table.added - 1;
    if (!table.has(number)) return;
    known.name = number;
    const at = known.values.length < VALUES_KEPT ? known.values.length : known.next++ % VALUES_KEPT;
    known.values[at] = value;
    known.numbers[at] = number;
  }
}
