// What is refused here before a service is asked. The wire code is the status; each is answered with a problem (RFC 9457).
import { faultTable } from '../../core/fault.ts';

const spec = 'docs/rest-services.md';

export const faults = faultTable('openapi', {
  noService: { wire: 404, spec: `${spec} §Paths`, text: 'There is no such service or method.', scope: 'stream' },
  methodUnknown: {
    wire: 405,
    spec: 'RFC 9110 §15.5.6',
    text: 'This method of HTTP is not for this path; Allow names those that are.',
    scope: 'stream',
  },
  mediaType: {
    wire: 415,
    spec: 'RFC 9110 §15.5.16',
    text: 'The body is JSON; for a stream of inputs NDJSON, one a line.',
    scope: 'stream',
  },
  notAcceptable: {
    wire: 406,
    spec: 'RFC 9110 §15.5.7',
    text: 'A stream is answered as NDJSON or as events.',
    scope: 'stream',
  },
  notJson: { wire: 400, spec: 'RFC 8259', text: 'The body is not JSON.', scope: 'stream' },
  bodyTooLong: { wire: 413, spec: 'RFC 9110 §15.5.14', text: 'The body is too long.', scope: 'stream' },
  lineTooLong: { wire: 413, spec: `${spec} §Limits`, text: 'A line of the stream is too long.', scope: 'stream' },
});
