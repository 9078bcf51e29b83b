// What is refused before a stream begins, with the status as wire code, and why one is ended (then 0: a stream of events
// has no codes).
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('sse', {
  badEscape: {
    wire: 400,
    spec: 'RFC 3986 §2.1',
    text: 'An escape in the target is broken, or is not UTF-8.',
    scope: 'stream',
  },
  noFilter: { wire: 400, spec: 'docs/sse.md §Subscribing', text: 'There is no filter in the path.', scope: 'stream' },
  badFilter: {
    wire: 400,
    spec: 'docs/sse.md §Subscribing',
    text: 'This is neither a topic nor a filter. In a query a plus sign is no space: write %20.',
    scope: 'stream',
  },
  filtersTooMany: {
    wire: 400,
    spec: 'docs/sse.md §Limits',
    text: 'These are more filters than one stream may have.',
    scope: 'stream',
  },
  badParameter: {
    wire: 400,
    spec: 'docs/sse.md §Subscribing',
    text: 'A parameter of the query is wrong.',
    scope: 'stream',
  },
  notText: {
    wire: 406,
    spec: 'docs/sse.md §Not text',
    text: 'What is retained here is not text, and events are: ask for ?encoding=base64 or ?envelope=json.',
    scope: 'stream',
  },
  methodUnknown: {
    wire: 405,
    spec: 'RFC 9110 §15.5.6',
    text: 'Events are read with GET.',
    scope: 'stream',
  },
  streamsTooMany: {
    wire: 503,
    spec: 'docs/sse.md §Limits',
    text: 'As many streams as may be are open.',
    scope: 'stream',
  },
  tooSlow: {
    wire: 0,
    spec: 'docs/sse.md §Slow clients',
    text: 'messages were not taken fast enough',
    scope: 'stream',
  },
  eventTooLong: {
    wire: 0,
    spec: 'docs/sse.md §Limits',
    text: 'the event is longer than is allowed',
    scope: 'stream',
  },
});
