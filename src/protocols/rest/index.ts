// The topics over plain HTTP as the server lists it.
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { restDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { serveHealth, serveTopicList, serveTopics } from './server.ts';
import type { RestHost } from './server-write.ts';

export const rest: Protocol<Resources> = {
  name: 'rest',
  specs: ['docs/topics-over-http.md', 'RFC 9110', 'RFC 9457', 'RFC 7240'],
  limits,
  faults,
  uses: ['topics'],
  listens: [
    { on: 'http', path: '/topics/', exchange: (host: Host<Resources>) => serveTopics(host as RestHost) },
    { on: 'http', path: '/topics', exchange: (host: Host<Resources>) => serveTopicList(host as RestHost) },
    { on: 'http', path: '/healthz', anyone: true, exchange: (host: Host<Resources>) => serveHealth(host as RestHost) },
  ],
  dissector: restDissector,
};
