// A client that says what it should not: packets with any frames, sealed with its own keys, beside what it sends itself.

import { writeNumber, writeShortHeader } from '../codec/packets.ts';
import type { QuicConnection } from '../connection/connection.ts';
import { APPLICATION } from '../crypto.ts';
import type { Pair } from './pair.ts';

/** Sends one packet with these frames to the server. */
export function forge(pair: Pair, line: QuicConnection, frames: Uint8Array): void {
  const protection = line.protections[APPLICATION];
  // It has ended meanwhile.
  if (!protection) return;
  const space = line.recovery.spaces[2]!;
  const number = space.next++;
  const packet = Buffer.alloc(frames.length + 64);
  const numberAt = writeShortHeader(packet, 0, line.peersIds.id, 4, protection.phase, 0);
  const payloadAt = writeNumber(packet, numberAt, number, 4);
  packet.set(frames, payloadAt);
  const end = protection.seal(packet, 0, numberAt, 4, payloadAt + frames.length, number);
  protection.mask();
  pair.network.carry(pair.clientPort.local, pair.serverAddress, Buffer.from(packet.subarray(0, end)));
}

/** A variable-length integer. */
export function int(value: number): Buffer {
  if (value < 0x40) return Buffer.from([value]);
  if (value < 0x4000) return Buffer.from([0x40 | (value >>> 8), value & 0xff]);
  const long = Buffer.alloc(8);
  long.writeBigUInt64BE(BigInt(value) | (3n << 62n));
  return long;
}

export function bytes(...parts: readonly (number | Uint8Array)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === 'number' ? int(part) : part)));
}
