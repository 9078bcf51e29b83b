// Every bound of portico.json and of bare topics: its default and range, and what a peer gets that passes it.
import type { Bound, Limits } from '../../core/limits.ts';
import { faults } from './faults.ts';

const spec = 'docs/portico-json.md §Limits';

export const limits = {
  messageBytesMax: {
    what: 'a message from a client; a longer one closes with 1009',
    default: 16_777_216,
    least: 64,
    most: 268_435_455,
    unit: 'bytes',
    fault: faults.tooLong,
    spec,
  },
  subscriptionsMax: {
    what: 'filters that a socket is subscribed to at once; one more is answered with FULL',
    default: 1_000,
    least: 1,
    most: 100_000,
    unit: 'count',
    fault: null,
    spec,
  },
  unansweredMax: {
    what: 'what was asked and has not ended; the socket is not read meanwhile',
    default: 1_024,
    least: 1,
    most: 65_536,
    unit: 'count',
    fault: null,
    spec,
  },
  unansweredBytesMax: {
    what: 'bytes of messages that were asked with and have not ended; the socket is not read meanwhile',
    default: 1_048_576,
    least: 0,
    most: 1_073_741_824,
    unit: 'bytes',
    fault: null,
    spec,
  },
  callsMax: {
    what: 'calls of a socket at once; one more is answered with RESOURCE_EXHAUSTED',
    default: 256,
    least: 1,
    most: 65_536,
    unit: 'count',
    fault: null,
    spec,
  },
  jsonDepthMax: {
    what: 'how deep the value of json may be nested; deeper is answered with INVALID',
    default: 64,
    least: 1,
    most: 1_024,
    unit: 'count',
    fault: null,
    spec,
  },
  idCharactersMax: {
    what: 'characters of an id that is a string; a longer one is answered with INVALID',
    default: 256,
    least: 1,
    most: 65_536,
    unit: 'count',
    fault: null,
    spec,
  },
  propertiesMax: {
    what: 'properties of a message; more are answered with INVALID',
    default: 64,
    least: 0,
    most: 10_000,
    unit: 'count',
    fault: null,
    spec,
  },
  attributeBytesMax: {
    what: 'a content type, correlation, or name or value of a property; a longer one is answered with INVALID',
    default: 4_096,
    least: 1,
    // What MQTT has room for.
    most: 65_535,
    unit: 'bytes',
    fault: null,
    spec,
  },
  queueMessagesMax: {
    what: 'messages that wait for a subscriber that does not keep up',
    default: 10_000,
    least: 1,
    most: 10_000_000,
    unit: 'count',
    fault: faults.tooSlow,
    spec,
  },
  queueBytesMax: {
    what: 'bytes of messages that wait for a subscriber that does not keep up',
    default: 8_388_608,
    least: 1_024,
    most: 1_073_741_824,
    unit: 'bytes',
    fault: faults.tooSlow,
    spec,
  },
} as const satisfies Limits;

export type MessagesLimits = Bound<typeof limits>;
