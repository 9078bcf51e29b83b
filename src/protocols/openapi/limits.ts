// Every bound of services over REST: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/rest-services.md §Limits';

export const limits = {
  bodyBytesMax: {
    what: 'the body of a request with one input',
    default: 4_194_304,
    least: 0,
    most: 268_435_455,
    unit: 'bytes',
    fault: faults.bodyTooLong,
    spec,
  },
  lineBytesMax: {
    what: 'one input of a stream',
    default: 4_194_304,
    least: 1,
    most: 268_435_455,
    unit: 'bytes',
    fault: faults.lineTooLong,
    spec,
  },
} as const satisfies Limits;
