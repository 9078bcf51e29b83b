// A type's values as protobuf has them on the wire, both ways: made once from the description and kept with it. It knows no
// framing: a message is all of the bytes that it is given.
import { ByteWriter } from '../../bytes/writer.ts';
import { type MessageReader, type Plain, Readers } from './protobuf-read.ts';
import { Wire } from './protobuf-wire.ts';
import { beginWriting, type MessageWriter, Writers } from './protobuf-write.ts';
import type { MessageType, Schema } from './types.ts';

export interface ProtobufBounds {
  /** How deeply messages may be nested, groups that are passed over among them. */
  readonly depthMax: number;
  /** How many list items, map entries and messages there may be within one. */
  readonly valuesMax: number;
}

/** Those of other implementations; values as many as fit the memory that a large message may cost. */
export const PROTOBUF_BOUNDS: ProtobufBounds = { depthMax: 100, valuesMax: 1_000_000 };

const wire = new Wire();

export class Protobuf {
  /** What was wrong with the bytes that `read` answered undefined for. */
  fault = '';
  private readonly reader: MessageReader;
  private readonly writer: MessageWriter;

  constructor(reader: MessageReader, writer: MessageWriter) {
    this.reader = reader;
    this.writer = writer;
  }

  /** The message that `bytes[start..end)` is, or undefined, and `fault` says why. Nothing of the bytes is kept. */
  read(bytes: Uint8Array, start: number, end: number, bounds: ProtobufBounds = PROTOBUF_BOUNDS): Plain | undefined {
    const value = this.reader.fresh();
    wire.begin(bytes, start, bounds.depthMax, bounds.valuesMax);
    this.reader.readInto(wire, value, end);
    if (wire.fault === null) return value;
    this.fault = wire.fault;
    return undefined;
  }

  /** Throws a TypeError for a value that is not of the type, a RangeError for one that passes the writer's cap. */
  write(out: ByteWriter, value: unknown): void {
    beginWriting();
    this.writer.write(out, value);
  }

  /** The same as bytes of their own. */
  bytesOf(value: unknown): Buffer {
    const out = new ByteWriter(0x3fff_ffff);
    this.write(out, value);
    return out.take().bytes;
  }
}

interface Compiled {
  readonly readers: Readers;
  readonly writers: Writers;
  readonly codecs: Map<MessageType, Protobuf>;
}

const compiled = new WeakMap<Schema, Compiled>();

/** The codec of a message whose types `schema` has. Throws a RangeError where a type is missing. */
export function protobufOf(schema: Schema, type: MessageType): Protobuf {
  let all = compiled.get(schema);
  if (all === undefined) {
    all = { readers: new Readers(schema), writers: new Writers(schema), codecs: new Map() };
    compiled.set(schema, all);
  }
  let codec = all.codecs.get(type);
  if (codec === undefined) {
    codec = new Protobuf(all.readers.message(type), all.writers.message(type));
    all.codecs.set(type, codec);
  }
  return codec;
}
