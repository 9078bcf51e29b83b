// Every bound of WebDAV: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/webdav.md §Limits';

export const limits = {
  bodyBytesMax: {
    what: 'a body of XML',
    default: 131_072,
    least: 4_096,
    most: 16_777_216,
    unit: 'bytes',
    fault: faults.longBody,
    spec,
  },
  deepEntriesMax: {
    what: 'resources in an answer to PROPFIND with Depth: infinity',
    default: 20_000,
    least: 1,
    most: 1_000_000,
    unit: 'count',
    fault: faults.tooDeep,
    spec,
  },
  pageEntries: {
    what: 'entries of a folder that are listed for a browser',
    default: 1_000,
    least: 1,
    most: 10_000,
    unit: 'count',
    fault: null,
    spec,
  },
} as const satisfies Limits;
