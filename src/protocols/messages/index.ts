// portico.json and bare topics as the server lists them.
import type { Messages } from '../../core/messages.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { messagesDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type MessagesHost, servePorticoJson } from './server.ts';
import { serveBareTopic } from './server-bare.ts';

export const messages: Protocol<Resources> = {
  name: 'messages',
  specs: ['docs/portico-json.md', 'JSON-RPC 2.0'],
  limits,
  faults,
  uses: ['topics', 'services'],
  listens: [
    {
      on: 'websocket',
      subprotocol: 'portico.json',
      paths: ['/', '/ws', '/topics/'],
      messages: (made: Messages, host: Host<Resources>) => servePorticoJson(made, host as MessagesHost),
    },
    {
      on: 'websocket',
      subprotocol: '',
      paths: ['/topics/'],
      messages: (made: Messages, host: Host<Resources>) => serveBareTopic(made, host as MessagesHost),
    },
  ],
  dissector: messagesDissector,
};
