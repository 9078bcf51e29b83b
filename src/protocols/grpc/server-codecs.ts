// How messages of a type are read and written: as protobuf, or as JSON. Both halves use it.
import { isUtf8, utf8 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import { type JsonRead, type JsonWrite, jsonRead, jsonWrite } from '../../formats/schema/json.ts';
import { type Protobuf, type ProtobufBounds, protobufOf } from '../../formats/schema/protobuf.ts';
import type { MessageType, Schema, Violation } from '../../formats/schema/types.ts';
import { invalidStatus, type Status } from '../../resources/services/status.ts';
import { faults } from './faults.ts';
import { statusOf } from './server-ending.ts';

export type Form = 'proto' | 'json';

/** How a message of one type is read and written in one form. */
export interface BodyCodec {
  /** What was wrong when the last `read` answered undefined. */
  wrong(): Status;
  read(bytes: Uint8Array, start: number, end: number): unknown;
  /** Throws a TypeError for a value that is not of the type. */
  write(out: ByteWriter, value: unknown): void;
}

class BoundedProtobuf implements BodyCodec {
  private readonly codec: Protobuf;
  private readonly bounds: ProtobufBounds;

  constructor(schema: Schema, type: MessageType, bounds: ProtobufBounds) {
    this.codec = protobufOf(schema, type);
    this.bounds = bounds;
  }

  wrong(): Status {
    return statusOf(faults.badMessage, this.codec.fault);
  }

  read(bytes: Uint8Array, start: number, end: number): unknown {
    return this.codec.read(bytes, start, end, this.bounds);
  }

  write(out: ByteWriter, value: unknown): void {
    this.codec.write(out, value);
  }
}

class Json implements BodyCodec {
  private readonly fromJson: JsonRead;
  private readonly toJson: JsonWrite;
  private violations: Violation[] = [];

  constructor(schema: Schema, type: MessageType) {
    // Clients that are newer than the server say what it does not know yet.
    this.fromJson = jsonRead(schema, type, { unknown: 'ignore' });
    this.toJson = jsonWrite(schema, type);
  }

  wrong(): Status {
    return invalidStatus(this.violations);
  }

  read(bytes: Uint8Array, start: number, end: number): unknown {
    this.violations = [];
    const value = this.parse(bytes, start, end);
    return this.violations.length === 0 ? value : undefined;
  }

  private parse(bytes: Uint8Array, start: number, end: number): unknown {
    if (!isUtf8(bytes, start, end)) {
      this.violations.push({ path: '', text: 'it is not UTF-8' });
      return undefined;
    }
    // No body is what some clients make of a message with nothing in it.
    if (start === end) return this.fromJson({}, this.violations);
    try {
      return this.fromJson(JSON.parse(utf8(bytes, start, end)), this.violations);
    } catch (error) {
      this.violations.push({ path: '', text: `it is no JSON: ${(error as Error).message}` });
      return undefined;
    }
  }

  write(out: ByteWriter, value: unknown): void {
    out.utf8(this.toJson(value));
  }
}

export function protoCodec(schema: Schema, type: MessageType, bounds: ProtobufBounds): BodyCodec {
  return new BoundedProtobuf(schema, type, bounds);
}

export function jsonCodec(schema: Schema, type: MessageType): BodyCodec {
  return new Json(schema, type);
}
