// WebTransport as the server lists it. What is spoken in its sessions is what is spoken over WebSockets: both are put onto the
// routes by whoever composes the server, and HTTP/3 carries them.
import type { Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { webTransportDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';

export { TRANSPORT_TOKENS, type TransportHost, transportSignsIn, webTransportUpgrade } from './handshake.ts';

export const webtransport: Protocol<Resources> = {
  name: 'webtransport',
  specs: ['draft-ietf-webtrans-http3', 'RFC 9297'],
  limits,
  faults,
  uses: [],
  listens: [],
  dissector: webTransportDissector,
};
