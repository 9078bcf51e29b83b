// HTTP/3 as the server lists it: over QUIC, by ALPN.
import type { Mux } from '../../core/mux.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { http3Dissector, http3StreamDissectors } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type Http3Host, Http3Session } from './session.ts';

export const http3: Protocol<Resources> = {
  name: 'http3',
  specs: ['RFC 9114', 'RFC 9204', 'RFC 9218', 'RFC 9220', 'RFC 9297'],
  limits,
  faults,
  uses: [],
  listens: [
    {
      on: 'quic',
      alpn: 'h3',
      mux: (mux: Mux, host: Host<Resources>) => new Http3Session(mux, host as unknown as Http3Host),
    },
  ],
  dissector: http3Dissector,
  streamDissectors: http3StreamDissectors,
};
