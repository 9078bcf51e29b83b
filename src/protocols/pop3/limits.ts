// Every bound of POP3: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/pop3.md §Limits';

export const limits = {
  lineBytesMax: {
    what: 'a command line without its end, and what answers a challenge; a longer one is answered with -ERR',
    default: 8_192,
    // RFC 2449 §4.
    least: 255,
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
    what: 'without a command; nothing is deleted then (RFC 1939 §3)',
    default: 600_000,
    least: 10,
    most: 86_400_000,
    unit: 'ms',
    fault: faults.idle,
    spec,
  },
} as const satisfies Limits;
