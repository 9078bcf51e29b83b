// WebDAV as the server lists it.
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { webdavDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type DavHost, serveDav } from './server.ts';

export const webdav: Protocol<Resources> = {
  name: 'webdav',
  specs: ['RFC 4918 classes 1 and 2', 'RFC 4331', 'docs/webdav.md'],
  limits,
  faults,
  uses: ['files'],
  listens: [
    { on: 'http', path: '/dav/', exchange: (host: Host<Resources>) => serveDav(host as DavHost) },
    { on: 'http', path: '/dav', exchange: (host: Host<Resources>) => serveDav(host as DavHost) },
  ],
  dissector: webdavDissector,
};
