// HTTP/1.1 as the server lists it.
import type { Bound } from '../../core/limits.ts';
import type { Pipe } from '../../core/pipe.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { http1Dissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { beginsWithMethod } from './recognise.ts';
import { type Http1Host, Http1Session } from './session.ts';

const SPOKEN = {
  recognises: beginsWithMethod,
  // A head must fit whole: it is not consumed before it is there.
  inputMax: (bound: Bound) => bound.requestLineBytesMax! + bound.headBytesMax! + 4_096,
  pipe: (pipe: Pipe, host: Host<Resources>) => new Http1Session(pipe, host as unknown as Http1Host),
};

export const http1: Protocol<Resources> = {
  name: 'http1',
  specs: ['RFC 9110', 'RFC 9112'],
  limits,
  faults,
  uses: [],
  listens: [
    { on: 'tcp', port: 8080, standardPort: 80, ...SPOKEN },
    { on: 'tls', port: 8443, standardPort: 443, alpn: 'http/1.1', ...SPOKEN },
  ],
  dissector: http1Dissector,
};
