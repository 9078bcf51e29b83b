// What is refused here before a resource is asked. The wire code is the status; each is answered with a problem
// (RFC 9457).
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('rest', {
  badEscape: {
    wire: 400,
    spec: 'RFC 3986 §2.1',
    text: 'An escape in the target is broken, or is not UTF-8.',
    scope: 'stream',
  },
  noTopic: {
    wire: 400,
    spec: 'docs/topics-over-http.md §Paths',
    text: 'There is no topic in the path.',
    scope: 'stream',
  },
  badTopic: {
    wire: 400,
    spec: 'docs/topics-over-http.md §Paths',
    text: 'This is neither a topic nor a filter. In a query a plus sign is no space: write %20.',
    scope: 'stream',
  },
  wildcard: {
    wire: 400,
    spec: 'docs/topics-over-http.md §Paths',
    text: 'A filter with wildcards cannot be published to.',
    scope: 'stream',
  },
  badParameter: {
    wire: 400,
    spec: 'docs/topics-over-http.md §Reading',
    text: 'A parameter of the query is wrong.',
    scope: 'stream',
  },
  badField: {
    wire: 400,
    spec: 'docs/topics-over-http.md §Fields',
    text: 'A field of the request is wrong.',
    scope: 'stream',
  },
  partial: {
    wire: 400,
    spec: 'RFC 9110 §14.5',
    text: 'A part of a value cannot be put: send all of it, without Content-Range.',
    scope: 'stream',
  },
  emptyValue: {
    wire: 422,
    spec: 'docs/topics-over-http.md §Retained values',
    text: 'An empty value cannot be retained: publishing one clears what is. DELETE does that.',
    scope: 'stream',
  },
  notAcceptable: {
    wire: 406,
    spec: 'RFC 9110 §15.5.7',
    text: 'None of what there is fits Accept.',
    scope: 'stream',
  },
  methodUnknown: {
    wire: 405,
    spec: 'RFC 9110 §15.5.6',
    text: 'This method is not for this resource; Allow names those that are.',
    scope: 'stream',
  },
  bodyTooLong: {
    wire: 413,
    spec: 'RFC 9110 §15.5.14',
    text: 'The body is too long.',
    scope: 'stream',
  },
  pollsTooMany: {
    wire: 503,
    spec: 'docs/topics-over-http.md §Limits',
    text: 'As many requests as may be are waiting for messages.',
    scope: 'stream',
  },
});
