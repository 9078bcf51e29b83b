// The system calls of libc by node:ffi. A wrong pointer ends the process: there are few calls, all pointers go to one block
// of memory that lives as long as they do, and what is given is checked before it is called with.
import { badArgument, isDescriptor } from './arguments.ts';
import { CipherCalls, type NativeCiphers } from './ciphers.ts';
import { DatagramCalls, type NativeDatagrams } from './datagrams.ts';
import { type HandleWays, handleWays } from './handles.ts';
import type { Native } from './native.ts';
import { readTcpInfo, TCP_INFO_BYTES, TCP_INFO_LEAST } from './tcp-info.ts';

type Ffi = typeof import('node:ffi');

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const AF_INET = 2;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const EBADF = 9;
const EIO = 5;
/** `tcpi_state` of a socket that was never connected. */
const CLOSED = 'closed';

/** Of a call so much is sent at most: on a cold file the call waits for the disk, and all connections with it. */
const SEND_MOST = 262_144;

// One block: the answer of TCP_INFO, then its length, then the offset of sendfile.
const LENGTH_AT = TCP_INFO_BYTES;
const OFFSET_AT = TCP_INFO_BYTES + 8;
const BLOCK_BYTES = TCP_INFO_BYTES + 16;

function functionsOf({ DynamicLibrary }: Ffi) {
  // The running binary itself, with the libc that it is linked to. Never closed: the functions would dangle.
  return new DynamicLibrary(null).getFunctions({
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
    sendfile: { arguments: ['i32', 'i32', 'pointer', 'u64'], return: 'i64' },
    __errno_location: { arguments: [], return: 'pointer' },
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    close: { arguments: ['i32'], return: 'i32' },
  });
}

export class Calls implements Native {
  private readonly ffi: Ffi;
  private readonly functions: ReturnType<typeof functionsOf>;
  /** An ArrayBuffer is never moved; a small typed array would be. Held here for as long as the pointers below. */
  private readonly block = new ArrayBuffer(BLOCK_BYTES);
  private readonly view = new DataView(this.block);
  private readonly infoPointer: bigint;
  private readonly lengthPointer: bigint;
  private readonly offsetPointer: bigint;
  /** Of this thread, for its whole life. */
  private readonly errnoPointer: bigint;

  constructor(ffi: Ffi) {
    this.ffi = ffi;
    this.functions = functionsOf(ffi);
    this.infoPointer = ffi.getRawPointer(this.block);
    this.lengthPointer = this.infoPointer + BigInt(LENGTH_AT);
    this.offsetPointer = this.infoPointer + BigInt(OFFSET_AT);
    this.errnoPointer = this.functions.__errno_location();
  }

  tcpInfo(fd: number): ReturnType<Native['tcpInfo']> {
    if (!isDescriptor(fd)) return null;
    this.view.setUint32(LENGTH_AT, TCP_INFO_BYTES, true);
    if (this.functions.getsockopt(fd, IPPROTO_TCP, TCP_INFO, this.infoPointer, this.lengthPointer) !== 0) return null;
    return readTcpInfo(this.view, this.view.getUint32(LENGTH_AT, true));
  }

  sendfile(socketFd: number, fileFd: number, offset: number, count: number): number {
    const bad = badArgument(socketFd, fileFd, offset, count);
    if (bad !== 0) return bad;
    this.view.setBigInt64(OFFSET_AT, BigInt(offset), true);
    const sent = this.functions.sendfile(socketFd, fileFd, this.offsetPointer, BigInt(Math.min(count, SEND_MOST)));
    if (sent >= 0n) return Number(sent);
    // Nothing of ours calls the system in between.
    const errno = this.ffi.getInt32(this.errnoPointer, 0);
    return errno > 0 ? -errno : -EIO;
  }

  datagrams(octets: Uint8Array, port: number, bufferBytes: number, joined: boolean): NativeDatagrams | number {
    this.sockets ??= new DatagramCalls(this.ffi);
    return this.sockets.open(octets, port, bufferBytes, joined);
  }
  private sockets: DatagramCalls | null = null;

  handles(): HandleWays | null {
    return handleWays();
  }

  ciphers(): NativeCiphers | null {
    if (this.evp === undefined) {
      const evp = new CipherCalls(this.ffi);
      this.evp = evp.check() === null ? evp : null;
    }
    return this.evp;
  }
  private evp: CipherCalls | null | undefined;

  /** Asks what the answers are known of; null when all are right, else what is not. */
  check(): string | null {
    if (this.tcpInfo(0x7fff_fff0) !== null) return 'a descriptor that is none has figures';
    if (this.sendfile(0x7fff_fff0, 0x7fff_fff0, 0, 1) !== -EBADF) return 'sendfile does not say what went wrong';
    const fd = this.functions.socket(AF_INET, SOCK_STREAM_CLOEXEC, 0);
    if (fd < 0) return 'no socket can be opened';
    const info = this.tcpInfo(fd);
    const filled = this.view.getUint32(LENGTH_AT, true);
    this.functions.close(fd);
    if (info === null || filled < TCP_INFO_LEAST || filled > TCP_INFO_BYTES) return 'TCP_INFO is not what it should be';
    if (info.state !== CLOSED || info.retransmits !== 0 || info.congestionWindow > 1_000)
      return 'TCP_INFO has another layout';
    return null;
  }
}
