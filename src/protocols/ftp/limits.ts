// Every bound of FTP: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/ftp.md §Limits';

export const limits = {
  lineBytesMax: {
    what: 'a command line without its end; a longer one is answered with 500',
    default: 4_096,
    least: 128,
    // Below what a listener keeps of unconsumed input.
    most: 65_000,
    unit: 'bytes',
    fault: faults.lineTooLong,
    spec,
  },
  unknownMax: {
    what: 'unknown commands that a connection may send and stay',
    default: 20,
    least: 0,
    most: 1_000_000,
    unit: 'count',
    fault: faults.unknownTooMany,
    spec,
  },
  signInsMax: {
    what: 'sign-ins of one connection that may fail before it ends',
    default: 5,
    least: 1,
    most: 1_000,
    unit: 'count',
    fault: faults.signInTooMany,
    spec,
  },
  idleMs: {
    what: 'without a command while none is under way',
    default: 300_000,
    least: 10,
    most: 86_400_000,
    unit: 'ms',
    fault: faults.idle,
    spec,
  },
  dataConnectMs: {
    what: 'how long a data connection may take to be made; then the answer is 425',
    default: 30_000,
    least: 10,
    most: 600_000,
    unit: 'ms',
    fault: null,
    spec,
  },
  dataIdleMs: {
    what: 'how long a data connection may carry nothing; then the answer is 426',
    default: 120_000,
    least: 10,
    most: 86_400_000,
    unit: 'ms',
    fault: faults.dataIdle,
    spec,
  },
  pathBytesMax: {
    what: 'a path from the root; a longer one is answered with 553',
    default: 4_096,
    least: 64,
    most: 65_000,
    unit: 'bytes',
    fault: null,
    spec,
  },
  statEntriesMax: {
    what: 'entries of a folder that STAT lists on the control connection',
    default: 1_000,
    least: 1,
    most: 100_000,
    unit: 'count',
    fault: null,
    spec,
  },
} as const satisfies Limits;
