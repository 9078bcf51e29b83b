// Every bound of IMAP: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/imap.md §Limits';

export const limits = {
  lineBytesMax: {
    what: 'a line without its end; a longer one is answered with BAD',
    default: 65_000,
    // RFC 7162 §4.
    least: 8_192,
    // Below what a listener keeps of unconsumed input.
    most: 65_000,
    unit: 'bytes',
    fault: faults.commandTooLong,
    spec,
  },
  commandBytesMax: {
    what: 'a command with its literals, but for the message of APPEND; a longer one is answered with BAD',
    default: 262_144,
    least: 8_192,
    most: 16_777_216,
    unit: 'bytes',
    fault: faults.commandTooLong,
    spec,
  },
  nestingMax: {
    what: 'parentheses, NOT and OR within each other in a search',
    default: 50,
    least: 1,
    most: 500,
    unit: 'count',
    fault: faults.nestedTooDeep,
    spec,
  },
  searchKeysMax: {
    what: 'keys of one search; of those, at most 32 that look into bodies',
    default: 1_000,
    least: 10,
    most: 10_000,
    unit: 'count',
    fault: faults.commandTooLong,
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
  badMax: {
    what: 'commands that cannot be understood that a connection may send and stay',
    default: 100,
    least: 0,
    most: 1_000_000,
    unit: 'count',
    fault: faults.badTooMany,
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
    what: 'without a command; IDLE is one (RFC 2177 §3)',
    // RFC 9051 §5.4: at least 30 minutes.
    default: 1_800_000,
    least: 10,
    most: 86_400_000,
    unit: 'ms',
    fault: faults.idle,
    spec,
  },
  signInMs: {
    what: 'without a command before anybody has signed in',
    default: 60_000,
    least: 10,
    most: 86_400_000,
    unit: 'ms',
    fault: faults.idle,
    spec,
  },
  readAheadBytesMax: {
    what: 'bytes of messages that one connection holds to answer FETCH and SEARCH; one longer message is held alone',
    default: 4_194_304,
    least: 65_536,
    most: 268_435_456,
    unit: 'bytes',
    fault: null,
    spec,
  },
} as const satisfies Limits;
