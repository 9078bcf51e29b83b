// QUIC as the server lists it: a port of UDP whose connections are given to who listens on `quic`, by ALPN.
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { quicDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type QuicHost, serveQuic } from './serve.ts';

export const quic: Protocol<Resources> = {
  name: 'quic',
  specs: ['RFC 8999', 'RFC 9000', 'RFC 9001', 'RFC 9002', 'RFC 9221', 'RFC 9287', 'RFC 9368', 'RFC 9369'],
  limits,
  faults,
  uses: [],
  listens: [
    {
      on: 'udp',
      carries: 'quic',
      port: 8443,
      standardPort: 443,
      datagrams: (port, host: Host<Resources>) => serveQuic(port, host as QuicHost<Resources>),
    },
  ],
  dissector: quicDissector,
};
