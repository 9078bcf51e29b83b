// Every bound of the ACME server: its default and range, and what a client gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/certificates.md §Limits';

export const limits = {
  requestBytesMax: {
    what: 'bytes of one request',
    default: 65_536,
    least: 4_096,
    most: 1_048_576,
    unit: 'bytes',
    fault: faults.tooLong,
    spec,
  },
  noncesMax: {
    what: 'nonces that were given and not used; the oldest go first',
    default: 4_096,
    least: 16,
    most: 1_000_000,
    unit: 'count',
    fault: faults.badNonce,
    spec,
  },
  accountsMax: {
    what: 'accounts',
    default: 1_000,
    least: 1,
    most: 100_000,
    unit: 'count',
    fault: faults.rateLimited,
    spec,
  },
  ordersMax: {
    what: 'orders that are kept; those that are over go first',
    default: 1_000,
    least: 1,
    most: 100_000,
    unit: 'count',
    fault: faults.rateLimited,
    spec,
  },
  ordersOfAccountMax: {
    what: 'orders of one account that are open at once',
    default: 100,
    least: 1,
    most: 100_000,
    unit: 'count',
    fault: faults.rateLimited,
    spec,
  },
  identifiersMax: {
    what: 'names of one order',
    default: 50,
    least: 1,
    most: 100,
    unit: 'count',
    fault: faults.rejectedIdentifier,
    spec,
  },
  contactsMax: {
    what: 'contacts of one account',
    default: 10,
    least: 1,
    most: 100,
    unit: 'count',
    fault: faults.invalidContact,
    spec,
  },
  provingMax: {
    what: 'proofs that are looked for at once',
    default: 32,
    least: 1,
    most: 1_000,
    unit: 'count',
    fault: faults.rateLimited,
    spec,
  },
  orderMs: {
    what: 'how long an order may take, and is kept',
    default: 3_600_000,
    least: 10_000,
    most: 86_400_000,
    unit: 'ms',
    fault: faults.missing,
    spec,
  },
} as const satisfies Limits;
