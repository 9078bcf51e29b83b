// Packets of ssh2 under AES-GCM (RFC 5647), sealed and opened in place by native calls in storage of the pool, where there are
// such calls: the library itself makes two or three buffers of each packet, and it is their collection that takes the time. It
// puts itself in the place of the library's ciphers; those that it does not know are left alone.
import { randomFillSync } from 'node:crypto';
import type { Connection } from 'ssh2';
import { giveBack, lend } from '../../bytes/pool.ts';
import { u32 } from '../../bytes/reader.ts';
import type { Aead, AeadName, Ciphers } from '../../core/ciphers.ts';

/** The library's cipher of a connection, as far as it is used here. */
interface OutCipher {
  outSeqno: number;
  allocPacket(payloadBytes: number): Buffer;
  encrypt(packet: Buffer): void;
  free(): void;
}

interface GcmCipher extends OutCipher {
  readonly _encSSLName: AeadName;
  readonly _encKey: Buffer;
  readonly _encIV: Buffer;
  readonly _onWrite: (bytes: Buffer) => void;
}

interface InCipher {
  inSeqno: number;
  _onPayload: (payload: Buffer) => number | false | undefined;
  decrypt(data: Buffer, at: number, end: number): number | undefined;
  free(): void;
}

interface GcmDecipher extends InCipher {
  readonly _decipherSSLName: AeadName;
  readonly _decipherKey: Buffer;
  readonly _decipherIV: Buffer;
}

interface Protocol {
  _cipher?: OutCipher;
  _decipher?: InCipher;
}

/** What the library takes (RFC 4253 §6.1). */
const PACKET_BYTES_MAX = 35_000;
const BLOCK_BYTES = 16;
const TAG_BYTES = 16;
const LENGTH_BYTES = 4;
const PADDING_LEAST = 4;
/** Padding comes out of so many random bytes, made at once. */
const RANDOM_BYTES = 4_096;
/** Packets from this size on lie in the pool. */
const POOLED_LEAST = 4_096;

/** The storage of packets on their way to the pipe, which gives it back. */
export const storageOf = new WeakMap<Uint8Array, Buffer>();

const random = Buffer.alloc(RANDOM_BYTES);
let randomAt = RANDOM_BYTES;

/** The data that a channel was given last, all of which was taken. */
let taken: ArrayBufferLike | null = null;

/** Packets whose data waits in a channel that was held up. */
const waiting = new WeakMap<ArrayBufferLike, Buffer>();

/** Tells that nobody reads the bytes of this any more, which is all the data of a packet. */
export function tookAll(data: Buffer): void {
  const packet = waiting.get(data.buffer);
  if (packet === undefined) {
    taken = data.buffer;
    return;
  }
  waiting.delete(data.buffer);
  giveBack(packet);
}

/** Seals and opens a connection's packets from its next keys on; `opens` is told once what comes is copied at once. */
export function sealNatively(connection: Connection, ciphers: Ciphers, opens: () => void): void {
  const protocol = (connection as unknown as { _protocol?: Protocol })._protocol;
  if (protocol === undefined || !('_cipher' in protocol) || !('_decipher' in protocol)) return;
  let { _cipher: cipher, _decipher: decipher } = protocol;
  Object.defineProperty(protocol, '_cipher', {
    get: () => cipher,
    set: (next: OutCipher) => {
      cipher = isGcm(next) ? new SealedPackets(next, ciphers) : next;
    },
  });
  Object.defineProperty(protocol, '_decipher', {
    get: () => decipher,
    set: (next: InCipher) => {
      const isKnown = isGcmIn(next);
      decipher = isKnown ? new OpenedPackets(next, ciphers) : next;
      if (isKnown) opens();
    },
  });
}

function isGcmIn(cipher: InCipher): cipher is GcmDecipher {
  const { _decipherSSLName, _decipherKey, _decipherIV, _onPayload } = cipher as Partial<GcmDecipher>;
  const isKnown = _decipherSSLName === 'aes-128-gcm' || _decipherSSLName === 'aes-256-gcm';
  return isKnown && _decipherKey !== undefined && _decipherIV?.length === 12 && typeof _onPayload === 'function';
}

function isGcm(cipher: OutCipher | undefined): cipher is GcmCipher {
  const { _encSSLName, _encKey, _encIV, _onWrite, outSeqno } = (cipher ?? {}) as Partial<GcmCipher>;
  const isKnown = _encSSLName === 'aes-128-gcm' || _encSSLName === 'aes-256-gcm';
  return (
    isKnown &&
    _encKey !== undefined &&
    _encIV?.length === 12 &&
    typeof _onWrite === 'function' &&
    outSeqno !== undefined
  );
}

/** A key with the counter that its nonces are made of (RFC 5647 §7.1). */
class CountingAead {
  private readonly name: AeadName;
  private readonly key: Uint8Array;
  /** Its last four bytes count in `low`. */
  private readonly iv: Buffer;
  private readonly ciphers: Ciphers;
  private aead: Aead;
  private low: number;

  constructor(name: AeadName, key: Uint8Array, iv: Uint8Array, ciphers: Ciphers) {
    this.name = name;
    this.key = Uint8Array.from(key);
    this.ciphers = ciphers;
    this.iv = Buffer.from(iv);
    this.low = u32(this.iv, 8);
    this.iv.fill(0, 8);
    this.aead = ciphers.aead(this.name, this.key, this.iv);
  }

  seal(packet: Uint8Array, end: number): void {
    this.aead.seal(packet, 0, LENGTH_BYTES, end, this.low);
    this.count();
  }

  open(packet: Uint8Array, end: number): boolean {
    const isGenuine = this.aead.open(packet, 0, LENGTH_BYTES, end, this.low);
    this.count();
    return isGenuine;
  }

  private count(): void {
    if (++this.low < 0x1_0000_0000) return;
    this.low = 0;
    this.iv.writeUInt32BE((this.iv.readUInt32BE(4) + 1) >>> 0, 4);
    this.aead.free();
    this.aead = this.ciphers.aead(this.name, this.key, this.iv);
  }

  free(): void {
    this.aead.free();
    this.key.fill(0);
  }
}

class SealedPackets implements OutCipher {
  outSeqno: number;
  private readonly write: (bytes: Buffer) => void;
  private readonly aead: CountingAead;

  constructor({ outSeqno, _encSSLName, _encKey, _encIV, _onWrite }: GcmCipher, ciphers: Ciphers) {
    this.outSeqno = outSeqno;
    this.write = _onWrite;
    this.aead = new CountingAead(_encSSLName, _encKey, _encIV, ciphers);
  }

  free(): void {
    this.aead.free();
  }

  /** A packet whose payload is to be filled in (RFC 4253 §6), with room for the tag behind it. */
  allocPacket(payloadBytes: number): Buffer {
    const least = 1 + payloadBytes + PADDING_LEAST;
    const size = Math.ceil(least / BLOCK_BYTES) * BLOCK_BYTES;
    const padding = size - 1 - payloadBytes;
    const whole = LENGTH_BYTES + size + TAG_BYTES;
    const storage = whole >= POOLED_LEAST ? lend(whole) : Buffer.allocUnsafe(whole);
    const packet = storage.subarray(0, whole);
    if (whole >= POOLED_LEAST) storageOf.set(packet, storage);
    packet.writeUInt32BE(size, 0);
    packet[LENGTH_BYTES] = padding;
    if (randomAt + padding > RANDOM_BYTES) {
      randomFillSync(random);
      randomAt = 0;
    }
    packet.set(random.subarray(randomAt, randomAt + padding), LENGTH_BYTES + 1 + payloadBytes);
    randomAt += padding;
    return packet;
  }

  encrypt(packet: Buffer): void {
    this.aead.seal(packet, packet.length - TAG_BYTES);
    this.outSeqno = (this.outSeqno + 1) >>> 0;
    this.write(packet);
  }
}

class OpenedPackets implements InCipher {
  inSeqno: number;
  _onPayload: InCipher['_onPayload'];
  private readonly aead: CountingAead;
  private length = 0;
  private lengthBytes = 0;
  /** The packet as it comes, with its length and tag. */
  private packet: Buffer | null = null;
  private at = 0;

  constructor({ inSeqno, _decipherSSLName, _decipherKey, _decipherIV, _onPayload }: GcmDecipher, ciphers: Ciphers) {
    this.inSeqno = inSeqno;
    this._onPayload = _onPayload;
    this.aead = new CountingAead(_decipherSSLName, _decipherKey, _decipherIV, ciphers);
  }

  free(): void {
    this.aead.free();
  }

  /** Answers where the library is to go on, or nothing once all was taken. Throws for what breaks the connection, as it does. */
  decrypt(data: Buffer, start: number, end: number): number | undefined {
    let at = start;
    while (at < end) {
      if (this.packet === null) {
        while (this.lengthBytes < LENGTH_BYTES && at < end) {
          this.length = this.length * 256 + data[at++]!;
          this.lengthBytes++;
        }
        if (this.lengthBytes < LENGTH_BYTES) return undefined;
        this.begin();
      }
      const { packet } = this;
      const whole = LENGTH_BYTES + this.length + TAG_BYTES;
      const part = Math.min(whole - this.at, end - at);
      data.copy(packet!, this.at, at, at + part);
      this.at += part;
      at += part;
      if (this.at < whole) return undefined;
      const next = this.open(packet!, whole);
      if (next !== undefined) return next === false ? at : next;
    }
    return undefined;
  }

  private begin(): void {
    const { length } = this;
    if (length + TAG_BYTES + LENGTH_BYTES > PACKET_BYTES_MAX || length < BLOCK_BYTES || length % BLOCK_BYTES !== 0)
      throw new Error('Bad packet length');
    this.packet = lend(LENGTH_BYTES + length + TAG_BYTES);
    this.packet.writeUInt32BE(length, 0);
    this.at = LENGTH_BYTES;
  }

  private open(packet: Buffer, whole: number): number | false | undefined {
    const { length } = this;
    this.packet = null;
    this.length = 0;
    this.lengthBytes = 0;
    const isGenuine = this.aead.open(packet, whole);
    const padding = packet[LENGTH_BYTES]!;
    if (!isGenuine || padding > length - 1) throw new Error('Invalid MAC');
    this.inSeqno = (this.inSeqno + 1) >>> 0;
    const from = LENGTH_BYTES + 1;
    taken = null;
    const next = this._onPayload(packet.subarray(from, from + length - 1 - padding));
    if (taken === packet.buffer) giveBack(packet);
    else waiting.set(packet.buffer, packet);
    return next;
  }
}
