// SipHash-2-4 with a result of 64 bits, for server cookies (RFC 9018 §4.4). On pairs of 32-bit numbers: Node has none of its
// own, and BigInt costs ten times as much.

/** v0 to v3, each as its lower and upper half. */
const V = new Int32Array(8);

function add(a: number, b: number): void {
  const low = (V[a]! >>> 0) + (V[b]! >>> 0);
  V[a + 1] = (V[a + 1]! + V[b + 1]! + (low > 0xffff_ffff ? 1 : 0)) | 0;
  V[a] = low | 0;
}

function rotateAndXor(a: number, bits: number, b: number): void {
  let low = V[a]!;
  let high = V[a + 1]!;
  if (bits >= 32) {
    [low, high] = [high, low];
    bits -= 32;
  }
  const turnedLow = bits === 0 ? low : (low << bits) | (high >>> (32 - bits));
  const turnedHigh = bits === 0 ? high : (high << bits) | (low >>> (32 - bits));
  V[a] = turnedLow ^ V[b]!;
  V[a + 1] = turnedHigh ^ V[b + 1]!;
}

function turn32(a: number): void {
  const low = V[a]!;
  V[a] = V[a + 1]!;
  V[a + 1] = low;
}

function round(): void {
  add(0, 2);
  rotateAndXor(2, 13, 0);
  turn32(0);
  add(4, 6);
  rotateAndXor(6, 16, 4);
  add(0, 6);
  rotateAndXor(6, 21, 0);
  add(4, 2);
  rotateAndXor(2, 17, 4);
  turn32(4);
}

function little(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** Writes the eight octets of the hash of `bytes[0..length)` into `out` at `at`. The key has sixteen. */
export function sipHash(key: Uint8Array, bytes: Uint8Array, length: number, out: Uint8Array, at: number): void {
  const [k0, k1, k2, k3] = [little(key, 0), little(key, 4), little(key, 8), little(key, 12)];
  V[0] = k0 ^ 0x70736575;
  V[1] = k1 ^ 0x736f6d65;
  V[2] = k2 ^ 0x6e646f6d;
  V[3] = k3 ^ 0x646f7261;
  V[4] = k0 ^ 0x6e657261;
  V[5] = k1 ^ 0x6c796765;
  V[6] = k2 ^ 0x79746573;
  V[7] = k3 ^ 0x74656462;
  const whole = length & ~7;
  for (let index = 0; index < whole; index += 8) absorb(little(bytes, index), little(bytes, index + 4));
  let low = 0;
  let high = length << 24;
  for (let index = length - 1; index >= whole; index--) {
    const shift = (index & 3) * 8;
    if ((index & 7) < 4) low |= bytes[index]! << shift;
    else high |= bytes[index]! << shift;
  }
  absorb(low, high);
  V[4]! ^= 0xff;
  for (let index = 0; index < 4; index++) round();
  const [lower, upper] = [V[0]! ^ V[2]! ^ V[4]! ^ V[6]!, V[1]! ^ V[3]! ^ V[5]! ^ V[7]!];
  for (let index = 0; index < 4; index++) {
    out[at + index] = lower >>> (index * 8);
    out[at + 4 + index] = upper >>> (index * 8);
  }
}

function absorb(low: number, high: number): void {
  V[6]! ^= low;
  V[7]! ^= high;
  round();
  round();
  V[0]! ^= low;
  V[1]! ^= high;
}
