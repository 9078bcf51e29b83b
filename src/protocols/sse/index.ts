// Server-sent events as the server lists them.
import type { Host, HttpListens, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { sseDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type SseHost, serveEvents } from './server.ts';

const route = (path: string): HttpListens<Resources> => ({
  on: 'http',
  path,
  only: { accept: 'text/event-stream' },
  exchange: (host: Host<Resources>) => serveEvents(host as SseHost),
});

export const sse: Protocol<Resources> = {
  name: 'sse',
  specs: ['docs/sse.md', 'WHATWG HTML §9.2'],
  limits,
  faults,
  uses: ['topics'],
  listens: [route('/topics/'), route('/topics')],
  dissector: sseDissector,
};
