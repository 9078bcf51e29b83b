// Every bound of SFTP: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/sftp.md §Limits';

export const limits = {
  packetBytesMax: {
    what: 'a packet, from its type on; clients that ask are told (limits@openssh.com)',
    default: 262_144,
    least: 34_000,
    most: 1_048_576,
    unit: 'bytes',
    fault: faults.packetTooLong,
    spec,
  },
  readBytesMax: {
    what: 'bytes that one READ is answered with; more are asked for again',
    default: 261_120,
    least: 4_096,
    most: 1_048_000,
    unit: 'bytes',
    fault: null,
    spec,
  },
  handlesMax: {
    what: 'files and folders that one channel has open at once; one more is refused with FAILURE',
    default: 256,
    least: 1,
    most: 10_000,
    unit: 'count',
    fault: null,
    spec,
  },
  requestsMax: {
    what: 'requests of one channel that are under way; what follows waits',
    default: 128,
    least: 1,
    most: 10_000,
    unit: 'count',
    fault: null,
    spec,
  },
} as const satisfies Limits;
