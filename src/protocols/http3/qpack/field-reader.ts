// Reads field sections and the instructions that fill their table (RFC 9204 §4): the decoder's half. What the fields mean is
// not its business; it knows no stream.
import { BAD, MORE } from '../../../bytes/reader.ts';
import type { Fault } from '../../../core/fault.ts';
import { DynamicTable, ENTRY_BYTES } from '../../http/dynamic-table.ts';
import { fieldValueOf, isBroken, nameOf } from '../../http/field-text.ts';
import { huffmanDecode } from '../../http/huffman.ts';
import { faults } from '../faults.ts';
import { STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

/** Integers beyond this are refused (RFC 9204 §4.1.1): nothing here counts so far. */
const INTEGER_MAX = 2 ** 45;
/** A coded string is at most so many times as long as what it stands for. */
const CODED_MOST = 4;

let scratch = Buffer.allocUnsafeSlow(4_096);

export class FieldReader {
  readonly table: DynamicTable;
  /** Of the last section: name, value, name, value. */
  list: string[] = [];
  broken = false;
  tooLarge = false;
  fault: Fault = faults.decompression;
  /** Entries that the last section needs; 0 for none. */
  required = 0;
  private readonly tableMax: number;
  private readonly entriesMax: number;
  private readonly listMax: number;
  private readonly fieldsMax: number;
  private size = 0;
  private count = 0;
  private integer = 0;
  private text = '';
  private textBytes = 0;
  private base = 0;

  constructor(bounds: { tableBytesMax: number; headBytesMax: number; fieldsMax: number }) {
    this.table = new DynamicTable(bounds.tableBytesMax);
    // Nothing may be put there before the peer sets a capacity (§3.2.3).
    this.table.resize(0);
    this.tableMax = bounds.tableBytesMax;
    this.entriesMax = Math.floor(bounds.tableBytesMax / ENTRY_BYTES);
    this.listMax = bounds.headBytesMax;
    this.fieldsMax = bounds.fieldsMax;
  }

  private bad(fault: Fault): typeof BAD {
    this.fault = fault;
    return BAD;
  }

  // ---- instructions (§4.3) -----------------------------------------------------------------------------------------

  /** Does what the encoder says; answers the first index of what is not whole yet, or BAD. */
  instructions(input: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const byte = input[at]!;
      let next: number;
      if (byte >= 0x80) next = this.insertNamed(input, at, end);
      else if (byte >= 0x40) next = this.insert(input, at, end);
      else if (byte >= 0x20) next = this.setCapacity(input, at, end);
      else next = this.duplicate(input, at, end);
      if (next === MORE) return at;
      if (next === BAD) return this.bad(faults.encoderStream);
      at = next;
    }
    return at;
  }

  private insertNamed(input: Uint8Array, start: number, end: number): number {
    const isStatic = (input[start]! & 0x40) !== 0;
    const at = this.readInteger(input, start, end, 6);
    if (at < 0) return at;
    const index = this.integer;
    if (isStatic && index >= STATIC_NAMES.length) return BAD;
    const { table } = this;
    const number = table.added - 1 - index;
    if (!isStatic && !table.has(number)) return BAD;
    const name = isStatic ? STATIC_NAMES[index]! : table.nameOf(number);
    const next = this.readText(input, at, end, 7, false, table.sizeMax);
    if (next < 0) return next;
    return this.add(name, this.text, Buffer.byteLength(name, 'latin1') + this.textBytes, next);
  }

  private insert(input: Uint8Array, start: number, end: number): number {
    const { sizeMax } = this.table;
    const at = this.readText(input, start, end, 5, true, sizeMax);
    if (at < 0) return at;
    const name = this.text;
    const bytes = this.textBytes;
    const next = this.readText(input, at, end, 7, false, sizeMax);
    if (next < 0) return next;
    return this.add(name, this.text, bytes + this.textBytes, next);
  }

  private add(name: string, value: string, bytes: number, next: number): number {
    // An entry that does not fit is an error here (§3.2.2).
    if (bytes + ENTRY_BYTES > this.table.sizeMax) return BAD;
    this.table.add(name, value, bytes);
    return next;
  }

  private setCapacity(input: Uint8Array, start: number, end: number): number {
    const at = this.readInteger(input, start, end, 5);
    if (at < 0) return at;
    if (this.integer > this.tableMax) return BAD;
    this.table.resize(this.integer);
    return at;
  }

  private duplicate(input: Uint8Array, start: number, end: number): number {
    const at = this.readInteger(input, start, end, 5);
    if (at < 0) return at;
    const { table } = this;
    const number = table.added - 1 - this.integer;
    if (!table.has(number)) return BAD;
    table.add(table.nameOf(number), table.valueOf(number), table.bytesOf(number));
    return at;
  }

  // ---- field sections (§4.5) ---------------------------------------------------------------------------------------

  /** Reads a whole section; answers its end, MORE while entries that it needs have not come (`required`), or BAD. */
  read(input: Uint8Array, start: number, end: number): number {
    let at = this.prefix(input, start, end);
    if (at < 0) return this.bad(faults.decompression);
    if (this.required > this.table.added) return MORE;
    this.list = [];
    this.broken = false;
    this.tooLarge = false;
    this.size = 0;
    this.count = 0;
    while (at < end) {
      const byte = input[at]!;
      if (byte >= 0x80) at = this.indexed(input, at, end, 6, (byte & 0x40) !== 0, false);
      else if (byte >= 0x40) at = this.named(input, at, end, 4, (byte & 0x10) !== 0, false);
      else if (byte >= 0x20) at = this.literal(input, at, end);
      else if (byte >= 0x10) at = this.indexed(input, at, end, 4, false, true);
      else at = this.named(input, at, end, 3, false, true);
      if (at < 0) return this.bad(faults.decompression);
    }
    return at;
  }

  /** Required Insert Count and Base (§4.5.1). */
  private prefix(input: Uint8Array, start: number, end: number): number {
    if (start === end) return BAD;
    let at = this.readInteger(input, start, end, 8);
    if (at < 0) return at;
    const { entriesMax } = this;
    const encoded = this.integer;
    let required = 0;
    if (encoded > 0) {
      const full = entriesMax * 2;
      if (encoded > full) return BAD;
      const most = this.table.added + entriesMax;
      required = Math.floor(most / full) * full + encoded - 1;
      if (required > most) {
        if (required <= full) return BAD;
        required -= full;
      }
      if (required === 0) return BAD;
    }
    if (at === end) return BAD;
    const below = input[at]! >= 0x80;
    at = this.readInteger(input, at, end, 7);
    if (at < 0) return at;
    this.base = below ? required - this.integer - 1 : required + this.integer;
    if (this.base < 0) return BAD;
    this.required = required;
    return at;
  }

  /** The number of the entry that an index means, or -1. */
  private entry(index: number, above: boolean): number {
    const number = above ? this.base + index : this.base - 1 - index;
    return number >= 0 && number < this.required && this.table.has(number) ? number : -1;
  }

  private indexed(input: Uint8Array, start: number, end: number, bits: number, fixed: boolean, above: boolean): number {
    const at = this.readInteger(input, start, end, bits);
    if (at < 0) return at;
    const index = this.integer;
    if (fixed) {
      if (index >= STATIC_NAMES.length) return BAD;
      this.keep(STATIC_NAMES[index]!, STATIC_VALUES[index]!);
      return at;
    }
    const number = this.entry(index, above);
    if (number < 0) return BAD;
    this.keep(this.table.nameOf(number), this.table.valueOf(number));
    return at;
  }

  private named(input: Uint8Array, start: number, end: number, bits: number, fixed: boolean, above: boolean): number {
    const at = this.readInteger(input, start, end, bits);
    if (at < 0) return at;
    const index = this.integer;
    let name: string;
    if (fixed) {
      if (index >= STATIC_NAMES.length) return BAD;
      name = STATIC_NAMES[index]!;
    } else {
      const number = this.entry(index, above);
      if (number < 0) return BAD;
      name = this.table.nameOf(number);
    }
    const next = this.readText(input, at, end, 7, false, -1);
    if (next < 0) return next;
    this.keep(name, this.text);
    return next;
  }

  private literal(input: Uint8Array, start: number, end: number): number {
    const at = this.readText(input, start, end, 3, true, -1);
    if (at < 0) return at;
    const name = this.text;
    const next = this.readText(input, at, end, 7, false, -1);
    if (next < 0) return next;
    this.keep(name, this.text);
    return next;
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

  // ---- integers and strings (§4.1) ---------------------------------------------------------------------------------

  private readInteger(input: Uint8Array, at: number, end: number, bits: number): number {
    const most = (1 << bits) - 1;
    let value = input[at]! & most;
    at++;
    if (value === most) {
      let scale = 1;
      for (;;) {
        if (at === end) return MORE;
        const byte = input[at++]!;
        value += (byte & 0x7f) * scale;
        if (value > INTEGER_MAX || scale > INTEGER_MAX) return BAD;
        if (byte < 0x80) break;
        scale *= 0x80;
      }
    }
    this.integer = value;
    return at;
  }

  /** @param most bytes that it may stand for; -1 when its section is here whole */
  private readText(input: Uint8Array, start: number, end: number, bits: number, isName: boolean, most: number): number {
    if (start === end) return MORE;
    const coded = (input[start]! & (1 << bits)) !== 0;
    const at = this.readInteger(input, start, end, bits);
    if (at < 0) return at;
    const length = this.integer;
    if (most >= 0 && length > most * CODED_MOST) return BAD;
    if (length > end - at) return MORE;
    let bytes = input;
    let from = at;
    let to = at + length;
    if (coded) {
      if (scratch.length < length * 2) scratch = Buffer.allocUnsafeSlow(length * 2);
      to = huffmanDecode(input, at, to, scratch);
      if (to < 0) return BAD;
      bytes = scratch;
      from = 0;
    }
    this.textBytes = to - from;
    this.text = isName ? nameOf(bytes, from, to) : fieldValueOf(bytes, from, to);
    return at + length;
  }
}
