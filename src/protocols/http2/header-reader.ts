// Reads header blocks (RFC 7541 §3, §6). What the fields mean, and which may stand together, is not its business; whether
// a name or value can be one at all is found here once, where it is read.
import { BAD } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { DynamicTable, ENTRY_BYTES } from '../http/dynamic-table.ts';
import { fieldValueOf, isBroken, nameOf } from '../http/field-text.ts';
import { huffmanDecode } from '../http/huffman.ts';
import { faults } from './faults.ts';
import { STATIC_LENGTH, STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

/** Integers beyond this are refused (RFC 7541 §5.1): nothing here counts so far. */
const INTEGER_MAX = 0x0fff_ffff;

let scratch = Buffer.allocUnsafeSlow(4_096);

export class HeaderReader {
  readonly table: DynamicTable;
  /** Of the last block: name, value, name, value. */
  list: string[] = [];
  /** The last block has a name or a value that no message may have (RFC 9113 §8.2.1). */
  broken = false;
  /** Its fields took more than may be: those beyond are read, for the table's sake, and not kept. */
  tooLarge = false;
  fault: Fault = faults.headerBlock;
  private readonly tableMax: number;
  private readonly listMax: number;
  private readonly fieldsMax: number;
  private size = 0;
  private count = 0;
  private integer = 0;

  constructor(bounds: { tableBytesMax: number; headBytesMax: number; fieldsMax: number }) {
    this.table = new DynamicTable(bounds.tableBytesMax);
    this.tableMax = bounds.tableBytesMax;
    this.listMax = bounds.headBytesMax;
    this.fieldsMax = bounds.fieldsMax;
  }

  /** Reads a whole block; answers its end, or BAD when the table cannot be trusted any more. */
  read(input: Uint8Array, start: number, end: number): number {
    this.list = [];
    this.broken = false;
    this.tooLarge = false;
    this.size = 0;
    this.count = 0;
    let at = start;
    while (at < end) {
      const byte = input[at]!;
      if (byte >= 0x80) at = this.indexed(input, at, end);
      else if (byte >= 0x40) at = this.literal(input, at, end, 6, true);
      else if (byte >= 0x20) at = this.resize(input, at, end);
      else at = this.literal(input, at, end, 4, false);
      if (at < 0) return BAD;
    }
    return at;
  }

  private bad(fault: Fault): typeof BAD {
    this.fault = fault;
    return BAD;
  }

  /** An integer with a prefix of so many bits (§5.1), into `integer`. */
  private readInteger(input: Uint8Array, at: number, end: number, bits: number): number {
    const most = (1 << bits) - 1;
    let value = input[at]! & most;
    at++;
    if (value === most) {
      let shift = 0;
      for (;;) {
        if (at === end) return this.bad(faults.headerBlock);
        const byte = input[at++]!;
        value += (byte & 0x7f) * 2 ** shift;
        if (value > INTEGER_MAX || shift > 28) return this.bad(faults.headerInteger);
        if (byte < 0x80) break;
        shift += 7;
      }
    }
    this.integer = value;
    return at;
  }

  private indexed(input: Uint8Array, at: number, end: number): number {
    let index = input[at]! & 0x7f;
    if (index === 0x7f) {
      at = this.readInteger(input, at, end, 7);
      if (at < 0) return at;
      index = this.integer;
    } else at++;
    if (index === 0) return this.bad(faults.headerIndex);
    if (index <= STATIC_LENGTH) this.keep(STATIC_NAMES[index]!, STATIC_VALUES[index]!);
    else {
      const { table } = this;
      const n = table.added - 1 - (index - STATIC_LENGTH - 1);
      if (!table.has(n)) return this.bad(faults.headerIndex);
      this.keep(table.nameOf(n), table.valueOf(n));
    }
    return at;
  }

  private literal(input: Uint8Array, at: number, end: number, bits: number, added: boolean): number {
    at = this.readInteger(input, at, end, bits);
    if (at < 0) return at;
    const index = this.integer;
    const { table } = this;
    let name: string;
    let bytes = 0;
    if (index === 0) {
      const next = this.readText(input, at, end, true);
      if (next < 0) return next;
      at = next;
      name = this.text;
      bytes = this.textBytes;
    } else if (index <= STATIC_LENGTH) {
      name = STATIC_NAMES[index]!;
      bytes = name.length;
    } else {
      const n = table.added - 1 - (index - STATIC_LENGTH - 1);
      if (!table.has(n)) return this.bad(faults.headerIndex);
      name = table.nameOf(n);
      bytes = name.length;
    }
    const next = this.readText(input, at, end, false);
    if (next < 0) return next;
    const value = this.text;
    bytes += this.textBytes;
    if (added) table.add(name, value, bytes);
    this.keep(name, value);
    return next;
  }

  private text = '';
  private textBytes = 0;

  /** A string (§5.2), into `text`. */
  private readText(input: Uint8Array, at: number, end: number, isName: boolean): number {
    if (at === end) return this.bad(faults.headerBlock);
    const coded = input[at]! >= 0x80;
    at = this.readInteger(input, at, end, 7);
    if (at < 0) return at;
    const length = this.integer;
    if (length > end - at) return this.bad(faults.headerBlock);
    let bytes = input;
    let from = at;
    let to = at + length;
    if (coded) {
      if (scratch.length < length * 2) scratch = Buffer.allocUnsafeSlow(length * 2);
      to = huffmanDecode(input, at, to, scratch);
      if (to < 0) return this.bad(faults.huffman);
      bytes = scratch;
      from = 0;
    }
    this.textBytes = to - from;
    this.text = isName ? nameOf(bytes, from, to) : fieldValueOf(bytes, from, to);
    return at + length;
  }

  private resize(input: Uint8Array, at: number, end: number): number {
    // It stands at the beginning of a block (§4.2).
    if (this.count > 0) return this.bad(faults.tableSize);
    at = this.readInteger(input, at, end, 5);
    if (at < 0) return at;
    if (this.integer > this.tableMax) return this.bad(faults.tableSize);
    this.table.resize(this.integer);
    return at;
  }

  private keep(name: string, value: string): void {
    this.count++;
    this.size += name.length + value.length + ENTRY_BYTES;
    if (this.size > this.listMax || this.count > this.fieldsMax) {
      this.tooLarge = true;
      return;
    }
    if (isBroken(name, value)) this.broken = true;
    this.list.push(name, value);
  }
}
