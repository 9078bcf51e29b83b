// Every bound of the handshake: its default and range, and what a peer gets that passes it.
import type { Bound, Limits } from '../../../core/limits.ts';
import { faults } from './faults.ts';

export const tlsLimits = {
  handshakeBytesMax: {
    what: 'one message of the handshake; certificates are the longest',
    default: 65_536,
    least: 4_096,
    most: 1_048_576,
    unit: 'bytes',
    fault: faults.tooLong,
    spec: 'RFC 8446 §4',
  },
  chainMax: {
    what: 'certificates that a peer may show',
    default: 10,
    least: 1,
    most: 100,
    unit: 'count',
    fault: faults.chainTooLong,
    spec: 'RFC 8446 §4.4.2',
  },
  ticketLifeMs: {
    what: 'how long a session may be gone on with',
    default: 86_400_000,
    least: 1_000,
    most: 604_800_000,
    unit: 'ms',
    fault: null,
    spec: 'RFC 8446 §4.6.1',
  },
  earlyAgeMs: {
    what: 'how far the age of a ticket, as the client says it, may be off for 0-RTT to be taken',
    default: 10_000,
    least: 100,
    most: 60_000,
    unit: 'ms',
    fault: null,
    spec: 'RFC 8446 §8.3',
  },
  earlySeenMax: {
    what: 'first hellos with 0-RTT that are remembered while they could be replayed; past it 0-RTT is not taken',
    default: 100_000,
    least: 1,
    most: 10_000_000,
    unit: 'count',
    fault: null,
    spec: 'RFC 8446 §8.2',
  },
} as const satisfies Limits;

export type TlsLimits = Bound<typeof tlsLimits>;
