// Every bound of WebTransport's doors: its default and range, and what a peer gets that passes it. Sessions and their streams
// are bounded by HTTP/3 and QUIC.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

export const limits = {
  messageBytesMax: {
    what: 'a message: all of a one-way stream, or a line of a two-way one',
    default: 16_777_216,
    least: 125,
    most: 1_073_741_824,
    unit: 'bytes',
    fault: faults.messageTooBig,
    spec: 'docs/webtransport.md',
  },
  gatheredBytesMax: {
    what: 'what all sessions of a server hold together of messages that are not complete',
    default: 268_435_456,
    least: 125,
    most: 1_099_511_627_776,
    unit: 'bytes',
    fault: faults.tooMuchHeld,
    spec: 'docs/webtransport.md',
  },
  sentBytesMax: {
    what: 'messages to a client that it has not taken; while there are more, its subscriptions wait',
    default: 1_048_576,
    least: 1_024,
    most: 1_073_741_824,
    unit: 'bytes',
    fault: null,
    spec: 'docs/webtransport.md',
  },
} as const satisfies Limits;
