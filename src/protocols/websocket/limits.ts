// Every bound of WebSocket: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults, handshakeFaults } from './faults.ts';

export const limits = {
  messageBytesMax: {
    what: 'a message, its fragments together, compressed or not',
    default: 4_194_304,
    least: 125,
    most: 1_073_741_824,
    unit: 'bytes',
    fault: faults.messageTooBig,
    spec: 'RFC 6455 §10.4',
  },
  pingMs: {
    what: 'how long nothing is heard of a peer before it is sent a ping',
    default: 30_000,
    least: 100,
    most: 86_400_000,
    unit: 'ms',
    fault: null,
    spec: 'RFC 6455 §5.5.2',
  },
  pongMs: {
    what: 'how long after a ping a peer that takes nothing may be silent',
    default: 20_000,
    least: 100,
    most: 86_400_000,
    unit: 'ms',
    fault: faults.noPong,
    spec: 'RFC 6455 §5.5.3',
  },
  closeMs: {
    what: 'how long a peer is waited for that is to answer a close frame, or to close the connection',
    default: 5_000,
    least: 100,
    most: 600_000,
    unit: 'ms',
    fault: null,
    spec: 'RFC 6455 §7.1.1',
  },
  compressBytesLeast: {
    what: 'messages shorter than this are sent uncompressed',
    default: 1_024,
    least: 0,
    most: 1_073_741_824,
    unit: 'bytes',
    fault: null,
    spec: 'RFC 7692 §7.2.1',
  },
  inflateContextsMax: {
    what: 'clients that may build each message on those before (some 34 KiB each); others are told not to',
    default: 256,
    least: 0,
    most: 1_000_000,
    unit: 'count',
    fault: null,
    spec: 'RFC 7692 §7.1.1.2',
  },
  answerBytesMax: {
    what: 'the head of the answer to a client that opens a WebSocket',
    default: 16_384,
    least: 256,
    // Below what a listener keeps of unconsumed input.
    most: 65_000,
    unit: 'bytes',
    fault: handshakeFaults.answerTooLong,
    spec: 'RFC 6455 §4.2.2',
  },
  openMs: {
    what: 'how long the handshake of a client may take',
    default: 10_000,
    least: 100,
    most: 600_000,
    unit: 'ms',
    fault: handshakeFaults.late,
    spec: 'RFC 6455 §4.1',
  },
} as const satisfies Limits;
