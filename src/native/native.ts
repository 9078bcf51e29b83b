// The system calls that Node does not offer, where they are known to work, and why not where they are not. An accelerator
// and never a need: whoever gets null goes on with `PLAIN`.
import { Calls } from './calls.ts';
import type { NativeCiphers } from './ciphers.ts';
import type { NativeDatagrams } from './datagrams.ts';
import type { HandleWays } from './handles.ts';
import type { TcpInfo } from './tcp-info.ts';

export type { TcpInfo } from './tcp-info.ts';

export interface Native {
  /** What the kernel says of a TCP connection; null when it does not, or the descriptor is none of TCP. */
  tcpInfo(fd: number): TcpInfo | null;
  /**
   * Sends bytes `[offset..offset+count)` of a file on a socket, or the first part of them: answers how many, 0 at the end of
   * the file, or a negative error number, such as -11 (EAGAIN) for a socket that takes no more now. Never waits for the socket.
   */
  sendfile(socketFd: number, fileFd: number, offset: number, count: number): number;
  /** A UDP socket that takes and gives datagrams in batches, or the negative error number; null where there are none. */
  datagrams(octets: Uint8Array, port: number, bufferBytes: number, joined: boolean): NativeDatagrams | number | null;
  /** How sockets are read and written without Node's streams; null where that is not known. */
  handles(): HandleWays | null;
  /** AEAD and header masks of packets by contexts that are kept; null where they do not work. */
  ciphers(): NativeCiphers | null;
}

export type NativeMode = 'auto' | 'off';

/** Versions of Node that the suite ran on. On another, node:ffi may call with other conventions. */
export const NODE_VERSIONS: readonly string[] = ['26.10.0'];

/** Where the offsets of the structs hold, and the suite ran. */
const PLATFORMS: readonly string[] = ['linux-x64'];

export interface NativeState {
  readonly on: boolean;
  /** Why not; `''` when it is on. */
  readonly why: string;
}

/** The system as it is, or as a test has it. */
export interface Here {
  readonly node: string;
  readonly platform: string;
}

const HERE: Here = { node: process.versions.node, platform: `${process.platform}-${process.arch}` };

let state: NativeState = { on: false, why: 'nobody asked for it' };
/** Loaded once a thread: its pointers are kept for good. */
let loaded: Calls | null = null;

/** What became of the last `loadNative`. */
export function nativeState(): NativeState {
  return state;
}

/** The calls, or null: `nativeState` says why. */
export function loadNative(mode: NativeMode, here: Here = HERE): Native | null {
  const why = hindrance(mode, here);
  if (why !== null) return refused(why);
  try {
    if (loaded === null) {
      const calls = new Calls(importFfi());
      const wrong = calls.check();
      if (wrong !== null) return refused(wrong);
      loaded = calls;
    }
    state = { on: true, why: '' };
    return loaded;
  } catch (error) {
    return refused(error instanceof Error ? error.message : String(error));
  }
}

function hindrance(mode: NativeMode, { node, platform }: Here): string | null {
  if (mode === 'off') return 'it is turned off';
  if (!PLATFORMS.includes(platform)) return `it is not for ${platform}`;
  return NODE_VERSIONS.includes(node) ? null : `it was not tried on Node ${node}, only on ${NODE_VERSIONS.join(', ')}`;
}

function refused(why: string): null {
  state = { on: false, why };
  return null;
}

/** node:ffi without its warning, which is for programmers: the versions above are those that it was tried on. */
function importFfi(): typeof import('node:ffi') {
  const { emitWarning } = process;
  process.emitWarning = ((warning: string, ...rest: never[]) => {
    if (!/\bFFI\b/.test(String(warning))) emitWarning.call(process, warning, ...rest);
  }) as typeof emitWarning;
  try {
    const ffi = process.getBuiltinModule('node:ffi');
    if (ffi === undefined) throw new Error('this Node runs without node:ffi');
    return ffi;
  } finally {
    process.emitWarning = emitWarning;
  }
}
