// Every bound of SMTP: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/smtp.md §Limits';

export const limits = {
  lineBytesMax: {
    // RFC 5321 §4.5.3.1.4 has 512; AUTH has 12288 (RFC 4954 §4).
    what: 'a command line without its end; a longer one is answered with 500',
    default: 12_288,
    least: 512,
    // Below what a listener keeps of unconsumed input.
    most: 65_000,
    unit: 'bytes',
    fault: faults.lineTooLong,
    spec,
  },
  messageBytesMax: {
    what: 'a message; SIZE tells it, and a longer one is answered with 552',
    default: 52_428_800,
    least: 65_536,
    most: 1_073_741_824,
    unit: 'bytes',
    fault: faults.messageTooLong,
    spec,
  },
  recipientsMax: {
    what: 'recipients of one message; more are answered with 452',
    // RFC 5321 §4.5.3.1.8: at least so many. One batch of the store holds some records for each.
    default: 100,
    least: 1,
    most: 250,
    unit: 'count',
    fault: null,
    spec,
  },
  refusedMax: {
    what: 'recipients that may be refused before a connection ends: whoever tries names',
    default: 100,
    least: 1,
    most: 1_000_000,
    unit: 'count',
    fault: faults.refusedTooMany,
    spec,
  },
  hopsMax: {
    what: 'Received fields of a message; with more it is in a loop, and is answered with 554',
    default: 100,
    least: 1,
    most: 1_000,
    unit: 'count',
    fault: faults.loop,
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
    what: 'without a command, or a part of a message',
    // RFC 5321 §4.5.3.2.7.
    default: 300_000,
    least: 10,
    most: 86_400_000,
    unit: 'ms',
    fault: faults.idle,
    spec,
  },
} as const satisfies Limits;
