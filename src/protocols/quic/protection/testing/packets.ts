// Packets for tests: sealed as a connection writes them, and opened again.
import assert from 'node:assert/strict';
import { TAG_BYTES } from '../../crypto.ts';
import type { LevelProtection } from '../protection.ts';

/** A packet with its protection on, as a connection writes it. */
export function sealed(
  by: LevelProtection,
  number: number,
  payload: Uint8Array,
  { header = [by.phase === 0 ? 0x43 : 0x47, 9, 8, 7], numberBytes = 4, mask = true } = {},
): Buffer {
  const numberAt = header.length;
  const end = numberAt + numberBytes + payload.length;
  const packet = Buffer.alloc(end + TAG_BYTES);
  packet.set(header);
  packet[0] = (packet[0]! & 0xfc) | (numberBytes - 1);
  for (let index = 0, rest = number; index < numberBytes; index++, rest = Math.floor(rest / 256))
    packet[numberAt + numberBytes - 1 - index] = rest % 256;
  packet.set(payload, numberAt + numberBytes);
  assert.equal(by.seal(packet, 0, numberAt, numberBytes, end, number), packet.length);
  if (mask) by.mask();
  return packet;
}

/** The payload, or null. The number is taken as known. */
export function opened(by: LevelProtection, packet: Buffer, number: number, now = 0, numberAt = 4): Buffer | null {
  const copy = Buffer.from(packet);
  const numberBytes = by.unmask(copy, 0, numberAt, copy.length);
  if (numberBytes === 0) return null;
  const end = by.open(copy, 0, numberAt + numberBytes, copy.length, number, now);
  return end < 0 ? null : copy.subarray(numberAt + numberBytes, end);
}
