// WebSocket as the server lists it. What is spoken over sockets is each protocol's own to say: they are put onto one
// upgrade by whoever composes the server.
import type { Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { webSocketDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';

export { type UpgradeHost, webSocketUpgrade } from './handshake.ts';

export const websocket: Protocol<Resources> = {
  name: 'websocket',
  specs: ['RFC 6455', 'RFC 7692', 'RFC 8441'],
  limits,
  faults,
  uses: [],
  listens: [],
  dissector: webSocketDissector,
};
