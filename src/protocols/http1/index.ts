// HTTP/1.1 as the server lists it.
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { http1Dissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { beginsWithMethod } from './recognise.ts';
import { type Http1Host, Http1Session } from './session.ts';

export const http1: Protocol<Resources> = {
  name: 'http1',
  specs: ['RFC 9110', 'RFC 9112'],
  limits,
  faults,
  uses: [],
  listens: [
    {
      on: 'tcp',
      port: 8080,
      standardPort: 80,
      recognises: beginsWithMethod,
      // A head must fit whole: it is not consumed before it is there.
      inputMax: (bound) => bound.requestLineBytesMax! + bound.headBytesMax! + 4_096,
      pipe: (pipe, host: Host<Resources>) => new Http1Session(pipe, host as unknown as Http1Host),
    },
  ],
  dissector: http1Dissector,
};
