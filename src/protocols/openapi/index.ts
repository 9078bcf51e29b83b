// Services over REST as the server lists them.
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { openapiDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { claimRules, type OpenapiHost, serveAsyncapi, serveDocument, serveRules, serveServices } from './server.ts';

const own = (host: Host<Resources>) => host as unknown as OpenapiHost;

export const openapi: Protocol<Resources> = {
  name: 'openapi',
  specs: ['OpenAPI 3.1', 'AsyncAPI 3.0', 'docs/rest-services.md', 'RFC 9457', 'google.api.http'],
  limits,
  faults,
  uses: ['services'],
  listens: [
    { on: 'http', path: '/services/', exchange: (host: Host<Resources>) => serveServices(own(host)) },
    { on: 'http', path: '/services', exchange: (host: Host<Resources>) => serveServices(own(host)) },
    { on: 'http', path: '/openapi.json', exchange: (host: Host<Resources>) => serveDocument(own(host)) },
    { on: 'http', path: '/asyncapi.json', exchange: (host: Host<Resources>) => serveAsyncapi(own(host)) },
    {
      on: 'http',
      path: '/',
      claims: (host: Host<Resources>) => claimRules(own(host)),
      exchange: (host: Host<Resources>) => serveRules(own(host)),
    },
  ],
  dissector: openapiDissector,
};
