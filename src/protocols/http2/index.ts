// HTTP/2 as the server lists it: by ALPN, and by prior knowledge on the port of HTTP/1.1.
import type { Pipe } from '../../core/pipe.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { FRAME_BYTES_MAX, isPreface } from './codec.ts';
import { http2Dissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type Http2Host, Http2Session } from './session.ts';

const SPOKEN = {
  recognises: isPreface,
  // A frame must fit whole, unless it is DATA.
  inputMax: () => FRAME_BYTES_MAX * 2,
  pipe: (pipe: Pipe, host: Host<Resources>) => new Http2Session(pipe, host as unknown as Http2Host),
};

export const http2: Protocol<Resources> = {
  name: 'http2',
  specs: ['RFC 9113', 'RFC 7541', 'RFC 8441', 'RFC 9218'],
  limits,
  faults,
  uses: [],
  listens: [
    { on: 'tcp', port: 8080, standardPort: 80, beside: 'http1', ...SPOKEN },
    { on: 'tls', port: 8443, standardPort: 443, alpn: 'h2', ...SPOKEN },
  ],
  dissector: http2Dissector,
};
