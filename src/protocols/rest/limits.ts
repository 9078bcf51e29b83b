// Every bound of the topics over HTTP: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/topics-over-http.md §Limits';

export const limits = {
  bodyBytesMax: {
    what: 'the body of a request: the payload that is published',
    default: 1_048_576,
    least: 0,
    most: 268_435_455,
    unit: 'bytes',
    fault: faults.bodyTooLong,
    spec,
  },
  pageMessages: {
    what: 'messages or values in an answer to a request that does not say',
    default: 100,
    least: 1,
    most: 100_000,
    unit: 'count',
    fault: null,
    spec,
  },
  pageMessagesMax: {
    what: 'messages or values in an answer; a request that asks for more gets this many',
    default: 1_000,
    least: 1,
    most: 100_000,
    unit: 'count',
    fault: null,
    spec,
  },
  pageBytesMax: {
    what: 'an answer with many messages ends behind the one that passes this',
    default: 1_048_576,
    least: 1_024,
    most: 268_435_455,
    unit: 'bytes',
    fault: null,
    spec,
  },
  waitMaxMs: {
    what: 'how long a request waits for a message; one that asks for more waits this long',
    default: 60_000,
    least: 10,
    most: 86_400_000,
    unit: 'ms',
    fault: null,
    spec,
  },
  pollsMax: {
    what: 'requests that wait for messages at once',
    default: 10_000,
    least: 0,
    most: 1_000_000,
    unit: 'count',
    fault: faults.pollsTooMany,
    spec,
  },
  propertyBytesMax: {
    what: 'properties of a message in the fields of an answer; those beyond it are only in JSON',
    default: 8_192,
    least: 0,
    most: 65_536,
    unit: 'bytes',
    fault: null,
    spec,
  },
} as const satisfies Limits;
