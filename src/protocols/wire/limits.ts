// Every bound of the wire listeners.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/lines.md §Wire';

export const limits = {
  idleMs: {
    what: 'without a byte either way',
    default: 600_000,
    least: 10,
    most: 86_400_000,
    unit: 'ms',
    fault: faults.idle,
    spec,
  },
  recordBytesMax: {
    what: 'the last bytes of a connection that a recorder keeps',
    default: 65_536,
    least: 0,
    most: 16_777_216,
    unit: 'bytes',
    fault: null,
    spec,
  },
  flowsMax: {
    what: 'addresses that a datagram proxy forwards for at once; the datagrams of others are dropped',
    default: 1_024,
    least: 1,
    most: 65_535,
    unit: 'count',
    fault: null,
    spec,
  },
  flowIdleMs: {
    what: 'without a datagram either way, until a datagram proxy forgets an address',
    default: 60_000,
    least: 10,
    most: 86_400_000,
    unit: 'ms',
    fault: null,
    spec,
  },
  flowWaitingMax: {
    what: 'datagrams of an address that wait while its port towards the upstream opens',
    default: 16,
    least: 1,
    most: 1_024,
    unit: 'count',
    fault: null,
    spec,
  },
} as const satisfies Limits;
