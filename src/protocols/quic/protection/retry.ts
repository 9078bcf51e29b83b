// The integrity tag of Retry packets: proof that its sender saw the Initial packet that it answers (RFC 9001 §5.8,
// RFC 9369 §3.3.3). Its key is no secret.
import { createCipheriv, timingSafeEqual } from 'node:crypto';
import { TAG_BYTES, VERSION_2, type Version } from '../crypto.ts';

const KEY_1 = Buffer.from('be0c690b9f66575a1d766b54e368c84e', 'hex');
const NONCE_1 = Buffer.from('461599d35d632bf2239825bb', 'hex');
const KEY_2 = Buffer.from('8fb4b01b56ac48e260fbcbcead7ccc92', 'hex');
const NONCE_2 = Buffer.from('d86969bc2d7c6d9990efb04a', 'hex');

/** Writes the tag behind `packet[start..end)` and answers where it ends. `originalId` is what the client had sent to. */
export function sealRetry(
  version: Version,
  originalId: Uint8Array,
  packet: Uint8Array,
  start: number,
  end: number,
): number {
  packet.set(tagOf(version, originalId, packet, start, end), end);
  return end + TAG_BYTES;
}

/** Whether `packet[start..end)`, tag and all, answers a packet that was sent to `originalId`. */
export function checkRetry(
  version: Version,
  originalId: Uint8Array,
  packet: Uint8Array,
  start: number,
  end: number,
): boolean {
  const tagAt = end - TAG_BYTES;
  if (tagAt < start) return false;
  return timingSafeEqual(tagOf(version, originalId, packet, start, tagAt), packet.subarray(tagAt, end));
}

function tagOf(version: Version, originalId: Uint8Array, packet: Uint8Array, start: number, end: number): Buffer {
  const second = version === VERSION_2;
  const cipher = createCipheriv('aes-128-gcm', second ? KEY_2 : KEY_1, second ? NONCE_2 : NONCE_1);
  const pseudo = Buffer.allocUnsafe(1 + originalId.length + end - start);
  pseudo[0] = originalId.length;
  pseudo.set(originalId, 1);
  pseudo.set(packet.subarray(start, end), 1 + originalId.length);
  cipher.setAAD(pseudo);
  cipher.final();
  return cipher.getAuthTag();
}
