// What is no descriptor or no range is answered with an error number and never reaches the system.
const EBADF = 9;
const EINVAL = 22;

/** Descriptors are 32-bit integers; `-1` stands for one that was closed. */
export function isDescriptor(fd: number): boolean {
  return Number.isInteger(fd) && fd >= 0 && fd <= 0x7fff_ffff;
}

/** The negative error number for arguments of `sendfile` that cannot be right; 0 for such that may be. */
export function badArgument(socketFd: number, fileFd: number, offset: number, count: number): number {
  if (!isDescriptor(socketFd) || !isDescriptor(fileFd)) return -EBADF;
  return isCount(offset) && isCount(count) ? 0 : -EINVAL;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
