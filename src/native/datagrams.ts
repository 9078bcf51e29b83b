// UDP sockets whose datagrams come and go in batches (recvmmsg, sendmmsg), woken by libuv. All pointers lead into blocks that
// live until the socket has been closed by the loop; what is given is checked before it gets there.
import { isDescriptor } from './arguments.ts';

type Ffi = typeof import('node:ffi');

/** Datagrams of one call. */
export const BATCH = 64;
/** The longest datagram. */
export const DATAGRAM_BYTES_MAX = 65_536;

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2 | 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const IPPROTO_IP = 0;
const IP_TOS = 1;
const IP_RECVTOS = 13;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
/** Sets "do not fragment" and believes nobody who says what fits. */
const PMTUDISC_PROBE = 3;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const IPV6_RECVTCLASS = 66;
const IPV6_TCLASS = 67;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;
const MSG_DONTWAIT = 0x40;
const EAGAIN = 11;
const EIO = 5;

/** sockaddr_in has 16 octets, sockaddr_in6 28. */
const ADDRESS_BYTES = 32;
/** struct mmsghdr on 64 bits. */
const HEADER_BYTES = 64;
const IOVEC_BYTES = 16;
/** Control messages of one: a segment's size and a mark, 24 octets each; struct cmsghdr has 16. */
const CONTROL_BYTES = 64;
const CMSG_BYTES = 24;
const CMSG_HEAD = 16;
/** Of one direction: the headers, the vectors, the addresses, the control messages, then the datagrams. */
const VECTORS_AT = BATCH * HEADER_BYTES;
const ADDRESSES_AT = VECTORS_AT + BATCH * IOVEC_BYTES;
const CONTROLS_AT = ADDRESSES_AT + BATCH * ADDRESS_BYTES;
const DATA_AT = CONTROLS_AT + BATCH * CONTROL_BYTES;
/** What the kernel cuts of one call: so many segments, all of them no longer than a datagram may be. */
const SEGMENTS_MAX = 64;
const SEGMENTED_BYTES_MAX = 65_000;
const BLOCK_BYTES = DATA_AT + BATCH * DATAGRAM_BYTES_MAX;
const HANDLE_BYTES = 512;

const READABLE = 1;
const WRITABLE = 2;

function functionsOf(library: InstanceType<Ffi['DynamicLibrary']>) {
  return library.getFunctions({
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    bind: { arguments: ['i32', 'pointer', 'u32'], return: 'i32' },
    getsockname: { arguments: ['i32', 'pointer', 'pointer'], return: 'i32' },
    setsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' },
    close: { arguments: ['i32'], return: 'i32' },
    recvmmsg: { arguments: ['i32', 'pointer', 'u32', 'i32', 'pointer'], return: 'i32' },
    sendmmsg: { arguments: ['i32', 'pointer', 'u32', 'i32'], return: 'i32' },
    uv_poll_init: { arguments: ['pointer', 'pointer', 'i32'], return: 'i32' },
    uv_poll_start: { arguments: ['pointer', 'i32', 'pointer'], return: 'i32' },
    uv_poll_stop: { arguments: ['pointer'], return: 'i32' },
    uv_close: { arguments: ['pointer', 'pointer'], return: 'void' },
    __errno_location: { arguments: [], return: 'pointer' },
  });
}

/** What sockets share. */
export class DatagramCalls {
  readonly ffi: Ffi;
  readonly library: InstanceType<Ffi['DynamicLibrary']>;
  readonly functions: ReturnType<typeof functionsOf>;
  readonly loop: bigint;
  private readonly errnoPointer: bigint;
  /** For numbers and an address, on their way into a call. */
  readonly scratch = new ArrayBuffer(64);
  readonly scratchPointer: bigint;

  constructor(ffi: Ffi) {
    this.ffi = ffi;
    // The running binary itself, never closed.
    this.library = new ffi.DynamicLibrary(null);
    this.functions = functionsOf(this.library);
    this.loop = (ffi as unknown as { getCurrentEventLoop(): bigint }).getCurrentEventLoop();
    this.errnoPointer = this.functions.__errno_location();
    this.scratchPointer = ffi.getRawPointer(this.scratch);
  }

  errno(): number {
    const errno = this.ffi.getInt32(this.errnoPointer, 0);
    return errno > 0 ? errno : EIO;
  }

  /**
   * Opens a socket at an address of 4 or 16 octets, or answers the negative error number. `joined`: rows of datagrams from one
   * sender may come as one (GRO), marks of ECN are told, and none is sent in fragments.
   */
  open(octets: Uint8Array, port: number, bufferBytes: number, joined: boolean): NativeDatagrams | number {
    if ((octets.length !== 4 && octets.length !== 16) || !Number.isInteger(port) || port < 0 || port > 0xffff)
      return -22;
    const family = octets.length === 4 ? AF_INET : AF_INET6;
    const { functions } = this;
    const fd = functions.socket(family, SOCK_DGRAM, 0);
    if (!isDescriptor(fd)) return -this.errno();
    if (family === AF_INET6) this.setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    this.setOption(fd, SOL_SOCKET, SO_RCVBUF, bufferBytes);
    this.setOption(fd, SOL_SOCKET, SO_SNDBUF, bufferBytes);
    if (joined) {
      this.setOption(fd, SOL_UDP, UDP_GRO, 1);
      const isFour = family === AF_INET;
      const level = isFour ? IPPROTO_IP : IPPROTO_IPV6;
      this.setOption(fd, level, isFour ? IP_RECVTOS : IPV6_RECVTCLASS, 1);
      this.setOption(fd, level, isFour ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
    }
    const view = new Uint8Array(this.scratch);
    const size = writeAddress(view, 0, octets, port);
    if (functions.bind(fd, this.scratchPointer, size) !== 0) {
      const errno = this.errno();
      functions.close(fd);
      return -errno;
    }
    new DataView(this.scratch).setUint32(48, ADDRESS_BYTES, true);
    functions.getsockname(fd, this.scratchPointer, this.scratchPointer + 48n);
    return new NativeDatagrams(this, fd, (view[2]! << 8) | view[3]!, family, joined);
  }

  private setOption(fd: number, level: number, option: number, value: number): void {
    new DataView(this.scratch).setInt32(0, value, true);
    this.functions.setsockopt(fd, level, option, this.scratchPointer, 4);
  }
}

/** Writes a sockaddr; answers its size. */
function writeAddress(bytes: Uint8Array, at: number, octets: Uint8Array, port: number): number {
  bytes.fill(0, at, at + ADDRESS_BYTES);
  bytes[at] = octets.length === 4 ? AF_INET : AF_INET6;
  bytes[at + 2] = port >>> 8;
  bytes[at + 3] = port;
  bytes.set(octets, at + (octets.length === 4 ? 4 : 8));
  return octets.length === 4 ? 16 : 28;
}

/** One direction: a block of headers, vectors, addresses and datagrams. */
class Block {
  readonly memory = new ArrayBuffer(BLOCK_BYTES);
  readonly bytes: Buffer = Buffer.from(this.memory);
  readonly view = new DataView(this.memory);
  readonly words = new Int32Array(this.memory);
  readonly pointer: bigint;

  constructor(ffi: Ffi) {
    this.pointer = ffi.getRawPointer(this.memory);
    for (let index = 0; index < BATCH; index++) {
      const header = index * HEADER_BYTES;
      const vector = VECTORS_AT + index * IOVEC_BYTES;
      this.view.setBigUint64(header, this.pointer + BigInt(ADDRESSES_AT + index * ADDRESS_BYTES), true);
      this.view.setUint32(header + 8, ADDRESS_BYTES, true);
      this.view.setBigUint64(header + 16, this.pointer + BigInt(vector), true);
      this.view.setBigUint64(header + 24, 1n, true);
      this.view.setBigUint64(vector, this.pointer + BigInt(this.dataAt(index)), true);
      this.view.setBigUint64(vector + 8, BigInt(DATAGRAM_BYTES_MAX), true);
    }
  }

  dataAt(index: number): number {
    return DATA_AT + index * DATAGRAM_BYTES_MAX;
  }

  /** Where the control messages of one lie, and how long they are. */
  control(index: number, size: number): void {
    const header = index * HEADER_BYTES;
    this.view.setBigUint64(
      header + 32,
      size === 0 ? 0n : this.pointer + BigInt(CONTROLS_AT + index * CONTROL_BYTES),
      true,
    );
    this.view.setUint32(header + 40, size, true);
  }
}

export class NativeDatagrams {
  readonly port: number;
  private readonly calls: DatagramCalls;
  private readonly fd: number;
  private readonly came: Block;
  private readonly goes: Block;
  private readonly handle = new ArrayBuffer(HANDLE_BYTES);
  private readonly handlePointer: bigint;
  private callback = 0n;
  private events = 0;
  private open = true;
  private readonly family: number;
  private readonly joined: boolean;
  /** The kernel cuts rows of segments (GSO); false once it would not. */
  private cuts = true;
  /** How many wait to be sent. */
  waiting = 0;

  constructor(calls: DatagramCalls, fd: number, port: number, family: number, joined: boolean) {
    this.family = family;
    this.joined = joined;
    this.calls = calls;
    this.fd = fd;
    this.port = port;
    this.came = new Block(calls.ffi);
    this.goes = new Block(calls.ffi);
    this.handlePointer = calls.ffi.getRawPointer(this.handle);
    if (joined) for (let index = 0; index < BATCH; index++) this.came.control(index, CONTROL_BYTES);
  }

  /** Calls when there is something to receive, or, after a `flush` that left some, room again. It must not throw. */
  start(ready: () => void): number {
    const { functions, library, loop } = this.calls;
    const failed = functions.uv_poll_init(loop, this.handlePointer, this.fd);
    if (failed !== 0) return failed;
    this.callback = library.registerCallback({ arguments: ['pointer', 'i32', 'i32'], return: 'void' }, ready);
    this.watch(READABLE);
    return 0;
  }

  private watch(events: number): void {
    if (this.events === events) return;
    this.events = events;
    this.calls.functions.uv_poll_start(this.handlePointer, events, this.callback);
  }

  /** Receives what has come, up to a batch; how many. */
  receive(): number {
    if (!this.open) return 0;
    const { view, pointer } = this.came;
    // The kernel writes how long each address is.
    for (let index = 0; index < this.received; index++) {
      view.setUint32(index * HEADER_BYTES + 8, ADDRESS_BYTES, true);
      if (this.joined) view.setUint32(index * HEADER_BYTES + 40, CONTROL_BYTES, true);
    }
    const count = this.calls.functions.recvmmsg(this.fd, pointer, BATCH, MSG_DONTWAIT, 0n);
    this.received = Math.max(0, count);
    return this.received;
  }
  private received = 0;

  /** Where datagrams lie: the `index`-th begins at `startOf` and has `lengthOf`. Overwritten by the next `receive`. */
  get bytes(): Buffer {
    return this.came.bytes;
  }

  startOf(index: number): number {
    return this.came.dataAt(index);
  }

  lengthOf(index: number): number {
    return this.came.view.getUint32(index * HEADER_BYTES + 56, true);
  }

  /** How long each datagram of a row is that came as one; 0 where it is one. */
  segmentOf(index: number): number {
    const at = this.controlOf(index, SOL_UDP, UDP_GRO);
    return at < 0 ? 0 : this.came.view.getUint16(at, true);
  }

  /** The codepoint of ECN that it came with; -1 where the kernel does not tell. */
  ecnOf(index: number): number {
    const isFour = this.family === AF_INET;
    const at = this.controlOf(index, isFour ? IPPROTO_IP : IPPROTO_IPV6, isFour ? IP_TOS : IPV6_TCLASS);
    return at < 0 ? -1 : this.came.bytes[at]! & 3;
  }

  private controlOf(index: number, level: number, type: number): number {
    if (!this.joined) return -1;
    const { view } = this.came;
    const from = CONTROLS_AT + index * CONTROL_BYTES;
    const to = from + Math.min(CONTROL_BYTES, view.getUint32(index * HEADER_BYTES + 40, true));
    for (let at = from; at + CMSG_HEAD < to; ) {
      if (view.getInt32(at + 8, true) === level && view.getInt32(at + 12, true) === type) return at + CMSG_HEAD;
      const size = view.getUint32(at, true);
      if (size < CMSG_HEAD) break;
      at += (size + 7) & ~7;
    }
    return -1;
  }

  /** Where the sockaddr of the `index`-th begins in `bytes`. */
  addressOf(index: number): number {
    return ADDRESSES_AT + index * ADDRESS_BYTES;
  }

  /** Queues a copy for the sender of the `index`-th that came last; false when the queue is full. */
  reply(index: number, from: Uint8Array, start: number, end: number): boolean {
    if (!this.put(from, start, end)) return false;
    const { goes, came, waiting } = this;
    const size = came.bytes[ADDRESSES_AT + index * ADDRESS_BYTES] === AF_INET ? 16 : 28;
    const at = (ADDRESSES_AT + waiting * ADDRESS_BYTES) >> 2;
    const source = (ADDRESSES_AT + index * ADDRESS_BYTES) >> 2;
    for (let word = 0; word < size >> 2; word++) goes.words[at + word] = came.words[source + word]!;
    goes.words[(waiting * HEADER_BYTES + 8) >> 2] = size;
    this.waiting++;
    return true;
  }

  /** Queues a copy for an address; false when the queue is full. */
  send(octets: Uint8Array, port: number, from: Uint8Array, start: number, end: number): boolean {
    if (!this.put(from, start, end)) return false;
    const size = writeAddress(this.goes.bytes, this.addressOf(this.waiting), octets, port);
    this.goes.view.setUint32(this.waiting * HEADER_BYTES + 8, size, true);
    this.waiting++;
    return true;
  }

  /** The same for a row of datagrams of `segment` octets, the last of which may be shorter, and for a mark of ECN. */
  sendRow(
    octets: Uint8Array,
    port: number,
    from: Uint8Array,
    start: number,
    end: number,
    segment: number,
    ecn: number,
  ): boolean {
    const segments = Math.max(1, Math.min(SEGMENTS_MAX, Math.floor(SEGMENTED_BYTES_MAX / segment)));
    const step = this.cuts ? segments * segment : segment;
    for (let at = start; at < end; at += step) {
      const to = Math.min(end, at + step);
      if (!this.put(from, at, to)) return at > start;
      const index = this.waiting;
      const size = writeAddress(this.goes.bytes, this.addressOf(index), octets, port);
      this.goes.view.setUint32(index * HEADER_BYTES + 8, size, true);
      this.mark(index, to - at > segment ? segment : 0, ecn);
      this.waiting++;
    }
    return true;
  }

  private mark(index: number, segment: number, ecn: number): void {
    const { view } = this.goes;
    let at = CONTROLS_AT + index * CONTROL_BYTES;
    const from = at;
    if (segment > 0) {
      view.setBigUint64(at, BigInt(CMSG_HEAD + 2), true);
      view.setInt32(at + 8, SOL_UDP, true);
      view.setInt32(at + 12, UDP_SEGMENT, true);
      view.setUint16(at + CMSG_HEAD, segment, true);
      at += CMSG_BYTES;
    }
    if (ecn > 0) {
      const isFour = this.family === AF_INET;
      view.setBigUint64(at, BigInt(CMSG_HEAD + 4), true);
      view.setInt32(at + 8, isFour ? IPPROTO_IP : IPPROTO_IPV6, true);
      view.setInt32(at + 12, isFour ? IP_TOS : IPV6_TCLASS, true);
      view.setInt32(at + CMSG_HEAD, ecn, true);
      at += CMSG_BYTES;
    }
    this.goes.control(index, at - from);
    this.hasControls ||= at > from;
  }
  private hasControls = false;

  private put(from: Uint8Array, start: number, end: number): boolean {
    const size = end - start;
    if (!this.open || size > DATAGRAM_BYTES_MAX) return false;
    if (this.waiting === BATCH) this.flush();
    if (this.waiting === BATCH) return false;
    const at = this.goes.dataAt(this.waiting);
    const { bytes, view } = this.goes;
    if (this.hasControls) view.setUint32(this.waiting * HEADER_BYTES + 40, 0, true);
    if (size > 96) bytes.set(from.subarray(start, end), at);
    else for (let index = 0; index < size; index++) bytes[at + index] = from[start + index]!;
    // Its upper half is never written to.
    view.setUint32(VECTORS_AT + this.waiting * IOVEC_BYTES + 8, size, true);
    return true;
  }

  /** Sends what is queued; what the kernel does not take now stays queued. */
  flush(): void {
    let done = 0;
    while (this.open && done < this.waiting) {
      const at = this.goes.pointer + BigInt(done * HEADER_BYTES);
      const sent = this.calls.functions.sendmmsg(this.fd, at, this.waiting - done, MSG_DONTWAIT);
      if (sent > 0) {
        done += sent;
        continue;
      }
      const errno = this.calls.errno();
      if (errno === EAGAIN) break;
      // What sends it there does not cut rows: from now on they are sent one by one.
      if (errno === EIO && this.goes.view.getUint32(done * HEADER_BYTES + 40, true) > 0) this.cuts = false;
      // The first cannot be sent at all (a route that is gone, a port that refused): it is dropped, as datagrams may be.
      done++;
    }
    if (done < this.waiting && done > 0) this.keep(done);
    else if (done > 0) this.waiting = 0;
    if (this.open) this.watch(this.waiting > 0 ? READABLE | WRITABLE : READABLE);
  }

  /** Moves what was not sent to the front. */
  private keep(done: number): void {
    const { bytes, view } = this.goes;
    for (let index = done; index < this.waiting; index++) {
      const to = index - done;
      const size = view.getBigUint64(VECTORS_AT + index * IOVEC_BYTES + 8, true);
      bytes.copyWithin(this.goes.dataAt(to), this.goes.dataAt(index), this.goes.dataAt(index) + Number(size));
      bytes.copyWithin(this.addressOf(to), this.addressOf(index), this.addressOf(index) + ADDRESS_BYTES);
      view.setBigUint64(VECTORS_AT + to * IOVEC_BYTES + 8, size, true);
      view.setUint32(to * HEADER_BYTES + 8, view.getUint32(index * HEADER_BYTES + 8, true), true);
      const control = view.getUint32(index * HEADER_BYTES + 40, true);
      const controlAt = CONTROLS_AT + index * CONTROL_BYTES;
      bytes.copyWithin(CONTROLS_AT + to * CONTROL_BYTES, controlAt, controlAt + control);
      this.goes.control(to, control);
    }
    this.waiting -= done;
  }

  close(): void {
    if (!this.open) return;
    this.flush();
    this.open = false;
    const { functions, library } = this.calls;
    functions.uv_poll_stop(this.handlePointer);
    functions.uv_close(this.handlePointer, 0n);
    functions.close(this.fd);
    CLOSING.add(this);
    // The loop lets go of the handle at the end of its round; until then its memory must stay.
    setTimeout(() => {
      library.unregisterCallback(this.callback);
      CLOSING.delete(this);
    }, 100).unref();
  }
}

/** Closed, and still known to the loop. */
const CLOSING = new Set<NativeDatagrams>();
