// AEAD and header masks of packets by OpenSSL's EVP in the running binary, with one context kept for each key. What is sealed
// and opened goes through one block of memory that never moves; no pointer comes from a caller.

type Ffi = typeof import('node:ffi');

export type CipherName = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';

/** One key, for one direction. Indexes are of the packet; `number` is put over the IV (RFC 9001 §5.3). */
export interface NativeAead {
  seal(packet: Uint8Array, start: number, at: number, end: number, number: number): void;
  open(packet: Uint8Array, start: number, at: number, end: number, number: number): boolean;
  free(): void;
}

export interface NativeHeader {
  masks(samples: Uint8Array, count: number): Uint8Array;
  free(): void;
}

export interface NativeCiphers {
  aead(algorithm: CipherName, key: Uint8Array, iv: Uint8Array): NativeAead;
  header(algorithm: CipherName, key: Uint8Array): NativeHeader;
}

const TAG_BYTES = 16;
const IV_BYTES = 12;
const SAMPLE_BYTES = 16;
/** Samples of one call. */
const MASKS_MOST = 64;
/** No datagram is longer. */
const TEXT_MOST = 65_536;

// EVP_CTRL_AEAD_*.
const GET_TAG = 0x10;
const SET_TAG = 0x11;

// The block: a length that OpenSSL writes, a nonce, a tag, a key, samples and their masks, then header and text.
const NONCE_AT = 8;
const TAG_AT = 32;
const KEY_AT = 64;
const SAMPLES_AT = 128;
const MASKS_AT = SAMPLES_AT + MASKS_MOST * SAMPLE_BYTES;
const HEADER_AT = MASKS_AT + MASKS_MOST * SAMPLE_BYTES;
const TEXT_AT = HEADER_AT + TEXT_MOST;
const BLOCK_BYTES = TEXT_AT + TEXT_MOST;

/** Below it a loop beats two views and a call into the engine. */
const LOOP_MOST = 64;

function functionsOf({ DynamicLibrary }: Ffi) {
  const init = { arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'pointer'], return: 'i32' } as const;
  const update = { arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'i32'], return: 'i32' } as const;
  const final = { arguments: ['pointer', 'pointer', 'pointer'], return: 'i32' } as const;
  const cipher = { arguments: [], return: 'pointer' } as const;
  return new DynamicLibrary(null).getFunctions({
    EVP_CIPHER_CTX_new: { arguments: [], return: 'pointer' },
    EVP_CIPHER_CTX_free: { arguments: ['pointer'], return: 'void' },
    EVP_CIPHER_CTX_ctrl: { arguments: ['pointer', 'i32', 'i32', 'pointer'], return: 'i32' },
    EVP_CIPHER_CTX_set_padding: { arguments: ['pointer', 'i32'], return: 'i32' },
    EVP_EncryptInit_ex: init,
    EVP_EncryptUpdate: update,
    EVP_EncryptFinal_ex: final,
    EVP_DecryptInit_ex: init,
    EVP_DecryptUpdate: update,
    EVP_DecryptFinal_ex: final,
    EVP_aes_128_gcm: cipher,
    EVP_aes_256_gcm: cipher,
    EVP_chacha20_poly1305: cipher,
    EVP_aes_128_ecb: cipher,
    EVP_aes_256_ecb: cipher,
    EVP_chacha20: cipher,
  });
}

type Functions = ReturnType<typeof functionsOf>;

/** What all keys share. */
export class CipherCalls implements NativeCiphers {
  readonly functions: Functions;
  readonly bytes: Uint8Array;
  readonly masked: Uint8Array;
  readonly lengthPointer: bigint;
  readonly noncePointer: bigint;
  readonly tagPointer: bigint;
  readonly keyPointer: bigint;
  readonly headerPointer: bigint;
  readonly textPointer: bigint;
  readonly masksPointer: bigint;
  /** Of each sample. */
  readonly samplePointers: readonly bigint[];
  /** Contexts whose keys nobody freed. */
  readonly forgotten: FinalizationRegistry<bigint>;
  private readonly block = new ArrayBuffer(BLOCK_BYTES);

  constructor(ffi: Ffi) {
    this.functions = functionsOf(ffi);
    this.bytes = new Uint8Array(this.block);
    this.masked = new Uint8Array(this.block, MASKS_AT, MASKS_MOST * SAMPLE_BYTES);
    const base = ffi.getRawPointer(this.block);
    const at = (offset: number) => base + BigInt(offset);
    this.lengthPointer = base;
    this.noncePointer = at(NONCE_AT);
    this.tagPointer = at(TAG_AT);
    this.keyPointer = at(KEY_AT);
    this.headerPointer = at(HEADER_AT);
    this.textPointer = at(TEXT_AT);
    this.masksPointer = at(MASKS_AT);
    this.samplePointers = Array.from({ length: MASKS_MOST }, (_, index) => at(SAMPLES_AT + index * SAMPLE_BYTES));
    this.forgotten = new FinalizationRegistry((context) => this.functions.EVP_CIPHER_CTX_free(context));
  }

  aead(algorithm: CipherName, key: Uint8Array, iv: Uint8Array): NativeAead {
    return new EvpAead(this, algorithm, key, iv);
  }

  header(algorithm: CipherName, key: Uint8Array): NativeHeader {
    return new EvpHeader(this, algorithm, key);
  }

  /** A context that holds the key. Nobody but `owner` has it, and with it it goes. */
  context(cipher: bigint, key: Uint8Array, keyBytes: number, owner: object): bigint {
    if (key.length !== keyBytes) throw new RangeError(`a key has ${keyBytes} bytes`);
    const { functions } = this;
    const context = functions.EVP_CIPHER_CTX_new();
    if (context === 0n) throw new RangeError('there is no memory for a key');
    this.bytes.set(key, KEY_AT);
    const done = functions.EVP_EncryptInit_ex(context, cipher, 0n, this.keyPointer, 0n);
    this.bytes.fill(0, KEY_AT, KEY_AT + keyBytes);
    if (done !== 1) {
      functions.EVP_CIPHER_CTX_free(context);
      throw new RangeError('OpenSSL does not take the key');
    }
    this.forgotten.register(owner, context, owner);
    return context;
  }

  release(context: bigint, owner: object): void {
    this.forgotten.unregister(owner);
    this.functions.EVP_CIPHER_CTX_free(context);
  }

  /** Asks what the answer is known of: RFC 9001 §A.5. Null when it is right, else what is not. */
  check(): string | null {
    const key = Buffer.from('c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8', 'hex');
    const aead = this.aead('chacha20-poly1305', key, Buffer.from('e0459b3474bdd0e44a41c144', 'hex'));
    const packet = Buffer.from(`4200bff401${'00'.repeat(TAG_BYTES)}`, 'hex');
    aead.seal(packet, 0, 4, 5, 654_360_564);
    const right = packet.toString('hex') === '4200bff4655e5cd55c41f69080575d7999c25a5bfb';
    const opens = aead.open(packet, 0, 4, 21, 654_360_564) && packet[4] === 1;
    aead.free();
    return right && opens ? null : 'EVP does not seal as RFC 9001 has it';
  }
}

class EvpAead implements NativeAead {
  private readonly calls: CipherCalls;
  /** 0 when it was freed. */
  private context: bigint;
  private readonly iv: Uint8Array;

  constructor(calls: CipherCalls, algorithm: CipherName, key: Uint8Array, iv: Uint8Array) {
    if (iv.length !== IV_BYTES) throw new RangeError(`an IV has ${IV_BYTES} bytes`);
    const { functions } = calls;
    this.calls = calls;
    this.iv = Uint8Array.from(iv);
    const cipher =
      algorithm === 'aes-128-gcm'
        ? functions.EVP_aes_128_gcm()
        : algorithm === 'aes-256-gcm'
          ? functions.EVP_aes_256_gcm()
          : functions.EVP_chacha20_poly1305();
    this.context = calls.context(cipher, key, algorithm === 'aes-128-gcm' ? 16 : 32, this);
  }

  seal(packet: Uint8Array, start: number, at: number, end: number, number: number): void {
    const { calls, context } = this;
    if (context === 0n) throw new RangeError('the key was freed');
    if (!isWithin(packet, start, at, end, TAG_BYTES)) throw new RangeError('the packet is not where it is said to be');
    const { functions, bytes } = calls;
    this.setNonce(number);
    copy(packet, start, at, bytes, HEADER_AT);
    copy(packet, at, end, bytes, TEXT_AT);
    const done =
      functions.EVP_EncryptInit_ex(context, 0n, 0n, 0n, calls.noncePointer) &
      functions.EVP_EncryptUpdate(context, 0n, calls.lengthPointer, calls.headerPointer, at - start) &
      functions.EVP_EncryptUpdate(context, calls.textPointer, calls.lengthPointer, calls.textPointer, end - at) &
      functions.EVP_EncryptFinal_ex(context, calls.tagPointer, calls.lengthPointer) &
      functions.EVP_CIPHER_CTX_ctrl(context, GET_TAG, TAG_BYTES, calls.tagPointer);
    if (done !== 1) throw new RangeError('OpenSSL does not seal');
    copy(bytes, TEXT_AT, TEXT_AT + end - at, packet, at);
    copy(bytes, TAG_AT, TAG_AT + TAG_BYTES, packet, end);
  }

  open(packet: Uint8Array, start: number, at: number, end: number, number: number): boolean {
    const { calls, context } = this;
    const tagAt = end - TAG_BYTES;
    if (context === 0n || tagAt < at || !isWithin(packet, start, at, end, 0)) return false;
    const { functions, bytes } = calls;
    this.setNonce(number);
    copy(packet, start, at, bytes, HEADER_AT);
    copy(packet, at, tagAt, bytes, TEXT_AT);
    copy(packet, tagAt, end, bytes, TAG_AT);
    const begun =
      functions.EVP_DecryptInit_ex(context, 0n, 0n, 0n, calls.noncePointer) &
      functions.EVP_DecryptUpdate(context, 0n, calls.lengthPointer, calls.headerPointer, at - start) &
      functions.EVP_DecryptUpdate(context, calls.textPointer, calls.lengthPointer, calls.textPointer, tagAt - at) &
      functions.EVP_CIPHER_CTX_ctrl(context, SET_TAG, TAG_BYTES, calls.tagPointer);
    if (begun !== 1 || functions.EVP_DecryptFinal_ex(context, calls.masksPointer, calls.lengthPointer) !== 1)
      return false;
    copy(bytes, TEXT_AT, TEXT_AT + tagAt - at, packet, at);
    return true;
  }

  /** The number, in network order, over the last bytes of the IV. */
  private setNonce(number: number): void {
    const { iv } = this;
    const { bytes } = this.calls;
    const high = Math.floor(number / 0x1_0000_0000);
    for (let index = 0; index < 4; index++) {
      bytes[NONCE_AT + index] = iv[index]!;
      const shift = 24 - 8 * index;
      bytes[NONCE_AT + 4 + index] = iv[4 + index]! ^ (high >>> shift);
      bytes[NONCE_AT + 8 + index] = iv[8 + index]! ^ (number >>> shift);
    }
  }

  free(): void {
    if (this.context === 0n) return;
    this.calls.release(this.context, this);
    this.context = 0n;
    this.iv.fill(0);
  }
}

class EvpHeader implements NativeHeader {
  private readonly calls: CipherCalls;
  private readonly isChaCha: boolean;
  private context: bigint;

  constructor(calls: CipherCalls, algorithm: CipherName, key: Uint8Array) {
    const { functions } = calls;
    this.calls = calls;
    this.isChaCha = algorithm === 'chacha20-poly1305';
    const small = algorithm === 'aes-128-gcm';
    const cipher = this.isChaCha
      ? functions.EVP_chacha20()
      : small
        ? functions.EVP_aes_128_ecb()
        : functions.EVP_aes_256_ecb();
    this.context = calls.context(cipher, key, small ? 16 : 32, this);
    functions.EVP_CIPHER_CTX_set_padding(this.context, 0);
  }

  masks(samples: Uint8Array, count: number): Uint8Array {
    const { calls, context } = this;
    if (context === 0n) throw new RangeError('the key was freed');
    if (!(count >= 0 && count <= MASKS_MOST && count * SAMPLE_BYTES <= samples.length))
      throw new RangeError('there are not so many samples');
    const { functions, bytes, masked } = calls;
    copy(samples, 0, count * SAMPLE_BYTES, bytes, SAMPLES_AT);
    if (!this.isChaCha) {
      const size = count * SAMPLE_BYTES;
      functions.EVP_EncryptUpdate(context, calls.masksPointer, calls.lengthPointer, calls.samplePointers[0]!, size);
      return masked;
    }
    // Each sample is a counter and a nonce (RFC 9001 §5.4.4); the mask is what comes of zeros.
    for (let index = 0; index < count; index++) {
      functions.EVP_EncryptInit_ex(context, 0n, 0n, 0n, calls.samplePointers[index]!);
      bytes.fill(0, TEXT_AT, TEXT_AT + 8);
      functions.EVP_EncryptUpdate(context, calls.tagPointer, calls.lengthPointer, calls.textPointer, 5);
      copy(bytes, TAG_AT, TAG_AT + 5, masked, index * SAMPLE_BYTES);
    }
    return masked;
  }

  free(): void {
    if (this.context === 0n) return;
    this.calls.release(this.context, this);
    this.context = 0n;
  }
}

/** Whether a packet lies in its buffer, with so many bytes behind it, and is no longer than the block. */
function isWithin(packet: Uint8Array, start: number, at: number, end: number, behind: number): boolean {
  return (
    Number.isInteger(start + at + end) &&
    start >= 0 &&
    start <= at &&
    at <= end &&
    end + behind <= packet.length &&
    at - start <= TEXT_MOST &&
    end - at <= TEXT_MOST
  );
}

function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start <= LOOP_MOST) for (let index = start; index < end; index++) to[at++] = from[index]!;
  // A plain view: those of Buffers cost twice as much.
  else to.set(new Uint8Array(from.buffer, from.byteOffset + start, end - start), at);
}
