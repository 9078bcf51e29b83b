// Writers of protobuf's wire, made once from the description of a type: each field writes itself behind the others, in the
// order of their numbers. A value that does not fit its type is its maker's bug and throws a TypeError.
import type { ByteWriter } from '../../bytes/writer.ts';
import { BYTES, FIXED32, FIXED64, VARINT } from './protobuf-wire.ts';
import type { EnumType, Field, MessageType, ScalarType, Schema } from './types.ts';

type Plain = Readonly<Record<string, unknown>>;
type WriteValue = (out: ByteWriter, value: unknown) => void;
type WriteField = (out: ByteWriter, message: Plain) => void;

interface Writing {
  readonly wireType: number;
  readonly write: WriteValue;
  /** What a field without presence leaves out. */
  readonly isDefault: (value: unknown) => boolean;
}

const float = new DataView(new ArrayBuffer(8));
const TWO_32 = 0x1_0000_0000;
/** Messages within messages; an object that contains itself is a bug that is told as one. */
const DEPTH_MAX = 100;
let depth = 0;

export class MessageWriter {
  readonly name: string;
  private fields: readonly WriteField[] = [];

  constructor(name: string) {
    this.name = name;
  }

  compile(type: MessageType, writers: Writers): void {
    this.fields = type.fields.map((field) => writers.field(field));
  }

  write(out: ByteWriter, value: unknown): void {
    if (typeof value !== 'object' || value === null)
      throw new TypeError(`${this.name} is an object, not ${shown(value)}`);
    const { fields } = this;
    if (++depth > DEPTH_MAX) {
      depth = 0;
      throw new TypeError(`${this.name} is nested too deeply`);
    }
    for (let at = 0; at < fields.length; at++) fields[at]!(out, value as Plain);
    depth--;
  }
}

/** Before the first message: what threw left the depth of where it was. */
export function beginWriting(): void {
  depth = 0;
}

/** The writers of a schema's messages, each made when it is first wanted. */
export class Writers {
  private readonly schema: Schema;
  private readonly messages = new Map<string, MessageWriter>();

  constructor(schema: Schema) {
    this.schema = schema;
  }

  message(type: MessageType): MessageWriter {
    let writer = this.messages.get(type.name);
    if (writer === undefined) {
      writer = new MessageWriter(type.name);
      this.messages.set(type.name, writer);
      writer.compile(type, this);
    }
    return writer;
  }

  field(field: Field): WriteField {
    const writing = this.writing(field);
    if (field.many === 'map') return writeMap(field, writing);
    if (field.many === 'list')
      return field.unpacked || writing.wireType === BYTES ? writeItems(field, writing) : writePacked(field, writing);
    return writeOne(field, writing);
  }

  private writing({ type }: Field): Writing {
    if (type.kind === 'scalar') return scalarWriting(type);
    const named = this.schema.types.get(type.name);
    if (named === undefined) throw new RangeError(`there is no type ${type.name} in the schema`);
    if (named.kind === 'enum') return enumWriting(named);
    const message = this.message(named);
    const write: WriteValue = (out, value) => {
      const at = beginLength(out);
      message.write(out, value);
      endLength(out, at);
    };
    return { wireType: BYTES, write, isDefault: NEVER };
  }
}

/** Names the field in what a value that does not fit throws. */
function within(field: Field, error: unknown): never {
  if (error instanceof TypeError) throw new TypeError(`${field.name}: ${error.message}`);
  throw error;
}

function writeOne(field: Field, { wireType, write, isDefault }: Writing): WriteField {
  const { name, optional } = field;
  const tag = field.number * 8 + wireType;
  const always = optional || isDefault === NEVER;
  return (out, message) => {
    const value = message[name];
    if (value === undefined || (value === null && wireType !== BYTES)) return;
    if (!always && isDefault(value)) return;
    writeVarint(out, tag);
    try {
      write(out, value);
    } catch (error) {
      within(field, error);
    }
  };
}

function listOf(field: Field, message: Plain): readonly unknown[] {
  const list = message[field.name];
  if (list === undefined || list === null) return NONE;
  if (!Array.isArray(list)) throw new TypeError(`${field.name} is a list, not ${shown(list)}`);
  return list;
}

const NONE: readonly unknown[] = [];

function writeItems(field: Field, { wireType, write }: Writing): WriteField {
  const tag = field.number * 8 + wireType;
  return (out, message) => {
    const list = listOf(field, message);
    for (let at = 0; at < list.length; at++) {
      writeVarint(out, tag);
      try {
        write(out, list[at]);
      } catch (error) {
        within(field, error);
      }
    }
  };
}

function writePacked(field: Field, { write }: Writing): WriteField {
  const tag = field.number * 8 + BYTES;
  return (out, message) => {
    const list = listOf(field, message);
    if (list.length === 0) return;
    writeVarint(out, tag);
    const begin = beginLength(out);
    try {
      for (let at = 0; at < list.length; at++) write(out, list[at]);
    } catch (error) {
      within(field, error);
    }
    endLength(out, begin);
  };
}

function writeMap(field: Field, value: Writing): WriteField {
  const { name, mapKey = 'string' } = field;
  const key = scalarWriting({ kind: 'scalar', name: mapKey });
  const parse = KEYS[mapKey];
  const tag = field.number * 8 + BYTES;
  const keyTag = 8 + key.wireType;
  const valueTag = 16 + value.wireType;
  return (out, message) => {
    const map = message[name];
    if (map === undefined || map === null) return;
    if (typeof map !== 'object') throw new TypeError(`${name} is an object, not ${shown(map)}`);
    try {
      for (const [text, item] of Object.entries(map as Plain)) {
        if (item === undefined) continue;
        writeVarint(out, tag);
        const begin = beginLength(out);
        writeVarint(out, keyTag);
        key.write(out, parse(text));
        writeVarint(out, valueTag);
        value.write(out, item);
        endLength(out, begin);
      }
    } catch (error) {
      within(field, error);
    }
  };
}

const KEYS: Record<NonNullable<Field['mapKey']>, (text: string) => unknown> = {
  string: (text) => text,
  int32: Number,
  uint32: Number,
  int64: toBig,
  uint64: toBig,
  bool: (text) => text === 'true',
};

function toBig(text: string): bigint {
  if (!/^-?\d+$/.test(text)) throw new TypeError(`${shown(text)} is no whole number`);
  return BigInt(text);
}

// ---- lengths -----------------------------------------------------------------------------------------------------------

/** One byte is left for the length, which is most often enough. */
export function beginLength(out: ByteWriter): number {
  out.ensure(1);
  return ++out.length;
}

export function endLength(out: ByteWriter, at: number): void {
  const size = out.length - at;
  if (size < 0x80) {
    out.bytes[at - 1] = size;
    return;
  }
  const more = size < 0x4000 ? 1 : size < 0x20_0000 ? 2 : size < 0x1000_0000 ? 3 : 4;
  out.ensure(more);
  out.bytes.copyWithin(at + more, at, at + size);
  out.length = at - 1;
  writeVarint(out, size);
  out.length += size;
}

// ---- numbers -----------------------------------------------------------------------------------------------------------

/** An unsigned number of 32 bits. */
export function writeVarint(out: ByteWriter, value: number): void {
  if (out.length + 5 > out.bytes.length) out.ensure(5);
  const { bytes } = out;
  let at = out.length;
  while (value > 0x7f) {
    bytes[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  bytes[at++] = value;
  out.length = at;
}

function writeVarint64(out: ByteWriter, low: number, high: number): void {
  if (high === 0) {
    writeVarint(out, low);
    return;
  }
  out.ensure(10);
  const { bytes } = out;
  let at = out.length;
  for (; high !== 0 || low > 0x7f; ) {
    bytes[at++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  bytes[at++] = low;
  out.length = at;
}

function writeFixed32(out: ByteWriter, value: number): void {
  out.ensure(4);
  out.bytes.writeInt32LE(value | 0, out.length);
  out.length += 4;
}

/** Halves of what was taken apart last. */
let low = 0;
let high = 0;

function split(value: unknown, signed: boolean): void {
  if (typeof value === 'bigint') {
    const fits = signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
    if (fits !== value) throw new TypeError(`${value} does not fit 64 bits`);
    if (value >= 0n && value <= 0x7fff_ffffn) {
      low = Number(value);
      high = 0;
      return;
    }
    const bits = BigInt.asUintN(64, value);
    low = Number(bits & 0xffff_ffffn);
    high = Number(bits >> 32n);
  } else if (typeof value === 'number' && Number.isSafeInteger(value) && (signed || value >= 0)) {
    low = value >>> 0;
    high = Math.floor(value / TWO_32) >>> 0;
  } else throw new TypeError(`${shown(value)} is no whole number${signed ? '' : ' from 0'}`);
}

function int32(value: unknown): number {
  if (typeof value !== 'number' || (value | 0) !== value)
    throw new TypeError(`${shown(value)} is no number of 32 bits`);
  return value;
}

function uint32(value: unknown): number {
  if (typeof value !== 'number' || value >>> 0 !== value)
    throw new TypeError(`${shown(value)} is no number from 0 of 32 bits`);
  return value;
}

/** Negative numbers are written with 64 bits, so that they can be read as such. */
function writeInt32(out: ByteWriter, number: number): void {
  if (number >= 0) writeVarint(out, number);
  else writeVarint64(out, number >>> 0, 0xffff_ffff);
}

function numberOf(value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`${shown(value)} is no number`);
  return value;
}

// ---- types -------------------------------------------------------------------------------------------------------------

const NEVER = (): boolean => false;
const isZero = (value: unknown): boolean => Object.is(value, 0);
const isZeroInteger = (value: unknown): boolean => value === 0 || value === 0n;

function writing(wireType: number, write: WriteValue, isDefault: (value: unknown) => boolean): Writing {
  return { wireType, write, isDefault };
}

function enumWriting({ name: type, values }: EnumType): Writing {
  const numbers = new Map(values.map(({ name, number }) => [name, number]));
  const first = values[0];
  const write: WriteValue = (out, value) => {
    const number = typeof value === 'number' ? int32(value) : numbers.get(value as string);
    if (number === undefined) throw new TypeError(`${shown(value)} is no ${type}`);
    writeInt32(out, number);
  };
  return writing(VARINT, write, (value) => value === first?.name || value === first?.number);
}

function scalarWriting({ name, wire: form }: ScalarType): Writing {
  switch (name) {
    case 'bool':
      return writing(VARINT, writeBool, (value) => value === false);
    case 'int32':
      if (form === 'fixed') return writing(FIXED32, (out, value) => writeFixed32(out, int32(value)), isZeroInteger);
      if (form === 'zigzag') return writing(VARINT, writeZigzag32, isZeroInteger);
      return writing(VARINT, (out, value) => writeInt32(out, int32(value)), isZeroInteger);
    case 'uint32':
      if (form === 'fixed') return writing(FIXED32, (out, value) => writeFixed32(out, uint32(value)), isZeroInteger);
      return writing(VARINT, (out, value) => writeVarint(out, uint32(value)), isZeroInteger);
    case 'int64':
    case 'uint64':
      return writing64(name === 'int64', form);
    case 'float':
      return writing(FIXED32, writeFloat, isZero);
    case 'double':
      return writing(FIXED64, writeDouble, isZero);
    case 'string':
      return writing(BYTES, writeText, (value) => value === '');
    case 'bytes':
      return writing(BYTES, writeBytes, (value) => value instanceof Uint8Array && value.length === 0);
    case 'timestamp':
      return writing(BYTES, writeTimestamp, NEVER);
    case 'duration':
      return writing(BYTES, writeDuration, NEVER);
    case 'any':
      return writing(BYTES, writeAny, NEVER);
  }
}

function writing64(signed: boolean, form: ScalarType['wire']): Writing {
  if (form === 'fixed')
    return writing(
      FIXED64,
      (out, value) => {
        split(value, signed);
        const upper = high;
        writeFixed32(out, low);
        writeFixed32(out, upper);
      },
      isZeroInteger,
    );
  if (form === 'zigzag')
    return writing(
      VARINT,
      (out, value) => {
        split(value, true);
        const sign = high >>> 31 === 1 ? 0xffff_ffff : 0;
        const upper = (((high << 1) | (low >>> 31)) ^ sign) >>> 0;
        writeVarint64(out, ((low << 1) ^ sign) >>> 0, upper);
      },
      isZeroInteger,
    );
  return writing(
    VARINT,
    (out, value) => {
      split(value, signed);
      writeVarint64(out, low, high);
    },
    isZeroInteger,
  );
}

function writeBool(out: ByteWriter, value: unknown): void {
  if (typeof value !== 'boolean') throw new TypeError(`${shown(value)} is neither true nor false`);
  out.u8(value ? 1 : 0);
}

function writeZigzag32(out: ByteWriter, value: unknown): void {
  const number = int32(value);
  writeVarint(out, ((number << 1) ^ (number >> 31)) >>> 0);
}

function writeFloat(out: ByteWriter, value: unknown): void {
  float.setFloat32(0, numberOf(value), true);
  writeFixed32(out, float.getInt32(0, true));
}

function writeDouble(out: ByteWriter, value: unknown): void {
  float.setFloat64(0, numberOf(value), true);
  writeFixed32(out, float.getInt32(0, true));
  writeFixed32(out, float.getInt32(4, true));
}

/** Up to here text is tried one character a byte. */
const SHORT = 64;
/** A length of so much has two bytes, also when each character has three. */
const ASCII_MOST = 5_000;

export function writeText(out: ByteWriter, value: unknown): void {
  if (typeof value !== 'string') throw new TypeError(`${shown(value)} is no text`);
  const { length } = value;
  if (length <= SHORT) {
    out.ensure(length + 1);
    const { bytes } = out;
    const begin = out.length;
    let at = begin + 1;
    for (let index = 0; index < length; index++) {
      const unit = value.charCodeAt(index);
      if (unit > 0x7f) break;
      bytes[at++] = unit;
    }
    if (at === begin + 1 + length) {
      bytes[begin] = length;
      out.length = at;
      return;
    }
  }
  // Three bytes a unit is the most; with less room it is measured first.
  if (length > ASCII_MOST || out.length + 2 + length * 3 > out.bytes.length) {
    const size = Buffer.byteLength(value);
    writeVarint(out, size);
    out.ensure(size);
    out.bytes.write(value, out.length);
    out.length += size;
    return;
  }
  const begin = out.length;
  const head = length < 0x80 ? 1 : 2;
  const size = out.bytes.write(value, begin + head);
  // Short text that is not ASCII may need a longer length than was left for it.
  if (head === 1 && size > 0x7f) out.bytes.copyWithin(begin + 2, begin + 1, begin + 1 + size);
  writeVarint(out, size);
  out.length += size;
}

function writeBytes(out: ByteWriter, value: unknown): void {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${shown(value)} is no Uint8Array`);
  writeVarint(out, value.length);
  out.copy(value, 0, value.length);
}

function writeSeconds(out: ByteWriter, seconds: number, nanos: number): void {
  const begin = beginLength(out);
  if (seconds !== 0) {
    out.u8(8);
    writeVarint64(out, seconds >>> 0, Math.floor(seconds / TWO_32) >>> 0);
  }
  if (nanos !== 0) {
    out.u8(16);
    writeInt32(out, nanos);
  }
  endLength(out, begin);
}

function writeTimestamp(out: ByteWriter, value: unknown): void {
  if (!(value instanceof Date) || Number.isNaN(value.getTime())) throw new TypeError(`${shown(value)} is no Date`);
  const at = value.getTime();
  const seconds = Math.floor(at / 1_000);
  writeSeconds(out, seconds, (at - seconds * 1_000) * 1_000_000);
}

function writeDuration(out: ByteWriter, value: unknown): void {
  const total = numberOf(value);
  if (!Number.isFinite(total)) throw new TypeError(`${total} is no duration`);
  let seconds = Math.trunc(total / 1_000);
  let nanos = Math.round((total - seconds * 1_000) * 1_000_000);
  if (Math.abs(nanos) === 1_000_000_000) {
    seconds += Math.sign(nanos);
    nanos = 0;
  }
  writeSeconds(out, seconds, nanos);
}

/** google.protobuf.Value: null 1, number 2, text 3, bool 4, struct 5, list 6. */
function writeAny(out: ByteWriter, value: unknown): void {
  if (++depth > DEPTH_MAX) throw new TypeError('it is nested too deeply');
  const begin = beginLength(out);
  if (value === null || value === undefined) {
    out.u8(8);
    out.u8(0);
  } else if (typeof value === 'number') {
    out.u8(17);
    writeDouble(out, value);
  } else if (typeof value === 'string') {
    out.u8(26);
    writeText(out, value);
  } else if (typeof value === 'boolean') {
    out.u8(32);
    out.u8(value ? 1 : 0);
  } else if (Array.isArray(value)) writeList(out, value);
  else if (typeof value === 'object') writeStruct(out, value as Plain);
  else throw new TypeError(`${shown(value)} is nothing that JSON has`);
  endLength(out, begin);
  depth--;
}

function writeStruct(out: ByteWriter, value: Plain): void {
  out.u8(42);
  const begin = beginLength(out);
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    out.u8(10);
    const entry = beginLength(out);
    out.u8(10);
    writeText(out, key);
    out.u8(18);
    writeAny(out, item);
    endLength(out, entry);
  }
  endLength(out, begin);
}

function writeList(out: ByteWriter, value: readonly unknown[]): void {
  out.u8(50);
  const begin = beginLength(out);
  for (const item of value) {
    out.u8(10);
    writeAny(out, item);
  }
  endLength(out, begin);
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
