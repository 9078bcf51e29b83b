// The twin of the system calls in plain Node, for every system: the same answers, more slowly.
import { readSync, writeSync } from 'node:fs';
import { badArgument } from './arguments.ts';
import type { Native } from './native.ts';

/** Of a call so much is read and written at most; a short answer is no error. */
export const SEND_MOST = 65_536;

const EIO = 5;

export const PLAIN: Native = {
  tcpInfo: () => null,
  handles: () => null,
  datagrams: () => null,
  ciphers: () => null,
  sendfile(socketFd, fileFd, offset, count) {
    const bad = badArgument(socketFd, fileFd, offset, count);
    if (bad !== 0) return bad;
    const storage = Buffer.allocUnsafe(Math.min(count, SEND_MOST));
    try {
      const size = readSync(fileFd, storage, 0, storage.length, offset);
      return size === 0 ? 0 : writeSync(socketFd, storage, 0, size);
    } catch (error) {
      const { errno } = error as NodeJS.ErrnoException;
      return errno === undefined || errno >= 0 ? -EIO : errno;
    }
  },
};
