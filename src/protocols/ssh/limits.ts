// Every bound of an SSH connection: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/sftp.md §Limits';

export const limits = {
  signInMs: {
    what: 'how long a client may take until it has signed in',
    default: 60_000,
    least: 1_000,
    most: 600_000,
    unit: 'ms',
    fault: faults.tooSlow,
    spec,
  },
  attemptsMax: {
    what: 'attempts to sign in on one connection; keys that are only asked about count as well',
    default: 10,
    least: 1,
    most: 100,
    unit: 'count',
    fault: faults.tooMany,
    spec,
  },
  idleMs: {
    what: 'how long a connection may be silent',
    default: 900_000,
    least: 1_000,
    most: 86_400_000,
    unit: 'ms',
    fault: faults.idle,
    spec,
  },
  channelsMax: {
    what: 'channels that are open at once; one more is refused (RFC 4254 §5.1)',
    default: 16,
    least: 1,
    most: 1_000,
    unit: 'count',
    fault: null,
    spec,
  },
} as const satisfies Limits;
