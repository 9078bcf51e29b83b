// Every bound of the files over HTTP: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/files.md §Limits';

export const limits = {
  pageEntries: {
    what: 'entries of a listing that a request gets that does not say',
    default: 1_000,
    least: 1,
    most: 10_000,
    unit: 'count',
    fault: null,
    spec,
  },
  partHeadBytesMax: {
    what: 'the head of a part of a form',
    default: 8_192,
    least: 256,
    most: 65_536,
    unit: 'bytes',
    fault: faults.longPart,
    spec,
  },
  partsMax: {
    what: 'parts of a form',
    default: 1_000,
    least: 1,
    most: 100_000,
    unit: 'count',
    fault: faults.manyParts,
    spec,
  },
  uploadsMax: {
    what: 'requests that add to resumable uploads at once; more wait for their client to try again',
    default: 1_000,
    least: 1,
    most: 100_000,
    unit: 'count',
    fault: null,
    spec,
  },
} as const satisfies Limits;
