// What is refused here before the files are asked. The wire code is the status; each is answered with a problem (RFC 9457).
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('webdav', {
  badXml: { wire: 400, spec: 'RFC 4918 §8.2', text: 'The body is no XML that can be read here.', scope: 'stream' },
  badBody: {
    wire: 422,
    spec: 'RFC 4918 §14',
    text: 'The body is XML, but not what this method has.',
    scope: 'stream',
  },
  longBody: { wire: 413, spec: 'RFC 4918 §8.1', text: 'The body is too long.', scope: 'stream' },
  badDepth: { wire: 400, spec: 'RFC 4918 §10.2', text: 'Depth is 0, 1 or infinity.', scope: 'stream' },
  badIf: { wire: 400, spec: 'RFC 4918 §10.4', text: 'If is malformed.', scope: 'stream' },
  noToken: { wire: 400, spec: 'RFC 4918 §9.11', text: 'Lock-Token names no lock.', scope: 'stream' },
  tooDeep: {
    wire: 403,
    spec: 'RFC 4918 §9.1.1',
    text: 'There is more below than is listed at once: ask with Depth: 1.',
    scope: 'stream',
  },
  withBody: { wire: 415, spec: 'RFC 4918 §9.3', text: 'MKCOL has no body here.', scope: 'stream' },
});
