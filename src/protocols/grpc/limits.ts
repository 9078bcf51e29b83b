// Every bound of gRPC, gRPC-Web and Connect: its default and range, and what a peer gets that passes it.
import type { Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/grpc.md §Limits';

export const limits = {
  messageBytesMax: {
    what: 'a message of a caller, as it comes and once it is decompressed',
    default: 4_194_304,
    least: 1_024,
    most: 268_435_456,
    unit: 'bytes',
    fault: faults.tooLong,
    spec,
  },
  answerBytesMax: {
    what: 'a message that is answered, before it is compressed',
    default: 8_388_600,
    least: 1_024,
    most: 268_435_456,
    unit: 'bytes',
    fault: faults.answerTooLong,
    spec,
  },
  depthMax: {
    what: 'messages within messages',
    default: 100,
    least: 8,
    most: 100,
    unit: 'count',
    fault: faults.badMessage,
    spec,
  },
  valuesMax: {
    what: 'list items, map entries and messages within one message',
    default: 1_000_000,
    least: 1_000,
    most: 100_000_000,
    unit: 'count',
    fault: faults.badMessage,
    spec,
  },
  compressBytesLeast: {
    what: 'answers of at least this are compressed for those who compress what they send',
    default: 1_024,
    least: 0,
    most: 268_435_456,
    unit: 'bytes',
    fault: null,
    spec,
  },
  statusBytesMax: {
    what: 'the words and details of a status in the trailers; what is longer is cut or left out',
    default: 8_192,
    least: 256,
    most: 65_536,
    unit: 'bytes',
    fault: null,
    spec,
  },
  discardBytesMax: {
    what: 'what is read of a request whose call is over; then the stream is reset',
    default: 1_048_576,
    least: 0,
    most: 268_435_456,
    unit: 'bytes',
    fault: null,
    spec,
  },
  discardMs: {
    what: 'how long a caller may still send once its call is over; then the stream is reset',
    default: 10_000,
    least: 10,
    most: 600_000,
    unit: 'ms',
    fault: null,
    spec,
  },
  watchesMax: {
    what: 'calls of grpc.health.v1.Health/Watch at once',
    default: 1_000,
    least: 0,
    most: 1_000_000,
    unit: 'count',
    fault: faults.lookUps,
    spec,
  },
} as const satisfies Limits;
