// Every bound of server-sent events: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/sse.md §Limits';

export const limits = {
  filtersMax: {
    what: 'filters of one stream',
    default: 16,
    least: 1,
    most: 1_024,
    unit: 'count',
    fault: faults.filtersTooMany,
    spec,
  },
  streamsMax: {
    what: 'streams that are open at once',
    default: 100_000,
    least: 0,
    most: 1_000_000,
    unit: 'count',
    fault: faults.streamsTooMany,
    spec,
  },
  heartbeatMs: {
    what: 'after so long a line that says nothing keeps the connection known to be alive',
    default: 15_000,
    least: 100,
    most: 3_600_000,
    unit: 'ms',
    fault: null,
    spec,
  },
  retryMs: {
    what: 'how long a client is told to wait before it connects again',
    default: 2_000,
    least: 0,
    most: 3_600_000,
    unit: 'ms',
    fault: null,
    spec,
  },
  queueMessagesMax: {
    what: 'messages that wait for a client that does not keep up',
    default: 10_000,
    least: 1,
    most: 10_000_000,
    unit: 'count',
    fault: faults.tooSlow,
    spec,
  },
  queueBytesMax: {
    what: 'bytes of messages that wait for a client that does not keep up',
    default: 8_388_608,
    least: 1_024,
    most: 1_073_741_824,
    unit: 'bytes',
    fault: faults.tooSlow,
    spec,
  },
} as const satisfies Limits;
